"""Servers whose pages leave entries out: SeaweedFS walks folders, and calls the next page by a name."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from deleatur.errors import Refused, Residue
from deleatur.testing.workbench import Workbench
from deleatur_plugins.s3 import S3Backend, listing
from deleatur_plugins.s3.canary import Canary

from ..s3_proxy import Request, Said, error, honest
from ..s3_server import Server, s3_server
from .test_s3_backend import JOB, World, make_world  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


_HIDING = ("a/1", "a/2", "a/3", "a ", "a-b", "a-c", "a.d", "a", "z")  # a walk of folders comes to a/ first
_CHOSEN = ("goes/a-b", "goes/a-c", "goes/z")


def _nested(world: World) -> None:
    for name in _HIDING:
        for _ in range(2):
            world.client.put(world.bucket, f"goes/{name}", b"1")


def test_where_pages_leave_entries_out_nothing_is_erased_beside_what_stays(
    make_world: Callable[..., World],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SeaweedFS does; a selection would leave what no page shows, and a listing would show none of it."""
    monkeypatch.setattr(listing, "PAGE", 4)
    world = make_world()
    _nested(world)
    with pytest.raises(Refused, match="listings leave out entries"):
        _run_selected(world)
    assert len(world.left()) == 2 * len(_HIDING)
    assert [r for r in world.changes() if r.bucket == world.bucket] == []
    blind = make_world()  # the control: who does not try it ends well, with versions of the selection left
    _nested(blind)
    monkeypatch.setattr(Canary, "_pages_are_whole", lambda _: True)
    _run_selected(blind)
    assert {key for _, key, _ in blind.left()} & {*_CHOSEN} == {"goes/a-b", "goes/a-c"}


def _run_selected(world: World) -> None:
    bench = Workbench(world.folder / uuid.uuid4().hex, {"s3": S3Backend})
    where = '[{ column = "@key", operator = "in", values_from = "keys.txt" }]'
    directory = bench.job(
        JOB.format(url=world.url) + f'[[target.select]]\ntable = "objects"\nwhere = {where}\n'
    )
    (directory.path / "keys.txt").write_text("\n".join(_CHOSEN) + "\n")
    bench.plan(directory)
    bench.approve(directory)
    bench.run(directory)


def test_what_pages_left_out_shows_when_all_else_is_gone(
    make_world: Callable[..., World],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "PAGE", 4)
    world = make_world()
    _nested(world)
    bench, directory = world.planned()
    with pytest.raises(Residue):
        bench.run(directory)
    assert not directory.certificate.exists()
    assert world.left()
    for _ in range(len(_HIDING)):
        if world.left():
            world.folder = world.folder / "again"
            bench, directory = world.planned()
            with suppress(Residue):
                bench.run(directory)
    assert world.left() == []
    assert directory.certificate.exists()


def test_a_server_that_takes_no_object_beside_a_folder_of_its_name_is_none_the_worse(
    make_world: Callable[..., World],  # noqa: F811
) -> None:
    world = make_world()
    world.fill()
    refused: list[str] = []

    def judge(request: Request) -> Said:
        if request.method == "PUT" and request.target.endswith("/folder"):
            refused.append(request.target)
            return error(409, "ExistingObjectIsDirectory")
        return honest(request)

    world.proxy.judge = judge
    bench, directory = world.planned()
    bench.run(directory)
    assert refused
    assert world.left() == []
