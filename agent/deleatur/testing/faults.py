"""Faults on purpose: kill the process, or fail, at the n-th call that changes storage.

A crash matrix enumerates; it does not sample. Run the work once with `list_calls`, then once for
each of its calls, on a fresh copy of the target each time:

    for n in range(1, count_calls(work) + 1):      # work: a callable without arguments
        assert run_killed_at(work, n).killed        # in a forked child, by a real SIGKILL
        ...resume in this process, then judge what lies on the disk

Counted are the functions of `os` that change a file, a folder or a block device (`CALLS`), made
from Python as `os.name(...)`, through `pathlib`, or through a file object of the built-in `open`.
Not seen are names bound before (`from os import write`), `mmap`, and libraries in C such as SQLite;
run those under `strace -f -e inject=fsync:signal=KILL:when=N`. SIGKILL leaves the page cache in
place: what a power cut would lose is the question of `deleatur.testing.flushing`. Faults in the
verbs of a backend, instead of the calls below them: `deleatur.testing.faulty`.
"""

import _pyio  # type: ignore[import-not-found]  # Python's own file objects; typeshed leaves them out
import builtins
import io
import itertools
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

import msgspec

_BY_DESCRIPTOR = (
    "write",
    "pwrite",
    "writev",
    "pwritev",
    "sendfile",
    "copy_file_range",
    "fsync",
    "fdatasync",
    "ftruncate",
    "posix_fallocate",
)
_BY_PATH = (
    "truncate",
    "rename",
    "replace",
    "link",
    "symlink",
    "unlink",
    "remove",
    "mkdir",
    "rmdir",
    "setxattr",
    "removexattr",
)
CALLS: Final = (*_BY_DESCRIPTOR, *_BY_PATH, "open")  # open: only with a flag that may write
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

Moment = Literal["before", "after", "torn"]
Counts = Callable[[str, tuple[Any, ...]], bool]
Intercept = Callable[[str, tuple[Any, ...], dict[str, Any], Callable[..., Any]], Any]


Run = Callable[[], Iterable[str] | None]  # what it yields is told to the parent, also by one that dies


@dataclass(frozen=True)
class Outcome:
    """How a run in a child process ended."""

    killed: bool  # by the SIGKILL that was asked for
    error: str  # name and text of the exception that ended the run; "" if none did
    calls: tuple[str, ...]  # names of the counted calls, in order; empty if the child was killed
    told: tuple[str, ...] = ()  # what the run yielded before its end


def list_calls(run: Run) -> tuple[str, ...]:
    """Run `run` in a child process and name, in order, the calls that change storage.

    Raises:
        RuntimeError: the run failed, so that there is nothing to count.
    """
    outcome = _in_child(run, recording)
    if outcome.error:
        raise RuntimeError(f"the run to be counted failed: {outcome.error}")
    return outcome.calls


def count_calls(run: Run) -> int:
    """Run `run` in a child process and count the calls that change storage."""
    return len(list_calls(run))


def run_killed_at(run: Run, n: int, moment: Moment = "before") -> Outcome:
    """Run `run` in a child process that is killed at its `n`-th call (from 1).

    `before`: the call is not made; `after`: it is made and nothing follows; `torn`: of a write
    only the first half arrives, any other call is not made. With fewer calls than `n` the run
    comes to its end, and `killed` is False.
    """
    return _in_child(run, lambda: killing_at(n, moment))


def run_killed_after(run: Callable[[], Iterable[str]], n: int) -> Outcome:
    """Run `run` in a child process that is killed as soon as it has yielded `n` strings."""

    def counted() -> Iterator[str]:
        for count, told in enumerate(run(), start=1):
            yield told
            if count == n:
                os.kill(os.getpid(), signal.SIGKILL)

    return _in_child(counted, recording)


def run_failing_at(run: Run, n: int, code: int) -> Outcome:
    """Run `run` in a child process whose `n`-th call (from 1) fails with errno `code`."""
    return _in_child(run, lambda: failing_at(n, code))


def kill_points(calls: Sequence[str], most: int) -> list[tuple[int, Moment]]:
    """Return where to kill a run that makes `calls`: each place on the disk's way, once.

    After a call is before the next one, so only the last has both. Of more than `most` calls,
    `most` are taken, spread evenly.
    """
    points: list[tuple[int, Moment]] = []
    for n in spread(len(calls), most):
        points.append((n, "before"))
        if calls[n - 1] in ("write", "pwrite"):
            points.append((n, "torn"))
    return [*points, (len(calls), "after")] if calls else []


