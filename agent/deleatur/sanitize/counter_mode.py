"""AES-256 in counter mode, by the faster of two ways of one library to the same bytes.

Only the library's GCM uses the wide AES instructions of newer processors; its counter mode does not.
GCM is counter mode with a tag: it counts on from the block J0, in the low 32 bits (NIST SP 800-38D §6.5,
§7.1). With an IV of one block J0 = ((IV · H) ⊕ L) · H, where H is the encryption of zeros and L the length
of the IV; H has an inverse, so each J0 has its IV, and the stream may begin at any block. The tag is not
asked for. docs/adr/0064 has what was measured.
"""

from functools import cache, lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

BLOCK = 16  # bytes, FIPS 197
_BITS = 8 * BLOCK
_LOW = (1 << 32) - 1  # what GCM counts in (SP 800-38D §6.2)
_REDUCTION = 0xE1 << 120  # SP 800-38D §6.3
_ONE = 1 << 127  # of that field, whose bits begin with the highest
_LARGE = 1 << 14  # blocks from which on an IV of its own pays: 256 KiB
_WIDE = frozenset({"vaes", "vpclmulqdq", "avx512vl"})  # what OpenSSL's wide GCM needs

Table = tuple[tuple[int, ...], ...]  # 16 rows of 256


def counting_from(key: bytes, counter: int, blocks: int) -> CipherContext:
    """Return a cipher whose stream begins with the encryption of `counter`, for so many blocks at most."""
    low = counter & _LOW
    if blocks < _LARGE or low + blocks > _LOW + 1 or not is_wide():
        return _encryptor(key, modes.CTR(counter.to_bytes(BLOCK, "big")))
    return _encryptor(key, modes.GCM(_iv_before(key, counter - low | (low - 1) & _LOW)))


@cache
def is_wide() -> bool:
    """Say whether this processor has the instructions for which GCM is the faster way."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith("flags") and set(line.split()) >= _WIDE for line in lines)


def _iv_before(key: bytes, start: int) -> bytes:
    """Return the IV whose J0 is `start`."""
    constant, table = _inverses(key)
    for row, byte in zip(table, start.to_bytes(BLOCK, "big"), strict=True):
        constant ^= row[byte]
    return constant.to_bytes(BLOCK, "big")


@lru_cache(maxsize=8)
def _inverses(key: bytes) -> tuple[int, Table]:
    """Return L · H⁻¹, and for each byte of a block and each of its values the product with H⁻²."""
    hashing = int.from_bytes(_encryptor(key, modes.ECB()).update(bytes(BLOCK)), "big")  # noqa: S305 - H
    inverse = _inverse(hashing)
    return product(_BITS, inverse), _products(product(inverse, inverse))


def product(one: int, other: int) -> int:
    """Multiply in the field of GCM (SP 800-38D §6.3, algorithm 1)."""
    found = 0
    for bit in range(_BITS - 1, -1, -1):
        if one >> bit & 1:
            found ^= other
        other = _shifted(other)
    return found


def _shifted(block: int) -> int:
    return block >> 1 ^ (_REDUCTION if block & 1 else 0)


def _inverse(block: int) -> int:
    """Return block to the power of 2^128 - 2, which times the block is one."""
    found, square = _ONE, block
    for _ in range(_BITS - 1):
        square = product(square, square)
        found = product(found, square)
    return found


def _products(factor: int) -> Table:
    of_bits = []  # the product with each bit alone, the highest first
    for _ in range(_BITS):
        of_bits.append(factor)
        factor = _shifted(factor)
    return tuple(_row(of_bits[first : first + 8]) for first in range(0, _BITS, 8))


def _row(of_bits: list[int]) -> tuple[int, ...]:
    """Return the products with all 256 values of a byte."""
    row = [0] * 256
    for value in range(1, 256):
        highest = value.bit_length() - 1
        row[value] = row[value ^ 1 << highest] ^ of_bits[7 - highest]
    return tuple(row)


def _encryptor(key: bytes, mode: modes.CTR | modes.GCM | modes.ECB) -> CipherContext:
    return Cipher(algorithms.AES256(key), mode).encryptor()
