"""Rows and whole tables of DuckDB databases, erased by writing the file anew."""

from deleatur_plugins.duckdb.backend import DuckdbBackend

__all__ = ["DuckdbBackend"]
