"""The `s3-rows` backend: selected rows inside of objects, in every version of them.

Rules kept: a look only asks; an object is written anew and read back before an old version goes; what is
deleted are versions that the plan lists, and what lies below the interface is the provider's.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from deleatur.api import (
    Backend,
    Cursor,
    Denial,
    Identity,
    Inspection,
    Locator,
    Offer,
    Refused,
    Secrets,
    Step,
    Surface,
    Target,
    Unsupported,
    digest_key,
    selection_named,
)
from deleatur_plugins.s3.address import Address, address_of
from deleatur_plugins.s3.backend import beyond
from deleatur_plugins.s3.canary import Canary, blocker
from deleatur_plugins.s3.connecting import Denied, Session
from deleatur_plugins.s3.content import refuse_archive
from deleatur_plugins.s3.deleting import delete
from deleatur_plugins.s3.facts import Facts
from deleatur_plugins.s3.identity import NOT_TOLD, identity_of
from deleatur_plugins.s3.inside.content import Chosen, Content, probe
from deleatur_plugins.s3.inside.forms import DELIMITERS
from deleatur_plugins.s3.inside.replacing import replace
from deleatur_plugins.s3.listing import refuse_lost
from deleatur_plugins.s3.rights import least_policy, rights_for
from deleatur_plugins.s3.spool import Spool

TECHNIQUE, ACTION = "rewrite-objects", "rewrite"


class S3RowsBackend(Backend):
    """Rows of objects under a prefix: `s3-rows://BUCKET/PREFIX/?endpoint=https://HOST&scratch=BUCKET`."""

    def __init__(self, target: Target, secrets: Secrets) -> None:
        self._address, self._delimiter = _address_of(target.url)
        self._target = target
        self._secrets = secrets
        self._key = digest_key(secrets)
        self._opened: list[Session] = []
        self._drawn: dict[str, bytes] = {}  # values of the places that were named last
        self._looked: list[Content] = []

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Take note of the target; the server is asked when something is asked for."""
        return cls(target, secrets)

    def close(self) -> None:
        """Close what is still connected, and forget what was read."""
        self._drawn.clear()
        self._looked.clear()
        while self._opened:
            self._opened.pop().close()

    def _session(self) -> Session:
        if not self._opened:
            self._opened.append(Session(self._address))
        return self._opened[0]

    def _content(self, session: Session) -> Content:
        try:
            return Content(session, self._target, self._secrets, self._delimiter)
        except Denied as error:
            raise self._too_few([error.question]) from None

    def _too_few(self, questions: list[str]) -> Refused:
        lacking, least = " ".join(rights_for(questions)), least_policy(self._address, ["GetObjectTagging"])
        return Refused(
            f"this user has too few rights: {lacking}; the least policy, beside s3:PutObject and "
            f"s3:PutObjectTagging on the target: {least}"
        )

    def inspect(self) -> Inspection:
        """Say what is there; every version of the named objects is read."""
        refuse_archive(self._target)
        session = self._session()
        facts = Facts.of(session)
        identity = self._identity(session)
        denials = tuple(Denial(technique=TECHNIQUE, reason=reason) for reason in _denials(facts))
        content = self._content(session)
        chosen = content.chosen()
        units = tuple(content.unit(one) for one in chosen)
        limits = _limits(chosen, identity)
        return Inspection(
            identity=Identity(kind="rows", fields=identity),
            size=sum(unit.size for unit in units),
            units=units,
            held=content.held(),
            offers=() if denials else (Offer(technique=TECHNIQUE, limits=limits),),
            denials=denials,
            surfaces=(*facts.surfaces(), *beyond(facts), *_unread(content)),
            blockers=(*self._blockers(session, facts), *content.blockers()),
        )

    def _identity(self, session: Session) -> tuple[tuple[str, str], ...]:
        address = self._address
        where = f"s3:{address.server}/{address.bucket}/{address.prefix}".rstrip("/")
        return (
            *identity_of(session),
            ("path", where),
            ("delimiter", self._delimiter or "by name"),
            *selection_named(self._target),
        )

    def _blockers(self, session: Session, facts: Facts) -> Iterator[str]:
        if facts.denied:
            yield str(self._too_few(facts.denied))
        if facts.wants_token:
            yield "the bucket deletes only with a person's token (MFA delete); switch that off for the job"
        if reason := blocker(session, facts):
            yield reason

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name values of selected rows by sealed version, row and value."""
        places, self._drawn = self._content(self._session()).sample(count, seed)
        yield from places

    def probe(self, place: Locator) -> bytes | None:
        """Return a value of a row; None when the server says that there is no such version."""
        return probe(self._session(), self._key, place, self._value)

    def _value(self, place: Locator) -> bytes:
        if place.item not in self._drawn:
            if not self._looked:
                self._looked.append(self._content(self._session()))
            return self._looked[0].value(place)
        return self._drawn[place.item]

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Do the step's action; nothing happens before the first cursor is asked for."""
        if (step.technique, step.action) != (TECHNIQUE, ACTION):
            raise Unsupported(
                f"{step.technique[:40]!r} with action {step.action[:40]!r} is not possible here"
            )
        with closing(Session(self._address)) as session:
            facts = Facts.of(session)
            if reasons := (*self._blockers(session, facts), *_denials(facts)):
                raise Refused(reasons[0])
            whole = Canary(session, versions=True).sing()
            content = self._content(session)
            if not whole:
                refuse_lost(content.listed, stays=True)
            yield from self._run(session, content, after.done if after else 0)

    def _run(self, session: Session, content: Content, done: int) -> Iterator[Cursor]:
        """Write every object first, and then delete every version that holds selected rows."""
        if reasons := tuple(content.blockers()):
            raise Refused(reasons[0])
        going, current = self._approved(content)
        for chosen in current:
            replace(session, content, chosen)
            yield Cursor(position=f"object {chosen.object.number} written", done=done)
        with Spool.of(chosen.entry for chosen in going) as versions, Spool() as markers:
            for cursor in delete(session, versions, markers, 0):
                yield Cursor(position=cursor.position, done=done)
        yield Cursor(position="finished", done=max(done, sum(chosen.rows for chosen in going)))

    def _approved(self, content: Content) -> tuple[list[Chosen], list[Chosen]]:
        """Return the versions that go, and those of them that were current when the plan was made."""
        told = self._secrets.get("approved-units")
        chosen = content.chosen()
        if told is None:
            return chosen, [one for one in chosen if one.is_latest]
        planned = {unit["name"]: unit["digest"] for unit in json.loads(told)["units"]}
        units = [(one, content.unit(one)) for one in chosen]
        going = [(one, unit) for one, unit in units if unit.name in planned]
        old = {one.entry for one, unit in going if not one.is_latest and unit.digest == planned[unit.name]}
        return [one for one, _ in going], [one for one, _ in going if one.entry not in old]

    def bystanders(self) -> Iterator[bytes]:
        """Yield every row that stays of the named objects, and what the listing says of all else."""
        yield from self._content(self._session()).bystanders()


