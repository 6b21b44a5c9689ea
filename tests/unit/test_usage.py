"""Who has a file open or mapped is seen, whatever numbers the kernel shows for it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deleatur.sanitize import usage
from deleatur.sanitize.usage import users_of

_MAPS = """00001000-00002000 r--p 00000000 00:2a 257    /srv/one/book
00003000-00004000 r--p 00000000 00:2a 257    /srv/two/a book
00005000-00006000 rw-p 00000000 00:00 0      [heap]
00007000-00008000 rw-p 00000000 00:00 0
"""


def test_a_file_that_is_mapped_and_no_longer_open_has_its_user(tmp_path: Path) -> None:
    file = tmp_path / "book"
    file.write_bytes(bytes(4096))
    holding = (
        "import mmap, sys\n"
        "with open(sys.argv[1], 'r+b') as file:\n    mapped = mmap.mmap(file.fileno(), 0)\n"
        "print(flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "\n"
        assert [pid for pid, _ in users_of(file)] == [process.pid]
        process.communicate(timeout=20)
    assert users_of(file) == ()


def test_two_files_of_btrfs_with_the_same_numbers_are_both_looked_up(tmp_path: Path) -> None:
    """Each subvolume counts its inodes by itself, and the maps show one device for all of them."""
    (tmp_path / "maps").write_text(_MAPS)
    (tmp_path / "map_files").mkdir()
    files = [tmp_path / "map_files" / span for span in ("1000-2000", "3000-4000")]
    for file in files:
        file.touch()
    found = usage._mapped(str(tmp_path))
    assert found == {(0x2A, 257), *((status.st_dev, status.st_ino) for status in map(Path.stat, files))}


def test_what_gives_no_answer_is_counted_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that serves a file system died: whoever has a file of it open cannot be looked into."""

    def dead(_process: str) -> set[usage.Key]:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    seen = usage.usage()
    monkeypatch.setattr(usage, "_opened", dead)
    assert usage.usage().unseen > seen.unseen


def test_a_loop_device_that_gives_no_answer_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = tmp_path / "loop7" / "loop"
    shown.mkdir(parents=True)
    (shown / "backing_file").write_bytes(b"/nobody/answers\n")
    known = Path.lstat

    def asked(path: Path) -> os.stat_result:
        if str(path) == "/nobody/answers":
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return known(path)

    monkeypatch.setattr(Path, "lstat", asked)
    monkeypatch.setattr(usage, "_BLOCK", tmp_path)
    assert usage._loops() == ([], 1)
