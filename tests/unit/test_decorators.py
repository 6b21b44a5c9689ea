"""Decorators of backends: they keep the contract, retry only what is transient, and slow down honestly."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from deleatur.api import Backend, Cursor, Failed, Selection, Step, Target, Transient, Unsupported
from deleatur.documents.job import ArchivedTable, Rule
from deleatur.engine.decorators import LONGEST_DELAY, Around, opened_through, retrying, throttled
from deleatur.sanitize.pace import Pace
from deleatur.testing.faults import run_killed_after
from deleatur.testing.faulty import Verb, dying, faulty, raising
from deleatur.testing.memory import MemoryBackend, Store, memory_url
from deleatur.testing.memory_contract import MemoryContract
from deleatur.testing.trial import steps_of

BUSY = Transient("busy; try again")
SECRETS = {"digest-key": bytes(32)}


class TestDecorated(MemoryContract):
    """One around the other, they still keep every promise."""

    backend = opened_through(MemoryBackend, lambda b: Around(throttled(retrying(b, 3, 0), Pace(1e9))))


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def pace(self, rate: float) -> Pace:
        """Return a pace that keeps to this clock."""
        return Pace(rate, clock=lambda: self.now, wait=self.sleep)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    store = Store.create(tmp_path / "s", {"a": [b"1" * 100, b"2" * 100, b"3" * 100], "b": [b"kept"]})
    return Target(id="t", url=memory_url(store.folder), select=(Selection(table="a"),))


def failing(target: Target, verb: Verb, n: int, error: Exception = BUSY) -> Backend:
    return faulty(MemoryBackend, verb, n, raising(error)).open(target, SECRETS)


def step() -> Step:
    return steps_of("forget", "t")[0]


ASKING = {
    "inspect": lambda b: b.inspect(),
    "sample": lambda b: list(b.sample(None, b"")),
    "probe": lambda b: b.probe(next(iter(b.sample(1, b"")))),
    "bystanders": lambda b: list(b.bystanders()),
}


@pytest.mark.parametrize("verb", ASKING)
@pytest.mark.parametrize("n", [1, 2])
def test_a_transient_failure_is_asked_again_and_the_answer_is_whole(
    target: Target, verb: Verb, n: int
) -> None:
    clock = Clock()
    expected = ASKING[verb](MemoryBackend.open(target, SECRETS))
    inner = failing(target, verb, n)
    assert ASKING[verb](retrying(inner, 2, 1.0, sleep=clock.sleep)) == expected
    if n == 1 or verb in ("sample", "bystanders"):
        assert clock.slept == [1.0]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_an_erase_goes_on_from_its_last_cursor(target: Target, n: int) -> None:
    clock = Clock()
    cursors = list(retrying(failing(target, "erase", n), 2, 1.0, sleep=clock.sleep).erase(step(), None))
    assert [c.position for c in cursors] == ["box-1", "box-2", "box-3"]
    assert [c.done for c in cursors] == [100, 200, 300]
    assert clock.slept == [1.0]


class Busy(MemoryBackend):
    """Never gets anywhere."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        raise BUSY

    def inspect(self):  # type: ignore[no-untyped-def]
        raise BUSY


def test_patience_ends_and_the_waits_double_up_to_a_limit(target: Target) -> None:
    clock = Clock()
    busy = retrying(Busy.open(target, SECRETS), 9, 1.0, sleep=clock.sleep)
    with pytest.raises(Transient, match="busy"):
        list(busy.erase(step(), None))
    assert clock.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_DELAY, LONGEST_DELAY]
    with pytest.raises(Transient, match="busy"):
        busy.inspect()
    assert len(clock.slept) == 16


@pytest.mark.parametrize("error", [OSError(5, "io"), Failed("no"), Unsupported("no")])
def test_nothing_else_is_retried(target: Target, error: Exception) -> None:
    clock = Clock()
    with pytest.raises(type(error)):
        list(retrying(failing(target, "erase", 2, error), 5, 1.0, sleep=clock.sleep).erase(step(), None))
    with pytest.raises(type(error)):
        retrying(failing(target, "inspect", 1, error), 5, 1.0, sleep=clock.sleep).inspect()
    assert clock.slept == []


def test_records_are_asked_again_only_before_the_first(target: Target) -> None:
    keep = Rule(rule="keep")
    archived = ArchivedTable(table="a", columns={"number": keep, "content": keep})
    target = msgspec.structs.replace(target, archive=(archived,))
    expected = list(MemoryBackend.open(target, SECRETS).records("a"))
    assert len(expected) == 3
    clock = Clock()
    again = retrying(failing(target, "records", 1), 2, 1.0, sleep=clock.sleep)
    assert list(again.records("a")) == expected
    half_way = retrying(failing(target, "records", 2), 2, 1.0, sleep=clock.sleep)
    with pytest.raises(Transient):
        list(half_way.records("a"))
    assert clock.slept == [1.0]


def test_a_throttled_erase_takes_its_time_after_each_cursor(target: Target) -> None:
    clock = Clock()
    slow = throttled(MemoryBackend.open(target, SECRETS), clock.pace(50.0))
    cursors = slow.erase(step(), None)
    assert next(cursors).done == 100
    assert clock.slept == []  # the cursor is out, and journalled, before anybody waits
    assert len(list(cursors)) == 2
    assert clock.slept == [2.0, 2.0, 2.0]


def test_a_resumed_erase_is_not_charged_for_what_was_done_before(target: Target) -> None:
    clock = Clock()
    backend = MemoryBackend.open(target, SECRETS)
    slow = throttled(backend, clock.pace(50.0))
    list(slow.erase(step(), Cursor(position="box-2", done=200)))
    assert clock.slept == [2.0]


def test_a_storage_slower_than_the_limit_never_waits(target: Target) -> None:
    clock = Clock()

    def passing() -> float:
        clock.now += 10
        return clock.now

    backend = MemoryBackend.open(target, SECRETS)
    list(throttled(backend, Pace(50.0, clock=passing, wait=clock.sleep)).erase(step(), None))
    assert clock.slept == []


@pytest.mark.parametrize("compare", ["marked", "changed", "size"])
def test_what_a_device_does_by_itself_is_not_waited_for(target: Target, compare: str) -> None:
    clock = Clock()
    slow = throttled(MemoryBackend.open(target, SECRETS), clock.pace(1.0))
    assert len(list(slow.erase(msgspec.structs.replace(step(), compare=compare), None))) == 3
    assert clock.slept == []


def test_a_decorator_opens_nothing(target: Target) -> None:
    with pytest.raises(Unsupported, match="put the decorator around it"):
        Around.open(target, SECRETS)


def test_numbers_that_make_no_sense_are_refused(target: Target) -> None:
    backend = MemoryBackend.open(target, SECRETS)
    with pytest.raises(ValueError, match="attempt"):
        retrying(backend, 0, 1.0)


def test_a_fault_can_be_death(target: Target) -> None:
    dies = faulty(MemoryBackend, "erase", 2, dying).open(target, SECRETS)
    died = run_killed_after(lambda: (c.position for c in dies.erase(step(), None)), 99)
    assert died.killed
    assert died.told == ("box-1",)
