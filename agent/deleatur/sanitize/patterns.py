"""What an overwrite leaves behind: bytes that can be computed again at any offset, and compared fast."""

import ctypes
from typing import Protocol

from deleatur.documents.place import Pattern
from deleatur.sanitize.buffers import buffers_of, zeros_of
from deleatur.sanitize.keystream import Keystream

ROOM = 4 << 20  # bytes of the largest piece: beyond it no device measured was faster
Pair = tuple[memoryview, memoryview]


class Laid(Protocol):
    """A pattern that is laid over a unit."""

    def read(self, unit: str, offset: int, length: int) -> bytes:
        """Return `length` bytes of what `unit` must hold from `offset` (bytes) on."""

    def lay(self, unit: str, offset: int, room: memoryview) -> memoryview:
        """Return what must stand at `offset`, as long as `room`: in it, or elsewhere, not to be changed."""

    def beside(self, unit: str, offset: int, room: memoryview) -> Pair:
        """Return two views that are alike in each byte of `room`, read at `offset`, that is as it must be.

        What was read may be changed by that.
        """


class LaidKeystream:
    """The AES-256-CTR keystream."""

    def __init__(self, key_hex: str) -> None:
        self._keystream = Keystream(key_hex)
        self._zeros = zeros_of(ROOM)
        self.read = self._keystream.read

    def lay(self, unit: str, offset: int, room: memoryview) -> memoryview:
        """Put the stream into `room`."""
        self._keystream.fill(unit, offset, room)
        return room

    def beside(self, unit: str, offset: int, room: memoryview) -> Pair:
        """Take the stream off, where it lies: a third of the memory to go through is saved."""
        self._keystream.take_off(unit, offset, room)
        return room, self._zeros[: len(room)]


class LaidBytes:
    """A few bytes that repeat from the beginning of the unit to its end."""

    def __init__(self, cycle_hex: str) -> None:
        self._cycle = bytes.fromhex(cycle_hex)
        self._ready = zeros_of(ROOM)
        if any(self._cycle):
            (self._ready,) = buffers_of(1, ROOM)
            self._ready[:] = (self._cycle * (ROOM // len(self._cycle) + 1))[:ROOM]

    def read(self, _unit: str, offset: int, length: int) -> bytes:
        """Return the bytes at `offset`."""
        skip = offset % len(self._cycle)
        return (self._cycle * ((skip + length) // len(self._cycle) + 1))[skip : skip + length]

    def lay(self, unit: str, offset: int, room: memoryview) -> memoryview:
        """Return bytes that stand ready, where the cycle begins at `offset`; else put them into `room`."""
        if self._is_ready(offset, len(room)):
            return self._ready[: len(room)]
        room[:] = self.read(unit, offset, len(room))
        return room

    def beside(self, unit: str, offset: int, room: memoryview) -> Pair:
        """Return what was read, and what must be there."""
        if self._is_ready(offset, len(room)):
            return room, self._ready[: len(room)]
        return room, memoryview(bytearray(self.read(unit, offset, len(room))))

    def _is_ready(self, offset: int, length: int) -> bool:
        return offset % len(self._cycle) == 0 and length <= ROOM


def laid(pattern: Pattern) -> Laid:
    """Return what computes the bytes of `pattern`."""
    return LaidKeystream(pattern.key) if pattern.kind == "aes-256-ctr" else LaidBytes(pattern.cycle)


def same(one: memoryview, other: memoryview) -> bool:
    """Say whether both hold the same bytes; both must be writable. A hundred times as fast as `==`."""
    if len(one) != len(other):
        return False
    return not len(one) or not _memcmp(_address(one), _address(other), len(one))


def _address(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


_memcmp = ctypes.CDLL(None).memcmp  # releases the GIL
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
