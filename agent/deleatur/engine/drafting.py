"""Draft the job that erases one person: rows of databases by values that tell them apart from all others.

Rules kept: the values stand in files beside the job and nowhere else; a draft selects exactly the rows
that were found, proven by reading the tables once more and by asking the store; what no backend erases by
rows is named.
"""

import secrets
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deleatur.documents.datamap import DataMap, Place, Table
from deleatur.documents.decode import decode_job
from deleatur.documents.job import Condition, Job, Mapped, Selection, Target
from deleatur.documents.toml import encode_toml
from deleatur.engine.directory import JobDirectory
from deleatur.engine.mapped import Row, read_mapped
from deleatur.engine.opening import KEY_SIZE, Registry
from deleatur.engine.registry import scheme_of
from deleatur.engine.subjects import Found, Part
from deleatur.errors import Refused
from deleatur.judge.roles import key_text


@dataclass(frozen=True)
class Request:
    """On which map, under which authority, and which places with the person's records are left to others."""

    datamap: Path
    name: str
    authority: str
    requested_by: str
    leave: Collection[str] = ()


@dataclass(frozen=True)
class _Chosen:
    """A column whose values tell the person's rows of one table from all others."""

    part: Part
    column: str
    values: tuple[str, ...]
    whole_numbers: bool


def draft_job(
    path: Path, datamap: DataMap, found: Found, request: Request, registry: Registry
) -> tuple[JobDirectory, tuple[Part, ...]]:
    """Write `job.toml` and its values into a new job directory; return it and what it leaves.

    Raises:
        Refused: nothing is to erase, a place with records of files is not left to others by name, a
            table has no column that tells the rows apart, or the directory is in use.
        Malformed: a name or text is not one that a job can have.
    """
    left = tuple(part for part in found.parts if not _by_rows(part))
    if missing := sorted({part.place.id for part in left} - set(request.leave)):
        raise Refused(
            f"{missing[0]} holds records of the person in files, which are erased whole or not at all: see "
            f"to them and say so with --leave {missing[0]}"
        )
    parts = [part for part in found.parts if _by_rows(part)]
    if not parts:
        raise Refused("no database holds a row of this person; there is no job to draft")
    chosen = [*_choose(datamap, parts, registry)]
    files = {f"values-{number:03}.txt": _content(each) for number, each in enumerate(chosen, 1)}
    content = (encode_toml(_job(request, chosen, [*files]))).encode()
    decode_job(content)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = JobDirectory(path)
    for name, values in files.items():
        directory.write_once(directory.path / name, values)
    directory.write_once(directory.job, content)
    return directory, left


def _by_rows(part: Part) -> bool:
    return not part.table.files and part.table.kind == "table"


def _job(request: Request, chosen: Sequence[_Chosen], files: Sequence[str]) -> Job:
    selections: dict[str, list[Selection]] = {}
    urls: dict[str, str] = {}
    for each, file in zip(chosen, files, strict=True):
        urls[each.part.place.id] = each.part.place.url
        selections.setdefault(each.part.place.id, []).append(_selection(each, file))
    return Job(
        schema="deleatur/job/v1",
        name=request.name,
        reason="subject-request",
        authority=request.authority,
        requested_by=request.requested_by,
        target=tuple(
            Target(id=place, url=urls[place], select=tuple(selected))
            for place, selected in selections.items()
        ),
        datamap=Mapped(file=str(request.datamap.absolute()), leaves=tuple(request.leave)),
    )


def _choose(datamap: DataMap, parts: Sequence[Part], registry: Registry) -> Iterator[_Chosen]:
    candidates = {(p.place.id, p.table.name): {n: _values(p, n) for n in _usable(p)} for p in parts}
    counts: dict[tuple[str, str], Counter[int]] = {key: Counter() for key in candidates}

    def visit(place: Place, table: Table, rows: Iterator[Row]) -> None:
        columns = candidates.get((place.id, table.name), {})
        for row in rows if columns else ():
            for number, values in columns.items():
                if _folded(row[number]) in values:
                    counts[place.id, table.name][number] += 1

    read_mapped(datamap, registry, visit)
    for part in parts:
        count = counts[part.place.id, part.table.name]
        fitting = [_chosen(part, n) for n in _usable(part) if count[n] == len(part.rows)]
        fitting.sort(key=lambda each: not each.whole_numbers)
        each = next((each for each in fitting if _selected(each, registry) == len(part.rows)), None)
        if each is None:
            raise Refused(
                f"{part.place.id}/{part.table.name} has no column that tells these rows from all others, or "
                "it changed meanwhile; write this selection by hand"
            )
        yield each


def _chosen(part: Part, number: int) -> _Chosen:
    values = dict.fromkeys(key_text(row[number]) for row in part.rows)
    whole = all(isinstance(row[number], int) for row in part.rows)
    return _Chosen(part, part.table.field[number].name, tuple(values), whole)


def _selected(each: _Chosen, registry: Registry) -> int:
    """Ask the store itself how many rows it selects: it may take other letters for the same than we do.

    To the collations that MariaDB creates tables with, `Müller` is `Muller`.
    """
    target = Target(id="draft", url=each.part.place.url, select=(_selection(each, "values"),))
    kind, _ = registry(scheme_of(target.url))
    known = {"digest-key": secrets.token_bytes(KEY_SIZE), "values:values": _content(each)}
    backend = kind.open(target, known)
    try:
        return backend.inspect().size
    finally:
        backend.close()


def _selection(each: _Chosen, file: str) -> Selection:
    where = (Condition(column=each.column, operator="in", values_from=file),)
    return Selection(table=each.part.table.name, where=where)


def _content(each: _Chosen) -> bytes:
    return "".join(f"{value}\n" for value in each.values).encode()


def _usable(part: Part) -> list[int]:
    """Return the columns whose values can stand in a file, one a line, without a change of any."""
    return [number for number in range(len(part.table.field)) if all(_line(row[number]) for row in part.rows)]


def _line(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return False
    text = str(value)
    return text.isprintable() and bool(text) and text == text.strip()


def _values(part: Part, number: int) -> frozenset[str]:
    return frozenset(_folded(row[number]) for row in part.rows)


def _folded(value: Any) -> str:
    """Return a value so that what any collation of case or trailing space takes for the same is the same."""
    return key_text(value).casefold()
