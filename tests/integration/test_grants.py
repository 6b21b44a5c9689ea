"""Access is asked for, given by another, reviewed each quarter: unused it is listed, unreviewed it lapses."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from deleatur.cli.group import deleatur
from deleatur.documents.docket import Closed, Granted, Matter, Opened, Reviewed, Used
from deleatur.engine.docket import DocketFile
from deleatur.engine.settings import Settings, load_settings
from deleatur.errors import Refused
from deleatur.judge.docket import Standing
from deleatur.testing.workbench import signing_key
from deleatur.trust.keys import public_pem

from .test_docket import ANNA, BERT, CALENDAR, at, one, stamp

START = datetime(2026, 2, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ASKED = Opened(
    matter=Matter(
        id="olga-runs",
        kind="grant",
        about="operator of jobs",
        owner="olga",
        superior="head",
        since=stamp(START),
    )
)


@pytest.fixture
def docket(tmp_path: Path) -> DocketFile:
    (tmp_path / "calendar.toml").write_text(CALENDAR)
    found = DocketFile(tmp_path / "docket.jsonl", (ANNA.public, BERT.public), tmp_path / "calendar.toml")
    found.begin(ANNA, at(START))
    found.add(ASKED, ANNA, at(START))
    return found


def granted(docket: DocketFile) -> DocketFile:
    docket.add(Granted(matter="olga-runs"), BERT, at(START))
    return docket


def state(found: Standing) -> tuple[bool, bool, str]:
    return found.in_force, found.unused, found.told


def test_what_nobody_gave_is_not_in_force_and_who_asks_does_not_give(docket: DocketFile) -> None:
    assert state(one(docket, START)) == (False, False, "olga")
    with pytest.raises(Refused, match="who asked for olga-runs neither grants nor reviews it"):
        docket.add(Granted(matter="olga-runs"), ANNA, at(START))
    with pytest.raises(Refused, match="olga-runs is not granted yet"):
        docket.add(Used(matter="olga-runs"), ANNA, at(START))
    granted(docket)
    assert state(one(docket, START)) == (True, False, "olga")
    with pytest.raises(Refused, match="granted already"):
        docket.add(Granted(matter="olga-runs"), BERT, at(START))


def test_unused_for_ninety_days_it_is_listed(docket: DocketFile) -> None:
    granted(docket)
    assert not one(docket, START + 90 * DAY).unused
    assert one(docket, START + 90 * DAY + timedelta(seconds=1)).unused
    docket.add(Used(matter="olga-runs"), ANNA, at(START + 91 * DAY))
    assert not one(docket, START + 91 * DAY).unused


def test_unreviewed_for_a_quarter_it_lapses_for_good(docket: DocketFile) -> None:
    granted(docket)
    last = START + 92 * DAY
    assert state(one(docket, last)) == (True, True, "olga")
    late = last + timedelta(milliseconds=1)
    assert state(one(docket, late)) == (False, True, "head")
    for act in (Reviewed(matter="olga-runs"), Used(matter="olga-runs")):
        with pytest.raises(
            Refused, match="olga-runs lapsed, for nobody reviewed it in time; ask for it anew"
        ):
            docket.add(act, BERT, at(late))
    docket.add(Closed(matter="olga-runs", how="lapsed"), BERT, at(late))
    assert state(one(docket, late + DAY))[0] is False


def test_a_review_by_another_holds_for_a_quarter_more(docket: DocketFile) -> None:
    granted(docket)
    with pytest.raises(Refused, match="neither grants nor reviews"):
        docket.add(Reviewed(matter="olga-runs"), ANNA, at(START + 80 * DAY))
    docket.add(Reviewed(matter="olga-runs"), BERT, at(START + 80 * DAY))
    assert one(docket, START + 172 * DAY).in_force
    assert not one(docket, START + 173 * DAY).in_force


@pytest.fixture
def settings(docket: DocketFile) -> Settings:
    folder = docket.path.parent
    for key in (ANNA, BERT, signing_key("olga", 41)):
        (folder / f"{key.public.name}.pub").write_bytes(public_pem(key.public))
    (folder / "deleatur.toml").write_text(
        'schema = "deleatur/agent/v1"\n[keys]\nagent = "agent.key"\n'
        '[docket]\nfile = "docket.jsonl"\nkeys = ["anna.pub", "bert.pub"]\n'
        '[[person]]\nname = "olga"\nkeys = ["olga.pub"]\ntrained_until = "2026-12-31"\naccess = "olga-runs"\n'
    )
    return load_settings(folder / "deleatur.toml")


def test_who_has_no_access_in_force_runs_nothing(docket: DocketFile, settings: Settings) -> None:
    def may_run(moment: datetime) -> bool:
        (olga,) = settings.people(at(moment))
        return olga.trained_until is not None

    assert not may_run(START)
    granted(docket)
    assert may_run(START + 92 * DAY)
    assert not may_run(START + 93 * DAY)
    docket.path.unlink()
    with pytest.raises(Refused):
        settings.people(at(START))
    text = (
        (settings.folder / "deleatur.toml")
        .read_text()
        .replace('[docket]\nfile = "docket.jsonl"\n', "[docket]\n")
    )
    (settings.folder / "deleatur.toml").write_text(text)
    with pytest.raises(Refused, match="names an access, and the settings name no docket"):
        load_settings(settings.folder / "deleatur.toml").people(at(START))


def test_the_command_line_lists_it(
    docket: DocketFile, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted(docket)
    monkeypatch.setattr("deleatur.engine.jobs.now", at(START + 91 * DAY))

    def listed() -> str:
        words = ["docket", "list", "--json", f"--settings={settings.folder}/deleatur.toml"]
        return CliRunner().invoke(deleatur, words, standalone_mode=False).stdout

    (matter,) = json.loads(listed())["matters"]
    assert (matter["unused"], matter["overdue"], matter["deadlines"][0]["term"]) == (True, False, "review")
    monkeypatch.setattr("deleatur.engine.jobs.now", at(START + 100 * DAY))
    (matter,) = json.loads(listed())["matters"]
    assert (matter["overdue"], matter["tell"]) == (True, "head")
