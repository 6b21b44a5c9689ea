"""Tell the people of a job: by mail, or by files that another channel carries on.

Rules kept: whoever was written to is never written to again by the same channel; a kill leaves at
most one letter of which nobody knows; a letter too late for the cut-off day does not leave.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from smtplib import SMTP

from deleatur.documents import ledger as b
from deleatur.documents.ledger import Channel, Language
from deleatur.engine.directory import sync_directory
from deleatur.engine.notices.desk import Desk
from deleatur.engine.notices.folder import Ledger, replace_file
from deleatur.engine.notices.letters import Letters
from deleatur.engine.notices.recipients import Recipient, Waiting
from deleatur.engine.notices.sending import REFERENCE, Outcome, Pace, Server, hand_over, message_of
from deleatur.engine.progress import Progress
from deleatur.errors import Refused, Transient
from deleatur.judge.letters import language_of
from deleatur.trust.keys import SigningKey

_Group = tuple[Channel, Language]
_BREAKS = 3  # connections that break one after another before a run gives up


def send_letters(
    desk: Desk, key: SigningKey, server: Server, rate: float, progress: Progress
) -> Counter[str]:
    """Write to everybody who can be written to by mail now, and count the outcomes.

    Args:
        desk: of the job.
        key: the agent's, which seals the ledger.
        server: that takes the letters.
        rate: letters a second, at most.
        progress: is told how far it is.

    Raises:
        Refused: the notice, the templates or the server forbid it.
        Transient: the server breaks off again and again: run it again.
    """
    sender = desk.notice.mail_from
    if sender is None:
        raise Refused("notice.mail_from is missing, so no letter can leave by mail")
    letters = Letters(desk.notice, desk.path)
    desk.require_time()
    with desk.ledger(key, letters) as ledger:
        waiting = _waiting(desk, ledger, ("email",)).values()
        total = sum(map(len, waiting))
        post = _Post(desk, ledger, letters, server, sender)
        pace = Pace(rate)
        try:
            for number, person in enumerate(chain.from_iterable(waiting), 1):
                pace.wait()
                post.send(person)
                progress("notify", "email", number, total)
        finally:
            post.close()
    return post.outcomes


def _waiting(desk: Desk, ledger: Ledger, channels: Sequence[Channel]) -> dict[_Group, Waiting]:
    """Return who is to be written to by one of these channels now; the stores are read before any letter."""
    groups: dict[_Group, Waiting] = {}
    for person in desk.people():
        channel = ledger.standing.next_channel(person.digest, person.channels)
        if channel is not None and channel in channels:
            person.language = language = language_of(person.language, desk.notice.letter)
            groups.setdefault((channel, language), Waiting()).append(person)
    return groups


class _Post:
    """One run of letters by mail."""

    def __init__(self, desk: Desk, ledger: Ledger, letters: Letters, server: Server, sender: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self._desk, self._ledger, self._letters = desk, ledger, letters
        self._server, self._sender = server, sender
        self._opened: AbstractContextManager[SMTP] | None = None
        self._connection: SMTP | None = None
        self._broken = 0

    def send(self, person: Recipient) -> None:
        """Write one letter; where the connection broke before the letter left, once more over a new one.

        Raises:
            Transient: the server breaks off again and again.
        """
        outcome = self._attempt(person)
        if outcome.kind == "deferred" and self._connection is None:
            outcome = self._attempt(person)
        self.outcomes[outcome.kind] += 1
        self._broken = self._broken + 1 if self._connection is None else 0
        if self._broken >= _BREAKS:
            raise Transient("the mail server breaks off again and again; look at it, then run this again")

    def close(self) -> None:
        """Let go of the connection."""
        if self._opened is not None:
            self._opened.__exit__(None, None, None)
        self._opened = self._connection = None

    def _attempt(self, person: Recipient) -> Outcome:
        reference, address = person.digest[:REFERENCE], person.contact("email")
        language = language_of(person.language, self._desk.notice.letter)
        message = message_of(
            self._letters.write(language, person.name),
            sender=self._sender,
            address=address,
            reference=reference,
            clock=self._desk.clock,
        )
        connection = self._connected()
        self._ledger.enter(b.Handing(channel="email", language=language, subjects=(person.digest,)))
        try:
            outcome = hand_over(connection, message, self._sender, address, reference)
        except Refused:
            self._enter(person.digest, Outcome("deferred"))
            raise
        self._enter(person.digest, outcome)
        if connection.sock is None or outcome.kind == "unknown":
            self.close()
        return outcome

    def _connected(self) -> SMTP:
        if self._connection is None:
            self._opened = self._server.connected()
            self._connection = self._opened.__enter__()
        return self._connection

    def _enter(self, subject: str, outcome: Outcome) -> None:
        """Enter what is known; an unknown outcome stays handed, until a log says what became of it."""
        if outcome.kind == "told":
            self._ledger.enter(b.Told(channel="email", subjects=(subject,)))
        elif outcome.kind == "undelivered":
            self._ledger.enter(b.Undelivered(channel="email", status=outcome.status, subjects=(subject,)))
        elif outcome.kind == "deferred":
            self._ledger.enter(b.Deferred(channel="email", subjects=(subject,)))


def write_letters(desk: Desk, key: SigningKey, folder: Path, progress: Progress) -> list[tuple[Path, int]]:
    """Write the letters that other channels carry as CSV files into `folder`; return each with its rows.

    The files hold names, addresses and letters in clear. They are evidence of nothing: people count as
    told when the log of the channel is imported. A file has its name only when the ledger has it too.

    Raises:
        Refused: the notice or the templates forbid it.
    """
    letters = Letters(desk.notice, desk.path)
    desk.require_time()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    with desk.ledger(key, letters) as ledger:
        _settle(folder, ledger.standing.entries)
        groups = _waiting(desk, ledger, ("phone", "postal", "app"))
        for channel, language in sorted(groups):
            people, done = groups.pop((channel, language)), 0
            for part in people.some(b.MOST_SUBJECTS):
                path = folder / f"letters-{ledger.standing.entries:08}-{channel}-{language}.csv"
                if path.exists():
                    raise Refused(f"{path} stands already, of another notice; name another folder")
                unfinished = path.with_suffix(_UNFINISHED)
                replace_file(unfinished, _table(part, channel, letters, language))
                digests = tuple(person.digest for person in part)
                ledger.enter(b.Handing(channel=channel, language=language, subjects=digests))
                unfinished.rename(path)
                sync_directory(folder)
                written.append((path, len(part)))
                done += len(part)
                progress("notify", channel, done, len(people))
    return written


_UNFINISHED = ".part"


def _settle(folder: Path, entries: int) -> None:
    """Finish what a killed run left: a file whose entry is in the ledger gets its name, another goes."""
    for unfinished in sorted(folder.glob(f"letters-*{_UNFINISHED}")):
        number = unfinished.name.split("-")[1]
        # the command that goes on has entered its own beginning already: an entry of that number is not ours
        if number.isdigit() and int(number) < entries - 1:
            unfinished.rename(unfinished.with_suffix(".csv"))
        else:
            unfinished.unlink()
    sync_directory(folder)


def _table(people: Sequence[Recipient], channel: Channel, letters: Letters, language: Language) -> bytes:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("reference", "to", "name", "subject", "text"))
    for person in people:
        letter = letters.write(language, person.name)
        table.writerow(
            (person.digest[:REFERENCE], person.contact(channel), person.name, letter.subject, letter.text)
        )
    return text.getvalue().encode("utf-8", "replace")
