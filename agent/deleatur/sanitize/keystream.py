"""The AES-256-CTR keystream: an overwrite pattern that can be computed again at any offset.

An expectation that needs no memory of the past: after a crash, and in a verifier on another
machine, the bytes that must be there follow from the plan's key alone (NIST SP 800-38A §6.5).
"""

import hashlib

from cryptography.hazmat.primitives.ciphers import CipherContext

from deleatur.sanitize.buffers import zeros_of
from deleatur.sanitize.counter_mode import BLOCK, counting_from

_ZEROS = zeros_of(4 << 20).toreadonly()  # what is encrypted to get the bare stream


class Keystream:
    """The pattern of one step. Each unit gets a stream of its own, so no two units are alike."""

    def __init__(self, key_hex: str) -> None:
        self._key = bytes.fromhex(key_hex)

    def read(self, unit: str, offset: int, length: int) -> bytes:
        """Return `length` bytes of the unit's stream from `offset` (bytes)."""
        return self._at(unit, offset, length).update(bytes(length))

    def fill(self, unit: str, offset: int, buffer: memoryview) -> None:
        """Put the unit's stream from `offset` (bytes) into `buffer`, without a copy."""
        encryptor = self._at(unit, offset, len(buffer))
        for start in range(0, len(buffer), len(_ZEROS)):
            part = buffer[start : start + len(_ZEROS)]
            encryptor.update_into(_ZEROS[: len(part)], part)

    def take_off(self, unit: str, offset: int, buffer: memoryview) -> None:
        """Take the unit's stream from `offset` (bytes) off what `buffer` holds: zeros where that was it."""
        self._at(unit, offset, len(buffer)).update_into(buffer, buffer)

    def _at(self, unit: str, offset: int, length: int) -> CipherContext:
        """Return the cipher at this very byte of the stream, for so many bytes at most."""
        start = int.from_bytes(
            hashlib.sha256(unit.encode("utf-8", "surrogateescape")).digest()[:BLOCK], "big"
        )
        block, skip = divmod(offset, BLOCK)
        blocks = -(-(skip + length) // BLOCK)
        encryptor = counting_from(self._key, (start + block) % (1 << 128), blocks)
        encryptor.update(bytes(skip))
        return encryptor
