"""The AES-256-CTR keystream: an overwrite pattern that can be computed again at any offset.

An expectation that needs no memory of the past: after a crash, and in a verifier on another
machine, the bytes that must be there follow from the plan's key alone (NIST SP 800-38A §6.5).
"""

import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK = 16  # bytes, FIPS 197


class Keystream:
    """The pattern of one step. Each unit gets a stream of its own, so no two units are alike."""

    def __init__(self, key_hex: str) -> None:
        self._key = bytes.fromhex(key_hex)

    def read(self, unit: str, offset: int, length: int) -> bytes:
        """Return `length` bytes of the unit's stream from `offset` (bytes)."""
        start = int.from_bytes(
            hashlib.sha256(unit.encode("utf-8", "surrogateescape")).digest()[:_BLOCK], "big"
        )
        block, skip = divmod(offset, _BLOCK)
        counter = ((start + block) % (1 << 128)).to_bytes(_BLOCK, "big")
        encryptor = Cipher(algorithms.AES256(self._key), modes.CTR(counter)).encryptor()
        return encryptor.update(bytes(skip + length))[skip:]