def _address_of(url: str) -> tuple[Address, str]:
    """Read the URL: that of an s3: target, and perhaps `&delimiter=` of the CSV files."""
    parts = urlsplit(url)
    said = parse_qsl(parts.query, keep_blank_values=True)
    delimiters = [value for name, value in said if name == "delimiter"]
    if len(delimiters) > 1 or any(value not in DELIMITERS for value in delimiters):
        raise Refused(f"delimiter= is one of {', '.join(DELIMITERS)}")
    rest = urlencode([pair for pair in said if pair[0] != "delimiter"])
    address = address_of(urlunsplit(("s3", parts.netloc, parts.path, rest, parts.fragment)))
    return address, delimiters[0] if delimiters else ""


def _denials(facts: Facts) -> Iterator[str]:
    if facts.versioning != "Enabled":
        yield (
            "the bucket does not keep versions, so nobody could see whether somebody else wrote an object "
            "meanwhile; let it keep them"
        )
    if facts.locks:
        yield "the bucket may lock versions; rows inside of its objects cannot be erased by a job yet"


def _unread(content: Content) -> Iterator[Surface]:
    if content.beside:
        yield Surface(
            name="other objects under the prefix",
            reach="out-of-reach",
            reason=f"{content.beside} versions, markers and uploads have names that no selection means; "
            "they were not looked into",
        )


def _limits(chosen: list[Chosen], identity: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return the ids of the sentences that lower the claim."""
    old = ("old-versions-whole",) if any(not one.is_latest for one in chosen) else ()
    by_name = ("bucket-by-name",) if dict(identity)["created"] == NOT_TOLD else ()
    return ("provider-media", *old, *by_name)
