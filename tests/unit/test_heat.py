"""A pause for a device that is too hot: by its own words, until it has cooled, and not for ever."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.devices import nvme
from deleatur.errors import Failed, Interrupted
from deleatur.sanitize.heat import Cooling, Heat

LIMIT = 343  # kelvin


class Day:
    """A clock that waiting moves, and a device whose heat depends on it."""

    def __init__(self, heat: Callable[[float], Heat | None]) -> None:
        self.now = 0.0
        self.asked: list[float] = []
        self.told: list[tuple[int, bool]] = []
        self.heat = heat
        self.cooling = Cooling(
            self.ask, self.wait, lambda *said: self.told.append(said), clock=lambda: self.now
        )

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def ask(self) -> Heat | None:
        """Answer as the device does now."""
        self.asked.append(self.now)
        return self.heat(self.now)


def test_it_pauses_from_hot_until_cool_and_not_until_between():
    day = Day(lambda now: Heat.hot if now < 20 else Heat.between if now < 40 else Heat.cool)
    day.cooling.begin()
    assert day.now == 40
    assert day.told == [*((n, False) for n in range(0, 40, 5)), (40, True)]


@pytest.mark.parametrize("heat", [None, Heat.cool, Heat.between])
def test_nobody_pauses_who_is_not_hot(heat):
    day = Day(lambda _: heat)
    day.cooling.begin()
    assert (day.now, day.told) == (0, [])


def test_a_device_that_falls_silent_in_a_pause_is_waited_for():
    day = Day(lambda now: Heat.hot if now < 20 else None if now < 30 else Heat.cool)
    day.cooling.begin()
    assert day.now == 30


def test_a_device_that_is_always_hot_ends_the_run():
    day = Day(lambda _: Heat.hot)
    with pytest.raises(Failed, match="still too hot after 30 minutes; cool it, then resume"):
        day.cooling.begin()
    assert day.now == 1800
    with pytest.raises(Failed):  # nor does the next piece slip past it
        day.cooling.begin()


def test_a_pause_can_be_stopped():
    day = Day(lambda _: Heat.hot)

    def stop(_: float) -> None:
        raise Interrupted("stopped")

    day.cooling.wait = stop
    with pytest.raises(Interrupted):
        day.cooling.begin()


@given(st.lists(st.floats(0, 3), max_size=60))
def test_it_is_asked_every_few_seconds_at_most(idle: list[float]):
    day = Day(lambda _: Heat.cool)
    for seconds in idle:
        day.now += seconds
        day.cooling.begin()
    assert all(later - first >= 5.0 for first, later in zip(day.asked, day.asked[1:], strict=False))


@pytest.mark.parametrize(
    ("kelvin", "warnings", "limit", "heat"),
    [
        (LIMIT, 0, LIMIT, Heat.hot),
        (LIMIT + 1, 2, LIMIT, Heat.hot),
        (LIMIT - 1, 2, LIMIT, Heat.between),
        (LIMIT - 1, 0xFD, LIMIT, Heat.cool),
        (0, 2, LIMIT, None),
        (LIMIT, 2, 0, None),
    ],
)
def test_the_controllers_own_threshold_decides(kelvin, warnings, limit, heat):
    health, identity = bytearray(512), bytearray(4096)
    struct.pack_into("<BH", health, 0, warnings, kelvin)
    struct.pack_into("<H", identity, 266, limit)
    overheated = nvme.IdentifyController.decode(bytes(identity)).overheated
    assert nvme.HealthLog.decode(bytes(health)).heat(overheated) is heat
