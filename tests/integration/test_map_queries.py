"""What a map is asked: what came from support, where minors are spoken of, what a private PC holds."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.cli.mappage import page
from deleatur.documents.datamap import decode_datamap
from deleatur.testing.shop.xlsx import write_xlsx

from .subject_office import Desk, make_desk

CHATS = (
    "孩子生日是2015年3月7日",
    "我的生日是1985年3月7日",
    "Meine Tochter ist 9 Jahre alt",
    "wo bleibt das Paket?",
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_desk(tmp_path)


@pytest.fixture
def mapped(desk: Desk) -> Callable[..., Path]:
    def discover(*arguments: str, declared: str = "") -> Path:
        out = desk.folder / "map.toml"
        if declared:
            head = 'schema = "deleatur/declared/v1"\n[[owner]]\nname = "it"\nkey = "it.pub"\n'
            arguments = (*arguments, f"--declared={desk.file('declared.toml', head + declared)}")
        desk.run("discover", *arguments, f"--out={out}", "--as-of=2026-11-22", "--json")
        return out

    return discover


def support(folder: Path) -> Path:
    """A database with chats of the support, in one of which a child's birthday stands."""
    path = folder / "support.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, born TEXT)")
        connection.execute("CREATE TABLE chats (id INTEGER PRIMARY KEY, body TEXT)")
        connection.execute("CREATE TABLE calls (id INTEGER PRIMARY KEY, minutes INTEGER)")
        people = [
            ("a@example.org", "1980-01-01"),
            ("b@example.org", "2010-05-05"),
            ("c@example.org", "2008-11-22"),
        ]
        connection.executemany("INSERT INTO customers VALUES (NULL, ?, ?)", people)
        connection.executemany("INSERT INTO chats VALUES (NULL, ?)", [(chat,) for chat in CHATS])
    return path


def test_what_came_from_support_is_exactly_its_tables(desk: Desk, mapped: Callable[..., Path]) -> None:
    support(desk.folder)
    place = '[[place]]\nurl = "sqlite:support.db"\nid = "crm"\nowner = "it"\nsource = "registration"\n'
    tables = "".join(f'[[place.table]]\nname = "{t}"\nsource = "support"\n' for t in ("chats", "calls"))
    out = str(mapped(declared=place + tables))
    found = json.loads(desk.run("map", out, "--source=Support", "--json"))["tables"]
    assert found == [
        {"place": "crm", "table": "calls", "records": 0},
        {"place": "crm", "table": "chats", "records": 4},
    ]
    assert desk.run("map", out, "--source=registration") == "crm/customers: 3 records\n"
    assert "its sources: registration, support" in desk.run("map", out, "--source=orders", code=4)
    assert ", from support</h3>" in page(decode_datamap(Path(out).read_bytes()), ())
    (desk.folder / "map.toml").unlink()
    declared = desk.folder / "declared.toml"
    declared.write_text(declared.read_text("utf-8").replace('"calls"', '"talks"'), "utf-8")
    refused = desk.run("discover", f"--declared={declared}", f"--out={out}", code=4)
    assert refused == "crm has no table talks; its source cannot be declared"


def test_minors_stand_in_the_map_and_on_its_page(desk: Desk, mapped: Callable[..., Path]) -> None:
    out = mapped(f"sqlite://{support(desk.folder)}", declared="# nothing\n")
    (place,) = decode_datamap(out.read_bytes()).place
    minors = {f"{t.name}.{f.name}": f.minors for t in place.table for f in t.field if f.minors}
    assert minors == {"chats.body": 2, "customers.born": 1}  # who is 18 on the day is of age
    printed = desk.run("map", str(out))
    assert "chats.body speaks of minors in 2 of 4 records that were classified" in printed
    html = page(decode_datamap(out.read_bytes()), ())
    assert 'data-kind="minors"' in html
    assert "minor 1" in html
    assert "2015" not in html + out.read_text("utf-8")


def test_a_workbook_on_a_private_pc_is_found_and_a_clean_one_is_silent(
    desk: Desk, mapped: Callable[..., Path], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / "Downloads").mkdir(parents=True)
    (home / "notes.txt").write_text("buy milk\nbring back the books\n")
    write_xlsx(home / "tea.xlsx", [["tea", "price"], ["Oolong", "12"], ["Sencha", "9"]])
    (home / "link").symlink_to("/nowhere")
    ask = ("map", str(desk.folder / "map.toml"), "--at-most=internal")
    mapped(f"file://{home}")
    assert desk.run(*ask) == ""
    assert json.loads(desk.run(*ask, "--json")) == {"above": []}

    workbook = home / "Downloads" / "list.xlsx"
    numbers = ("110105194912310025", "11010519491231002X", "440311196411295427")
    write_xlsx(workbook, [["name", "id"], *(["王小明", n] for n in numbers)])
    (desk.folder / "map.toml").unlink()
    out = mapped(f"file://{home}")
    refused = desk.run(*ask, code=4)
    assert "hold more than internal data" in refused
    printed = desk.invoke(*ask).stdout
    assert f"resident-id 3) in inode-{workbook.stat().st_ino}" in printed
    assert not any(n in refused + printed for n in numbers)
    assert desk.run("map", str(out), "--require-closed", code=4)

    workbook.unlink()
    (home / "scan.pdf").write_bytes(b"%PDF-1.7\n\x00\x01")
    (desk.folder / "map.toml").unlink()
    mapped(f"file://{home}")
    assert "was not read (.pdf file" in desk.run(*ask, code=4)  # nobody knows what is in it
