"""What became of the blocks in which files lay: overwritten in place, freed, not reached, or not told.

Pure. A file counts as overwritten in place only if it lies, after it was read back as overwritten, where
it lay when the plan was made, and nothing that no overwrite reaches stands between.
"""

from collections.abc import Iterator

from deleatur.documents import certificate as c
from deleatur.documents.journal import Lay
from deleatur.documents.plan import PlannedTarget
from deleatur.judge.sentences import limit_sentence

MOST_NAMED = 20  # files that a certificate names in a sentence of their own; the counts have all
MOST_LISTED = 1000  # and in a list: as many as the journal has of those that moved
# Old copies of the same bytes stand elsewhere, whatever an overwrite in place reaches.
_BESIDE = frozenset({"data-journal", "inline-data", "network-file-system", "unknown-file-system"})


def placement(planned: PlannedTarget, lay: Lay) -> c.Placement:
    """Return how many files are what, and which of them are not overwritten in place."""
    beside = bool(_BESIDE & {*planned.limits})
    return c.Placement(
        in_place=0 if beside else lay.in_place,
        freed=lay.moved,
        not_reached=lay.kept + (lay.in_place + lay.untold if beside else 0),
        not_told=0 if beside else lay.untold,
        freed_units=lay.moved_units,
        not_reached_units=tuple(kept.unit for kept in planned.kept[:MOST_LISTED]),
        bytes_on_device=lay.on_device,
    )


def limits_of_placement(planned: PlannedTarget, lay: Lay | None) -> Iterator[c.Sentence]:
    """Yield what was not overwritten, and who holds it."""
    for kept in planned.kept[:MOST_NAMED]:
        yield limit_sentence("shared-with", unit=kept.unit, by=kept.by)
    if len(planned.kept) > MOST_NAMED:
        yield limit_sentence("shared-with-more", files=len(planned.kept) - MOST_NAMED)
    if lay is not None and lay.moved:
        yield limit_sentence("moved-extents", files=lay.moved)


def doubts_of_placement(planned: PlannedTarget, lay: Lay | None) -> list[str]:
    """Name what a comparison does not say of files that told where they lie."""
    if not any(unit.lies for unit in planned.units):
        return []
    if lay is None:
        return ["was read back, and the journal does not say where the files lie now"]
    kept = {held.unit for held in planned.kept}
    filled = [u for u in planned.units if u.size and u.name not in kept]
    told = sum(1 for unit in filled if unit.lies)
    if (lay.in_place + lay.moved, lay.untold, lay.kept) != (told, len(filled) - told, len(kept)):
        return ["was read back, and the journal says of other files where they lie than were planned"]
    return []
