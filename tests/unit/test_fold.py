"""The recovery rule: what the fold of any prefix of a journal says, and what comes next."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.documents import journal as j
from deleatur.documents.job import ArchivedTable, Policy, Rule, Target, Verification
from deleatur.documents.place import Identity, Pattern, Sampling, Step, Unit
from deleatur.documents.plan import Plan, PlannedHost, PlannedTarget, PluginPin, PublicKey, Software
from deleatur.judge import fold as f

HEX = "ab" * 32
KEY = PublicKey(name="agent", spki="AAAA")


def target(name: str, *, archive: bool) -> PlannedTarget:
    tables = (ArchivedTable(table="t", columns={"c": Rule(rule="drop")}),) if archive else ()
    return PlannedTarget(
        id=name,
        target=Target(id=name, url=f"memory:/{name}", archive=tables),
        identity=Identity(kind="file", fields=(("path", f"/{name}"),)),
        size=10,
        units=(Unit(name="u", size=10, digest=HEX),),
        kept=(),
        held=(),
        technique="overwrite-and-remove",
        limits=(),
        surfaces=(),
        sampling=Sampling(mode="full", count=1, seed=HEX),
        plugin=PluginPin(distribution="d", version="1", record_digest=HEX, entry_point="e"),
    )


def step(number: int, name: str, action: str, compare: str) -> Step:
    return Step(
        id=f"s{number}",
        target=name,
        technique="overwrite-and-remove",
        action=action,
        compare=compare,  # type: ignore[arg-type]
        pattern=Pattern(kind="aes-256-ctr", key=HEX),
    )


PLAN = Plan(
    schema="deleatur/plan/v1",
    id="0" * 32,
    job="job",
    job_digest=HEX,
    reason="other",
    authority="a",
    requested_by="r",
    created_at="2026-11-22T12:00:00Z",
    planned_by=KEY,
    approvers=(KEY,),
    policy=Policy(),
    verification=Verification(),
    custody=None,
    roles=(),
    targets=(target("a", archive=True), target("b", archive=False)),
    steps=(
        step(1, "a", "overwrite", "keystream"),
        step(2, "a", "remove", "absence"),
        step(3, "b", "overwrite", "keystream"),
        step(4, "b", "remove", "absence"),
    ),
    free_space=(),
    gates=(),
    host=PlannedHost(name="files-1", machine="3a" * 32),
    software=Software(agent="deleatur", version="1", python="3", record_digest=HEX),
)


def started(*, resumed: bool) -> j.Started:
    return j.Started(schema="deleatur/journal/v1", plan=HEX, selftests=1, resumed=resumed, approved_by=("k",))


def compared(name: str, **bad: Any) -> j.Compared:
    facts: dict[str, Any] = {"mismatches": 0, "unreadable": 0, "surfaces": ()} | bad
    return j.Compared(step=name, mode="full", population=1, read=1, size=10, **facts)


def verified(name: str, verdict: j.Verdict = "CLEAN") -> j.Verified:
    return j.Verified(
        target=name,
        verdict=verdict,
        reason="",
        absent=1,
        present=0,
        remaining=0,
        values=1,
        surfaces=(),
        keep_digest="",
    )


def done_by(action: f.Action) -> list[j.AnyEvent]:
    """Return the events with which a faithful engine answers an action."""
    match action:
        case f.Preflight(t):
            return [j.Preflighted(target=t.id, identity=HEX, units=1)]
        case f.AskHolds():
            return [j.Unheld(asked=())]
        case f.Archive(t):
            return [
                j.Archived(
                    target=t.id,
                    file="f",
                    sha256=HEX,
                    size=1,
                    tables=(),
                    contents="0" * 64,
                    recipients=("age1c",),
                    compared="digest",
                )
            ]
        case f.Control(t):
            return [
                j.Controlled(
                    target=t.id,
                    places=1,
                    values=1,
                    shared=0,
                    short=0,
                    seen=1,
                    set_digest=HEX,
                    surfaces=(),
                    keep_digest="",
                )
            ]
        case f.Erase(s, after):
            first = after.done if after is not None else 0
            cursors = [j.Advanced(step=s.id, position=f"p{d}", done=d) for d in range(first + 1, 4)]
            return [j.Erasing(step=s.id), *cursors, j.Erased(step=s.id, done=10)]
        case f.Compare(s):
            return [compared(s.id)]
        case f.Verify(t):
            return [verified(t.id)]
        case f.EraseKey():
            return [j.KeyErased(key="tokens")]
        case f.Certify():
            return [j.Certified(certificate="0" * 32, sha256=HEX)]
        case f.Report():
            raise AssertionError("a faithful engine leaves no residue")


def finish(progress: f.Progress) -> list[j.AnyEvent]:
    """Go on to the end; every action must lead on."""
    events: list[j.AnyEvent] = []
    while (action := f.next_action(PLAN, progress)) is not None:
        for event in done_by(action):
            f.advance(progress, event)
            events.append(event)
        assert len(events) < 100
    return events


def faithful() -> list[j.AnyEvent]:
    progress = f.Progress()
    f.advance(progress, started(resumed=False))
    return [started(resumed=False), *finish(progress)]


WHOLE = faithful()


def entries(events: list[j.AnyEvent]) -> list[j.Entry]:
    return [j.Entry(n=n, at="2026-11-22T12:00:00.000Z", previous=HEX, event=e) for n, e in enumerate(events)]


def kinds(events: list[j.AnyEvent], of: type) -> list[Any]:
    return [e for e in events if isinstance(e, of)]


def test_nothing_is_erased_before_holds_archive_and_every_control() -> None:
    first = next(n for n, e in enumerate(WHOLE) if isinstance(e, j.Erasing))
    before = WHOLE[:first]
    assert [e.target for e in kinds(before, j.Preflighted)] == ["a", "b"]
    assert kinds(before, j.Unheld)
    assert [e.target for e in kinds(before, j.Archived)] == ["a"]
    assert [e.target for e in kinds(before, j.Controlled)] == ["a", "b"]


def test_a_step_is_compared_before_the_next_one_begins() -> None:
    order = [(type(e).__name__, getattr(e, "step", "")) for e in WHOLE if hasattr(e, "step")]
    assert order.index(("Compared", "s1")) < order.index(("Erasing", "s2"))


@given(st.lists(st.integers(0, len(WHOLE)), max_size=4))
def test_any_number_of_kills_anywhere_ends_in_the_same_work_done(cuts: list[int]) -> None:
    events: list[j.AnyEvent] = [started(resumed=False)]
    progress = f.fold(entries(events))
    for cut in cuts:
        run = finish(progress)
        events += run[: min(cut, len(run) - 1)]  # a certified job never starts again
        events.append(started(resumed=True))
        progress = f.fold(entries(events))
    events += finish(progress)
    final = f.fold(entries(events))
    assert final.certified is not None
    for s in PLAN.steps:
        assert final.step(s).erased is not None
        assert s.compare == "absence" or final.step(s).compared is not None
    assert set(final.verified) == {"a", "b"}
    last_start = max(n for n, e in enumerate(events) if isinstance(e, j.Started))
    if any(isinstance(e, j.Erased | j.Erasing) for e in events[last_start:]):
        assert kinds(events[last_start:], j.Unheld), "holds are asked again by every run that erases"


@given(st.integers(1, len(WHOLE)))
def test_a_resumed_step_goes_on_from_its_last_cursor(cut: int) -> None:
    progress = f.fold(entries([*WHOLE[:cut], started(resumed=True)]))
    for s in PLAN.steps:
        cursors = [e for e in kinds(WHOLE[:cut], j.Advanced) if e.step == s.id]
        state = progress.step(s)
        assert (state.cursor.position if state.cursor else None) == (
            cursors[-1].position if cursors else None
        )


BAD: list[Callable[[], j.Compared]] = [
    lambda: compared("s1", mismatches=1),
    lambda: compared("s1", unreadable=1),
    lambda: compared("s1", surfaces=(j.SurfaceScan(name="files", size=1, hits=1, seen=1),)),
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_comparison_reports_and_never_removes(bad: Callable[[], j.Compared]) -> None:
    upto = next(n for n, e in enumerate(WHOLE) if isinstance(e, j.Compared))
    progress = f.fold(entries([*WHOLE[:upto], bad()]))
    assert f.next_action(PLAN, progress) == f.Report()


def test_after_a_bad_comparison_the_step_is_done_again_from_its_beginning() -> None:
    upto = next(n for n, e in enumerate(WHOLE) if isinstance(e, j.Compared))
    progress = f.fold(entries([*WHOLE[:upto], BAD[0](), started(resumed=True)]))
    while not isinstance(action := f.next_action(PLAN, progress), f.Erase):
        assert action is not None
        for event in done_by(action):
            f.advance(progress, event)
    assert action == f.Erase(PLAN.steps[0], None)


def test_residue_is_reported_and_looked_for_again_by_the_next_run() -> None:
    upto = next(n for n, e in enumerate(WHOLE) if isinstance(e, j.Verified))
    found = [*WHOLE[:upto], verified("a", "RESIDUE"), verified("b")]
    assert f.next_action(PLAN, f.fold(entries(found))) == f.Report()
    again = f.fold(entries([*found, started(resumed=True)]))
    assert not again.verified, "the run that certifies is the run that looked"


def test_an_inconclusive_verdict_leads_to_a_certificate_that_says_so() -> None:
    upto = next(n for n, e in enumerate(WHOLE) if isinstance(e, j.Verified))
    progress = f.fold(entries([*WHOLE[:upto], verified("a", "INCONCLUSIVE"), verified("b")]))
    assert f.next_action(PLAN, progress) == f.EraseKey()  # and then Certify
