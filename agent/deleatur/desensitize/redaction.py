"""Redact free text: what the detectors find, and the row's own values, give way to the name of their type.

`redacted_text` says what becomes of one text. `redacted` does the same to a column: texts that differ only
in names and numbers that every detector treats alike are looked at once.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deleatur.desensitize.arrow import arrow, with_nulls_of
from deleatur.desensitize.cmac import buffers_of
from deleatur.desensitize.cutting import Cuts, replaced, values_at, without_own
from deleatur.desensitize.own import MARK, NAMED, cut, marked, own_of
from deleatur.desensitize.remembering import remembered
from deleatur.desensitize.sketches import sketch
from deleatur.documents.detection import Detector

if TYPE_CHECKING:
    import numpy.typing as npt

    Truth = npt.NDArray[np.bool_]

_SUSPECT = (  # no find of any detector does without one of these
    r"[0-9@A-Z(\[{]|[^\x00-\x7f]|pass|pw|token|secret|key|kennwort"
)
_LOOKED = re.compile(_SUSPECT)
_DRAWN = re.compile("[0-9@]")  # whatever a sketch has drawn alike holds one of these
_PART = 8 << 20  # bytes of text at a time: the work on them takes about twenty times as many
_REMEMBERED = 1 << 14  # sketches
_ALIKE, _AS_IT_IS, _BY_ITSELF = range(3)  # what becomes of the texts with one sketch


def redacted_text(text: str, known: Sequence[str | None], detectors: Sequence[Detector] = ()) -> str:
    """Return a text, redacted; `known` are values of its row, `detectors` those of plugins.

    The row's own names that stand by themselves are cut out before anything else is looked for; a
    plugin's detector gets the text as it is.
    """
    from deleatur.desensitize.detectors import spans

    values = tuple(value for value in known if value)
    shown = text if detectors else cut(text, own_of(values))
    found = spans(shown, known=values, detectors=detectors)
    return _with([(s.start, s.end, f"[{s.type}]") for s in found], shown, named=shown is not text)


def redacted(texts: Any, known: Sequence[Any], detectors: Sequence[Detector] = ()) -> Any:
    """Return an Arrow array of texts, each as `redacted_text` gives it; `known` are columns of text."""
    pa = arrow()
    texts = texts.cast(pa.string())
    known = [column.cast(pa.string()) for column in known]
    _, offsets = buffers_of(texts)
    steps = np.arange(offsets[0] + _PART, offsets[-1], _PART)
    bounds = np.unique([0, *np.searchsorted(offsets, steps), len(texts)]).tolist()
    parts = [
        _redacted(texts[start:end].fill_null(""), [column[start:end] for column in known], detectors)
        for start, end in itertools.pairwise(bounds)
    ]
    return with_nulls_of(texts, pa.concat_arrays(parts)) if parts else texts


def _redacted(texts: Any, known: Sequence[Any], detectors: Sequence[Detector]) -> Any:
    pa = arrow()

    def alone(rows: Iterable[int]) -> list[str]:
        return [redacted_text(texts[row].as_py(), values_at(known, row), detectors) for row in rows]

    if detectors:
        return pa.array(alone(range(len(texts))), pa.string())
    cuts = without_own(texts, sketch(texts), known)
    return replaced(_looked(cuts, texts, known), cuts.single, alone(cuts.single.tolist()))


def _looked(cuts: Cuts, texts: Any, known: Sequence[Any]) -> Any:
    """Return what becomes of texts with these sketches."""
    from pyarrow import compute as pc

    pa = arrow()
    sketches, numbers = cuts.sketches, cuts.numbers
    looks = [_look(text) for text in sketches]
    same = pa.array([look if isinstance(look, str) else None for look in looks], pa.string())
    kinds = [
        _ALIKE if isinstance(look, str) else _AS_IT_IS if not look and MARK not in text else _BY_ITSELF
        for look, text in zip(looks, sketches, strict=True)
    ]
    kind = np.array(kinds)[numbers]
    result = same.take(pa.array(numbers))
    if (kind == _AS_IT_IS).any():
        result = pc.if_else(pa.array(kind == _AS_IT_IS), texts, result)
    rows = np.flatnonzero(kind == _BY_ITSELF)
    strings = zip(rows.tolist(), numbers[rows].tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True)
    changed = []
    for row, look, text in strings:
        shown = marked(text, own_of(values_at(known, row))) if MARK in sketches[look] else text
        changed.append(_with(looks[look], shown, named=shown is not text))
    return replaced(result, rows, changed)


_Spans = tuple[tuple[int, int, str], ...]


@remembered(_REMEMBERED)
def _look(text: str) -> str | _Spans:
    """Return what becomes of every text with this sketch; or, if that differs, where something is found."""
    from deleatur.desensitize.detectors import spans

    if not _LOOKED.search(text):
        return text
    found: _Spans = tuple((s.start, s.end, f"[{s.type}]") for s in spans(text))
    left, end = [], 0
    for start, stop, _ in found:
        left.append(text[end:start])
        end = stop
    left.append(text[end:])
    return found if any(map(_DRAWN.search, left)) else _with(found, text, named=True)


def _with(found: Iterable[tuple[int, int, str]], text: str, *, named: bool) -> str:
    """Return a text with names of types in place of what was found, and of cuts if it has any."""
    for start, end, name in reversed(list(found)):
        text = f"{text[:start]}{name}{text[end:]}"
    return text.replace(MARK, NAMED) if named else text
