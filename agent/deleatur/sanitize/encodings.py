"""The forms in which one value may stand in raw bytes: character sets, hexadecimal digits, base64.

Pure. A form is what somebody else's software writes; each is looked for as it lies, at any offset.
"""

from base64 import b64encode
from collections.abc import Iterator

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
