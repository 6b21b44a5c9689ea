"""`deleatur plugin new NAME` writes a package whose tests pass as written, and overwrites nothing."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deleatur.errors import Refused
from deleatur.testing.scaffold import write_package


def test_a_new_package_builds_installs_and_passes_its_own_tests(
    new_machine: Callable[[], Any], tmp_path: Path
) -> None:
    files = write_package("tapes2", tmp_path)
    assert all(f.is_file() for f in files)
    text = "".join(str(f.relative_to(tmp_path)) + f.read_text(encoding="utf-8") for f in files)
    assert "acme" not in text.lower()
    machine = new_machine()
    printed = machine.tested(machine.install(tmp_path / "deleatur-tapes2"))
    assert "Tapes2Backend is tested for" in printed


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "Acme",
        "1a",
        "a-b",
        "a_b",
        "a.b",
        "../a",
        "a/b",
        "aé",
        "a\n",
        "class",
        "import",
        "a" * 31,
        "a b",
    ],
)
def test_a_name_that_cannot_be_scheme_and_module_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="cannot name a plugin"):
        write_package(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["file", "sqlite"])
def test_a_scheme_that_is_claimed_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="claimed by an installed plugin"):
        write_package(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_package("tapes", tmp_path)
    changed = tmp_path / "deleatur-tapes" / "README.md"
    changed.write_text("mine", encoding="utf-8")
    with pytest.raises(Refused, match="is there already"):
        write_package("tapes", tmp_path)
    assert changed.read_text(encoding="utf-8") == "mine"


def test_only_the_contract_needs_pytest() -> None:
    program = """
import sys
import deleatur.api, deleatur.testing.faults, deleatur.testing.faulty, deleatur.testing.flushing
import deleatur.testing.memory, deleatur.testing.rogues, deleatur.testing.scaffold, deleatur.testing.trial
assert "pytest" not in sys.modules
import deleatur.testing.contract
assert "pytest" in sys.modules
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
