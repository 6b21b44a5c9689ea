"""The rules of the house that imports do not show: who erases, who prints, who knows the time."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AGENT = ROOT / "agent" / "deleatur"
PLUGINS = ROOT / "plugins" / "deleatur_plugins"
CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic"}


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def called(source: str) -> Iterator[tuple[str, str]]:
    """Every call of a module as (what it is called on, name): `a.b(1)` is ("a", "b"), `b(1)` is ("", "b")."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield ast.unparse(node.func.value), node.func.attr
            elif isinstance(node.func, ast.Name):
                yield "", node.func.id


OURS = modules(AGENT) + modules(PLUGINS)


def callers(folder: Path, *names: str, on: set[str] | None = None) -> set[str]:
    """The modules under `folder` that call one of `names`, on one of `on` if given."""
    found = set()
    for path in modules(folder):
        for owner, name in called(path.read_text("utf-8")):
            if name in names and (on is None or owner in on):
                found.add(str(path.relative_to(folder)))
    return found


def rooms(paths: set[str]) -> set[str]:
    return {path.split("/")[0] for path in paths}


def test_calls_are_seen() -> None:
    assert list(called("backend.erase(step)\nprint(1)\nsuper().erase(x)\n")) == [
        ("backend", "erase"),
        ("", "print"),
        ("super()", "erase"),
        ("", "super"),
    ]


def test_only_the_engine_asks_a_backend_to_erase() -> None:
    asked = rooms(callers(AGENT, "erase"))
    assert "engine" in asked  # else this test looks for the wrong name
    assert asked <= {"engine", "testing"}
    assert callers(PLUGINS, "erase") == set()


def test_only_the_command_line_prints_asks_and_exits() -> None:
    loud = callers(AGENT, "print", "input", "exit", "_exit", on={"", "sys", "os"})
    assert rooms(loud) <= {"cli", "testing"}
    assert callers(PLUGINS, "print", "input", "exit", "_exit", on={"", "sys", "os"}) == set()


@pytest.mark.parametrize("room", ["judge", "documents", "desensitize"])
def test_the_pure_rooms_read_no_clock_and_no_file(room: str) -> None:
    clocks = {"datetime", "datetime.datetime", "date", "datetime.date", "time"}
    assert callers(AGENT / room, *CLOCKS, on=clocks) == set()
    assert callers(AGENT / room, "open", "read_bytes", "read_text", "write_bytes", "write_text") <= {
        "codec.py"
    }


def test_no_module_hides_a_failure() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in OURS
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler) and all(isinstance(part, ast.Pass) for part in node.body)
    ]
    assert silent == []


def test_every_module_says_what_it_is_for_and_is_no_novel() -> None:
    assert len(OURS) > 40
    for path in OURS:
        text = path.read_text("utf-8")
        assert len(ast.get_docstring(ast.parse(text)) or "") > 20, f"{path}: no docstring"
        assert len(text.splitlines()) <= 500, f"{path}: does it have one reason to exist?"
