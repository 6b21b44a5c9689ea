"""The folder of a notice: its key, its ledger, and the list of who is held.

Rules kept: the ledger only grows, and its time never goes back; a broken chain stops everything;
each command ends with a seal by the agent's key; two commands at once are refused.
"""

import base64
import binascii
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deleatur.documents import ledger as b
from deleatur.documents.chain import digest_of_line, links
from deleatur.documents.codec import MAX_LINE
from deleatur.documents.plan import PublicKey
from deleatur.engine.chronicle import Clock, instant
from deleatur.engine.directory import sync_directory, write_all
from deleatur.engine.lines import DurableLines
from deleatur.engine.reading import decoding, opened, read_plain
from deleatur.engine.spool import destroy_file
from deleatur.errors import Malformed, Refused
from deleatur.judge.notice import Standing, take
from deleatur.sanitize.digest import keyed_digest
from deleatur.trust.keys import SigningKey, verifies

KEY_SIZE = 32  # bytes


class NoticeFolder:
    """Where a notice has its files; made by the first command that writes to it."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.normpath(path))
        self.ledger = self.path / "ledger.jsonl"
        self.key_file = self.path / "notice.key"
        self.held = self.path / "held.txt"

    def make(self) -> None:
        """Make the folder and its key, if they are not there.

        Raises:
            Refused: there is a ledger, and the key that its subjects were digested with is gone.
        """
        self.path.mkdir(mode=0o700, exist_ok=True)
        if not self.key_file.exists():
            if self.ledger.exists():
                raise Refused(f"{self.key_file} is gone, so nobody in the ledger can be told from another")
            replace_file(self.key_file, secrets.token_bytes(KEY_SIZE))
        if not self.held.exists():
            replace_file(self.held, b"")

    def key(self) -> bytes:
        """Return the key of the keyed digests in the ledger.

        Raises:
            Refused: it is not there, or cut: nobody was told yet, or the notice is closed.
        """
        try:
            key = read_plain(self.key_file, KEY_SIZE)
        except FileNotFoundError:
            key = b""
        if len(key) != KEY_SIZE:
            raise Refused(
                f"there is no evidence of notice: {self.key_file} is missing or damaged; "
                "tell people with `deleatur notice send`"
            )
        return key

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder.

        Raises:
            Refused: another command works in it.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise Refused(f"another command works in {self.path}; wait until it ends") from None
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class Read:
    """A ledger as it was read."""

    standing: Standing
    sound: int  # bytes up to the last newline
    digest: str  # sha256 hex of these bytes
    last: str  # digest of the last line; of an empty ledger its anchor
    early: str  # sha256 hex of the first lines, as many as were asked for


def read_ledger(folder: NoticeFolder, *, first: int = 0) -> Read:
    """Read a ledger in bounded memory; a torn last line never happened.

    Args:
        folder: of the notice.
        first: of how many lines `early` is the digest.

    Raises:
        Malformed: the chain is broken.
        Refused: its time goes back.
    """
    anchor = keyed_digest(folder.key(), b.ANCHOR)
    lines = _Lines(anchor, first)
    standing = Standing()
    with decoding(folder.ledger.name):
        if folder.ledger.exists():
            with opened(folder.ledger) as raw, os.fdopen(raw.fileno(), "rb", 1 << 20, closefd=False) as file:
                for entry in links(lines.of(file), anchor, b.decode_ledger_entry):
                    take(standing, entry)
    return Read(standing, lines.sound, lines.digest.hexdigest(), lines.last, lines.early)


class _Lines:
    """Takes the digests of what passes by."""

    def __init__(self, anchor: str, first: int) -> None:
        self.digest = hashlib.sha256()
        self.sound = self.count = 0
        self.last, self.first, self.early = anchor, first, hashlib.sha256().hexdigest()

    def of(self, file: IO[bytes]) -> Iterator[bytes]:
        while (line := file.readline(MAX_LINE + 1)).endswith(b"\n"):
            yield line
            self.digest.update(line)
            self.sound += len(line)
            self.count += 1
            self.last = digest_of_line(line)
            if self.count == self.first:
                self.early = self.digest.hexdigest()
        if len(line) > MAX_LINE:
            raise Malformed("a line is too long", kind="broken-chain", where=f"line {self.count + 1}")


class Ledger:
    """An open ledger: how people stand, and `enter`."""

    def __init__(self, folder: NoticeFolder, clock: Clock, standing: Standing, previous: str) -> None:
        self.standing = standing
        self._clock = clock
        self._previous = previous
        self._lines = DurableLines(folder.ledger)

    @classmethod
    @contextmanager
    def writing(cls, folder: NoticeFolder, clock: Clock, key: SigningKey) -> Iterator["Ledger"]:
        """Open the ledger of a locked folder; however the command ends, what it entered is sealed."""
        read = read_ledger(folder)
        ledger = cls(folder, clock, read.standing, read.last)
        try:
            ledger._lines.cut(read.sound)
            began = read.standing.entries
            try:
                yield ledger
            finally:
                if ledger.standing.entries > began:
                    ledger._seal(key)
        finally:
            ledger._lines.close()

    def enter(self, event: b.AnyHappened) -> None:
        """Write one entry and return when it is on disk.

        Raises:
            Refused: the clock stands before the last entry.
        """
        at = instant(self._clock)
        if at < self.standing.last_at:
            raise Refused("the clock stands before the last entry of the ledger; set it right")
        entry = b.LedgerEntry(n=self.standing.entries, at=at, previous=self._previous, event=event)
        line = b.ledger_line(entry)
        self._lines.append(line)
        take(self.standing, entry)
        self._previous = digest_of_line(line)

    def _seal(self, key: SigningKey) -> None:
        signature = base64.b64encode(key.sign(b.sealed_text(self._previous))).decode()
        self.enter(b.Sealed(spki=key.public.spki, signature=signature))


def require_sealed(standing: Standing, trusted: Iterable[PublicKey]) -> None:
    """See that the ledger ends with a seal by a key that is trusted.

    Raises:
        Refused: it does not: somebody else wrote to it, or a command was killed.
    """
    for key in trusted:
        if key.spki == standing.sealed_by:
            try:
                signature = base64.b64decode(standing.signature, validate=True)
            except binascii.Error:
                break
            if verifies(key, signature, b.sealed_text(standing.head)):
                return
    raise Refused(
        "the ledger does not end with a seal by the planner or an approver; "
        "run `deleatur notice send` again if it was cut short, and look who wrote to it if it was not"
    )


def replace_file(path: Path, content: bytes) -> None:
    """Write a private file durably and all at once, in place of an older one."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)


def close_notice(folder: NoticeFolder) -> None:
    """Destroy the key: the digests in the ledger name nobody any more. Harmless to do twice."""
    destroy_file(folder.key_file)
