"""The docket: working days over a holiday, hours of a complaint, and findings that are looked at again."""

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from deleatur.cli.group import deleatur
from deleatur.documents.docket import (
    Answered,
    AnyAct,
    Calendar,
    Closed,
    Matter,
    Opened,
    Rechecked,
    Remedied,
    decode_calendar,
)
from deleatur.engine.docket import DocketFile
from deleatur.engine.lines import alone
from deleatur.errors import Malformed, Refused, Transient
from deleatur.judge.docket import Standing, after_working_days
from deleatur.testing.workbench import signing_key
from deleatur.trust.docket import read_docket, sign_docket_line
from deleatur.trust.keys import SigningKey

CALENDAR = """\
schema = "deleatur/calendar/v1"
offset = "+08:00"
first = "2026-01-01"
last = "2026-12-31"
holiday = ["2026-10-01", "2026-10-02", "2026-10-05", "2026-10-06", "2026-10-07"]
workday = ["2026-10-10"]
"""
ANNA, BERT, EVE = (signing_key(name, n) for n, name in enumerate(("anna", "bert", "eve"), 31))
MONDAY = datetime(2026, 11, 16, 1, 0, tzinfo=UTC)  # 09:00 there
REPORT = "0" * 64


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def docket(tmp_path: Path) -> DocketFile:
    (tmp_path / "calendar.toml").write_text(CALENDAR)
    found = DocketFile(tmp_path / "docket.jsonl", (ANNA.public, BERT.public), tmp_path / "calendar.toml")
    found.begin(ANNA, at(MONDAY))
    return found


def matter(kind: str, since: datetime = MONDAY, due: str | None = None) -> Opened:
    return Opened(
        matter=Matter(
            id=f"{kind}-1",
            kind=kind,
            about="job close-shop",
            owner="anna",
            superior="head",
            since=stamp(since),
            due=due,
        )
    )


def one(docket: DocketFile, moment: datetime) -> Standing:
    (found,) = docket.standings(at(moment))
    return found


