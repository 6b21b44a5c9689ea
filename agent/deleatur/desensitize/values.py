"""What each rule makes of one value: pure, deterministic, and silent about the value when it refuses.

Only `keep` (which needs no function) lets a whole value of six characters or more through.
"""

import datetime
import decimal
import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any

EXACT_SHAPE = 32  # characters; the word lengths of a longer text are a fingerprint of it
SHOWN = 4  # characters that keep-last-4 shows, of at least twice as many

SEPARATORS = frozenset(" -_.@/+:,()")
_DATES = (  # day before month only where the dot says so (DIN 5008); 03/04/2026 is ambiguous and refused
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?:[T ]\d.*)?", re.ASCII),
    re.compile(r"(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})(?: \d.*)?", re.ASCII),
    re.compile(r"(?P<y>\d{4})年(?P<m>\d{1,2})月(?P<d>\d{1,2})日.*", re.ASCII),
    re.compile(r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})(?: \d.*)?", re.ASCII),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})", re.ASCII),
)
_NUMBER = re.compile(r"[+-]?\d{1,18}(?:\.\d{1,18})?", re.ASCII)


class UnfitError(ValueError):
    """The rule cannot be applied to this value; the message names the kind of value, never the value."""


def mask(value: Any) -> str:
    """Return the shape of a value: letters as x, digits as 0, separators as they are, the rest as *.

    Combining marks fall away. Text of more than 32 characters, and bytes, give their length class only.
    """
    if isinstance(value, bytes):
        return f"[up to {_length_class(len(value))} bytes]"
    text = plain(value)
    if len(text) > EXACT_SHAPE:
        return f"[up to {_length_class(len(text))} characters]"
    shape = text.translate(_SHAPES)
    if shape != text:
        return shape
    return ("*" if "#" in text else "#") * len(text)  # a value that looks like its own mask: 000-000


def keep_last_4(value: Any) -> str:
    """Return `****` and the last four letters or digits, or `****` alone if there are fewer than eight."""
    characters = "".join(filter(str.isalnum, plain(value)))
    return "****" + (characters[-SHOWN:] if len(characters) >= 2 * SHOWN else "")


def to_first_letter(value: str) -> str:
    """Return the first character, without combining marks; nothing of an empty text."""
    return unicodedata.normalize("NFC", value.lstrip())[:1]


def to_first(most: int) -> Callable[[str], str]:
    """Return the function that gives the first characters: `most` of them, and never more than half."""

    def first(value: str) -> str:
        text = unicodedata.normalize("NFC", value.strip())
        return text[: min(most, len(text) // 2)]

    return first


def to_thousands(value: Any) -> int:
    """Return a number in whole thousands, rounded down: 123456 gives 123."""
    return _down(value, 3)


def to_tens(value: Any) -> int:
    """Return a number rounded down to ten: 37 gives 30."""
    return _fitting(_down(value, 1) * 10)


def _down(value: Any, digits: int) -> int:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise UnfitError("text that is no plain number")
        value = decimal.Decimal(value.strip())
    if isinstance(value, int):
        return _fitting(value // 10**digits)
    if not math.isfinite(value):
        raise UnfitError("a number that is not finite")
    exact = decimal.Decimal(value)
    scaled = exact.scaleb(-digits, decimal.Context(prec=1100))
    return _fitting(int(scaled.to_integral_value(decimal.ROUND_FLOOR)))


def _fitting(number: int) -> int:
    if not -(2**63) <= number < 2**63:
        raise UnfitError("a number beyond 64 bits")
    return number


def date_of(value: Any) -> datetime.date:
    """Read a date, also from text: 2026-03-07, 2026/3/7, 2026年3月7日, 7.3.2026, 20260307; a time may follow.

    Raises:
        UnfitError: it is no such date, or the calendar has no such day.
    """
    if isinstance(value, datetime.date):
        return value
    text = value.strip() if value.isascii() else unicodedata.normalize("NFKC", value).strip()
    forms = _DATES if text[:1].isdigit() else ()
    found = next(filter(None, (form.fullmatch(text) for form in forms)), None)
    if not found:
        raise UnfitError("text that is no date")
    try:
        return datetime.date(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        raise UnfitError("a date that the calendar does not have") from None


def plain(value: Any) -> str:
    """Return the one text form of a value, the same in tokens, masks and CSV."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return str(value)


class _Shapes(dict[int, str]):
    """For `str.translate`: what stands for each character, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)[0]
        other = character if character in SEPARATORS else "*"
        self[code] = shape = {"L": "x", "N": "0", "M": ""}.get(category, other)
        return shape


_SHAPES = _Shapes()


def shape_of(character: str) -> str:
    """Return what stands for one character in a mask."""
    return _SHAPES[ord(character)]


def _length_class(length: int) -> int:
    return 1 << max(length - 1, 0).bit_length()
