"""The AES-256-CTR keystream: an overwrite pattern that can be computed again at any offset.

An expectation that needs no memory of the past: after a crash, and in a verifier on another
machine, the bytes that must be there follow from the plan's key alone (NIST SP 800-38A §6.5).
"""

import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from deleatur.sanitize.buffers import zeros_of

_BLOCK = 16  # bytes, FIPS 197
_ZEROS = zeros_of(4 << 20).toreadonly()  # what is encrypted to get the bare stream


class Keystream:
    """The pattern of one step. Each unit gets a stream of its own, so no two units are alike."""

    def __init__(self, key_hex: str) -> None:
        self._key = bytes.fromhex(key_hex)

    def read(self, unit: str, offset: int, length: int) -> bytes:
        """Return `length` bytes of the unit's stream from `offset` (bytes)."""
        return self._at(unit, offset).update(bytes(length))

    def fill(self, unit: str, offset: int, buffer: memoryview) -> None:
        """Put the unit's stream from `offset` (bytes) into `buffer`, without a copy."""
        encryptor = self._at(unit, offset)
        for start in range(0, len(buffer), len(_ZEROS)):
            part = buffer[start : start + len(_ZEROS)]
            encryptor.update_into(_ZEROS[: len(part)], part)

    def take_off(self, unit: str, offset: int, buffer: memoryview) -> None:
        """Take the unit's stream from `offset` (bytes) off what `buffer` holds: zeros where that was it."""
        self._at(unit, offset).update_into(buffer, buffer)

    def _at(self, unit: str, offset: int) -> CipherContext:
        """Return the cipher at this very byte of the stream."""
        start = int.from_bytes(
            hashlib.sha256(unit.encode("utf-8", "surrogateescape")).digest()[:_BLOCK], "big"
        )
        block, skip = divmod(offset, _BLOCK)
        counter = ((start + block) % (1 << 128)).to_bytes(_BLOCK, "big")
        encryptor = Cipher(algorithms.AES256(self._key), modes.CTR(counter)).encryptor()
        encryptor.update(bytes(skip))
        return encryptor
