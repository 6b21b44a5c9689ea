"""Judge whether what was archived keeps the planned limit of re-identification. Pure."""

from fractions import Fraction

from deleatur.documents.job import RiskLimit
from deleatur.documents.journal import ArchivedRows


def holds(limit: RiskLimit | None, written: ArchivedRows) -> bool:
    """Say whether the numbers of a table that was written are within its limit."""
    reached = written.risk
    if limit is None or reached is None:
        return limit is None and reached is None
    return (
        reached.k >= limit.k
        and (limit.sensitive is None) == (reached.l is None)
        and (limit.l is None or (reached.l or 0) >= limit.l)
        and reached.suppressed <= Fraction(limit.suppress) * written.rows
        and reached.rungs <= len(limit.ladder)
    )
