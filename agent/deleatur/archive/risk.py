"""Keep the stated limit of re-identification in one archived table: measure, give way, count again.

The groups are counted in a reading of their own before anything is written. What is written is counted a
second time, from the Parquet files as they read back and by other means: a measure that errs seals nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec

from deleatur.archive import tables as forms
from deleatur.desensitize.risk import Classes, Failing, Risk, suppress
from deleatur.desensitize.rules import apply_rules
from deleatur.documents.job import Coarser, RiskLimit, Rule
from deleatur.documents.journal import ReachedRisk
from deleatur.errors import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


class ArchivedRisk(msgspec.Struct, frozen=True, kw_only=True):
    """One table in data/risk.json."""

    table: str
    limit: RiskLimit  # what the job asks for
    taken: tuple[Coarser, ...]  # rungs of the ladder
    suppressed: int  # rows
    before: Risk  # after the rules and the rungs, before any row was suppressed
    written: Risk  # as counted in the Parquet files


class Watch:
    """Measures one table first, then looks at each part of it."""

    def __init__(self, table: str, limit: RiskLimit, rules: Mapping[str, Rule], key: bytes) -> None:
        self.rules = dict(rules)  # with the rungs that were taken
        self._table, self._limit, self._key = table, limit, key
        self._taken: tuple[Coarser, ...] = ()
        self._failing: Failing | None = None
        self._before: Risk | None = None
        self._written = Classes(limit.quasi, limit.sensitive)
        self._again = _Recount(limit)
        self._suppressed = 0

    def measure(self, read: "Callable[[], Iterator[pa.Table]]") -> None:
        """Find the first rung of the ladder at which little enough must be suppressed.

        `read` yields the original records in parts, anew whenever it is called.

        Raises:
            Refused: the limit cannot be kept; in counts and column names.
        """
        for number in range(len(self._limit.ladder) + 1):
            self._climb(number)
            classes = Classes(self._limit.quasi, self._limit.sensitive)
            for part in read():
                self._count(classes, part)
            self._before = classes.risk(self._limit.k)
            self._failing = classes.failing(self._limit.k, self._limit.l)
            if self._failing is not None and self._failing.rows <= self._allowed(self._before.rows):
                return
        raise Refused(self._too_much())

    def suppress(self, part: "pa.Table") -> "pa.Table":
        """Return one part of the result as it may be written."""
        if self._failing is None:
            raise Failed(f"table {self._table}: written before it was measured; report this defect")
        result, rows = suppress(part, self._failing)
        self._suppressed += rows
        return result

    def see(self, parquet: bytes) -> None:
        """Count one Parquet file."""
        part = forms.from_parquet(parquet)
        self._written.add(part)
        self._again.add(part)

    def end(self) -> ArchivedRisk:
        """Return the report of what was written.

        Raises:
            Refused: the limit does not hold in what was written.
            Failed: the records are not those that were measured.
        """
        if self._failing is None or self._before is None or self._suppressed != self._failing.rows:
            raise Failed(f"table {self._table}: its records changed since they were measured; run again")
        written = self._written.risk(self._limit.k)
        if not self._again.holds() or (written.k, written.l) != self._again.counted():
            raise Refused(
                f"table {self._table}: counted again as written, its groups are not what was measured; "
                "nothing is sealed: report this defect"
            )
        return ArchivedRisk(
            table=self._table,
            limit=self._limit,
            taken=self._taken,
            suppressed=self._suppressed,
            before=self._before,
            written=written,
        )

    def _climb(self, rungs: int) -> None:
        self._taken = self._limit.ladder[:rungs]
        for rung in self._taken:
            self.rules[rung.column] = msgspec.structs.replace(self.rules[rung.column], to=rung.to)

    def _count(self, classes: Classes, part: "pa.Table") -> None:
        """Apply the rules of the columns that are measured, and no other, and count."""
        limit = self._limit
        named = {*limit.quasi, limit.sensitive}
        drop = Rule(rule="drop")
        rules = {column: rule if column in named else drop for column, rule in self.rules.items()}
        try:
            classes.add(apply_rules(part, rules, self._key))
        except Refused as refusal:
            raise Refused(f"table {self._table}, {refusal}") from None

    def _allowed(self, rows: int) -> int:
        return int(Fraction(self._limit.suppress) * rows)

    def _too_much(self) -> str:
        limit, before, failing = self._limit, self._before, self._failing
        wanted = f"k = {limit.k}" + (f" and l = {limit.l}" if limit.l is not None else "")
        rows = 0 if before is None else before.rows
        needs = "no suppression is enough" if failing is None else f"{failing.rows} would lose them"
        return (
            f"table {self._table}: {wanted} over {', '.join(limit.quasi)} does not hold within the limits: "
            f"of {rows} rows {needs}, {self._allowed(rows)} may; "
            "drop or generalise a column, add a rung, or allow more"
        )


def reached(report: ArchivedRisk) -> ReachedRisk:
    """Return what the journal says of it."""
    return ReachedRisk(
        k=report.written.k,
        l=report.written.l,
        suppressed=report.suppressed,
        rungs=len(report.taken),
    )


class _Recount:
    """A second count in plain Python, which shares no code with the first."""

    def __init__(self, limit: RiskLimit) -> None:
        self._limit = limit
        self._rows: dict[tuple[Any, ...], int] = defaultdict(int)
        self._values: dict[tuple[Any, ...], set[Any]] = defaultdict(set)

    def add(self, part: "pa.Table") -> None:
        groups = list(zip(*(part.column(name).to_pylist() for name in self._limit.quasi), strict=True))
        for group in groups:
            self._rows[group] += 1
        if self._limit.sensitive is not None:
            for group, value in zip(groups, part.column(self._limit.sensitive).to_pylist(), strict=True):
                self._values[group].add(value)

    def counted(self) -> tuple[int, int | None]:
        return min(self._rows.values()), min(map(len, self._values.values()), default=None)

    def holds(self) -> bool:
        k, diversity = self.counted()
        return k >= self._limit.k and (self._limit.l is None or (diversity or 0) >= self._limit.l)
