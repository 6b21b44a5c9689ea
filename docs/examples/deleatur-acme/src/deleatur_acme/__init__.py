"""Shelves of Acme for deleatur."""
