"""The `file` backend: files and directory trees, overwritten where they lie, then removed."""

from deleatur_plugins.file.backend import FileBackend

__all__ = ["FileBackend"]
