"""Read a value as it may be written in disguise: other letters, other code, packed, backwards. Pure.

Nothing here decides anything: each reading is searched for protected values, and a wrong one holds none.
"""

import base64
import binascii
import codecs
import html
import quopri
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from email.header import decode_header
from typing import Any
from urllib.parse import unquote_to_bytes

from deleatur.desensitize.arrow import arrow
from deleatur.desensitize.detectors.reading import Reading

_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}[ :-]?){6,}")
_BASE64 = re.compile(rb"[0-9A-Za-z+/_-]{8,}={0,2}")
_BASE32 = re.compile(rb"[A-Z2-7]{10,}={0,6}")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|U\+([0-9a-fA-F]{4,6})")
_OTHER_CODES = (
    "utf-16-le",
    "utf-16-be",
    "utf-32-le",
    "utf-32-be",
    "gb18030",
    "big5",
    "latin-1",
    "cp037",
    "utf-7",
)
_PACKED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda")  # gzip, and zlib at its levels
_PLAIN = "^[A-Za-z]{0,6}[0-9 .,:/_-]{0,40}$"
_DIGITS_IN_CODE = "(?:[0-9][ :-]?){12}"  # six bytes in hexadecimal
_SHORTEST_RUN = 6  # digits
_DEEPEST = 3  # layers of code around a value
_MOST = 1 << 16  # bytes of a value that are read otherwise, and that something packed may unpack to
_BETWEEN = r"[^\pL\pN]+"  # what folding leaves out


def folded(values: Any) -> Any:
    """Return an Arrow array of texts as letters and digits alone, in one case and one width; else NULL."""
    from pyarrow import compute as pc

    pa = arrow()
    if not pa.types.is_string(values.type):
        values = pa.array([_text(v) for v in values.to_pylist()], pa.string())
    plain = pc.replace_substring(pc.utf8_lower(pc.utf8_normalize(values, "NFKC")), "ß", "ss")
    return pc.replace_substring_regex(plain, _BETWEEN, "")


def plain(values: Any) -> Any:
    """Say of each text of an Arrow array whether it is too plain to be in code: `INV-2024-00017`, a date.

    A few letters and then none, without so many digits in a row that they could be hexadecimal: of such
    a value `folded` is the only other reading.
    """
    from pyarrow import compute as pc

    if not arrow().types.is_string(values.type):
        return pc.fill_null(pc.is_null(values), False)
    coded = pc.match_substring_regex(values, _DIGITS_IN_CODE)
    return pc.and_not(pc.match_substring_regex(values, _PLAIN), coded)


def readings(value: bytes) -> set[bytes]:
    """Return what a value says if it is read in other ways, in codes within codes too."""
    value = value[:_MOST]
    found, fresh = {value}, {value}
    for _ in range(_DEEPEST):
        fresh = {reading for one in fresh for reading in _once(one) if reading} - found
        found |= fresh
    for one in tuple(found):
        text = _text(one)
        if text is not None:
            found.add(text[::-1].encode())
            found.add(_fold(text).encode())
            found.add(_fold(text[::-1]).encode())
            found.update(run.digits.encode() for run in Reading(text).runs(_SHORTEST_RUN))
    return found - {value}


def _once(value: bytes) -> Iterator[bytes]:
    """Yield the readings that undo one layer of code."""
    for pattern, undo in _TOKENS:
        for token in pattern.finditer(value):
            yield from _sensible(_undone(undo, token[0]))
    if b"%" in value:
        yield unquote_to_bytes(value)
    if b"=" in value:
        yield quopri.decodestring(value)
    yield from _unpacked(value)
    text = _text(value)
    if text is None or b"\0" in value:
        for code in _OTHER_CODES:
            for skipped in (0, 1):
                # Without the zeros, which a wrong reading is full of: each would be read in every code again.
                yield value[skipped:].decode(code, "ignore").replace("\0", "").encode("utf-8", "ignore")
        return
    yield html.unescape(text).encode("utf-8", "ignore")
    yield _ESCAPED.sub(lambda m: _character(m[1] or m[2] or m[3]), text).encode("utf-8", "ignore")
    yield codecs.encode(text, "rot13").encode()
    if "=?" in text:
        yield _header(text)
    if "+" in text:
        yield value.decode("utf-7", "ignore").encode("utf-8", "ignore")


def _character(code: str) -> str:
    number = int(code, 16)
    return chr(number) if number < 0x110000 else ""


def _header(text: str) -> bytes:
    try:
        parts = decode_header(text)
        return "".join(
            p if isinstance(p, str) else p.decode(c or "utf-8", "replace") for p, c in parts
        ).encode()
    except (ValueError, LookupError):
        return b""


def _unpacked(value: bytes) -> Iterator[bytes]:
    for start in _PACKED:
        place = value.find(start)
        if place >= 0:
            try:
                yield zlib.decompressobj(47).decompress(value[place:], _MOST)
            except zlib.error:
                continue


def _sensible(reading: bytes) -> Iterator[bytes]:
    """Yield what was unwrapped if it is text, as UTF-8, or packed; most words are no code."""
    if reading.startswith(_PACKED):
        yield reading
    for code in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
        try:
            text = reading.decode(code)
        except UnicodeDecodeError:
            continue
        if len(text) >= 2 and all(c.isprintable() or c.isspace() for c in text):
            yield text.encode("utf-8", "ignore")
            return


def _undone(undo: Callable[[bytes], bytes], token: bytes) -> bytes:
    try:
        return undo(token)
    except (ValueError, binascii.Error):
        return b""


def _from_hex(token: bytes) -> bytes:
    return bytes.fromhex(re.sub(rb"[ :-]", b"", token).decode())


def _from_base64(token: bytes) -> bytes:
    bare = token.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    return base64.b64decode(bare[: len(bare) - (len(bare) % 4 == 1)] + b"=" * (-len(bare) % 4))


def _from_base32(token: bytes) -> bytes:
    bare = token.rstrip(b"=")
    return base64.b32decode(bare + b"=" * (-len(bare) % 8))


def _fold(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).lower().replace("ß", "ss"))


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


_TOKENS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], bytes]], ...] = (
    (_HEX, _from_hex),
    (_BASE64, _from_base64),
    (_BASE32, _from_base32),
)
