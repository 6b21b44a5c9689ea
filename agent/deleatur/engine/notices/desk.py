"""Where a command about a notice works: its job, its folder, its people, and the ledger while it is open."""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deleatur.documents import ledger as b
from deleatur.documents.decode import decode_job
from deleatur.documents.job import Job
from deleatur.documents.policy import Pack
from deleatur.engine.chronicle import Clock
from deleatur.engine.directory import JobDirectory
from deleatur.engine.notices.folder import KEY_SIZE, Ledger, NoticeFolder, read_ledger, replace_file
from deleatur.engine.notices.letters import Letters
from deleatur.engine.notices.recipients import Recipient, notice_of, recipients_of
from deleatur.engine.notices.uptime import Stopwatch
from deleatur.engine.opening import Registry
from deleatur.engine.packs import read_document, shipped
from deleatur.engine.reading import decoding
from deleatur.errors import Refused
from deleatur.judge.demands import notice_days
from deleatur.judge.jurisdictions import UNKNOWN
from deleatur.judge.notice import Standing, Tally, cut_off_too_near, earliest, said
from deleatur.trust.keys import SigningKey


@dataclass(frozen=True)
class State:
    """How the people of a job stand."""

    told: int
    unreached: int
    untold: int
    replied: int
    held: int  # lines of the list of who is held
    days: int  # that people have
    opens: str  # from when on the records may go; "": nobody was told yet


class Desk:
    """A job that tells people, and what is at hand to do so."""

    def __init__(
        self, directory: JobDirectory, registry: Registry, clock: Clock, stopwatch: Stopwatch
    ) -> None:
        """Read the job.

        Raises:
            Refused: it has no notice.
        """
        with decoding("job.toml"):
            self.job = decode_job(directory.read_job())
        self.notice = notice_of(self.job)
        self.path = directory.path
        self.folder = NoticeFolder(self.path / self.notice.folder)
        self.registry, self.clock, self.stopwatch = registry, clock, stopwatch

    def people(self) -> Iterator[Recipient]:
        """Yield everybody of the selection; each is in memory only."""
        return recipients_of(self.job, self.registry, self.folder.key(), self.path)

    def state(self) -> "State":
        """Say how everybody stands; the ledger is only read."""
        days, _ = days_of(self.job, self.path)
        begun = self.folder.key_file.exists() or self.folder.ledger.exists()
        standing = read_ledger(self.folder).standing if begun else Standing()
        key = self.folder.key() if begun else secrets.token_bytes(KEY_SIZE)  # for counting only
        tally = tally_of(recipients_of(self.job, self.registry, key, self.path), standing)
        return State(
            told=tally.told,
            unreached=tally.unreached,
            untold=tally.untold,
            replied=tally.replied,
            held=len(self.folder.held.read_bytes().splitlines()) if self.folder.held.exists() else 0,
            days=days,
            opens=said(earliest(standing, days, self.notice.cut_off)) if standing.last_told else "",
        )

    def require_time(self) -> None:
        """See that a letter of today leaves people the time that they must have.

        Raises:
            Refused: the cut-off day is too near.
        """
        days, packs = days_of(self.job, self.path)
        if cut_off_too_near(self.notice.cut_off, self.clock(), days):
            raise Refused(
                f"the cut-off day {self.notice.cut_off} leaves people less than {days} days, which "
                f"{', '.join(packs)} demands; name a later one"
            )

    @contextmanager
    def ledger(self, key: SigningKey, letters: Letters | None = None) -> Iterator[Ledger]:
        """Open the ledger for one command, say that it began, and write at its end who is held."""
        self.folder.make()
        with self.folder.locked(), Ledger.writing(self.folder, self.clock, key) as ledger:
            watch = self.stopwatch()
            ledger.enter(
                b.Opened(
                    schema="deleatur/ledger/v1",
                    cut_off=self.notice.cut_off,
                    letters=letters.digests() if letters else (),
                    boot=watch.boot,
                    uptime=watch.seconds,
                )
            )
            yield ledger
            self._hold(ledger.standing)

    def _hold(self, standing: Standing) -> None:
        """Write who is held: the values of their subject column, one a line."""
        strict = self.notice.undelivered == "hold"
        held = {
            person.subject
            for person in self.people()
            if standing.replied(person.digest)
            or (strict and standing.vain(person.digest, reachable=bool(person.contacts)))
        }
        replace_file(self.folder.held, "".join(f"{subject}\n" for subject in sorted(held)).encode())


def days_of(job: Job, folder: Path) -> tuple[int, tuple[str, ...]]:
    """Return how many days people have, and the policies that say so: the strictest word of those that bind.

    Raises:
        Refused: no policy says how many.
    """
    notice, mapped = job.notice, job.datamap
    own = {*(notice.packs if notice else ()), *(mapped.packs if mapped else ())}
    packs = (*shipped(), *(_pack(folder / name) for name in sorted(own)))
    demand = notice_days("+".join(mapped.laws) if mapped and mapped.laws else UNKNOWN, packs)
    if demand is None:
        raise Refused("no policy says how many days people are told before; check them with `deleatur lint`")
    return max(demand.value, notice.days if notice else 0), demand.packs


def tally_of(people: Iterable[Recipient], standing: Standing) -> Tally:
    """Count how people stand."""
    tally = Tally()
    for person in people:
        tally.add(standing, person.digest, reachable=bool(person.contacts))
    return tally


def _pack(path: Path) -> Pack:
    document = read_document(path)
    if not isinstance(document, Pack):
        raise Refused(f"{path} is no policy; name policies in notice.packs")
    return document
