"""The table of requirements is whole: all numbers in order, tests that exist, reasons, true counts."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from .test_promises import names_of_tests

PAGE = "docs/reference/requirements.md"
COUNT = 93
STATES = ("tested", "partly", "not yet", "outside")
NOTHING = "–"


class Requirement(NamedTuple):
    """One line of the table."""

    number: int
    requirement: str
    accepted: str
    kind: str
    state: str
    tests: str
    reason: str

    @property
    def ids(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.tests)


def requirements(page: str) -> list[Requirement]:
    """Read the lines that begin with a number."""
    lines = [line for line in page.splitlines() if re.match(r"\|\s*\d+\s*\|", line)]
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    return [Requirement(int(first), *rest) for first, *rest in cells]


def faults(row: Requirement) -> list[str]:
    """Name what a line lacks."""
    found = []
    if row.state not in STATES:
        found.append(f"{row.number}: no state is called {row.state}")
    if row.kind not in ("C", "A", "O", "C/O") or (row.kind == "O") != (row.state == "outside"):
        found.append(f"{row.number}: class {row.kind} and state {row.state}")
    if (row.state in ("tested", "partly")) != bool(row.ids):
        found.append(f"{row.number}: {row.state} with {len(row.ids)} tests")
    if not row.requirement or (row.accepted == NOTHING) != (row.kind == "O"):
        found.append(f"{row.number}: not said what it is, or when it is accepted")
    if row.state != "tested" and (row.reason in ("", NOTHING)):
        found.append(f"{row.number}: {row.state} without a reason")
    if row.state == "partly" and not re.search(r"\bMissing: |^as \d+$", row.reason):
        found.append(f"{row.number}: partly, and not what is missing")
    return found


def test_all_numbers_stand_once_and_in_order(pages: dict[str, str]) -> None:
    assert [row.number for row in requirements(pages[PAGE])] == list(range(1, COUNT + 1))


def test_every_test_that_is_named_exists(root: Path, pages: dict[str, str]) -> None:
    missing, known = [], {}
    for row in requirements(pages[PAGE]):
        assert len(row.ids) == len(set(row.ids)), row.number
        for test in row.ids:
            file, _, name = test.partition("::")
            if file not in known:
                known[file] = names_of_tests(root / file) if (root / file).is_file() else set()
            if name not in known[file]:
                missing.append(f"{row.number} -> {test}")
    assert missing == []


def test_every_line_says_how_far_and_why_not_further(pages: dict[str, str]) -> None:
    assert [fault for row in requirements(pages[PAGE]) for fault in faults(row)] == []


def test_what_another_line_is_like_is_no_further_than_that_line(pages: dict[str, str]) -> None:
    rows = {row.number: row for row in requirements(pages[PAGE])}
    alike = {n: re.match(r"as (\d+)\b", row.reason) for n, row in rows.items()}
    pairs = [(n, int(found[1])) for n, found in alike.items() if found]
    assert pairs
    for number, other in pairs:
        assert STATES.index(rows[number].state) >= STATES.index(rows[other].state), (number, other)


def test_the_counts_at_the_top_are_right(pages: dict[str, str]) -> None:
    counted = Counter(row.state for row in requirements(pages[PAGE]))
    said = re.findall(r"\*\*(\d+) tested, (\d+) partly, (\d+) not yet, (\d+) outside\.\*\*", pages[PAGE])
    assert said == [tuple(str(counted[state]) for state in STATES)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("| 1 | a | b | C | done | `t.py::x` | – |", "no state is called done"),
        ("| 1 | a | b | C | tested | – | – |", "tested with 0 tests"),
        ("| 1 | a | b | C | not yet | `t.py::x` | later |", "not yet with 1 tests"),
        ("| 1 | a | b | C | not yet | – | – |", "not yet without a reason"),
        ("| 1 | a | b | C | partly | `t.py::x` | some |", "not what is missing"),
        ("| 1 | a | b | C | outside | – | no |", "class C and state outside"),
        ("| 1 | a | – | A | tested | `t.py::x` | – |", "when it is accepted"),
    ],
)
def test_a_fault_is_seen(line: str, fault: str) -> None:
    (row,) = requirements(f"| # | x |\n|---|---|\n{line}\n")
    assert any(fault in found for found in faults(row))
