"""SQLite databases: rows by predicate, whole tables, or the whole database with its journals."""

from deleatur_plugins.sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]
