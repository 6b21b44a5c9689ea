"""Files on real file systems: what is overwritten is gone from the raw image, and what cannot be is said."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.api import Inspection, Locator, Pattern, Refused, Step, Target, keyed_digest
from deleatur.documents.codec import encode_json
from deleatur.errors import Gone
from deleatur.sanitize.filesystem import extents, filesystem_of
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.overwrite import covered, overwrite_in_place, read_below_cache, remove
from deleatur.sanitize.usage import users_of
from deleatur_plugins.file import FileBackend

pytestmark = pytest.mark.root

DIGEST_KEY = bytes(range(32))
PATTERN = "ab" * 32
CANARY = b"CANARY-" + keyed_digest(b"k", b"file backend")[:25].encode()  # 32 bytes
SIZES = {"ext4": "64M", "xfs": "300M", "btrfs": "128M"}
Make = Callable[..., "Disk"]


class Disk:
    """A mounted image, and the steps of the technique on what lies in it."""

    def __init__(self, folder: Path, kind: str, options: str) -> None:
        self.image, self.root = folder / "image", folder / "mount"
        self.root.mkdir()
        subprocess.run(["truncate", "-s", SIZES[kind], self.image], check=True)
        subprocess.run([f"mkfs.{kind}", "-q", self.image], check=True, stderr=subprocess.DEVNULL)
        self.mount(options)

    def mount(self, options: str = "loop") -> None:
        subprocess.run(["mount", "-o", options, self.image, self.root], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--recursive", self.root], check=True)

    def raw(self) -> bytes:
        subprocess.run(["sync", "--file-system", self.root], check=True)
        return self.image.read_bytes()


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[Make]:
    disks: list[Disk] = []

    def make(kind: str = "ext4", options: str = "loop") -> Disk:
        folder = tmp_path / f"disk{len(disks)}"
        folder.mkdir()
        disks.append(Disk(folder, kind, options))
        return disks[-1]

    yield make
    for disk in disks:
        if disk.root.is_mount():
            disk.unmount()


@pytest.fixture
def disk(make_disk: Make) -> Disk:
    return make_disk()


def backend(path: Path, approved: Inspection | None = None) -> FileBackend:
    secrets = {"digest-key": DIGEST_KEY}
    if approved is not None:
        secrets["approved-units"] = encode_json({"units": approved.units, "held": approved.held})
    return FileBackend.open(Target(id="t", url=path.as_uri()), secrets)


def step(action: str) -> Step:
    return Step(
        id="s1",
        target="t",
        technique="overwrite-and-remove",
        action=action,
        compare="keystream" if action == "overwrite" else "absence",
        pattern=Pattern(kind="aes-256-ctr", key=PATTERN),
    )


def inspect(path: Path) -> Inspection:
    with closing(backend(path)) as opened:
        return opened.inspect()


def places(path: Path) -> list[Locator]:
    with closing(backend(path)) as opened:
        return list(opened.sample(None, b""))


def run(path: Path, action: str, approved: Inspection | None = None) -> int:
    with closing(backend(path, approved)) as opened:
        return [cursor.done for cursor in opened.erase(step(action), None)][-1]


def erase(path: Path) -> None:
    approved = inspect(path)
    assert approved.blockers == ()
    assert run(path, "overwrite", approved) == approved.size
    stream = Keystream(PATTERN)
    with closing(backend(path)) as opened:
        for place in opened.sample(None, b""):
            assert opened.probe(place) == stream.read(place.unit, place.offset, place.length)
    assert run(path, "remove", approved) == approved.size
    assert not os.path.lexists(path)
    with closing(backend(path)) as opened, pytest.raises(Gone):
        opened.inspect()


def limits(path: Path) -> tuple[str, ...]:
    return inspect(path).offers[0].limits


def blocked(path: Path) -> str:
    found = inspect(path)
    with closing(backend(path)) as opened, pytest.raises(Refused):
        next(opened.erase(step("overwrite"), None))
    return "; ".join(found.blockers)


def plant(tree: Path) -> None:
    """Make files of every awkward size, full of canaries."""
    (tree / "a" / "b" / "c").mkdir(parents=True)
    (tree / "empty").mkdir()
    for number, size in enumerate((0, 1, 33, 100, 4095, 4096, 4097, 70_000, (3 << 20) + 5)):
        (tree / "a" / f"file{number}").write_bytes((CANARY * (size // 32 + 1))[:size])
    Path(os.fsdecode(bytes(tree) + b"/a/b/\xff\xfe\n")).write_bytes(CANARY * 200)
    with (tree / "a" / "b" / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(CANARY * 500)
        file.truncate(1 << 40)
    with (tree / "a" / "reserved").open("wb") as file:
        file.write(CANARY * 10)
        file.flush()
        os.posix_fallocate(file.fileno(), 0, 300_000)
    (tree / "a" / "link").symlink_to("../elsewhere")


# --- below the interface -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_tree_is_gone_from_the_raw_image(make_disk: Make, kind: str) -> None:
    disk = make_disk(kind)
    tree = disk.root / "tree"
    plant(tree)
    (disk.root / "elsewhere").write_bytes(b"stays")
    before = disk.raw().count(CANARY)
    assert before > 100_000
    assert "copy-on-write" not in limits(tree)
    erase(tree)
    disk.unmount()
    assert disk.image.read_bytes().count(CANARY) == 0
    disk.mount()
    assert (disk.root / "elsewhere").read_bytes() == b"stays"


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_single_file_is_gone_from_the_raw_image(make_disk: Make, kind: str) -> None:
    disk = make_disk(kind)
    file = disk.root / "file"
    file.write_bytes(CANARY * 40_000)
    assert disk.raw().count(CANARY) >= 40_000
    assert inspect(file).identity.kind == "file"
    erase(file)
    disk.unmount()
    assert disk.image.read_bytes().count(CANARY) == 0


def test_copy_on_write_is_said_and_true(make_disk: Make) -> None:
    disk = make_disk("btrfs")
    file = disk.root / "file"
    file.write_bytes(CANARY * 40_000)
    assert disk.raw().count(CANARY) >= 40_000
    assert "copy-on-write" in limits(file)
    erase(file)
    disk.unmount()
    assert disk.image.read_bytes().count(CANARY) >= 40_000, "the limit would then be too modest"


def test_a_file_exempt_from_copy_on_write_is_gone(make_disk: Make) -> None:
    disk = make_disk("btrfs")
    file = disk.root / "file"
    file.touch()
    subprocess.run(["chattr", "+C", file], check=True)
    file.write_bytes(CANARY * 40_000)
    assert disk.raw().count(CANARY) >= 40_000
    assert "copy-on-write" not in limits(file)
    erase(file)
    disk.unmount()
    assert disk.image.read_bytes().count(CANARY) == 0


def test_the_rest_of_the_last_block_is_written(disk: Disk) -> None:
    """Bytes beyond the end of the file are no part of it and still lie on the disk."""
    file = disk.root / "file"
    file.write_bytes(CANARY * 32)
    disk.raw()
    fd = os.open(file, os.O_RDWR)
    mapped = extents(fd)
    assert mapped
    start = mapped[0].physical
    os.close(fd)
    assert os.statvfs(file).f_frsize == 1024
    os.truncate(file, 1000)
    disk.unmount()
    with disk.image.open("r+b") as image:  # put the old tail back, as a crash would leave it
        image.seek(start)
        image.write(CANARY * 32)
    disk.mount()
    assert file.read_bytes() == (CANARY * 32)[:1000]
    erase(file)
    disk.unmount()
    assert disk.image.read_bytes().count(CANARY) == 0


def test_the_page_cache_does_not_answer(disk: Disk) -> None:
    """What lies on the disk is changed under the mounted file system: only a real read sees it."""
    file = disk.root / "file"
    file.write_bytes(b"a" * 8192)
    disk.raw()
    fd = os.open(file, os.O_RDONLY)
    try:
        mapped = extents(fd)
        assert mapped
        assert os.pread(fd, 8192, 0) == b"a" * 8192
        with disk.image.open("r+b") as image:
            image.seek(mapped[0].physical)
            image.write(b"b" * 8192)
        assert os.pread(fd, 8192, 0) == b"a" * 8192, "the cache holds the old bytes: the control"
        assert read_below_cache(fd, 100, 5000) == b"b" * 5000
        assert read_below_cache(file, 8000, 5000) == b"b" * 192
    finally:
        os.close(fd)


def test_attributes_become_keystream_and_go(disk: Disk) -> None:
    file = disk.root / "tree" / "file"
    file.parent.mkdir()
    file.write_bytes(b"x")
    for where in (file, file.parent):
        os.setxattr(where, "user.note", CANARY * 5)
        os.setxattr(where, "user.other", b"")
    look = inspect(file.parent)
    assert look.size == 1 + 2 * len(CANARY * 5)
    assert "extended-attributes" in look.offers[0].limits
    run(file.parent, "overwrite")
    stream = Keystream(PATTERN)
    listed = places(file.parent)
    assert sum(place.item != "" for place in listed) == 2
    with closing(backend(file.parent)) as opened:
        for place in listed:
            assert opened.probe(place) == stream.read(place.unit, place.offset, place.length)
    assert len(os.getxattr(file, "user.note")) == len(CANARY * 5)
    run(file.parent, "remove")
    assert list(disk.root.glob("*")) == [disk.root / "lost+found"]


# --- what lowers the claim -----------------------------------------------------------------------


def journalled(make_disk: Make, how: str) -> Disk:
    """Make a disk on which the data of `tree/file` pass through the journal."""
    disk = make_disk("ext4", "loop,data=journal" if how == "mount" else "loop")
    (disk.root / "tree").mkdir()
    (disk.root / "tree" / "file").write_bytes(b"x")
    if how == "mount":
        return disk
    disk.unmount()
    if how == "super block":
        set_it: list[str] = ["tune2fs", "-o", "journal_data"]
    else:  # chattr +j, for which a container has no right
        set_it = ["debugfs", "-w", "-R", "set_inode_field tree/file flags 0x84000"]
    subprocess.run([*set_it, disk.image], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    disk.mount()
    return disk


@pytest.mark.parametrize("how", ["mount", "super block", "file"])
def test_what_passes_through_the_journal_is_erased_there_too(make_disk: Make, how: str) -> None:
    disk = journalled(make_disk, how)
    (disk.root / "tree" / "file").write_bytes(CANARY * 4000)
    copies = 1 if how == "file" else 2  # where the whole file system journals data, it holds them twice
    assert disk.raw().count(CANARY) >= copies * 4000, "the control of this test"
    assert "data-journal" not in limits(disk.root / "tree")
    erase(disk.root / "tree")
    assert disk.raw().count(CANARY) == 0


@pytest.mark.parametrize("how", ["mount", "super block", "file"])
def test_a_journal_that_cannot_be_erased_is_said(
    make_disk: Make, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = journalled(make_disk, how)
    monkeypatch.setattr("deleatur_plugins.file.survey.can_flush_journal", lambda _: False)
    assert "data-journal" in limits(disk.root / "tree")


def test_memory_is_said(tmp_path: Path) -> None:
    mount = tmp_path / "memory"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", mount], check=True)
    try:
        (mount / "file").write_bytes(CANARY * 100)
        look = inspect(mount / "file")
        assert "memory-file-system" in look.offers[0].limits
        assert [s.reach for s in look.surfaces[:2]] == ["scannable", "out-of-reach"]
        erase(mount / "file")
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_device_that_software_makes_is_said(disk: Disk, tmp_path: Path) -> None:
    (disk.root / "file").write_bytes(CANARY)
    assert "layered-device" in limits(disk.root / "file")
    memory = tmp_path / "memory"
    memory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", memory], check=True)
    try:
        (memory / "file").write_bytes(CANARY)
        assert "layered-device" not in limits(memory / "file")
    finally:
        subprocess.run(["umount", memory], check=True)


def test_an_overlay_is_copy_on_write(make_disk: Make) -> None:
    disk = make_disk()
    for name in ("lower", "upper", "work", "merged"):
        (disk.root / name).mkdir()
    (disk.root / "lower" / "file").write_bytes(CANARY)
    options = ",".join(f"{n}dir={disk.root}/{n}" for n in ("lower", "upper", "work"))
    subprocess.run(["mount", "-t", "overlay", "none", "-o", options, disk.root / "merged"], check=True)
    assert "copy-on-write" in limits(disk.root / "merged" / "file")


def test_surfaces_name_the_device(disk: Disk) -> None:
    (disk.root / "file").write_bytes(b"x")
    surfaces = {s.name: s for s in inspect(disk.root / "file").surfaces}
    assert surfaces["files"].paths == (str(disk.root / "file"),)
    assert surfaces["block device under the file system"].paths[0].startswith("/dev/loop")
    assert all(s.reason for s in surfaces.values() if s.reach == "out-of-reach")
    assert filesystem_of(disk.root).uuid in inspect(disk.root / "file").identity.text()


# --- what is refused -----------------------------------------------------------------------------


def test_hard_links_are_named_unless_all_lie_inside(disk: Disk) -> None:
    tree = disk.root / "tree"
    tree.mkdir()
    (tree / "one").write_bytes(CANARY * 10)
    os.link(tree / "one", tree / "two")
    os.link(tree / "one", disk.root / "outside")
    inode = (tree / "one").stat().st_ino
    assert f"inode-{inode} has 3 names, 2 of them in the target" in blocked(tree)
    assert f"inode-{inode} has 3 names, 1 of them" in blocked(tree / "one")
    assert (disk.root / "outside").read_bytes() == CANARY * 10
    (disk.root / "outside").unlink()
    erase(tree)
    assert disk.raw().count(CANARY) == 0


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_reflink_is_refused(make_disk: Make, kind: str) -> None:
    disk = make_disk(kind)
    (disk.root / "file").write_bytes(CANARY * 4000)
    disk.raw()
    assert inspect(disk.root / "file").blockers == ()
    subprocess.run(["cp", "--reflink=always", disk.root / "file", disk.root / "copy"], check=True)
    assert "shares blocks with another file" in blocked(disk.root / "file")


def test_a_snapshot_and_a_subvolume_are_refused(make_disk: Make) -> None:
    disk = make_disk("btrfs")
    tree = disk.root / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(CANARY * 4000)
    subprocess.run(["btrfs", "-q", "subvolume", "create", tree / "below"], check=True)
    assert "is another file system or subvolume" in blocked(tree)
    subprocess.run(["btrfs", "-q", "subvolume", "delete", tree / "below"], check=True)
    assert inspect(tree).blockers == ()
    subprocess.run(["btrfs", "-q", "subvolume", "snapshot", "-r", disk.root, disk.root / "old"], check=True)
    assert "shares blocks with another file" in blocked(tree)


def test_an_open_file_is_refused_with_its_user(disk: Disk) -> None:
    (disk.root / "file").write_bytes(b"x")
    with (disk.root / "file").open("rb") as opened, subprocess.Popen(["sleep", "60"], stdin=opened) as user:
        opened.close()
        try:
            assert users_of(disk.root / "file") == ((user.pid, "sleep"),)
            assert f"in use by process {user.pid} (sleep)" in blocked(disk.root / "file")
        finally:
            user.kill()
    assert inspect(disk.root / "file").blockers == ()


def test_a_mapped_file_and_a_loop_device_are_refused(disk: Disk) -> None:
    program = disk.root / "program"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program, "60"]) as user:
        try:
            assert f"process {user.pid} (program)" in blocked(program)
        finally:
            user.kill()
    assert "in use by /dev/loop" in blocked(disk.image)


def test_our_own_files_are_refused(disk: Disk) -> None:
    with (disk.root / "journal").open("wb"):
        assert "in use by deleatur itself" in blocked(disk.root / "journal")


@pytest.mark.parametrize("flag", ["i", "a"])
@pytest.mark.parametrize("what", ["tree/file", "tree"])
def test_flags_are_named(disk: Disk, flag: str, what: str) -> None:
    (disk.root / "tree").mkdir()
    (disk.root / "tree/file").write_bytes(b"x")
    subprocess.run(["chattr", f"+{flag}", disk.root / what], check=True)
    try:
        assert "run chattr -i -a on it" in blocked(disk.root / "tree")
    finally:
        subprocess.run(["chattr", f"-{flag}", disk.root / what], check=True)


def test_special_files_are_refused(disk: Disk) -> None:
    tree = disk.root / "tree"
    tree.mkdir()
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tree / "socket"))
    os.mknod(tree / "null", 0o020600, os.makedev(1, 3))
    assert blocked(tree).count("is a fifo, socket or device") == 3
    assert "is a fifo" in blocked(tree / "fifo")


def test_mounts_are_refused(disk: Disk, make_disk: Make) -> None:
    tree = disk.root / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "file").write_bytes(b"x")
    subprocess.run(["mount", "--bind", disk.root / "lost+found", tree / "below"], check=True)
    assert "1 mount points lie in the target" in blocked(tree)
    subprocess.run(["umount", tree / "below"], check=True)
    subprocess.run(["mount", "--bind", disk.image.parent / "mount" / "tree/file", tree / "file"], check=True)
    assert "1 mount points lie in the target" in blocked(tree)
    subprocess.run(["umount", tree / "file"], check=True)
    assert inspect(tree).blockers == ()
    assert "mount points lie in the target" in blocked(disk.root)
    subprocess.run(["mount", "-o", "remount,ro", disk.root], check=True)
    assert "is mounted read-only" in blocked(tree)


def test_links_on_the_way_are_refused(disk: Disk) -> None:
    (disk.root / "real").mkdir()
    (disk.root / "real" / "file").write_bytes(b"x")
    (disk.root / "way").symlink_to("real")
    number = len((disk.root / "way").parts) - 1
    with pytest.raises(Refused, match=f"component {number} of the target's path is a symbolic link"):
        backend(disk.root / "way" / "file")
    with pytest.raises(Refused, match="the target is a symbolic link"):
        inspect(disk.root / "way")
    assert (disk.root / "real" / "file").read_bytes() == b"x"


@pytest.mark.parametrize(
    "url",
    [
        "file:///",
        "file:relative",
        "file://host/file",
        "file:///a/../etc",
        "file:///a/%2e%2e/etc",
        "file:///a//b",
        "file:///a/./b",
        "file:///a%00b",
        "file:///a?b",
        "file:///a#b",
        "file:///a%ff",
        "file:///a%0Ab",
    ],
)
def test_doubtful_urls_are_refused(url: str) -> None:
    with pytest.raises(Refused):
        FileBackend.open(Target(id="t", url=url), {"digest-key": DIGEST_KEY})


def test_a_link_inside_is_removed_and_never_followed(disk: Disk) -> None:
    tree = disk.root / "tree"
    tree.mkdir()
    (disk.root / "kept").mkdir()
    (disk.root / "kept" / "file").write_bytes(b"stays")
    (tree / "to-file").symlink_to(disk.root / "kept" / "file")
    (tree / "to-folder").symlink_to(disk.root / "kept")
    (tree / "to-nothing").symlink_to("nowhere")
    assert "symlink-text" in limits(tree)
    erase(tree)
    assert (disk.root / "kept" / "file").read_bytes() == b"stays"


# --- what changes between the approval and the end ----------------------------------------------


def test_what_comes_in_during_the_removal_stays(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty files, holes, links and folders have no content that could tell them from what is ours."""
    tree = disk.root / "tree"
    plant(tree)
    approved = inspect(tree)
    run(tree, "overwrite", approved)
    look = FileBackend._refuse_strangers

    def look_and_let_in(backend: FileBackend, stream: Keystream) -> None:
        look(backend, stream)
        (tree / "zz-empty").touch()
        (tree / "zz-link").symlink_to("nowhere")
        (tree / "zz-folder").mkdir()
        with (tree / "zz-hole").open("wb") as hole:
            hole.truncate(1 << 20)

    monkeypatch.setattr(FileBackend, "_refuse_strangers", look_and_let_in)
    with pytest.raises(Refused, match="came or changed after the overwrite and stay"):
        run(tree, "remove", approved)
    assert sorted(os.listdir(tree)) == ["zz-empty", "zz-folder", "zz-hole", "zz-link"]


