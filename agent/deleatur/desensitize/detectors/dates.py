"""Find dates of birth and ages in Chinese, English and German, and say who is a minor.

A date alone names nobody: only a word for birth, or for a child's age, makes it a find.
"""

import datetime
import re
from collections.abc import Iterator
from typing import overload

from deleatur.desensitize.detectors import checks
from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span

OF_AGE = 18  # years: Civil Code of the PRC art. 17; BGB § 2; 18 in most of the United States
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january januar jan jänner", "february februar feb", "march märz maerz mar mrz", "april apr",
            "may mai",
            "june juni jun", "july juli jul", "august aug", "september sep sept", "october oktober oct okt",
            "november nov", "december dezember dec dez",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_HAN_DIGITS = "〇零一二三四五六七八九"
_HAN_NUMBER = "[一二三四五六七八九十]{1,3}"
_DATES = (
    re.compile(r"(?<![0-9])(?P<y>[0-9]{4}) ?[-/.] ?(?P<m>[0-9]{1,2}) ?[-/.] ?(?P<d>[0-9]{1,2})(?![0-9])"),
    re.compile(r"(?<![0-9])(?P<d>[0-9]{1,2})\. ?(?P<m>[0-9]{1,2})\. ?(?P<y>[0-9]{4}|[0-9]{2})(?![0-9])"),
    re.compile(r"(?<![0-9])(?P<m>[0-9]{1,2})[/-](?P<d>[0-9]{1,2})[/-](?P<y>[0-9]{4})(?![0-9])"),
    re.compile(
        r"(?<![0-9])(?P<y>[0-9]{4}|[0-9]{2}) ?年 ?(?P<m>[0-9]{1,2}) ?月(?: ?(?P<d>[0-9]{1,2}) ?[日号])?"
    ),
    re.compile(rf"(?P<y>[{_HAN_DIGITS}]{{4}})年(?P<m>{_HAN_NUMBER})月(?:(?P<d>{_HAN_NUMBER})[日号])?"),
    re.compile(
        rf"(?<![0-9])(?P<d>[0-9]{{1,2}})(?:\.|st|nd|rd|th)? ?(?:of )?(?P<m>{_MONTH})[.,]? "
        rf"?(?P<y>[0-9]{{4}})(?![0-9])",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<![A-Za-z])(?P<m>{_MONTH})[.]? ?(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)?,? "
        rf"?(?P<y>[0-9]{{4}})(?![0-9])",
        re.IGNORECASE,
    ),
    re.compile(r"(?<![0-9])(?P<y>(?:19|20)[0-9]{2})(?P<m>[0-9]{2})(?P<d>[0-9]{2})(?![0-9])"),
)
_BIRTH = re.compile(
    r"出生|生日|生于|诞辰|birth|born|\bdob\b|d\.o\.b|geburt|geboren|\bgeb\.?(?![a-zäöü])|jahrgang",
    re.IGNORECASE,
)
_BIRTH_AFTER = re.compile(r"^ ?[(（]?(?:出生|生人|生的|生日|geboren|\(?birth|geb\.)", re.IGNORECASE)
_AGES = (
    re.compile(r"(?P<age>(?<![0-9])[0-9]{1,2}|[一二三四五六七八九十]{1,3}) ?(?:周?岁|歲)(?:半)?"),
    re.compile(r"(?<![0-9])(?P<age>[0-9]{1,2})[ -]?(?:years?|yrs?)[ -]old(?![a-z])", re.IGNORECASE),
    re.compile(
        r"(?<![0-9])(?P<age>[0-9]{1,2})[ -]?(?:Jahre alt|jährige[rsnm]?|Jährige[rsnm]?|-jährige[rsnm]?)"
    ),
    re.compile(
        r"(?:\baged?|turn(?:s|ed|ing)|wird|Alter:?|年龄:?) (?P<age>[0-9]{1,2})(?![0-9.,:/])", re.IGNORECASE
    ),
)
_NEAR = 16  # characters between a word for birth and the date


def find(reading: Reading) -> Iterator[Span]:
    """Yield dates and ages beside a word for birth or age."""
    for start, end, _ in _births(reading):
        yield Span(start, end, "date-of-birth", None, 0.85)
    for start, end, _ in _ages(reading):
        yield Span(start, end, "date-of-birth", None, 0.6)


@overload
def minors(value: str, on: datetime.date) -> list[Span]: ...
@overload
def minors(value: datetime.date, on: datetime.date) -> bool: ...
def minors(value: str | datetime.date, on: datetime.date) -> list[Span] | bool:
    """Say where a text speaks of somebody under 18 on a day, or whether one born on a day is."""
    if isinstance(value, datetime.date):
        return _minor(value, on)
    reading = Reading(value)
    found = [(start, end) for start, end, born in _births(reading) if _minor(born, on)]
    found += [(start, end) for start, end, age in _ages(reading) if age < OF_AGE]
    return [
        Span(*reading.original(start, end), "date-of-birth", None, 0.8) for start, end in sorted(set(found))
    ]


def _minor(born: datetime.date, on: datetime.date) -> bool:
    years = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    return 0 <= years < OF_AGE


def _births(reading: Reading) -> Iterator[tuple[int, int, datetime.date]]:
    if not _BIRTH.search(reading.text):
        return
    for pattern in _DATES:
        for found in pattern.finditer(reading.text):
            born = _date(found)
            near = _BIRTH.search(reading.before(found.start(), _NEAR)) or _BIRTH_AFTER.search(
                reading.after(found.end(), 8)
            )
            if born and near:
                yield found.start(), found.end(), born


def _ages(reading: Reading) -> Iterator[tuple[int, int, int]]:
    for pattern in _AGES:
        for found in pattern.finditer(reading.text):
            age = _number(found["age"])
            if 0 < age < 120:
                yield found.start(), found.end(), age


def _date(found: re.Match[str]) -> datetime.date | None:
    month = _MONTHS.get(found["m"].lower()) or _number(found["m"])
    year = _number(found["y"]) if len(found["y"]) != 4 or found["y"].isdigit() else _year(found["y"])
    if year < 100:
        year += 2000 if year < 30 else 1900
    return checks.day(year, month, _number(found["d"] or "1"))


def _year(text: str) -> int:
    return int("".join(str(max(_HAN_DIGITS.index(c) - 1, 0)) for c in text))


def _number(text: str) -> int:
    """Read a number below 100 in digits or in Chinese."""
    if text.isascii():
        return int(text) if text.isdigit() else 0
    tens, ten, ones = text.partition("十")
    digit = "零一二三四五六七八九".index
    if not ten:
        return digit(text) if len(text) == 1 else 0
    if len(tens) > 1 or len(ones) > 1 or "十" in ones:
        return 0
    return (digit(tens) if tens else 1) * 10 + (digit(ones) if ones else 0)
