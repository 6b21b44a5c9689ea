"""A plugin's detector takes part wherever data is looked at: in the map, in redaction, in the leak scan."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from deleatur.api import Detector, Span, TypeInfo, hookimpl
from deleatur.archive import new_identity, open_archive
from deleatur.cli.group import deleatur
from deleatur.engine.hooks import Hooks
from deleatur.errors import Refused
from deleatur.testing.keepers import keepers_text
from deleatur.testing.workbench import Workbench

NOTES = ["ask badge Q7-RAVEN first", "paid in full", "badge Q7-RAVEN was lost"]


def find(text: str) -> Iterator[Span]:
    place = text.find("Q7-")
    if place >= 0:
        yield Span(place, place + 8, "acme-badge", None, 0.9)


class Acme:
    @hookimpl
    def register_detectors(self) -> list[Detector]:
        info = TypeInfo(title="badge of a worker", level="core", source="acme")
        return [Detector(type="acme-badge", info=info, find=find)]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "crm.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE calls (id INTEGER PRIMARY KEY, note TEXT)")
        connection.executemany("INSERT INTO calls (note) VALUES (?)", [(note,) for note in NOTES])
    return path


def job(bench: Workbench, database: Path, recipient: str, rule: str) -> None:
    directory = bench.job(
        f"""
schema = "deleatur/job/v1"
name = "calls"
reason = "contract-end"
authority = "board decision 7 of 2026"
requested_by = "legal"
[verification]
device = false
{keepers_text(recipient)}
[[target]]
id = "crm"
url = "sqlite://{database}"
[[target.select]]
table = "calls"
where = [{{ column = "id", operator = "not-null" }}]
[[target.archive]]
table = "calls"
[target.archive.columns]
id = {{ rule = "keep" }}
note = {{ rule = "{rule}" }}
"""
    )
    bench.hooks.register(Acme(), "acme")
    bench.plan(directory)
    bench.approve(directory)
    bench.run(directory)


def test_redaction_replaces_it(tmp_path: Path, database: Path) -> None:
    identity, recipient = new_identity()
    job(Workbench(tmp_path), database, recipient, "redact")
    (package,) = tmp_path.rglob("*.tar.age")
    notes = open_archive(package, identity).tables["calls"].column("note").to_pylist()
    assert notes == ["ask badge [acme-badge] first", "paid in full", "badge [acme-badge] was lost"]


def test_the_leak_scan_refuses_it_in_a_kept_column(tmp_path: Path, database: Path) -> None:
    with pytest.raises(Refused, match=r"column calls\.note would carry acme-badge inside its texts"):
        job(Workbench(tmp_path), database, new_identity()[1], "keep")


def test_the_map_names_it(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> Hooks:
        hooks = Hooks()
        hooks.register(Acme(), "acme")
        return hooks

    monkeypatch.setattr(Hooks, "load", load)
    out = tmp_path / "map.toml"
    settings = tmp_path / "deleatur.toml"
    settings.write_text('schema = "deleatur/agent/v1"\n[keys]\nagent = "it.key"\n')
    result = CliRunner(env={"DELEATUR_SETTINGS": str(settings)}).invoke(
        deleatur, ["discover", f"sqlite://{database}", f"--out={out}"], standalone_mode=False
    )
    assert result.exception is None, result.exception
    assert 'type = "acme-badge"' in out.read_text("utf-8")
