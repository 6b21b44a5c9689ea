"""Who has a file open or mapped is seen, whatever numbers the kernel shows for it."""

import subprocess
import sys
from pathlib import Path

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
