"""Archive packages: written, compared, leak-scanned, and opened again with distribution tools only."""

import datetime
import decimal
import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deleatur.archive import bag as bags
from deleatur.archive import check_archive, new_identity, open_archive, records, seal, write_archive
from deleatur.archive.age import recipient_of
from deleatur.archive.bag import Bag
from deleatur.archive.package import glance
from deleatur.documents.job import ArchivedTable, Custody, Rule, Target
from deleatur.documents.journal import Archived
from deleatur.documents.plan import PlannedTarget
from deleatur.errors import Failed, Malformed, Refused
from deleatur.testing.finished import planned_for
from deleatur.testing.keepers import keepers

KEY = b"k" * 32
IDENTITY, RECIPIENT = new_identity()
CUSTODY = keepers(RECIPIENT, name="records-office")
CHALLENGE = b"c" * 32

INVOICES = [
    {
        "id": 1,
        "customer_id": 17,
        "name": "王小明",
        "email": "wang@example.cn",
        "total": 12.5,
        "at": "2024-03-07",
    },
    {
        "id": 2,
        "customer_id": 17,
        "name": "王小明",
        "email": "wang@example.cn",
        "total": 7,
        "at": "2025-11-01",
    },
    {"id": 3, "customer_id": 18, "name": 'Jürgen "JJ" Müller', "email": None, "total": None, "at": ""},
]
RULES = {
    "id": Rule(rule="keep"),
    "customer_id": Rule(rule="keyed-hash"),
    "name": Rule(rule="mask"),
    "email": Rule(rule="drop"),
    "total": Rule(rule="keep"),
    "at": Rule(rule="generalise", to="month"),
}


def make_bag(name: str, payload: Mapping[str, bytes], tags: Mapping[str, bytes], info: str) -> bytes:
    bag = Bag(name)
    blocks = [block for path, content in payload.items() for block in bag.member(path, content)]
    return b"".join([*blocks, *bag.end(tags, info)])


def read_bag(tar: bytes) -> tuple[str, dict[str, bytes]]:
    bags.check_bag(io.BytesIO(tar))
    return bags.read_bag(io.BytesIO(tar))


def described(parquet: str) -> bytes:
    """Return a schema.json that names one table."""
    table = {"table": "t", "rows": 1, "parquet": [parquet], "csv": ["t.csv"], "columns": []}
    return json.dumps({"schema": "deleatur/archive/v1", "tables": [table]}).encode()


def planned(tables: Mapping[str, Mapping[str, Rule]]) -> PlannedTarget:
    archive = tuple(ArchivedTable(table=name, columns=dict(rules)) for name, rules in tables.items())
    return planned_for(Target(id="crm", url="sqlite:///crm.sqlite", archive=archive))


def write(
    folder: Path,
    tables: Mapping[str, list[dict[str, Any]]] | None = None,
    rules: Mapping[str, Mapping[str, Rule]] | None = None,
    custody: Custody = CUSTODY,
    earlier: Archived | None = None,
) -> Archived:
    tables = tables or {"invoices": INVOICES}
    return write_archive(
        folder,
        planned(rules or {"invoices": RULES}),
        {name: partial(iter, rows) for name, rows in tables.items()},
        custody,
        job="close-shop",
        plan_digest="ab" * 32,
        key=KEY,
        challenge=CHALLENGE,
        earlier=earlier,
    )


def test_rows_come_back_desensitized_and_in_order(tmp_path: Path) -> None:
    archived = write(tmp_path)
    opened = open_archive(tmp_path / archived.file, IDENTITY)
    rows = opened.tables["invoices"].to_pylist()
    token = rows[0].pop("customer_id")
    assert len(token) == 32
    assert rows[1].pop("customer_id") == token != rows[2].pop("customer_id")
    assert rows == [
        {"id": 1, "name": "xxx", "total": 12.5, "at": "2024-03"},
        {"id": 2, "name": "xxx", "total": 7.0, "at": "2025-11"},
        {"id": 3, "name": "xxxxxx *xx* xxxxxx", "total": None, "at": None},
    ]
    assert archived.compared == "decrypted"
    assert archived.tables[0].rows == 3
    parquet = opened.members["data/tables/invoices/part-00001.parquet"]
    assert hashlib.sha256(parquet).hexdigest() == archived.tables[0].sha256
    assert opened.info["Retention-Until"] == "2036-12-31"
    assert opened.info["Deleatur-Plan-SHA256"] == "ab" * 32
    assert json.loads(opened.members["data/rules.json"])["tables"][0]["rules"]["at"] == "generalise to month"


