"""Who has a file open right now: processes, mappings, loop devices, swap.

Rules kept: nothing is signalled, attached to or changed; processes that may not be looked into are
counted, so that a caller can say how much it did not see. This process itself is left out.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

Key = tuple[int, int]  # st_dev, st_ino
User = tuple[int, str]  # pid and command; pid 0 for the kernel's own users

_BLOCK = Path("/sys/block")
_VANISHED = (FileNotFoundError, ProcessLookupError)
# A line of /proc/PID/maps that maps a file (proc(5)): range, and device, inode and path. map_files has the
# range without the zeros in front.
_MAPPING = re.compile(rb"^0*([0-9a-f]+)-0*([0-9a-f]+) \S+ \S+ (\S+ [1-9][0-9]*(?: .*)?)$", re.MULTILINE)
_FILE = re.compile(rb"[: ]")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Everything open on this machine at one moment, as far as this process may see."""

    users: dict[Key, tuple[User, ...]]
    unseen: int  # processes and loop devices that could not be looked into: no permission, or no answer


def usage() -> Usage:
    """Look through every process, loop device and swap area once.

    A snapshot: who opens a file a moment later is not in it.
    """
    found: dict[Key, set[User]] = {}
    unseen = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            keys = _opened(entry.path) | _mapped(entry.path)
        except _VANISHED:
            continue
        except OSError:  # no permission, or a file system in user space whose program died
            unseen += 1
            continue
        process = (int(entry.name), _command(entry.path))
        for key in keys:
            found.setdefault(key, set()).add(process)
    loops, dark = _loops()
    unseen += dark
    for key, user in (*loops, *_swaps()):
        found.setdefault(key, set()).add(user)
    return Usage(users={key: tuple(sorted(users)) for key, users in found.items()}, unseen=unseen)


def users_of(what: str | Path | Key) -> tuple[User, ...]:
    """Return (pid, command) of every other process that has `what` open or mapped.

    `what` is a path (its last symbolic link is not followed) or (st_dev, st_ino). Loop devices and
    swap areas count with pid 0. For many files, call `usage` once instead.
    """
    if not isinstance(what, tuple):
        status = Path(what).lstat()
        what = (status.st_dev, status.st_ino)
    return usage().users.get(what, ())


def _opened(process: str) -> set[Key]:
    """Return what the process has open, its working directory and root included."""
    found = set()
    for link in (f"{process}/cwd", f"{process}/root", *_names(f"{process}/fd")):
        with contextlib.suppress(*_VANISHED):
            status = os.stat(link)  # noqa: PTH116 - of thousands, and a Path each takes twice as long
            found.add((status.st_dev, status.st_ino))
    return found


def _names(folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in os.listdir(folder)]  # noqa: PTH208 - as above


def _mapped(process: str) -> set[Key]:
    """Return the files that the process has mapped.

    /proc/PID/maps shows the super block's device number, which on btrfs is not the file's, so
    each distinct mapping is also looked up through map_files where that is allowed. Two files of
    different subvolumes may have the same numbers there, and then have other paths.
    """
    found: set[Key] = set()
    ranges: dict[bytes, tuple[bytes, bytes]] = {}
    for first, last, file in _MAPPING.findall(Path(f"{process}/maps").read_bytes()):
        ranges.setdefault(file, (first, last))
    for file, (first, last) in ranges.items():
        major, minor, inode = _FILE.split(file, 3)[:3]
        found.add((os.makedev(int(major, 16), int(minor, 16)), int(inode)))
        with contextlib.suppress(*_VANISHED, PermissionError):  # the numbers of maps stand anyway
            status = os.stat(f"{process}/map_files/{first.decode()}-{last.decode()}")  # noqa: PTH116
            found.add((status.st_dev, status.st_ino))
    return found


def _command(process: str) -> str:
    """Return the command's name, 15 bytes at most, as the kernel knows it (proc(5))."""
    try:
        raw = Path(f"{process}/comm").read_bytes()
    except _VANISHED:
        return "?"
    return "".join(c if c.isprintable() else "?" for c in raw.decode("utf-8", "replace").strip())


def _loops() -> tuple[list[tuple[Key, User]], int]:
    """Return what loop devices show, and how many of them could not be looked into."""
    found, dark = [], 0
    for device in sorted(_BLOCK.glob("loop*")):
        try:
            backing = os.fsdecode((device / "loop/backing_file").read_bytes().rstrip(b"\n"))
            status = Path(backing).lstat()
        except _VANISHED:
            continue
        except OSError:  # as above
            dark += 1
        else:
            found.append(((status.st_dev, status.st_ino), (0, f"/dev/{device.name}")))
    return found, dark


def _swaps() -> list[tuple[Key, User]]:
    found = []
    with contextlib.suppress(*_VANISHED):
        for line in Path("/proc/swaps").read_bytes().splitlines()[1:]:
            with contextlib.suppress(*_VANISHED):
                path = line.split(None, 1)[0].replace(b"\\040", b" ")
                status = Path(os.fsdecode(path)).lstat()
                found.append(((status.st_dev, status.st_ino), (0, "swap")))
    return found


def opened_here() -> frozenset[Key]:
    """Return what this process itself has open, mapped or works in."""
    return frozenset(_opened("/proc/self") | _mapped("/proc/self"))
