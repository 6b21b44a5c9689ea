"""Devices that are worked on at the same time share the processors."""

import os
from functools import partial
from threading import Barrier, Event

import pytest

from deleatur.engine.together import perform_together
from deleatur.sanitize.abreast import abreast, threads_for_one


@pytest.mark.parametrize(
    ("processors", "devices", "threads"),
    [(2, 1, 4), (2, 2, 2), (2, 3, 1), (2, 4, 1), (2, 40, 1), (1, 1, 2), (1, 2, 1), (8, 4, 4), (8, 5, 3)],
)
def test_each_gets_its_share_and_one_at_least(
    monkeypatch: pytest.MonkeyPatch, processors: int, devices: int, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(processors)))
    with abreast(devices):
        assert threads_for_one(4) == threads
    assert threads_for_one(1) == 1


def test_devices_of_a_job_know_how_many_they_are_and_the_next_one_is_alone_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})
    given, meeting = [], Barrier(4, timeout=60)

    def work() -> None:
        meeting.wait()  # all of them run
        given.append(threads_for_one(4))

    perform_together([partial(work) for _ in range(4)], Event())
    assert given == [1, 1, 1, 1]
    assert threads_for_one(4) == 4
