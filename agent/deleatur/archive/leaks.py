"""Look for original values in what is about to be sealed, and refuse by table and column.

A value that another column keeps as a whole is there by right; a value inside a longer text, such
as a phone number in a kept chat message, is a leak.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from ahocorasick_rs import BytesAhoCorasick

from deleatur.desensitize.arrow import kind_of
from deleatur.desensitize.rules import rule_in_words
from deleatur.desensitize.values import UnfitError, date_of, plain
from deleatur.documents.job import Rule
from deleatur.errors import Refused

if TYPE_CHECKING:
    import pyarrow as pa

SHORTEST = 6  # bytes; shorter values occur everywhere by chance
_LONE_DIGITS = 9  # digits; fewer, inside a longer run of digits, are a coincidence
_DIGITS = re.compile(rb"[0-9]+")
_BOUNDARY = b"\xff\xff"  # between values: UTF-8 has no such byte, so no needle is found across two
_FORMS = {  # all that a column may hold after its rule; whatever else it holds came from an original
    "mask": re.compile(r"[x0*# \-_.@/+:,()]*|\[up to \d+ (?:characters|bytes)\]", re.ASCII),
    "keep-last-4": re.compile(r"\*{4}(?:[^\W_]{4})?"),
    "keyed-hash": re.compile(r"[0-9a-f]{32}"),
    "format-preserving": re.compile(r"[0-9A-Za-z \-_.@/+:,()]+", re.ASCII),
    "date-shift": re.compile(r"\d{4}-\d{2}-\d{2}(?:T.*)?", re.ASCII),
    "generalise to year": re.compile(r"\d{1,4}", re.ASCII),
    "generalise to month": re.compile(r"\d{4}-\d{2}", re.ASCII),
    "generalise to decade": re.compile(r"\d{1,3}0", re.ASCII),
    "generalise to five-years": re.compile(r"\d{1,3}[05]", re.ASCII),
    "generalise to first-letter": re.compile(r".?", re.DOTALL),
    "generalise to first-2": re.compile(r".{0,2}", re.DOTALL),
    "generalise to first-3": re.compile(r".{0,3}", re.DOTALL),
    "generalise to tens": re.compile(r"-?\d*0", re.ASCII),
    "generalise to thousands": re.compile(r"-?\d+", re.ASCII),
}


class LeakScan(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked for before sealing; goes into the package as data/leak-scan.json."""

    needles: int  # distinct protected values that were searched, as UTF-8 and as UTF-16LE
    short: int  # protected values of fewer than 6 bytes: not searched
    dates: int  # protected values that are dates: they recur in every calendar, not searched in text
    kept: int  # protected values that stand in a column with the rule keep, as a whole
    searched: int  # bytes of text and binary columns that were searched
    found: int = 0  # always: a finding refuses the archive


def scan_for_leaks(
    originals: Mapping[str, "pa.Table"],
    results: Mapping[str, "pa.Table"],
    rules: Mapping[str, Mapping[str, Rule]],
) -> LeakScan:
    """Search every protected original value in every column that is kept, and check the form of the rest.

    A changed column is not searched: a short number inside 32 random hex digits means nothing.
    It may hold nothing but what its rule can make.

    Raises:
        Refused: an original value would enter the archive; names the columns, never the value.
    """
    kept = {
        _bytes_of(value)
        for table, result in results.items()
        for column in result.column_names
        if rules[table][column].rule == "keep"
        for value in _distinct(result.column(column))
    }
    owners: dict[bytes, str] = {}
    short = dates = by_right = 0
    for name, value in _protected(originals, rules):
        needle = _bytes_of(value)
        if len(needle) < SHORTEST:
            short += 1
        elif needle in kept:
            by_right += 1
        elif _is_date(value):
            dates += 1
        else:
            owners.setdefault(needle, name)
    needles = _Needles(owners)
    searched = 0
    for table, result in results.items():
        for column in result.column_names:
            place, rule = f"{table}.{column}", rules[table][column]
            if rule.rule != "keep":
                _check_form(place, result.column(column), rule_in_words(rule))
            elif kind_of(result.column(column).type) in {"text", "bytes"}:
                searched += needles.search(place, _distinct(result.column(column)))
    return LeakScan(needles=len(owners), short=short, dates=dates, kept=by_right, searched=searched)


def _protected(
    originals: Mapping[str, "pa.Table"], rules: Mapping[str, Mapping[str, Rule]]
) -> Iterator[tuple[str, Any]]:
    for table, original in originals.items():
        for column in original.column_names:
            if rules[table][column].rule != "keep":
                for value in _distinct(original.column(column)):
                    yield f"{table}.{column}", value


class _Needles:
    """Protected values and who owns them, ready to be searched; built only when there is text to search."""

    def __init__(self, owners: Mapping[bytes, str]) -> None:
        self._owners = owners

    def search(self, place: str, values: list[Any]) -> int:
        """Search the values of one kept column; return how many bytes they have.

        Raises:
            Refused: a protected value stands in them.
        """
        hay = _BOUNDARY.join(h for h in map(_bytes_of, values) if len(h) >= SHORTEST)
        if hay and self._owners:
            self._refuse_hits(self._narrow, hay, place)
            if 0 in hay or isinstance(values[0], bytes):  # text without NUL, being UTF-8, holds no UTF-16
                self._refuse_hits(self._wide, hay, place)
        return len(hay)

    @cached_property
    def _values(self) -> list[bytes]:
        return list(self._owners)

    @cached_property
    def _narrow(self) -> BytesAhoCorasick:
        return BytesAhoCorasick(self._values)

    @cached_property
    def _wide(self) -> BytesAhoCorasick:
        return BytesAhoCorasick([v.decode(errors="replace").encode("utf-16-le") for v in self._values])

    def _refuse_hits(self, automaton: BytesAhoCorasick, hay: bytes, place: str) -> None:
        for number, start, end in automaton.find_matches_as_indexes(hay, overlapping=True):
            needle = self._values[number]
            if automaton is self._wide or not _coincidence(needle, hay, start, end):
                raise Refused(
                    f"archive: column {place} would carry original values of {self._owners[needle]}; "
                    f"protect {place} too (drop, null, mask), or keep {self._owners[needle]}"
                )


def _coincidence(needle: bytes, hay: bytes, start: int, end: int) -> bool:
    """Say whether a short number was met inside a longer one."""
    if len(needle) >= _LONE_DIGITS or not _DIGITS.fullmatch(needle):
        return False
    return bool(_DIGITS.match(hay[max(start - 1, 0) : start]) or _DIGITS.match(hay[end : end + 1]))


def _check_form(place: str, column: Any, words: str) -> None:
    form = _FORMS.get(words)
    if not all(form is not None and form.fullmatch(plain(value)) for value in _distinct(column)):
        raise Refused(f"archive: column {place} holds something that {words} cannot make; report this defect")


def _distinct(column: Any) -> list[Any]:
    return [value for value in column.unique().to_pylist() if value is not None]


def _bytes_of(value: Any) -> bytes:
    return value if isinstance(value, bytes) else plain(value).encode()


def _is_date(value: Any) -> bool:
    if isinstance(value, bytes):
        return False
    try:
        date_of(plain(value))
    except UnfitError:
        return False
    return True
