"""AES-CMAC (RFC 4493, NIST SP 800-38B) over Arrow columns, one AES call for each block column.

A raw block cipher is what CMAC is built from; ECB here is that function, not a mode for data.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

if TYPE_CHECKING:
    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]
    Bytes = npt.NDArray[np.uint8]

BLOCK = 16  # bytes, FIPS 197
_DOUBLING = 0x87  # RFC 4493 §2.3, const_Rb
_ROWS = 1 << 16  # rows at a time: their blocks stay in the processor's cache
_MATRIX = 16 << 20  # bytes that are gathered at a time, so that long values do not fill the memory
_BYTE = np.frombuffer(b"".join(b"%02x" % n for n in range(256)), np.uint16).astype(np.uint32)
_HEX = (_BYTE | _BYTE[:, None] << 16).ravel()  # of two bytes at a time


class BlockCipher:
    """AES as a function from blocks to blocks."""

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  (see above)

    def encrypt(self, blocks: "Words") -> "Words":
        """Return the blocks, two words a row, each encrypted by itself."""
        flat = np.ascontiguousarray(blocks).view(np.uint8).ravel()
        return np.frombuffer(self._encryptor.update(flat.data), np.uint64).reshape(-1, 2)


class Cmac:
    """AES-CMAC under one key of 16, 24 or 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = BlockCipher(key)
        zero = self._cipher.encrypt(np.zeros((1, 2), np.uint64)).tobytes()
        first = _double(zero)
        self._whole = np.frombuffer(first, np.uint64)  # K1: the last block is full
        self._padded = np.frombuffer(_double(first), np.uint64)  # K2: it was padded

    def tags(self, values: Any) -> "Bytes":
        """Return one row of 16 bytes for each value of an Arrow array of text or bytes; NULL is as empty."""
        out = np.empty((len(values), 2), np.uint64)
        for start in range(0, len(values), _ROWS):
            content, offsets = buffers_of(values[start : start + _ROWS])
            for length, rows in by_length(offsets):
                for part in _parts(rows, length):
                    message = gather(content, offsets[part], length)
                    out[start + part] = self._equal_lengths(message, length)
        return out.view(np.uint8).reshape(len(values), BLOCK)

    def _equal_lengths(self, message: "Bytes", length: int) -> "Words":
        width = max(BLOCK, -(-length // BLOCK) * BLOCK)
        if width != length:
            padded = np.zeros((len(message), width), np.uint8)
            padded[:, :length] = message
            padded[:, length] = 0x80
            message = padded
        blocks = message.view(np.uint64).reshape(len(message), -1)
        blocks[:, -2:] ^= self._whole if width == length else self._padded
        state = self._cipher.encrypt(blocks[:, :2])
        for column in range(2, width // 8, 2):
            state = self._cipher.encrypt(state ^ blocks[:, column : column + 2])
        return state


def hexadecimal(tags: "Bytes") -> Any:
    """Return tags as an Arrow array of lower-case hex digits, 32 each; at most 2^26 tags."""
    import pyarrow as pa

    digits = _HEX.take(np.ascontiguousarray(tags).view(np.uint16))
    offsets = np.arange(len(tags) + 1, dtype=np.int32) * np.int32(2 * tags.shape[1])
    return pa.StringArray.from_buffers(len(tags), pa.py_buffer(offsets), pa.py_buffer(digits))


def buffers_of(values: Any) -> tuple["Bytes", "npt.NDArray[np.int64]"]:
    """Return the bytes of an Arrow array of strings or binaries, and where each value begins and ends."""
    wide = values.type in _wide_types()
    _, places, content = values.buffers()
    kind = np.int64 if wide else np.int32
    if places is None or not len(values):
        return np.zeros(0, np.uint8), np.zeros(len(values) + 1, np.int64)
    offsets = np.frombuffer(places, kind)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    return (np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8)), offsets


def by_length(offsets: "npt.NDArray[np.int64]") -> Iterator[tuple[int, "npt.NDArray[np.int64]"]]:
    """Yield each length in bytes that occurs, with the rows that have it."""
    lengths = np.diff(offsets)
    short = lengths.max(initial=0) < 1 << 16  # such numbers are sorted by their digits
    order = np.argsort(lengths.astype(np.uint16) if short else lengths, kind="stable")
    ends = np.flatnonzero(np.diff(lengths[order])) + 1
    for rows in np.split(order, ends):
        if rows.size:
            yield int(lengths[rows[0]]), rows


def gather(content: "Bytes", starts: "npt.NDArray[np.int64]", length: int) -> "Bytes":
    """Return `length` bytes from each start as the rows of a matrix of its own."""
    if not length:
        return np.zeros((starts.size, 0), np.uint8)
    rows: Bytes = windows(content, length)[starts].view(np.uint8).reshape(-1, length)
    return rows


def windows(content: "Bytes", length: int) -> Any:
    """Return the `length` bytes from each place on, each as one value; what is written there is written."""
    return np.ndarray((content.size - length + 1,), f"V{length}", content, strides=(1,))


def _parts(rows: "npt.NDArray[np.int64]", length: int) -> Iterator["npt.NDArray[np.int64]"]:
    most = max(1, _MATRIX // max(length, BLOCK))
    for start in range(0, rows.size, most):
        yield rows[start : start + most]


def _double(block: bytes) -> bytes:
    """Multiply by x in GF(2^128): RFC 4493 §2.3."""
    number = int.from_bytes(block, "big")
    doubled = number << 1
    if doubled >> 128:
        doubled = (doubled & ((1 << 128) - 1)) ^ _DOUBLING
    return doubled.to_bytes(BLOCK, "big")


def _wide_types() -> tuple[Any, Any]:
    import pyarrow as pa

    return pa.large_string(), pa.large_binary()
