"""Erase data for good, archive what must stay, and sign a certificate of it."""

__version__ = "0.1.0"
