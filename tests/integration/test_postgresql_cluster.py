"""A whole cluster goes as files: refused while its server runs; nothing is on the device after it stopped."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.api import Refused, Target
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.file import FileBackend

from ..postgresql_server import RunningServer, running_server

pytestmark = pytest.mark.root

JOB = """
schema = "deleatur/job/v1"
name = "close-down"
reason = "contract-end"
authority = "board decision 7 of 2026"
requested_by = "legal"

[verification]
device = true

[[target]]
id = "cluster"
url = "file://{data}"
"""
REST = """
[[free_space]]
id = "disk"
folder = "{point}"
margin = 0

[[target]]
id = "tablespace"
url = "file://{point}/space"
"""


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """A server with a table in its data directory, and one in a tablespace."""
    with running_server(megabytes=120, settings={"wal_level": "minimal", "max_wal_senders": "0"}) as server:
        space = server.point / "space"
        space.mkdir()
        shutil.chown(space, "postgres", "postgres")
        server.run(f"CREATE TABLESPACE elsewhere LOCATION '{space}'")
        made = "SELECT n, n % 2 = 0 AS leaves, md5(n::text || random()) AS name FROM generate_series(1, 40) n"
        server.run(
            f"CREATE TABLE person AS {made}",
            f"CREATE TABLE away TABLESPACE elsewhere AS {made}",
            "CHECKPOINT",
        )
        yield server


def test_it_is_refused_while_the_server_runs_and_tablespaces_are_told(
    server: RunningServer, tmp_path: Path
) -> None:
    bench = Workbench(tmp_path)
    text = JOB.format(data=server.data)
    with pytest.raises(Refused, match=r"is in use by process \d+ \(postgres\); end it"):
        bench.plan(bench.job(text, "running"))
    assert len(server.run("SELECT 1 FROM person")) == 40
    server.control("-m", "fast", "stop")
    (planned,) = bench.plan(bench.job(text, "stopped")).plan.targets
    assert "links-elsewhere" in planned.limits, "what they lead to is no part of it"


@pytest.mark.campaign
def test_nothing_is_left_on_the_device(server: RunningServer, tmp_path: Path) -> None:
    names = [name for table in ("person", "away") for (name,) in server.run(f"SELECT name FROM {table}")]
    raw = server.raw()
    assert [n for n in names if n.encode() not in raw] == [], "the control"
    server.control("-m", "fast", "stop")
    bench = Workbench(tmp_path)
    job = bench.whole(JOB.format(data=server.data) + REST.format(point=server.point))
    raw = server.raw()
    assert [n for n in names if n.encode() in raw] == []
    assert not server.data.exists()
    checked = verify(job.certificate, [bench.agent.public], 1, None).certificate
    assert {v.verdict for v in checked.verification} == {"CLEAN"}
    assert {e.sentence.id for e in checked.exceptions} >= {"links-elsewhere", "symlink-text"}


def test_links_that_lead_out_of_a_target_and_those_that_do_not(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "treehouse"
    (tree / "below").mkdir(parents=True)
    outside.mkdir()

    def told() -> bool:
        target = Target(id="t", url=f"file://{tree}")
        with closing(FileBackend.open(target, {"digest-key": bytes(32)})) as backend:
            return "links-elsewhere" in backend.inspect().offers[0].limits

    (tree / "below/up").symlink_to("..")
    (tree / "here").symlink_to("below/nothing")
    (tree / "circle").symlink_to("circle")
    (tree / "nowhere").symlink_to(tmp_path / "nothing")
    assert not told()
    (tree / "below/out").symlink_to("../../treehouse")
    assert told()
    (tree / "below/out").unlink()
    (outside / "back").symlink_to(tree / "below")
    (tree / "round").symlink_to("../treehouse/back")
    assert not told(), "it comes back into the target"
