"""Whose records are one person's, in stores: random companies, links over stores, Chinook's join."""

import csv
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.documents.datamap import DataMap
from deleatur.errors import Refused
from deleatur.testing.workbench import Workbench

from .subject_office import mapped, search, two_systems

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, phone TEXT, born TEXT);
CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT, email TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), cents INTEGER);
CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders (id), what TEXT);
CREATE TABLE tickets (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id),
  clerk_id INTEGER REFERENCES staff (id), body TEXT);
"""
WORDS = "the parcel came late; please write to "
NAMES = (
    "Anna Müller",
    "Bert Müller",
    "Carla Schmidt",
    "Dirk Schmidt",
    "Eva Groß",
    "Franz Groß",
    "王小明",
    "李丽",
)


def address(n: int) -> str:
    return f"person{n}@example.org"


def telephone(n: int) -> str:
    return f"+49 170 12345{n // 2:02}"  # two live in one house and share it


@dataclass
class Stores:
    """A database and a folder that are filled anew for each company, and their map."""

    database: Path
    folder: Path
    bench: Workbench
    datamap: DataMap

    def fill(self, rows: dict[str, list[tuple[object, ...]]]) -> None:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            for table in ("customers", "staff", "orders", "lines", "tickets"):
                connection.execute(f"DELETE FROM {table}")
                for row in rows.get(table, ()):
                    connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        for name, heads in (("letters", ("email", "since")), ("leads", ("full name", "phone", "city"))):
            with (self.folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([heads, *rows.get(name, ())])


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    folder = tmp_path_factory.mktemp("stores")
    (folder / "files").mkdir()
    with closing(sqlite3.connect(folder / "crm.db")) as connection:
        connection.executescript(SCHEMA)
    bench = Workbench(folder / "bench")
    made = Stores(folder / "crm.db", folder / "files", bench, datamap=None)  # type: ignore[arg-type]
    made.fill(company([1, 2] * 4, [1] * 8, list(range(8))))
    made.datamap = mapped(bench, crm=made.database, files=made.folder)
    return made


def company(orders: list[int], records: list[int], named: list[int]) -> dict[str, list[tuple[object, ...]]]:
    """Eight people: how many orders and loose records each has, and who is named in whose ticket."""
    rows: dict[str, list[tuple[object, ...]]] = {"staff": [(1, "Tom Clerk", "tom@shop.example")]}
    for n, name in enumerate(NAMES):
        rows.setdefault("customers", []).append(
            (n, name, address(n), telephone(n), f"19{60 + n}-03-0{n + 1}")
        )
        for m in range(orders[n]):
            rows.setdefault("orders", []).append((100 * n + m, n, 500))
            rows.setdefault("lines", []).append((1000 * n + m, 100 * n + m, "tea"))
        rows.setdefault("tickets", []).append((n, n, 1, WORDS + address(named[n])))
        for m in range(records[n]):
            rows.setdefault("letters", []).append((address(n), f"2020-01-0{m + 1}"))
            rows.setdefault("leads", []).append((name, telephone(n), f"city {n}{m}"))
    return rows


@given(
    st.lists(st.integers(0, 3), min_size=8, max_size=8),
    st.lists(st.integers(0, 2), min_size=8, max_size=8),
    st.lists(st.integers(0, 7), min_size=8, max_size=8),
    st.integers(0, 7),
)
@settings(max_examples=25, deadline=None)
def test_in_any_company_the_export_has_every_row_of_the_person_and_of_nobody_else(
    stores: Stores, orders: list[int], records: list[int], named: list[int], who: int
) -> None:
    rows = company(orders, records, named)
    stores.fill(rows)
    found = search(stores.datamap, stores.bench, f"e-mail: {address(who)}\n", apart=("crm/tickets.clerk_id",))
    assert not found.undecided
    got = Counter((p.table.name, row) for p in found.parts for row in p.rows)
    csv_of = {
        "letters": next(t.name for t in stores.datamap.place[1].table if len(t.field) == 2),
        "leads": next(t.name for t in stores.datamap.place[1].table if len(t.field) == 3),
    }
    owned = {
        "customers": lambda r: r[0] == who,
        "orders": lambda r: r[1] == who,
        "lines": lambda r: r[1] // 100 == who,
        "tickets": lambda r: r[1] == who,
        "letters": lambda r: r[0] == address(who),
        "leads": lambda r: r[0] == NAMES[who],
    }
    wanted = Counter(
        (csv_of.get(table, table), row)
        for table, mine in owned.items()
        for row in rows.get(table, ())
        if mine(row)
    )
    assert got == wanted
    in_others = sum(named[n] == who for n in range(8) if n != who)
    assert found.mentions.get(("crm", "tickets"), 0) == in_others
    assert {a.table.name for a in found.others} <= {"customers", csv_of["leads"]}


def test_a_clerks_column_is_asked_about_and_not_guessed(stores: Stores) -> None:
    stores.fill(company([1] * 8, [0] * 8, list(range(8))))
    found = search(stores.datamap, stores.bench, f"e-mail: {address(3)}\n")
    assert [(a.table.name, a.reason) for a in found.undecided] == [
        ("tickets", "points to somebody else too, by crm/tickets.clerk_id")
    ]


def test_a_record_linked_only_by_an_order_number_is_reached_from_a_telephone(tmp_path: Path) -> None:
    """The telephone leads to the CRM, its order to the ERP, whose bookings name nobody."""
    databases = two_systems(tmp_path)
    bench = Workbench(tmp_path / "bench")
    datamap = mapped(bench, **databases)
    about = "mobile-number: 0170 1234517\n"
    link = {"erp/bookings.order_no": "crm/orders.no"}
    found = search(datamap, bench, about, links=link)
    rows = {p.table.name: [r[:2] for r in p.rows] for p in found.parts}
    assert rows == {
        "customers": [(1, "Bert Groß")],
        "orders": [("A10", 1), ("A11", 1)],
        "bookings": [(3, "A10"), (4, "A11")],
    }
    assert not any(p.place.id == "erp" for p in search(datamap, bench, about).parts)  # the link is what leads
    with pytest.raises(Refused, match=r"no column erp/bookings\.nr"):
        search(datamap, bench, about, links={"erp/bookings.nr": "crm/orders.no"})
    with closing(sqlite3.connect(databases["erp"])) as erp, erp:
        erp.execute("ALTER TABLE bookings ADD COLUMN memo TEXT")
    with pytest.raises(Refused, match="not in the data map: bookings; discover it again"):
        search(datamap, bench, about, links=link)


@pytest.mark.data
def test_one_customer_of_chinook_is_what_the_join_says(data_folder: Path, tmp_path: Path) -> None:
    database = tmp_path / "chinook.sqlite"
    database.write_bytes((data_folder / "chinook.sqlite").read_bytes())
    bench = Workbench(tmp_path / "bench")
    datamap = mapped(bench, chinook=database)
    with closing(sqlite3.connect(database)) as connection:
        (address_,) = connection.execute("SELECT Email FROM Customer WHERE CustomerId = 2").fetchone()
        wanted = {
            "Customer": set(connection.execute("SELECT * FROM Customer WHERE CustomerId = 2")),
            "Invoice": set(connection.execute("SELECT * FROM Invoice WHERE CustomerId = 2")),
            "InvoiceLine": set(
                connection.execute(
                    "SELECT l.* FROM InvoiceLine l JOIN Invoice i USING (InvoiceId) WHERE i.CustomerId = 2"
                )
            ),
        }
    found = search(datamap, bench, f"e-mail: {address_}\n")
    assert {p.table.name: set(p.rows) for p in found.parts} == wanted
    assert (found.undecided, found.mentions) == ((), {})
