"""Find telephone numbers as they are written in Chinese, English and German.

By shape and area code, not by a table of the ranges that are in use: such a table is out of date the
day a network gets a new range, and a number that is not in it would stay.
"""

import re
from collections.abc import Iterator

from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span

_GAP = r"(?: ?[-./·] ?| {1,2})?"
_CHINA_PREFIX = rf"(?:(?<![0-9])(?:[(]?(?:\+|00)?86[)]?){_GAP})?"
_CHINA_MOBILE = re.compile(rf"{_CHINA_PREFIX}(?<![0-9])(?<![0-9][.])1(?:{_GAP}[0-9]){{10}}(?![0-9])")
_CHINA_GLUED = re.compile(r"(?<![0-9])(?:0086|86)1[3-9][0-9]([- ]?)[0-9]{4}\1[0-9]{4}(?![0-9])")
_CHINA_LANDLINE = re.compile(
    r"(?<![0-9])(?<![0-9][-./])[(]?0(?:10|2[0-9]|[3-9][0-9]{2})[)]?[- ]{0,2}[2-8][0-9]{2,3}[- ]?[0-9]{4}"
    r"(?:(?:转|-| ext\.? ?|分机)[0-9]{1,6})?(?![0-9])"
)
_INTERNATIONAL = re.compile(
    rf"(?<![0-9+])(?:\+ ?|[(]\+|00 ?)([1-9][0-9]{{0,2}})[)]?"
    rf"(?:{_GAP}(?:[(]0?[0-9]{{0,4}}[)]{_GAP})?[0-9]){{6,13}}(?![0-9])"
)
_GERMAN = re.compile(
    rf"(?<![0-9+])(?<![0-9][-./])[(]?0[1-9][0-9]{{1,4}}[)]?(?: ?[-/.] ?| "
    rf")?[0-9](?:{_GAP}[0-9]){{3,9}}(?![0-9])"
)
_AMERICAN = re.compile(
    r"(?<![0-9.])(?:1[ .-]?)?(?:[(][2-9][0-9]{2}[)] ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-]?[0-9]{4}(?![0-9])"
)
_TEN = re.compile(r"(?<![0-9])1?[2-9][0-9]{2}[2-9][0-9]{6}(?![0-9])")
_WORDS = re.compile(
    r"电话|手机|座机|号码|传真|致电|拨打|联系|來電|電話|固话|tel|phone|fax|mobil|cell|call|handy|ruf"
    r"|festnetz|durchwahl|nummer",
    re.IGNORECASE,
)
_COUNTRIES = re.compile("86|49|43|41|44|33|1")  # whose numbers are taken after a bare 00
_LETTER = re.compile(r"[A-Za-z]")
_NEAR = 24  # characters
_GERMAN_MOBILE = re.compile(r"1[567][0-9]")  # Bundesnetzagentur: numbering plan for mobile services


def find(reading: Reading) -> Iterator[Span]:
    """Yield every candidate in a reading, overlapping ones too."""
    yield from _china(reading)
    yield from _international(reading)
    yield from _germany(reading)
    yield from _america(reading)


def _china(reading: Reading) -> Iterator[Span]:
    text = reading.text
    for found in _CHINA_MOBILE.finditer(text):
        digits = re.sub("[^0-9]", "", found[0])[-11:]
        if digits[1] in "3456789" and not _in_a_code(text, found.start(), found.end()):
            yield Span(found.start(), found.end(), "mobile-number", None, 0.85)
    for found in _CHINA_GLUED.finditer(text):
        yield Span(found.start(), found.end(), "mobile-number", None, 0.8)
    for found in _CHINA_LANDLINE.finditer(text):
        named = bool(_WORDS.search(reading.before(found.start(), _NEAR)))
        if named or re.search("[-) ]", found[0]):
            yield Span(found.start(), found.end(), "landline-number", None, 0.8 if named else 0.65)


def _international(reading: Reading) -> Iterator[Span]:
    for found in _INTERNATIONAL.finditer(reading.text):
        digits = re.sub("[^0-9]", "", re.sub("[(]0[)]", "", found[0]))
        digits = digits.removeprefix("00")
        if not 8 <= len(digits) <= 15:  # ITU-T E.164 § 6
            continue
        named = _WORDS.search(reading.before(found.start(), _NEAR))
        if found[0].startswith("00") and not named and not _COUNTRIES.match(digits):
            continue
        yield Span(found.start(), found.end(), _kind(digits), None, 0.85)


def _kind(digits: str) -> str:
    """Name the type of a number with its country code."""
    if digits.startswith("86"):
        return "mobile-number" if digits[2:3] == "1" and len(digits) == 13 else "landline-number"
    if digits.startswith("49"):
        return "mobile-number" if _GERMAN_MOBILE.match(digits[2:].lstrip("0")) else "landline-number"
    return "mobile-number"


def _germany(reading: Reading) -> Iterator[Span]:
    for found in _GERMAN.finditer(reading.text):
        digits = re.sub("[^0-9]", "", found[0])
        if (
            not 8 <= len(digits) <= 12
        ):  # Bundesnetzagentur: area code and number have 11 digits at most, 12 with 0
            continue
        mobile = _GERMAN_MOBILE.match(digits[1:])
        named = _WORDS.search(reading.before(found.start(), _NEAR))
        apart = len(digits) != found.end() - found.start()
        if mobile and len(digits) in (11, 12):
            yield Span(found.start(), found.end(), "mobile-number", None, 0.8)
        elif named or apart:
            yield Span(found.start(), found.end(), "landline-number", None, 0.75 if named else 0.55)


def _america(reading: Reading) -> Iterator[Span]:
    for found in _AMERICAN.finditer(reading.text):
        yield Span(found.start(), found.end(), "mobile-number", None, 0.7)
    for found in _TEN.finditer(reading.text):
        if _WORDS.search(reading.before(found.start(), _NEAR)):
            yield Span(found.start(), found.end(), "mobile-number", None, 0.6)


def _in_a_code(text: str, start: int, end: int) -> bool:
    return bool(_LETTER.match(text[max(0, start - 1) : start]) and _LETTER.match(text[end : end + 1]))
