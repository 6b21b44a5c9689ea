"""Read the memory of the processes that work in a folder, as it is: a server's, while it runs.

Rules kept: a process is taken for the server's by the folder that it works in, as the kernel has it, at the
moment of the reading, so that a restart is another process and no other answer; a page that is neither in
memory nor swapped out holds nothing of its own and is left out; what several processes share is read whole
and once, as the kernel has it, whoever of them has touched it; what is mapped and cannot be read is a Gap; no
process at all is a Gap too. This process is left out: it holds the needles.
"""

import errno
import os
import stat
import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from deleatur.documents.place import MEMORY_OF, Surface
from deleatur.sanitize.surface import CHUNK, Gap, Piece, data_of

_PAGE = os.sysconf("SC_PAGE_SIZE")
_ENTRY = 8  # bytes in /proc/PID/pagemap for each page
_HELD = (
    0b11 << 62
)  # of an entry: in memory (bit 63), swapped out (bit 62); Documentation/admin-guide/mm/pagemap.rst
_PAGES = CHUNK // _PAGE  # looked up at a time
# Pages that the kernel makes, the same for everybody; and rings that hold addresses, never content.
_KERNELS = ("[vvar]", "[vvar_vclock]", "[vsyscall]", "anon_inode:[io_uring]")
# In memory, swapped out, in huge pages; Documentation/filesystems/proc.rst
_FILLED = ("Rss:", "Swap:", "Private_Hugetlb:", "Shared_Hugetlb:")
_PASSES = 10  # listings of processes, and of the mappings of one, until one shows nothing new


def memory_of_server(pid: int, folder: Path, keeps: str, decoders: tuple[str, ...] = ()) -> Surface:
    """Name the memory of a server, which is known by the folder that its process works in.

    `keeps` says in words for the certificate what stays there, and until when. Out of reach unless process
    `pid` works in `folder` and may be read from here.
    """
    name = "memory of the server"
    if _works_in(pid, folder) and memory_is_readable(pid):
        paths = (f"{MEMORY_OF}{folder}",)
        return Surface(name=name, reach="scannable", paths=paths, reason=keeps, decoders=decoders)
    reason = f"{keeps}; its processes cannot be read from here: run as root on its host, in no container"
    return Surface(name=name, reach="out-of-reach", reason=reason)


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/cwd"), folder.stat())  # noqa: PTH116 - a link of the kernel's
    except OSError:
        return False


def memory_is_readable(pid: int) -> bool:
    """Say whether this process may read the memory of another one, and what that shares with others."""
    process = _Process(pid, "", set())
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC))
        os.close(os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC))
        for mapping in process.mappings():
            if mapping.shared:
                os.stat(process.file_of(mapping))  # noqa: PTH116 - a link of the kernel's
    except OSError:
        return False
    return True


def read_memory(surface: str) -> Iterator[Piece | Gap]:
    """Read all memory of every process that works in the folder that `surface` names after `MEMORY_OF`."""
    folder = Path(surface.removeprefix(MEMORY_OF))
    shared: set[tuple[int, int]] = set()  # device and inode of what was read of it
    read: set[int] = set()
    hidden: set[int] = set()
    for _ in range(_PASSES):
        try:
            pids, unseen = _workers(folder.stat())
        except OSError as error:
            yield Gap(surface, 1, f"its folder cannot be looked at: {error.strerror}")
            return
        if not (pids or read):
            yield Gap(surface, 1, "no process works in this folder: start the server, and look as root")
        children = {pid for pid in unseen if _parent(pid) in pids} - hidden
        for pid in sorted(children):
            yield Gap(surface, 1, f"its child pid {pid} lets nobody look into it")
        hidden |= children
        new = [pid for pid in pids if pid not in read]
        if not new:
            return
        for pid in new:
            yield from _Process(pid, f"{surface} pid {pid}", shared).read()
        read.update(new)
    yield Gap(surface, 1, "processes come faster than they are read: let nobody connect meanwhile")


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
class _Mapping:
    """A range of addresses."""

    begin: int
    end: int
    shared: bool  # with whoever maps the same
    filled: bool = False  # some of its pages hold something


@dataclass
class _Process:
    """One process, whose mappings come and go while it is read."""

    pid: int
    where: str
    known: set[tuple[int, int]]  # device and inode of what is shared and was read already

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
                new = [m for m in self.mappings() if done.get(m.begin, m.begin) < m.end]
                if not new:
                    return
                for mapping in new:
                    read = mapping.shared and (yield from self._shared(mapping))
                    if mapping.filled and not read:
                        yield from self._own(memory, done.get(mapping.begin, mapping.begin), mapping.end)
                    done[mapping.begin] = mapping.end
            yield Gap(self.where, 1, "its memory grows while it is read")
        except (FileNotFoundError, ProcessLookupError):
            return
        except OSError as error:
            yield Gap(self.where, 1, f"its memory cannot be looked at: {error.strerror}")
        finally:
            os.close(memory)

    def mappings(self) -> list[_Mapping]:
        """List what is mapped now; a server may reserve terabytes of addresses that hold nothing."""
        found: list[_Mapping] = []
        kernels = False
        lines = Path(f"/proc/{self.pid}/smaps").read_bytes().split(b"\n")  # no other character ends one
        for line in filter(None, lines):
            first, *rest = os.fsdecode(line).split()
            if not first.endswith(":"):
                begin, end = first.split("-")
                kernels = " ".join(rest[4:]) in _KERNELS
                if not kernels:
                    found.append(_Mapping(int(begin, 16), int(end, 16), shared=rest[0].endswith("s")))
            elif first in _FILLED and not kernels and rest[0] != "0":
                found[-1].filled = True
        return found

    def file_of(self, mapping: _Mapping) -> str:
        """Return the kernel's link to the file of a mapping: shared memory is one, also without a name."""
        return f"/proc/{self.pid}/map_files/{mapping.begin:x}-{mapping.end:x}"

    def _shared(self, mapping: _Mapping) -> Generator[Piece | Gap, None, bool]:
        """Read what others share, whole, through its file; say whether it is one.

        Pages that this process has not touched are not its own yet and hold what others wrote there. Read at
        their addresses they would become its own, gigabytes of them; of the file only what is there is read.
        """
        path = self.file_of(mapping)
        try:
            status = os.stat(path)  # noqa: PTH116 - a link of the kernel's
            if not stat.S_ISREG(status.st_mode):
                return False  # of a device, or a ring of the kernel's
            if (status.st_dev, status.st_ino) in self.known:
                return True
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return False  # no file that anybody could open: a ring of the kernel's
            if self._is_mapped(mapping.begin, mapping.end):
                size = mapping.end - mapping.begin
                yield Gap(self.where, size, f"what it shares cannot be opened: {error.strerror}")
            return True  # else it was given back to the system meanwhile
        self.known.add((status.st_dev, status.st_ino))
        try:
            yield from data_of(fd, f"{self.where} shared inode-{status.st_ino}", 0)
        finally:
            os.close(fd)
        return True

    def _own(self, memory: int, begin: int, end: int) -> Iterator[Piece | Gap]:
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
        return any(mapping.begin < high and low < mapping.end for mapping in self.mappings())

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
