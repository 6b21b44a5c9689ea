"""Have a carver of other people look at a device, and learn how many files it saw and of which kind.

What it carves is the data itself. Rules kept: it runs in a mount namespace of its own, where all is read-only
but one small file system in memory, which goes with the process, however that ends; as `nobody`, with a node
of the device that lets it read only; and nothing leaves but counts by kind.
"""

import ctypes
import fcntl
import hashlib
import os
import re
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from deleatur.documents.journal import Carving
from deleatur.errors import Failed, Refused

ENOUGH = 16  # files: a carver that saw so many sees, and one that is left is too many
_ROOM = 256 << 20  # bytes of memory for what is carved until then
_LARGEST = 32 << 20  # bytes of one carved file
_LOOK = 0.2  # seconds between two looks into the room
_LEAST = 600  # seconds for any device
_SLOWEST = 5 << 20  # bytes a second, below which a carver is given up
_NOBODY = 65534
_SWAPS = Path("/proc/swaps")
_COULD_BE_SWAPPED = 3  # exit code of the carver's process
_PLACE = Path("/run")  # in a namespace of its own: what is mounted there, nobody else sees
_NEW_NAMESPACE = 0x00020000  # CLONE_NEWNS, linux/sched.h
_PRIVATE = 0x44000  # MS_REC | MS_PRIVATE, linux/mount.h
_SET_ATTRIBUTES, _RECURSIVE, _READ_ONLY = 442, 0x8000, 1  # mount_setattr, AT_RECURSIVE, MOUNT_ATTR_RDONLY
_FORGET_BUFFERS = 0x1261  # BLKFLSBUF, linux/fs.h
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG, linux/prctl.h


class Carver(NamedTuple):
    """How a carver is asked: its version, and for files that begin with at least five fixed bytes.

    Formats with a shorter beginning turn up in random bytes, which is what an erased device holds.
    """

    version: tuple[str, ...]
    words: tuple[str, ...]  # `{device}` and `{room}` are filled in


CARVERS = {
    "foremost": Carver(
        version=("-V",),
        words=("-q", "-Q", "-t", "png,gif,pdf,ole", "-i", "{device}", "-o", "{room}/carved"),
    ),
    "photorec": Carver(
        version=("/version",),
        words=(
            "/d",
            "{room}/carved",
            "/cmd",
            "{device}",
            "partition_none,fileopt,everything,disable,png,enable,gif,enable,pdf,enable,doc,enable,"
            "options,keep_corrupted_file_no,wholespace,search",
        ),
    ),
}
_REPORTS = {"audit.txt", "report.xml"}  # a carver's own, beside what it carved


def carve(name: str, device: str) -> Carving:
    """Return what the carver `name` sees on a block device: up to `ENOUGH` files, or all of the device.

    Raises:
        Refused: it is not installed; or what it carves could be swapped out, onto a disk.
        Failed: it did not come to its end, and had seen nothing until then.
    """
    program = shutil.which(name)
    if program is None:
        raise Refused(f"{name} is not installed; install it, or take it out of verification.carver")
    with Path(program).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    asked = [sys.executable, "-P", "-m", "deleatur.sanitize.carving", name, program, device]
    run = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    if run.returncode == _COULD_BE_SWAPPED:
        raise Refused(
            f"what {name} carves could be swapped out, as this kernel is older than Linux 6.4; "
            "switch swap off, or take the carver out of verification.carver"
        )
    if run.returncode:
        raise Failed(f"{name} did not come to its end on the device; try it by hand, then resume")
    lines = (line.split() for line in run.stdout.decode("ascii").splitlines())
    return Carving(
        program=name,
        version=_version(name, program),
        sha256=digest,
        kinds=tuple((kind, int(count)) for kind, count in lines),
    )


def _version(name: str, program: str) -> str:
    """Return the version that a carver tells, "" if it tells none."""
    words = [program, *CARVERS[name].version]
    told = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    found = re.search(rb"\b\d{1,4}(\.\d{1,4})+\b", told.stdout + told.stderr)
    return found.group().decode() if found else ""


def _counted(folder: Path) -> Counter[str]:
    """Count carved files by the end of their name, which the carver gave them."""
    files = (path for path in folder.rglob("*") if path.name not in _REPORTS and path.is_file())
    kinds = (re.sub(r"[^a-z0-9]", "", path.suffix.lower())[:8] or "other" for path in files)
    return Counter(kinds)


def _alone(device: str) -> Path:
    """Go into a namespace in which all is read-only but a room in memory; return the device's node there."""
    number = Path(device).stat().st_rdev
    libc = ctypes.CDLL(None, use_errno=True)
    read_only = struct.pack("=QQQQ", _READ_ONLY, 0, 0, 0)
    _checked(libc.prctl(_DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0))
    _checked(libc.unshare(_NEW_NAMESPACE))
    _checked(libc.mount(b"none", b"/", None, _PRIVATE, None))
    _checked(libc.syscall(_SET_ATTRIBUTES, -100, b"/", _RECURSIVE, read_only, len(read_only)))
    _mount_room(libc)
    node = _PLACE / "device"
    os.mknod(node, stat.S_IFBLK | 0o444, number)
    node.chmod(0o444)  # whatever the umask is
    return node


def _mount_room(libc: ctypes.CDLL) -> None:
    """Mount the room in memory that is never swapped; exit where it could be."""
    options = f"size={_ROOM},mode=0755".encode()
    if libc.mount(b"none", bytes(_PLACE), b"tmpfs", 0, options + b",noswap"):  # since Linux 6.4
        if len(_SWAPS.read_text("utf-8").splitlines()) > 1:  # beneath its heading
            raise SystemExit(_COULD_BE_SWAPPED)
        _checked(libc.mount(b"none", bytes(_PLACE), b"tmpfs", 0, options))


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _prepare_carver() -> None:
    """End with the parent, and write no file larger than is carved for a count."""
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST, _LARGEST))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _main(name: str, program: str, device: str) -> None:
    """Carve in a room of its own, tell counts, and let all else go with this process.

    Raises:
        Failed: the carver did not come to its end, and had seen nothing until then.
    """
    with Path(device).open("rb", buffering=0) as whole:
        fcntl.ioctl(whole, _FORGET_BUFFERS)
        patience = _LEAST + whole.seek(0, os.SEEK_END) / _SLOWEST
    node = _alone(device)
    room = _PLACE / "room"
    room.mkdir()
    os.chown(room, _NOBODY, _NOBODY)
    words = [word.format(device=node, room=room) for word in CARVERS[name].words]
    running = subprocess.Popen(  # noqa: S603
        [program, *words],
        cwd=room,
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[],
        env={"HOME": str(room), "PATH": "/usr/bin:/bin", "LC_ALL": "C", "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_prepare_carver,  # noqa: PLW1509 - this process has one thread
    )
    until = time.monotonic() + patience
    while running.poll() is None and time.monotonic() < until and _counted(room).total() < ENOUGH:
        with suppress(subprocess.TimeoutExpired):
            running.wait(_LOOK)
    ended = running.poll() == 0
    running.kill()
    running.wait()
    found = _counted(room)
    for kind in sorted(found):
        sys.stdout.write(f"{kind} {found[kind]}\n")
    if not (ended or found):
        raise Failed(f"{name} did not come to its end")


if __name__ == "__main__":
    _main(*sys.argv[1:])
