"""A client that learns how fast a server takes it, on a clock of its own."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from deleatur_plugins.s3.pacing import Pace

WORKERS, BATCH = 8, 250


@dataclass
class World:
    """A server that takes `limit` keys a second, with one second's worth in store, and its clock."""

    limit: float
    now: float = 0.0
    store: float = 0.0
    seen: float = 0.0
    taken: int = 0
    refused: int = 0
    under_way: list[tuple[float, float, bool]] = field(default_factory=list)  # answer's moment, sent, well

    def accepts(self, cost: int) -> bool:
        self.store = min(self.limit, self.store + (self.now - self.seen) * self.limit)
        self.seen = self.now
        if self.store < cost:
            return False
        self.store -= cost
        return True


def drive(world: World, pace: Pace, seconds: float, answer_takes: float) -> None:
    """Let several workers send batches; each answer comes later, also when others are under way."""
    while world.now < seconds:
        while world.under_way and (len(world.under_way) >= WORKERS or world.under_way[0][0] <= world.now):
            moment, sent, well = heapq.heappop(world.under_way)
            world.now = max(world.now, moment)
            if not well:
                pace.refused(sent)
        sent = pace.take(BATCH)
        well = world.accepts(BATCH)
        world.taken += BATCH if well else 0
        world.refused += 0 if well else BATCH
        heapq.heappush(world.under_way, (world.now + answer_takes, sent, well))


def driven(limit: float, kind: Callable[..., Pace] = Pace, answer_takes: float = 0.02) -> tuple[float, float]:
    """Return how much of the rate was used, and which part was refused, in five minutes."""
    world = World(limit, store=limit)

    def sleep(seconds: float) -> None:
        world.now += seconds

    pace = kind(100.0, lambda: world.now, sleep)
    drive(world, pace, 300.0, answer_takes)
    return world.taken / (limit * world.now), world.refused / (world.taken + world.refused)


@pytest.mark.parametrize("answer_takes", [0.002, 0.02, 0.2])
@pytest.mark.parametrize("limit", [2_000.0, 3_500.0, 9_000.0])
def test_a_limit_is_held_closely_and_hardly_ever_passed(limit: float, answer_takes: float) -> None:
    used, refused = driven(limit, answer_takes=answer_takes)
    assert used >= 0.9
    assert refused < 0.01


def test_a_server_that_takes_more_later_gets_more() -> None:
    world = World(1_000.0, store=1_000.0)

    def sleep(seconds: float) -> None:
        world.now += seconds

    pace = Pace(100.0, lambda: world.now, sleep)
    drive(world, pace, 60.0, 0.02)
    before = world.taken / 60
    world.limit = 4_000.0
    drive(world, pace, 900.0, 0.02)
    assert pace.refused_once
    assert (world.taken - before * 60) / 840 > 2 * before


class Deaf(Pace):
    """Goes on as if nothing had been said."""

    def refused(self, sent: float) -> None:
        del sent


class Timid(Pace):
    """Never faster again after a refusal."""

    def _rise(self, passed: float) -> None:
        if not self.refused_once:
            super()._rise(passed)


def test_who_does_not_listen_or_never_dares_again_is_caught() -> None:
    """The control: these numbers tell a good pace from a bad one."""
    assert driven(3_500.0, Deaf)[1] > 0.01
    assert driven(3_500.0, Timid)[0] < 0.9


def test_a_rate_does_not_rise_while_nothing_is_sent() -> None:
    now = [0.0]
    pace = Pace(100.0, lambda: now[0], lambda _: None)
    pace.take(250)
    before = pace.rate
    now[0] += 3600.0
    pace.take(250)
    assert pace.rate < before * 1.2


def test_nothing_leads_below_the_least_rate() -> None:
    moments = iter(range(1_000_000))
    pace = Pace(100.0, lambda: float(next(moments)), lambda _: None)
    for _ in range(100):
        pace.refused(pace.take(1))
    begun = pace.take(100)
    assert pace.take(0) - begun <= 1.0 + 1.0
