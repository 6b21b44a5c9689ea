"""The example vendor: built, installed, tested by its own tests, refused until trusted, then run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deleatur.testing.scaffold import write_package

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "deleatur-acme"

ASK = """
import sys
from deleatur.engine.registry import backend_class
from deleatur.errors import DeleaturError
try:
    loaded, pin = backend_class("acme", sys.argv[1:])
    print(loaded.__name__, pin.distribution, pin.version, pin.entry_point, len(pin.record_digest))
except DeleaturError as error:
    print(type(error).__name__, error)
print("deleatur_acme" in sys.modules)
"""

WALK = """
import sys
from pathlib import Path
from deleatur.engine.registry import backend_class
from deleatur.testing.workbench import Workbench

folder = Path(sys.argv[1])
shelf = folder / "shelf"
shelf.mkdir(parents=True)
(shelf / "shelf.label").write_text("label-1", encoding="ascii")
(shelf / "readme.txt").write_bytes(b"stays where it is")
for n in range(5):
    (shelf / f"canary-name-{n}.box").write_bytes(b"canary content number %d " % n * 20)
bench = Workbench(folder / "jobs")
bench.registry = lambda scheme: backend_class(scheme, ("deleatur", "deleatur-acme"))
bench.whole(f'''
schema = "deleatur/job/v1"
name = "shelf"
reason = "contract-end"
authority = "decision 7"
requested_by = "op-1"
[[target]]
id = "shelf"
url = "acme://{shelf}"
''')
"""


@pytest.fixture(scope="module")
def machine(new_machine: Callable[[], Any]) -> Any:
    machine = new_machine()
    machine.source = machine.install(EXAMPLE)
    return machine


def test_the_example_is_what_plugin_new_writes(tmp_path: Path) -> None:
    write_package("acme", tmp_path)
    written = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    committed = {
        p.relative_to(EXAMPLE.parent): p.read_bytes()
        for p in EXAMPLE.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert written == committed, "run `deleatur plugin new acme` and commit what it writes"


def test_its_own_tests_pass_and_the_readme_shows_their_badge(machine: Any) -> None:
    printed = machine.tested(machine.source)
    badge = [
        line for line in printed.splitlines() if "deleatur contract 1" in line or "not applicable:" in line
    ]
    assert len(badge) == 2
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    for line in badge:
        assert line[line.find("deleatur contract") :].strip() in readme


def test_it_is_refused_until_trusted_without_being_imported(machine: Any) -> None:
    for trusted in ((), ("deleatur",), ("deleatur", "acme"), ("deleatur", "deleatur-acme==9.9")):
        answer = machine.run("-c", ASK, *trusted).stdout.splitlines()
        assert answer[0].startswith("Refused deleatur-acme 0.1.0 is installed but not trusted")
        assert answer[1] == "False"


@pytest.mark.parametrize("entry", ["deleatur-acme", "Deleatur_Acme", "deleatur-acme==0.1.0"])
def test_once_trusted_it_loads_and_is_pinned(machine: Any, entry: str) -> None:
    answer = machine.run("-c", ASK, "deleatur", entry).stdout.splitlines()
    assert answer == [
        "AcmeBackend deleatur-acme 0.1.0 acme = deleatur_acme.backend:AcmeBackend 64",
        "True",
    ]


def test_a_whole_job_runs_to_its_certificate(machine: Any) -> None:
    ended = machine.run("-c", WALK, machine.folder / "walk")
    assert ended.returncode == 0, ended.stderr
    shelf, job = machine.folder / "walk" / "shelf", machine.folder / "walk" / "jobs" / "job"
    assert sorted(p.name for p in shelf.iterdir()) == ["readme.txt", "shelf.label"]
    certificate = (job / "certificate" / "certificate.dsse.json").read_bytes()
    assert certificate
    assert "deleatur-acme" in (job / "plan.json").read_text(encoding="utf-8")
    for document in (p for p in job.rglob("*") if p.is_file()):
        assert b"canary" not in document.read_bytes(), f"{document.name} tells data"


def test_altered_files_are_refused(machine: Any) -> None:
    (installed,) = machine.folder.rglob("site-packages/deleatur_acme/backend.py")
    honest = installed.read_bytes()
    installed.write_bytes(honest.replace(b"os.fsync(file)", b"os.close"))
    answer = machine.run("-c", ASK, "deleatur", "deleatur-acme").stdout
    installed.write_bytes(honest)
    assert answer.startswith("Refused deleatur_acme/backend.py differs from what")
    assert answer.endswith("False\n")
