"""The `s3` backend: versions, markers and uploads of one bucket, or of one prefix in it.

Rules kept: a look only asks; the server is tried in a scratch bucket before anything is deleted; what
lies below the interface is the provider's, and no claim reaches it.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Self

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
    drawn,
    selection_named,
)
from deleatur_plugins.s3.address import address_of
from deleatur_plugins.s3.canary import Canary, blocker
from deleatur_plugins.s3.connecting import Denied, Session
from deleatur_plugins.s3.content import BYPASSING, Choice, Content, Going, refuse_archive, value_at
from deleatur_plugins.s3.deleting import delete
from deleatur_plugins.s3.facts import Facts
from deleatur_plugins.s3.identity import NOT_TOLD, identity_of
from deleatur_plugins.s3.listing import refuse_lost
from deleatur_plugins.s3.rights import least_policy, rights_for
from deleatur_plugins.s3.selecting import asked_of

TECHNIQUE, ACTION = "delete-versions", "delete"
_UNKNOWN = "the server does not say whether it keeps versions"
_UNNAMED = "the job does not name it for this target, so that no approval could"


class S3Backend(Backend):
    """Objects under a prefix: `s3://BUCKET/PREFIX/?endpoint=https://HOST&scratch=BUCKET`."""

    def __init__(self, target: Target, secrets: Secrets) -> None:
        self._address = address_of(target.url)
        self._target = target
        self._technique = BYPASSING if target.technique == BYPASSING else TECHNIQUE
        self._secrets = secrets
        self._key = digest_key(secrets)
        self._opened: list[Session] = []

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Take note of the target; the server is asked when something is asked for."""
        return cls(target, secrets)

    def close(self) -> None:
        """Close what is still connected."""
        while self._opened:
            self._opened.pop().close()

    def _session(self) -> Session:
        if not self._opened:
            self._opened.append(Session(self._address))
        return self._opened[0]

    def inspect(self) -> Inspection:
        """Say what is there."""
        refuse_archive(self._target)
        session = self._session()
        facts = Facts.of(session)
        identity = self._identity(session)
        content = self._content(session, facts)
        units, held = content.units(), content.held()
        known = facts.versioning != "unknown"
        return Inspection(
            identity=Identity(kind="objects", fields=identity),
            size=sum(unit.size for unit in units),
            units=units,
            held=held,
            offers=(self._offer(facts, content, identity),) if known else (),
            denials=self._denials(known=known),
            surfaces=(*facts.surfaces(), *beyond(facts)),
            blockers=tuple(self._blockers(session, facts)),
        )

    def _offer(self, facts: Facts, content: Content, identity: tuple[tuple[str, str], ...]) -> Offer:
        return Offer(technique=self._technique, limits=_limits(facts, content, identity))

    def _denials(self, *, known: bool) -> tuple[Denial, ...]:
        if not known:
            return (Denial(technique=self._technique, reason=_UNKNOWN),)
        return () if self._technique == BYPASSING else (Denial(technique=BYPASSING, reason=_UNNAMED),)

    def _identity(self, session: Session) -> tuple[tuple[str, str], ...]:
        address = self._address
        where = f"s3:{address.server}/{address.bucket}/{address.prefix}".rstrip("/")
        return (*identity_of(session), ("path", where), *selection_named(self._target, "objects"))

    def _content(self, session: Session, facts: Facts) -> Content:
        with self._lacking_named():
            return Content(session, self._target, self._secrets, locks=facts.locks)

    def _going(self, session: Session, facts: Facts) -> Going:
        with self._lacking_named():
            choice = Choice(session, self._target, self._secrets, locks=facts.locks)
            return Going(choice, session, self._secrets)

    def _policy(self) -> str:
        tags = ("GetObjectTagging",) if "tag" in asked_of(self._target) else ()
        bypass = ("BypassGovernanceRetention",) if self._technique == BYPASSING else ()
        return least_policy(self._address, (*tags, *bypass))

    @contextmanager
    def _lacking_named(self) -> Iterator[None]:
        """Say which right is missing, and which ones the job needs."""
        try:
            yield
        except Denied as error:
            lacking = " ".join(rights_for([error.question]))
            raise Refused(
                f"this user has too few rights: {lacking}; the least policy: {self._policy()}"
            ) from None

    def _blockers(self, session: Session, facts: Facts) -> Iterator[str]:
        if facts.denied:
            lacking = " ".join(rights_for(facts.denied))
            yield f"this user has too few rights: {lacking}; the least policy: {self._policy()}"
        if facts.wants_token:
            yield "the bucket deletes only with a person's token (MFA delete); switch that off for the job"
        if reason := blocker(session, facts):
            yield reason

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name selected versions, markers and uploads by sealed names."""
        session = self._session()
        yield from drawn(self._content(session, Facts.of(session)).places(), count, seed)

    def probe(self, place: Locator) -> bytes | None:
        """Return the first bytes of a version; None when the server says that there is none."""
        return value_at(self._session(), self._key, place.item)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Do the step's action; nothing happens before the first cursor is asked for."""
        if (step.technique, step.action) != (self._technique, ACTION):
            raise Unsupported(
                f"{step.technique[:40]!r} with action {step.action[:40]!r} is not possible here"
            )
        with closing(Session(self._address)) as session:
            facts = Facts.of(session)
            if reasons := tuple(self._blockers(session, facts)):
                raise Refused(reasons[0])
            whole = Canary(session, versions=facts.versioning == "Enabled").sing()
            with self._going(session, facts) as going:
                if not whole:
                    refuse_lost(going.listed, stays=going.leaves or self._target.others_write)
                yield from delete(session, going.others, going.markers, after.done if after else 0)

    def bystanders(self) -> Iterator[bytes]:
        """Yield what the listing says of everything under the prefix that stays."""
        session = self._session()
        yield from self._content(session, Facts.of(session)).bystanders()


def beyond(facts: Facts) -> Iterator[Surface]:
    """Name what no caller of the interface can look at."""
    expiring = len(facts.said.get("GetBucketLifecycleConfiguration", {}).get("Rules", ()))
    yield Surface(
        name="media and caches of the provider",
        reach="out-of-reach",
        reason="what is kept of a deleted version, and for how long, is not shown by the interface; new "
        f"objects are encrypted with: {facts.encryption()}; rules that move or expire them: {expiring}",
    )
    yield Surface(
        name="copies elsewhere (backups, caches of a network, event messages, access points)",
        reach="out-of-reach",
        reason="they are no part of the target, and the bucket has no list of them",
    )


def _limits(facts: Facts, content: Content, identity: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return the ids of the sentences that lower the claim."""
    unversioned = () if facts.versioning == "Enabled" else ("unversioned-objects",)
    locked = ("locked-objects",) if content.locked else ()
    bypassed = ("governance-bypassed",) if content.governed else ()
    by_name = ("bucket-by-name",) if dict(identity)["created"] == NOT_TOLD else ()
    return ("provider-media", *unversioned, *locked, *bypassed, *by_name)
