"""Which rows of each table go, as one clause of SQL: every selection minus every hold. Pure.

Rule kept: a row that a selection says NULL about stays, and so does one that a hold is true for.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from deleatur.documents.job import Condition, Target
from deleatur.errors import Refused


class Chosen(NamedTuple):
    """The rows of one table: `clause` is true for exactly those that go, `held` for those kept back."""

    table: str
    clause: str
    held: tuple[tuple[str, str], ...]  # hold id, clause


def chosen_rows(
    target: Target, clause_of: Callable[[str, Sequence[Condition]], tuple[str, str]]
) -> Iterator[Chosen]:
    """Yield what goes of each table, by name.

    Args:
        target: selects and holds.
        clause_of: returns a table's name as the schema writes it, and the clause of conditions on it.

    Raises:
        Refused: a hold names a table from which nothing is selected.
    """
    selected: dict[str, list[str]] = {}
    for selection in target.select:
        name, clause = clause_of(selection.table, selection.where)
        selected.setdefault(name, []).append(clause)
    held: dict[str, list[tuple[str, str]]] = {}
    for hold in target.hold:
        name, clause = clause_of(hold.table, hold.where)
        if name not in selected:
            raise idle_hold(hold.id, name)
        held.setdefault(name, []).append((hold.id, clause))
    for name, clauses in sorted(selected.items()):
        asked = f"({' OR '.join(f'({clause})' for clause in clauses)}) IS TRUE"
        kept = "".join(f" AND ({clause}) IS NOT TRUE" for _, clause in held.get(name, ()))
        holds = tuple((id_, f"({asked} AND ({clause}) IS TRUE)") for id_, clause in held.get(name, ()))
        yield Chosen(name, f"({asked}{kept})", holds)


def idle_hold(hold: str, table: str) -> Refused:
    """Return the refusal of a hold that nothing depends on: whoever wrote it meant other rows."""
    return Refused(
        f"hold {hold!r} names {table[:80]!r}, from which nothing is selected, so it holds nothing; "
        "name the rows that must stay in each selected table"
    )


def refuse_forgotten_columns(table: str, columns: Sequence[str], ruled: Sequence[str]) -> None:
    """Refuse an archive that is silent about a column.

    Raises:
        Refused: a column without a rule.
    """
    if silent := [column for column in columns if column not in ruled]:
        raise Refused(f"the archive of {table!r} has no rule for {', '.join(silent)[:200]}")
