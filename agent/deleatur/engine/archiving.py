"""The archives of a job: written before anything is erased, and looked at again before every erase.

Rules kept: an archive of an earlier run is taken over only if the agent signed that it is just
that; no table is missing or empty; no archive, no erase.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from deleatur.archive.package import check_archive, write_archive
from deleatur.documents import journal as j
from deleatur.documents.job import parts_of, tables_of
from deleatur.documents.place import ArchivePart, Locator
from deleatur.documents.plan import Plan, PlannedTarget
from deleatur.engine.crew import Crew
from deleatur.engine.directory import JobDirectory
from deleatur.engine.keeping import vouched, write_beside
from deleatur.engine.opening import make_token_key
from deleatur.engine.progress import Progress, ToldTables
from deleatur.engine.spool import Spool
from deleatur.errors import Refused
from deleatur.trust.custody import challenge_of


class Archives:
    """The archives of one run of one job."""

    def __init__(self, directory: JobDirectory, plan: Plan, plan_digest: str, crew: Crew) -> None:
        self._directory = directory
        self._plan = plan
        self._plan_digest = plan_digest
        self._crew = crew
        self.earlier: dict[str, j.Archived] = {}  # what earlier runs archived, by package

    def write(self, target: PlannedTarget, tell: Progress) -> Iterator[j.Archived]:
        """Write every part of the target's archive, then yield them one by one.

        Raises:
            Refused: nobody is named to keep it, the target is gone, or nothing is in a table.
        """
        custody = self._plan.custody
        if custody is None:
            raise Refused(f"{target.id}: has records to archive and the plan names no custodians")
        with self._crew.opener.fresh(target) as (backend, look):
            if look is None:
                raise Refused(f"{target.id}: is gone, so nothing can be archived")
            tables = {a.table: partial(backend.records, a.table) for a in target.target.archive}
            readings: dict[str, int] = {}
            written = [
                write_archive(
                    self._directory.archive,
                    target,
                    _told(target, part, tell).around(tables),
                    custody,
                    job=self._plan.job,
                    plan_digest=self._plan_digest,
                    key=make_token_key(self._directory),
                    challenge=challenge_of(
                        self._crew.opener.key, self._plan_digest, j.package_of(target.id, part)
                    ),
                    earlier=self._taken_over(j.package_of(target.id, part)),
                    detectors=self._crew.hooks.detectors(),
                    part=part,
                    readings=readings,
                )
                for part in parts_of(target.target)
            ]
        for archived in written:
            _check_tables(archived, target)
            write_beside(
                self._directory.archive,
                archived,
                custody,
                job=self._plan.job,
                plan_digest=self._plan_digest,
                key=self._crew.keys[0],
            )
            yield archived

    def keep(self, archived: j.Archived, spool: Spool) -> None:
        """Put the digest of what was written into the spool, where no one can write it anew."""
        mark = _mark_of(archived.package)
        spool.append(mark, [(Locator(unit=mark), archived.sha256.encode())])
        spool.seal(mark)

    def check(self, archives: Mapping[str, j.Archived], spool: Spool) -> None:
        """No archive, no erase: what was written must still be there, unchanged.

        The journal alone does not say what was written: anybody who can write to it can write it
        anew. The spool says it too, under a key that is on no disk; if that key is lost with the
        samples, the certificate will not say "verified" anyway.

        Raises:
            Refused: an archive is missing or another one.
        """
        for package, archived in archives.items():
            check_archive(self._directory.archive / archived.file, archived)
            mark, target = _mark_of(package), archived.target
            written = [d for _, d in spool.read(mark)] if spool.sealed(mark) else []
            if spool.sealed(target) and written != [archived.sha256.encode()]:
                raise Refused(f"{target}: the journal names another archive than was written; make a new job")

    def _taken_over(self, package: str) -> j.Archived | None:
        """Return what an earlier run wrote as a package, if the agent signed that it is just that."""
        earlier = self.earlier.get(package)
        if earlier is None:
            return None
        told = vouched(self._directory.archive, earlier.file, self._crew.keys[0].public)
        if told is None or (told.plan, j.package_of(told.target, told.part)) != (self._plan_digest, package):
            return None
        same = (told.sha256, told.size, told.contents, told.tables)
        return earlier if same == (earlier.sha256, earlier.size, earlier.contents, earlier.tables) else None


def _told(target: PlannedTarget, part: ArchivePart, tell: Progress) -> ToldTables:
    names = [table.table for table in tables_of(target.target, part)]
    return ToldTables(tell, target.units, j.package_of(target.id, part), names)


def _check_tables(archived: j.Archived, target: PlannedTarget) -> None:
    wanted = {a.table for a in tables_of(target.target, archived.part)}
    empty = [t.table for t in archived.tables if not t.rows]
    if empty or {t.table for t in archived.tables} != wanted:
        raise Refused(f"{target.id}: nothing was archived from {', '.join(empty) or 'some tables'}")


def _mark_of(package: str) -> str:
    """Name the spool's record about a package, as no target can be named."""
    return f"archive of {package}"
