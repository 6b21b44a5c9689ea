"""A folder with settings, an attested map and the shop, for the tests of one person's records."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

from click.testing import CliRunner, Result
from msgspec.structs import replace

from deleatur.cli.group import deleatur
from deleatur.documents.datamap import DataMap
from deleatur.documents.declared import Declaration
from deleatur.engine.discovery import Request, discover
from deleatur.engine.subjects import Found, Search, find_subject
from deleatur.errors import DeleaturError
from deleatur.judge.identifiers import read_identifiers
from deleatur.testing.shop import Shop, build_shop
from deleatur.testing.workbench import Workbench
from deleatur.trust.keys import generate

CUSTOMERS = 60
PASSPHRASE = b"correct horse"


@dataclass(frozen=True)
class Desk:
    """A folder with settings, where commands are run as a person runs them."""

    folder: Path

    def invoke(self, *arguments: str, typed: str = "") -> Result:
        """Run a command and return what became of it."""
        env = {"DELEATUR_SETTINGS": str(self.folder / "deleatur.toml")}
        return CliRunner(env=env).invoke(deleatur, arguments, input=typed, standalone_mode=False)

    def run(self, *arguments: str, code: int = 0, typed: str = "") -> str:
        """Run a command; return what it prints, or its refusal."""
        result = self.invoke(*arguments, typed=typed)
        if code:
            assert isinstance(result.exception, DeleaturError), (result.output, result.exception)
            assert result.exception.exit_code == code
            return str(result.exception)
        assert result.exception is None, (result.output, result.exception)
        return result.stdout

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, "utf-8")
        return str(path)


@dataclass(frozen=True)
class Office(Desk):
    """A desk with a map that its owner attested, and the shop."""

    shop: Shop

    @property
    def map(self) -> str:
        return str(self.folder / "datamap.toml")

    def customer(self, number: int) -> dict[str, str]:
        with closing(sqlite3.connect(self.shop.database)) as connection:
            connection.row_factory = sqlite3.Row
            return dict(connection.execute("SELECT * FROM customers WHERE id = ?", (number,)).fetchone())


def make_desk(folder: Path) -> Desk:
    generate(folder, "it", "ed25519", PASSPHRASE)
    (folder / "pass").write_bytes(PASSPHRASE)
    (folder / "deleatur.toml").write_text('schema = "deleatur/agent/v1"\n[keys]\nagent = "it.key"\n')
    return Desk(folder)


def make_office(folder: Path) -> Office:
    shop = build_shop(folder / "shop", customers=CUSTOMERS)
    make_desk(folder)
    (folder / "mailbox.pdf").write_bytes(b"a statement")
    declared = folder / "declared.toml"
    declared.write_text(
        f"""
schema = "deleatur/declared/v1"
[[owner]]
name = "it"
key = "it.pub"
[[place]]
url = "sqlite:shop/crm.sqlite"
id = "crm"
owner = "it"
source = "registration"
purpose = "orders and invoices"
access = ["payment service Acme"]
[[place]]
url = "file:{quote("shop/销售 Müller")}"
id = "laptop"
owner = "it"
jurisdiction = [{{ code = "DE", reason = "seat" }}]
[[declared]]
id = "mailbox"
what = "private mailbox of the sales team"
owner = "it"
evidence = "mailbox.pdf"
level = "sensitive"
[[copy]]
source = "crm"
to = "laptop"
kind = "export"
""",
        "utf-8",
    )
    office = Office(folder, shop)
    office.run("discover", f"--declared={declared}", f"--out={office.map}", "--as-of=2025-06-30", "--json")
    office.run(
        "attest", office.map, "--owner=it", f"--key={folder}/it.key", f"--passphrase-file={folder}/pass"
    )
    return office


def theirs(database: Path, number: int) -> dict[str, set[tuple[object, ...]]]:
    """What SQL says belongs to a customer, by table."""
    orders = "SELECT id FROM orders WHERE customer_id = ?"
    where = {
        "customers": "id = ?",
        "orders": "customer_id = ?",
        "order_lines": f"order_id IN ({orders})",
        "invoices": "customer_id = ?",
        "complaints": "customer_id = ?",
        "messages": "customer_id = ?",
    }
    with closing(sqlite3.connect(database)) as connection:
        rows = {
            t: set(connection.execute(f"SELECT * FROM {t} WHERE {w}", (number,))) for t, w in where.items()
        }
    return {table: found for table, found in rows.items() if found}


def exported(folder: Path) -> dict[tuple[str, str], list[dict[str, object]]]:
    about = json.loads((folder / "data/export.json").read_bytes())
    return {
        (place["place"], table["table"]): json.loads((folder / f"data/{table['file']}.json").read_bytes())
        for place in about["place"]
        for table in place["table"]
    }


def search(datamap: DataMap, bench: Workbench, identifiers: str, **more: object) -> Found:
    return find_subject(Search(datamap, read_identifiers(identifiers.encode()), **more), bench.registry)


def mapped(bench: Workbench, **places: Path | str) -> DataMap:
    """A map of databases and folders, or of URLs, under ids of our own."""
    urls = {name: p if isinstance(p, str) else url_of(p) for name, p in places.items()}
    request = Request(
        urls=tuple(urls.values()),
        as_of=date(2026, 11, 22),
        made_at="2026-11-22T00:00:00Z",
        declaration=Declaration(schema="deleatur/declared/v1"),
    )
    found = discover(request, bench.registry)
    return replace(
        found,
        place=tuple(replace(p, id=name) for name, p in zip(urls, found.place, strict=True)),
        copy=(),
    )


def url_of(path: Path) -> str:
    """The URL of a folder, or of a SQLite database."""
    return f"{'file' if path.is_dir() else 'sqlite'}://{quote(str(path))}"


def two_systems(folder: Path) -> dict[str, Path]:
    """Build a CRM, and an ERP whose bookings hold an order's number and nothing else of a person."""
    with closing(sqlite3.connect(folder / "crm.db")) as crm, crm:
        crm.executescript(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, phone TEXT);"
            "CREATE TABLE orders (no TEXT PRIMARY KEY, customer INTEGER REFERENCES customers);"
        )
        for n, name in enumerate(("Anna Müller", "Bert Groß", "Carla Weiß")):
            crm.execute("INSERT INTO customers VALUES (?, ?, ?)", (n, name, f"+49 170 12345{n}7"))
            crm.executemany("INSERT INTO orders VALUES (?, ?)", [(f"A{n}{m}", n) for m in range(2)])
    with closing(sqlite3.connect(folder / "erp.db")) as erp, erp:
        erp.execute("CREATE TABLE bookings (id INTEGER PRIMARY KEY, order_no TEXT, cents INTEGER)")
        numbers = [(f"A{n}{m}", 100) for n in range(3) for m in range(2)]
        erp.executemany("INSERT INTO bookings VALUES (NULL, ?, ?)", numbers)
    return {"crm": folder / "crm.db", "erp": folder / "erp.db"}
