"""Each promise of docs/explanation/guarantees.md names tests that exist."""

import ast
import re
from pathlib import Path

PAGE = "docs/explanation/guarantees.md"


def promises(page: str) -> dict[str, list[str]]:
    """Read the rows `| promise | `test id`, `test id` |`."""
    rows = re.findall(r"^\| (.+?) \| (`.+`) \|$", page, re.MULTILINE)
    return {promise: re.findall(r"`([^`]+)`", tests) for promise, tests in rows}


def names_of_tests(path: Path) -> set[str]:
    """Name the tests of a file as the part of their id after the file, without parameters."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return {name for name in found if name.split("::")[-1].startswith("test_")}


def test_rows_are_read() -> None:
    assert promises("| promise | tests |\n|---|---|\n| a | `t.py::x`, `t.py::y` |\n") == {
        "a": ["t.py::x", "t.py::y"]
    }


def test_every_promise_names_tests_that_exist(root: Path, pages: dict[str, str]) -> None:
    rows = promises(pages[PAGE])
    assert len(rows) >= 4
    missing = []
    for promise, tests in rows.items():
        for test in tests:
            file, _, name = test.partition("::")
            if not (root / file).is_file() or name not in names_of_tests(root / file):
                missing.append(f"{promise} -> {test}")
    assert missing == []


def test_no_row_stands_without_a_test(pages: dict[str, str]) -> None:
    rows = [
        line for line in pages[PAGE].splitlines() if line.startswith("| ") and line != "| promise | tests |"
    ]
    assert len(rows) == len(promises(pages[PAGE]))
