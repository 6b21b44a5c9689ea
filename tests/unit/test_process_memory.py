"""Memory of processes: what they hold is found, and what is not read is never taken for clean."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from deleatur.documents.place import MEMORY_OF, Inspection, Surface
from deleatur.errors import Refused
from deleatur.sanitize import memory
from deleatur.sanitize.memory import memory_is_readable, memory_of_server, read_memory
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.sanitize.surface import Gap, Piece
from deleatur.testing.workbench import Workbench
from deleatur_plugins.file import FileBackend

from ..server_memory import job_with_memory

NEEDLE = b"a value that one process has made of two parts"
HOLDING = (
    "import sys; kept = sys.stdin.readline().strip()[::-1].encode() * 3; "
    "print('ready', flush=True); sys.stdin.read()"
)


@contextmanager
def worker(folder: Path, code: str = HOLDING) -> Iterator[subprocess.Popen[str]]:
    """Run a process in a folder; it makes the needle of its own, from the needle written backwards."""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(NEEDLE.decode()[::-1] + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()
            process.wait(30)


def seen(folder: Path) -> tuple[int, int]:
    """Return how often both engines saw the needle in the memory of a folder, and what was lost."""
    surface = Surface(name="memory of the server", reach="scannable", paths=(f"{MEMORY_OF}{folder}",))
    found = Scanner(NeedleSet.of([NEEDLE])).scan_surface(surface, lambda _size: None).scan
    assert len(found.scanners) == 2
    return found.hits - found.disputed, found.unreadable


def gaps(folder: Path) -> list[str]:
    return [part.reason for part in read_memory(f"{MEMORY_OF}{folder}") if isinstance(part, Gap)]


def test_what_a_process_holds_is_found_and_gone_with_it(tmp_path: Path) -> None:
    with worker(tmp_path):
        hits, lost = seen(tmp_path)
        assert hits >= 3
        assert lost == 0
    with worker(tmp_path, HOLDING.replace("[::-1]", "")):
        assert seen(tmp_path) == (0, 0), "another process, which has the needle backwards only"


@pytest.mark.parametrize("name", ["a\rb", "a\u2028b", "a [vvar]"])
def test_what_lies_in_a_mapped_file_of_any_name_is_found(tmp_path: Path, name: str) -> None:
    """Whoever names the file neither breaks the list of mappings nor hides one as a page of the kernel's."""
    (tmp_path / name).write_bytes(bytes(4096))
    mapping = (
        f"import mmap, sys; file = open({name!r}, 'rb'); "
        "room = mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_COPY); "
        "[room.__setitem__(*one) for one in enumerate(reversed(sys.stdin.buffer.readline().strip()))]; "
        "print('ready', flush=True); sys.stdin.read()"
    )
    with worker(tmp_path, mapping):
        assert seen(tmp_path)[0]


def test_every_process_that_works_there_is_read_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    with worker(tmp_path) as one, worker(tmp_path) as two, worker(tmp_path / "below") as other:
        parts = [p for p in read_memory(f"{MEMORY_OF}{tmp_path}") if isinstance(p, Piece)]
    pids = {int(p.where.partition(" pid ")[2].split()[0]) for p in parts}
    assert pids == {one.pid, two.pid}
    assert other.pid not in pids


def test_no_process_at_all_is_not_clean(tmp_path: Path) -> None:
    assert gaps(tmp_path) == ["no process works in this folder: start the server, and look as root"]


def test_this_process_is_left_out_for_it_holds_the_needles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gaps(tmp_path) == ["no process works in this folder: start the server, and look as root"]


def test_a_child_that_lets_nobody_look_is_not_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = HOLDING.replace(
        "import sys;", "import os, sys, time; child = os.fork() or (time.sleep(30), os._exit(0));"
    )
    real = os.stat

    def denied(path: str, **more: object) -> os.stat_result:
        if path == f"/proc/{child}/cwd":
            raise PermissionError(13, "Permission denied")
        return real(path, **more)  # type: ignore[arg-type]

    with worker(tmp_path, code) as process:
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        assert gaps(tmp_path) == []
        monkeypatch.setattr(memory.os, "stat", denied)
        assert gaps(tmp_path) == [f"its child pid {child} lets nobody look into it"]
        os.kill(child, signal.SIGKILL)


