"""Plain lines of progress, as a log has them."""

import pytest

from deleatur.cli.progress import _Lines
from deleatur.documents.place import Unit
from deleatur.engine import progress
from deleatur.engine.progress import ToldTables, told


def test_each_phase_shows_its_begin_and_its_end_once_in_its_own_unit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = _Lines()
    for phase, done in (("rewrite", 0), ("rewrite", 7), ("rewrite", 9), ("rewrite", 9), ("overwrite", 2000)):
        lines.tell(phase, "crm", done, 9 if phase == "rewrite" else 2000)
    lines.tell("certify", "", 0, 0)
    begin, end, other, last = capsys.readouterr().err.splitlines()
    assert begin == "rewrite crm: 0 rows of 9 rows"
    assert end.startswith("rewrite crm: 9 rows of 9 rows")
    assert other == "overwrite crm: 2.0 kB of 2.0 kB"
    assert last == "certify"


def test_long_readings_say_how_far_they_are_and_how_long_it_takes_still(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY", 1)
    monkeypatch.setattr("deleatur.cli.progress.EVERY", 0.0)
    lines = _Lines()
    assert [*told("abc", lines.tell, "verify", "crm", 3)] == [*"abc"]
    first, second, *_, third = capsys.readouterr().err.splitlines()
    assert first == "verify crm: 1 values of 3 values"
    assert second.startswith("verify crm: 2 values of 3 values, ")
    assert second.endswith(" s left")
    assert third.startswith("verify crm: 3 values of 3 values, ")


def test_a_pause_for_a_hot_drive_says_how_long_and_that_it_is_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur.cli.progress.EVERY", 0.0)
    lines = _Lines()
    for spent, all_of_it in ((0, 0), (5, 0), (10, 10)):
        lines.tell("cool", "disk", spent, all_of_it)
    assert capsys.readouterr().err.splitlines() == [
        "cool disk: too hot by its own word, waiting for 0 s",
        "cool disk: too hot by its own word, waiting for 5 s",
        "cool disk: cooled after 10 s",
    ]


def test_the_tables_of_a_package_are_learnt_and_then_archived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_EVERY", 2)
    calls: list[tuple[str, str, int, int]] = []
    units = tuple(Unit(name=f"table {name}", size=size, digest="") for name, size in (("a", 3), ("b", 1)))
    tables = ToldTables(lambda *call: calls.append(call), units, "crm", ("a", "b")).around(
        {"a": lambda: iter([{"n": n} for n in range(3)]), "b": lambda: iter([{"n": 7}])}
    )
    for phase in ("learn", "archive"):
        assert [r["n"] for records in tables.values() for r in records()] == [0, 1, 2, 7]
        assert calls == [(phase, "crm", done, 4) for done in (2, 3, 4)]
        calls.clear()
    strange = ToldTables(lambda *call: calls.append(call), units, "crm", ("a", "c"))
    assert [*strange.around({"a": lambda: iter([{}])})["a"]()] == [{}]
    assert calls == [("learn", "crm", 1, 0)]
