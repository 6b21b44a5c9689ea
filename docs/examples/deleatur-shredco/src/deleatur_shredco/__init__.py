"""Shred and Sons for deleatur."""
