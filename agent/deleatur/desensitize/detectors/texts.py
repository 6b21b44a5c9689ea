"""Find personal data in one text: the row's own values first, then shapes, then names."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from deleatur.desensitize.detectors import (
    addresses,
    codes,
    credentials,
    dates,
    health,
    known,
    names,
    numbers,
    online,
    phones,
)
from deleatur.desensitize.detectors.merging import settle
from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Detector, Span
from deleatur.errors import Failed

_Find = Callable[[Reading], Iterable[Span]]
_OF_DIGITS: tuple[_Find, ...] = (
    numbers.find,
    codes.find,
    phones.find,
    health.find,
)  # nothing of theirs is without a digit
_OTHERS: tuple[_Find, ...] = (online.find, credentials.find, dates.find, addresses.find, names.find)
_DIGIT = re.compile("[0-9]")


def spans(text: str, *, known: Sequence[str] = (), detectors: Sequence[Detector] = ()) -> list[Span]:
    """Return where personal data stands in `text`, in order and without overlap.

    `known` are values of the same row (name, telephone number, address …): each is found wherever
    it stands, in other spellings too. `detectors` are those of plugins.

    Raises:
        Unsupported: python-stdnum or rjieba is not installed (the extra `detect`).
        Failed: a plugin's detector gave a span outside the text or of another type.
    """
    reading = Reading(text)
    candidates = _shaped(reading)
    candidates += find_known(reading, known)
    found = [Span(*reading.original(s.start, s.end), s.type, s.checked, s.confidence) for s in candidates]
    found += _of_plugins(text, detectors)
    return settle(found)


def _shaped(reading: Reading) -> list[Span]:
    """Return what has a form of its own, overlapping candidates too."""
    finders = _OF_DIGITS + _OTHERS if _DIGIT.search(reading.text) else _OTHERS
    return [span for find in finders for span in find(reading)]


def find_known(reading: Reading, values: Sequence[str]) -> Iterator[Span]:
    """Yield where the row's own values stand."""
    for value in values:
        yield from known.find(reading, value, type_of(value))


def type_of(value: str) -> str:
    """Return the type that a whole value has; `other` if it has no form of its own."""
    reading = Reading(value.strip())
    size = len(reading.text)
    if not any(c.isdigit() or c == "@" for c in reading.text):
        return names.type_of(reading.text)
    candidates = _shaped(reading)
    whole = [s for s in settle(candidates) if s.end - s.start >= 0.8 * size]
    return whole[0].type if whole else names.type_of(reading.text)


def _of_plugins(text: str, detectors: Sequence[Detector]) -> Iterator[Span]:
    for detector in detectors:
        for span in detector.find(text):
            if span.type != detector.type or not 0 <= span.start < span.end <= len(text):
                raise Failed(
                    f"the detector for {detector.type} gave a span outside the text, or of another type"
                )
            yield span
