"""Take events in from a folder: enter each into the docket, draft its job, and let it go with that job.

Rules: what is entered is signed and chained before anything is drafted; killed anywhere, the next turn
goes on; an event that no job could be drafted for stays where it is, entered, for a person to see to.
"""

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from deleatur.documents.datamap import DataMap
from deleatur.documents.docket import Matter, Opened
from deleatur.documents.event import MAX_EVENT, Event, decode_event
from deleatur.engine.chronicle import Clock, instant
from deleatur.engine.directory import JobDirectory, sync_directory
from deleatur.engine.docket import DocketFile
from deleatur.engine.drafting import Request, draft_job
from deleatur.engine.opening import Registry
from deleatur.engine.reading import decoding, read_plain
from deleatur.engine.spool import destroy_file
from deleatur.engine.subjects import Search, find_subject
from deleatur.errors import DeleaturError, Refused
from deleatur.judge.identifiers import read_identifiers
from deleatur.judge.subject import Given
from deleatur.trust.keys import SigningKey

EVENT = "event.json"  # inside the job


@dataclass(frozen=True)
class Clerk:
    """Who enters events, on which map, and who must see to the jobs."""

    map: Path
    datamap: DataMap
    jobs: Path
    registry: Registry
    docket: DocketFile
    key: SigningKey
    clock: Clock
    owner: str
    superior: str
    leave: Collection[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    apart: Collection[str] = ()


@dataclass(frozen=True)
class Taken:
    """What became of one file of the folder."""

    event: str  # its id; where nobody can read one, the inode of its file
    job: Path | None
    why: str = ""  # it stays: the reason, for a person


def intake(folder: Path, clerk: Clerk) -> Iterator[Taken]:
    """Take every `*.json` of `folder`, in the order of names; one that cannot be taken holds up no other.

    Raises:
        Refused: another intake works on these jobs, or the docket cannot be written.
    """
    with JobDirectory(clerk.jobs).locked():
        with os.scandir(folder) as listing:
            found = sorted((e.name, e.inode()) for e in listing if e.name.endswith(".json"))
        for file, inode in found:
            path, name = folder / file, f"inode-{inode}"
            try:
                content = read_plain(path, MAX_EVENT)
                with decoding("the event"):
                    event = decode_event(content)
                    given = read_identifiers("\n".join(event.of).encode())
                name = event.id
                yield Taken(name, _take(path, content, event, given, clerk))
            except DeleaturError as error:
                yield Taken(name, None, str(error))
            except OSError as error:
                yield Taken(name, None, f"input or output failed: {error.strerror}")


def _take(path: Path, content: bytes, event: Event, given: Given, clerk: Clerk) -> Path:
    _enter(event, clerk)
    job = clerk.jobs / event.id
    if not job.is_dir():
        _draft(event, content, given, clerk)
    if not (job / EVENT).is_file() or read_plain(job / EVENT, MAX_EVENT) != content:
        raise Refused(
            f"{event.id} is another event or job already; who sends events gives each an id of its own"
        )
    destroy_file(path)
    sync_directory(path.parent)
    return job


def _enter(event: Event, clerk: Clerk) -> None:
    """Open the matter of an event, once; people have until its term to approve the job."""
    since = datetime.fromisoformat(event.received)
    matter = Matter(
        id=event.id,
        kind="approval",
        about=f"{event.kind} by {event.channel}: the job {event.id}",
        owner=clerk.owner,
        superior=clerk.superior,
        since=instant(lambda: since.astimezone(UTC)),
    )
    known = clerk.docket.read().matters.get(event.id)
    if known is None:
        clerk.docket.add(Opened(matter=matter), clerk.key, clerk.clock)
    elif known.matter != matter:
        raise Refused(f"the docket knows another matter {event.id}; who sends events gives each its own id")


def _draft(event: Event, content: bytes, given: Given, clerk: Clerk) -> None:
    """Draft the job of an event; it appears whole, with the event in it, or not at all."""
    found = find_subject(Search(clerk.datamap, given, clerk.links, clerk.apart), clerk.registry)
    if found.undecided:
        raise Refused(
            f"{len(found.undecided)} records may be theirs or not; use `deleatur draft` for this one"
        )
    if not found.parts:
        raise Refused("no store holds a record of this person; look at the identifiers")
    draft = clerk.jobs / f".{event.id}.new"
    if os.path.lexists(draft):
        shutil.rmtree(draft)  # of an intake that was killed; refuses a symbolic link
    request = Request(
        datamap=clerk.map,
        name=event.id,
        authority=f"{event.kind}, {event.id}",
        requested_by=clerk.owner,
        leave=clerk.leave,
    )
    try:
        directory, _ = draft_job(draft, clerk.datamap, found, request, clerk.registry)
        directory.write_once(draft / EVENT, content)
        draft.rename(clerk.jobs / event.id)
    finally:
        if os.path.lexists(draft):
            shutil.rmtree(draft)
    sync_directory(clerk.jobs)