def test_distribution_tools_alone_open_the_package(tmp_path: Path) -> None:
    archived = write(tmp_path)
    key_file = tmp_path / "key.txt"
    key_file.write_text(f"# custodian\n{IDENTITY}\n")
    script = (
        f"age -d -i {key_file} {tmp_path / archived.file} | tar x && cd close-shop-crm && "
        "sha256sum -c --strict manifest-sha256.txt tagmanifest-sha256.txt"
    )
    done = subprocess.run(["bash", "-ceo", "pipefail", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK\n") == 10
    bag = tmp_path / "close-shop-crm"
    csv = (bag / "data/tables/invoices/part-00001.csv").read_text(encoding="utf-8")
    assert csv.splitlines()[0] == '"id","customer_id","name","total","at"'
    commands = (bag / "README.txt").read_text(encoding="utf-8")
    assert commands.count(f"{archived.file} | tar x") == 3


def test_folder_holds_the_sealed_file_alone_and_nothing_in_clear(tmp_path: Path) -> None:
    archived = write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [archived.file] == ["close-shop-crm.tar.age"]
    content = (tmp_path / archived.file).read_bytes()
    assert content.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert len(content) == archived.size
    assert (tmp_path / archived.file).stat().st_mode & 0o777 == 0o600


def test_writing_again_replaces_the_package(tmp_path: Path) -> None:
    first = write(tmp_path)
    (tmp_path / f".{first.file}.partial").write_bytes(b"left by a killed process")
    second = write(tmp_path)
    assert first.sha256 != second.sha256
    assert first.tables == second.tables
    check_archive(tmp_path / second.file, second)
    with pytest.raises(Refused, match="has changed"):
        check_archive(tmp_path / first.file, first)
    assert len(list(tmp_path.iterdir())) == 1


def test_changed_and_missing_packages_are_refused(tmp_path: Path) -> None:
    archived = write(tmp_path)
    path = tmp_path / archived.file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Refused, match="has changed"):
        check_archive(path, archived)
    with pytest.raises(Refused, match="does not open"):
        open_archive(path, IDENTITY)
    path.unlink()
    with pytest.raises(Refused, match="is missing"):
        check_archive(path, archived)


def test_only_the_custodian_opens_it(tmp_path: Path) -> None:
    archived = write(tmp_path)
    stranger, _ = new_identity()
    with pytest.raises(Refused, match="another identity"):
        open_archive(tmp_path / archived.file, stranger)
    with pytest.raises(Refused, match="no age X25519 identity"):
        open_archive(tmp_path / archived.file, "not a key")


def test_mistyped_recipient_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    wrong = RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p")
    custody = keepers(wrong)
    with pytest.raises(Refused, match="mistyped"):
        write(tmp_path, custody=custody)
    assert list(tmp_path.iterdir()) == []


def test_a_retention_date_that_the_calendar_does_not_have_is_refused(tmp_path: Path) -> None:
    custody = keepers(RECIPIENT, until="2036-02-31")
    with pytest.raises(Refused, match="the calendar has no 2036-02-31"):
        write(tmp_path, custody=custody)


@pytest.mark.parametrize("text", ["call {} today", "电话{}。", "{}"])
def test_value_inside_a_kept_text_is_a_leak_by_column_never_by_value(tmp_path: Path, text: str) -> None:
    phone = "13912345678"
    rows = [{"phone": phone, "note": text.format(f"+86{phone}")}]
    with pytest.raises(Refused) as refusal:
        write(tmp_path, {"t": rows}, {"t": {"phone": Rule(rule="mask"), "note": Rule(rule="keep")}})
    assert "t.note" in str(refusal.value)
    assert "t.phone" in str(refusal.value)
    assert phone not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Müller-Lüdenscheid", "欧阳王小明"])
def test_leak_is_found_in_bytes_as_utf_16_and_across_tables(tmp_path: Path, name: str) -> None:
    tables = {
        "people": [{"name": name}],
        "files": [{"blob": b"\xd0\xcf" + name.encode("utf-16-le")}],
    }
    rules = {
        "people": {"name": Rule(rule="generalise", to="first-letter")},
        "files": {"blob": Rule(rule="keep")},
    }
    with pytest.raises(Refused, match=r"files\.blob would carry original values of people\.name"):
        write(tmp_path, tables, rules)


def test_values_kept_by_right_dates_and_lone_digits_are_no_leak(tmp_path: Path) -> None:
    tables = {
        "a": [{"city": "Göttingen", "born": "1990-05-17", "code": "202511"}],
        "b": [{"city": "Göttingen", "at": "1990-05-17 10:00:00", "number": "INV-2025110001"}],
    }
    dropped = {"city": Rule(rule="mask"), "born": Rule(rule="null"), "code": Rule(rule="drop")}
    kept = {column: Rule(rule="keep") for column in ("city", "at", "number")}
    archived = write(tmp_path, tables, {"a": dropped, "b": kept})
    scan = json.loads(open_archive(tmp_path / archived.file, IDENTITY).members["data/leak-scan.json"])
    assert (scan["needles"], scan["kept"], scan["dates"], scan["found"]) == (
        5,
        2,
        1,
        0,
    )  # with the key in four forms, and the kept city in small letters


def test_empty_table_is_refused_because_no_archive_means_no_erase(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no record to archive"):
        write(tmp_path, {"invoices": []})


def test_records_of_another_shape_or_other_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="record 2"):
        write(tmp_path, {"invoices": [INVOICES[0], {"id": 2}]})
    with pytest.raises(Refused, match="not those of the tables"):
        write(tmp_path, {"orders": INVOICES})


def test_records_pass_in_parts_and_come_back_as_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PART_ROWS", 4)
    rows = [{"id": n, "name": f"person {n:06d}", "amount": n if n < 9 else n / 2} for n in range(11)]
    rules = {"id": Rule(rule="keep"), "name": Rule(rule="keyed-hash"), "amount": Rule(rule="keep")}
    archived = write(tmp_path, {"t": rows}, {"t": rules})
    opened = open_archive(tmp_path / archived.file, IDENTITY)
    assert opened.tables["t"].column("id").to_pylist() == list(range(11))
    assert opened.tables["t"].column("amount").to_pylist() == [float(row["amount"]) for row in rows]
    parts = [opened.members[f"data/tables/t/part-{n:05d}.parquet"] for n in (1, 2, 3)]
    assert hashlib.sha256(b"".join(parts)).hexdigest() == archived.tables[0].sha256
    assert archived.tables[0].rows == 11


def test_a_glance_shows_the_first_rows_of_each_table_without_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PART_ROWS", 4)
    tables: dict[str, list[dict[str, Any]]] = {"t": [{"id": n} for n in range(11)], "王": [{"id": 7}]}
    archived = write(tmp_path, tables, {name: {"id": Rule(rule="keep")} for name in tables})
    seen = glance(tmp_path / archived.file, IDENTITY, 3)
    assert [(g.table, g.rows, g.first["id"].to_pylist()) for g in seen] == [
        ("t", 11, [0, 1, 2]),
        ("王", 1, [7]),
    ]
    with pytest.raises(Refused, match="another identity"):
        glance(tmp_path / archived.file, new_identity()[0], 3)
    whole = (tmp_path / archived.file).read_bytes()
    (tmp_path / archived.file).write_bytes(whole[:-1])
    with pytest.raises((Refused, Failed)):
        glance(tmp_path / archived.file, IDENTITY, 3)


def test_a_count_of_the_package_is_no_customer_of_that_number(tmp_path: Path) -> None:
    rows = [{"id": 100_000 + n, "paid": "yes"} for n in range(3)]
    rules = {"id": Rule(rule="keyed-hash"), "paid": Rule(rule="keep")}
    size = sum(len(row["paid"]) for row in rows if isinstance(row["paid"], str))
    many = [{"id": size * 40_000, "paid": "yes"}] * 120_000  # 360,000 bytes are searched, and so many is one
    archived = write(tmp_path, {"t": [*rows, *many[:-3]]}, {"t": rules})
    members = open_archive(tmp_path / archived.file, IDENTITY).members
    assert f'"searched": {size * 40_000},' in members["data/leak-scan.json"].decode()
    assert '"rows": 120000,' in members["data/schema.json"].decode()
    with pytest.raises(Refused, match=r"rules\.json would carry"):
        write(tmp_path, {"t 100000": rows}, {"t 100000": rules})


def test_a_leak_in_the_last_part_of_the_last_table_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PART_ROWS", 2)
    notes = [*[{"note": "nothing"}] * 6, {"note": "ask Jürgen Müller!"}]
    rules = {
        "people": {"name": Rule(rule="drop"), "id": Rule(rule="keep")},
        "notes": {"note": Rule(rule="keep")},
    }
    tables: dict[str, list[dict[str, Any]]] = {"people": [{"name": "Jürgen Müller", "id": 1}], "notes": notes}
    with pytest.raises(Refused, match=r"notes\.note would carry original values of people\.name"):
        write(tmp_path, tables, rules)
    assert list(tmp_path.iterdir()) == []


def write_read(folder: Path, readings: list[Any]) -> None:
    """Archive a table that reads differently each time."""
    later = iter(readings)
    write_archive(
        folder,
        planned({"t": {"a": Rule(rule="keep")}}),
        {"t": lambda: iter(next(later))},
        CUSTODY,
        job="close-shop",
        plan_digest="ab" * 32,
        key=KEY,
        challenge=CHALLENGE,
    )


@pytest.mark.parametrize("change", ["value", "row", "fewer", "none"])
def test_records_that_change_between_the_two_readings_are_refused(tmp_path: Path, change: str) -> None:
    first = [{"a": "first value"}, {"a": "second value"}]
    second = {
        "value": [{"a": "first value"}, {"a": "third value"}],
        "row": [*first, {"a": "second value"}],
        "fewer": first[:1],
        "none": [],
    }[change]
    with pytest.raises(Failed, match=r"changed while they were read|are gone since they were first read"):
        write_read(tmp_path, [first, second])
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_source_is_that_error_and_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Any:
        yield {"a": "one"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_read(tmp_path, [[{"a": "one"}], broken()])
    assert list(tmp_path.iterdir()) == []


def test_redacted_text_loses_the_values_of_other_rows_too(tmp_path: Path) -> None:
    rows = [
        {"name": "Zebulon Quarz", "note": "fine"},
        {"name": "Ottilie Berg", "note": "zxqv ref-kurz.ab12cd zxqv, ref-kurz.ab12cd"},
        {"name": "ref-kurz.ab12cd", "note": None},
    ]
    rules = {"name": Rule(rule="drop"), "note": Rule(rule="redact", known=("name",))}
    opened = open_archive(tmp_path / write(tmp_path, {"t": rows}, {"t": rules}).file, IDENTITY)
    assert b"ref-kurz" not in b"".join(opened.members.values())
    assert opened.tables["t"].column("note").to_pylist()[::2] == ["fine", None]


def test_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def full(descriptor: int, block: Any) -> int:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(tmp_path)):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, block)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Failed, match=r"no space in .* after \d+ bytes; make room and resume"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_the_partial_file_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"stays")
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/.close-shop-crm.tar.age.partial").symlink_to(elsewhere)
    with pytest.raises(Failed, match=r"archive close-shop-crm\.tar\.age: .*; repair and resume"):
        write(tmp_path / "archive")
    assert elsewhere.read_bytes() == b"stays"
    assert write(tmp_path / "archive").compared == "decrypted"


