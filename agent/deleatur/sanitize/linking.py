"""Hold files that another program is about to remove by a second name, and shred them once it has.

A rewrite gives the old file's blocks back to the file system as they are; a second name keeps them
ours. Rules kept: nothing is overwritten that anybody still uses under any name; a crash journal says
of each file how far it came, so that a kill between rewrite and shred is finished afterwards, once;
a second name that vanished by another hand is an error, never taken for done.
"""

import errno
import fcntl
import hashlib
import os
import signal
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from deleatur.errors import Failed, Refused, Transient
from deleatur.sanitize.alone import lock
from deleatur.sanitize.filesystem import generation
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.overwrite import overwrite_in_place
from deleatur.sanitize.usage import usage

_PREFIX = ".deleatur-held-"  # hidden, and no ending that a database would take for a file of its own
_CHECK = 16  # hex digits of SHA-256 in front of each line: a torn line is told from a whole one
_POLL = 0.1  # seconds between two looks at who still has a file open
_STATES = frozenset({"holding", "held", "overwritten", "done"})


@dataclass(frozen=True, kw_only=True)
class HeldName:
    """A file with a second name of ours."""

    path: Path  # where the program has it, or had it
    device: int
    inode: int
    generation: int  # tells the file from a later one with the same number
    size: int  # bytes, when it was held
    state: str  # "holding" (the name may be there), "held", "overwritten" (only the name is left)
    prefix: str = _PREFIX  # of its second name

    @property
    def unit(self) -> str:
        """Its name in documents, and that of its stream of the overwrite."""
        return f"inode-{self.inode}"

    @property
    def second(self) -> Path:
        """Its second name, in the folder of the first: a link cannot cross a mount."""
        return self.path.with_name(f"{self.prefix}{self.inode}")


