"""The forms in which one value may stand in raw bytes: character sets, numbers, hexadecimal digits, base64.

Pure. A form is what somebody else's software writes; each is looked for as it lies, at any offset.
"""

import re
from base64 import b64encode
from collections.abc import Iterator

LARGE = 1 << 40  # from here on six bytes of a whole number say something; small ones stand everywhere
_DIGITS = re.compile(rb"-?\d{13,20}")  # of so many, a number may be large and fit into eight bytes
_UUID = re.compile(rb"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LEAD = (0, 2, 3)  # base64 characters that also carry bits of the 0, 1, 2 bytes in front (RFC 4648 §4)


def texts_of(value: bytes) -> Iterator[bytes]:
    """Yield a value in the other character sets in which a store may hold it; nothing if it is no text.

    UTF-16 in both byte orders, GB18030 (which holds all of GBK) and Windows-1252 (which holds Latin-1).
    """
    text = _text(value)
    if text is None:
        return
    little, big = text.encode("utf-16-le"), text.encode("utf-16-be")
    if little[:-1] == big[1:]:  # Latin letters: but for the outer zero, both orders are the same bytes
        yield little[:-1]
    else:
        yield little
        yield big
    if not text.isascii():
        yield text.encode("gb18030")
        try:
            yield text.encode("cp1252")
        except UnicodeEncodeError:
            return  # it has letters that this set has not: no store can hold it so


def numbers_of(value: bytes) -> Iterator[bytes]:
    """Yield a large whole number in digits, or a UUID, in the bytes in which a store keeps it; else nothing.

    Of a UUID MariaDB puts the parts in another order, in indexes and rows, unless it is of version 6 to 8.
    """
    if _DIGITS.fullmatch(value) and abs(int(value)) >= LARGE:
        yield from eight_bytes_of(int(value))
    elif _UUID.fullmatch(value):
        low, middle, high, clock, node = (bytes.fromhex(part.decode()) for part in value.split(b"-"))
        yield low + middle + high + clock + node
        yield node + clock + high + middle + low
        whole = int.from_bytes(low + middle + high + clock + node, "big")
        yield (whole ^ 1 << 127).to_bytes(16, "little")  # DuckDB


def eight_bytes_of(number: int) -> Iterator[bytes]:
    """Yield a number from -2^63 to 2^64 - 1 in both byte orders, and with its first bit turned; else nothing.

    Little-endian: PostgreSQL, Redis, DuckDB, MariaDB's binary log. Big-endian: InnoDB, which turns
    the first bit of those that have a sign, and SQLite.
    """
    if -(1 << 63) <= number < 1 << 64:
        yield (number % (1 << 64)).to_bytes(8, "little")
        yield (number % (1 << 64)).to_bytes(8, "big")
        yield ((number + (1 << 63)) % (1 << 64)).to_bytes(8, "big")


def digits_of(form: bytes) -> Iterator[bytes]:
    """Yield bytes as hexadecimal digits in both cases, and as base64 at the three offsets.

    Of base64 only the characters that do not depend on what stands before and behind.
    """
    yield form.hex().encode()
    yield form.hex().upper().encode()
    for before, lead in enumerate(_LEAD):
        whole = (before + len(form)) * 8 // 6
        yield b64encode(bytes(before) + form)[lead:whole]


def _text(value: bytes) -> str | None:
    """Return the value as text, None if it is not: invalid UTF-8, or holding a NUL."""
    if b"\0" in value:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None
