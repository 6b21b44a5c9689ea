"""Redact free text: what the detectors find, and the row's own values, give way to the name of their type.

`redacted_text` says what becomes of one text. `redacted` does the same to a column: texts that differ only
in names and numbers that every detector treats alike are looked at once.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from deleatur.desensitize.arrow import arrow
from deleatur.desensitize.own import MARK, NAMED, all_alone, cut, marked, mentions, own_of
from deleatur.desensitize.sketches import sketch
from deleatur.documents.detection import Detector

_SUSPECT = (  # no find of any detector does without one of these
    r"[0-9@A-Z(\[{]|[^\x00-\x7f]|pass|pw|token|secret|key|kennwort"
)
_LOOKED = re.compile(_SUSPECT)
_DRAWN = re.compile("[0-9@]")  # whatever a sketch has drawn alike holds one of these
_USUAL = (  # characters that `Reading` takes for the letters and digits that they are
    r"\x00-\x7e\x{a0}\x{c0}-\x{131}\x{134}-\x{13e}\x{141}-\x{148}\x{14a}-\x{17e}€–—‘’“”„…·\x{3000}-\x{3002}"
    r"《》「」『』【】\x{3041}-\x{3096}\x{30a1}-\x{30fa}\x{4e00}-\x{9fff}！（），．：；？～\x{1f300}-\x{1faff}"
)
_REMEMBERED = 1 << 14  # sketches


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
    strings: list[str | None] = texts.to_pylist()
    values = _values(known, len(strings))
    if detectors:
        each = [t and redacted_text(t, v, detectors) for t, v in zip(strings, values, strict=True)]
        return pa.array(each, pa.string())
    drawn = sketch(texts)
    cuts, single = _apart(texts, strings, drawn, values)
    whole = np.ones(len(strings), bool)
    whole[[*cuts, *single]] = False
    rows = np.concatenate([np.flatnonzero(whole), np.array([*cuts, *single], np.int64)])
    alike = pa.concat_arrays(
        [drawn.filter(pa.array(whole)), pa.array([a for _, a in cuts.values()], pa.string())]
    )
    shown = {place: text for place, (text, _) in enumerate(cuts.values(), start=int(whole.sum()))}
    result = _looked(alike, lambda place: shown.get(place) or strings[rows[place]] or "")
    alone = pa.array([redacted_text(strings[row] or "", values[row]) for row in single], pa.string())
    places = np.empty(len(strings), np.int64)
    places[rows] = np.arange(len(strings))
    return pa.concat_arrays([result, alone]).take(pa.array(places))


def _values(known: Sequence[Any], rows: int) -> list[tuple[str, ...]]:
    columns = [column.to_pylist() for column in known]
    if not columns:
        return [()] * rows
    return [row if all(row) else tuple(filter(None, row)) for row in zip(*columns, strict=True)]


def _apart(
    texts: Any, strings: list[str | None], drawn: Any, values: list[tuple[str, ...]]
) -> tuple[dict[int, tuple[str, str]], list[int]]:
    """Return the rows with cuts, each with its text and sketch after them, and the rows that stay single."""
    from pyarrow import compute as pc

    unusual = pc.match_substring_regex(texts, f"[^{_USUAL}]" if any(values) else MARK)
    single = pc.indices_nonzero(unusual).to_pylist()
    odd = set(single)
    cuts: dict[int, tuple[str, str]] = {}
    if not any(values):
        return cuts, single
    rows = zip(range(len(strings)), strings, drawn.to_pylist(), values, strict=True)
    for row, text, alike, own_values in rows:
        if text and own_values and row not in odd:
            own = own_of(own_values)
            if mentions(text, own):
                shown, likewise = marked(text, own), marked(alike, own)
                differs = shown is text or len(shown) != len(likewise) or mentions(shown, own)
                if differs or not all_alone(likewise, own.scripts):
                    single.append(row)
                else:
                    cuts[row] = shown, likewise
    return cuts, single


def _looked(alike: Any, text_of: Callable[[int], str]) -> Any:
    """Return what becomes of texts with these sketches; `text_of` gives the text at a place."""
    from pyarrow import compute as pc

    pa = arrow()
    encoded = alike.dictionary_encode()
    looks = [_look(text) for text in encoded.dictionary.to_pylist()]
    same = pa.array([look if isinstance(look, str) else None for look in looks], pa.string())
    result = same.take(encoded.indices)
    differs = np.array([*(not isinstance(look, str) for look in looks), False])
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    mask = differs[indices]
    changed = [
        _with(looks[indices[place]], text_of(int(place)), named=True) for place in np.flatnonzero(mask)
    ]
    return pc.replace_with_mask(result, pa.array(mask), pa.array(changed, pa.string())) if changed else result


_Spans = tuple[tuple[int, int, str], ...]


@lru_cache(_REMEMBERED)
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
