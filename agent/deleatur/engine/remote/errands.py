"""Plan and run a job on another host, and fetch what it wrote: checked here before it counts here.

Rules: people approve the plan that was fetched, with keys that stay here; what was fetched once is
never replaced; a certificate is under its name only after it verified here.
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import deleatur
from deleatur.documents import errand
from deleatur.documents.codec import MAX_PLAN
from deleatur.documents.decode import decode_plan
from deleatur.documents.plan import Plan, PublicKey
from deleatur.engine.directory import MAX_APPROVAL, JobDirectory, sync_directory
from deleatur.engine.jobs import Approved, read_plan, require_same_job
from deleatur.engine.reading import decoding
from deleatur.engine.remote.archives import ArchivesFetched
from deleatur.engine.remote.far import Far, error_of
from deleatur.engine.remote.mirror import Mirror
from deleatur.engine.remote.serving import software
from deleatur.errors import Failed, Invalid, Refused, Residue, Transient
from deleatur.judge import fold
from deleatur.judge.fingerprint import key_id
from deleatur.trust.approval import require_planner
from deleatur.trust.dsse import MAX_ENVELOPE
from deleatur.trust.folder import ENVELOPE
from deleatur.trust.verification import verify

POLL = 1.0  # seconds between two looks
_MAX_REPORT = 256 << 20  # bytes of a report of residue
_MAX_REPORTS = 100  # a run makes one at most
_FETCHED = ".certificate.fetched"


@dataclass(frozen=True)
class Errand:
    """A job here, the far end where it is done, and the key that signs there."""

    directory: JobDirectory
    far: Far
    signer: PublicKey
    passphrase: Callable[[], bytes]  # of the agent's key there; asked for only if work is begun
    told: Callable[[str], None]
    poll: float = POLL

    def plan(self) -> Approved:
        """Let the far end look at its targets and write the plan; fetch and check it.

        Raises:
            Refused: a plan is here already, or the far end refuses, or gives a plan of something else.
        """
        if self.directory.plan.exists():
            raise Refused(f"{self.directory.path} has a plan already; a new plan needs a new job directory")
        job = self.directory.read_job()
        standing = self.far.give(self.directory.job.name, job)
        if not standing.plan:
            if not standing.running:
                self._start("plan")
            standing = self._ended()
            if not standing.plan:
                raise self._why(standing)
        signature = self.far.whole(self.directory.plan_signature.name, MAX_APPROVAL)
        content = self.far.whole(self.directory.plan.name, MAX_PLAN)
        with decoding(f"plan.json of {self.far.name}"):
            plan = decode_plan(content)
        self._require_own(plan, content, signature, job)
        self.directory.plan_signature.unlink(missing_ok=True)  # of an attempt that was cut short
        self.directory.write_once(self.directory.plan_signature, signature)
        self.directory.write_once(self.directory.plan, content)
        return Approved(plan, content)

    def _require_own(self, plan: Plan, content: bytes, signature: bytes, job: bytes) -> None:
        """Refuse a plan that another agent made, with other code, or of another job."""
        require_same_job(job, plan)
        if plan.planned_by.spki != self.signer.spki:
            raise Refused(
                f"the plan was made with {key_id(plan.planned_by)}, which is not `signer` of host.toml"
            )
        require_planner(plan, content, signature)
        if (plan.software.version, plan.software.record_digest) != (
            deleatur.__version__,
            software().digests[0],
        ):
            raise Refused(f"the plan on {self.far.name} was made by another deleatur; make a new job")

    def run(self) -> None:
        """Hand over the approvals, let the far end begin or go on, and follow it to its end."""
        approved = read_plan(self.directory)
        standing = self._of_same_plan(approved)
        for name, envelope in self.directory.read_approvals().items():
            self.far.give(f"approvals/{name}", envelope)
        if not standing.running and f"certificate/{ENVELOPE}" not in standing.files:
            self._start("run")
        self.follow()

    def follow(self) -> None:
        """Fetch the journal as it grows, and at the end the certificate.

        Raises:
            Residue: it was found there; the report is fetched.
            Transient: the work there ended without a word.
            Refused: what is shown does not follow from what was shown before.
            Invalid: the certificate does not verify; none is kept.
        """
        approved = read_plan(self.directory)
        self._of_same_plan(approved)
        mirror = Mirror(self.directory, approved.digest)
        try:
            standing = self._ended(mirror)
        finally:
            mirror.close()
        self._fetch_reports(standing, len(mirror.entries))
        if fold.fold(mirror.entries).certified is None:
            raise self._why(standing)
        self._fetch_certificate(standing, approved, mirror.size)

    def fetch(self) -> list[Path]:
        """Fetch the archives that the journal names, as far as it goes; return where they lie here.

        Raises:
            Refused: nothing was archived there, or what is given is not what the journal says.
        """
        approved = read_plan(self.directory)
        self._of_same_plan(approved)
        mirror = Mirror(self.directory, approved.digest)
        try:
            mirror.pull(self.far)
        finally:
            mirror.close()
        archived = [*fold.fold(mirror.entries).archived.values()]
        if not archived:
            raise Refused(f"the journal of {self.far.name} names no archive; there is nothing to fetch")
        coming = ArchivesFetched(self.directory, self.far, self.signer, approved.digest, self.told)
        return coming.fetch(archived)

    def _fetch_reports(self, standing: errand.Standing, entries: int) -> None:
        """Fetch the reports of residue; one is named by the entries of the journal before it.

        Raises:
            Refused: there are more, or later ones, than the journal has entries.
        """
        reports = [name for name in standing.files if name.startswith("residue-")]
        if len(reports) > _MAX_REPORTS or any(_after(name) > entries for name in reports):
            raise Refused(f"{self.far.name} offers reports that do not fit its journal; they are not taken")
        for name in reports:
            if not (self.directory.path / name).exists():
                self.directory.write_once(self.directory.path / name, self.far.whole(name, _MAX_REPORT))

    def _of_same_plan(self, approved: Approved) -> errand.Standing:
        """Ask how far the job is.

        Raises:
            Refused: another plan lies there, or none.
        """
        standing = self.far.look()
        if standing.plan != approved.digest:
            raise Refused(f"the plan on {self.far.name} is not the one that is here; make a new job")
        return standing

    def _start(self, work: errand.Work) -> None:
        self.far.start(work, secrets.token_hex(16), self.passphrase())

    def _ended(self, mirror: Mirror | None = None) -> errand.Standing:
        """Return how it stands when nothing works there any more; the journal is fetched until then."""
        said = ""
        while True:
            standing = self.far.look()
            if mirror is not None and (new := mirror.pull(self.far)):
                last = new[-1].event.__struct_config__.tag
                if last != said:
                    self.told(f"{self.far.name}: entry {new[-1].n}: {last}")
                said = str(last)
            if not standing.running:
                return standing
            time.sleep(self.poll)

    def _why(self, standing: errand.Standing) -> Exception:
        ending = standing.ending
        if ending is None:
            return Transient(
                f"the work on {self.far.name} ended without a word: killed, or its host went down; "
                "`deleatur remote run` goes on with it"
            )
        if not ending.error:
            return Failed(f"the work on {self.far.name} ended well and left nothing; look at it there")
        error = error_of(self.far.name, ending.error, ending.text)
        if isinstance(error, Residue):
            return Residue(f"{error}; the report is fetched to {self.directory.path}")
        return error

    def _fetch_certificate(self, standing: errand.Standing, approved: Approved, journal: int) -> None:
        """Fetch the certificate under another name, verify it, and only then give it its own.

        Raises:
            Invalid: it does not verify, or is not of this plan and this journal.
        """
        if self.directory.certificate.exists():
            verify(self.directory.certificate, [self.signer], 1, None)
            return
        folder = self.directory.path / _FETCHED
        if os.path.lexists(folder):
            shutil.rmtree(folder)
        limits = {"certificate/plan.json": len(approved.content), "certificate/journal.jsonl": journal}
        left = MAX_ENVELOPE  # bytes of all the others together
        for name in standing.files:
            if name.startswith("certificate/"):
                content = self.far.whole(name, limits.get(name, left))
                left -= 0 if name in limits else len(content)
                _write(folder / name.removeprefix("certificate/"), content)
        self._require_same(folder, approved)
        folder.rename(self.directory.certificate)
        sync_directory(self.directory.path)

    def _require_same(self, folder: Path, approved: Approved) -> None:
        if not folder.is_dir():
            raise Failed(f"{self.far.name} says that it is certified, and gives no certificate")
        verify(folder, [self.signer], 1, None)
        if sha256((folder / "plan.json").read_bytes()).hexdigest() != approved.digest:
            raise Invalid(f"the certificate of {self.far.name} is of another plan than was approved here")
        if not _begins(self.directory.journal, folder / "journal.jsonl"):
            raise Invalid(f"the certificate of {self.far.name} rests on another journal than was followed")


def _after(report: str) -> int:
    return int(report.removeprefix("residue-").removesuffix(".json"))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _begins(whole: Path, part: Path) -> bool:
    """Say whether a file begins with another one."""
    with whole.open("rb") as long, part.open("rb") as short:
        while block := short.read(1 << 20):
            if long.read(len(block)) != block:
                return False
    return True
