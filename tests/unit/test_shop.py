"""The closing web shop: the same for one seed, valid numbers, no shared values, consistent holds."""

import csv
import hashlib
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from email import message_from_bytes
from email.policy import default
from functools import partial
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest

from deleatur.archive import new_identity, open_archive, write_archive
from deleatur.documents.codec import decode_toml
from deleatur.documents.job import Job, parts_of
from deleatur.errors import Refused
from deleatur.testing.finished import planned_for
from deleatur.testing.keepers import SECOND
from deleatur.testing.shop import Canary, Shop, build_shop, numbers, shop_job

IDENTITY, RECIPIENT = new_identity()
APART, APART_RECIPIENT = new_identity()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return build_shop(tmp_path_factory.mktemp("shop"), customers=300)


def rows(shop: Shop, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{shop.database}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def of_kind(shop: Shop, kind: str) -> list[Canary]:
    return [canary for canary in shop.canaries if canary.kind == kind]


def test_the_same_seed_gives_the_same_shop(tmp_path: Path, shop: Shop) -> None:
    again = build_shop(tmp_path / "again", customers=300)
    other = build_shop(tmp_path / "other", customers=300, seed=1)
    assert again.canaries == shop.canaries != other.canaries

    def digests(one: Shop) -> dict[str, str]:
        found = {
            str(path.relative_to(one.files)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in one.files.rglob("*")
            if path.is_file()
        }
        with closing(sqlite3.connect(one.database)) as connection:
            found["crm"] = hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()
        return found

    assert digests(again) == digests(shop)
    assert digests(other)["crm"] != digests(shop)["crm"]


def test_numbers_pass_their_checksums_and_known_answers() -> None:
    assert numbers.luhn("7992739871") == "3"  # ISO/IEC 7812-1's usual example
    assert numbers.resident_check("11010519491231002") == "X"  # the example of GB 11643-1999
    assert numbers.tax_check("8609574271") == "9"  # the Federal Central Tax Office's example
    random = Random(7)
    for _ in range(300):
        card, tax = numbers.card(random), numbers.tax_id(random)
        resident = numbers.resident_id(random, date(1990, 2, 28))
        assert len(card) == 16
        assert numbers.luhn(card[:-1]) == card[-1]
        assert (len(tax), len(set(tax[:10]))) == (11, 9)
        assert tax[0] != "0"
        assert numbers.tax_check(tax[:-1]) == tax[-1]
        assert resident[6:14] == "19900228"
        assert numbers.resident_check(resident[:-1]) == resident[-1]
        assert numbers.social_security(random).startswith("666-")


def test_every_canary_names_one_person(shop: Shop) -> None:
    for kind in {canary.kind for canary in shop.canaries}:
        values = [canary.value for canary in of_kind(shop, kind)]
        joined = "\n".join(values)
        assert all(joined.count(value) == 1 for value in values), kind


def test_every_value_of_a_living_customer_stands_in_the_raw_database(shop: Shop) -> None:
    raw = shop.database.read_bytes()
    living = [canary for canary in shop.canaries if canary.customer not in shop.ghosts]
    missing = [canary for canary in living if canary.value.encode() not in raw]
    assert not missing


def test_customers_deleted_long_ago_have_no_row_but_still_have_bytes(shop: Shop) -> None:
    raw = shop.database.read_bytes()
    ghostly = [canary for canary in shop.canaries if canary.customer in shop.ghosts]
    assert rows(shop, f"SELECT count(*) FROM customers WHERE id IN {tuple(shop.ghosts)}") == [(0,)]
    assert sum(canary.value.encode() in raw for canary in ghostly) > len(ghostly) // 2


def test_database_is_sound_in_wal_mode_with_a_full_text_index(shop: Shop) -> None:
    assert rows(shop, "PRAGMA journal_mode") == [("wal",)]
    assert rows(shop, "PRAGMA foreign_key_check") == []
    assert rows(shop, "PRAGMA integrity_check") == [("ok",)]
    phone = of_kind(shop, "email")[0].value
    found = rows(shop, f"SELECT count(*) FROM messages_index WHERE messages_index MATCH '\"{phone}\"'")
    assert found == [(1,)]
    with closing(sqlite3.connect(shop.database)) as connection:
        connection.execute("INSERT INTO messages_index (messages_index) VALUES ('integrity-check')")
        connection.rollback()


def test_held_customers_are_those_with_an_open_complaint(shop: Shop) -> None:
    open_ = {number for (number,) in rows(shop, "SELECT customer_id FROM complaints WHERE status = 'open'")}
    assert open_ == shop.held
    assert {
        country for (country,) in rows(shop, f"SELECT country FROM customers WHERE id IN {tuple(open_)}")
    } == {
        "CN",
        "DE",
        "US",
    }
    assert len(shop.gone()) + len(shop.kept()) == len(shop.canaries)
    assert {canary.customer for canary in shop.kept()} == shop.held


def test_folder_holds_readable_files_with_names_of_three_languages(shop: Shop) -> None:
    files = {str(path.relative_to(shop.files)): path for path in shop.files.rglob("*") if path.is_file()}
    assert "客户/客户名单_2025年.csv" in files
    assert "Umsätze/Übersicht Q3.xlsx" in files
    with (files["Umsätze/alt/Sicherung/alle_kunden_backup.csv"]).open(encoding="utf-8", newline="") as file:
        copied = list(csv.DictReader(file, delimiter="\t"))
    assert len(copied) == 300 - len(shop.ghosts)
    assert {row["card"] for row in copied} <= {canary.value for canary in of_kind(shop, "card")}
    with zipfile.ZipFile(files["客户/重点客户.xlsx"]) as book:
        assert book.testzip() is None
        cells = [
            cell.text
            for cell in ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml")).iter()
            if cell.text
        ]
    assert of_kind(shop, "name")[1].value in cells
    mail = message_from_bytes(files["mail/00002.eml"].read_bytes(), policy=default)
    assert of_kind(shop, "address")[1].value in mail.get_content()


def test_a_shop_is_never_built_over_another_nor_too_small(tmp_path: Path, shop: Shop) -> None:
    with pytest.raises(Refused, match="already holds a shop"):
        build_shop(shop.database.parent)
    for customers in (39, 1_000_001):
        with pytest.raises(Refused, match="40 to 1000000 customers"):
            build_shop(tmp_path / "no", customers=customers)
    assert not (tmp_path / "no").exists()


def test_a_large_shop_has_three_orders_a_customer_and_is_sound(tmp_path: Path) -> None:
    large = build_shop(tmp_path, customers=3000)
    assert rows(large, "SELECT count(*) FROM customers") == [(3000 - len(large.ghosts),)]
    assert len(rows(large, "SELECT * FROM pragma_table_info('customers')")) == 12
    assert rows(large, "SELECT count(*) FROM orders") == [(3 * (3000 - len(large.ghosts)),)]
    # longer than a customer's number, which would else stand in some invoice's among a million
    assert rows(large, "SELECT DISTINCT length(number) FROM invoices") == [(len("INV-2024-0000017"),)]
    assert rows(large, "PRAGMA foreign_key_check") == []
    assert rows(large, "PRAGMA integrity_check") == [("ok",)]
    assert {canary.kind for canary in large.canaries} == {"email", "id_number", "phone", "card"}
    for column in ("email", "id_number", "phone"):
        assert rows(large, f"SELECT count(*) - count(DISTINCT {column}) FROM customers") == [(0,)]
    raw = large.database.read_bytes()
    assert all(canary.value.encode() in raw for canary in large.canaries)


def test_job_is_well_formed_and_names_every_table_with_persons(shop: Shop) -> None:
    job = decode_toml(shop_job(shop, RECIPIENT, SECOND, APART_RECIPIENT).encode(), Job)
    crm, folder = job.target
    assert job.policy.approvals == 2
    assert folder.url == f"{shop.files.as_uri()}"
    assert crm.url == shop.database.as_uri().replace("file:", "sqlite:")
    tables = {selection.table for selection in crm.select}
    assert tables == {hold.table for hold in crm.hold}
    referring = {
        name
        for (name,) in rows(
            shop, "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%REFERENCES%'"
        )
    }
    assert tables == referring | {"customers"}
    assert [archived.table for archived in crm.archive] == ["invoices", "orders", "order_lines", "complaints"]
    for archived in crm.archive:
        columns = {name for _, name, *_ in rows(shop, f"PRAGMA table_info({archived.table})")}
        assert archived.columns.keys() == columns


def test_records_of_the_job_pass_rules_and_leak_scan(tmp_path: Path, shop: Shop) -> None:
    job = decode_toml(shop_job(shop, RECIPIENT, SECOND, APART_RECIPIENT).encode(), Job)
    crm = job.target[0]
    assert job.custody is not None
    tables = {archived.table: partial(_records, shop, archived.table) for archived in crm.archive}
    keys = {"key": bytes(range(32)), "challenge": bytes(32)}
    archived, apart = (
        write_archive(
            tmp_path,
            planned_for(crm),
            tables,
            job.custody,
            job=job.name,
            plan_digest="0" * 64,
            part=p,
            **keys,
        )
        for p in parts_of(crm)
    )
    opened = open_archive(tmp_path / archived.file, IDENTITY)
    endings = open_archive(tmp_path / apart.file, APART)
    assert {n: t.num_rows for n, t in endings.tables.items()} == {
        n: opened.tables[n].num_rows for n in ("invoices", "orders")
    }
    assert "card" not in opened.tables["invoices"].column_names + opened.tables["orders"].column_names
    content = b"\n".join(
        member for path, member in opened.members.items() if path.endswith((".csv", ".json"))
    )
    assert not [canary for canary in shop.canaries if canary.value.encode() in content]
    invoices, complaints = opened.tables["invoices"], opened.tables["complaints"]
    assert (
        sum(invoices.column("net_cents").to_pylist())
        == rows(shop, f"SELECT sum(net_cents) FROM invoices {ERASED}")[0][0]
    )
    orders, lines = opened.tables["orders"], opened.tables["order_lines"]
    assert sorted(orders.column("id").to_pylist()) == sorted(invoices.column("order_id").to_pylist())
    assert set(lines.column("order_id").to_pylist()) <= set(orders.column("id").to_pylist())
    assert lines.num_rows == rows(shop, f"SELECT count(*) FROM order_lines {ERASED_LINES}")[0][0]
    tokens = set(invoices.column("customer_id").to_pylist())
    assert set(complaints.column("customer_id").to_pylist()) <= tokens
    assert len(tokens) == 300 - len(shop.held) - len(shop.ghosts)


ERASED_LINES = (
    "WHERE order_id NOT IN (SELECT id FROM orders WHERE customer_id IN "
    "(SELECT customer_id FROM complaints WHERE status = 'open'))"
)
ERASED = "WHERE customer_id NOT IN (SELECT customer_id FROM complaints WHERE status = 'open')"


def _records(shop: Shop, table: str) -> Iterator[dict[str, object]]:
    names = [str(name) for _, name, *_ in rows(shop, f"PRAGMA table_info({table})")]
    for row in rows(shop, f"SELECT * FROM {table} {ERASED_LINES if table == 'order_lines' else ERASED}"):
        yield dict(zip(names, row, strict=True))