def test_disk_that_changes_a_byte_is_caught_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def decay(descriptor: int) -> None:
        real(descriptor)
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path.endswith(".partial"):
            with open(path, "r+b") as file:
                file.seek(-1, os.SEEK_END)
                last = file.read(1)
                file.seek(-1, os.SEEK_END)
                file.write(bytes([last[0] ^ 1]))

    monkeypatch.setattr(os, "fsync", decay)
    with pytest.raises(Failed, match="read back from the disk, it differs"):
        write(tmp_path)
    assert not (tmp_path / "close-shop-crm.tar.age").exists()


def test_cipher_that_loses_bytes_is_caught_by_decrypting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = seal._opens_to
    monkeypatch.setattr(seal, "_opens_to", lambda path, identity, digest: real(path, identity, digest[::-1]))
    with pytest.raises(Failed, match="read back and decrypted, it differs"):
        write(tmp_path)
    assert not (tmp_path / "close-shop-crm.tar.age").exists()


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, None, -(2**63)], "int64"),
        ([1, 2.5], "double"),
        ([2**53, 2.5], "string"),
        ([2**63, 1], "string"),
        ([1, "one", None], "string"),
        ([None, None], "null"),
        ([b"\x00\xff", None], "binary"),
        ([b"\x00\xff", "Größe", 7], "binary"),
        ([datetime.date(2026, 3, 7)], "date32[day]"),
        ([decimal.Decimal("1.50"), decimal.Decimal("10")], "decimal128(4, 2)"),
        ([True, None], "bool"),
    ],
)
def test_columns_take_the_narrowest_type_that_changes_no_value(
    tmp_path: Path, values: list[Any], type_: str
) -> None:
    rows = [{"v": value} for value in values]
    archived = write(tmp_path, {"t": rows}, {"t": {"v": Rule(rule="keep")}})
    column = open_archive(tmp_path / archived.file, IDENTITY).tables["t"].column("v")
    assert str(column.type) == type_
    expected = values
    if type_ == "string":
        expected = [None if v is None else str(v) for v in values]
    if type_ == "binary":
        expected = [v if v is None or isinstance(v, bytes) else str(v).encode() for v in values]
    assert column.to_pylist() == expected


