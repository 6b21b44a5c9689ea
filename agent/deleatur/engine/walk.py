"""The walk of a job from its approved plan to its certificate: the only room that orders effects.

One rule recovers everything: read the plan, fold the journal, do the first thing that has no
entry. Each effect's entry is on disk before the next effect begins.
"""

import hashlib
import os
import secrets
import sys
import traceback
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from threading import RLock

from msgspec.structs import replace

from deleatur.archive.memory import give_back_memory
from deleatur.documents import journal as j
from deleatur.documents.codec import encode_json
from deleatur.documents.job import parts_of
from deleatur.documents.place import Cursor, Step
from deleatur.documents.plan import Plan, PlannedFill, PlannedTarget
from deleatur.engine import looking
from deleatur.engine.archiving import Archives
from deleatur.engine.certifying import issue_certificate, own_certificate
from deleatur.engine.chronicle import Chronicle
from deleatur.engine.comparing import compare
from deleatur.engine.crew import Crew
from deleatur.engine.directory import JobDirectory
from deleatur.engine.filling import check_space, fill_space
from deleatur.engine.gates import Context, close_gate, pass_gate
from deleatur.engine.gates.holds import HoldWatch
from deleatur.engine.opening import identity_digest
from deleatur.engine.selftest import selftest
from deleatur.engine.spool import Spool, destroy_file
from deleatur.engine.together import perform_together, stopped_by_hand, waiting
from deleatur.errors import DeleaturError, Failed, Invalid, Refused, Residue
from deleatur.judge import fold as f
from deleatur.sanitize.heat import watched
from deleatur.sanitize.pace import kept


