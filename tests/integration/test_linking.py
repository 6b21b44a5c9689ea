"""Link and shred on a real ext4: killed, failing and cheated at every call, down to the raw image.

The "program" of these tests writes a new file and renames it over the old one, as engines do.
"""

import errno
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.api import Failed, Keystream, LinkShredder, Refused, Transient
from deleatur.testing import faults, flushing

from ..small_disk import WITHOUT_JOURNAL, flush, small_disk

pytestmark = pytest.mark.root
STREAM = Keystream("5e" * 32)
SIZE = 3 << 16  # bytes of a file: several writes of the overwrite would only make the matrix longer


class World:
    """Two files of a program on a disk of their own."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder = folder
        self.image = image
        self.journal = folder / "links.journal"
        self.files = (folder / "one", folder / "two")
        self.canary = uuid.uuid4().hex.encode()
        self.keep = uuid.uuid4().hex.encode()
        for file in self.files:
            file.write_bytes((self.canary + bytes(SIZE))[:SIZE])
        self.flush()

    def flush(self) -> None:
        flush(self.folder)

    def rewrite(self) -> None:
        """Do what the program does; done twice it does nothing."""
        for file in self.files:
            if self.keep not in file.read_bytes():
                new = file.with_name(file.name + ".new")
                new.write_bytes(self.keep)
                os.replace(new, file)

    def run(self) -> Iterator[str]:
        """Hold, let the program rewrite, shred: the whole way, from wherever an earlier run came to."""
        with LinkShredder(self.journal) as links:
            links.hold(file for file in self.files if self.keep not in file.read_bytes())
            self.rewrite()
            for unit, offset in links.shred(STREAM):
                yield f"{unit} {offset}"
            links.finish()

    def assert_done(self) -> None:
        self.flush()
        assert self.canary not in self.image.read_bytes()
        assert [file.read_bytes() for file in self.files] == [self.keep, self.keep]
        assert sorted(p.name for p in self.folder.iterdir() if p.name != "lost+found") == ["one", "two"]


@pytest.fixture(scope="module")
def disk() -> Iterator[tuple[Path, Path]]:
    with small_disk(8, WITHOUT_JOURNAL) as made:
        yield made


@pytest.fixture
def world(disk: tuple[Path, Path]) -> World:
    return made(disk)


def made(disk: tuple[Path, Path]) -> World:
    mount, image = disk
    for old in mount.iterdir():
        if old.name != "lost+found":
            old.unlink()
    return World(mount, image)


def test_two_runs_never_write_into_one_journal(disk: tuple[Path, Path]) -> None:
    world = World(*disk)
    with LinkShredder(world.journal) as links:
        links.hold(world.files)
        noted = world.journal.read_bytes()
        with pytest.raises(Transient, match="another run works with the crash journal"):
            LinkShredder(world.journal)
        assert world.journal.read_bytes() == noted
        world.rewrite()
        list(links.shred(STREAM))
        links.finish()
    world.assert_done()


def test_a_journal_that_is_removed_while_it_is_opened_is_not_written_into(
    disk: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that had it finished between the two steps of opening."""
    world = World(*disk)
    monkeypatch.setattr("deleatur.sanitize.linking.lock", lambda *_: world.journal.unlink())
    with pytest.raises(Transient, match="resume when it has ended"):
        LinkShredder(world.journal)
    assert not world.journal.exists()


def test_the_control_a_rewrite_alone_leaves_everything(world: World) -> None:
    world.rewrite()
    world.flush()
    assert world.canary in world.image.read_bytes()


def test_the_whole_way_leaves_nothing_and_is_flushed(world: World) -> None:
    with LinkShredder(world.journal) as links:
        with flushing.watched() as ledger:
            links.hold(world.files)
            assert (ledger.changes > 0, ledger.due()) == (True, ())
        world.rewrite()
        with flushing.watched() as ledger:
            for unit, _ in links.shred(STREAM):
                assert ledger.due() == (), unit
            links.finish()
            assert (ledger.changes > 0, ledger.due()) == (True, ())
    world.assert_done()


def test_a_kill_at_any_call_is_finished_after_a_restart(disk: tuple[Path, Path]) -> None:
    calls = faults.list_calls(made(disk).run)
    for n, moment in faults.kill_points(calls, 60):
        world = made(disk)
        died = faults.run_killed_at(world.run, n, moment)
        assert died.killed, died.error
        list(world.run())
        world.assert_done()


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_failing_call_stops_cleanly_and_can_be_gone_on_with(disk: tuple[Path, Path], code: int) -> None:
    count = faults.count_calls(made(disk).run)
    for n in faults.spread(count, 40):
        world = made(disk)
        failed = faults.run_failing_at(world.run, n, code)
        assert "injected" in failed.error, f"call {n} of {count} was swallowed"
        list(world.run())
        world.assert_done()


def test_what_is_shredded_is_not_shredded_again(world: World) -> None:
    with LinkShredder(world.journal) as links:
        links.hold(world.files)
        world.rewrite()
        assert [offset for _, offset in links.shred(STREAM)] == [SIZE, SIZE]
        assert list(links.shred(STREAM)) == []
    with LinkShredder(world.journal) as links:
        assert links.pending == ()
        assert list(links.shred(STREAM)) == []


