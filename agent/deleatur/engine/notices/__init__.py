"""Notices: tell people before their records go, and keep the evidence of it."""
