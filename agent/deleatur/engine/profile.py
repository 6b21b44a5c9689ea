"""Look at records as they stream by: types by sample, people and activity by every record.

Rules kept: nothing of a record is kept but counts and keyed digests; memory does not grow with the
number of records, but for the index of people.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from typing import Any

from deleatur.desensitize.detectors import classify, minors, spans
from deleatur.documents.datamap import Field, Table, TypeCount
from deleatur.documents.detection import Detector, Level
from deleatur.judge.activity import Activity, day_of
from deleatur.judge.datamap import LEVELS
from deleatur.judge.jurisdiction import COUNTRY_COLUMNS, code_of
from deleatur.judge.people import LINKING, People

BATCH = 500  # records that are looked at together
_DENSE = 4  # so many times as many records are all classified; after them
_STRIDE = 100  # every so many-th
SAMPLING = (
    f"types are found in a sample: the first {BATCH * _DENSE} records of each table, then {BATCH} of every "
    f"{BATCH * _STRIDE}; `sampled` says how many that were"
)
_MAIN = 0.5  # share of its values above which a column is one of identifiers
_CHANCE = 0.01  # share of its values below which a type in a column of short values is chance
_LONG = 24  # characters of a value that is read as a sentence
_UNITS = 20  # files of a group that are named


class Profile:
    """Counts of one table, or of all files of a place that have the same form."""

    def __init__(
        self,
        name: str,
        kind: str,
        columns: Sequence[str],
        *,
        linked: bool,
        rule: Activity | None,
        as_of: date,
        detectors: Sequence[Detector] = (),
    ) -> None:
        self.name, self.kind, self.columns, self.linked = name, kind, tuple(columns), linked
        self.records = self.sampled = self.files = self.bytes = 0
        self.units: list[str] = []
        self.dialects: dict[str, None] = {}
        self.countries: dict[str, Counter[str]] = {}
        self._as_of = as_of
        self._minors = [0] * len(columns)
        self._detectors = detectors
        self._rule = rule if rule and rule.table == name and rule.column in columns else None
        self._activity: Counter[bool | None] = Counter()
        self._counts: list[Counter[str]] = [Counter() for _ in columns]
        self._levels: dict[str, Level] = {}
        self._confidence: list[Counter[str]] = [Counter() for _ in columns]
        self._of: list[int] = [0] * len(columns)
        self._long: list[int] = [0] * len(columns)

    @property
    def active(self) -> bool:
        """Say whether the rule of activity speaks of this table."""
        return self._rule is not None

    def add_file(self, unit: str, size: int, dialect: str) -> None:
        """Note that a file of this form was read."""
        self.files += 1
        self.bytes += size
        if len(self.units) < _UNITS and unit not in self.units:
            self.units.append(unit)
        if dialect:
            self.dialects.setdefault(dialect)

    def read(self, rows: Iterator[tuple[Any, ...]], people: People, place: int) -> Iterator[int]:
        """Look at every row; yield after each batch how many there were so far."""
        while batch := list(islice(rows, BATCH)):
            self._look(batch, people, place)
            yield self.records

    def _look(self, batch: list[tuple[Any, ...]], people: People, place: int) -> None:
        window = self.records // BATCH
        chosen = window < _DENSE or not window % _STRIDE
        self.records += len(batch)
        if chosen:
            self.sampled += len(batch)
            for number, name in enumerate(self.columns):
                self._classify(number, name, [row[number] for row in batch])
        if self.linked:
            links = self._links()
            for row in batch:
                people.add(place, ((kind, str(row[n])) for n, kind in links if row[n] not in (None, "")))
        if chosen:
            self._mentions(batch, people)
        for number, name in enumerate(self.columns):
            if name.lower() in COUNTRY_COLUMNS:
                codes = self.countries.setdefault(name, Counter())
                codes.update(code_of(row[number]) for row in batch)
        if self._rule is not None:
            number = self.columns.index(self._rule.column)
            self._activity.update(self._rule.of(row[number]) for row in batch)

    def _classify(self, number: int, name: str, values: list[Any]) -> None:
        texts = [v if isinstance(v, str | bytes | int) or v is None else str(v) for v in values]
        filled = [t for t in texts if t not in (None, "", b"")]
        self._of[number] += len(filled)
        self._long[number] += sum(isinstance(t, str) and len(t) > _LONG and not _address(t) for t in filled)
        for finding in classify(filled, name=name, detectors=self._detectors):
            self._counts[number][finding.type] += finding.count
            self._levels[finding.type] = finding.level
            self._confidence[number][finding.type] += round(finding.confidence * finding.count * 1000)
            if finding.type == "date-of-birth":
                dates = finding.count >= _MAIN * len(filled)
                self._minors[number] += sum(_of_a_minor(value, self._as_of, dates=dates) for value in values)

    def _links(self) -> list[tuple[int, str]]:
        """Return the columns of identifiers that belong to one person, each with its usual type."""
        found = []
        for number, counts in enumerate(self._counts):
            linking = Counter({t: c for t, c in counts.items() if t in LINKING})
            short = self._long[number] < _MAIN * max(self._of[number], 1)
            if short and linking and linking.total() >= _MAIN * self._of[number]:
                found.append((number, linking.most_common(1)[0][0]))
        return found

    def _mentions(self, batch: list[tuple[Any, ...]], people: People) -> None:
        """Note the identifiers that stand in texts."""
        linked = {n for n, _ in self._links()} if self.linked else set()
        for number, counts in enumerate(self._counts):
            if number in linked or not any(type_ in LINKING for type_ in counts):
                continue
            for row in batch:
                if isinstance(text := row[number], str):
                    for span in spans(text, detectors=self._detectors):
                        if span.type in LINKING:
                            people.mention(span.type, text[span.start : span.end])

    def types(self) -> dict[str, Counter[str]]:
        """Return the types of each column with their counts, those found by chance left out."""
        return {
            name: Counter({f.type: f.count for f in self._found(n)}) for n, name in enumerate(self.columns)
        }

    def table(self, stored_as: Sequence[str], references: Sequence[str]) -> Table:
        """Return what the map says of this table."""
        fields = []
        for number, name in enumerate(self.columns):
            found = self._found(number)
            levels: list[Level] = ["internal", *(f.level for f in found)]
            fields.append(
                Field(
                    name=name,
                    type=found[0].type if found else "other",
                    level=max(levels, key=LEVELS.index),
                    stored_as=stored_as[number] if number < len(stored_as) and stored_as[number] else "text",
                    references=references[number] if number < len(references) else "",
                    minors=self._minors[number],
                    finding=found,
                )
            )
        counts = self._activity
        totals = self._rule.totals(counts[True], counts[False], counts[None]) if self._rule else None
        return Table(
            name=self.name,
            kind=self.kind,
            records=self.records,
            sampled=self.sampled,
            files=self.files,
            bytes=self.bytes,
            units=tuple(self.units),
            dialect="; ".join(self.dialects)[:4096],
            totals=totals,
            field=tuple(fields),
        )

    def _found(self, number: int) -> tuple[TypeCount, ...]:
        of = self._of[number]
        sentences = self._long[number] >= 0.2 * max(of, 1)
        found = [
            TypeCount(
                type=type_,
                level=self._levels[type_],
                count=min(count, of),
                of=of,
                confidence=_share(self._confidence[number][type_], count),
            )
            for type_, count in self._counts[number].items()
            if sentences or count >= _CHANCE * of
        ]
        return tuple(sorted(found, key=lambda f: (-f.count, -LEVELS.index(f.level), f.type)))


def _address(text: str) -> bool:
    """Say whether a long value is one address and no sentence with an address in it."""
    return "@" in text and any(s.type == "e-mail" and s.end - s.start >= 0.8 * len(text) for s in spans(text))


def _of_a_minor(value: Any, on: date, *, dates: bool) -> bool:
    """Say whether a date of birth in a column of such, or what a text says, is of somebody under age."""
    day = day_of(value) if dates and len(str(value)) <= _LONG else None
    if day is not None:
        return minors(day, on)
    return isinstance(value, str) and bool(minors(value, on))


def _share(thousandths: int, count: int) -> str:
    """Return a mean confidence as a document writes it."""
    mean = round(thousandths / count)
    return "1" if mean >= 1000 else f"0.{max(mean, 0):03}"