class LinkShredder:
    """Second names with a crash journal. Open it with the same journal after a kill, then `shred`.

    Raises Transient when another run has the journal open.
    """

    def __init__(self, journal: Path, *, prefix: str = _PREFIX) -> None:
        """`prefix` begins the second names, in each run: a program may have names that it leaves alone."""
        self._path = journal
        self._prefix = prefix
        self._held: dict[tuple[int, int], HeldName] = {}
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with ExitStack() as opened:
            self._journal = os.open(journal, flags, 0o600)
            opened.callback(os.close, self._journal)
            self._keep_others_away()
            self._end = self._replay()
            opened.pop_all()

    def _keep_others_away(self) -> None:
        """Let nobody else note anything here, and note nothing in a journal that was just removed."""
        busy = f"another run works with the crash journal {self._path}; resume when it has ended"
        lock(self._journal, busy)
        if not os.fstat(self._journal).st_nlink:
            raise Transient(busy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal; what is pending stays pending."""
        os.close(self._journal)

    @property
    def pending(self) -> tuple[HeldName, ...]:
        """Every file that is neither shredded nor let go."""
        return tuple(self._held.values())

    def hold(self, paths: Iterable[Path]) -> tuple[HeldName, ...]:
        """Give each file a second name, durably; one that has it already keeps it.

        Call it before the program begins its rewrite. A path that is not there is left out.

        Raises:
            Refused: a path is no regular file, or has a further name that is not ours.
        """
        new = [name for name in map(self._described, paths) if name is not None]
        fresh = [name for name in new if not self._holds(name)]
        self._note("holding", fresh)
        for name in fresh:
            try:
                os.link(name.path, name.second, follow_symlinks=False)
            except FileExistsError:  # left by a run that was killed before its journal had the name
                if not os.path.samestat(name.second.lstat(), name.path.lstat()):
                    raise Refused(f"the second name of {name.unit} is taken; remove {name.second}") from None
        for folder in {name.second.parent for name in fresh}:
            _flush(folder)
        self._note("held", fresh)
        return tuple(self._held[name.device, name.inode] for name in new)

    def in_use(self) -> tuple[HeldName, ...]:
        """Return the files that still stand where the program has them: they were not given up."""
        return tuple(name for name in self.pending if not _given_up(name))

    def release(self, names: Iterable[HeldName]) -> None:
        """Take our second names away from files that stay in use.

        Raises:
            Refused: a file is not in use any more, so that its blocks would be given back as they are.
        """
        for name in names:
            if _given_up(name):
                raise Refused(f"{name.unit} was given up meanwhile; shred it")
            name.second.unlink(missing_ok=True)
            _flush(name.second.parent)
            self._note("done", [name])

    def shred(self, keystream: Keystream, *, patience: float | None = 10.0) -> Iterator[tuple[str, int]]:
        """Overwrite and remove every file that was given up; yield (unit, flushed offset).

        Files that are still in use are left as they are. Waits `patience` seconds for a program
        that has given up a file and not closed it yet; None: it is known to write no file that it gave up.

        Raises:
            Transient: somebody still has one open.
            Refused: one has another name, or this user cannot see who has it open.
            Failed: a second name vanished before the file was overwritten, or the file was cut.
        """
        given_up = [name for name in self.pending if _given_up(name)]
        waiting = [name for name in given_up if name.state != "overwritten" and self._is_there(name)]
        if patience is not None:
            _wait_until_closed(waiting, patience)
        for name in given_up:
            if name in waiting:
                for offset in _overwritten(name, keystream):
                    yield name.unit, offset
                self._note("overwritten", [name])
            name.second.unlink(missing_ok=True)
            _flush(name.second.parent)
            self._note("done", [name])

    def finish(self) -> None:
        """Remove the journal.

        Raises:
            Refused: something is still pending.
        """
        if self._held:
            units = ", ".join(name.unit for name in self.pending)
            raise Refused(f"{units} still has a second name; shred or release it first")
        self._path.unlink()
        _flush(self._path.parent)

    def _described(self, path: Path) -> HeldName | None:
        path = path.absolute()
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            status = os.fstat(fd)
            unit = f"inode-{status.st_ino}"
            if not stat.S_ISREG(status.st_mode):
                raise Refused(f"{unit} is no regular file, so it cannot be held")
            name = HeldName(
                path=path,
                device=status.st_dev,
                inode=status.st_ino,
                generation=generation(fd),
                size=status.st_size,
                state="holding",
                prefix=self._prefix,
            )
            if status.st_nlink != 1 + _stands(name.second, name):
                raise Refused(f"{unit} has {status.st_nlink} names; remove the others")
            return name
        finally:
            os.close(fd)

    def _holds(self, name: HeldName) -> bool:
        """Say whether the file is held already. Raises Failed when its second name was taken away."""
        known = self._held.get((name.device, name.inode))
        if known is None or known.generation != name.generation or known.state == "holding":
            return False
        return self._is_there(known)

    def _is_there(self, name: HeldName) -> bool:
        """Say whether the second name is there. Raises Failed when somebody else took it away."""
        if _stands(name.second, name):
            return True
        if name.state == "held":
            raise Failed(
                f"the second name of {name.unit} was removed by another hand: its blocks were given back "
                "as they were; fill the free space or wipe it"
            )
        return False  # killed before the link was made: nothing was given up, either

    def _note(self, state: str, names: Iterable[HeldName]) -> None:
        """Write one line for each file and flush them together; only then they hold."""
        names = list(names)
        if not names:
            return
        content = b"".join(_line(state, name) for name in names)
        done = 0
        while done < len(content):
            done += os.pwrite(self._journal, content[done:], self._end + done)
        os.fsync(self._journal)
        self._end += len(content)
        for name in names:
            self._take(state, name)

    def _take(self, state: str, name: HeldName) -> None:
        key = (name.device, name.inode)
        if state == "done":
            self._held.pop(key, None)
        else:
            self._held[key] = replace(name, state=state, prefix=self._prefix)

    def _replay(self) -> int:
        """Read the journal; return where the next line goes. A torn last line never happened."""
        content = b""
        while part := os.pread(self._journal, 1 << 20, len(content)):
            content += part
        _flush(self._path.parent)
        end = 0
        lines = content.splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            parsed = _parsed(line)
            if parsed is None and number < len(lines):
                raise Failed(
                    f"line {number} of the crash journal {self._path} is damaged; ask before going on"
                )
            if parsed is not None:
                self._take(*parsed)
                end += len(line)
        if end < len(content):
            os.ftruncate(self._journal, end)
            os.fsync(self._journal)
        return end


def _line(state: str, name: HeldName) -> bytes:
    words = f"{state} {name.device} {name.inode} {name.generation} {name.size} "
    words += os.fsencode(name.path).hex()
    return f"{hashlib.sha256(words.encode()).hexdigest()[:_CHECK]} {words}\n".encode()


def _parsed(line: bytes) -> tuple[str, HeldName] | None:
    check, _, words = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or check != hashlib.sha256(words).hexdigest()[:_CHECK].encode():
        return None
    state, device, inode, number, size, path = words.decode("ascii").split(" ")
    if state not in _STATES:
        raise Failed(f"the crash journal has a line {state[:20]!r} that this version does not know")
    return state, HeldName(
        path=Path(os.fsdecode(bytes.fromhex(path))),
        device=int(device),
        inode=int(inode),
        generation=int(number),
        size=int(size),
        state=state,
    )


def _given_up(name: HeldName) -> bool:
    """Say whether the program has the file no more.

    One that was overwritten never comes back: what stands there with its number is a later file.
    """
    return name.state == "overwritten" or not _stands(name.path, name)


def _stands(path: Path, name: HeldName) -> bool:
    """Say whether exactly this file stands under `path`."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return (status.st_dev, status.st_ino) == (name.device, name.inode)


def _wait_until_closed(names: list[HeldName], patience: float) -> None:
    """Return when nobody else on this host has any of the files open or mapped."""
    end = time.monotonic() + patience
    for name in names:
        while not nobody_has_open(name.second, name.unit):
            if time.monotonic() >= end:
                users = usage().users.get((name.device, name.inode), ())
                by = (
                    ", ".join(f"{command} ({pid})" for pid, command in users)
                    or "this process, or one not seen here"
                )
                raise Transient(f"{name.unit} was given up and is still open in {by}; try again")
            time.sleep(_POLL)


def nobody_has_open(path: Path, unit: str) -> bool:
    """Ask the kernel for a write lease, which it grants only where nobody else has the file open.

    Unlike a look through /proc this also counts processes that may not be looked into (fcntl(2)).
    Raises Refused, which names `unit`, where the file system or this user cannot ask.
    """
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # who opens it now would end us by SIGIO
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOLCK, errno.EACCES):
            raise
        raise Refused(
            f"nobody knows who has {unit} open ({error.strerror}): run as root, on a local file system"
        ) from None
    finally:
        os.close(fd)
    return True


def _overwritten(name: HeldName, keystream: Keystream) -> Iterator[int]:
    """Overwrite one file in place from its first byte; it has no other name and no user."""
    fd = os.open(name.second, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino, generation(fd)) != (name.device, name.inode, name.generation):
            raise Failed(f"{name.unit} was replaced by another file; nothing was overwritten")
        if status.st_nlink != 1:
            raise Refused(f"{name.unit} has {status.st_nlink} names; remove the others and resume")
        yield from overwrite_in_place(fd, keystream, name.unit)
        if status.st_size < name.size:  # it stays pending: no later run may take it for shredded
            raise Failed(
                f"{name.unit} was cut by {name.size - status.st_size} bytes before it could be overwritten: "
                "their blocks went back as they were; fill the free space or wipe it"
            )
    finally:
        os.close(fd)


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