@pytest.mark.parametrize("values", [[["list"]], ["\ud800"], [{1}, 2]])
def test_values_without_a_common_form_are_refused_by_column(tmp_path: Path, values: list[Any]) -> None:
    with pytest.raises(Refused, match="table t, column v: "):
        write(tmp_path, {"t": [{"v": v} for v in values]}, {"t": {"v": Rule(rule="keep")}})


def test_columns_that_change_their_type_midway_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PART_ROWS", 500)
    rows: list[dict[str, Any]] = [{"a": f"value {n}", "b": n / 2} for n in range(2000)]
    rows += [{"a": 7, "b": None}, {"a": None, "b": 3}]
    archived = write(tmp_path, {"t": rows}, {"t": {"a": Rule(rule="keep"), "b": Rule(rule="keep")}})
    table = open_archive(tmp_path / archived.file, IDENTITY).tables["t"]
    assert table.column("a").to_pylist() == [*(row["a"] for row in rows[:-2]), "7", None]
    assert table.column("b").to_pylist() == [row["b"] for row in rows]
    assert table.schema.types == [pa.string(), pa.float64()]


CELLS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, st.one_of(st.none(), st.binary(max_size=9))), min_size=1, max_size=8))
def test_any_kept_rows_read_back_from_both_forms(tmp_path: Path, rows: list[tuple[Any, Any]]) -> None:
    # write_archive itself compares Parquet and CSV with its input and refuses a difference
    named = [{'odd "name",\n': a, "b": b} for a, b in rows]
    keep = {'odd "name",\n': Rule(rule="keep"), "b": Rule(rule="keep")}
    archived = write(tmp_path, {"../t/客户": named}, {"../t/客户": keep})
    opened = open_archive(tmp_path / archived.file, IDENTITY)
    assert opened.tables["../t/客户"].num_rows == len(rows)
    assert "data/tables/table-1/part-00001.csv" in opened.members


