"""The gate of what holds in every job: the register grew only, and nothing new in it is about the job."""

import hashlib
from collections.abc import Iterator

from msgspec.structs import replace

from deleatur.documents.gates import HoldGate, KnownRegister
from deleatur.documents.journal import Passed
from deleatur.documents.plan import Plan
from deleatur.engine.gates.context import Context
from deleatur.engine.holding import HeldNow, HoldSources, identity_path, told
from deleatur.errors import Refused
from deleatur.trust.register import Register


def require_gate(plan: Plan, sources: HoldSources) -> None:
    """Refuse a plan that was made without what now holds in every job.

    Raises:
        Refused: the settings name a register or policies, and the plan has no gate for them.
    """
    asked = any(isinstance(gate, HoldGate) for gate in plan.gates)
    if not asked and (sources.register is not None or sources.policies):
        raise Refused("the plan was made before the settings said what is on hold; plan again")


def pass_holds(gate: HoldGate, context: Context) -> Passed:
    """Let the job through if nothing that it is about to erase is on hold.

    Raises:
        Refused: a hold that the plan does not know, a register that was cut, exchanged or cannot be
            verified, or policies that changed.
    """
    now = context.holds.read()
    if now.policies != gate.policies:
        raise Refused("the policies that say which matters hold changed since the plan; plan again")
    counts: tuple[tuple[str, int], ...] = (("matters", gate.matters),)
    digest = hashlib.sha256("".join(p.digest for p in gate.policies).encode()).hexdigest()
    if (known := gate.register) is not None:
        register = _same(known, now, context)
        if reasons := [*dict.fromkeys(_new_holds(known, now, context))]:
            raise Refused("; ".join(reasons))
        digest = register.head
        counts = (("entries", len(register.lines)), ("open", len(register.open)), *counts)
    elif now.register is not None:
        raise Refused("the plan was made without the hold register that the settings name; plan again")
    if reasons := [*_not_kept(now, context)]:
        raise Refused("; ".join(reasons))
    return Passed(gate=gate.name, digest=digest, counts=counts)


def _same(known: KnownRegister, now: HeldNow, context: Context) -> Register:
    """Return the register if it is the planned one, and holds every line that this job has seen."""
    place = now.sources.register
    if now.register is None or place is None or str(place.path) != known.file:
        raise Refused(f"the settings do not name the hold register of the plan, {known.file}; put it back")
    seen = {known.head, *(p.digest for p in context.passed if p.gate == "holds")}
    if not seen <= set(now.register.digests):
        raise Refused(
            f"the hold register {known.file} lost lines that this job has seen, which counts as a hold; "
            "restore it"
        )
    return now.register


def _new_holds(known: KnownRegister, now: HeldNow, context: Context) -> Iterator[str]:
    planned = {hold.id for hold in known.holds}
    for target in context.pending:
        for hold in now.about(context.job, target.target.url, identity_path(target)):
            if hold.id not in planned:
                yield f"{target.id}: {told(hold)}, placed after the plan; plan again, or have it released"


def _not_kept(now: HeldNow, context: Context) -> Iterator[str]:
    """Name what holds rows that the plan does not keep: its gate alone says nothing of rows."""
    for target in context.pending:
        wanted, reasons = now.widen(context.job, replace(target.target, hold=()))
        yield from reasons
        missing = [rows.id for rows in wanted.hold if rows not in target.target.hold]
        if missing:
            yield f"{target.id}: the plan does not keep the rows that {', '.join(missing)} holds; plan again"


class HoldWatch:
    """Tells at each cursor whether the register is still what was asked last: as cheap as reading it."""

    def __init__(self, plan: Plan, sources: HoldSources) -> None:
        self.gates = [gate for gate in plan.gates if isinstance(gate, HoldGate)]
        self._register = sources.register
        self._asked = b""

    def changed(self) -> bool:
        """Say whether it must be asked again; what it holds now counts as asked from here on.

        Raises:
            Refused: it cannot be read.
        """
        if not self.gates or self._register is None:
            return False
        before, self._asked = self._asked, self._register.content()
        return before != self._asked
