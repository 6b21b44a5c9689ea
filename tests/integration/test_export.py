"""One person's export and erasure on real stores: every record of them, and nobody else's.

The package is read by stock tools and shown by a browser without a network; the drafted job runs to
its certificate.
"""

import csv
import hashlib
import io
import json
import os
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.archive.age import identity_of, new_identity, pyrage
from deleatur.archive.bag import read_bag
from deleatur.documents.datamap import DataMap
from deleatur.engine.deciding import read_decided
from deleatur.errors import Malformed
from deleatur.testing.workbench import Workbench

from .subject_office import Office, exported, make_office, search, theirs


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("office"))


def test_the_export_is_what_sql_says_and_the_files_records(office: Office, tmp_path: Path) -> None:
    number = 12
    who = office.customer(number)
    of = office.file("of-12.txt", f"e-mail: {who['email']}\n")
    record = json.loads(office.run("export", office.map, f"--of={of}", f"--out={tmp_path}/out", "--json"))
    found = exported(tmp_path / "out")
    in_crm = {
        table: {tuple(r.values()) for r in rows} for (place, table), rows in found.items() if place == "crm"
    }
    assert in_crm == theirs(office.shop.database, number)
    files = {table: rows for (place, table), rows in found.items() if place == "laptop"}
    assert {t.partition("-")[0]: len(rows) for t, rows in files.items()} == {
        "csv": 2,
        "xlsx": 1,
        "mail": 1,
        "contacts": 1,
    }
    texts = json.dumps([*files.values()], ensure_ascii=False)
    others = [c.value for c in office.shop.canaries if c.customer != number and len(c.value) > 5]
    assert who["name"] in texts
    assert [value for value in others if value in texts] == []
    assert record["records"] == sum(map(len, found.values()))
    about = json.loads((tmp_path / "out/data/export.json").read_bytes())
    assert {"where": "laptop: text-1", "what": about["elsewhere"][0]["what"], "count": 1} in about[
        "elsewhere"
    ]
    assert [e["where"] for e in about["elsewhere"]] == ["laptop: text-1", "mailbox"]


def test_every_customers_export_together_is_the_shop(office: Office) -> None:
    """No row is given to two people, and none of a customer to nobody."""
    bench = Workbench(office.folder / "bench")
    datamap = read_datamap(office)
    with closing(sqlite3.connect(office.shop.database)) as connection:
        mails = connection.execute("SELECT id, email FROM customers ORDER BY id LIMIT 6").fetchall()
    for number, address in mails:
        found = search(datamap, bench, f"e-mail: {address}\n")
        assert not found.undecided
        rows = {p.table.name: set(p.rows) for p in found.parts if p.place.id == "crm"}
        assert rows == theirs(office.shop.database, number)


def read_datamap(office: Office) -> DataMap:
    from deleatur.engine.mapping import read_map

    return read_map(Path(office.map))


