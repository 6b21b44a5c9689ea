"""Attach a played drive in the guest, as a device of the kernel, and take it away again."""

import errno
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .drives import by_serial

PATIENCE = 60  # seconds for a drive to appear
TARGET = Path("/sys/kernel/config/target")
_numbers = itertools.count(1)


class NvmeDrive:
    """A played NVMe drive that goes on while no host is attached, as one in another power supply does."""

    def __init__(self, port: str, process: "subprocess.Popen[bytes]") -> None:
        self._port, self._process = port, process

    def attach(self) -> Path:
        """Return /dev/nvmeN; its namespace is nvmeNn1."""
        _run("nvme", "connect", "--transport=tcp", "--traddr=127.0.0.1", f"--trsvcid={self._port}",
             "--nqn=nqn.2026-11.lab:played", "--nr-io-queues=1")  # fmt: skip
        drive = _appeared(lambda: _controller(self._port), f"no controller at port {self._port}")
        _appeared(lambda: next(Path("/sys/block").glob(f"{drive.name}n1")), f"{drive} has no namespace")
        return drive

    def detach(self, drive: Path) -> None:
        """Take the drive off this host."""
        _run("nvme", "disconnect", f"--device={drive.name}")

    def cure(self) -> None:
        """End what is stuck, as a power cycle does with such drives."""
        self._process.send_signal(signal.SIGUSR1)


@contextmanager
def detached_nvme_drive(mode: str, seconds: float) -> Iterator[NvmeDrive]:
    """Yield a drive whose sanitize takes so many seconds, not attached yet."""
    port = str(4420 + next(_numbers))
    _run("modprobe", "nvme-tcp")
    with _played("nvme_target.py", mode, port, str(seconds)) as process:
        yield NvmeDrive(port, process)


@contextmanager
def nvme_drive(mode: str, seconds: float = 2.0) -> Iterator[Path]:
    """Yield /dev/nvmeN (its namespace is nvmeNn1) of a drive whose sanitize takes so many seconds."""
    with detached_nvme_drive(mode, seconds) as played:
        drive = played.attach()
        try:
            yield drive
        finally:
            played.detach(drive)


@contextmanager
def scsi_drive(kind: str, mode: str, seconds: float = 2.0) -> Iterator[Path]:
    """Yield /dev/sdX of a played drive, of a kind of `tcmu.py`, whose sanitize takes so many seconds."""
    number = next(_numbers)
    serial = f"PLAYED{number:02d}"
    _run("modprobe", "--all", "configfs", "target_core_user", "tcm_loop", "sd_mod", "sg")
    if not TARGET.parent.exists() or not TARGET.exists():
        _run("mount", "-t", "configfs", "configfs", str(TARGET.parent))
    store = TARGET / "core" / f"user_{number}" / "drive"
    port = TARGET / "loopback" / f"naa.50014050{number:08x}" / "tpgt_1"
    store.mkdir(parents=True)
    for line in (f"dev_config=lab/{number}", "dev_size=16777216", "nl_reply_supported=-1"):
        (store / "control").write_text(line)
    (store / "enable").write_text("1")
    with _played("tcmu.py", f"/dev/{_uio(number)}", kind, mode, str(seconds), serial):
        unit = port / "lun" / "lun_0"
        port.mkdir(parents=True)
        (port / "nexus").write_text(f"naa.50014051{number:08x}")
        unit.mkdir()
        (unit / "drive").symlink_to(store)
        try:
            yield _appeared(lambda: _ready(by_serial(serial)), f"no disk {serial}")
        finally:
            (unit / "drive").unlink()
            for folder in (unit, port, port.parent):
                folder.rmdir()
    store.rmdir()
    store.parent.rmdir()


def _controller(port: str) -> Path:
    for address in Path("/sys/class/nvme").glob("nvme*/address"):
        if f"trsvcid={port}" in address.read_text():
            return Path("/dev") / address.parent.name
    raise LookupError(port)


def _uio(number: int) -> str:
    for name in Path("/sys/class/uio").glob("uio*/name"):
        if name.read_text().strip().endswith(f"/lab/{number}"):
            return name.parent.name
    raise LookupError(number)


@contextmanager
def _played(program: str, *words: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Run one of the programs beside this file, once it says that it is there."""
    command = [sys.executable, "-S", Path(__file__).with_name(program), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline(), f"{program} did not start"
            yield process
        finally:
            process.kill()


def _appeared(find: Callable[[], Path], otherwise: str) -> Path:
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        try:
            return find()
        except (LookupError, StopIteration):
            time.sleep(0.1)
    raise AssertionError(otherwise)


def _ready(drive: Path) -> Path:
    """Return the drive; its name is there a moment before it can be opened."""
    try:
        os.close(os.open(drive, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENOENT):
            raise
        raise LookupError(drive) from None
    return drive


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, timeout=PATIENCE, stdout=subprocess.PIPE, text=True).stdout
