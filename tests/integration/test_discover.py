"""`deleatur discover` on real stores: right types and counts, nothing changed, no data in the map.

Then the owners attest, the gate opens, and the picture is looked at in a browser without network.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from deleatur.cli.group import deleatur
from deleatur.cli.mappage import page
from deleatur.documents.datamap import DataMap, Field, Place, decode_datamap
from deleatur.engine.mapping import attested, require_closed
from deleatur.errors import Refused
from deleatur.testing.shop import Shop, build_shop
from deleatur.trust.keys import generate

CUSTOMERS, GHOSTS = 60, 8
PASSPHRASE = b"correct horse"


@dataclass(frozen=True)
class Office:
    """A folder with settings, the keys of two owners, and the shop."""

    folder: Path
    shop: Shop

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command as a person does; return what it prints."""
        result = CliRunner(env={"DELEATUR_SETTINGS": str(self.folder / "deleatur.toml")}).invoke(
            deleatur, arguments, catch_exceptions=True, standalone_mode=False
        )
        if code:
            assert isinstance(result.exception, Refused), (result.output, result.exception)
            assert result.exception.exit_code == code
            return str(result.exception)
        assert result.exception is None, (result.output, result.exception)
        return result.stdout

    def file(self, name: str, text: str = "") -> Path:
        """Return a path in the folder, with `text` in it if there is any."""
        path = self.folder / name
        if text:
            path.write_text(text, "utf-8")
        return path

    def attest(self, datamap: Path, owner: str, code: int = 0, *, key: str = "") -> str:
        """Let an owner sign."""
        keys = (f"--key={self.folder}/{key or owner}.key", f"--passphrase-file={self.folder}/pass")
        return self.run("attest", str(datamap), f"--owner={owner}", *keys, code=code)


def state_of(path: Path) -> dict[str, tuple[object, ...]]:
    """Every entry of a tree with its bytes and all of its times but the last access."""
    found = {}
    for each in (
        [path, *sorted(path.rglob("*"))] if path.is_dir() else sorted(path.parent.glob(f"{path.name}*"))
    ):
        status = each.lstat()
        digest = (
            hashlib.sha256(each.read_bytes()).hexdigest() if each.is_file() and not each.is_symlink() else ""
        )
        found[str(each)] = (
            status.st_ino,
            status.st_mode,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            digest,
        )
    return found


def without_changes_of_owner(path: Path) -> dict[str, tuple[object, ...]]:
    """The state but for ctime, which SQLite sets when root opens a WAL: it gives it the database's owner."""
    return {n: (*s[:4], s[5]) for n, s in state_of(path).items() if not n.endswith("-shm")}


def make_office(folder: Path) -> Office:
    shop = build_shop(folder / "shop", customers=CUSTOMERS)
    for name in ("it", "sales", "stranger"):
        generate(folder, name, "ed25519", PASSPHRASE)
    (folder / "pass").write_bytes(PASSPHRASE)
    (folder / "deleatur.toml").write_text('schema = "deleatur/agent/v1"\n[keys]\nagent = "it.key"\n')
    (folder / "mailbox.pdf").write_bytes(b"a statement by sales")
    return Office(folder, shop)


