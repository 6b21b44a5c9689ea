"""A job on a bucket that is killed around any entry of its journal, on a server with troubles of its own."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from deleatur.errors import Refused, Transient
from deleatur_plugins.s3 import deleting

from ..journal_entries import Moment, run_killed_at_entry
from ..s3_proxy import Request, Said, error, honest
from ..s3_server import Server, s3_server
from .test_s3_backend import World, certificate, make_world  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


@dataclass
class Trouble:
    """Refuse each so-many-th request to the target, and keep a book of what was deleted."""

    bucket: str
    every: int  # requests; 0: none is refused
    answer: Said
    count: int = 0
    deleted: Counter[str] = field(default_factory=Counter)

    def judge(self, request: Request) -> Said:
        if request.bucket != self.bucket:
            return honest(request)
        self.count += 1
        if self.every and self.count % self.every == 0:
            return self.answer
        said = honest(request)
        if request.method == "POST" and "delete" in request.words:
            self.deleted.update(re.findall(r"<VersionId>([^<]+)</VersionId>", request.body.decode()))
        return said


TROUBLES = {
    "none": (0, error(503, "SlowDown")),
    "busy": (12, error(503, "SlowDown")),
    "cut off": (12, (200, {"X-Cut-Off": "1"}, b"<ListVersionsResult>" + b" " * 100)),
}


def lives_through(world: World, number: int, moment: Moment, trouble: Trouble) -> bool:
    """Kill the job around an entry and let it end; False when it has fewer entries."""
    world.fill(keys=8)
    bench, directory = world.planned()
    before = world.staying()
    planned = {id_ for kind, _, id_ in world.left() if kind != "Upload"}
    world.proxy.judge = trouble.judge

    def run() -> None:
        bench.run(directory)

    killed = run_killed_at_entry(run, number, moment)
    for _ in range(20):
        if directory.certificate.exists():
            break
        with suppress(Refused, Transient):
            run()
    world.proxy.judge = honest
    assert world.left() == []
    assert world.staying() == before
    assert certificate(directory, bench).inventory[0].units_before == len(planned) + 1
    assert {*trouble.deleted} == planned
    assert [id_ for id_, times in trouble.deleted.items() if times > 1] == [], "sent again"
    return killed


@pytest.mark.parametrize(("number", "moment"), [(5, "before"), (9, "after"), (13, "before")])
def test_killed_at_some_entries_of_a_busy_server_the_job_ends_at_nothing(
    make_world: Callable[..., World],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    moment: Moment,
) -> None:
    monkeypatch.setattr(deleting, "BATCH", 6)
    world = make_world()
    assert lives_through(world, number, moment, Trouble(world.bucket, *TROUBLES["busy"]))


@pytest.mark.campaign
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", TROUBLES)
def test_killed_at_any_entry_the_job_ends_at_nothing(
    make_world: Callable[..., World],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    moment: Moment,
) -> None:
    monkeypatch.setattr(deleting, "BATCH", 6)
    for number in itertools.count(1):
        world = make_world()
        world.folder = world.folder / f"{number}"
        if not lives_through(world, number, moment, Trouble(world.bucket, *TROUBLES[kind])):
            assert number > 15, "the job has more entries than that"
            return
