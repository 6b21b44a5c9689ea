"""The last days of gates, counted back from the end; a late one is an alarm."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from deleatur.cli.group import deleatur
from deleatur.documents.policy import Pack
from deleatur.documents.policy_rules import decode_policy
from deleatur.engine.directory import JobDirectory
from deleatur.engine.packs import shipped
from deleatur.engine.reached import reached
from deleatur.errors import Refused
from deleatur.judge.notice import days_over
from deleatur.judge.schedule import GATES, Days, certificate_until, months_before, schedule
from deleatur.testing.workbench import Workbench

END = date(2027, 6, 30)
DAYS = Days(map=30, archive=14, erase=7)
LONG = """
schema = "deleatur/policy/v1"
id = "own"
version = "1"
title = "Our own"
jurisdiction = "any"
date = "2026-11-22"
notice = { days = 60, sources = ["own"] }
certificate = { years = 12, sources = ["own"] }
[[source]]
id = "own"
kind = "house"
text = "We tell people two months before."
where = "minutes of the board"
date = "2026-11-22"
checked = "verified"
"""
JOB = """
schema = "deleatur/job/v1"
name = "shelf"
reason = "other"
authority = "a test"
requested_by = "tester"
[[target]]
id = "shelf"
url = "file:../shelf"
"""


def by(end: date = END, packs: tuple[Pack, ...] = shipped(), days: Days = DAYS, **more) -> dict[str, date]:
    given = {"reached": None, "today": date(2026, 1, 1)} | more
    return {one.gate: one.day for one in schedule(end, packs, days, **given)}


def test_the_golden_schedule() -> None:
    assert by() == {
        "begin": date(2026, 12, 30),
        "map": date(2027, 5, 8),
        "notice": date(2027, 5, 8),
        "archive": date(2027, 6, 9),
        "erase": date(2027, 6, 23),
        "certificate": END,
    }
    assert certificate_until(END, shipped()) == date(2032, 6, 30)


def test_the_strictest_policy_counts() -> None:
    own = decode_policy(LONG.encode())
    assert by(packs=(*shipped(), own))["notice"] == date(2027, 4, 8)
    assert certificate_until(END, (*shipped(), own)) == date(2039, 6, 30)


@given(
    end=st.dates(date(2020, 1, 1), date(2100, 1, 1)),
    map_days=st.integers(0, 900),
    archive=st.integers(0, 90),
    erase=st.integers(0, 90),
)
def test_who_keeps_to_the_schedule_is_never_late_for_a_term(
    end: date, map_days: int, archive: int, erase: int
) -> None:
    days = by(end, days=Days(map=map_days, archive=archive, erase=erase))
    assert [days[gate] for gate in GATES] == sorted(days.values())
    assert days_over(f"{days['notice']}T23:59:59.999Z", 30).date() <= days["archive"]
    assert days["begin"] <= months_before(end, 6)
    assert (days["map"] - days["begin"]).days >= map_days


@pytest.mark.parametrize(
    ("day", "before"),
    [
        (date(2027, 8, 31), date(2027, 2, 28)),
        (date(2028, 8, 31), date(2028, 2, 29)),
        (date(2027, 6, 30), date(2026, 12, 30)),
    ],
)
def test_six_months_before_is_a_day_of_the_calendar(day: date, before: date) -> None:
    assert months_before(day, 6) == before


@given(st.sampled_from([None, *GATES]), st.integers(-400, 30))
def test_only_what_is_not_done_after_its_day_is_late(far: str | None, offset: int) -> None:
    today = END + timedelta(days=offset)
    for number, one in enumerate(schedule(END, shipped(), DAYS, reached=far, today=today)):
        done = far is not None and number <= GATES.index(far)
        assert (one.done, one.late) == (done, not done and today > one.day)


def test_a_job_is_as_far_as_its_documents_show(tmp_path: Path) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "list.csv").write_text("".join(f"{n}@mail.example.org\n" for n in range(9)))
    bench = Workbench(tmp_path)
    job = bench.job(JOB)
    assert reached(None, [job]) is None
    bench.plan(job)
    assert reached(None, [job]) == "map"
    bench.approve(job)
    bench.run(job)
    assert reached(None, [job]) == "certificate"
    other = JobDirectory(tmp_path / "other")
    assert reached(None, [job, other]) is None


def test_a_late_gate_is_exit_code_4_for_cron() -> None:
    run = CliRunner().invoke
    on_time = run(deleatur, ["schedule", str(END), "--check", "--on", "2026-12-30"])
    assert (on_time.exit_code, on_time.output) == (0, "")
    late = run(deleatur, ["schedule", str(END), "--check", "--on", "2026-12-31"])
    assert isinstance(late.exception, Refused)
    assert late.exception.exit_code == 4
    assert str(late.exception).startswith("late for the end on 2027-06-30: begin (by 2026-12-30)")
    shown = run(deleatur, ["schedule", str(END), "--json", "--on", "2027-05-09"])
    gates = json.loads(shown.stdout)["gates"]
    assert [one["gate"] for one in gates if one["late"]] == ["begin", "map", "notice"]
    assert run(deleatur, ["schedule", "0001-01-01"]).exit_code == 2
    assert run(deleatur, ["schedule", "soon"]).exit_code == 2
