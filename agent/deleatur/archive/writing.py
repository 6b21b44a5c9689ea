"""Make the plain bag of an archive, part by part: records, rules, leak scan, Parquet, CSV, read back."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from deleatur.archive import tables as forms
from deleatur.archive.bag import Bag
from deleatur.archive.hidden import check_hidden
from deleatur.archive.last_four import check_endings, rules_in_words, rules_of, with_rows
from deleatur.archive.leaks import LeakSearch
from deleatur.archive.memory import give_back_memory
from deleatur.archive.records import Types, bytes_of, parts
from deleatur.archive.risk import ArchivedRisk, Watch, reached
from deleatur.archive.risk_page import risk_page
from deleatur.desensitize.arrow import kind_of
from deleatur.desensitize.rules import apply_rules, check_rules
from deleatur.documents.detection import Detector
from deleatur.documents.job import ArchivedTable, last_fours
from deleatur.documents.journal import ArchivedRows
from deleatur.documents.place import ArchivePart, Frozen
from deleatur.errors import Failed, Refused

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA: Final = "deleatur/archive/v1"


class DescribedTable(Frozen, frozen=True):
    """One table in data/schema.json."""

    table: str
    rows: int
    parquet: tuple[str, ...]  # paths of its parts below data/, in order
    csv: tuple[str, ...]
    columns: tuple[dict[str, str], ...]  # name, Arrow type, kind


class Description(Frozen, frozen=True):
    """data/schema.json: what tables the package has and where."""

    schema: Literal["deleatur/archive/v1"]
    tables: tuple[DescribedTable, ...]


class Writing:
    """One package in the making: first `learn`, then take its `blocks`."""

    def __init__(
        self,
        bag: str,
        wanted: Mapping[str, ArchivedTable],
        tables: Mapping[str, Callable[[], Iterator[dict[str, Any]]]],
        key: bytes,
        detectors: Sequence[Detector] = (),
        part: ArchivePart = "main",
        readings: dict[str, int] | None = None,  # of the parts of this archive: they have to be the same
    ) -> None:
        self.written: list[ArchivedRows] = []  # of each table whose blocks were taken
        self._bag = Bag(bag)
        self._wanted = wanted
        self._tables = tables
        self._key = key
        self._types = {name: Types(name) for name in wanted}
        self._rules = {name: dict(table.columns) for name, table in wanted.items()}  # a ladder changes them
        self._watches = {
            name: Watch(name, table.risk, table.columns, key)
            for name, table in wanted.items()
            if table.risk is not None
        }
        self._risks: list[ArchivedRisk] = []
        self._leaks = LeakSearch(self._rules, key, detectors)
        self._detectors = tuple(detectors)
        self._part = part
        self._readings = {} if readings is None else readings
        self._described: list[DescribedTable] = []

    def learn(self) -> None:
        """Read all records once: their types, and what must not be found in the archive.

        Tables with quasi-identifiers are read again, once for each rung of their ladder at most.

        Raises:
            Refused: a rule is missing, there is no record, a value has no text form, or k cannot be kept.
        """
        for name in self._wanted:
            empty = True
            for part in parts(name, self._tables[name]()):
                if empty:
                    _check_rules(name, list(part), self._wanted[name])
                empty = False
                self._types[name].see(part)
                self._leaks.learn(name, _coded(name, part))
            if empty:
                raise Refused(
                    f"table {name}: no record to archive; correct its conditions or leave it out of the job"
                )
        give_back_memory()  # of the records
        self._leaks.settle()
        self._leaks.compare(self._readings)
        give_back_memory()  # of the values in the order in which they came
        for name, watch in self._watches.items():
            watch.measure(partial(self._typed, name))
            self._rules[name].update(watch.rules)

    def blocks(self, tags: Mapping[str, bytes], info: str) -> Iterator[bytes]:
        """Read all records again and yield the bag's tar; nothing is yielded that was not looked at before.

        Raises:
            Refused: a rule does not fit, or an original value would enter the archive.
            Failed: a part does not read back as it was made, or the records changed meanwhile.
        """
        for number, name in enumerate(self._wanted, start=1):
            yield from self._table(name, f"tables/{_folder(name, number)}")
        scan = self._leaks.report()
        description = Description(schema=SCHEMA, tables=tuple(self._described))
        lineage = [
            {"table": name, "rules": rules_in_words(rules, self._part)} for name, rules in self._rules.items()
        ]
        documents: dict[str, object] = {
            "data/leak-scan.json": {"schema": SCHEMA, **msgspec.to_builtins(scan)},
            "data/rules.json": {"schema": SCHEMA, "tables": lineage},
            "data/schema.json": msgspec.to_builtins(description),
        }
        if self._risks:
            documents["data/risk.json"] = {"schema": SCHEMA, "tables": msgspec.to_builtins(self._risks)}
        for path, document in documents.items():
            self._leaks.check_document(path, _json(_without_counts(document)))
            yield from self._bag.member(path, _json(document))
        if (
            self._risks
        ):  # drawn from risk.json alone, which was looked at: coordinates are like telephone numbers
            yield from self._bag.member("data/risk.html", risk_page(self._risks).encode())
        for path, content in {**tags, "bag-info.txt": info.encode()}.items():
            self._leaks.check_document(path, content)
        yield from self._bag.end(tags, info)

    def _table(self, name: str, folder: str) -> Iterator[bytes]:
        digest, rows = hashlib.sha256(), 0
        paths: tuple[list[str], list[str]] = ([], [])
        columns: tuple[dict[str, str], ...] = ()
        watch = self._watches.get(name)
        for number, part in enumerate(parts(name, self._tables[name]()), start=1):
            table = self._changed(name, part, rows)
            parquet, csv = forms.to_parquet(table), forms.to_csv(table)
            forms.check_parquet(name, parquet, table)
            forms.check_csv(name, csv, table)
            check_hidden(name, parquet, table)
            if watch is not None:
                watch.see(parquet)
            digest.update(parquet)
            rows += table.num_rows
            columns = tuple(
                {"name": f.name, "type": str(f.type), "kind": kind_of(f.type)} for f in table.schema
            )
            for into, form, content in zip(paths, ("parquet", "csv"), (parquet, csv), strict=True):
                into.append(f"{folder}/part-{number:05d}.{form}")
                yield from self._bag.member(f"data/{into[-1]}", content)
        if not rows:
            raise Failed(f"table {name}: its records are gone since they were first read; run again")
        risk = None
        if watch is not None:
            self._risks.append(watch.end())
            risk = reached(self._risks[-1])
        self.written.append(ArchivedRows(table=name, rows=rows, sha256=digest.hexdigest(), risk=risk))
        self._described.append(
            DescribedTable(
                table=name, rows=rows, parquet=tuple(paths[0]), csv=tuple(paths[1]), columns=columns
            )
        )

    def _changed(self, name: str, part: dict[str, list[Any]], first: int) -> "pa.Table":
        original, rules = self._types[name].table(part), self._rules[name]
        try:
            result = apply_rules(original, rules_of(rules, self._part), self._key, self._detectors)
        except Refused as refusal:
            raise Refused(f"table {name}, {refusal}") from None
        result = self._leaks.clear(name, _coded(name, part), result)
        if apart := last_fours(rules):
            if self._part == "main":
                check_endings(name, {column: original.column(column) for column in apart}, result)
            result = with_rows(result, name, first, self._key)
        return self._watches[name].suppress(result) if name in self._watches else result

    def _typed(self, name: str) -> "Iterator[pa.Table]":
        """Read the records of a table anew."""
        for part in parts(name, self._tables[name]()):
            yield self._types[name].table(part)


def _check_rules(name: str, columns: list[str], wanted: ArchivedTable) -> None:
    try:
        check_rules(columns, wanted.columns)
    except Refused as refusal:
        raise Refused(f"table {name}, {refusal}") from None


def _coded(table: str, part: Mapping[str, list[Any]]) -> dict[str, Any]:
    return {column: bytes_of(values, table, column) for column, values in part.items()}


def _folder(table: str, number: int) -> str:
    """Return a name for the files of a table; its real name always stands in schema.json."""
    return table if re.fullmatch(r"\w[\w-]{0,99}", table) else f"table-{number}"


def _without_counts(document: Any) -> Any:
    """Return a document without its numbers: they are counts, and any count is some customer's number."""
    if isinstance(document, dict):
        return {name: _without_counts(value) for name, value in document.items()}
    if isinstance(document, list | tuple):
        return [_without_counts(value) for value in document]
    return document if document is None or isinstance(document, str) else 0


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
