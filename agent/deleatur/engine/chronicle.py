"""The journal writer: the only room that writes `journal.jsonl`, one durable line at a time."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deleatur.documents.journal import AnyEvent, Entry, digest_of_line, line_of, read_chain
from deleatur.engine.directory import sync_directory, write_all
from deleatur.engine.reading import decoding, read_journal
from deleatur.errors import DeleaturError, Failed

Clock = Callable[[], datetime]


class Chronicle:
    """An open journal: the entries so far, and `append`."""

    def __init__(self, path: Path, plan_digest: str, *, clock: Clock, told: Callable[[Entry], None]) -> None:
        """Open the journal of a plan, dropping a torn last line: it never happened.

        Raises:
            Malformed: the chain is broken; nothing may go on from such a journal.
        """
        self._clock = clock
        self._told = told
        self._failed = False
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            sync_directory(path.parent)
            self.entries = self._read(path, plan_digest)
        except (DeleaturError, OSError):
            self.close()
            raise
        self._previous = digest_of_line(line_of(self.entries[-1])) if self.entries else plan_digest

    def _read(self, path: Path, plan_digest: str) -> list[Entry]:
        """Read the entries, and cut off a torn last line."""
        content = read_journal(path)
        with decoding(path.name):
            entries, sound = read_chain(content, plan_digest)
        if sound != len(content):
            os.ftruncate(self._descriptor, sound)
            os.fsync(self._descriptor)
        return entries

    def append(self, event: AnyEvent) -> Entry:
        """Write one entry and return when it is on disk.

        Raises:
            Failed: an earlier append failed, so what the disk holds is not known.
            OSError: the disk is full or broken; the torn line is cut off at the next opening.
        """
        if self._failed:
            raise Failed("the journal could not be written; resume the job when the disk is well again")
        entry = Entry(n=len(self.entries), at=_now(self._clock), previous=self._previous, event=event)
        line = line_of(entry)
        self._failed = True
        write_all(self._descriptor, line)
        os.fsync(self._descriptor)
        self._failed = False
        self.entries.append(entry)
        self._previous = digest_of_line(line)
        self._told(entry)
        return entry

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _now(clock: Clock) -> str:
    return clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
