"""What holds in every job of this agent: read it once, and put it into the targets of a plan.

Rules kept: approvers see each row that is held, because it stands in the plan; what cannot be held
by rows refuses the plan; a hold on a table that is not there holds nothing, and is refused.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from deleatur.backend import Backend
from deleatur.documents.codec import read_limited
from deleatur.documents.gates import HoldGate, KnownHold, KnownRegister, ReadFile
from deleatur.documents.hold import Hold, with_values_in
from deleatur.documents.job import HeldRows, Target
from deleatur.documents.plan import PlannedTarget
from deleatur.documents.policy import Matter
from deleatur.documents.policy_rules import MAX_POLICY, decode_policy
from deleatur.engine.reading import decoding
from deleatur.engine.register import HoldRegister
from deleatur.errors import Refused, Unsupported
from deleatur.holding import HeldTable
from deleatur.judge.holds import concerns, held_tables, is_local, path_of, same_table, url_of
from deleatur.judge.matters import matters_of, rows_of
from deleatur.trust.register import Register


@dataclass(frozen=True)
class HoldSources:
    """Where this agent looks for what holds in every job."""

    register: HoldRegister | None = None
    policies: tuple[Path, ...] = ()  # with `[[matter]]`

    def read(self) -> "HeldNow":
        """Read everything that holds now.

        Raises:
            Refused: the register or a policy cannot be read and verified.
            Malformed: a policy does not follow docs/spec/policy.md.
        """
        files, matters = [], list[Matter]()
        for path in self.policies:
            content = _read(path)
            with decoding(str(path)):
                matters += decode_policy(content).matter
            files.append(ReadFile(file=str(path), digest=hashlib.sha256(content).hexdigest()))
        register = None if self.register is None else self.register.read()
        return HeldNow(self, register, tuple(files), tuple(matters))


@dataclass(frozen=True)
class HeldNow:
    """What held at one moment."""

    sources: HoldSources
    register: Register | None
    policies: tuple[ReadFile, ...]
    matters: tuple[Matter, ...]

    def widen(self, job: str, target: Target) -> tuple[Target, list[str]]:
        """Return a target with everything that it must keep, and every reason why it may not go.

        Args:
            job: the name of the job.
            target: with an absolute URL.
        """
        rows: list[HeldRows] = []
        reasons: list[str] = []
        for hold in self.about(job, target.url, ""):
            if hold.scope.table is None or not target.select:
                reasons.append(f"{target.id}: {told(hold)}")
            else:
                rows += rows_of(hold, with_values_in(hold.scope.where, self._folder()), target)
        resolved = {matter.place: resolved_place(matter.place) for matter in self.matters}
        open_matters = matters_of(target, real_path(target.url), self.matters, resolved)
        rows += open_matters.rows
        names = [h.id for h in (*target.hold, *rows)]
        reasons += [
            f"{target.id}: two holds are called {name}; rename that of the job"
            for name in sorted({n for n in names if names.count(n) > 1})
        ]
        return replace(target, hold=(*target.hold, *rows)), [*reasons, *open_matters.reasons]

    def require_tables(self, job: str, target: Target, backend: Backend) -> list[str]:
        """Return why a hold on a table that is not selected holds nothing: there is no such table."""
        idle = [h for h in self.about(job, target.url, "") if h.scope.table and target.select]
        idle = [h for h in idle if not held_tables(h.scope, target)]
        if not idle:
            return []
        try:
            names = [h.name for h in backend.contents().holdings if isinstance(h, HeldTable)]
        except Unsupported:
            names = []
        return [
            f"{target.id}: the hold {h.id} names the table {h.scope.table}, which is not there; "
            "release it and place it right"
            for h in idle
            if not any(same_table(h.scope.table or "", name) for name in names)
        ]

    def about(self, job: str, url: str, path: str) -> Iterator[Hold]:
        """Yield every open hold of the register that is about a target."""
        if self.register is None:
            return
        for stood in self.register.open:
            place = stood.hold.scope.place
            resolved = None if place is None else resolved_place(place)
            paths = {path, real_path(url)}
            if any(concerns(stood.hold.scope, resolved, job, url, p) for p in paths):
                yield stood.hold

    def gate(self, job: str, targets: Sequence[PlannedTarget]) -> HoldGate | None:
        """Return the gate of a plan; None where this agent holds nothing in every job."""
        if self.register is None and not self.policies:
            return None
        known = None
        if self.register is not None and self.sources.register is not None:
            holds = {h.id: h for t in targets for h in self.about(job, t.target.url, identity_path(t))}
            known = KnownRegister(
                file=str(self.sources.register.path),
                head=self.register.head,
                entries=len(self.register.lines),
                holds=tuple(
                    KnownHold(id=h.id, matter=h.matter, authority=h.authority, case=h.case)
                    for h in holds.values()
                ),
            )
        return HoldGate(register=known, policies=self.policies, matters=len(self.matters))

    def _folder(self) -> str:
        return "" if self.sources.register is None else str(self.sources.register.path.parent)


def told(hold: Hold) -> str:
    """Say what is on hold, for people."""
    return f"on hold by {hold.id} ({hold.matter}: {hold.authority}, {hold.case})"


def real_path(url: str) -> str:
    """Return the path of a URL with all links resolved; "" where it is none of this host.

    Raises:
        Refused: no file can have that name.
    """
    if is_local(url) and "\0" in path_of(url):
        raise Refused("the path of a target's URL holds a null byte, and no file can; correct it")
    return os.path.realpath(path_of(url)) if is_local(url) else ""


def resolved_place(place: str) -> str | None:
    """Return the URL of a place with all links resolved; None where it is no path of this host."""
    return url_of(os.path.realpath(path_of(place))) if is_local(place) else None


def identity_path(planned: PlannedTarget) -> str:
    """Return the path of a target as its identity has it; "" if it has none."""
    return dict(planned.identity.fields).get("path", "")


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, MAX_POLICY)
    except FileNotFoundError:
        raise Refused(f"the policy {path} is missing, and the settings say that its matters hold") from None
