"""A device that erases itself: whole jobs, in which it is honest, lies, spares old data or stands still.

The device is a loop device whose "own command" is a function of the test: what the core makes of its
word is tried here; what real commands look like, in tests/unit/test_device_erasing.py and tests/lab.
"""

import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deleatur.devices import commanding
from deleatur.documents.place import Cursor, Exchange, Offer
from deleatur.errors import Failed, Residue
from deleatur.judge.markers import MARKER, marker_places
from deleatur.sanitize.patterns import laid
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block import BlockBackend

from ..fake_drives import as_drives
from ..lab.jobs import job, pattern_of, predicate
from .loops import MIB, Loop, loop_over

pytestmark = pytest.mark.root
SIZE = 44 * MIB  # more than the markers cover
SENT = Exchange(sent="84" + "00" * 63, answered="0000 00000000", milliseconds=3)
Erase = Callable[[int, str], None]


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    with loop_over(tmp_path / "image", os.urandom(SIZE)) as made:
        yield made


class Bench(Workbench):
    """A workbench where loop devices have a command of their own."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, {"block": BlockBackend})
        self._patch = patch
        as_drives(patch)
        offers = (Offer(technique="nvme-sanitize-crypto"),)
        patch.setattr(BlockBackend, "_allowed", lambda *_: (offers, ()))

    def behave(self, erase: Callable[[int, Cursor | None], None]) -> None:
        def command(fd: int, size: int, after: Cursor | None, *_: Any) -> Iterator[Cursor]:
            erase(fd, after)
            yield Cursor(position="accepted", done=0, exchanges=(SENT,))
            yield Cursor(position="done", done=size, exchanges=(SENT,))

        self._patch.setitem(commanding.COMMANDS, "nvme-sanitize-crypto", command)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path / "jobs", monkeypatch)


def ask(loop: Loop, mode: str = "full") -> str:
    return job(loop.path, "nvme-sanitize-crypto", mode)


def write(fd: int, offset: int, content: bytes) -> None:
    """Change the medium as its own command would: below everything that the host does."""
    room = mmap.mmap(-1, len(content))
    room.write(content)
    assert os.pwrite(fd, room, offset) == len(content)


def all_new(fd: int, _after: Cursor | None) -> None:
    for at in range(0, SIZE, MIB):
        write(fd, at, os.urandom(MIB))


@pytest.mark.parametrize("mode", ["full", "sample"])
def test_an_honest_device_is_attested_and_no_more(bench: Bench, loop: Loop, mode: str) -> None:
    bench.behave(all_new)
    directory = bench.whole(ask(loop, mode))
    found = predicate(directory)
    outcome = found["outcome"]["perTarget"][0]
    assert outcome["assurance"] == "A1/device-all"
    assert [c["id"] for c in outcome["claims"]] == ["device-reported", "markers-written", "markers-changed"]
    marked, changed = found["verification"][0]["comparisons"]
    assert (marked["compare"], changed["compare"]) == ("marked", "changed")
    assert (
        marked["sampled"] == changed["sampled"] == len(marker_places(SIZE, pattern_of(directory, "mark").key))
    )
    assert found["method"][1]["commands"][0]["sent"] == SENT.sent
    assert "device-word" in {s["id"] for s in found["knownLimits"]}
    assert found["method"][1]["category"] == "purge"


def test_a_device_that_says_done_and_erases_nothing_is_residue(bench: Bench, loop: Loop) -> None:
    bench.behave(lambda _fd, _after: None)
    with pytest.raises(Residue):
        bench.whole(ask(loop, "sample"))


def test_one_sector_of_one_marker_that_did_not_change_is_residue(bench: Bench, loop: Loop) -> None:
    def all_but_one(fd: int, after: Cursor | None) -> None:
        last = loop.file.read_bytes()[-MIB:]
        all_new(fd, after)
        write(fd, SIZE - MIB, os.urandom(MIB - 512) + last[-512:])

    bench.behave(all_but_one)
    with pytest.raises(Residue):
        bench.whole(ask(loop))


def test_a_device_that_changes_only_what_was_written_last_is_residue(bench: Bench, loop: Loop) -> None:
    before = loop.file.read_bytes()

    def only_markers(fd: int, _after: Cursor | None) -> None:
        now = loop.file.read_bytes()
        for at in range(0, SIZE, MIB):
            if now[at : at + MIB] != before[at : at + MIB]:
                write(fd, at, os.urandom(MIB))

    bench.behave(only_markers)
    with pytest.raises(Residue):
        bench.whole(ask(loop))


def test_a_device_that_stands_still_gets_no_certificate_and_can_be_resumed(bench: Bench, loop: Loop) -> None:
    def stands(_fd: int, _after: Cursor | None) -> None:
        raise Failed("the sanitize: in progress, not finished")

    bench.behave(stands)
    directory = bench.approved(ask(loop))
    with pytest.raises(Failed, match="not finished"):
        bench.run(directory)
    assert not directory.certificate.exists()
    bench.behave(all_new)
    bench.run(directory)
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A1/device-all"


def test_markers_lie_where_the_key_says_and_hold_the_keystream(bench: Bench, loop: Loop) -> None:
    seen: dict[int, bytes] = {}

    def look(fd: int, after: Cursor | None) -> None:
        now = loop.file.read_bytes()
        seen.update({at: now[at : at + MARKER] for at in range(0, SIZE, MARKER)})
        all_new(fd, after)

    bench.behave(look)
    directory = bench.whole(ask(loop))
    pattern = pattern_of(directory, "mark")
    assert pattern == pattern_of(directory, "command")
    places = marker_places(SIZE, pattern.key)
    assert (0, MARKER) in places
    assert (SIZE - MARKER, MARKER) in places
    for offset, length in places:
        assert seen[offset] == laid(pattern).read("device", offset, length)