def test_numbers_that_grow_side_by_side_are_no_leak(tmp_path: Path) -> None:
    # read backwards, INV-2023-100010 holds 100013202, which is the key of another row
    rows = [{"id": 100_000_000 + n, "number": f"INV-2023-{100_000 + n}"} for n in range(14_000)]
    rules = {"id": Rule(rule="drop"), "number": Rule(rule="keep")}
    archived = write(tmp_path, {"invoices": rows}, {"invoices": rules})
    assert archived.tables[0].rows == len(rows)
    leaking = [{"id": 100_000_000 + n, "number": f"INV-{100_000_000 + n}"} for n in range(100)]
    with pytest.raises(Refused, match=r"invoices\.number would carry original values of invoices\.id"):
        write(tmp_path / "second", {"invoices": leaking}, {"invoices": rules})


def test_bag_with_a_changed_extra_or_missing_member_is_refused() -> None:
    tar = make_bag("bag", {"data/a.txt": b"one"}, {"README.txt": b"two"}, "Custodian: x\n")
    name, members = read_bag(tar)
    assert (name, members["data/a.txt"]) == ("bag", b"one")
    with pytest.raises(Failed, match="does not have the digest"):
        read_bag(tar.replace(b"one", b"0ne"))
    with pytest.raises(Failed, match="bad checksum"):
        read_bag(tar.replace(b"bag/data/a.txt", b"bag/data/b.txt"))
    left_out = Bag("bag")
    assert list(left_out.member("data/a.txt", b"one"))
    with pytest.raises(Failed, match="missing"):
        read_bag(b"".join(left_out.end({}, "")))
    slipped_in = b"".join(Bag("bag").member("data/b.txt", b"two")) + b"".join(Bag("bag").end({}, ""))
    with pytest.raises(Failed, match="leaves a member out"):
        read_bag(slipped_in)
    with pytest.raises(Failed, match="not a tar"):
        read_bag(b"something")


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"data/a.txt": b"one"}, Failed),
        ({"data/schema.json": b"[]"}, Malformed),
        ({"data/schema.json": b'{"schema": "deleatur/archive/v2", "tables": []}'}, Malformed),
        ({"data/schema.json": described("t.parquet")}, Failed),
        ({"data/schema.json": described("t.parquet"), "data/t.parquet": b"no"}, Failed),
    ],
)
def test_a_package_that_a_stranger_sealed_is_judged_by_the_specification(
    tmp_path: Path, payload: dict[str, bytes], error: type[Exception]
) -> None:
    path = tmp_path / "stranger.tar.age"
    seal.seal(iter([make_bag("bag", payload, {}, "")]), path, [recipient_of(CUSTODY.custodian[0])])
    with pytest.raises(error):
        open_archive(path, IDENTITY)