def test_a_later_file_with_the_same_number_is_not_the_old_one(world: World) -> None:
    file = world.files[0]
    with LinkShredder(world.journal) as links:
        (held,) = links.hold([file])
        file.unlink()
        list(links.shred(STREAM))
    lines = world.journal.read_bytes().splitlines(keepends=True)
    world.journal.write_bytes(b"".join(lines[:-1]))  # killed before it was noted that the second name is gone
    later = [file.with_name(f"later-{n}") for n in range(20)]
    for name in later:
        name.write_bytes(world.keep)
    (same,) = [name for name in later if name.stat().st_ino == held.inode]
    same.rename(file)
    with LinkShredder(world.journal) as links:
        assert [name.state for name in links.pending] == ["overwritten"]
        assert links.in_use() == ()
        assert list(links.shred(STREAM)) == []
        links.finish()
    assert file.read_bytes() == world.keep


def test_a_file_that_stays_in_use_is_never_overwritten(world: World) -> None:
    before = world.files[0].read_bytes()
    with LinkShredder(world.journal) as links:
        held = links.hold(world.files)
        assert links.in_use() == held
        assert list(links.shred(STREAM)) == []
        with pytest.raises(Refused, match="still has a second name"):
            links.finish()
        links.release(links.in_use())
        links.finish()
    assert world.files[0].read_bytes() == before
    assert world.files[0].stat().st_nlink == 1


def test_what_was_given_up_is_not_released(world: World) -> None:
    with LinkShredder(world.journal) as links:
        held = links.hold(world.files)
        world.rewrite()
        with pytest.raises(Refused, match="given up meanwhile"):
            links.release(held)


def test_a_file_that_is_still_open_is_waited_for_and_not_touched(world: World) -> None:
    with LinkShredder(world.journal) as links:
        (held, _) = links.hold(world.files)
        hold_open = f"f = open({str(held.path)!r}, 'rb'); print(flush=True); input()"
        with subprocess.Popen(
            [sys.executable, "-c", hold_open], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as reader:
            assert reader.stdout is not None
            reader.stdout.readline()
            world.rewrite()
            with pytest.raises(Transient, match="is still open in python"):
                list(links.shred(STREAM, patience=0.2))
            assert world.canary in held.second.read_bytes()
            reader.communicate(b"\n")
        list(links.shred(STREAM))
        links.finish()
    world.assert_done()


def test_a_second_name_that_another_hand_removed_is_an_error_for_ever(world: World) -> None:
    with LinkShredder(world.journal) as links:
        (held, _) = links.hold(world.files)
    held.second.unlink()
    for attempt in (0, 1):
        with LinkShredder(world.journal) as links:
            if not attempt:
                with pytest.raises(Failed, match="removed by another hand"):
                    links.hold(world.files)
                world.rewrite()
            with pytest.raises(Failed, match="removed by another hand"):
                list(links.shred(STREAM))
            assert held.inode in {name.inode for name in links.pending}


def test_a_file_that_was_cut_is_an_error_for_ever(world: World) -> None:
    with LinkShredder(world.journal) as links:
        links.hold(world.files)
        os.truncate(world.files[0], 100)
        world.rewrite()
    for _ in range(2):
        with LinkShredder(world.journal) as links, pytest.raises(Failed, match=f"cut by {SIZE - 100} bytes"):
            list(links.shred(STREAM))


def test_a_name_of_somebody_else_refuses(world: World) -> None:
    other = world.folder / "other"
    os.link(world.files[0], other)
    with LinkShredder(world.journal) as links:
        with pytest.raises(Refused, match="has 2 names"):
            links.hold(world.files)
        other.unlink()
        (held, _) = links.hold(world.files)
        os.link(held.second, other)
        world.rewrite()
        with pytest.raises(Refused, match="has 2 names"):
            list(links.shred(STREAM))
    assert world.canary in other.read_bytes()


def test_only_files_are_held_and_what_is_not_there_is_left_out(world: World) -> None:
    link = world.folder / "link"
    link.symlink_to(world.files[0])
    with LinkShredder(world.journal) as links:
        assert links.hold([world.folder / "never"]) == ()
        with pytest.raises(Refused, match="no regular file"):
            links.hold([world.folder])
        with pytest.raises(OSError, match="symbolic links"):
            links.hold([link])


def test_a_torn_last_line_never_happened_and_a_damaged_one_stops(world: World) -> None:
    with LinkShredder(world.journal) as links:
        held = links.hold(world.files)
    whole = world.journal.read_bytes()
    world.journal.write_bytes(whole[:-7])
    with LinkShredder(world.journal) as links:
        assert [name.state for name in links.pending] == ["held", "holding"]
        assert links.hold(world.files) == held
    with LinkShredder(world.journal) as links:
        assert set(links.pending) == set(held)
    world.journal.write_bytes(whole.replace(b"holding", b"holdinG", 1))
    with pytest.raises(Failed, match="line 1 of the crash journal"):
        LinkShredder(world.journal)


def test_the_journal_names_no_content(world: World) -> None:
    with LinkShredder(world.journal) as links:
        links.hold(world.files)
    assert world.canary not in world.journal.read_bytes()
