"""The scanner against a second, naive count, and against everything that could make it look away."""

import mmap
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deleatur.documents.place import Surface
from deleatur.sanitize import surface as raw
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import MAX_PLACES, Scanner, SurfaceFinding

from ..nobody import as_nobody

NAMES = [b"Anna Berg", b"Berta Tal", b"Carl Feld"]


def naive(needles: tuple[bytes, ...], haystack: bytes) -> list[tuple[int, int]]:
    """Every (offset, needle), overlapping ones too, by bytes.find alone."""
    found = []
    for number, needle in enumerate(needles):
        at = haystack.find(needle)
        while at >= 0:
            found.append((at, number))
            at = haystack.find(needle, at + 1)
    return found


def scan(
    *paths: Path, values: list[bytes] = NAMES, progress: Callable[[int], None] = lambda n: None
) -> SurfaceFinding:
    surface = Surface(name="here", reach="scannable", paths=tuple(map(str, paths)))
    return Scanner(NeedleSet.of(values)).scan_surface(surface, progress)


values = st.lists(st.binary(min_size=6, max_size=12).map(lambda b: bytes(32 + x % 6 for x in b)), max_size=6)


@given(values, st.data())
@example([b"abcdef", b"bcdefa"], None)
def test_counts_equal_the_naive_count_however_the_stream_is_cut(
    found: list[bytes], data: st.DataObject | None
) -> None:
    needles = NeedleSet.of(found)
    filler = [b"abcdef" * 3, b"\0", b""]
    if data is None:
        haystack, cuts = b"abcdefabcdef", list(range(12))
    else:
        haystack = b"".join(
            data.draw(st.lists(st.sampled_from([*found, *needles.needles, *filler]), max_size=12))
        )
        cuts = sorted(data.draw(st.lists(st.integers(0, len(haystack)), max_size=20)))
    borders = [0, *cuts, len(haystack)]
    hits = Scanner(needles).search(haystack[a:b] for a, b in pairwise(borders))
    expected = naive(needles.needles, haystack)
    assert hits.count == len(expected)
    assert hits.seen == frozenset().union(*(needles.owners[n] for _, n in expected))
    if expected:
        assert min(place.offset for place in hits.first) == min(at for at, _ in expected)


def test_a_stream_longer_than_one_slice_is_counted_once() -> None:
    needles = NeedleSet.of(NAMES)
    haystack = bytearray(3 << 20)
    for at in ((1 << 20) - 4, (1 << 20), (2 << 20) - 9, (2 << 20) - 1, len(haystack) - 9):
        haystack[at : at + 9] = NAMES[0]
    expected = naive(needles.needles, bytes(haystack))
    assert Scanner(needles).search([bytes(haystack)]).count == len(expected) == 3


def test_items_that_do_not_belong_together_make_no_hit() -> None:
    scanner = Scanner(NeedleSet.of(NAMES))
    assert scanner.search([b"Anna ", b"Berg"]).count == 1
    assert scanner.search_apart([b"Anna ", b"Berg"]).count == 0
    assert scanner.search_apart([b"x", b"-Anna Berg-"]).seen == {0}


def test_utf_16_is_found_in_a_file_and_named_by_offset(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x" * 1001 + "Berta Tal".encode("utf-16-be") + "Carl Feld".encode("utf-16-le"))
    found = scan(file)
    assert found.seen == {1, 2}
    assert [(p.path, p.offset, p.value) for p in found.places] == [(str(file), 1002, 1), (str(file), 1019, 2)]
    assert (found.scan.size, found.scan.seen, found.scan.unreadable) == (1037, 2, 0)


def test_without_needles_every_byte_is_still_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 5000)
    found = scan(tmp_path / "f", values=[])
    assert (found.scan.size, found.scan.hits) == (5000, 0)


def test_places_are_bounded_and_counts_are_not(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"Anna Berg " * 1000)
    found = scan(tmp_path / "f")
    assert (found.scan.hits, len(found.places)) == (1000, MAX_PLACES)


def test_progress_adds_up_to_the_size(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * (raw.CHUNK + 5))
    steps: list[int] = []
    assert scan(tmp_path / "f", progress=steps.append).scan.size == sum(steps) == raw.CHUNK + 5


