"""Where the kernel shows its devices: the roots of sysfs, procfs, the device nodes and the settings.

They are parameters, so that recorded and made-up trees are read by the same code as this host's.
"""

import errno
from dataclasses import dataclass
from pathlib import Path

# What the kernel answers for an attribute that this device does not have, or has no longer.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.EINVAL, errno.ENXIO, errno.EIO, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Places:
    """The folders that an inventory is read from."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    dev: Path = Path("/dev")
    etc: Path = Path("/etc")

    @property
    def live(self) -> bool:
        """Whether these are this host's own, so that device nodes may be opened."""
        return self == Places()


def attribute(path: Path) -> str:
    """Return the text of one attribute without its end of line; "" if the device has none such.

    Raises OSError if it may not be read.
    """
    return attribute_bytes(path).decode("utf-8", "replace").replace("\0", "").strip()


def attribute_bytes(path: Path) -> bytes:
    """Return the bytes of one attribute; none if the device has no such attribute.

    Raises OSError if it may not be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno in _ABSENT:
            return b""
        raise


def number_in(path: Path) -> int | None:
    """Return the whole number that an attribute holds; None if there is no such attribute."""
    text = attribute(path)
    return int(text) if text.lstrip("-").isdigit() else None


def names_in(folder: Path) -> tuple[str, ...]:
    """Return the names in a folder, in order; none if there is no such folder."""
    try:
        return tuple(sorted(entry.name for entry in folder.iterdir()))
    except OSError as error:
        if error.errno in _ABSENT:
            return ()
        raise
