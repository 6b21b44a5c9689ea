"""Find a value that is already known, in every spelling that people give it.

The row's own name in the row's own text needs no model, and a model misses some of them.
"""

import re
import unicodedata
from collections.abc import Iterator

from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span

LEAST_DIGITS = 6  # fewer digits recur by chance
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
COMPOUND = frozenset(
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
    if len(digits) >= LEAST_DIGITS and not re.search("[A-Za-z\u3400-\u9fff@]", plain):
        yield from _digits(reading, digits, type_)
        return
    lowered = reading.text.lower()
    for some in spellings(plain, type_):
        if any(s.split()[0].lower() in lowered for s in some):  # most rows' values are in no other text
            for found in _pattern(some).finditer(reading.text):
                yield Span(found.start(), found.end(), type_, True, 1.0)


def _digits(reading: Reading, digits: str, type_: str) -> Iterator[Span]:
    forms = {digits}
    if type_ in ("mobile-number", "landline-number"):
        forms |= {digits.removeprefix(p) for p in _PREFIXES if len(digits) - len(p) >= 7}
    present = re.sub("[^0-9]", "", reading.text)
    for form in sorted((f for f in forms if f in present), key=len, reverse=True):
        pattern = re.compile(r"(?<![0-9])" + r"[ ().·/_-]{0,3}".join(form) + r"(?![0-9])")
        for found in pattern.finditer(reading.text):
            yield Span(found.start(), found.end(), type_, True, 1.0)


def spellings(plain: str, type_: str) -> Iterator[list[str]]:
    """Yield the ways to write a value; then, for a name, those to write each part that names somebody."""
    if len(plain) >= 2:
        yield _spelt(plain)
    if type_ != "person-name":
        return
    if _HAN.search(plain):
        given = plain[2:] if plain[:2] in COMPOUND else plain[1:]
        if len(given) >= 2:
            yield [given]
        if len(plain) <= 4:
            yield [" ".join(plain)]
        return
    for part in re.split(r"[\s,]+", plain):
        if len(part) >= 3 and part.lower() not in _TITLES:
            yield _spelt(part)


def _spelt(plain: str) -> list[str]:
    """Return a value with its umlauts as they are, spelt out, and left out."""
    out = plain.translate(_UMLAUTS)
    return sorted({plain, out, _without_accents(plain), _without_accents(out)}, key=lambda s: (-len(s), s))


def _pattern(spellings: list[str]) -> re.Pattern[str]:
    """Match any of the spellings in any case, with any white space."""
    bodies = "|".join(r"\s+".join(map(re.escape, s.split())) for s in spellings)
    first, last = spellings[0][0], spellings[0][-1]
    left = r"(?<![A-Za-zäöüß])" if first.isalpha() and not _HAN.match(first) else ""
    right = r"(?:'?s)?(?![A-Za-zäöüß])" if last.isalpha() and not _HAN.match(last) else ""
    return re.compile(f"{left}(?:{bodies}){right}", re.IGNORECASE)


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
