"""Every row of the table of forged certificates, on the true certificate of a job on each backend."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.errors import DeleaturError
from deleatur.trust.verification import verify

from .sabotage_papers import AGENT, FORGERIES, OPEN, Forgery, Papers, changed, leaves
from .sabotage_worlds import WORLDS

Pairs = dict[str, tuple[Path, Path]]


@pytest.fixture(scope="module")
def certificates() -> Iterator[Pairs]:
    """The certificates of two jobs on each backend, signed by the same agent."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        found = {}
        for backend, kind in WORLDS.items():
            pair = []
            for name in ("one", "two"):
                world = kind(Path(made) / f"{backend}-{name}")
                world.bench.plan(world.job)
                world.bench.approve(world.job)
                world.bench.run(world.job)
                pair.append(world.job.certificate)
            found[backend] = (pair[0], pair[1])
        yield found


@pytest.fixture
def papers(certificates: Pairs, backend: str) -> Iterator[Papers]:
    """A copy of a true certificate, to be forged."""
    one, two = certificates[backend]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        shutil.copytree(one, Path(made) / "certificate")
        yield Papers(Path(made) / "certificate", two)


@pytest.mark.parametrize("backend", WORLDS)
def test_the_true_certificate_verifies(papers: Papers) -> None:
    papers.about = papers.folder / "targets" / "t1.txt"
    assert papers.verify().evidence
    assert verify(papers.another, [AGENT.public], 1, None).evidence


def answer(papers: Papers) -> DeleaturError | None:
    """Verify; return the error, or None."""
    try:
        papers.verify()
    except DeleaturError as error:
        return error
    return None


@pytest.mark.parametrize("backend", WORLDS)
@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda f: f.name)
def test_the_forgery_is_caught(papers: Papers, forgery: Forgery) -> None:
    played = 0
    for variant in forgery.act(papers):
        played += 1
        error = answer(papers)
        ends = "verifies" if error is None else type(error)
        assert ends == forgery.ends, f"{variant}: {error}"
        assert "\n" not in str(error)
    assert played


@pytest.mark.parametrize("backend", WORLDS)
def test_what_an_issuer_may_choose_is_all_that_evidence_does_not_bear(papers: Papers) -> None:
    """The fields that the table leaves out are the ones that docs/spec/certificate.md names."""
    for path in OPEN:
        statement = papers.statement()
        dict(leaves(statement))[f"predicate.{path}"]()
        papers.sign(statement, AGENT)
        assert papers.verify().evidence, path


def test_every_leaf_is_changed_by_the_table() -> None:
    """The control: a change is a change."""
    statement = {"a": [1, {"b": "z"}], "c": "9f"}
    before = json.dumps(statement)
    for path, change in leaves(statement):
        change()
        assert json.dumps(statement) != before, path
        before = json.dumps(statement)
    assert changed("") == "x"