def test_another_process_that_does_not_end_is_not_waited_for_without_end(
    docket: DocketFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur.engine.lines._PATIENCE", 0.1)
    with alone(docket.path), pytest.raises(Transient, match="another process works with"):
        docket.add(matter("complaint"), ANNA, at(MONDAY))
    assert docket.read().matters == {}


@pytest.mark.parametrize(
    ("since", "due"),
    [
        # Friday 17:00 there: Monday, Tuesday, Wednesday, until its midnight
        ("2026-11-13T09:00Z", "2026-11-18T16:00Z"),
        # Wednesday 30 September 17:00: the holiday week is left out, Saturday 10 October is worked
        ("2026-09-30T09:00Z", "2026-10-10T16:00Z"),
        # Thursday 00:30 there is still Wednesday in UTC
        ("2026-11-11T16:30Z", "2026-11-17T16:00Z"),
    ],
)
def test_three_working_days_over_a_holiday(since: str, due: str) -> None:
    calendar = decode_calendar(CALENDAR.encode())
    found = after_working_days(datetime.fromisoformat(since), 3, calendar)
    assert found == datetime.fromisoformat(due)


def test_an_approval_that_waits_goes_to_the_superior(docket: DocketFile) -> None:
    docket.add(matter("approval"), ANNA, at(MONDAY))
    end = datetime(2026, 11, 19, 16, 0, tzinfo=UTC)
    in_time = one(docket, end)
    assert (in_time.overdue, in_time.told) == (False, "anna")
    late = one(docket, end + timedelta(milliseconds=1))
    assert (late.overdue, late.told) == (True, "head")
    docket.add(Closed(matter="approval-1", how="approved"), BERT, at(end + timedelta(hours=1)))
    done = one(docket, end + timedelta(days=9))
    assert (done.overdue, done.missed) == (False, True)


def test_a_complaint_has_two_hours_and_a_day(docket: DocketFile) -> None:
    docket.add(matter("complaint"), ANNA, at(MONDAY))
    hours = lambda n: MONDAY + timedelta(hours=n)  # noqa: E731 - a word for this test
    assert not one(docket, hours(2)).missed
    assert one(docket, hours(2.01)).overdue
    docket.add(Answered(matter="complaint-1"), ANNA, at(hours(1.9)))
    assert not one(docket, hours(24)).missed
    assert one(docket, hours(24.01)).overdue
    docket.add(Closed(matter="complaint-1", how="paid back"), ANNA, at(hours(23)))
    assert not one(docket, hours(99)).missed


def test_a_finding_is_closed_only_after_somebody_else_looked_again(docket: DocketFile) -> None:
    docket.add(matter("finding", due="2026-11-30"), ANNA, at(MONDAY))
    close = Closed(matter="finding-1", how="remedied")
    looked = Rechecked(matter="finding-1", sound=True, evidence=REPORT)

    def refused(act: AnyAct, key: SigningKey, words: str) -> None:
        with pytest.raises(Refused, match=words):
            docket.add(act, key, at(MONDAY))

    refused(close, ANNA, "after a re-check")
    refused(looked, BERT, "cannot follow")
    docket.add(Remedied(matter="finding-1"), ANNA, at(MONDAY))
    refused(close, ANNA, "after a re-check")
    refused(looked, ANNA, "another key does")
    docket.add(Rechecked(matter="finding-1", sound=False, evidence=REPORT), BERT, at(MONDAY))
    refused(close, ANNA, "after a re-check")
    refused(looked, BERT, "cannot follow")
    docket.add(Remedied(matter="finding-1"), ANNA, at(MONDAY))
    docket.add(looked, BERT, at(MONDAY))
    docket.add(Remedied(matter="finding-1"), ANNA, at(MONDAY))  # changed again, so looked at again
    refused(close, ANNA, "after a re-check")
    docket.add(looked, BERT, at(MONDAY))
    docket.add(close, ANNA, at(MONDAY))
    refused(looked, BERT, "is closed")
    assert not one(docket, MONDAY + timedelta(days=60)).missed


def test_whoever_had_a_hand_in_a_remedy_does_not_look_again(docket: DocketFile) -> None:
    docket.add(matter("finding", due="2026-11-30"), ANNA, at(MONDAY))
    for key in (ANNA, BERT):
        docket.add(Remedied(matter="finding-1"), key, at(MONDAY))
    for key in (ANNA, BERT):
        with pytest.raises(Refused, match="another key does"):
            docket.add(Rechecked(matter="finding-1", sound=True, evidence=REPORT), key, at(MONDAY))


def test_what_nobody_may_enter(docket: DocketFile) -> None:
    docket.add(matter("approval"), ANNA, at(MONDAY))
    for act, key, words in (
        (matter("approval"), ANNA, "already"),
        (Closed(matter="other", how="x"), ANNA, "there is no matter"),
        (Answered(matter="approval-1"), ANNA, "cannot follow"),
        (matter("complaint"), EVE, "may not sign"),
        (matter("complaint", MONDAY + timedelta(days=1)), ANNA, "lies ahead"),
    ):
        with pytest.raises(Refused, match=words):
            docket.add(act, key, at(MONDAY))
    with pytest.raises(Refused, match="behind the last line"):
        docket.add(matter("complaint", MONDAY - timedelta(days=9)), ANNA, at(MONDAY - timedelta(days=1)))
    for odd in (
        matter("finding"),
        matter("complaint", due="2026-11-30"),
        matter("finding", due="2026-11-31"),
    ):
        with pytest.raises(Malformed):
            docket.add(odd, ANNA, at(MONDAY))
    assert len(docket.read().lines) == 2


def test_no_line_is_changed_dropped_moved_or_signed_by_a_stranger(docket: DocketFile) -> None:
    docket.add(matter("approval"), ANNA, at(MONDAY))
    docket.add(matter("complaint"), ANNA, at(MONDAY))
    docket.add(Closed(matter="approval-1", how="approved"), ANNA, at(MONDAY))
    content = docket.path.read_bytes()
    keys = (ANNA.public, BERT.public)
    lines = content.splitlines(keepends=True)
    for spoiled in (
        [lines[0], *lines[2:]],
        [lines[0], lines[2], lines[1], lines[3]],
        [*lines[:2], lines[2].replace(b"A", b"B", 1), lines[3]],
        lines[1:],
    ):
        with pytest.raises(Malformed):
            read_docket(b"".join(spoiled), keys)
    whole = read_docket(content, keys)
    backdated = sign_docket_line(
        whole, Closed(matter="complaint-1", how="x"), ANNA, stamp(MONDAY - timedelta(hours=1))
    )
    with pytest.raises(Malformed, match="dated before"):
        read_docket(content + backdated, keys)
    stranger = sign_docket_line(whole, Closed(matter="complaint-1", how="x"), EVE, stamp(MONDAY))
    with pytest.raises(Malformed, match="not one of"):
        read_docket(content + stranger, keys)
    assert read_docket(content + stranger[:-1], keys) == whole  # torn: it never happened


def test_a_calendar_that_does_not_reach_far_enough_is_refused(docket: DocketFile) -> None:
    late = datetime(2026, 12, 30, 1, 0, tzinfo=UTC)
    docket.add(matter("approval", late), ANNA, at(late))
    with pytest.raises(Refused, match="the calendar knows 2026-01-01 to 2026-12-31, not 2027-01-01"):
        docket.standings(at(late))


@pytest.mark.parametrize(
    "fault",
    [
        'holiday = ["2026-10-32"]',
        'holiday = ["2027-01-01"]',
        'holiday = ["2026-10-01"]\nworkday = ["2026-10-01"]',
    ],
)
def test_a_calendar_with_a_fault_is_malformed(fault: str) -> None:
    head = CALENDAR.partition("holiday")[0]
    with pytest.raises(Malformed):
        decode_calendar((head + fault + "\n").encode())


@given(
    day=st.dates(date(2026, 1, 1), date(2026, 6, 1)),
    count=st.integers(1, 20),
    holidays=st.sets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=40),
)
def test_the_end_is_the_midnight_after_a_worked_day_with_as_many_between(
    day: date, count: int, holidays: set[date]
) -> None:
    calendar = Calendar(
        schema="deleatur/calendar/v1",
        offset="-05:00",
        first="2026-01-01",
        last="2026-12-31",
        holiday=tuple(map(str, sorted(holidays))),
    )
    since = datetime(day.year, day.month, day.day, 17, tzinfo=UTC)
    end = after_working_days(since, count, calendar)
    assert (end.hour, end.minute) == (5, 0)
    last = end.date() - timedelta(days=1)
    between = [day + timedelta(days=n) for n in range(1, (last - day).days + 1)]
    worked = [d for d in between if d.weekday() < 5 and d not in holidays]
    assert len(worked) == count
    assert worked[-1] == last


