"""Read from plan and journal what was done to each target, and refuse a story that does not hold.

Pure. What the certificate claims comes from here and from nowhere else, so every rule stands here:
nothing before the holds were asked, nothing without its archive, nothing claimed of a look that
came before the last change.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from deleatur.documents import journal as j
from deleatur.documents.gates import AnyGate, CustodyGate, HoldGate, StaffGate
from deleatur.documents.job import parts_of, tables_of
from deleatur.documents.place import ArchivePart, Exchange, Ranges, Step
from deleatur.documents.plan import Plan, PlannedFill, PlannedTarget
from deleatur.documents.ranges import size_of
from deleatur.errors import Refused, Residue
from deleatur.judge.custody import ended
from deleatur.judge.evidence import may_have_changed, verdict
from deleatur.judge.fold import clean
from deleatur.judge.free_space import doubts
from deleatur.judge.markers import unmarked
from deleatur.judge.placement import doubts_of_placement
from deleatur.judge.risk import holds
from deleatur.judge.sampling import with_spares
from deleatur.judge.staff import digest_of, keys_of, operator_fault
from deleatur.sanitize.techniques import technique


@dataclass
class StepHistory:
    """One step as the journal has it."""

    step: Step
    began_at: str = ""
    ended_at: str = ""
    done: int = 0
    failed: Ranges = ()  # the medium took no writing there
    exchanges: tuple[Exchange, ...] = ()  # commands that the device was sent
    seed: str = ""  # of the places read back, drawn after the last change
    compared: j.Compared | None = None
    compared_at: str = ""


@dataclass
class FillHistory:
    """One fill as the journal has it."""

    fill: PlannedFill
    filled: j.Filled | None = None
    at: str = ""


@dataclass
class TargetHistory:
    """One target as the journal has it."""

    planned: PlannedTarget
    steps: dict[str, StepHistory]
    archived: dict[ArchivePart, j.Archived] = field(default_factory=dict)
    controlled: j.Controlled | None = None
    verified: j.Verified | None = None
    verified_at: str = ""
    earlier_finding: bool = False

    @property
    def touched(self) -> bool:
        """Whether any step of the target has begun."""
        return any(step.began_at for step in self.steps.values())


@dataclass
class History:
    """The whole job as the journal has it; `reasons` say why it cannot be certified."""

    targets: dict[str, TargetHistory]
    gates: dict[str, AnyGate]
    fills: dict[str, FillHistory] = field(default_factory=dict)
    passed: dict[str, tuple[j.Passed, str]] = field(default_factory=dict)  # the last time of each, and when
    selftests: int = 0
    key_erased_at: str = ""  # of the archives' tokens
    first_destructive: str = ""
    last_destructive: str = ""
    approved_by: list[tuple[str, ...]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    _ready: set[str] = field(default_factory=set)  # preflighted since the last start
    _unheld: bool = False
    _open: set[str] = field(default_factory=set)  # gates that let this run through

    def take(self, entry: j.Entry, plan_digest: str) -> None:
        """Go one entry further."""
        event = entry.event
        match event:
            case j.Started():
                self._start(event, plan_digest)
            case j.Unheld():
                self._unheld = True
            case j.Passed():
                self._pass(event, entry.at)
            case j.Preflighted():
                self._preflight(event)
            case j.Archived() | j.Controlled():
                self._before_erase(event)
            case j.Erasing() | j.Advanced() | j.Erased():
                self._erase(event, entry.at)
            case j.Challenged() | j.Compared():
                self._compare(event, entry.at)
            case j.Filling() | j.Filled():
                self._fill(event, entry.at)
            case j.Verified():
                self._verify(event, entry.at)
            case j.Reported() | j.KeyErased() | j.Certified() | j.Stopped():
                self._end(event, entry.at)

    def _end(self, event: j.Reported | j.KeyErased | j.Certified | j.Stopped, at: str) -> None:
        match event:
            case j.Reported():
                for target in self.targets.values():
                    target.earlier_finding = True
            case j.KeyErased():
                self.key_erased_at = at
            case j.Certified():
                self.reasons.append("the journal says that there is a certificate already")
            case j.Stopped():
                self._unheld = False
                self._open.clear()

    def _start(self, event: j.Started, plan_digest: str) -> None:
        if event.plan != plan_digest:
            self.reasons.append("a run of another plan stands in the journal")
        if event.selftests < 1:
            self.reasons.append("a run began without a self-test")
        self.selftests = event.selftests
        self.approved_by.append(event.approved_by)
        self._ready.clear()
        self._open.clear()
        self._unheld = False

    def _pass(self, event: j.Passed, at: str) -> None:
        gate = self.gates.get(event.gate)
        if gate is None:
            self.reasons.append(f"the journal speaks of a gate {event.gate} that the plan does not have")
            return
        if isinstance(gate, StaffGate):
            self.reasons += self._operator_faults(gate, event.digest, at[:10])
        elif isinstance(gate, CustodyGate):
            self.reasons += ended(gate, at[:10])
        elif not isinstance(gate, HoldGate) and event.digest != gate.digest:
            self.reasons.append(f"{event.gate}: another one than planned let the job through")
        if (before := self.passed.get(event.gate)) and _fewer(before[0], event):
            self.reasons.append(f"{event.gate}: rests on less than it did before")
        self.passed[event.gate] = event, at
        self._open.add(event.gate)

    def _operator_faults(self, gate: StaffGate, digest: str, day: str) -> list[str]:
        """Say why who ran the job then should not have."""
        key = next((key for key in keys_of(gate) if digest_of(key) == digest), None)
        if key is None:
            return ["somebody ran the job who is no operator of the plan"]
        fault = operator_fault(gate, key, self.approved_by[-1] if self.approved_by else (), day)
        return [fault] if fault else []

    def _preflight(self, event: j.Preflighted) -> None:
        target = self._target(event.target)
        if target is None:
            return
        if event.identity != hashlib.sha256(target.planned.identity.text().encode()).hexdigest():
            self.reasons.append(f"{event.target}: another target was opened than planned")
        self._ready.add(event.target)

    def _before_erase(self, event: j.Archived | j.Controlled) -> None:
        target = self._target(event.target)
        if target is None:
            return
        if target.touched:
            self.reasons.append(f"{event.target}: {type(event).__name__.lower()} after the erase had begun")
        if isinstance(event, j.Archived):
            target.archived[event.part], self.key_erased_at = event, ""
            self._open -= {name for name, gate in self.gates.items() if gate.after_archive}
        else:
            target.controlled = event

    def _erase(self, event: j.Erasing | j.Advanced | j.Erased, at: str) -> None:
        target, step = self._step(event.step)
        if target is None or step is None:
            return
        if not self._unheld or target.planned.id not in self._ready:
            self.reasons.append(f"{event.step}: ran without asking for holds or looking at the target first")
        if closed := sorted(self.gates.keys() - self._open):
            self.reasons.append(f"{event.step}: ran past a closed gate: {', '.join(closed)}")
        target.verified = step.compared = None
        step.seed = ""
        if isinstance(event, j.Advanced):
            step.failed += event.failed
            step.exchanges += event.exchanges
        for told in self.fills.values():
            told.filled = None
        if not isinstance(event, j.Erasing) and not step.began_at:
            self.reasons.append(f"{event.step}: ran without saying so first")
        step.began_at = step.began_at or at
        step.ended_at, step.done = ("", 0) if not isinstance(event, j.Erased) else (at, event.done)
        self.first_destructive = self.first_destructive or at
        self.last_destructive = at

    def _fill(self, event: j.Filling | j.Filled, at: str) -> None:
        told = self.fills.get(event.fill)
        if told is None:
            self.reasons.append(f"the journal speaks of a fill {event.fill} that the plan does not have")
            return
        if not self._unheld or self.gates.keys() - self._open:
            self.reasons.append(f"{event.fill}: ran without asking for holds, or past a closed gate")
        told.filled, told.at = (event, at) if isinstance(event, j.Filled) else (None, "")
        for target in self.targets.values():
            target.verified = None
        self.last_destructive = at

    def _compare(self, event: j.Challenged | j.Compared, at: str) -> None:
        target, step = self._step(event.step)
        if target is None or step is None:
            return
        if isinstance(event, j.Challenged):
            step.seed = event.seed
            return
        step.compared, step.compared_at = event, at
        if not clean(event):
            target.earlier_finding = True

    def _verify(self, event: j.Verified, at: str) -> None:
        target = self._target(event.target)
        if target is None:
            return
        target.verified, target.verified_at = event, at
        if _found(event):
            target.earlier_finding = True

    def _target(self, name: str) -> TargetHistory | None:
        if name not in self.targets:
            self.reasons.append(f"the journal speaks of a target {name} that the plan does not have")
        return self.targets.get(name)

    def _step(self, name: str) -> tuple[TargetHistory | None, StepHistory | None]:
        for target in self.targets.values():
            if name in target.steps:
                return target, target.steps[name]
        self.reasons.append(f"the journal speaks of a step {name} that the plan does not have")
        return None, None


def _fewer(before: j.Passed, now: j.Passed) -> bool:
    """Say whether a register that only grows has fewer entries than it had."""
    return dict(now.counts).get("entries", 0) < dict(before.counts).get("entries", 0)


def history(plan: Plan, plan_digest: str, entries: Sequence[j.Entry]) -> History:
    """Return the history of a job that may be certified.

    Raises:
        Residue: something of what was to be erased can still be read.
        Refused: a step, a look or an archive is missing, or came at the wrong time; all reasons at once.
    """
    told = History(
        targets={
            t.id: TargetHistory(t, {s.id: StepHistory(s) for s in plan.steps if s.target == t.id})
            for t in plan.targets
        },
        gates={gate.name: gate for gate in plan.gates},
        fills={fill.id: FillHistory(fill) for fill in plan.free_space},
    )
    if not entries or not isinstance(entries[0].event, j.Started):
        told.reasons.append("the journal does not begin with a start")
    if not plan.targets:
        told.reasons.append("the plan has no target")
    for entry in entries:
        told.take(entry, plan_digest)
    for target in told.targets.values():
        _require_clean(target)
        told.reasons += _missing(target, plan)
    for found in told.fills.values():
        if found.filled is not None and found.filled.mismatches:
            raise Residue(f"{found.fill.id}: the free space did not read back as it was overwritten; resume")
        told.reasons += doubts(found.fill, found.filled, plan.verification)
    if any(t.planned.target.archive for t in told.targets.values()) and not told.key_erased_at:
        told.reasons.append("the key of the archives' tokens was not erased after the last archive")
    if told.reasons:
        raise Refused("no certificate: " + "; ".join(dict.fromkeys(told.reasons)))
    return told


def _require_clean(target: TargetHistory) -> None:
    name = target.planned.id
    for step in target.steps.values():
        found = step.compared
        if found is None:
            continue
        if not clean(found):
            raise Residue(f"{name}: {step.step.id} did not read back as it was overwritten; resume the job")
    if target.verified is not None and _found(target.verified):
        raise Residue(f"{name}: something of what was to be erased can still be read; see residue.json")


def _found(verified: j.Verified) -> bool:
    return bool(
        verified.verdict == "RESIDUE"
        or verified.present
        or verified.remaining
        or any(scan.hits for scan in verified.surfaces)
    )


def _missing(target: TargetHistory, plan: Plan) -> list[str]:
    """Name everything that the journal should have and has not."""
    name, reasons = target.planned.id, []
    if not target.steps:
        reasons.append(f"{name}: the plan has no step for it")
    for step in target.steps.values():
        if not step.ended_at:
            reasons.append(f"{name}: {step.step.id} did not come to its end")
        elif technique(target.planned.technique).stays and step.done < sum(
            u.size for u in target.planned.units
        ):
            reasons.append(f"{name}: {step.step.id} did not reach the end of the device")
        if step.step.reads_back:
            reasons += [f"{name}: {step.step.id} {why}" for why in _uncompared(step, target.planned)]
    if target.planned.target.archive:
        reasons += [f"{name}: {why}" for why in _unarchived(target, plan)]
    if target.controlled is None:
        reasons.append(f"{name}: nothing was sampled before the erase")
    if target.verified is None:
        reasons.append(f"{name}: was not verified after its last change")
    if target.controlled is not None and target.verified is not None:
        looks = target.planned, target.controlled, target.verified
        reasons += [f"{name}: {why}" for why in _contradictions(*looks)]
        asked = plan.verification.carver if technique(target.planned.technique).stays else None
        if any((c.program if c else None) != asked for c in (looks[1].carved, looks[2].carved)):
            reasons.append(f"{name}: {asked or 'no carver'} was to look at it before and after, and did not")
    return reasons


def _uncompared(step: StepHistory, planned: PlannedTarget) -> list[str]:
    found = step.compared
    if found is None:
        return ["was not read back after its last change"]
    if step.step.at_markers:
        return list(unmarked(step.step, found, step.exchanges, planned.units[0].size))
    wanted = found.population
    if planned.sampling.mode == "sample":
        count = planned.sampling.count
        wanted = min(wanted, with_spares(count) if step.step.stays else count)
        if not step.seed:
            return ["was read back at places that were not drawn after the erase"]
    elif found.size + size_of(found.unread) < sum(u.size for u in planned.units):
        return ["was read back in part only"]
    if found.read + found.unreadable < wanted:
        return ["was read back at fewer places than planned"]
    if found.unreadable and not (step.step.stays and found.unread):
        return ["could not be read back everywhere, and the journal does not say where"]
    return [] if step.step.stays else doubts_of_placement(planned, found.lay)


def _unarchived(target: TargetHistory, plan: Plan) -> list[str]:
    asked = target.planned.target
    if not target.archived:
        return ["nothing was archived, and the plan asks for it"]
    if {*target.archived} != {*parts_of(asked)}:
        return ["other parts were archived than planned"]
    rows = {t.table: t.rows for t in target.archived["main"].tables}
    for part in parts_of(asked):
        found = target.archived[part]
        if [t.table for t in found.tables] != [t.table for t in tables_of(asked, part)]:
            return ["other tables were archived than planned"]
        keepers = () if plan.custody is None else plan.custody.of(part).custodian
        if found.recipients != tuple(c.recipient for c in keepers):
            return ["the archive was encrypted to others than planned"]
        for written, table in zip(found.tables, tables_of(asked, part), strict=True):
            if not holds(table.risk, written):
                return [f"{written.table} does not keep the limit of re-identification that was planned"]
        if any(t.rows != rows[t.table] for t in found.tables):
            return ["the parts of the archive have different rows"]
    return []


def _contradictions(planned: PlannedTarget, controlled: j.Controlled, verified: j.Verified) -> list[str]:
    """Name what cannot both be so: the verdict is judged again from what was seen."""
    reasons = []
    if not may_have_changed(planned, controlled.keep_digest, verified.keep_digest):
        reasons.append("what had to stay is not what it was before")
    ruling, why = verdict(
        planned.surfaces,
        controlled,
        verified.surfaces,
        sampled=verified.values > 0,
        values=verified.values,
        present=verified.present,
        remaining=verified.remaining,
        stays=technique(planned.technique).stays,
        words=verified.words,
        carved=verified.carved,
    )
    if verified.verdict == "CLEAN" and ruling != "CLEAN":
        reasons.append(f"called clean, but {why}")
    return reasons