def test_the_package_says_what_was_collected_where_from_what_for_and_who_has_it(
    office: Office, tmp_path: Path
) -> None:
    of = office.file("of-13.txt", f"e-mail: {office.customer(13)['email']}\n")
    office.run("export", office.map, f"--of={of}", f"--out={tmp_path}/out")
    about = json.loads((tmp_path / "out/data/export.json").read_bytes())
    crm = next(p for p in about["place"] if p["place"] == "crm")
    assert (crm["source"], crm["purpose"]) == ("registration", "orders and invoices")
    assert crm["recipients"] == ["payment service Acme", "laptop (export)"]
    fields = {f["name"]: f for t in crm["table"] if t["table"] == "customers" for f in t["field"]}
    assert fields["email"]["categories"] == ["e-mail address"]
    assert (fields["born"]["categories"], fields["id_number"]["level"]) == (["date of birth, or age"], "core")
    readme = (tmp_path / "out/README.txt").read_text("utf-8")
    assert all(word in readme for word in ("index.html", "Datensätze", "无需联网"))
    checked = subprocess.run(
        ["sha256sum", "-c", "--strict", "--quiet", "manifest-sha256.txt", "tagmanifest-sha256.txt"],
        cwd=tmp_path / "out",
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_only_its_owner_may_read_it_and_nothing_of_it_is_printed(office: Office, tmp_path: Path) -> None:
    who = office.customer(12)
    of = office.file("of-12.txt", f"e-mail: {who['email']}\n")
    printed = office.run("export", office.map, f"--of={of}", f"--out={tmp_path}/out")
    modes = {stat.S_IMODE(p.lstat().st_mode) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert [
        value for value in who.values() if isinstance(value, str) and len(value) > 3 and value in printed
    ] == []
    assert "already" in office.run("export", office.map, f"--of={of}", f"--out={tmp_path}/out", code=4)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_record_is_counts_and_a_digest_that_only_the_package_makes_again(
    office: Office, tmp_path: Path
) -> None:
    of = office.file("of-12.txt", f"e-mail: {office.customer(12)['email']}\n")
    records = [
        json.loads(office.run("export", office.map, f"--of={of}", f"--out={tmp_path}/{n}", "--json"))
        for n in ("one", "two")
    ]
    assert records[0]["package_hmac"] != records[1]["package_hmac"]
    about = json.loads((tmp_path / "one/data/export.json").read_bytes())
    manifest = (tmp_path / "one/tagmanifest-sha256.txt").read_bytes()
    by_hand = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{_hex(about['digest_key'])}"],
        input=manifest,
        capture_output=True,
        check=True,
    )
    assert by_hand.stdout.decode().split()[-1] == records[0]["package_hmac"]
    assert records[0]["datamap_sha256"] == hashlib.sha256(Path(office.map).read_bytes()).hexdigest()


def _hex(text: str) -> str:
    import base64

    return base64.b64decode(text).hex()


def test_sealed_it_stands_nowhere_in_clear(office: Office, tmp_path: Path) -> None:
    who = office.customer(12)
    identity, recipient = new_identity()
    of = office.file("of-12.txt", f"e-mail: {who['email']}\n")
    sealed = tmp_path / "package.tar.age"
    office.run("export", office.map, f"--of={of}", f"--out={sealed}", f"--sealed-to={recipient}")
    content = sealed.read_bytes()
    assert who["email"].encode() not in content
    _, members = read_bag(io.BytesIO(pyrage().decrypt(content, [identity_of(identity)])))
    assert who["email"] in members["index.html"].decode()
    assert [p.name for p in tmp_path.iterdir()] == ["package.tar.age"]
    wrong = office.run("export", office.map, f"--of={of}", f"--out={tmp_path}/x", "--sealed-to=age1x", code=4)
    assert "no age recipient" in wrong


def test_identifiers_are_typed_or_come_from_a_file_and_wrong_ones_are_not_quoted(
    office: Office, tmp_path: Path
) -> None:
    who = office.customer(12)
    out = f"--out={tmp_path}/typed"
    office.run("export", office.map, out, typed=f"e-mail: {who['email']}\n\n")
    assert (tmp_path / "typed/index.html").exists()
    nobody = office.run("export", office.map, f"{out}2", typed="e-mail: nobody@example.org\n\n", code=4)
    assert "no store holds" in nobody
    assert "nobody@" not in nobody
    wrong = office.run("export", office.map, f"{out}2", typed="e-mail: nobody.example.org\n\n", code=3)
    assert "nobody" not in wrong
    assert not (tmp_path / "typed2").exists()


def test_a_shared_telephone_is_refused_until_a_person_decides(office: Office, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "calls.db")) as connection, connection:
        connection.execute("CREATE TABLE people (name TEXT, email TEXT, phone TEXT)")
        connection.execute("CREATE TABLE calls (phone TEXT, minutes INTEGER, note TEXT)")
        for name in ("Anna", "Bert", "Carl"):
            number = "+49 170 1234567" if name != "Carl" else "+49 170 7654321"
            row = (f"{name} Müller", f"{name}@example.org", number)
            connection.execute("INSERT INTO people VALUES (?, ?, ?)", row)
        calls = [("0170 1234567", 3, "=1+1"), ("0170 1234567", 9, "b"), ("0170 7654321", 4, "c")]
        connection.executemany("INSERT INTO calls VALUES (?, ?, ?)", calls)
    datamap = f"{tmp_path}/map.toml"
    office.run("discover", f"sqlite://{tmp_path}/calls.db", f"--out={datamap}", "--json")
    about = f"--of={office.file('of-anna.txt', 'e-mail: anna@example.org')}"
    decide, out = f"{tmp_path}/decide.csv", f"--out={tmp_path}/out"
    refused = office.run("export", datamap, about, out, f"--undecided={decide}", code=4)
    assert refused.startswith("2 records may be theirs or somebody else's: 2 in ")
    assert not (tmp_path / "out").exists()
    assert stat.S_IMODE(os.stat(decide).st_mode) == 0o600
    lines = list(csv.reader(io.StringIO(Path(decide).read_text("utf-8-sig"))))
    assert [json.loads(line[-1])["minutes"] for line in lines[1:]] == [3, 9]
    lines[1][0], lines[2][0] = "theirs", "not theirs"
    with Path(decide).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    office.run("export", datamap, about, out, f"--decided={decide}")
    found = {table: rows for (_, table), rows in exported(tmp_path / "out").items()}
    assert {t: len(rows) for t, rows in found.items()} == {"people": 1, "calls": 1}
    assert found["calls"][0]["minutes"] == 3
    Path(decide).write_text(Path(decide).read_text("utf-8").replace("not theirs", "maybe"), "utf-8")
    with pytest.raises(Malformed, match="`theirs` or `not theirs`"):
        read_decided(Path(decide))