def declaration(people: int = CUSTOMERS - GHOSTS, *, folder: str = "shop/销售 Müller") -> str:
    return f"""
schema = "deleatur/declared/v1"
people = {{ count = {people}, owner = "it" }}

[[owner]]
name = "it"
key = "it.pub"

[[owner]]
name = "sales"
key = "sales.pub"

[[place]]
url = "sqlite:shop/crm.sqlite"
id = "crm"
owner = "it"
source = "registered and ordered in the shop"
purpose = "orders"

[[place]]
url = "file:{quote(folder)}"
id = "laptop"
owner = "sales"
source = "exported from the CRM by hand"
jurisdiction = [{{ code = "DE", reason = "the laptop's seat" }}]

[[declared]]
id = "mailbox"
what = "private mailbox of the sales team <script>document.title='owned'</script>"
owner = "sales"
evidence = "mailbox.pdf"
level = "sensitive"
types = ["e-mail"]

[[copy]]
source = "laptop"
to = "mailbox"
kind = "export"
reason = "mails to themselves"
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def mapped(office: Office) -> tuple[Path, DataMap]:
    """A map of the shop, made once."""
    out = office.file("datamap.toml")
    declared = office.file("declared.toml", declaration())
    before = state_of(office.shop.database), state_of(office.shop.files)
    rule = "--active=orders.ordered_on within 365 days"
    office.run("discover", f"--out={out}", f"--declared={declared}", rule, "--as-of=2025-06-30", "--json")
    assert (state_of(office.shop.database), state_of(office.shop.files)) == before
    return out, decode_datamap(out.read_bytes())


def place(datamap: DataMap, name: str) -> Place:
    return next(p for p in datamap.place if p.id == name)


def fields(where: Place, table: str) -> dict[str, Field]:
    return {f.name: f for t in where.table if t.name == table for f in t.field}


def test_the_shop_is_mapped_with_the_right_types_and_counts(
    office: Office, mapped: tuple[Path, DataMap]
) -> None:
    crm = place(mapped[1], "crm")
    with closing(sqlite3.connect(f"file:{office.shop.database}?mode=ro", uri=True)) as connection:
        names = ("customers", "orders", "order_lines", "invoices", "complaints", "messages", "products")
        counts = {n: connection.execute(f"SELECT count(*) FROM {n}").fetchone()[0] for n in names}
        active = connection.execute(
            "SELECT count(*) FROM orders WHERE ordered_on >= '2024-06-30'"
        ).fetchone()[0]
    assert {t.name: t.records for t in crm.table} == {**counts, "messages_index": counts["messages"]}
    customers = fields(crm, "customers")
    found = {name: (f.type, f.level) for name, f in customers.items()}
    assert found == {
        "id": ("other", "internal"),
        "name": ("person-name", "sensitive"),
        "country": ("other", "internal"),
        "id_number": ("resident-id", "core"),
        "phone": ("mobile-number", "sensitive"),
        "email": ("e-mail", "sensitive"),
        "born": ("date-of-birth", "sensitive"),
        "address": ("postal-address", "sensitive"),
        "language": ("other", "internal"),
        "registered_on": ("other", "internal"),
        "newsletter": ("other", "internal"),
        "segment": ("other", "internal"),
    }
    (mails,) = customers["email"].finding
    assert (mails.count, mails.of) == (CUSTOMERS - GHOSTS, CUSTOMERS - GHOSTS)
    assert fields(crm, "orders")["card"].type == "bank-card"
    assert fields(crm, "orders")["customer_id"].references == "customers.id"
    assert {f.type for f in fields(crm, "messages")["body"].finding} >= {"e-mail", "bank-card", "resident-id"}
    (totals,) = [t.totals for t in crm.table if t.totals]
    assert (totals.all, totals.active, totals.undated) == (counts["orders"], active, 0)
    assert totals.dormant == counts["orders"] - active
    laws = {j.code: j.records for j in crm.jurisdiction if j.reason == "column customers.country"}
    assert sum(laws.values()) == CUSTOMERS - GHOSTS
    assert laws.keys() == {"CN", "DE", "US"}


def test_the_folder_is_mapped_by_its_formats(mapped: tuple[Path, DataMap]) -> None:
    laptop = place(mapped[1], "laptop")
    kinds = {t.kind: t for t in laptop.table}
    assert kinds.keys() == {"csv", "xlsx", "mail", "contacts", "text"}
    assert (kinds["csv"].files, kinds["csv"].records) == (4, 2 * (CUSTOMERS - GHOSTS))
    assert (kinds["xlsx"].files, kinds["mail"].files, kinds["mail"].sampled) == (2, 36, 36)
    assert (kinds["contacts"].records, kinds["text"].records) == (36, 24)
    types = {f.name: f.type for f in kinds["csv"].field}
    assert types["email"] == "e-mail"
    assert types["card"] == "bank-card"
    assert {f.type for f in kinds["xlsx"].field} >= {"bank-card", "e-mail", "postal-address"}
    assert not laptop.unread
    assert laptop.identity
    assert laptop.encrypted in ("yes", "unknown")


def test_people_are_counted_once_over_all_stores(mapped: tuple[Path, DataMap]) -> None:
    datamap = mapped[1]
    assert datamap.people.found == CUSTOMERS - GHOSTS
    assert place(datamap, "crm").people == place(datamap, "laptop").people == CUSTOMERS - GHOSTS
    shared = [(c.source, c.to, c.count) for c in datamap.copy if c.kind == "same-people"]
    assert shared == [("crm", "laptop", CUSTOMERS - GHOSTS)]
    assert datamap.people.mentioned == 1  # sales@shop.example, to whom the mails were written
    assert datamap.difference == ()


def test_the_map_and_its_page_hold_no_data(office: Office, mapped: tuple[Path, DataMap]) -> None:
    written = mapped[0].read_text("utf-8") + page(mapped[1], ())
    assert len(office.shop.canaries) > 300
    assert [c.kind for c in office.shop.canaries if c.value in written] == []
    names = [p.name for p in office.shop.files.rglob("*") if p.is_file()]
    assert [n for n in names if n in written] == []


def test_owners_attest_and_only_then_the_gate_opens(office: Office, mapped: tuple[Path, DataMap]) -> None:
    path = office.file("to-attest.toml")
    shutil.copyfile(mapped[0], path)
    refusal = office.run("map", str(path), "--require-closed", code=4)
    assert (
        refusal == "the data map is open: it has not attested their part; sales has not attested their part"
    )
    assert "is not the key" in office.attest(path, "sales", code=4, key="stranger")
    assert "nothing in the data map belongs" in office.attest(path, "stranger", code=4)
    assert "not attested yet: sales" in office.attest(path, "it")
    with pytest.raises(Refused, match="sales has not attested"):
        require_closed(path)
    assert "every owner has attested" in office.attest(path, "sales")
    assert "attested this map already" in office.attest(path, "sales", code=4)
    assert require_closed(path).place
    listed = json.loads(office.run("map", str(path), "--json", "--erased=crm"))
    assert [i["what"] for i in listed["open"]] == ["mailbox is attested, not verified by sales"]
    assert listed["left_after"] == ["laptop", "mailbox"]

    tampered = office.file("tampered.toml")
    tampered.write_text(path.read_text("utf-8").replace('purpose = "orders"', 'purpose = "adverts"'), "utf-8")
    shutil.copytree(f"{path}.attested", f"{tampered}.attested")
    assert attested(tampered, decode_datamap(tampered.read_bytes())) == {"sales"}
    (Path(f"{tampered}.attested") / "forged-1.dsse.json").write_bytes(b"{}")
    assert attested(tampered, decode_datamap(tampered.read_bytes())) == {"sales"}


def test_a_difference_is_explained_in_the_map_and_signed(office: Office) -> None:
    out = office.file("differs.toml")
    declared = office.file("differs-declared.toml", declaration(people=100))
    office.run("discover", f"--out={out}", f"--declared={declared}", "--json")
    (difference,) = decode_datamap(out.read_bytes()).difference
    assert (difference.declared, difference.found) == (100, CUSTOMERS - GHOSTS)
    assert "explain first" in office.attest(out, "it", code=4)
    text = out.read_text("utf-8").replace(
        'id = "people-people"', 'id = "people-people"\nexplanation = "late orders"'
    )
    out.write_text(text, "utf-8")
    office.attest(out, "sales")
    office.attest(out, "it")
    assert require_closed(out).difference[0].explanation == "late orders"


def test_a_declared_place_that_is_gone_is_lost_and_a_wrong_url_is_refused(office: Office) -> None:
    out = office.file("lost.toml")
    declared = office.file("lost-declared.toml", declaration(folder="shop/laptop of a leaver"))
    office.run("discover", f"--out={out}", f"--declared={declared}", "--json")
    datamap = decode_datamap(out.read_bytes())
    assert place(datamap, "laptop").state == "lost"
    assert "noted: laptop is lost" in office.run("map", str(out))
    assert "is not there" in office.run("discover", "sqlite:///nosuch.db", f"--out={out}.2", code=4)
    assert "already" in office.run("discover", "sqlite:///nosuch.db", f"--out={out}", code=4)


def test_what_cannot_be_read_is_listed_and_links_are_not_followed(office: Office, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "list.csv").write_text("mail,city\na@example.org,Köln\n")
    (tree / "again.csv").hardlink_to(tree / "inner" / "list.csv")
    (tree / "scan.pdf").write_bytes(b"%PDF-1.7\n\x00\x01")
    (tree / "copy.db").write_bytes(b"SQLite format 3\0" + bytes(100))
    (tree / "out").symlink_to(office.shop.files)
    (tree / "loop").symlink_to(tree)
    os.mkfifo(tree / "pipe")
    before = state_of(tree)
    out = tmp_path / "map.toml"
    office.run("discover", f"file://{tree}", f"--out={out}", "--json")
    assert state_of(tree) == before
    (found,) = decode_datamap(out.read_bytes()).place
    assert sorted(u.reason for u in found.unread) == [
        ".db file: a SQLite database; discover it by its own URL",
        ".pdf file: of a format that is not read here",
        "a fifo",
        "a symbolic link, which is not followed",
        "a symbolic link, which is not followed",
    ]
    assert [(t.kind, t.files, t.records) for t in found.table] == [("csv", 1, 1)]
    assert {u.unit for u in found.unread} >= {f"inode-{(tree / 'pipe').lstat().st_ino}"}


def test_a_database_in_use_is_read_and_not_changed(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE people (mail TEXT, seen TEXT)")
        writer.execute("INSERT INTO people VALUES ('a@example.org', '2026-01-01')")
        writer.commit()
        before = without_changes_of_owner(path)
        office.run("discover", f"sqlite://{path}", f"--out={tmp_path}/map.toml", "--json")
        assert without_changes_of_owner(path) == before
    (found,) = decode_datamap((tmp_path / "map.toml").read_bytes()).place
    assert (found.table[0].records, found.people) == (1, 1)


def test_two_maps_are_compared(office: Office, tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE leads (id INTEGER PRIMARY KEY, note TEXT)")
        connection.commit()
        office.run("discover", f"sqlite://{database}", f"--out={tmp_path}/old.toml", "--json")
        connection.execute("ALTER TABLE leads ADD COLUMN mail TEXT")
        connection.execute("INSERT INTO leads VALUES (1, 'x', 'a@example.org')")
        connection.commit()
    office.run("discover", f"sqlite://{database}", f"--out={tmp_path}/new.toml", "--json")
    lines = office.run("discover", "--compare", f"{tmp_path}/old.toml", f"{tmp_path}/new.toml").splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["came-back", "new-column"]
    assert "mail (e-mail, sensitive)" in lines[1]


@pytest.mark.data
def test_chinook_is_mapped_with_the_right_types_and_counts(
    office: Office, data_folder: Path, tmp_path: Path
) -> None:
    database = tmp_path / "chinook.sqlite"
    shutil.copyfile(data_folder / "chinook.sqlite", database)
    before = state_of(database)
    out = tmp_path / "map.toml"
    rule = "--active=Invoice.InvoiceDate within 365 days"
    office.run("discover", f"sqlite://{database}", f"--out={out}", rule, "--as-of=2013-12-31", "--json")
    assert state_of(database) == before
    (chinook,) = decode_datamap(out.read_bytes()).place
    with closing(sqlite3.connect(database)) as connection:
        names = [n for (n,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        counts = {n: connection.execute(f'SELECT count(*) FROM "{n}"').fetchone()[0] for n in names}
        last = connection.execute(
            "SELECT count(*) FROM Invoice WHERE InvoiceDate >= '2012-12-31'"
        ).fetchone()[0]
    assert {t.name: t.records for t in chinook.table} == counts
    customer = fields(chinook, "Customer")
    assert customer["Email"].type == "e-mail"
    assert customer["FirstName"].type == customer["LastName"].type == "person-name"
    assert customer["Address"].type == "postal-address"
    assert {f.type for f in customer["Phone"].finding} <= {"mobile-number", "landline-number"}
    assert customer["Phone"].level == "sensitive"
    assert customer["SupportRepId"].references == "Employee.EmployeeId"
    assert fields(chinook, "Employee")["BirthDate"].type == "date-of-birth"
    assert chinook.people == 59 + 8 - 1  # two employees share one office number
    (totals,) = [t.totals for t in chinook.table if t.totals]
    assert (totals.all, totals.active) == (412, last)
    laws = {j.code: j.records for j in chinook.jurisdiction if j.reason == "column Customer.Country"}
    assert (laws["DE"], laws["US"], "unknown" in laws) == (4, 13, False)


class Tags(HTMLParser):
    """The tags of a page, and every attribute that could load or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loading: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loading += [
            a for a in attrs if a[0] in ("src", "href", "srcset", "style") or a[0].startswith("on")
        ]