def test_the_command_line_from_the_first_line_to_the_alarm(tmp_path: Path) -> None:
    run = CliRunner().invoke
    phrase = tmp_path / "phrase"
    phrase.write_text("a passphrase for tests\n")
    phrase.chmod(0o600)
    home = tmp_path / "agent"
    made = run(
        deleatur,
        ["init", str(home), "--approver", "anna", "--approver", "bert", "--passphrase-file", str(phrase)],
    )
    assert made.exit_code == 0, made.output
    publics = [f"keys/{name}.pub" for name in ("anna", "bert")]
    settings = home / "deleatur.toml"
    with settings.open("a") as file:
        file.write(
            f'[docket]\nfile = "docket.jsonl"\nkeys = {json.dumps(publics)}\ncalendar = "calendar.toml"\n'
        )
    (home / "calendar.toml").write_text(CALENDAR.replace("2026-12-31", "2099-12-31"))
    (home / "report.txt").write_text("looked at ten shelves\n")

    def do(*words: str, key: str = "anna") -> Result:
        signed = ["--key", str(home / "keys" / f"{key}.key"), "--passphrase-file", str(phrase)]
        return run(deleatur, ["docket", *words, *signed, "--settings", str(settings)])

    def listed() -> Result:
        return run(deleatur, ["docket", "list", "--json", "--settings", str(settings)])

    assert do("begin").exit_code == 0
    people = ("--about", "audit 7", "--owner", "anna", "--superior", "head")
    assert do("open", "f-1", "--kind", "finding", "--due", "2099-01-01", *people).exit_code == 0
    quiet = listed()
    assert quiet.exit_code == 0
    assert json.loads(quiet.stdout)["matters"][0]["tell"] == "anna"
    assert do("remedy", "f-1").exit_code == 0
    assert isinstance(do("close", "f-1", "--how", "done").exception, Refused)
    report = ("--found", "sound", "--report", str(home / "report.txt"))
    assert do("recheck", "f-1", *report, key="bert").exit_code == 0
    assert do("close", "f-1", "--how", "done").exit_code == 0
    since = ("--since", "2026-01-02T09:00Z")
    assert do("open", "c-1", "--kind", "complaint", *people, *since).exit_code == 0
    assert do("answer", "c-1").exit_code == 0
    late = listed()
    assert isinstance(late.exception, Refused)
    assert str(late.exception) == "1 matters are overdue: c-1 (tell head)"
    answered = json.loads(late.stdout)["matters"][1]["deadlines"][0]
    assert (answered["term"], answered["missed"]) == ("answer", True)
    assert do("open", "x", "--kind", "complaint", *people, "--since", "yesterday").exit_code == 2
    os.unlink(home / "docket.jsonl")
    assert "restore it" in str(listed().exception)
