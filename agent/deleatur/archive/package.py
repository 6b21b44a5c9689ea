"""Write, check and open archive packages, version 1 (docs/spec/archive.md).

Records, rules, leak scan, bag, read back, encryption, read back again: all before anything is erased.
Plain records stay in memory, within stated limits; only the sealed file touches the disk.
"""

import datetime
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from deleatur.archive import tables as forms
from deleatur.archive.age import identity_of, pyrage, recipient_of
from deleatur.archive.bag import make_bag, read_bag
from deleatur.archive.leaks import LeakScan, scan_for_leaks
from deleatur.archive.readme import readme
from deleatur.archive.records import MAX_RECORDS, Budget, read_table
from deleatur.archive.seal import digest_of, seal
from deleatur.desensitize.arrow import kind_of
from deleatur.desensitize.rules import apply_rules, rule_in_words
from deleatur.documents.codec import decode_json
from deleatur.documents.job import ArchivedTable, Custodian
from deleatur.documents.journal import Archived, ArchivedRows
from deleatur.documents.place import Frozen
from deleatur.documents.plan import PlannedTarget
from deleatur.errors import Failed, Refused

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA: Final = "deleatur/archive/v1"


class DescribedTable(Frozen, frozen=True):
    """One table in data/schema.json."""

    table: str
    rows: int
    parquet: str  # path below data/
    csv: str
    columns: tuple[dict[str, str], ...]  # name, Arrow type, kind