def test_what_comes_after_the_approval_is_refused(disk: Disk) -> None:
    tree = disk.root / "tree"
    plant(tree)
    approved = inspect(tree)
    (tree / "new").write_bytes(b"precious")
    with pytest.raises(Refused, match="1 entries came into the target after the approval"):
        run(tree, "overwrite", approved)
    assert (tree / "a" / "file2").read_bytes() == (CANARY * 2)[:33]
    (tree / "new").unlink()
    (tree / "a" / "file7").write_bytes(b"changed")
    with pytest.raises(Refused, match="was changed after the approval"):
        run(tree, "overwrite", approved)
    assert (tree / "a" / "file7").read_bytes() == b"changed"


@pytest.mark.parametrize("known", [True, False])
def test_what_comes_after_the_overwrite_stays(disk: Disk, known: bool) -> None:
    tree = disk.root / "tree"
    plant(tree)
    approved = inspect(tree) if known else None
    run(tree, "overwrite", approved)
    (tree / "a" / "b" / "new").write_bytes(b"precious")
    (tree / "a" / "file7").write_bytes(b"changed")
    with pytest.raises(Refused, match="1 entries came" if known else "2 entries of the target do not hold"):
        run(tree, "remove", approved)
    assert (tree / "a" / "b" / "new").read_bytes() == b"precious"
    assert (tree / "empty").is_dir(), "nothing is removed when something must stay"
    (tree / "a" / "b" / "new").unlink()
    with pytest.raises(Refused, match="1 entries of the target do not hold"):
        run(tree, "remove", approved)
    assert (tree / "a" / "file7").read_bytes() == b"changed"


