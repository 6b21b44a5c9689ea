"""Take a copy of the agent, or remove it: sent to another host's Python as it stands, where no agent is yet.

Rules: the standard library only, and words that Python 3.6 reads, so that an old one says so in one line;
nothing counts before its digest was compared; only a folder that is a copy of the agent is ever removed.
"""

import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

MARK = "agent.sha256"  # in the folder of a copy: the digest of what was taken
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_BLOCK = 1 << 20  # bytes


def fault_of(folder: Path) -> str:
    """Return why another user could write into a folder or swap it, or ""; it need not be there yet."""
    user = os.geteuid()
    if os.path.lexists(folder):
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return f"{folder} is a link or another thing than a folder; look and remove it"
        if status.st_uid != user or status.st_mode & _OTHERS:
            return f"{folder} is of another user, or others may write there; make it anew, with mode 700"
    real = folder.parent.resolve()
    for above in [*folder.parents, real, *real.parents]:
        if not os.path.lexists(above):
            return f"{above} is not there; make it first"
        status = above.lstat()
        shared = status.st_mode & _OTHERS and not status.st_mode & stat.S_ISVTX
        if status.st_uid not in (0, user) or (shared and not stat.S_ISLNK(status.st_mode)):
            return f"{above} can be changed by other users, who could swap {folder.name}; choose another"
    return ""


def kind() -> "dict[str, str]":
    """Return what compiled files must fit."""
    return {
        "python": ".".join(str(number) for number in sys.version_info[:2]),
        "implementation": sys.implementation.name,
        "platform": sysconfig.get_platform(),
        "library": platform.libc_ver()[0],
    }


def _marked(folder: Path) -> str:
    try:
        return (folder / MARK).read_text()[:64]
    except OSError:
        return ""


def _say(**told: object) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _take(folder: Path, size: int, expected: str) -> str:
    """Read the copy, compare it, and give it its name; return why not, or ""."""
    made = Path(tempfile.mkdtemp(prefix=".agent-", dir=str(folder.parent)))
    try:
        packed = made / "packed"
        fault = _received(packed, size, expected) or _unpacked(packed, made)
        if fault:
            return fault
        packed.unlink()
        (made / MARK).write_text(expected)
        os.sync()
        if _marked(folder):
            shutil.rmtree(str(folder))
        made.rename(folder)
        return ""
    finally:
        shutil.rmtree(str(made), ignore_errors=True)


def _received(packed: Path, size: int, expected: str) -> str:
    digest, left = hashlib.sha256(), size
    with packed.open("wb") as file:
        while left:
            block = sys.stdin.buffer.read(min(left, _BLOCK))
            if not block:
                return "the copy ended early; nothing of it is kept"
            digest.update(block)
            file.write(block)
            left -= len(block)
    return "" if digest.hexdigest() == expected else "the copy arrived changed; nothing of it is kept"


def _unpacked(packed: Path, made: Path) -> str:
    with tarfile.open(str(packed)) as members:
        for member in members:
            content = members.extractfile(member) if member.isfile() else None
            if content is None or ".." in member.name.split("/") or member.name.startswith("/"):
                return "the copy holds something else than files; nothing of it is kept"
            path = made / member.name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)
            path.chmod(member.mode & 0o700)
    return ""


def main(work: str, folder: Path) -> None:
    """Say what is here; then take what is sent, or remove what was taken."""
    os.umask(0o077)
    fault = fault_of(folder)
    there = "" if fault else _marked(folder)
    if not fault and not there and os.path.lexists(folder):
        fault = f"{folder} is there and is no copy of the agent; choose another"
    if not fault and not there and work == "remove":
        fault = f"{folder} is not there"
    _say(fault=fault, kind=kind(), there=there)
    if fault:
        return
    if work == "remove":
        shutil.rmtree(str(folder))
        _say(fault="")
        return
    asked = json.loads(sys.stdin.buffer.readline().decode() or "{}")
    if asked:
        try:
            _say(fault=_take(folder, asked["size"], asked["sha256"]))
        except OSError as error:
            _say(fault=f"{error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
