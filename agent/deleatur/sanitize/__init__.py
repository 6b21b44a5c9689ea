"""Techniques with their sources, overwrite patterns, and the scanner that looks for residue."""