def test_the_page_loads_and_runs_nothing(mapped: tuple[Path, DataMap]) -> None:
    tags = Tags()
    tags.feed(page(mapped[1], {"it"}))
    assert tags.loading == []
    assert not set(tags.tags) & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    assert tags.tags.count("rect") == 3
    text = page(mapped[1], {"it"})
    assert text.index("sales has not attested") < text.index("<svg") < text.index("<h2>crm</h2>")
    assert "url(" not in text
    assert "@import" not in text
    assert "&lt;script&gt;" in text


def test_hostile_names_of_tables_stay_text(office: Office, tmp_path: Path) -> None:
    database, hostile = tmp_path / "x.db", "<img src=x onerror=alert(1)>\"'</td>"
    quoted = hostile.replace('"', '""')
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f'CREATE TABLE "{quoted}" ("{quoted}" TEXT, "\u202eright\nline" TEXT)')
        connection.commit()
    office.run("discover", f"sqlite://{database}", f"--out={tmp_path}/map.toml", "--json")
    datamap = decode_datamap((tmp_path / "map.toml").read_bytes())
    (table,) = datamap.place[0].table
    assert table.name == hostile
    assert [f.name for f in table.field] == [hostile, "\\x202eright\\x0aline"]
    tags = Tags()
    tags.feed(page(datamap, ()))
    assert (tags.loading, "img" in tags.tags) == ([], False)
    assert "&lt;img src=x" in page(datamap, ())


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Callable[[Path], tuple[str, str]]]:
    """Open a page in headless Chromium without a network; return the page as it stands then, and the log."""

    def look(path: Path) -> tuple[str, str]:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
        flags += [f"--user-data-dir={tmp_path}/profile", "--proxy-server=127.0.0.1:9", "--dump-dom"]
        run = subprocess.run(["chromium", *flags, path.as_uri()], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr[-2000:]
        return run.stdout, run.stderr

    return look


def test_a_browser_shows_nodes_edges_and_open_items(
    office: Office, mapped: tuple[Path, DataMap], browser: Callable[[Path], tuple[str, str]]
) -> None:
    html = office.file("map.html")
    office.run("map", str(mapped[0]), f"--html={html}")
    shown, log = browser(html)
    assert shown.count('class="node"') == 3
    assert shown.count('class="edge"') == 2
    assert 'data-from="crm" data-to="laptop"' in shown
    assert shown.count('class="open"') == 2
    assert "<title>Data map of 2025-06-30</title>" in shown  # no script of a name has run
    assert "<script" not in shown
    assert "CONSOLE" not in log


def test_a_browser_that_meets_a_running_name_would_show_it(
    tmp_path: Path, browser: Callable[[Path], tuple[str, str]]
) -> None:
    """The control of the test above: the same name, not escaped and without the policy, runs."""
    bad = tmp_path / "bad.html"
    bad.write_text("<title>safe</title><p><script>document.title='owned';console.log('seen')</script>")
    shown, log = browser(bad)
    assert "<title>owned</title>" in shown
    assert "CONSOLE" in log
