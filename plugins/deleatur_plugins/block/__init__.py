"""The `block` backend: a whole block device, such as a disk, erased by this host or by its own commands."""

from deleatur_plugins.block.backend import BlockBackend

__all__ = ["BlockBackend"]