def test_an_attribute_that_went_after_it_was_listed_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"nothing")
    os.setxattr(file, "user.note", b"Dora Hain")
    monkeypatch.setattr(raw.os, "listxattr", lambda fd: ["user.gone", "user.note"])
    surface = Surface(name="raw", reach="scannable", paths=(str(file),))
    found = Scanner(NeedleSet.of([b"Dora Hain"])).scan_surface(surface, lambda read: None)
    assert (found.scan.seen, found.unreadable) == (1, ())


def test_a_tree_is_searched_in_content_names_links_and_attributes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    deep = tree / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "content").write_bytes(b"..Anna Berg..")
    (deep / "Berta Tal").write_bytes(b"")
    (deep / "link").symlink_to("/nowhere/Carl Feld")
    os.setxattr(deep / "content", "user.note", b"Dora Hain")
    os.setxattr(tree / "a", "user.Emil Wald", b"1")
    found = scan(tree, values=[*NAMES, b"Dora Hain", b"Emil Wald"])
    assert found.seen == {0, 1, 2, 3, 4}
    assert found.scan.hits == 5
    inode = (deep / "content").stat().st_ino
    assert {p.path for p in found.places if p.value == 0} == {f"{tree} inode-{inode}"}


def test_no_place_names_a_file_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / "Anna Berg.txt").write_bytes(b"Anna Berg")
    (tmp_path / "Anna Berg.dir").mkdir()
    found = scan(tmp_path)
    assert found.scan.hits == 3
    assert "Anna" not in repr(found)


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"Anna Berg")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "d").symlink_to(outside)
    (tree / "f").symlink_to(outside / "f")
    assert scan(tree).scan.hits == 0
    through = scan(tree / "f")
    assert (through.scan.hits, through.scan.unreadable) == (0, 1)
    assert through.unreadable == (
        f"{tree / 'f'}: is neither a file, a directory nor a block device; name what it stands for",
    )


def test_pipes_and_sockets_are_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(tmp_path)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        found = scan(tmp_path)
    assert (found.scan.hits, found.scan.unreadable) == (0, 0)


def test_hard_links_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"Anna Berg")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert scan(tmp_path).scan.hits == 1


def test_what_is_not_there_is_nothing_and_what_has_no_directory_is_unknown(tmp_path: Path) -> None:
    gone = scan(tmp_path / "database-wal")
    assert (gone.scan.size, gone.scan.unreadable) == (0, 0)
    unknown = scan(tmp_path / "not mounted" / "database")
    assert unknown.scan.unreadable == 1
    assert "its directory cannot be opened" in unknown.unreadable[0]


def test_a_hole_is_skipped_and_what_stands_at_its_border_is_found(tmp_path: Path) -> None:
    file = tmp_path / "sparse"
    needle = "ĀnnĀ BergĀ".encode("utf-16-be") + b"\1\0"  # "Ā" is 01 00: the last byte lies in the hole
    with file.open("wb") as out:
        out.truncate(1 << 40)
        os.pwrite(out.fileno(), needle[:-1], (1 << 20) - len(needle) + 1)
        os.pwrite(out.fileno(), b"Berta Tal", (1 << 40) - 9)
    found = scan(file, values=["ĀnnĀ BergĀĀ".encode(), b"Berta Tal"])
    assert found.seen == {0, 1}
    assert found.scan.hits == 2
    assert found.scan.size < 1 << 20


def test_a_file_renamed_between_listing_and_opening_is_found(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"Anna Berg" if name == "b" else b"Berta Tal")
    moved = iter("cdefg")

    def rename(_: int) -> None:
        """Rename every file once, as soon as its old name was listed."""
        for name in "ab":
            if (tmp_path / name).exists():
                (tmp_path / name).rename(tmp_path / next(moved))

    found = scan(tmp_path, progress=rename)
    assert found.seen == {0, 1}
    assert found.scan.unreadable == 0


def test_a_file_deleted_between_listing_and_opening_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"Anna Berg")
    found = scan(tmp_path, progress=lambda n: (tmp_path / "a").unlink(missing_ok=True))
    assert (found.scan.hits, found.scan.unreadable) == (0, 0)


def test_a_directory_that_never_stands_still_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "0").touch()
    names = iter(range(1, 10_000))

    def another(_: int) -> None:
        (tmp_path / str(next(names))).touch()

    found = scan(tmp_path, progress=another)
    assert found.scan.unreadable >= 1
    assert any("changes while it is read" in reason for reason in found.unreadable)


