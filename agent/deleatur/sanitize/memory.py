"""Read the memory of the processes that work in a folder, as it is: a server's, while it runs.

Rules kept: a process is taken for the server's by the folder that it works in, as the kernel has it, at the
moment of the reading, so that a restart is another process and no other answer; a page that is neither in
memory nor swapped out holds nothing of its own and is left out; what is mapped and cannot be read is a Gap;
no process at all is a Gap too. This process is left out: it holds the needles.
"""

import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deleatur.documents.place import MEMORY_OF
from deleatur.sanitize.surface import CHUNK, Gap, Piece

_PAGE = os.sysconf("SC_PAGE_SIZE")
_ENTRY = 8  # bytes in /proc/PID/pagemap for each page
_HELD = (
    0b11 << 62
)  # of an entry: in memory (bit 63), swapped out (bit 62); Documentation/admin-guide/mm/pagemap.rst
_PAGES = CHUNK // _PAGE  # looked up at a time
_KERNELS = ("[vvar]", "[vvar_vclock]", "[vsyscall]")  # pages that the kernel makes, the same for everybody
_PASSES = 10  # listings of the mappings, until one shows nothing new


def read_memory(surface: str) -> Iterator[Piece | Gap]:
    """Read all memory of every process that works in the folder that `surface` names after `MEMORY_OF`."""
    folder = surface.removeprefix(MEMORY_OF)
    try:
        pids, unseen = _workers(Path(folder).stat())
    except OSError as error:
        yield Gap(surface, 1, f"its folder cannot be looked at: {error.strerror}")
        return
    if not pids:
        yield Gap(surface, 1, "no process works in this folder: start the server, and look as root")
    for pid in unseen:
        if _parent(pid) in pids:
            yield Gap(surface, 1, f"its child pid {pid} lets nobody look into it")
    for pid in pids:
        yield from _Process(pid, f"{surface} pid {pid}").read()


def memory_is_readable(pid: int) -> bool:
    """Say whether this process may read the memory of another one."""
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC))
        os.close(os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _workers(folder: os.stat_result) -> tuple[list[int], list[int]]:
    """Return the processes that work in a folder, and those of which that cannot be seen."""
    found: list[int] = []
    unseen: list[int] = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):  # noqa: PTH208
        try:
            works = os.stat(f"/proc/{pid}/cwd")  # noqa: PTH116 - a link of the kernel's
        except (FileNotFoundError, ProcessLookupError):  # it ended, or is a thread of the kernel
            continue
        except PermissionError:
            unseen.append(pid)
            continue
        if os.path.samestat(works, folder) and pid != os.getpid():
            found.append(pid)
    return found, unseen


def _parent(pid: int) -> int:
    """Return the process that started another one; 0 when that has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


@dataclass
class _Process:
    """One process, whose mappings come and go while it is read."""

    pid: int
    where: str

    def read(self) -> Iterator[Piece | Gap]:
        """Read its mappings until a listing shows nothing new; a process that ended has no memory."""
        try:
            memory = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            yield Gap(self.where, 1, f"its memory cannot be opened: {error.strerror}")
            return
        done: dict[int, int] = {}  # begin of a mapping: how far it was read
        try:
            for _ in range(_PASSES):
                new = [(b, e) for b, e in self._mappings() if done.get(b, b) < e]
                if not new:
                    return
                for begin, end in new:
                    yield from self._mapping(memory, done.get(begin, begin), end)
                    done[begin] = end
            yield Gap(self.where, 1, "its memory grows while it is read")
        except (FileNotFoundError, ProcessLookupError):
            return
        except OSError as error:
            yield Gap(self.where, 1, f"its memory cannot be looked at: {error.strerror}")
        finally:
            os.close(memory)

    def _mappings(self) -> list[tuple[int, int]]:
        lines = Path(f"/proc/{self.pid}/maps").read_text("utf-8", "surrogateescape").splitlines()
        ranges = (line.split(" ", 1)[0].split("-") for line in lines if not line.endswith(_KERNELS))
        return [(int(begin, 16), int(end, 16)) for begin, end in ranges]

    def _mapping(self, memory: int, begin: int, end: int) -> Iterator[Piece | Gap]:
        for low, high in self._held(begin, end):
            try:
                content = os.pread(memory, high - low, low)
            except OSError as error:
                if error.errno != errno.EIO or self._is_mapped(low, high):
                    yield Gap(self.where, high - low, f"cannot be read at {low:#x}: {error.strerror}")
                continue  # else it was given back to the system meanwhile
            if content:
                yield Piece(self.where, low, content)
            if len(content) < high - low and self._is_mapped(low + len(content), high):
                yield Gap(self.where, high - low - len(content), f"ends at {low + len(content):#x}")

    def _is_mapped(self, low: int, high: int) -> bool:
        return any(begin < high and low < end for begin, end in self._mappings())

    def _held(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the runs of pages that hold something, none longer than CHUNK."""
        fd = os.open(f"/proc/{self.pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        try:
            for first in range(begin // _PAGE, end // _PAGE, _PAGES):
                last = min(first + _PAGES, end // _PAGE)
                told = os.pread(fd, (last - first) * _ENTRY, first * _ENTRY)
                entries = struct.unpack(f"={len(told) // _ENTRY}Q", told)
                run = first
                for page, entry in enumerate((*entries, 0), start=first):
                    if not entry & _HELD:
                        if run < page:
                            yield run * _PAGE, page * _PAGE
                        run = page + 1
        finally:
            os.close(fd)
