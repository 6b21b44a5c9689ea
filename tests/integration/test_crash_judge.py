"""The judge of killed jobs sees what it must: each way to end badly is made on purpose."""

import base64
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.engine import key_ring
from deleatur.errors import DeleaturError, Failed, Invalid, Malformed, Refused

from .crash_jobs import GONE, STAY, Scenario, Trials, quick

__all__ = ["quick"]
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """The trials of the database's rows."""
    return Trials("sqlite", tmp_path_factory.mktemp("judged"))


def sql(text: str) -> Callable[[Scenario], None]:
    """Change the database as a program would that has a defect."""

    def change(scenario: Scenario) -> None:
        with closing(sqlite3.connect(scenario.root / "shop.db", isolation_level=None)) as database:
            database.execute(text)

    return change


def planted(name: str, content: bytes) -> Callable[[Scenario], None]:
    """Put a file somewhere below the scenario's folder."""

    def plant(scenario: Scenario) -> None:
        (scenario.job.path.parent / name).write_bytes(content)

    return plant


def append(path: str, content: bytes) -> Callable[[Scenario], None]:
    """Append to a file that is there."""

    def change(scenario: Scenario) -> None:
        with (scenario.job.path.parent / path).open("ab") as file:
            file.write(content)

    return change


def keep_key(scenario: Scenario) -> None:
    """Leave the key of the spool in the kernel."""
    key_ring.store(scenario.key_name(), b"k" * 32)


def drop_archive(scenario: Scenario) -> None:
    """Leave a file of the archive that nobody can open."""
    for file in scenario.job.archive.glob("*.age"):
        file.write_bytes(file.read_bytes()[:-1])


def relabel(scenario: Scenario) -> None:
    """Change one letter of the certificate's journal."""
    journal = scenario.job.certificate / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"verdict":"CLEAN"', b'"verdict":"CLEAM"'))


NAME, MAIL, PHONE = GONE[1]
WAYS: dict[str, Callable[[Scenario], None]] = {
    "nothing-held-left": sql("DELETE FROM customer WHERE open = 1"),
    "kept-row-changed": sql("UPDATE invoice SET total = 1 WHERE customer = 5"),
    "row-restored": sql(f"INSERT INTO note VALUES (0, 0, '{NAME}')"),
    "index-forgot": sql("INSERT INTO found (found) VALUES ('delete-all')"),
    "left-beside": planted("data/shop.db-deleatur-old", b""),
    "in-utf-16": append("data/shop.db", MAIL.encode("utf-16-le")),
    "in-hexadecimal": planted("data/shop.db-journal", PHONE.encode().hex().encode()),
    "in-the-job": append("job/journal.jsonl", NAME.encode()),
    "in-the-job-base64": planted("job/core", base64.b64encode(b"xx" + MAIL.encode() + b"y")),
    "in-the-job-of-who-stays": planted("job/core", STAY[0][1].encode()),
    "in-a-name": planted(f"job/{NAME}", b""),
    "left-in-the-job": planted("job/.plan.json.new", b""),
    "key-left": keep_key,
    "archive-cut": drop_archive,
    "certificate-changed": relabel,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_bad_end_is_seen(trials: Trials, way: str) -> None:
    with trials.trial() as scenario:
        scenario.run()
        assert scenario.judge(None, trials.undisturbed) == "certified"
        WAYS[way](scenario)
        with pytest.raises((AssertionError, Invalid, Malformed, Refused, sqlite3.Error)):
            scenario.judge(None, trials.undisturbed)


@pytest.mark.parametrize("error", [Refused("held"), Failed("broken")], ids=["Refused", "Failed"])
def test_a_refusal_must_be_named_and_leave_the_data(trials: Trials, error: DeleaturError) -> None:
    with trials.trial() as scenario:
        if isinstance(error, Refused):
            assert scenario.judge(error, trials.undisturbed) == "refused"
            (scenario.root / "beside.txt").write_bytes(b"")
        with pytest.raises(AssertionError):
            scenario.judge(error, trials.undisturbed)


def test_a_claim_over_a_lost_sample_is_seen(trials: Trials, tmp_path: Path) -> None:
    with trials.trial() as scenario:
        scenario.run()
        with pytest.raises(AssertionError):
            scenario.judge(None, trials.undisturbed, unsearched={"crm"})
