"""Say who keeps the archives of a job now: the register of custody, from its plan and its hand-overs. Pure.

Custody passes when the leaving custodian, the successor and the agent have signed for every archive
of the custodian's part.
Until then it stays where it is, and that is an alarm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from deleatur.documents.journal import Archived
from deleatur.documents.place import ArchivePart, PublicKey


@dataclass(frozen=True)
class Keeper:
    """One custodian's time; `until` is empty while it lasts."""

    key: PublicKey
    recipient: str
    since: str
    until: str = ""
    successor: str = ""
    part: ArchivePart = "main"  # of every archive: what they open


@dataclass(frozen=True)
class Signed:
    """A hand-over and who signed it."""

    file: str
    sha256: str  # of the file that was sealed anew
    size: int
    before: str
    contents: str
    leaving: str
    successor: PublicKey
    recipient: str
    at: str
    signers: frozenset[str]  # public keys


@dataclass(frozen=True)
class Register:
    """Who kept the archives when, what they are now, and what is wrong."""

    keepers: tuple[Keeper, ...]
    archived: tuple[Archived, ...]
    alarms: tuple[str, ...]


def register(
    keepers: Sequence[Keeper], archived: Sequence[Archived], handovers: Sequence[Signed], agent: PublicKey
) -> Register:
    """Follow the hand-overs in the order of their times."""
    now, files, alarms = [*keepers], {a.file: a for a in archived}, []
    pairs = dict.fromkeys((h.leaving, h.successor.name, h.successor.spki) for h in sorted(handovers, key=_at))
    for leaving, name, spki in pairs:
        these = [
            h for h in handovers if (h.leaving, h.successor.name, h.successor.spki) == (leaving, name, spki)
        ]
        keeper = next((k for k in now if k.key.name == leaving and not k.until), None)
        if keeper is None:
            continue  # handed over already, or never a custodian
        whole = {h.file: h for h in these if not signatures_missing(h, keeper.key, agent) and _fits(h, files)}
        theirs = {name for name, archive in files.items() if archive.part == keeper.part}
        if whole.keys() != theirs or any(k.key.name == name and not k.until for k in now):
            lacking = sorted({w for h in these for w in signatures_missing(h, keeper.key, agent)})
            why = (
                f"not signed by {', '.join(lacking)}"
                if lacking
                else "not every archive was sealed anew for it"
            )
            alarms.append(f"custody stays with {leaving}: the hand-over to {name} is {why}")
            continue
        at = max(h.at for h in whole.values())
        files |= {f: replace_archive(files[f], h, keeper) for f, h in whole.items()}
        now[now.index(keeper)] = replace(keeper, until=at, successor=name)
        now.append(Keeper(these[0].successor, these[0].recipient, since=at, part=keeper.part))
    if not [k for k in now if not k.until]:
        alarms.append("the archives have no custodian")
    return Register(tuple(now), tuple(files.values()), tuple(alarms))


def signatures_missing(handover: Signed, leaving: PublicKey, agent: PublicKey) -> list[str]:
    """Name who of the three has not signed."""
    wanted = {
        handover.leaving: leaving.spki,
        handover.successor.name: handover.successor.spki,
        "the agent": agent.spki,
    }
    if len({*wanted.values()}) < len(wanted):
        return ["three different keys"]
    return [who for who, spki in wanted.items() if spki not in handover.signers]


def replace_archive(archive: Archived, handover: Signed, keeper: Keeper) -> Archived:
    """Return an archive as it is after a hand-over."""
    recipients = (*(r for r in archive.recipients if r != keeper.recipient), handover.recipient)
    return structs.replace(
        archive, sha256=handover.sha256, size=handover.size, recipients=recipients, compared="digest"
    )


def _fits(handover: Signed, files: dict[str, Archived]) -> bool:
    archive = files.get(handover.file)
    return archive is not None and (handover.before, handover.contents) == (archive.sha256, archive.contents)


def _at(handover: Signed) -> str:
    return handover.at
