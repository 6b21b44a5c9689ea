"""The journal writer: the only room that writes `journal.jsonl`, one durable line at a time."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deleatur.documents.codec import read_limited
from deleatur.documents.journal import AnyEvent, Entry, digest_of_line, line_of, read_chain
from deleatur.engine.directory import MAX_JOURNAL, sync_directory, write_all
from deleatur.errors import Failed

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
        sync_directory(path.parent)
        content = read_limited(path, MAX_JOURNAL)
        self.entries, self._sound = read_chain(content, plan_digest)
        self._previous = plan_digest
        if self.entries:
            self._previous = digest_of_line(line_of(self.entries[-1]))
        if self._sound != len(content):
            os.ftruncate(self._descriptor, self._sound)
            os.fsync(self._descriptor)

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
