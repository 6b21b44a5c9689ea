"""The tests of guest/ pass in a guest: one boot, and one pytest there for all the files chosen here."""

import dataclasses
import shlex
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .drives import MODULES, standard_drives
from .machine import machine

pytestmark = [pytest.mark.root, pytest.mark.lab]
FILES = sorted(path.name for path in (Path(__file__).parent / "guest").glob("test_*.py"))
ALL_TESTS = 280  # seconds for all of them
ONE_TEST = 120  # seconds
PYTEST = (
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $PYTHON -m pytest -p pytest_timeout -p no:cacheprovider"
    f" --timeout={ONE_TEST} --confcutdir=tests/lab/guest --junit-xml=/run/share/results.xml --durations=5"
)


@dataclasses.dataclass(frozen=True)
class Results:
    """What the guest's pytest said: one outcome for each test, by file, and all that it printed."""

    outcomes: dict[str, dict[str, str]]
    output: str


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    chosen = [
        item.callspec.params["file"] for item in request.session.items if "results" in item.fixturenames
    ]
    files = " ".join(shlex.quote(f"tests/lab/guest/{file}") for file in chosen)
    with machine(standard_drives(tmp_path_factory.mktemp("drives")), MODULES) as guest:
        ended = guest.run(f"{PYTEST} {files}", ALL_TESTS)
        report = guest.share / "results.xml"
        assert report.exists(), ended.output
        yield Results(by_file(ElementTree.parse(report)), ended.output)


def by_file(report: "ElementTree.ElementTree[ElementTree.Element]") -> dict[str, dict[str, str]]:
    outcomes: dict[str, dict[str, str]] = {}
    for case in report.iter("testcase"):
        file = case.get("classname", "").rpartition(".")[2] + ".py"
        troubles = [
            f"{trouble.tag}: {trouble.text}"
            for trouble in case
            if trouble.tag in ("failure", "error", "skipped")
        ]
        outcomes.setdefault(file, {})[case.get("name", "")] = "\n".join(troubles) or "passed"
    return outcomes


@pytest.mark.parametrize("file", FILES)
def test_file(results: Results, file: str) -> None:
    outcomes = results.outcomes.get(file)
    assert outcomes, results.output
    troubles = {name: outcome for name, outcome in outcomes.items() if outcome != "passed"}
    assert not troubles, "\n\n".join(f"{name}\n{outcome}" for name, outcome in troubles.items())