def test_a_tar_with_a_link_or_a_way_out_is_refused() -> None:
    for name, kind in (
        ("bag/data/x", tarfile.SYMTYPE),
        ("bag/../x", tarfile.REGTYPE),
        ("x", tarfile.REGTYPE),
    ):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as file:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            file.addfile(member, io.BytesIO(b""))
        with pytest.raises(Failed, match="something other than the plain files of one bag"):
            read_bag(out.getvalue())


WHOLE = make_bag("bag", {"data/a.txt": b"one" * 200}, {"README.txt": b"two"}, "Custodian: x\n")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=40))
def test_a_mutated_bag_is_the_same_bag_or_refused(at: int, patch: bytes) -> None:
    mutated = (WHOLE[:at] + patch + WHOLE[at + len(patch) :])[: len(WHOLE)]
    try:
        name, members = read_bag(mutated)
    except Failed:
        return
    assert members == read_bag(WHOLE)[1]
    assert name


def test_missing_extras_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['pyarrow'] = sys.modules['pyrage'] = None\n"
        "from deleatur.archive import new_identity\n"
        "from deleatur.desensitize.arrow import arrow\n"
        "from deleatur.errors import Unsupported\n"
        "for get in (arrow, new_identity):\n"
        "    try: get()\n"
        "    except Unsupported as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.count("install deleatur[archive]") == 2


def test_an_earlier_archive_stays_while_its_records_give_the_same_bag(tmp_path: Path) -> None:
    first = write(tmp_path)
    sealed = (tmp_path / first.file).read_bytes()
    again = partial(write, tmp_path, earlier=first)
    assert again() == first
    assert (tmp_path / first.file).read_bytes() == sealed
    changed = again({"invoices": [{**row, "total": 1} for row in INVOICES]})
    assert changed.contents != first.contents
    assert changed.sha256 != first.sha256
    assert [t.rows for t in changed.tables] == [3]
    (tmp_path / first.file).write_bytes(sealed[:-1])
    assert again().sha256 != first.sha256


def test_redacted_text_without_a_find_stays(tmp_path: Path) -> None:
    notes = ["paid in full", "this was paid in full at once", "call 13912345678 today"]
    rules = {"note": Rule(rule="redact")}
    archived = write(tmp_path, {"t": [{"note": note} for note in notes]}, {"t": rules})
    kept = open_archive(tmp_path / archived.file, IDENTITY).tables["t"].column("note").to_pylist()
    assert kept == [*notes[:2], "call [mobile-number] today"]
