"""The AES-256-CTR keystream: an overwrite pattern that can be computed again at any offset.

An expectation that needs no memory of the past: after a crash, and in a verifier on another
machine, the bytes that must be there follow from the plan's key alone (NIST SP 800-38A §6.5).
"""

import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

_BLOCK = 16  # bytes, FIPS 197
_ZEROS = memoryview(bytes(1 << 20))  # what is encrypted to get the bare stream; made once


class Keystream:
    """The pattern of one step. Each unit gets a stream of its own, so no two units are alike."""

    def __init__(self, key_hex: str) -> None:
        self._key = bytes.fromhex(key_hex)

    def read(self, unit: str, offset: int, length: int) -> bytes:
        """Return `length` bytes of the unit's stream from `offset` (bytes)."""
        encryptor, skip = self._at(unit, offset)
        return encryptor.update(bytes(skip + length))[skip:]

    def fill(self, unit: str, offset: int, buffer: memoryview) -> None:
        """Put the unit's stream from `offset` (bytes) into `buffer`, without a copy."""
        encryptor, skip = self._at(unit, offset)
        encryptor.update(bytes(skip))
        for start in range(0, len(buffer), len(_ZEROS)):
            part = buffer[start : start + len(_ZEROS)]
            encryptor.update_into(_ZEROS[: len(part)], part)

    def _at(self, unit: str, offset: int) -> tuple[CipherContext, int]:
        """Return the cipher at the block that holds `offset`, and how far into it that is."""
        start = int.from_bytes(
            hashlib.sha256(unit.encode("utf-8", "surrogateescape")).digest()[:_BLOCK], "big"
        )
        block, skip = divmod(offset, _BLOCK)
        counter = ((start + block) % (1 << 128)).to_bytes(_BLOCK, "big")
        return Cipher(algorithms.AES256(self._key), modes.CTR(counter)).encryptor(), skip