def spread(count: int, most: int) -> list[int]:
    """Return 1 to `count`, or `most` of them spread evenly, with the first and the last."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + n * (count - 1) // (most - 1) for n in range(most)})


@contextmanager
def recording() -> Iterator[list[str]]:
    """Let everything pass; the list grows by the name of each call."""
    calls: list[str] = []

    def around(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], call: Callable[..., Any]) -> Any:
        calls.append(name)
        return call(*args, **kwargs)

    with intercepted(around):
        yield calls


@contextmanager
def failing_at(n: int, code: int, counts: Counts | None = None) -> Iterator[list[str]]:
    """Let the `n`-th call (from 1), and only that one, fail with errno `code` and do nothing.

    With `counts` only the calls count of which it is true: so a fault meets the same work in each run,
    where a server decides how many other calls there are.
    """
    numbers = itertools.count(1)

    def fails(name: str, args: tuple[Any, ...]) -> bool:
        return (counts is None or counts(name, args)) and next(numbers) == n

    with _failing(fails, code) as calls:
        yield calls


@contextmanager
def failing_from(n: int, code: int) -> Iterator[list[str]]:
    """Let the `n`-th call (from 1) and all that follow fail: a disk that is full, or dead."""
    numbers = itertools.count(1)
    with _failing(lambda _name, _args: next(numbers) >= n, code) as calls:
        yield calls


@contextmanager
def killing_at(n: int, moment: Moment) -> Iterator[list[str]]:
    """Kill this process at the `n`-th call; meant for a child, see `run_killed_at`."""
    calls: list[str] = []

    def around(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], call: Callable[..., Any]) -> Any:
        calls.append(name)
        if len(calls) != n:
            return call(*args, **kwargs)
        if moment == "after":
            call(*args, **kwargs)
        elif moment == "torn" and name in ("write", "pwrite"):
            with suppress(OSError):  # half of a direct write may not be aligned: then nothing of it arrives
                call(args[0], memoryview(args[1])[: len(args[1]) // 2], *args[2:], **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        return signal.pause()

    with intercepted(around):
        yield calls


@contextmanager
def intercepted(around: Intercept) -> Iterator[None]:
    """Route every counted call through `around(name, args, kwargs, call)` until the end.

    Calls on pipes, sockets and terminals pass by. Calls that `around` itself makes pass by too.
    """
    inside = threading.local()
    originals = {name: getattr(os, name) for name in CALLS}

    def wrapped(name: str) -> Callable[..., Any]:
        call = originals[name]

        def route(*args: Any, **kwargs: Any) -> Any:
            if getattr(inside, "now", False) or not _changes_storage(name, args, kwargs):
                return call(*args, **kwargs)
            inside.now = True
            try:
                return around(name, args, kwargs, call)
            finally:
                inside.now = False

        return route

    opens = builtins.open, io.open
    try:
        for name in CALLS:
            setattr(os, name, wrapped(name))
        builtins.open = io.open = _open_in_python
        yield
    finally:
        builtins.open, io.open = opens
        for name, call in originals.items():
            setattr(os, name, call)


_open_in_c = open


def _open_in_python(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
    """Open for writing with Python's own file objects, which write by `os.write`."""
    if set(mode) & set("wax+"):
        return _pyio.open(file, mode, *args, **kwargs)
    return _open_in_c(file, mode, *args, **kwargs)


def _changes_storage(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if name == "open":
        flags = args[1] if len(args) > 1 else kwargs.get("flags", 0)
        return bool(flags & _WRITING)
    if name in _BY_DESCRIPTOR:
        descriptor = args[1] if name == "copy_file_range" else args[0]
        mode = os.fstat(descriptor).st_mode
        return stat.S_ISREG(mode) or stat.S_ISBLK(mode) or stat.S_ISDIR(mode)
    return True


@contextmanager
def _failing(fails: Counts, code: int) -> Iterator[list[str]]:
    calls: list[str] = []

    def around(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], call: Callable[..., Any]) -> Any:
        calls.append(name)
        if fails(name, args):
            raise OSError(code, f"{os.strerror(code)} (injected at {name}, call {len(calls)})")
        return call(*args, **kwargs)

    with intercepted(around):
        yield calls


def _in_child(run: Run, fault: Callable[[], AbstractContextManager[list[str]]]) -> Outcome:
    """Fork, run under `fault`, and tell how it ended; the child never returns to the caller."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run_and_exit(run, fault, _open_in_c(writer, "wb", buffering=0))
    os.close(writer)
    with _open_in_c(reader, "rb") as pipe:
        *told, end = pipe.read().split(b"\n")
    _, status = os.waitpid(child, 0)
    strings = tuple(line.decode() for line in told)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return Outcome(killed=True, error="", calls=(), told=strings)
    if not end:
        raise RuntimeError(f"the child process ended with wait status {status} and said nothing")
    outcome = msgspec.json.decode(end, type=Outcome)
    return Outcome(killed=False, error=outcome.error, calls=outcome.calls, told=strings)


def _run_and_exit(
    run: Run, fault: Callable[[], AbstractContextManager[list[str]]], pipe: io.RawIOBase
) -> NoReturn:
    calls: list[str] = []
    error = ""
    try:
        with fault() as calls:
            for told in run() or ():
                pipe.write(told.encode() + b"\n")
    except BaseException as raised:  # noqa: BLE001 - the child has no caller; the parent is told
        error = f"{type(raised).__name__}: {raised}"
    pipe.write(msgspec.json.encode(Outcome(killed=False, error=error, calls=tuple(calls))))
    os._exit(0)
