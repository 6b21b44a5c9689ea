"""Compressed objects as streams: gzip (several members) and zstd (several frames). Pure.

Rule kept: what is compressed without its name saying so, or compressed twice, is refused, for nothing
below it was looked at.
"""

import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

from deleatur.api import Refused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BUFFER = 1 << 20  # bytes
_MAGIC = (
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"PK\x03\x04",
    b"PAR1",
    b"\x04\x22\x4d\x18",
)
_BROKEN = (EOFError, OSError, zlib.error, zstd.ZstdError)


class _Opened(io.RawIOBase):
    """What is in a compressed stream; broken input is refused, errors of the source are passed on."""

    def __init__(self, inner: Any, source: "_Guarded") -> None:
        self._inner = inner
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            content = self._inner.read(len(view))
        except _BROKEN:
            if self._source.error is not None:
                raise self._source.error from None
            raise Refused("its compression is broken or cut off") from None
        view[: len(content)] = content
        return len(content)


class _Guarded(io.RawIOBase):
    """A source that remembers its own error, so that it is told from one of the decoder."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            content = self._source.read(len(view))
        except Exception as error:
            self.error = error
            raise
        view[: len(content)] = content
        return len(content)


def unpacked(source: BinaryIO, pack: str) -> BinaryIO:
    """Return what is in a stream that is compressed as `pack` says.

    Raises:
        Refused: the stream is not, is broken, or holds something compressed again.
    """
    guarded = _Guarded(source)
    stream = io.BufferedReader(guarded, _BUFFER)
    head = stream.peek(8)
    if pack:
        if head and not head.startswith(_MAGIC[0] if pack == "gz" else _MAGIC[1]):
            raise Refused(f"its name ends with .{pack}, and its content is no such thing")
        inner = gzip.GzipFile(fileobj=stream) if pack == "gz" else zstd.ZstdFile(stream)
        opened = io.BufferedReader(_Opened(inner, guarded), _BUFFER)
        head = opened.peek(8)
    if head.startswith(_MAGIC):
        raise Refused("it is compressed in a way that its name does not say, or compressed again inside")
    return cast(BinaryIO, opened if pack else stream)


def packed(chunks: Iterable[bytes], pack: str) -> Iterator[bytes]:
    """Yield chunks compressed again, without a name or a time in the header."""
    if not pack:
        yield from chunks
        return
    packer: Any = zlib.compressobj(6, zlib.DEFLATED, 31) if pack == "gz" else zstd.ZstdCompressor()
    for chunk in chunks:
        if some := packer.compress(chunk):
            yield some
    yield packer.flush()
