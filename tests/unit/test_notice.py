"""Who was told and when it is time, by what the ledger says: properties of the judgement."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.documents import ledger as b
from deleatur.documents.ledger import CHANNELS
from deleatur.errors import Refused
from deleatur.judge.notice import (
    Standing,
    Tally,
    cut_off_too_near,
    day_over,
    days_over,
    earliest,
    not_told,
    said,
    take,
    too_early,
)

PEOPLE = ["a" * 64, "b" * 64, "c" * 64]
BOOT = "5" * 64


def standing(*events: b.AnyHappened, at: str = "2026-11-22T08:00:00.000Z") -> Standing:
    told = Standing()
    for n, event in enumerate((opened(), *events)):
        take(told, b.LedgerEntry(n=n, at=at, previous="0" * 64, event=event))
    return told


def opened(cut_off: str = "2026-12-22") -> b.Opened:
    return b.Opened(schema="deleatur/ledger/v1", cut_off=cut_off, letters=(), boot=BOOT, uptime=100)


EVENTS = st.builds(
    lambda kind, channel, who: kind(channel, (who,)),
    st.sampled_from(
        [
            lambda c, s: b.Handing(channel=c, language="en", subjects=s),
            lambda c, s: b.Told(channel=c, subjects=s),
            lambda c, s: b.Deferred(channel=c, subjects=s),
            lambda c, s: b.Delivered(channel=c, subjects=s),
            lambda c, s: b.Undelivered(channel=c, status="5.1.1", subjects=s),
            lambda _c, s: b.Replied(subjects=s),
            lambda _c, s: b.Settled(subjects=s),
        ]
    ),
    st.sampled_from(CHANNELS),
    st.sampled_from(PEOPLE),
)


@given(st.lists(EVENTS, max_size=12))
def test_each_person_is_counted_once_and_one_who_is_told_is_not_written_to(
    events: list[b.AnyHappened],
) -> None:
    ledger = standing(*events)
    tally = Tally()
    for person in PEOPLE:
        tally.add(ledger, person, reachable=True)
        channel = ledger.next_channel(person, CHANNELS)
        if channel is not None:
            assert not ledger.told(person)
            assert ledger.state(person, channel) == 0
            earlier = CHANNELS[: CHANNELS.index(channel)]
            assert all(ledger.state(person, other) == 3 for other in earlier)  # each came back
    assert tally.told + tally.unreached + tally.untold == len(PEOPLE)
    assert bool([*not_told(tally, holds_unreached=True)]) == (tally.told < len(PEOPLE) or tally.replied > 0)


@given(st.lists(EVENTS, max_size=8), EVENTS)
def test_whoever_wrote_back_is_held_whatever_comes_but_settlement(
    events: list[b.AnyHappened], last: b.AnyHappened
) -> None:
    ledger = standing(*events, b.Replied(subjects=(PEOPLE[0],)), last)
    assert ledger.replied(PEOPLE[0]) != (isinstance(last, b.Settled) and last.subjects == (PEOPLE[0],))


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    st.integers(0, 90),
    st.sampled_from(
        [
            "Asia/Shanghai",
            "Europe/Berlin",
            "America/Los_Angeles",
            "Pacific/Kiritimati",
            "Etc/GMT+12",
            "Australia/Lord_Howe",
        ]
    ),
)
def test_in_every_time_zone_the_last_day_is_over_and_no_day_more_than_needed(
    naive: datetime, days: int, zone: str
) -> None:
    told = naive.replace(tzinfo=UTC, microsecond=0)
    opens = days_over(said(told), days)
    told_on, opens_on = told.astimezone(ZoneInfo(zone)).date(), opens.astimezone(ZoneInfo(zone)).date()
    assert (opens_on - told_on).days >= days + 1  # the day of telling, then `days` whole ones
    assert opens - told <= timedelta(days=days + 1, hours=1)


@given(st.dates(date(2026, 1, 1), date(2027, 1, 1)), st.sampled_from(["Etc/GMT+12", "Asia/Shanghai", "UTC"]))
def test_a_cut_off_day_is_over_when_it_is_over_everywhere(day: date, zone: str) -> None:
    assert day_over(day.isoformat()).astimezone(ZoneInfo(zone)).date() > day


def test_nothing_goes_before_the_later_of_term_and_cut_off() -> None:
    told = standing(
        b.Handing(channel="email", language="en", subjects=(PEOPLE[0],)),
        b.Told(channel="email", subjects=(PEOPLE[0],)),
    )
    assert said(earliest(told, 30, "2026-12-01")) == "2026-12-23T12:00:00Z"  # the letters name the 22nd
    assert said(earliest(told, 40, "2026-12-01")) == "2027-01-02T09:00:00Z"
    assert said(earliest(Standing(), 40, "2026-12-01")) == "2026-12-02T12:00:00Z"


@pytest.mark.parametrize(
    ("now", "boot", "ran", "reason"),
    [
        ("2026-12-23T12:00:00", BOOT, 32, ""),
        ("2026-12-23T11:59:59", BOOT, 32, "nothing may go before 2026-12-23T12:00:00Z"),
        ("2026-12-23T12:00:00", BOOT, 3, "the clock was set forward"),
        ("2026-12-23T12:00:00", "6" * 64, 3, ""),  # another boot: no second clock
        ("2026-11-22T07:59:59", BOOT, 32, "the clock stands before the last entry"),
    ],
)
def test_too_early(now: str, boot: str, ran: int, reason: str) -> None:
    told = standing(b.Told(channel="email", subjects=(PEOPLE[0],)))
    opens = said(earliest(told, 30, "2026-12-22"))
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    reasons = too_early(told, moment, days=30, after=opens, boot=boot, uptime=100 + ran * 86400)
    assert reason in " ".join(reasons)
    assert bool(reasons) == bool(reason)


def test_a_letter_that_comes_too_late() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert not cut_off_too_near("2026-12-22", now, 30)
    assert cut_off_too_near("2026-12-21", now, 30)


def test_time_never_goes_back() -> None:
    told = standing(at="2026-11-22T08:00:00.000Z")
    with pytest.raises(Refused, match="goes back in time at line 2"):
        take(told, b.LedgerEntry(n=1, at="2026-11-22T07:59:59.999Z", previous="0" * 64, event=opened()))
