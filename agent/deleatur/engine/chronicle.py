"""The journal writer: the only room that writes `journal.jsonl`, one durable line at a time."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deleatur.documents.journal import AnyEvent, Entry, digest_of_line, line_of, read_chain
from deleatur.engine.lines import DurableLines
from deleatur.engine.reading import decoding, read_journal
from deleatur.errors import DeleaturError

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
        self._lines = DurableLines(path)
        try:
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
        self._lines.cut(sound)
        return entries

    def append(self, event: AnyEvent) -> Entry:
        """Write one entry and return when it is on disk.

        Raises:
            Failed: an earlier append failed, so what the disk holds is not known.
            OSError: the disk is full or broken; the torn line is cut off at the next opening.
        """
        entry = Entry(n=len(self.entries), at=instant(self._clock), previous=self._previous, event=event)
        line = line_of(entry)
        self._lines.append(line)
        self.entries.append(entry)
        self._previous = digest_of_line(line)
        self._told(entry)
        return entry

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def instant(clock: Clock) -> str:
    """Return the time of `clock` as journal and ledger write it: UTC, milliseconds."""
    return clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