def test_a_change_at_the_end_of_a_file_is_seen_before_it_is_removed(disk: Disk) -> None:
    tree = disk.root / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(CANARY * 100_000)
    run(tree, "overwrite")
    with (tree / "file").open("r+b") as file:
        file.seek(3_000_000)
        file.write(b"precious")
    with pytest.raises(Refused, match="do not hold this job's pattern"):
        run(tree, "remove")
    assert b"precious" in (tree / "file").read_bytes()


def test_a_missing_target_is_not_overwritten(disk: Disk) -> None:
    file = disk.root / "file"
    file.write_bytes(b"x")
    approved = inspect(file)
    file.rename(disk.root / "moved")
    with pytest.raises(Gone):
        run(file, "overwrite", approved)
    with pytest.raises(Gone):
        inspect(disk.root / "no-folder" / "file")


def test_another_file_under_the_name_is_put_back(disk: Disk) -> None:
    (disk.root / "file").write_bytes(b"precious")
    fd = os.open(disk.root, os.O_RDONLY)
    try:
        with pytest.raises(Refused, match="was replaced by another file"):
            remove(fd, "file", DIGEST_KEY, inode=(disk.root / "file").stat().st_ino + 1)
    finally:
        os.close(fd)
    assert (disk.root / "file").read_bytes() == b"precious"


def test_a_deep_tree_goes(disk: Disk) -> None:
    """Deeper than any path can be long, and than Python's stack and the open files allow."""
    (disk.root / "tree").mkdir()
    here = os.open(disk.root / "tree", os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    fd = os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.write(fd, CANARY * 10)
    os.close(fd)
    os.close(here)
    assert CANARY in disk.raw()
    erase(disk.root / "tree")
    assert CANARY not in disk.raw()


def test_an_overwrite_goes_on_from_where_it_was(disk: Disk) -> None:
    file = disk.root / "file"
    file.write_bytes(CANARY * (1 << 18))  # 8 MiB
    stream = Keystream(PATTERN)
    fd = os.open(file, os.O_RDWR)
    try:
        offsets = list(overwrite_in_place(fd, stream, "u", 2_000_000, durable=1 << 20))
        assert offsets[-1] == 8 << 20
        assert len(offsets) > 1
        content = file.read_bytes()
        assert content.count(CANARY) in range(2_000_000 // 32 - 200, 2_000_000 // 32 + 1)
        assert content[2_000_000:] == stream.read("u", 2_000_000, (8 << 20) - 2_000_000)
        assert covered(fd) == ((0, 8 << 20),)
    finally:
        os.close(fd)