def test_a_file_that_grows_is_read_to_its_new_end(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"x" * 100 + b"Anna ")

    def grow(_: int) -> None:
        if file.stat().st_size < 110:
            with file.open("ab") as out:
                out.write(b"Berg.")

    found = scan(file, progress=grow)
    assert (found.seen, found.scan.size) == ({0}, 110)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user can reach (pytest's own is private)."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.root
def test_what_may_not_be_read_is_never_clean(open_to_all: Path) -> None:
    tree = open_to_all / "tree"
    (tree / "closed").mkdir(parents=True)
    (tree / "closed" / "f").write_bytes(b"Anna Berg")
    (tree / "secret").write_bytes(b"x" * 70)
    (tree / "closed").chmod(0o700)
    (tree / "secret").chmod(0o600)
    with as_nobody():
        in_tree, alone, beyond = scan(tree), scan(tree / "secret"), scan(tree / "closed" / "f")
    assert in_tree.scan.unreadable >= 71
    assert len(in_tree.unreadable) == 2
    assert alone.scan.unreadable >= 1
    assert beyond.scan.unreadable == 1
    assert all("Permission denied" in r for r in in_tree.unreadable + alone.unreadable + beyond.unreadable)
    assert "secret" not in "".join(in_tree.unreadable)


def test_bad_sectors_are_counted_and_the_rest_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "f"
    content = bytearray(b"x" * 200_000)
    content[0:9], content[100_000:100_009], content[-9:] = NAMES
    content[53_243:53_248] = b"Anna "  # before and after the bad sector, but not one name
    content[57_344:57_348] = b"Berg"
    file.write_bytes(content)
    read = raw.view_below_cache

    def damaged(fd: int, offset: int, length: int, room: mmap.mmap) -> memoryview:
        if offset < 57_344 and offset + length > 53_248:
            raise OSError(5, "Input/output error")
        return read(fd, offset, length, room)

    monkeypatch.setattr(raw, "view_below_cache", damaged)
    found = scan(file)
    assert found.seen == {0, 1, 2}
    assert (found.scan.hits, found.scan.unreadable, found.scan.size) == (3, 4096, 200_000 - 4096)
    assert [place.offset for place in found.places] == [0, 100_000, 199_991]
    assert found.unreadable == (f"{file}: cannot be read at byte 53248: Input/output error",)


def test_what_is_read_ahead_leaves_the_piece_that_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, size = tmp_path / "f", 1 << 20
    content = b"".join(bytes([number]) * 4096 for number in range(size // 4096))
    file.write_bytes(content)
    monkeypatch.setattr(raw, "CHUNK", 1 << 16)
    read, parts_made = raw.view_below_cache, threading.Semaphore(0)

    def damaged(fd: int, offset: int, length: int, room: mmap.mmap) -> memoryview:
        room[:] = b"\xff" * len(room)  # also a read that fails leaves disorder in its room
        fails = offset < 250_000 < offset + length
        view = b"" if fails else read(fd, offset, length, room)
        if length == 4096 or not fails:
            parts_made.release()
        if fails:
            raise OSError(5, "Input/output error")
        return memoryview(view)

    monkeypatch.setattr(raw, "view_below_cache", damaged)
    seen, gaps = bytearray(content), 0
    for number, part in enumerate(raw.read_surface(str(file), 0)):
        if number == 0:
            assert parts_made.acquire(timeout=10)
        last = isinstance(part, raw.Piece) and part.offset + len(part.content) == size
        assert last or parts_made.acquire(timeout=10), "the next part was not read meanwhile"
        if isinstance(part, raw.Gap):
            gaps += part.size
            continue
        until = part.offset + len(part.content)
        assert part.content == content[part.offset : until]
        seen[part.offset : until] = bytes(len(part.content))
    assert (gaps, seen.strip(b"\0")) == (4096, content[249_856:253_952])


def test_a_dead_device_is_given_up_and_counted_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x" * (20 << 20))

    def dead(fd: int, offset: int, length: int, room: mmap.mmap) -> memoryview:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(raw, "view_below_cache", dead)
    found = scan(file)
    assert (found.scan.size, found.scan.unreadable) == (0, 20 << 20)
    assert len(found.unreadable) == MAX_PLACES


def test_deep_trees_end_in_a_named_gap(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(210):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    found = scan(tmp_path)
    assert found.scan.unreadable == 1
    assert "lies deeper than 200 directories" in found.unreadable[0]
