"""Find a value that is already known, in every spelling that people give it.

The row's own name in the row's own text needs no model, and a model misses some of them.
"""

import re
import unicodedata
from collections.abc import Iterator

from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span

_LEAST_DIGITS = 6  # fewer digits recur by chance
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})
_PREFIXES = ("0086", "86", "0049", "49", "001", "1", "0")  # of telephone numbers, which people leave out
_HAN = re.compile(r"[\u3400-\u9fff]")
_TITLES = frozenset(
    [
        "herr",
        "frau",
        "dr",
        "dr.",
        "prof",
        "prof.",
        "mr",
        "mr.",
        "mrs",
        "mrs.",
        "ms",
        "ms.",
        "miss",
        "von",
        "van",
        "de",
        "der",
        "den",
        "la",
        "le",
        "zu",
        "el",
    ]
)
_COMPOUND = frozenset(
    [
        "欧阳",
        "司马",
        "上官",
        "诸葛",
        "东方",
        "皇甫",
        "尉迟",
        "公孙",
        "慕容",
        "令狐",
        "司徒",
        "宇文",
        "长孙",
        "夏侯",
        "轩辕",
        "端木",
        "百里",
        "南宫",
        "独孤",
    ]
)


def find(reading: Reading, value: str, type_: str) -> Iterator[Span]:
    """Yield where `value` stands in a reading, whole or, if it is a name, in its parts."""
    plain = Reading(value.strip()).text
    if not plain:
        return
    digits = re.sub("[^0-9]", "", plain)
    if len(digits) >= _LEAST_DIGITS and not re.search("[A-Za-z\u3400-\u9fff@]", plain):
        yield from _digits(reading, digits, type_)
        return
    for pattern in _patterns(plain, type_):
        for found in pattern.finditer(reading.text):
            yield Span(found.start(), found.end(), type_, True, 1.0)


def _digits(reading: Reading, digits: str, type_: str) -> Iterator[Span]:
    forms = {digits}
    if type_ in ("mobile-number", "landline-number"):
        forms |= {digits.removeprefix(p) for p in _PREFIXES if len(digits) - len(p) >= 7}
    for form in sorted(forms, key=len, reverse=True):
        pattern = re.compile(r"(?<![0-9])" + r"[ ().·/_-]{0,3}".join(form) + r"(?![0-9])")
        for found in pattern.finditer(reading.text):
            yield Span(found.start(), found.end(), type_, True, 1.0)


def _patterns(plain: str, type_: str) -> Iterator[re.Pattern[str]]:
    if len(plain) >= 2:
        yield _pattern(plain)
    if type_ != "person-name":
        return
    if _HAN.search(plain):
        given = plain[2:] if plain[:2] in _COMPOUND else plain[1:]
        if len(given) >= 2:
            yield re.compile(re.escape(given))
        if len(plain) in (2, 3, 4):
            yield re.compile(r" ?".join(map(re.escape, plain)))
        return
    for part in re.split(r"[\s,]+", plain):
        if len(part) >= 3 and part.lower() not in _TITLES:
            yield _pattern(part)


def _pattern(plain: str) -> re.Pattern[str]:
    """Match a value in any case, with any white space, with umlauts spelt out or left out."""
    spelt = plain.translate(_UMLAUTS)
    spellings = {plain, spelt, _without_accents(plain), _without_accents(spelt)}
    bodies = [r"\s+".join(map(re.escape, s.split())) for s in sorted(spellings, key=len, reverse=True)]
    left = r"(?<![A-Za-zäöüß])" if plain[0].isalpha() and not _HAN.match(plain[0]) else ""
    right = r"(?![A-Za-zäöüß])" if plain[-1].isalpha() and not _HAN.match(plain[-1]) else ""
    genitive = "(?:'?s)?" if right else ""
    return re.compile(left + f"(?:{'|'.join(bodies)})" + genitive + right, re.IGNORECASE)


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
