"""Streams of common compressors in raw bytes: found by their first bytes, expanded to their end.

Rules kept: memory is bounded whatever a stream claims; a stream that breaks, because it was damaged or was
none, gives what stands before; what a piece border would cut stands in the next piece too.
"""

import bz2
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LONGEST_START = 10  # bytes by which a stream is recognised
_SLICE = 64  # bytes read at once: what a damaged stream loses before the damage
_MOST = 1 << 20  # bytes expanded at once
_TAIL = 255  # bytes that the next piece begins with: no needle is longer
_IDLE = 2 << 20  # bytes that expand to nothing; a block of bzip2, the largest, has 900 kB
_WINDOW = 23  # log2 of the bytes that a frame of zstd may look back (RFC 8878 §3.1.1.1.2 asks for 8 MiB)
_MEMORY = 16 << 20  # bytes that a stream of xz may ask for: its usual level asks for 9 MiB
_BROKEN = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError, ValueError)


class _Decompressor(Protocol):
    """What bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Inflate:
    """zlib's decompressor, for a header of zlib or one of gzip."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


class Stream:
    """One stream, which may go on for longer than what was read of it so far."""

    def __init__(self, start: int, decompressor: _Decompressor) -> None:
        self.start = start  # bytes, where the caller counts from
        self.over = False
        self.read = 0  # bytes, whether they expanded to anything or not
        self._decompressor = decompressor
        self._kept = b""
        self._idle = 0

    def feed(self, content: bytes | memoryview) -> Iterator[bytes]:
        """Yield what the next bytes expand to, in pieces of about a mebibyte."""
        out, known = bytearray(self._kept), len(self._kept)
        for at in range(0, len(content), _SLICE):
            for part in self._expanded(bytes(content[at : at + _SLICE])):
                out += part
                self._idle = 0
                if len(out) >= _MOST:
                    yield bytes(out)
                    del out[:-_TAIL]
                    known = len(out)
            self._idle += _SLICE
            self.read += _SLICE
            self.over |= self._decompressor.eof or self._idle > _IDLE
            if self.over:
                break
        if len(out) > known:
            yield bytes(out)
        self._kept = bytes(out[-_TAIL:])

    def _expanded(self, coded: bytes) -> Iterator[bytes]:
        try:
            while part := self._decompressor.decompress(coded, _MOST):
                yield part
                if self._decompressor.eof or self._decompressor.needs_input:
                    return
                coded = b""
        except _BROKEN:
            self.over = True


def _bzip2() -> _Decompressor:
    return bz2.BZ2Decompressor()


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_MEMORY)


def _zstd() -> _Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW})


# RFC 1950 §2.2: method 8, a window of 32 KiB, or of 16 KiB as InnoDB has it, and the check that makes both
# bytes a multiple of 31.
_ZLIB = rb"[\x78\x68](?=[\x01\x5e\x9c\xda\x05\x43\x81\xde])"

Start = tuple[re.Pattern[bytes], Callable[[], _Decompressor]]

STREAMS: dict[str, Start] = {
    "bzip2": (re.compile(rb"BZh[1-9](?=1AY&SY)"), _bzip2),  # the file's magic and its first block's
    "xz": (re.compile(rb"\xfd7zXZ\x00"), _xz),
    "zlib": (re.compile(_ZLIB + rb"|\x1f\x8b\x08[\x00-\x1f]"), _Inflate),  # and gzip, RFC 1952 §2.3
    "zstd": (re.compile(rb"\x28\xb5\x2f\xfd"), _zstd),  # RFC 8878 §3.1.1
}
