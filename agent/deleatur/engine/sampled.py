"""The values sampled from one target: drawn, kept in the spool, and read from it again.

Rules kept: a sample is no evidence where the storage holds nothing at a place that it just named; what also
stands in what must stay is not searched for; which values those are lies in the spool too, so that a search
can begin before the target is asked for anything.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from deleatur.backend import Backend
from deleatur.documents.job import conditions_of
from deleatur.documents.place import Locator
from deleatur.documents.plan import PlannedTarget
from deleatur.engine.spool import Spool
from deleatur.errors import Refused
from deleatur.sanitize.device import MEDIUM
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.sanitize.techniques import technique

EXCERPT = 4096  # bytes kept of one sampled place: one block, which no file system splits
_WORDS_OF = 512  # bytes of a sampled value: a few words of a long text are enough to find it by
_WORDS = "words of "  # how the name of a third one begins
_LEFT_OUT = "not searched of "  # how the name of a second sample begins: numbers, and no values


@dataclass
class Sample:
    """The values sampled from one target, ready to be searched."""

    places: list[Locator]
    needles: NeedleSet
    digests: list[bytes]  # of what stood at each place; b"": one byte only, again and again


def draw_sample(backend: Backend, planned: PlannedTarget, count: int) -> Iterator[tuple[Locator, bytes]]:
    """Yield places and an excerpt of what stands there; a place that a bad medium does not show is left out.

    Raises:
        Refused: a place that was just named holds nothing, so the backend's word is no evidence.
    """
    for place in backend.sample(count, bytes.fromhex(planned.sampling.seed)):
        try:
            content = backend.probe(place)
        except OSError as error:
            if technique(planned.technique).stays and error.errno in MEDIUM:
                continue
            raise
        if content is None:
            raise Refused(f"{planned.id}: a sampled place in {place.unit} cannot be read before the erase")
        yield place, content[:EXCERPT]


def recall(spool: Spool, planned: PlannedTarget) -> Sample | None:
    """Read a sealed sample back from the spool; None if it was lost with the spool's key."""
    if not spool.sealed(planned.id):
        return None
    pairs = list(spool.read(planned.id))
    needles = NeedleSet.of(v for _, v in pairs)
    return Sample([p for p, _ in pairs], needles, [digest_of(v) for _, v in pairs])


def digest_of(value: bytes) -> bytes:
    return hashlib.sha256(value).digest() if len({*value}) > 1 else b""


def shared(sample: Sample, backend: Backend, planned: PlannedTarget) -> frozenset[int]:
    """Return the numbers of the values that what must stay has too, or that the job names as a class."""
    return Scanner(sample.needles).search_apart(chain(backend.bystanders(), literals_of(planned))).seen


def keep_shared(spool: Spool, planned: PlannedTarget, numbers: Iterable[int]) -> None:
    """Keep beside a target's sample which of its values are not searched for."""
    mark = f"{_LEFT_OUT}{planned.id}"
    spool.append(mark, ((Locator(unit=mark, offset=number), b"") for number in sorted(numbers)))
    spool.seal(mark)


def recall_searched(spool: Spool, planned: PlannedTarget) -> NeedleSet | None:
    """Return the values to search for as the control had them, without a word of the target; None if lost."""
    sample, mark = recall(spool, planned), f"{_LEFT_OUT}{planned.id}"
    if sample is None or not spool.sealed(mark):
        return None
    return sample.needles.without([place.offset for place, _ in spool.read(mark)])


@dataclass
class Words:
    """The words by which indexes in the store hold sampled values, and nothing that must stay."""

    needles: NeedleSet
    digest: str  # keyed


def keep_words(spool: Spool, planned: PlannedTarget, backend: Backend) -> None:
    """Keep beside a target's sample the words of its values that belong to nothing that must stay.

    They are kept because afterwards no index has them that could be asked.
    """
    mark = f"{_WORDS}{planned.id}"
    words = {*backend.words([value[:_WORDS_OF] for _, value in spool.read(planned.id)])}
    for word in chain(backend.words([*literals_of(planned)]), backend.words_kept()) if words else ():
        words.discard(word)
    spool.append(mark, ((Locator(unit=mark, offset=n), word) for n, word in enumerate(sorted(words))))
    spool.seal(mark)


def recall_words(spool: Spool, planned: PlannedTarget, key: bytes) -> Words | None:
    """Read them back from the spool; None if none were looked for, or if they were lost."""
    mark = f"{_WORDS}{planned.id}"
    if not spool.sealed(mark):
        return None
    needles = NeedleSet.of_words(word for _, word in spool.read(mark))
    return Words(needles, needles.digest(key))


def literals_of(planned: PlannedTarget) -> frozenset[bytes]:
    """Return the text that the job's own conditions hold, such as the name of a country."""
    values = (v for c in conditions_of(planned.target) for v in (c.value, *(c.values or ())))
    return frozenset(v.encode() for v in values if isinstance(v, str))


def check_literals(planned: PlannedTarget, drawn: Iterable[tuple[Locator, bytes]]) -> None:
    """Refuse a literal that stands in one sampled place of a unit only: it names a person, not a class.

    Job and plan hold literals in clear for ever; what names a person comes from a values_from file.
    Counted in each unit apart, because a person's name stands in many tables, and in any case of
    letters, because a column's collation may fold it.

    Raises:
        Refused: a condition has such a literal.
    """
    literals = {_folded(literal) for literal in literals_of(planned)}
    folded = ((place.unit, _folded(value)) for place, value in drawn)
    found = Counter((unit, value) for unit, value in folded if value in literals)
    if 1 in found.values():
        raise Refused(
            f"{planned.id}: a value in the job's conditions stands in one place only and may name a person; "
            "make a new job that has it in a values_from file"
        )


def _folded(value: bytes) -> str:
    return value.decode("utf-8", "replace").strip().casefold()
