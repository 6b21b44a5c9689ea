"""Write the package of one person: into a new folder, or encrypted into one file.

Rules kept: only who runs it can read what is written; it stands whole or not at all; of the person
nothing leaves but through the package, the record of it holds counts and a keyed digest.
"""

import base64
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from deleatur.archive.age import pyrage
from deleatur.archive.bag import read_bag
from deleatur.archive.subject_export import (
    SCHEMA,
    TAG_MANIFEST,
    Elsewhere,
    ExportedPlace,
    ExportedTable,
    SubjectExport,
    field_of,
    file_of,
    keyed_digest,
    package,
)
from deleatur.documents.datamap import DataMap, Place
from deleatur.documents.place import Count, Frozen, Moment
from deleatur.engine.mapping import write_new
from deleatur.engine.subjects import Found, Part
from deleatur.errors import Failed, Refused

BAG = "your-data"
LIMITS = (
    "found by the identifiers that were given and those that stand beside them; records under other "
    "identifiers are not found",
    "texts are searched for identifiers and the full name, not for nicknames or slips of the pen",
)


class ExportRecord(Frozen, frozen=True):
    """What we keep of an export: how much it was, and a digest that only the package's key makes again."""

    schema: str
    made_at: Moment
    datamap_sha256: str
    places: Count
    tables: Count
    records: Count
    elsewhere: Count
    package_hmac: str


def export_of(datamap: DataMap, datamap_sha256: str, found: Found, made_at: str) -> SubjectExport:
    """Return what the package says of itself; it has a fresh key for its digest."""
    places: dict[str, list[ExportedTable]] = {}
    for number, part in enumerate(found.parts, 1):
        places.setdefault(part.place.id, []).append(_table(number, part))
    return SubjectExport(
        schema=SCHEMA,
        made_at=made_at,
        datamap_sha256=datamap_sha256,
        digest_key=base64.b64encode(secrets.token_bytes(32)).decode(),
        records=found.records,
        place=tuple(
            ExportedPlace(
                place=place.id,
                owner=place.owner,
                source=place.source,
                purpose=place.purpose,
                jurisdiction=tuple(law.code for law in place.jurisdiction),
                recipients=tuple(_recipients(datamap, place)),
                table=tuple(places[place.id]),
            )
            for place in datamap.place
            if place.id in places
        ),
        elsewhere=tuple(_elsewhere(datamap, found)),
        limits=(*LIMITS, *datamap.limits),
    )


def write_folder(path: Path, export: SubjectExport, found: Found) -> ExportRecord:
    """Write the package in clear into a new folder.

    Raises:
        Refused: something stands there already.
        Failed: it could not be written; nothing is left.
    """
    _require_free(path)
    _, members = read_bag(io.BytesIO(_tar(export, found)))
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.mkdir(mode=0o700)
        (partial / "data").mkdir(mode=0o700)
        for name, content in members.items():
            write_new(partial / name, content)
        _flush(partial / "data")
        _flush(partial)
        partial.rename(path)
        _flush(path.absolute().parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise Failed(f"{path} cannot be written: {(error.strerror or 'unknown').lower()}") from None
    return _record(export, found, members[TAG_MANIFEST])


def write_sealed(path: Path, export: SubjectExport, found: Found, recipient: str) -> ExportRecord:
    """Write the package as a tar that is encrypted with age to `recipient`; nothing is stored in clear.

    Raises:
        Refused: something stands there already, or it is no age recipient.
        Failed: it could not be written; nothing is left.
    """
    _require_free(path)
    try:
        to = pyrage().x25519.Recipient.from_str(recipient)
    except pyrage().RecipientError:
        raise Refused("--sealed-to is no age recipient: copy the age1… line of `age-keygen -y`") from None
    tar = _tar(export, found)
    try:
        write_new(path, pyrage().encrypt(tar, [to]))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Failed(f"{path} cannot be written: {(error.strerror or 'unknown').lower()}") from None
    _, members = read_bag(io.BytesIO(tar))
    return _record(export, found, members[TAG_MANIFEST])


def _tar(export: SubjectExport, found: Found) -> bytes:
    return b"".join(package(export, [part.rows for part in found.parts], BAG))


def _record(export: SubjectExport, found: Found, tag_manifest: bytes) -> ExportRecord:
    return ExportRecord(
        schema="deleatur/subject-export-record/v1",
        made_at=export.made_at,
        datamap_sha256=export.datamap_sha256,
        places=len(export.place),
        tables=len(found.parts),
        records=found.records,
        elsewhere=sum(each.count for each in export.elsewhere),
        package_hmac=keyed_digest(export, tag_manifest),
    )


def _table(number: int, part: Part) -> ExportedTable:
    return ExportedTable(
        table=part.table.name,
        kind=part.table.kind,
        records=len(part.rows),
        file=file_of(number, part.place.id, part.table.name),
        source=part.table.source or part.place.source,
        field=tuple(map(field_of, part.table.field)),
    )


def _recipients(datamap: DataMap, place: Place) -> Iterator[str]:
    """Yield who has what stands in a place: those that its owner named, and where its copies go."""
    yield from (line.removeprefix("declared: ") for line in place.access if line.startswith("declared: "))
    for copy in datamap.copy:
        if copy.source == place.id and copy.kind != "same-people":
            yield f"{copy.to} ({copy.kind}{f': {copy.reason}' if copy.reason else ''})"


def _elsewhere(datamap: DataMap, found: Found) -> Iterator[Elsewhere]:
    for (place, table), count in sorted(found.mentions.items()):
        what = "records of others, or texts, in which you are named"
        yield Elsewhere(where=f"{place}: {table}", what=what, count=count)
    for place, count in sorted(found.unread.items()):
        yield Elsewhere(where=place, what="things that could not be read", count=count)
    for declared in datamap.declared:
        what = f"{declared.what}: cannot be read here, ask for it ({declared.state})"
        yield Elsewhere(where=declared.id, what=what, count=declared.people)
    for lost in datamap.place:
        if lost.state != "found":
            yield Elsewhere(where=lost.id, what=f"the place is {lost.state}", count=0)


def _require_free(path: Path) -> None:
    if os.path.lexists(path):
        raise Refused(f"{path} is there already; choose another name, nothing is overwritten")


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
