"""The bytes of one unit: where they are, whether they are the keystream, and its attributes.

Rules kept: the content and the extended attributes share one keystream, at offsets that cannot
meet; what has no storage (a hole, an empty file) has no place and nothing to overwrite.
"""

import errno
import os
from collections.abc import Iterator

from deleatur.api import Keystream, Locator, covered, read_below_cache
from deleatur_plugins.file.tree import Entry

PLACE = 1 << 20  # bytes of one place at most
ATTRIBUTES_AT = 1 << 52  # where in a unit's keystream its attributes begin: beyond any file's size
ATTRIBUTE_ROOM = 1 << 16  # bytes; XATTR_SIZE_MAX of linux/limits.h
_BEGUN = "user.deleatur-begun"
_NO_ATTRIBUTES = frozenset({errno.EOPNOTSUPP, errno.ENODATA})


def attributes(fd: int) -> tuple[str, ...]:
    """Return the names of the extended attributes that hold somebody's bytes, in a fixed order.

    Attributes of the security modules are labels of the system's and stay out; so does our mark.
    """
    return tuple(n for n in _listed(fd) if n.startswith(("user.", "trusted.")) and n != _BEGUN)


def access_lists(fd: int) -> tuple[str, ...]:
    """Return the names of the attributes that hold POSIX access control lists."""
    return tuple(n for n in _listed(fd) if n.startswith("system.posix_acl_"))


def _listed(fd: int) -> tuple[str, ...]:
    try:
        return tuple(sorted(os.listxattr(fd)))
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            return ()
        raise


def places(fd: int, entry: Entry) -> Iterator[Locator]:
    """Name the places of one open unit that hold bytes."""
    if entry.regular:
        for start, end in covered(fd):
            for offset in range(start, end, PLACE):
                yield Locator(unit=entry.unit, offset=offset, length=min(PLACE, end - offset))
    for number, name in enumerate(attributes(fd)):
        length = len(os.getxattr(fd, name))
        if length:
            yield Locator(
                unit=entry.unit,
                item=f"attribute-{number}",
                offset=ATTRIBUTES_AT + number * ATTRIBUTE_ROOM,
                length=length,
            )


def read_attribute(fd: int, place: Locator) -> bytes | None:
    """Return an attribute's value; None when there are not so many any more."""
    number = int(place.item.removeprefix("attribute-"))
    names = attributes(fd)
    return os.getxattr(fd, names[number]) if number < len(names) else None


def overwrite_attributes(fd: int, unit: str, stream: Keystream) -> None:
    """Replace each attribute by keystream of the same length, so that it stays where it is."""
    names = attributes(fd)
    for number, name in enumerate(names):
        length = len(os.getxattr(fd, name))
        junk = stream.read(unit, ATTRIBUTES_AT + number * ATTRIBUTE_ROOM, length)
        os.setxattr(fd, name, junk, os.XATTR_REPLACE)
    if names:
        os.fsync(fd)


def strip(fd: int) -> None:
    """Remove the attributes, which by now hold keystream, and the access control lists."""
    names = (*attributes(fd), *access_lists(fd), *(n for n in _listed(fd) if n == _BEGUN))
    for name in names:
        os.removexattr(fd, name)
    if names:
        os.fsync(fd)


def mark_begun(fd: int, stream: Keystream) -> None:
    """Note at the file itself that this step is about to write to it; without attributes: nowhere.

    A write that fails or is killed may change the time of the file before a byte of it is there.
    """
    try:
        os.setxattr(fd, _BEGUN, _mark(stream))
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            raise


def begun(fd: int, unit: str, stream: Keystream) -> bool:
    """Say whether this step was about to write to the file before, or its first bytes are there."""
    return (_BEGUN in _listed(fd) and os.getxattr(fd, _BEGUN) == _mark(stream)) or starts(fd, unit, stream)


def starts(fd: int, unit: str, stream: Keystream) -> bool:
    """Say whether the first bytes that have storage are the keystream already, or there are none."""
    for start, end in covered(fd):
        length = min(4096, end - start)
        return os.pread(fd, length, start) == stream.read(unit, start, length)
    return True


def _mark(stream: Keystream) -> bytes:
    return stream.read("begun", 0, 16)


def overwritten(fd: int, unit: str, stream: Keystream) -> bool:
    """Say whether every byte that has storage reads as the keystream; true of an empty file."""
    for start, end in covered(fd):
        for offset in range(start, end, PLACE):
            length = min(PLACE, end - offset)
            if read_below_cache(fd, offset, length) != stream.read(unit, offset, length):
                return False
    return True
