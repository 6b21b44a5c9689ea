"""Fold the journal into what is known, and name the one next thing to do: the recovery rule.

Pure. `fold` of any prefix of a journal is a state from which `next_action` goes on without
skipping anything: what has no entry is done, again if need be.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from deleatur.documents import journal as j
from deleatur.documents.gates import AnyGate
from deleatur.documents.job import parts_of
from deleatur.documents.place import Cursor, Ranges, Step
from deleatur.documents.plan import Plan, PlannedFill, PlannedTarget
from deleatur.sanitize.techniques import technique


@dataclass
class StepProgress:
    """How far one step has come."""

    begun: bool = False
    cursor: Cursor | None = None
    erased: j.Erased | None = None
    in_this_run: bool = False  # it came to its end since the last start
    failed: Ranges = ()  # the medium took no writing there
    seed: str = ""  # of the places to be read back, drawn after the erase
    compared: j.Compared | None = None
    outage: int = 0  # milliseconds: the longest stretch for which others had to wait


@dataclass
class Progress:
    """Everything the journal says, by target and step."""

    started: bool = False
    preflighted: dict[str, j.Preflighted] = field(default_factory=dict)
    passed: dict[str, j.Passed] = field(default_factory=dict)
    unheld: bool = False
    archived: dict[str, j.Archived] = field(default_factory=dict)  # by package
    controlled: dict[str, j.Controlled] = field(default_factory=dict)
    steps: dict[str, StepProgress] = field(default_factory=dict)
    fills: dict[str, int] = field(default_factory=dict)  # how often each was begun
    filled: dict[str, j.Filled] = field(default_factory=dict)
    verified: dict[str, j.Verified] = field(default_factory=dict)
    key_erased: bool = False
    certified: j.Certified | None = None

    def step(self, step: Step) -> StepProgress:
        """Return the progress of `step`, made on first use."""
        return self.steps.setdefault(step.id, StepProgress())

    def begun(self, plan: Plan, target: str) -> bool:
        """Say whether any step of `target` may have changed it."""
        return any(self.step(s).begun for s in plan.steps if s.target == target)

    def done(self, plan: Plan, target: str) -> bool:
        """Say whether every step of `target` is."""
        return all(self.step(s).erased is not None for s in plan.steps if s.target == target)


def clean(compared: j.Compared) -> bool:
    """Say whether a comparison found exactly what must be there, wherever it could read.

    What could not be read is no finding if it is named range by range: an exception at the best.
    """
    unknown = compared.unreadable and not compared.unread
    return not (compared.mismatches or unknown or any(s.hits for s in compared.surfaces))


def settled(verified: j.Verified) -> bool:
    """Say whether a verification lets the job go on to a certificate."""
    return verified.verdict != "RESIDUE"


def fold(entries: Iterable[j.Entry]) -> Progress:
    """Return what `entries` say. A new start forgets every look that must be taken again."""
    progress = Progress()
    for entry in entries:
        advance(progress, entry.event)
    return progress


def advance(progress: Progress, event: j.AnyEvent) -> None:
    """Take one more event into account."""
    match event:
        case j.Started():
            _begin(progress)
        case j.Preflighted():
            progress.preflighted[event.target] = event
        case j.Unheld():
            progress.unheld = True
        case j.Passed():
            progress.passed[event.gate] = event
        case j.Archived():
            progress.archived[event.package] = event
            progress.key_erased = False
        case j.Controlled():
            progress.controlled[event.target] = event
        case j.Erasing() | j.Advanced() | j.Erased() | j.Challenged() | j.Compared():
            _step(progress, event)
        case j.Filling() | j.Filled() | j.Reported():
            _fill(progress, event)
        case j.Verified():
            progress.verified[event.target] = event
        case j.KeyErased():
            progress.key_erased = True
        case j.Certified():
            progress.certified = event


def _step(progress: Progress, event: j.Erasing | j.Advanced | j.Erased | j.Challenged | j.Compared) -> None:
    steps = progress.steps
    match event:
        case j.Erasing():
            steps.setdefault(event.step, StepProgress()).begun = True
            progress.filled.clear()  # what this step gives back lies in free blocks again
        case j.Advanced():
            steps[event.step].cursor = Cursor(position=event.position, done=event.done)
            steps[event.step].failed += event.failed
            steps[event.step].outage = max(steps[event.step].outage, event.outage)
        case j.Erased():
            steps[event.step].erased, steps[event.step].in_this_run = event, True
        case j.Challenged():
            steps[event.step].seed = event.seed
        case j.Compared():
            steps[event.step].compared = event


def _fill(progress: Progress, event: j.Filling | j.Filled | j.Reported) -> None:
    match event:
        case j.Filling():
            progress.fills[event.fill] = progress.fills.get(event.fill, 0) + 1
            progress.filled.pop(event.fill, None)
        case j.Filled():
            progress.filled[event.fill] = event
        case j.Reported():
            progress.filled.clear()  # what was found may lie in free blocks: the next run fills them again


def _begin(progress: Progress) -> None:
    """Forget what a new run must see with its own eyes: identities, gates, holds, bad findings.

    A step whose comparison failed is done again from its beginning: erasing twice is harmless,
    and a place that could not be read may be readable now. Every verification is taken again: the
    run that certifies is the run that looked.
    """
    progress.started = True
    progress.preflighted.clear()
    progress.passed.clear()
    progress.unheld = False
    for step in progress.steps.values():
        if step.compared is not None and not clean(step.compared):
            step.compared = step.erased = step.cursor = None
            step.failed = ()
        step.seed, step.in_this_run = "", False
    progress.verified.clear()


@dataclass(frozen=True)
class Preflight:
    """Open the target and compare it with the plan."""

    target: PlannedTarget


@dataclass(frozen=True)
class PassGate:
    """Ask a gate of the plan whether the job may go on."""

    gate: AnyGate


@dataclass(frozen=True)
class AskHolds:
    """Ask every hold plugin."""


@dataclass(frozen=True)
class Archive:
    """Write the target's archive."""

    target: PlannedTarget


