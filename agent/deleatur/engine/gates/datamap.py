"""The gate of the data map: the map is the one that was planned, closed, and still true of the targets."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from deleatur.desensitize.detectors.types import TYPES
from deleatur.documents.codec import read_limited
from deleatur.documents.datamap import MAX_DATAMAP
from deleatur.documents.gates import MapGate
from deleatur.documents.job import Job, Mapped
from deleatur.documents.journal import Passed
from deleatur.documents.place import Identity
from deleatur.documents.plan import Plan
from deleatur.documents.policy import Pack
from deleatur.engine.gates.context import Context
from deleatur.engine.mapping import attested, read_map, require_closed
from deleatur.engine.naming import columns_of, shown
from deleatur.engine.packs import read_policy, shipped
from deleatur.errors import Refused
from deleatur.holding import HeldTable
from deleatur.judge.mapped import Standing, map_gate, strangers


def plan_map(job: Job, said: Mapped, plan: Plan, context: Context) -> MapGate:
    """Return the gate of a job that rests on a data map.

    Raises:
        Refused: the map, the policies or the targets forbid it; all reasons in one line.
    """
    file = context.folder / said.file
    datamap = read_map(file)
    chosen = {t.id: replace(t.target, technique=t.technique) for t in plan.targets}
    return map_gate(
        replace(job, target=tuple(chosen[t.id] for t in job.target)),
        datamap,
        [*_standing(context)],
        _packs(said, context.folder),
        attested=attested(file, datamap),
        file=str(file),
        digest=_digest(file),
        on_date=context.clock().date(),
        levels={name: kind.level for name, kind in TYPES.items()},
    )


def packs_of(gate: MapGate, said: Mapped, folder: Path) -> tuple[Pack, ...]:
    """Return the policies that were asked when the plan was made.

    Raises:
        Refused: they are not here any more, or in another version.
    """
    packs = _packs(said, folder)
    if tuple(map(_name, packs)) != gate.packs:
        raise Refused(f"the policies here are not those of the plan, which were {', '.join(gate.packs)}")
    return packs


def pass_map(gate: MapGate, context: Context) -> Passed:
    """Let the job through if the map is the planned one, and still closed and true of what is untouched.

    Raises:
        Refused: it changed, an attestation is gone, or a target has what the map does not know.
    """
    file = Path(gate.file)
    digest = _digest(file)
    if digest != gate.digest:
        raise Refused(f"the data map {file} changed since the plan; plan again")
    if reasons := strangers(require_closed(file), [*_standing(context)]):
        raise Refused("; ".join(reasons))
    return Passed(gate=gate.name, digest=digest, counts=(("owners", gate.owners), ("people", gate.people)))


def _standing(context: Context) -> Iterator[Standing]:
    for planned in context.untouched:
        with context.opener.fresh(planned) as (backend, _):
            contents = backend.contents()
            identity = Identity(
                kind=contents.identity.kind,
                fields=tuple((shown(k), shown(v, 4096)) for k, v in contents.identity.fields),
            )
            tables = (held for held in contents.holdings if isinstance(held, HeldTable))
            columns = {shown(table.name): columns_of(table) for table in tables}
        yield Standing(planned.id, shown(planned.target.url, 4096), identity, columns)


def _packs(said: Mapped, folder: Path) -> tuple[Pack, ...]:
    return (*shipped(), *(read_policy(folder / name) for name in said.packs))


def _name(pack: Pack) -> str:
    return f"{pack.id} {pack.version}"


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(read_limited(file, MAX_DATAMAP)).hexdigest()
    except FileNotFoundError:
        raise Refused(f"the data map {file} is gone; put it back, or plan again") from None
