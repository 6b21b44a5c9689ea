"""Put what holds in every job into the targets of one: open matters and legal holds. Pure.

Rules kept: silence is refused: a selected table that a matter of its store neither holds nor spares
stops the plan, and so does a hold that cannot be told by rows; where a value is missing, a matter is open.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from deleatur.documents.hold import Hold
from deleatur.documents.job import Condition, HeldRows, Target, Within
from deleatur.documents.policy import Matter, Reach
from deleatur.judge.holds import concerns_place, held_tables, same_table


@dataclass(frozen=True)
class Widened:
    """The rows that a target must keep besides its own holds, and every reason why that does not do."""

    rows: tuple[HeldRows, ...]
    reasons: tuple[str, ...]


def matters_of(
    target: Target, path: str, matters: Sequence[Matter], resolved: Mapping[str, str | None]
) -> Widened:
    """Return the rows of a target that open matters hold.

    Args:
        target: with an absolute URL.
        path: its path with links resolved; "" where it is none of this host.
        matters: of the operator's policies.
        resolved: the place of each matter with links resolved; None where it is no path of this host.
    """
    rows: list[HeldRows] = []
    reasons: list[str] = []
    for matter in matters:
        if not concerns_place(matter.place, resolved[matter.place], target.url, path):
            continue
        if not target.select:
            reasons.append(
                f"{target.id}: goes as a whole, and {matter.id} could not hold a row of it; select rows"
            )
        for table in dict.fromkeys(s.table for s in target.select):
            found = [*_held(matter, table)]
            if not found and not any(same_table(table, spared) for spared in matter.spares):
                reasons.append(
                    f"{target.id}: the matter {matter.id} does not say how it reaches {table}; "
                    "name it under holds or spares"
                )
            rows += found
    return Widened(tuple(rows), tuple(reasons))


def _held(matter: Matter, table: str) -> Iterator[HeldRows]:
    """Yield the rows of a table that a matter holds, also where a missing value leaves it in doubt."""
    for number, reach in enumerate(matter.holds, 1):
        if same_table(reach.table, table):
            for case, where in enumerate(_cases(matter.where)):
                doubt = "; in doubt, for a value is missing" if case else ""
                yield HeldRows(
                    id=f"{matter.id[:50]}.{number}{f'.null{case}' if case else ''}",
                    reason=f"{matter.matter}, as {matter.department} says{doubt}",
                    table=table,
                    where=_where(matter.table, where, reach),
                )


def _cases(where: Sequence[Condition]) -> Iterator[tuple[Condition, ...]]:
    """Yield conditions of which a row meets one set if and only if none of `where` is false for it.

    SQL's comparison with NULL is neither true nor false: each condition is met, or its value missing.
    """
    ways = [
        (c,) if c.operator in ("is-null", "not-null") else (c, Condition(column=c.column, operator="is-null"))
        for c in where
    ]
    yield from product(*ways)


def _where(table: str, where: tuple[Condition, ...], reach: Reach) -> tuple[Condition, ...]:
    if reach.column is None or reach.by is None:
        return where
    within = Within(table=table, column=reach.by, where=where)
    return (Condition(column=reach.column, operator="within", within=within),)


def rows_of(hold: Hold, where: tuple[Condition, ...], target: Target) -> Iterator[HeldRows]:
    """Yield what a hold on rows keeps in each selected table that it may mean.

    `where` are its conditions with absolute names of the values files.
    """
    tables = held_tables(hold.scope, target)
    for number, table in enumerate(tables, 1):
        yield HeldRows(
            id=hold.id if len(tables) == 1 else f"{hold.id[:60]}.{number}",
            reason=f"{hold.matter}: {hold.authority}, {hold.case}"[:4096],
            table=table,
            where=where,
        )
