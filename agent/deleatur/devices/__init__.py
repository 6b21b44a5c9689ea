"""Devices: what they say of themselves, and the commands that they obey."""