HOSTILE = (
    "<script>document.title='owned';console.log('seen')</script>",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "＝1+1",
    "../../etc/passwd\t",
    "a\u202egnp.exe\u2066 b",
    "</td></table><img src=x onerror=alert(1)>",
    "line\r\nbreak \x1b[31m",
)


@pytest.fixture
def hostile(office: Office, tmp_path: Path) -> Path:
    """The package of somebody whose every value, table and column tries something."""
    table = 'x"/../<b>\u202e'
    quoted = table.replace('"', '""')
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection, connection:
        connection.execute(f'CREATE TABLE "{quoted}" (email TEXT, "=1+1" TEXT, "<i>" BLOB)')
        rows = [("anna@example.org", value, b"\x00<script>") for value in HOSTILE]
        connection.executemany(f'INSERT INTO "{quoted}" VALUES (?, ?, ?)', rows)
    office.run("discover", f"sqlite://{tmp_path}/x.db", f"--out={tmp_path}/map.toml", "--json")
    about = f"--of={office.file('of-anna.txt', 'e-mail: anna@example.org')}"
    office.run("export", f"{tmp_path}/map.toml", about, f"--out={tmp_path}/out")
    return tmp_path / "out"


def test_hostile_values_stay_text_in_every_file(hostile: Path) -> None:
    (rows,) = exported(hostile).values()
    assert [row["=1+1"] for row in rows] == [*HOSTILE]  # exactly, in JSON
    (sheet,) = (hostile / "data").glob("*.csv")
    assert all(c.isalnum() or c in "-." for c in sheet.name)
    cells = [*csv.reader(io.StringIO(sheet.read_text("utf-8-sig"), newline=""))]
    assert [cell for line in cells for cell in line if cell.lstrip().startswith((*"=+-@＝",))] == []
    assert cells[2][1] == f"'{HOSTILE[1]}"
    text = (hostile / "index.html").read_text("utf-8")
    assert "&lt;script&gt;" in text
    assert not set("\u202e\u2066\x1b") & set(text)
    assert "<script" not in text
    assert {p.relative_to(hostile).parts[0] for p in hostile.rglob("*")} >= {
        "data",
        "index.html",
        "README.txt",
    }


@pytest.fixture
def browser(tmp_path: Path) -> Callable[[Path], tuple[str, str]]:
    """Open a page in headless Chromium without a network; return the page as it stands then, and the log."""

    def look(path: Path) -> tuple[str, str]:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
        flags += [f"--user-data-dir={tmp_path}/profile", "--proxy-server=127.0.0.1:9", "--dump-dom"]
        run = subprocess.run(["chromium", *flags, path.as_uri()], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr[-2000:]
        return run.stdout, run.stderr

    return look


def test_a_browser_shows_the_records_and_runs_none(
    hostile: Path, browser: Callable[[Path], tuple[str, str]]
) -> None:
    shown, log = browser(hostile / "index.html")
    assert shown.count("<td><bdi>anna@example.org</bdi></td>") == len(HOSTILE)
    assert "<title>Your data · Ihre Daten · 您的数据</title>" in shown
    assert "<script" not in shown
    assert "<img" not in shown
    assert "CONSOLE" not in log
