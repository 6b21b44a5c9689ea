"""Make the package that a person gets: their records, what they are, where from and what for.

Rules kept (docs/spec/export.md): the same content gives the same bytes; values never become code: no
formula in a CSV, no markup in the page, no name of a store in a path; nothing is left out silently.
"""

import base64
import csv
import hmac
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from deleatur.archive.bag import Bag
from deleatur.archive.subject_page import page
from deleatur.archive.subject_words import README
from deleatur.desensitize.detectors.types import TYPES
from deleatur.documents.codec import encode_json
from deleatur.documents.datamap import Field
from deleatur.documents.place import Count, Frozen, Name, Text

SCHEMA = "deleatur/subject-export/v1"
TAG_MANIFEST = "tagmanifest-sha256.txt"
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # what spreadsheets take for the beginning of a formula
Row = tuple[Any, ...]


class ExportedField(Frozen, frozen=True):
    """One column: what the map found it to hold."""

    name: Text
    level: str
    categories: tuple[str, ...] = ()  # titles of the types, the most frequent first


class ExportedTable(Frozen, frozen=True):
    """The person's records in one table; `file` is the path of its CSV and JSON without the suffix."""

    table: Text
    kind: str
    records: Count
    file: str
    source: str
    field: tuple[ExportedField, ...]


class ExportedPlace(Frozen, frozen=True):
    """A place that holds records of the person: what for, and who else has them."""

    place: Name
    owner: str
    source: str
    purpose: str
    jurisdiction: tuple[str, ...]
    recipients: tuple[str, ...]
    table: tuple[ExportedTable, ...]


class Elsewhere(Frozen, frozen=True):
    """Something that is not in the package, and must not be forgotten."""

    where: str
    what: str
    count: Count


class SubjectExport(Frozen, frozen=True):
    """What `data/export.json` says."""

    schema: str
    made_at: str
    datamap_sha256: str
    digest_key: str  # base64; with it the holder shows that this is the package of the record
    records: Count
    place: tuple[ExportedPlace, ...]
    elsewhere: tuple[Elsewhere, ...]
    limits: tuple[str, ...]


def package(export: SubjectExport, rows: Sequence[Sequence[Row]], name: str) -> Iterator[bytes]:
    """Yield the package as a BagIt bag in a tar; `rows` are those of each table, in the order of `export`."""
    bag = Bag(name)
    tables = [table for place in export.place for table in place.table]
    for table, records in zip(tables, rows, strict=True):
        yield from bag.member(f"data/{table.file}.csv", _csv(table, records))
        yield from bag.member(f"data/{table.file}.json", _json(table, records))
    yield from bag.member("data/export.json", encode_json(export))
    tags = {"README.txt": README.encode(), "index.html": page(export, rows).encode("utf-8", "replace")}
    yield from bag.end(tags, f"External-Identifier: {name}\nBagging-Date: {export.made_at[:10]}\n")


def keyed_digest(export: SubjectExport, tag_manifest: bytes) -> str:
    """Return HMAC-SHA-256 (hex) over `tagmanifest-sha256.txt`, which covers every file of the package."""
    return hmac.digest(base64.b64decode(export.digest_key), tag_manifest, "sha256").hex()


def file_of(number: int, place: str, table: str) -> str:
    """Return the path of a table's files below `data/`, without what could lead elsewhere."""
    words = [re.sub("[^a-z0-9]+", "-", part.lower())[:40].strip("-") for part in (place, table)]
    return "-".join(filter(None, (f"{number:03}", *words)))


def field_of(field: Field) -> ExportedField:
    """Return what the map says of a column, in words."""
    kinds = [finding.type for finding in field.finding] or [field.type]
    titles = tuple(TYPES[kind].title if kind in TYPES else kind for kind in kinds if kind != "other")
    return ExportedField(name=field.name, level=field.level, categories=titles)


def plain(value: Any) -> Any:
    """Return a stored value as JSON writes it: bytes as base64, what JSON does not have as text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float) or value is None else str(value)


def _json(table: ExportedTable, rows: Sequence[Row]) -> bytes:
    """Return the records exactly, one object each; it is ASCII, so nothing in it can confuse a reader."""
    names = [field.name for field in table.field]
    return (
        json.dumps([dict(zip(names, map(plain, row), strict=True)) for row in rows], indent=1) + "\n"
    ).encode()


def _csv(table: ExportedTable, rows: Sequence[Row]) -> bytes:
    """Return the records for a spreadsheet: a text that it would take for a formula begins with '."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([_cell(field.name) for field in table.field])
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return out.getvalue().encode("utf-8-sig", "replace")


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    text = base64.b64encode(bytes(value)).decode() if isinstance(value, bytes | bytearray) else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
