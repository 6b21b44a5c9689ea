"""Real devices of this host: what uses them is seen, by whatever way, and the right one is opened."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from deleatur.cli.group import deleatur
from deleatur.devices.inventory import device_at, read_table
from deleatur.devices.opening import open_exclusive, require_same
from deleatur.devices.places import Places
from deleatur.devices.protected import never_erase
from deleatur.devices.signatures import recognized
from deleatur.documents.device import Device
from deleatur.errors import Malformed, Refused, Transient
from deleatur.judge.interlocks import identity_of, interlocks

pytestmark = pytest.mark.root
MIB = 1 << 20


def run(*command: str) -> str:
    """Run a program and return what it printed."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


@contextlib.contextmanager
def attached(image: Path, *options: str) -> Iterator[str]:
    """Attach a file as a loop device and return its node."""
    node = run("losetup", "--find", "--show", *options, str(image))
    try:
        yield node
    finally:
        run("losetup", "--detach", node)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return a file of 32 MiB."""
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(32 * MIB)
    return path


@pytest.fixture
def node(image: Path) -> Iterator[str]:
    """Return a free loop device."""
    with attached(image) as found:
        yield found


def reasons(node: str) -> tuple[str, ...]:
    """Return why the device at `node` must not be written now."""
    table = read_table(node)
    return interlocks(table, device_at(table, node))


def opened(node: str) -> Device:
    """Open the device as an erase would, and return what it was."""
    table = read_table(node)
    found = device_at(table, node)
    os.close(open_exclusive(found, flags=os.O_RDONLY))
    return found


def test_a_free_device_is_let_through_and_opened(node):
    assert reasons(node) == ()
    assert opened(node).size == 32 * MIB


def test_a_mounted_device_is_refused_and_not_opened(node, tmp_path):
    run("mkfs.ext4", "-q", node)
    (tmp_path / "at").mkdir()
    run("mount", node, str(tmp_path / "at"))
    try:
        assert f"is mounted at {tmp_path}/at" in reasons(node)[0]
        with pytest.raises(Refused, match="is in use"):
            opened(node)
    finally:
        run("umount", str(tmp_path / "at"))
    assert reasons(node) == ()


def test_a_device_that_another_mount_namespace_alone_has_mounted_is_refused(node, tmp_path):
    run("mkfs.ext4", "-q", "-U", "6b1f0a3c-52f4-4f6c-9d55-0c3f1f1a2b3c", node)
    script = f"mount {node} {tmp_path} && echo ready && exec sleep 30"
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stdout=subprocess.PIPE
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"ready\n"
            assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
            assert f"in the mount namespace of process {other.pid}" in reasons(node)[0]
        finally:
            other.kill()
            other.wait(30)


def test_a_partition_is_refused_for_its_disk_and_the_disk_for_its_partition(node, tmp_path):
    (tmp_path / "at").mkdir()
    run("addpart", node, "1", "2048", "40960")  # sectors; not every kernel reads tables of partitions
    part = f"{node}p1"
    try:
        run("mkfs.ext4", "-q", part)
        assert reasons(node) == ()
        run("mount", part, str(tmp_path / "at"))
        try:
            for one in (node, part):
                assert f"{Path(part).name} is mounted at {tmp_path}/at" in reasons(one), one
        finally:
            run("umount", str(tmp_path / "at"))
    finally:
        run("delpart", node, "1")


def test_an_open_file_of_a_device_refuses_it_and_names_who(node):
    with Path(node).open("rb") as file, subprocess.Popen(["sleep", "30"], stdin=file) as other:
        try:
            assert f"is open in process {other.pid} (sleep)" in reasons(node)[0]
        finally:
            other.kill()
            other.wait(30)


def test_a_loop_over_a_device_refuses_the_device_below(node):
    with attached(Path(node)) as above:
        assert any(f"{Path(above).name} is made of" in reason for reason in reasons(node))


@pytest.mark.parametrize("system", ["btrfs", "xfs"])
def test_a_second_device_of_a_mounted_file_system_is_refused(tmp_path, system):
    """btrfs names one device of several in the table of mounts, XFS its log in an option."""
    images = [tmp_path / "one.img", tmp_path / "two.img"]
    for image in images:
        with image.open("wb") as file:
            file.truncate(400 * MIB)
    (tmp_path / "at").mkdir()
    with attached(images[0]) as first, attached(images[1]) as second:
        if system == "btrfs":
            run("mkfs.btrfs", "-q", "-f", "-d", "raid0", "-m", "raid1", first, second)
            options = f"device={second}"
        else:
            run("mkfs.xfs", "-q", "-f", "-l", f"logdev={second},size=64m", first)
            options = f"logdev={second}"
        run("mount", "-o", options, first, str(tmp_path / "at"))
        try:
            assert any("mounted" in reason for reason in reasons(first))
            assert any("mounted" in reason for reason in reasons(second))
        finally:
            run("umount", str(tmp_path / "at"))
        assert reasons(second) == ()


def test_another_file_at_the_same_node_is_another_device(image, tmp_path):
    with attached(image) as node:
        table = read_table(node)
        before = device_at(table, node)
        planned = identity_of(table, before)
    swapped = tmp_path / "other.img"
    with swapped.open("wb") as file:
        file.truncate(32 * MIB)
    run("losetup", node, str(swapped))
    try:
        with pytest.raises(Refused, match="attachment"):
            open_exclusive(before)
        table = read_table(node)
        assert any("backing" in r for r in interlocks(table, device_at(table, node), planned=planned))
    finally:
        run("losetup", "--detach", node)


def test_what_was_opened_is_compared_and_a_plain_file_is_never_made(node, tmp_path):
    found = opened(node)
    fd = os.open(node, os.O_RDONLY)
    try:
        require_same(fd, found)
        with pytest.raises(Refused, match="bytes now"):
            require_same(fd, msgspec.structs.replace(found, size=1))
    finally:
        os.close(fd)
    missing = msgspec.structs.replace(found, path=str(tmp_path / "missing"))
    with pytest.raises(Transient, match="went away"):
        open_exclusive(missing)
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (("mkfs.ext4", "-q"), {"ext4"}),
        (("mkfs.xfs", "-q", "-f", "-m", "crc=1"), {"xfs"}),
        (("mkfs.btrfs", "-q", "-f"), {"btrfs"}),
        (("mkswap",), {"swap"}),
        (("mkfs.ntfs", "-q", "-Q", "-F"), {"ntfs"}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_lies_on_a_device_is_recognized_with_the_uuid_that_blkid_prints(tmp_path, command, names):
    image = tmp_path / "one.img"
    with image.open("wb") as file:
        file.truncate(400 * MIB)
    run(*command, str(image))
    with image.open("rb") as file:
        found = recognized(lambda offset, length: os.pread(file.fileno(), length, offset), 400 * MIB)
    assert {one.name for one in found} == names
    said = run("blkid", "--probe", "--output", "value", "--match-tag", "UUID", str(image))
    assert found[0].uuid in ("", said)


def test_the_list_of_devices_that_are_never_erased(tmp_path, node):
    folder = tmp_path / "deleatur"
    folder.mkdir()
    places = Places(etc=tmp_path)
    assert never_erase(places) is None
    (folder / "never-erase.toml").write_text(
        f'schema = "deleatur/never-erase/v1"\nserver = true\npaths = ["{node}"]\n'
    )
    table = msgspec.structs.replace(read_table(node), never=never_erase(places))
    assert any("never erased" in reason for reason in interlocks(table, device_at(table, node)))
    (folder / "never-erase.toml").write_text('schema = "deleatur/never-erase/v1"\nserials = [""]\n')
    with pytest.raises(Malformed, match="never-erase"):
        never_erase(places)


def test_devices_are_printed_for_people_and_for_machines(node):
    runner = CliRunner()
    listed = runner.invoke(deleatur, ["devices"])
    assert listed.exit_code == 0
    assert Path(node).name in listed.stdout
    one = json.loads(runner.invoke(deleatur, ["devices", node, "--json"]).stdout)["devices"]
    assert [(each["path"], each["size"], each["refused"]) for each in one] == [(node, 32 * MIB, [])]
    assert {"technique": "overwrite-device", "category": "clear"}.items() <= one[0]["techniques"][0].items()
    shown = runner.invoke(deleatur, ["devices", Path(node).name])
    assert "overwrite-device: clear" in shown.stdout
    unknown = runner.invoke(deleatur, ["devices", "no-such-disk"])
    assert isinstance(unknown.exception, Refused)
