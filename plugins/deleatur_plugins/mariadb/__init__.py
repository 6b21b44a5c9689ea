"""Rows and whole tables of MariaDB databases, erased down to the server's files."""

from deleatur_plugins.mariadb.backend import MariadbBackend

__all__ = ["MariadbBackend"]