class Description(Frozen, frozen=True):
    """data/schema.json: what tables the package has and where."""

    schema: Literal["deleatur/archive/v1"]
    tables: tuple[DescribedTable, ...]


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An archive package after decryption and the check of its manifests."""

    bag: str
    info: dict[str, str]  # bag-info.txt
    tables: dict[str, Any]  # pyarrow tables by name
    members: dict[str, bytes]  # every file of the bag by path


def write_archive(
    folder: Path,
    planned: PlannedTarget,
    tables: Mapping[str, Iterator[dict[str, Any]]],
    custodian: Custodian,
    *,
    job: str,
    plan_digest: str,
    key: bytes,
) -> Archived:
    """Archive what `planned` keeps into `folder` and return the event for the journal.

    `tables` yields the original records of each archived table; `key` is the job's secret of 32
    bytes. A package that is already there is replaced: until the event is journalled, doing it
    again is right.

    Raises:
        Refused: a rule is missing or does not fit, nothing to archive, a leak, over the limit,
            or a recipient that cannot be used.
        Failed: the disk is full, or what was read back differs.
        Unsupported: pyarrow or pyrage is not installed.
    """
    _check_custodian(custodian)
    wanted = _wanted(planned, tables)
    budget = Budget(planned.id, MAX_RECORDS)
    originals = {name: read_table(name, tables[name], budget) for name in wanted}
    results = {name: _ruled(name, table, wanted[name], key) for name, table in originals.items()}
    scan = scan_for_leaks(originals, results, {name: wanted[name].columns for name in wanted})
    del originals
    bag = f"{job}-{planned.id}"
    file = f"{bag}.tar.age"
    parquet = {name: forms.to_parquet(table) for name, table in results.items()}
    payload = _payload(results, parquet, wanted, scan)
    text = readme(title=f"{job} / {planned.id}", file=file, bag=bag, custodian=custodian)
    info = _info(job, planned, plan_digest, custodian)
    plain = make_bag(bag, payload, {"README.txt": text.encode()}, info)
    _check_bag(plain, results)
    digest, size = seal(plain, folder / file, custodian)
    return Archived(
        target=planned.id,
        file=file,
        sha256=digest,
        size=size,
        tables=tuple(
            ArchivedRows(table=name, rows=table.num_rows, sha256=_sha256(parquet[name]))
            for name, table in results.items()
        ),
        custodian=custodian.name,
        recipient=custodian.recipient,
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
    bag, members = read_bag(plain)
    tables = {t.table: forms.from_parquet(_member(members, t.parquet)) for t in _described(members)}
    lines = (
        line.partition(": ")
        for line in members.get("bag-info.txt", b"").decode(errors="replace").splitlines()
    )
    return Opened(bag=bag, info={k: v for k, _, v in lines}, tables=tables, members=members)


def _check_custodian(custodian: Custodian) -> None:
    """Refuse before any record is read what would be refused when it is sealed."""
    recipient_of(custodian)
    try:
        datetime.date.fromisoformat(custodian.retain_until)
    except ValueError:
        raise Refused(f"custodian {custodian.name}: the calendar has no {custodian.retain_until}") from None


def _wanted(planned: PlannedTarget, tables: Mapping[str, object]) -> dict[str, ArchivedTable]:
    wanted = {archived.table: archived for archived in planned.target.archive}
    if len(wanted) != len(planned.target.archive):
        raise Refused(f"target {planned.id}: a table is archived twice; write one [[target.archive]] each")
    if not wanted or wanted.keys() != tables.keys():
        raise Refused(f"target {planned.id}: the records given are not those of the tables that it archives")
    return wanted


def _ruled(name: str, table: "pa.Table", archived: ArchivedTable, key: bytes) -> "pa.Table":
    try:
        return apply_rules(table, archived.columns, key)
    except Refused as refusal:
        raise Refused(f"table {name}, {refusal}") from None


def _payload(
    results: Mapping[str, "pa.Table"],
    parquet: Mapping[str, bytes],
    wanted: Mapping[str, ArchivedTable],
    scan: LeakScan,
) -> dict[str, bytes]:
    payload = {}
    described, lineage = [], []
    for number, (name, table) in enumerate(results.items(), start=1):
        stem = f"tables/{_file_name(name, number)}"
        payload[f"data/{stem}.parquet"] = parquet[name]
        payload[f"data/{stem}.csv"] = forms.to_csv(table)
        columns = tuple({"name": f.name, "type": str(f.type), "kind": kind_of(f.type)} for f in table.schema)
        described.append(
            DescribedTable(
                table=name,
                rows=table.num_rows,
                parquet=f"{stem}.parquet",
                csv=f"{stem}.csv",
                columns=columns,
            )
        )
        rules = {column: rule_in_words(rule) for column, rule in wanted[name].columns.items()}
        lineage.append({"table": name, "rules": rules})
    description = Description(schema=SCHEMA, tables=tuple(described))
    payload["data/schema.json"] = _json(msgspec.to_builtins(description))
    payload["data/rules.json"] = _json({"schema": SCHEMA, "tables": lineage})
    payload["data/leak-scan.json"] = _json({"schema": SCHEMA, **msgspec.to_builtins(scan)})
    return payload


def _file_name(table: str, number: int) -> str:
    """Return a name for the files of a table; its real name always stands in schema.json."""
    return table if re.fullmatch(r"\w[\w-]{0,99}", table) else f"table-{number}"


def _check_bag(plain: bytes, results: Mapping[str, "pa.Table"]) -> None:
    """Parse the plain bag again and compare every table with what the rules made."""
    _, members = read_bag(plain)
    described = _described(members)
    if [t.table for t in described] != list(results):
        raise Failed("archive: data/schema.json does not name the tables that were archived")
    for table in described:
        forms.check_parquet(table.table, _member(members, table.parquet), results[table.table])
        forms.check_csv(table.table, _member(members, table.csv), results[table.table])


def _described(members: Mapping[str, bytes]) -> tuple[DescribedTable, ...]:
    return decode_json(_member(members, "schema.json"), Description).tables


def _member(members: Mapping[str, bytes], path: str) -> bytes:
    try:
        return members[f"data/{path}"]
    except KeyError:
        raise Failed("archive: the package lacks a file that it must have (docs/spec/archive.md)") from None


def _info(job: str, planned: PlannedTarget, plan_digest: str, custodian: Custodian) -> str:
    return (
        f"External-Identifier: {job}/{planned.id}\n"
        f"Deleatur-Plan-SHA256: {plan_digest}\n"
        f"Retention-Until: {custodian.retain_until}\n"
        f"Custodian: {custodian.name}\n"
    )


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