@dataclass(frozen=True)
class Control:
    """Sample values and prove that the scanner sees them."""

    target: PlannedTarget


@dataclass(frozen=True)
class Erase:
    """Run a step from its last cursor."""

    step: Step
    after: Cursor | None


@dataclass(frozen=True)
class Challenge:
    """Draw which places of a step are read back: nobody can have known them while it was erased."""

    step: Step


@dataclass(frozen=True)
class Compare:
    """Read a step's result back."""

    step: Step


@dataclass(frozen=True)
class Fill:
    """Overwrite the free space of a file system, for the `run`th time, and read it back."""

    fill: PlannedFill
    run: int


@dataclass(frozen=True)
class Verify:
    """Look everywhere once more."""

    target: PlannedTarget


@dataclass(frozen=True)
class Report:
    """Residue was found: write the report."""


@dataclass(frozen=True)
class EraseKey:
    """Erase the key of the archives' tokens."""


@dataclass(frozen=True)
class Certify:
    """Write the certificate."""


Action: TypeAlias = (
    Preflight
    | PassGate
    | AskHolds
    | Archive
    | Control
    | Erase
    | Challenge
    | Compare
    | Fill
    | Verify
    | Report
    | EraseKey
    | Certify
)

OnDevice: TypeAlias = Erase | Challenge | Compare | Verify  # on several devices at the same time


def next_action(plan: Plan, progress: Progress) -> Action | None:
    """Return the first thing that has no entry; None when the job is certified."""
    if progress.certified is not None:
        return None
    return (
        _before(plan, progress) or _steps(plan, progress) or _fills(plan, progress) or _after(plan, progress)
    )


def at_once(plan: Plan, progress: Progress, first: Action) -> tuple[OnDevice, ...]:
    """Return `first` and what other devices wait for, to be done at the same time; () if it is done alone.

    A technique says whether its targets are devices of their own (`Technique.own_device`): none of
    them waits for another one's bytes. Everything else is done alone.
    """
    devices = [t for t in plan.targets if technique(t.technique).own_device]
    match first:
        case Erase(step) | Challenge(step) | Compare(step) if technique(step.technique).own_device:
            found = (_next_of(target, plan, progress) for target in devices)
            several: list[OnDevice] = [action for action in found if action is not None]
        case Verify(target) if target in devices:
            several = [Verify(t) for t in devices if t.id not in progress.verified]
        case _:
            return ()
    return tuple(several) if len(several) > 1 else ()


def _next_of(target: PlannedTarget, plan: Plan, progress: Progress) -> Erase | Challenge | Compare | None:
    """Return what a device waits for; None when it waits for nothing, or for the report of what was found."""
    own = (_of_step(plan, s, progress.step(s)) for s in plan.steps if s.target == target.id)
    action = next((action for action in own if action is not None), None)
    return action if isinstance(action, Erase | Challenge | Compare) else None


def _before(plan: Plan, progress: Progress) -> Action | None:
    for target in plan.targets:
        if target.id not in progress.preflighted:
            return Preflight(target)
    if (gate := _closed(plan, progress, after_archive=False)) is not None:
        return PassGate(gate)
    if not progress.unheld:
        return AskHolds()
    for target in plan.targets:
        wanted = {j.package_of(target.id, part) for part in parts_of(target.target)}
        if not wanted <= progress.archived.keys():
            return Archive(target)
    if (gate := _closed(plan, progress, after_archive=True)) is not None:
        return PassGate(gate)
    for target in plan.targets:
        if target.id not in progress.controlled:
            return Control(target)
    return None


def _closed(plan: Plan, progress: Progress, *, after_archive: bool) -> AnyGate | None:
    """Return the first gate that has not let this run through."""
    gates = (g for g in plan.gates if g.after_archive == after_archive)
    return next((g for g in gates if g.name not in progress.passed), None)


def _steps(plan: Plan, progress: Progress) -> Action | None:
    actions = (_of_step(plan, step, progress.step(step)) for step in plan.steps)
    return next((action for action in actions if action is not None), None)


def _of_step(plan: Plan, step: Step, state: StepProgress) -> Erase | Challenge | Compare | Report | None:
    if step.of_each_run and not state.in_this_run:
        return Erase(step, None)
    if state.erased is None:
        return Erase(step, state.cursor)
    if step.reads_back:
        if state.compared is None:
            sampled = any(t.id == step.target and t.sampling.mode == "sample" for t in plan.targets)
            drawn = state.seed or step.at_markers  # the plan names the markers: there is nothing to draw
            return Challenge(step) if sampled and not drawn else Compare(step)
        if not clean(state.compared):
            return Report()
    return None


def _fills(plan: Plan, progress: Progress) -> Action | None:
    for fill in plan.free_space:
        filled = progress.filled.get(fill.id)
        if filled is None:
            return Fill(fill, progress.fills.get(fill.id, 0) + 1)
        if filled.mismatches:
            return Report()
    return None


def _after(plan: Plan, progress: Progress) -> Action:
    for target in plan.targets:
        if target.id not in progress.verified:
            return Verify(target)
    if all(settled(v) for v in progress.verified.values()):
        archives = any(target.target.archive for target in plan.targets)
        return EraseKey() if archives and not progress.key_erased else Certify()
    return Report()
