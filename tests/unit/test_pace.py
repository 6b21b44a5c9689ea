"""A rate that is kept: in any stretch of time, and by all that is read and written, whoever asks for it."""

import itertools
from collections.abc import Sequence
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.engine.together import perform_together, waiting
from deleatur.errors import Interrupted
from deleatur.sanitize.pace import Pace, keep_pace, kept
from deleatur.sanitize.pipeline import in_order

RATE = 1000.0  # bytes a second
ROUNDING = 1e-6


class Saving(Pace):
    """Lets what was not used before be used later, as a bucket of tokens does."""

    def take(self, amount: int) -> None:
        """Wait only when the whole run has been too fast."""
        begin, self._free = self._free, self._free + amount / self.rate
        if begin > self.clock():
            self.wait(begin - self.clock())


class Day:
    """A clock that waiting moves, and what began when."""

    def __init__(self, kind: type[Pace] = Pace) -> None:
        self.now = 0.0
        self.begun: list[tuple[float, int]] = []
        self.pace = kind(RATE, clock=lambda: self.now, wait=self.wait)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def go(self, pieces: Sequence[tuple[float, int]]) -> None:
        """Do piece after piece, each so many seconds after the one before has begun."""
        for idle, amount in pieces:
            self.now += idle
            self.pace.take(amount)
            self.begun.append((self.now, amount))

    def too_fast(self) -> bool:
        """Say whether, between any two beginnings, more began than the rate allows."""
        for first, last in itertools.combinations(range(len(self.begun)), 2):
            amount = sum(amount for _, amount in self.begun[first:last])
            if amount > RATE * (self.begun[last][0] - self.begun[first][0]) + ROUNDING:
                return True
        return False


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 5000)), max_size=30))
def test_no_stretch_of_time_sees_more_than_the_rate(pieces: list[tuple[float, int]]) -> None:
    day = Day()
    day.go(pieces)
    assert not day.too_fast()


def test_a_pace_that_saves_up_is_told_from_one_that_does_not() -> None:
    day = Day(Saving)
    day.go([(0, 100), (10, 1000), (0, 1000), (0, 1000)])
    assert day.too_fast()


def test_nobody_waits_who_is_slower_than_the_rate() -> None:
    day = Day()
    day.go([(1.0, 1000)] * 5)
    assert day.now == 5.0


@pytest.mark.parametrize("threads", [1, 4])
def test_pieces_that_are_read_or_written_keep_the_pace(threads: int) -> None:
    day = Day()
    pieces = [(at, 500) for at in range(0, 10_000, 500)]
    with kept(day.pace):
        assert len(list(in_order(pieces, lambda at, _: at, threads=threads, room=500))) == 20
    assert day.now == 9.5  # the last begins when those before it have had their time
    list(in_order(pieces, lambda at, _: at, threads=threads, room=500))
    assert day.now == 9.5  # outside nobody waits


def test_all_devices_together_keep_one_pace() -> None:
    day = Day()

    def work() -> None:
        for _ in range(5):
            keep_pace(100)

    with kept(day.pace):
        perform_together([work, work, work], Event())
    day.pace.take(0)
    assert day.now >= 15 * 100 / RATE - ROUNDING


@pytest.mark.parametrize("rate", [0, -1.0, float("nan")])
def test_a_rate_that_makes_no_sense_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        Pace(rate)


def test_whoever_waits_hears_that_the_run_is_stopped() -> None:
    halt = Event()
    heard: list[type[BaseException]] = []

    def wait() -> None:
        try:
            waiting(halt)(float("inf"))
        except Interrupted:
            heard.append(Interrupted)

    thread = Thread(target=wait, daemon=True)
    thread.start()
    halt.set()
    thread.join(20)
    assert heard == [Interrupted]