class Walk:
    """One run of one job. Made anew for every run; all that lasts is in the directory."""

    def __init__(self, directory: JobDirectory, plan: Plan, plan_bytes: bytes, crew: Crew) -> None:
        self.directory = directory
        self.plan = plan
        self.plan_bytes = plan_bytes
        self.plan_digest = hashlib.sha256(plan_bytes).hexdigest()
        self.crew = crew
        self.targets = {t.id: t for t in plan.targets}
        self.watch = HoldWatch(plan, crew.holds)
        self.archives = Archives(directory, plan, self.plan_digest, crew)
        self.found = looking.Findings()  # what this run's last scan with hits saw, for the residue report
        self._turn = RLock()  # of whoever writes to the journal, asks for holds or tells how far it is

    def run(self) -> None:
        """Go on to the certificate.

        Raises:
            Residue: erased data can still be read; `residue-N.json` says where.
            DeleaturError: anything else that stops the job; it can be resumed.
        """
        passed = selftest()
        try:
            self.chronicle = Chronicle(
                self.directory.journal, self.plan_digest, clock=self.crew.clock, told=self.crew.hooks.on_event
            )
        except OSError as error:
            raise _io_failed(error) from None
        self.progress = f.fold(self.chronicle.entries)
        try:
            with kept(self.crew.opener.pace):
                self._go(passed)
        except KeyboardInterrupt:
            self._stopped(stopped_by_hand())
        except DeleaturError as error:
            self._stopped(error)
        except OSError as error:
            self._stopped(_io_failed(error))
        except Exception as error:  # noqa: BLE001 - a defect of a backend must not reach the user raw
            self._stopped(
                Failed(f"{_where(error)} broke with {type(error).__name__}; report it, then resume")
            )
        finally:
            self.chronicle.close()

    def _stopped(self, error: DeleaturError) -> None:
        """Note why the run ends, if the journal still takes it, and raise."""
        try:
            self._note(j.Stopped(exit_code=error.exit_code, error=type(error).__name__))
        except (DeleaturError, OSError):
            raise error from None
        raise error

    def _note(self, event: j.AnyEvent) -> None:
        with self._turn:
            self.chronicle.append(event)
            f.advance(self.progress, event)

    def _tell(self, phase: str, target: str, done: int, total: int) -> None:
        """Tell how far the work is, and end it here if a person stopped the run."""
        if self.crew.halt.is_set():
            raise stopped_by_hand()
        with self._turn:
            self.crew.progress(phase, target, done, total)

    def _watched(self, target: PlannedTarget) -> AbstractContextManager[None]:
        """Have pauses of a device that is too hot be told, and end when a person stops the run."""

        def tell(spent: int, over: bool) -> None:
            self._tell("cool", target.id, spent, spent if over else 0)

        return watched(waiting(self.crew.halt), tell)

    def _go(self, passed: int) -> None:
        if self.progress.certified is not None or self.directory.certificate.exists():
            self._adopt_certificate()
        else:
            self._start(passed)
            try:
                done = [t for t in self.plan.targets if self.progress.done(self.plan, t.id)]
                self.in_memory = {t.id: self._look_into_memory(t) for t in done}  # before a target is opened
                while (action := f.next_action(self.plan, self.progress)) is not None:
                    give_back_memory()  # of the step before, or of whoever called
                    if several := f.at_once(self.plan, self.progress, action):
                        perform_together([partial(self._perform_on_one, a) for a in several], self.crew.halt)
                    else:
                        self._perform(action)
            finally:
                self.spool.close()
        self._destroy_secrets()

    def _start(self, passed: int) -> None:
        self._note(
            j.Started(
                schema="deleatur/journal/v1",
                plan=self.plan_digest,
                selftests=passed,
                resumed=self.progress.started,
                approved_by=self.crew.approved_by,
            )
        )
        opened = Spool.open(self.directory.spool, self.plan.id)
        self.spool = opened or Spool.create(self.directory.spool, self.plan.id)
        self._distrust()

    def _distrust(self) -> None:
        """Forget what an earlier run says it saw, as long as it can be seen again.

        The run that erases is the run that archived and sampled; the run that removes is the run
        that read back: a journal that was forged, or a file changed since, is not taken on trust.
        So is the run that certifies a device: one that lost its power may hold what it held before.
        """
        for target in self.plan.targets:
            if not self.progress.begun(self.plan, target.id):
                for package in [j.package_of(target.id, part) for part in parts_of(target.target)]:
                    if (archived := self.progress.archived.pop(package, None)) is not None:
                        self.archives.earlier[package] = archived
                self.progress.controlled.pop(target.id, None)
        for target in self.plan.targets:
            steps = [step for step in self.plan.steps if step.target == target.id]
            for number, step in enumerate(steps, 1):
                changed_since = any(self.progress.step(later).begun for later in steps[number:])
                if not changed_since and (step.stays or number < len(steps)):
                    self.progress.step(step).compared = None

    def _perform_on_one(self, action: f.OnDevice) -> None:
        """Perform an action on one of several devices; an error of the system says on which."""
        try:
            self._perform(action)
        except OSError as error:
            name = action.target.id if isinstance(action, f.Verify) else action.step.target
            raise Failed(f"{name}: {_io_failed(error)}") from None

    def _perform(self, action: f.Action) -> None:
        match action:
            case f.Preflight(target):
                self._preflight(target)
            case f.PassGate(gate):
                self._note(pass_gate(gate, self._context()))
            case f.AskHolds():
                self._note(j.Unheld(asked=self.crew.hooks.find_holds(self.plan)))
            case f.Archive(target):
                self._archive(target)
            case f.Control(target):
                self._note(
                    looking.control(self.crew.opener, target, self.plan.verification, self.spool, self._tell)
                )
            case f.Erase(step, after):
                self._erase(step, after)
            case f.Challenge(step):
                self._note(j.Challenged(step=step.id, seed=secrets.token_hex(32)))
            case f.Compare(step):
                self._compare(step)
            case f.Fill(fill, run):
                self._fill(fill, run)
            case f.Verify(target):
                self._verify(target)
            case f.Report():
                self._report()
            case f.EraseKey():
                self._erase_key()
            case f.Certify():
                self._certify()

    def _preflight(self, target: PlannedTarget) -> None:
        for fill in self.plan.free_space:
            check_space(fill)
        begun = self.progress.begun(self.plan, target.id)
        with self.crew.opener.fresh(target) as (_, look):
            if not begun:
                if look is None:
                    raise Refused(f"{target.id}: is gone, and this job did not erase it; plan again")
                looking.check_units(target, look)
            elif look is not None:
                looking.check_strangers(target, look)
            units = len(look.units) if look is not None else 0
            if look is not None and look.blockers:
                raise Refused("; ".join(f"{target.id}: {b}" for b in look.blockers))
        self._note(j.Preflighted(target=target.id, identity=identity_digest(target), units=units))

    def _archive(self, target: PlannedTarget) -> None:
        for archived in self.archives.write(target, self._tell):
            self.archives.keep(archived, self.spool)
            self._note(archived)

    def _check_archives(self) -> None:
        self.archives.check(self.progress.archived, self.spool)

    def _erase(self, step: Step, after: Cursor | None) -> None:
        target = self.targets[step.target]
        state = self.progress.step(step)
        with self._turn:
            self._check_archives()
            self._ask()
        done = after.done if after is not None else 0
        with self.crew.opener.fresh(target) as (backend, look), self._watched(target):
            if not self.progress.begun(self.plan, target.id):
                if look is None:
                    raise Refused(f"{target.id}: is gone, and this job did not erase it; plan again")
                looking.check_units(target, look)
            elif look is not None:
                looking.check_strangers(target, look)
            if not state.begun:
                self._note(j.Erasing(step=step.id))
            for cursor in backend.erase(step, after):
                _check_cursor(cursor, target)
                self._note(
                    j.Advanced(
                        step=step.id,
                        position=cursor.position,
                        done=cursor.done,
                        outage=cursor.outage,
                        failed=cursor.failed,
                        exchanges=cursor.exchanges,
                    )
                )
                done = cursor.done
                self._tell(step.action, target.id, done, target.size)
                self._ask_again()
        self._note(j.Erased(step=step.id, done=done))

    def _ask(self) -> None:
        """Ask every gate and every hold plugin, and enter that none objects."""
        self.watch.changed()
        for gate in self.plan.gates:
            self._note(pass_gate(gate, self._context()))
        self._note(j.Unheld(asked=self.crew.hooks.find_holds(self.plan)))

    def _ask_again(self) -> None:
        """Ask at a cursor whether a hold arrived: it stops the next batch."""
        with self._turn:
            if self.watch.changed():
                for gate in self.watch.gates:
                    self._note(pass_gate(gate, self._context()))
            self.crew.hooks.find_holds(self.plan)

    def _context(self) -> Context:
        untouched = tuple(t for t in self.plan.targets if not self.progress.begun(self.plan, t.id))
        unfinished = {s.target for s in self.plan.steps if self.progress.step(s).erased is None}
        return Context(
            self.directory.path,
            self.crew.clock,
            self.crew.opener,
            untouched,
            pending=tuple(t for t in self.plan.targets if t.id in unfinished),
            job=self.plan.job,
            holds=self.crew.holds,
            passed=tuple(e.event for e in self.chronicle.entries if isinstance(e.event, j.Passed)),
            agent=self.crew.keys[0].public,
            people=self.crew.people,
            signers=tuple(key.public for key in self.crew.keys),
            approved_by=self.crew.approved_by,
            plan_digest=self.plan_digest,
            archived=tuple(self.progress.archived.values()),
        )

    def _compare(self, step: Step) -> None:
        target = self.targets[step.target]
        wanted = self.plan.verification
        if self.plan.free_space:  # older copies may lie in free blocks until those are overwritten
            wanted = replace(wanted, device=False)
        state = self.progress.step(step)
        with self._watched(target):
            compared, found = compare(self.crew.opener, target, step, state, wanted, self.spool, self._tell)
        if found.places:
            self.found = found
        self._note(compared)

    def _fill(self, fill: PlannedFill, run: int) -> None:
        self._check_archives()
        self._ask()
        check_space(fill)
        self._note(j.Filling(fill=fill.id))
        self._note(fill_space(fill, self.plan.verification, run, self._tell))

    def _verify(self, target: PlannedTarget) -> None:
        controlled = self.progress.controlled[target.id]
        wanted = self.plan.verification
        left = next((s for s in self.plan.steps if s.target == target.id and s.stays), None)
        in_memory = self.in_memory.get(target.id) or self._look_into_memory(target)
        verified, found = looking.verify(
            self.crew.opener, target, controlled, wanted, self.spool, self._tell, left, in_memory
        )
        if found.places:
            self.found = found
        self._note(verified)

    def _look_into_memory(self, target: PlannedTarget) -> looking.Findings:
        controlled, wanted = self.progress.controlled[target.id], self.plan.verification
        key = self.crew.opener.key
        return looking.look_into_memory(target, controlled, wanted, self.spool, self._tell, key)

    def _report(self) -> None:
        """Write what was found and where, and end the run: residue never gets a certificate."""
        found = [
            e.event for e in self.chronicle.entries if isinstance(e.event, j.Compared | j.Filled | j.Verified)
        ]
        path = self.directory.report(len(self.chronicle.entries))
        report = {
            "schema": "deleatur/residue/v1",
            "plan": self.plan_digest,
            "findings": found,
            "places": [{"path": p.path, "offset": p.offset} for p in self.found.places],
        }
        content = encode_json(report)
        self.directory.write_once(path, content)
        self._note(j.Reported(sha256=hashlib.sha256(content).hexdigest()))
        raise Residue(f"erased data can still be read; {path} says through which surface")

    def _erase_key(self) -> None:
        """Erase the key of the archives' tokens, and look that no name leads to it."""
        destroy_file(self.directory.token_key)
        if os.path.lexists(self.directory.token_key):
            raise Failed(
                f"{self.directory.token_key.name} is still there after it was erased; look and resume"
            )
        self._note(j.KeyErased(key="tokens"))

    def _certify(self) -> None:
        self._check_archives()
        self._tell("certify", "", 0, 0)
        issue_certificate(self.directory, self.plan_bytes, self.crew.keys, self.crew.clock)
        self._adopt_certificate()

    def _adopt_certificate(self) -> None:
        """Verify the certificate that lies there, and enter it if it has no entry."""
        checked = own_certificate(self.directory, self.plan_bytes, self.crew.keys)
        if self.progress.certified is None:
            self._note(j.Certified(certificate=checked.certificate_id, sha256=checked.sha256))
        elif self.progress.certified.sha256 != checked.sha256:
            raise Invalid("the journal speaks of another certificate than the one in this job's directory")

    def _destroy_secrets(self) -> None:
        """Destroy the spool, its key, the digest key and what gates keep secret; harmless to do twice."""
        Spool.destroy_at(self.directory.spool, self.plan.id)
        destroy_file(self.directory.digest_key)
        for gate in self.plan.gates:
            close_gate(gate)


def _check_cursor(cursor: Cursor, target: PlannedTarget) -> None:
    if not (cursor.position.isascii() and cursor.position.isprintable() and len(cursor.position) <= 200):
        raise Failed(f"{target.id}: {target.plugin.distribution} yields cursors that may carry content")


def _io_failed(error: OSError) -> Failed:
    """Tell an error of the system by its text alone: its file name may be somebody's name."""
    return Failed(f"input or output failed: {error.strerror}; mend that and resume")


def _where(error: Exception) -> str:
    """Name file and line of a defect, never its message: that may quote data."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    return f"{Path(last.filename).name}:{last.lineno}" if last else sys.argv[0]
