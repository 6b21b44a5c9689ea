"""Write, check and open archive packages, version 1 (docs/spec/archive.md).

Records, rules, leak scan, bag, read back, encryption, read back again: all before anything is erased.
Plain records stay in memory, one part of one table at a time; only the sealed file touches the disk.
"""

import datetime
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from deleatur.archive import tables as forms
from deleatur.archive.age import identity_of, pyrage, recipient_of
from deleatur.archive.bag import check_bag, read_bag
from deleatur.archive.opening import CHALLENGE, drain, unsealed
from deleatur.archive.readme import readme
from deleatur.archive.seal import contents_of, digest_of, seal
from deleatur.archive.writing import DescribedTable, Description, Writing
from deleatur.desensitize.arrow import arrow
from deleatur.documents.codec import decode_json
from deleatur.documents.detection import Detector
from deleatur.documents.job import ArchivedTable, Custody, tables_of
from deleatur.documents.journal import Archived, package_of
from deleatur.documents.place import ArchivePart
from deleatur.documents.plan import PlannedTarget
from deleatur.errors import Failed, Refused

if TYPE_CHECKING:
    import pyarrow as pa


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An archive package after decryption and the check of its manifests."""

    bag: str
    info: dict[str, str]  # bag-info.txt
    tables: dict[str, Any]  # pyarrow tables by name
    members: dict[str, bytes]  # every file of the bag by path


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """One table of a package: how many rows it has, and the first of them."""

    table: str
    rows: int
    first: Any  # a pyarrow table


def write_archive(
    folder: Path,
    planned: PlannedTarget,
    tables: Mapping[str, Callable[[], Iterator[dict[str, Any]]]],
    custody: Custody,
    *,
    job: str,
    plan_digest: str,
    key: bytes,
    challenge: bytes,
    earlier: Archived | None = None,
    detectors: Sequence[Detector] = (),
    part: ArchivePart = "main",
    readings: dict[str, int] | None = None,
) -> Archived:
    """Archive one part of what `planned` keeps into `folder` and return the event for the journal.

    Each of `tables` yields the original records of a table anew whenever it is called: twice, and
    more often where k has to hold; one part of one table is in memory at a time. `key` is the job's
    secret of 32 bytes; `challenge` lies in the bag, so that a receipt can show that it was opened.
    A package that is already there is replaced: until the event is journalled, doing it again is right. But
    the `earlier` one stays if the same records give the same bag and its file is still the same: copies
    of it and receipts for it are worth what they were. `detectors` are those of plugins.
    `readings` is one and the same for all parts of an archive: keyed sums, by which a later part sees
    that the records are still those of the first.

    Raises:
        Refused: a rule is missing or does not fit, nothing to archive, a leak, k that cannot be kept, or
            a recipient that cannot be used.
        Failed: the disk is full, what was read back differs, or the records changed meanwhile.
        Unsupported: pyarrow, numpy or pyrage is not installed.
    """
    custody = custody.of(part)
    recipients = _recipients(custody)
    package = package_of(planned.id, part)
    bag = f"{job}-{package}"
    file = f"{bag}.tar.age"
    wanted = _wanted(planned, tables, part)
    writing = Writing(bag, wanted, tables, key, detectors, part, readings)
    writing.learn()
    text = readme(title=f"{job} / {package}", file=file, bag=bag, custody=custody)
    tags = {"README.txt": text.encode(), CHALLENGE: challenge.hex().encode()}
    info = _info(job, package, plan_digest, custody)
    if earlier is not None and _unchanged(folder / file, earlier):
        if contents_of(writing.blocks(tags, info)) == earlier.contents:
            return earlier
        writing = Writing(bag, wanted, tables, key, detectors, part, readings)
        writing.learn()
    sealed = seal(writing.blocks(tags, info), folder / file, recipients)
    return Archived(
        target=planned.id,
        part=part,
        file=file,
        sha256=sealed.sha256,
        size=sealed.size,
        tables=tuple(writing.written),
        contents=sealed.contents,
        recipients=tuple(c.recipient for c in custody.custodian),
        compared="decrypted",
    )


def check_archive(path: Path, archived: Archived) -> None:
    """Check that the sealed file at `path` is still the one that was compared.

    Raises:
        Refused: it is missing or has changed.
    """
    try:
        found = digest_of(path)
    except FileNotFoundError:
        raise Refused(f"archive {archived.file} is missing; without it nothing may be erased") from None
    except OSError as error:
        raise Refused(
            f"archive {archived.file} cannot be read: {error.strerror}; repair and resume"
        ) from None
    if found != (archived.sha256, archived.size):
        raise Refused(
            f"archive {archived.file} has changed since it was compared; without it nothing may be erased"
        )


def open_archive(path: Path, identity: str) -> Opened:
    """Decrypt a package with the custodian's identity, check its manifests and read its tables.

    Raises:
        Refused: the identity is not the custodian's, or the file was changed or cut short.
        Failed, Malformed: the package inside does not follow the specification.
    """
    try:
        plain = pyrage().decrypt(path.read_bytes(), [identity_of(identity)])
    except pyrage().DecryptError:
        raise Refused(
            f"archive {path.name} does not open: another identity is needed, or it was changed"
        ) from None
    bag, members = read_bag(io.BytesIO(plain))
    tables = {t.table: _joined(members, t.parquet) for t in _described(members)}
    lines = (
        line.partition(": ")
        for line in members.get("bag-info.txt", b"").decode(errors="replace").splitlines()
    )
    return Opened(bag=bag, info={k: v for k, _, v in lines}, tables=tables, members=members)


def glance(path: Path, identity: str, count: int) -> list[Glance]:
    """Decrypt a package as a stream, check its manifests, and return the first rows of each table.

    One file of the package is in memory at a time, however large the whole is.

    Raises:
        Refused, Failed, Malformed: as `open_archive` does.
    """
    members: dict[str, Any] = {}

    def take(member: str, content: bytes) -> None:
        if member == "data/schema.json":
            members[member] = content
        elif member.endswith("/part-00001.parquet"):
            part = forms.from_parquet(content)
            members[member] = part.take(list(range(min(count, part.num_rows))))

    with unsealed(path, identity_of(identity)) as plain:
        check_bag(plain, take)
        drain(plain)
    return [
        Glance(table=t.table, rows=t.rows, first=_member(members, (*t.parquet, "")[0]))
        for t in _described(members)
    ]


def _recipients(custody: Custody) -> list[Any]:
    """Refuse before any record is read what would be refused when it is sealed."""
    try:
        datetime.date.fromisoformat(custody.retain_until)
    except ValueError:
        raise Refused(f"custody: the calendar has no {custody.retain_until}") from None
    if not custody.custodian:
        raise Refused("custody: this part of the archive has no custodian, so nobody could open it")
    return [recipient_of(custodian) for custodian in custody.custodian]


def _unchanged(path: Path, archived: Archived) -> bool:
    return path.is_file() and digest_of(path) == (archived.sha256, archived.size)


def _wanted(
    planned: PlannedTarget, tables: Mapping[str, object], part: ArchivePart
) -> dict[str, ArchivedTable]:
    wanted = {archived.table: archived for archived in planned.target.archive}
    if len(wanted) != len(planned.target.archive):
        raise Refused(f"target {planned.id}: a table is archived twice; write one [[target.archive]] each")
    if not wanted or wanted.keys() != tables.keys():
        raise Refused(f"target {planned.id}: the records given are not those of the tables that it archives")
    return {table.table: table for table in tables_of(planned.target, part)}


def _joined(members: Mapping[str, bytes], paths: tuple[str, ...]) -> "pa.Table":
    return arrow().concat_tables([forms.from_parquet(_member(members, path)) for path in paths])


def _described(members: Mapping[str, bytes]) -> tuple[DescribedTable, ...]:
    return decode_json(_member(members, "schema.json"), Description).tables


def _member(members: Mapping[str, Any], path: str) -> Any:
    try:
        return members[f"data/{path}"]
    except KeyError:
        raise Failed("archive: the package lacks a file that it must have (docs/spec/archive.md)") from None


def _info(job: str, package: str, plan_digest: str, custody: Custody) -> str:
    return (
        f"External-Identifier: {job}/{package}\n"
        f"Deleatur-Plan-SHA256: {plan_digest}\n"
        f"Retention-Until: {custody.retain_until}\n"
        f"Custodian: {', '.join(custodian.name for custodian in custody.custodian)}\n"
    )
