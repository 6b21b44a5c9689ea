"""Run test files in a guest, one boot and one pytest there for all of them, and bring back what each said."""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .drives import MODULES, standard_drives
from .machine import machine

GUEST = Path(__file__).parent / "guest"
ALL_TESTS = 600  # seconds for all files of a run; 300 are too many on a machine that does nothing else
ONE_TEST = 120  # seconds
PYTEST = (
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $PYTHON -m pytest -p pytest_timeout -p no:cacheprovider"
    f" -v --timeout={ONE_TEST} --confcutdir=tests/lab/guest --junit-xml=/run/share/results.xml --durations=5"
)
TROUBLES = ("failure", "error", "skipped")


@dataclasses.dataclass(frozen=True)
class Results:
    """What the guest's pytest said: one outcome for each test, by file, and all that it printed."""

    outcomes: dict[str, dict[str, str]]
    output: str

    def check(self, file: str) -> None:
        """Fail with what the guest said unless every test of the file passed there."""
        outcomes = self.outcomes.get(file)
        assert outcomes, self.output
        troubles = [f"{name}\n{outcome}" for name, outcome in outcomes.items() if outcome != "passed"]
        assert not troubles, "\n\n".join(troubles)


def chosen_files(request: pytest.FixtureRequest) -> list[str]:
    """List the files that this session is to run of the module that asks."""
    items = [item for item in request.session.items if item.path == request.path]
    return sorted({item.callspec.params["file"] for item in items})


def run_in_guest(files: Sequence[str], folder: Path, only: str = "", share: str = "") -> Results:
    """Boot, run these files of guest/, and cut the power; the images of the drives lie in `folder`.

    `only`: the tests whose names have this in them; "": all. `share`, as 3/16, is for a file that knows of
    shares.
    """
    paths = " ".join(shlex.quote(f"tests/lab/guest/{file}") for file in files)
    with machine(standard_drives(folder), MODULES) as guest:
        setting = f"DELEATUR_SHARE={share} " if share else ""
        ended = guest.run(f"{setting}{PYTEST} -k {shlex.quote(only)} {paths}", ALL_TESTS)
        report = guest.share / "results.xml"
        assert report.exists(), ended.output
        return Results(_by_file(ElementTree.parse(report)), ended.output)


def _by_file(report: "ElementTree.ElementTree[ElementTree.Element]") -> dict[str, dict[str, str]]:
    outcomes: dict[str, dict[str, str]] = {}
    for case in report.iter("testcase"):
        file = case.get("classname", "").rpartition(".")[2] + ".py"
        troubles = [f"{trouble.tag}: {trouble.text}" for trouble in case if trouble.tag in TROUBLES]
        outcomes.setdefault(file, {})[case.get("name", "")] = "\n".join(troubles) or "passed"
    return outcomes