def test_a_folder_that_is_gone_is_not_clean(tmp_path: Path) -> None:
    (reason,) = gaps(tmp_path / "gone")
    assert "cannot be looked at" in reason


def test_memory_that_nobody_may_read_is_not_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: str, flags: int, **more: int) -> int:
        raise PermissionError(13, "Permission denied")

    with worker(tmp_path) as process:
        assert memory_is_readable(process.pid)
        monkeypatch.setattr(memory.os, "open", denied)
        (reason,) = gaps(tmp_path)
        assert not memory_is_readable(process.pid)
    assert "cannot be opened" in reason


def test_a_page_that_is_mapped_and_cannot_be_read_is_not_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = os.pread, []

    def once(fd: int, size: int, at: int) -> bytes:
        content = real(fd, size, at)
        if NEEDLE in content and not failed:
            failed.append(size)
            raise OSError(5, "Input/output error")
        return content

    with worker(tmp_path):
        monkeypatch.setattr(memory.os, "pread", once)
        parts = list(read_memory(f"{MEMORY_OF}{tmp_path}"))
    assert [p.size for p in parts if isinstance(p, Gap)] == failed


@pytest.mark.parametrize(
    "named", [(), (Surface(name="memory of the server", reach="out-of-reach", reason="far"),)]
)
def test_a_job_that_asks_for_memory_where_none_is_read_is_not_planned(
    tmp_path: Path, named: tuple[Surface, ...]
) -> None:
    class Far(FileBackend):
        def inspect(self) -> Inspection:
            look = super().inspect()
            return replace(look, surfaces=(*look.surfaces, *named))

    (tmp_path / "a").write_bytes(os.urandom(9000))
    bench = Workbench(tmp_path / "jobs", {"file": Far})
    with pytest.raises(
        Refused, match="memory cannot be read.*: far" if named else "no target has one to read"
    ):
        bench.plan(bench.job(job_with_memory(f"file://{tmp_path}/a")))


def test_what_was_never_touched_is_not_read(tmp_path: Path) -> None:
    """A server reserves far more than it uses: addresses that hold nothing take no time and no memory."""
    code = HOLDING.replace("import sys;", "import sys, mmap; room = mmap.mmap(-1, 1 << 34, flags=0x4022);")
    with worker(tmp_path, code):
        parts = [p for p in read_memory(f"{MEMORY_OF}{tmp_path}") if isinstance(p, Piece)]
    assert sum(len(p.content) for p in parts) < 100 << 20
    assert any(NEEDLE in bytes(p.content) for p in parts)
    assert max(len(p.content) for p in parts) <= 8 << 20


def test_what_is_mapped_while_it_is_read_is_read_too(tmp_path: Path) -> None:
    code = (
        "import sys; word = sys.stdin.readline().strip(); print('ready', flush=True); "
        "sys.stdin.readline(); kept = word[::-1].encode() * 100000; print('more', flush=True); "
        "sys.stdin.read()"
    )
    with worker(tmp_path, code) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        reading = read_memory(f"{MEMORY_OF}{tmp_path}")
        next(reading)
        process.stdin.write("go\n")
        process.stdin.flush()
        process.stdout.readline()
        assert any(isinstance(p, Piece) and NEEDLE * 1000 in bytes(p.content) for p in reading)


SHARING = (
    "import sys, os, mmap; word = sys.stdin.readline().strip(); room = mmap.mmap(-1, 1 << 26); "
    "child = os.fork(); child or (room.seek(1 << 25), room.write(word[::-1].encode()), os._exit(0)); "
    "os.waitpid(child, 0); print('ready', flush=True); sys.stdin.read()"
)


