"""PostgreSQL databases: rows by predicate and whole tables, down to the blocks that they lay in."""

from deleatur_plugins.postgresql.backend import PostgresqlBackend

__all__ = ["PostgresqlBackend"]
