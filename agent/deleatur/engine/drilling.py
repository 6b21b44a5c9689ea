"""Drill the opening of archives: a custodian opens one and measures it, and the job keeps the signed word."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from deleatur.archive.copies import read_back
from deleatur.archive.opening import look_inside
from deleatur.documents.certificate import Digest
from deleatur.documents.plan import PublicKey
from deleatur.engine.chronicle import Clock
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import seconds
from deleatur.engine.keeping import envelopes, put_envelope
from deleatur.engine.succession import register_of
from deleatur.errors import Invalid, Refused
from deleatur.judge.custodians import Keeper, Register
from deleatur.judge.drills import DrillStanding, Opened, drill_standings
from deleatur.trust.drill import Drill, drill_in, sign_drill
from deleatur.trust.keys import SigningKey

DRILLS = "drills"


def make_drill(
    archive: Path, identity: str, custodian: str, key: SigningKey, *, clock: Clock, tick: Callable[[], float]
) -> tuple[bytes, Drill]:
    """Open an archive to its end, compare every digest in it, and return the signed word and what it says.

    Nothing plain is written. `tick` gives seconds of a clock that never goes back.

    Raises:
        Refused: the identity does not open it, or it was changed or cut short.
        Failed: what is inside is not as it should be.
    """
    started_at, begin = seconds(clock), tick()
    look = look_inside(archive, identity)
    sealed = read_back(archive)
    drill = Drill(
        schema_version="deleatur/restore-drill/v1",
        custodian=custodian,
        contents=Digest(sha256=look.contents),
        size=sealed.size,
        started_at=started_at,
        seconds=int(tick() - begin),
    )
    return sign_drill(archive.name, sealed.sha256, drill, key), drill


def import_drill(directory: JobDirectory, envelope: bytes, agent: PublicKey, clock: Clock) -> Opened:
    """Take a custodian's drill into the job.

    Raises:
        Refused: no custodian of today signed it, it is about another archive, or it lies ahead.
    """
    with directory.locked():
        register = register_of(directory, agent)
        found = next(_counted([envelope], register), None)
        if found is None:
            raise Refused(
                "no custodian of today signed this drill, or it is about no archive of this job as it is"
            )
        if found.day > clock().date():
            raise Refused(f"the drill is dated {found.day}, which lies ahead; look at the custodian's clock")
        put_envelope(directory.path, DRILLS, envelope)
        return found


def standings(directory: JobDirectory, agent: PublicKey, today: date) -> tuple[DrillStanding, ...]:
    """Return when each custodian opened each archive of a job last, and what is overdue.

    Raises:
        Refused: the job has no archives that custodians keep.
    """
    register = register_of(directory, agent)
    drills = _counted(envelopes(directory.path, DRILLS), register)
    return drill_standings(register.keepers, register.archived, (d for d in drills if d.day <= today), today)


def _counted(signed: Iterator[bytes] | list[bytes], register: Register) -> Iterator[Opened]:
    """Yield the drills that custodians of today signed, on the archives as they are."""
    wanted = {(a.file, a.sha256, a.contents) for a in register.archived}
    keepers: list[Keeper] = [k for k in register.keepers if not k.until]
    for envelope in signed:
        for keeper in keepers:
            try:
                file, sha256, drill = drill_in(envelope, keeper.key)
            except Invalid:
                continue  # another custodian's, or nobody's: it counts for nothing
            if (file, sha256, drill.contents.sha256) in wanted:
                yield Opened(
                    file, sha256, keeper.key.spki, date.fromisoformat(drill.started_at[:10]), drill.seconds
                )