def test_a_shared_page_that_no_living_process_has_touched_is_found_and_stays_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shared(process: subprocess.Popen[str]) -> str:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return next(line for line in status.splitlines() if line.startswith("RssShmem"))

    with worker(tmp_path, SHARING) as process:
        before = shared(process)
        parts = [p for p in read_memory(f"{MEMORY_OF}{tmp_path}") if isinstance(p, Piece)]
        size = sum(len(p.content) for p in parts if " shared inode-" in p.where)
        assert size < 1 << 20, "what nobody wrote is not read"
        assert seen(tmp_path) == (1, 0)
        assert shared(process) == before, "nothing became the server's by our reading"
        monkeypatch.setattr(memory._Process, "_shared", not_shared)
        assert seen(tmp_path) == (0, 0), "the control: at the addresses of the process it is not"


def not_shared(*_: object) -> Iterator[None]:
    return
    yield


def test_what_several_processes_share_is_read_once(tmp_path: Path) -> None:
    code = SHARING.replace("os.waitpid(child, 0);", "os.waitpid(child, 0); other = os.fork();")
    with worker(tmp_path, code.replace("print(", "other and print(")) as process:
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert seen(tmp_path) == (1, 0)
        os.kill(int(child), signal.SIGKILL)


def test_what_is_shared_and_cannot_be_opened_is_not_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def denied(path: str, **more: object) -> os.stat_result:
        if "/map_files/" in str(path):
            raise PermissionError(1, "Operation not permitted")
        return real(path, **more)  # type: ignore[arg-type]

    with worker(tmp_path, SHARING) as process:
        assert memory_of_server(process.pid, tmp_path, "it keeps much").reach == "scannable"
        monkeypatch.setattr(memory.os, "stat", denied)
        assert "what it shares cannot be opened: Operation not permitted" in gaps(tmp_path)
        surface = memory_of_server(process.pid, tmp_path, "it keeps much")
    assert (surface.reach, surface.paths) == ("out-of-reach", ())
    assert surface.reason.startswith("it keeps much; its processes cannot be read from here: run as root")


def test_a_process_that_works_elsewhere_is_not_this_servers(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with worker(tmp_path / "other") as process:
        assert memory_of_server(process.pid, tmp_path, "it keeps much").reach == "out-of-reach"
        assert memory_of_server(process.pid, tmp_path / "gone", "it keeps much").reach == "out-of-reach"
    assert memory_of_server(0, tmp_path, "it keeps much").reach == "out-of-reach"


def test_terabytes_of_addresses_that_are_only_reserved_take_no_time(tmp_path: Path) -> None:
    """MariaDB reserves 8 TiB for a buffer pool that may grow: their page map alone has 16 GiB."""
    code = HOLDING.replace(
        "import sys;",
        "import sys, ctypes; reserve = ctypes.CDLL(None).mmap; reserve.restype = ctypes.c_void_p; "
        "assert reserve(None, ctypes.c_size_t(1 << 43), 0, 0x4022, -1, 0) != 2**64 - 1;",
    )
    with worker(tmp_path, code):
        began = time.process_time()
        assert seen(tmp_path)[0] >= 3
        assert time.process_time() - began < 5


def test_a_process_that_starts_while_others_are_read_is_read_too(tmp_path: Path) -> None:
    with worker(tmp_path, HOLDING.replace("[::-1]", "")):
        reading = read_memory(f"{MEMORY_OF}{tmp_path}")
        next(reading)
        with worker(tmp_path):
            assert any(isinstance(p, Piece) and NEEDLE in bytes(p.content) for p in reading)


def test_processes_that_come_without_an_end_are_not_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(1 << 22, 1 << 23))  # of processes that have ended by the time they are read
    monkeypatch.setattr(memory, "_workers", lambda _: ([next(numbers)], []))
    assert gaps(tmp_path) == ["processes come faster than they are read: let nobody connect meanwhile"]
