"""Cut the rows' own names out of a column of texts. Pure.

Names of two to four Chinese characters, and names in Latin letters, have a short road each, where they are
the only value known. A row in which more of its values may stand goes by itself, and stays single if it is
not certain that its sketch says all. tests/unit/test_redaction.py holds the roads against each other.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deleatur.desensitize.arrow import arrow
from deleatur.desensitize.detectors.known import COMPOUND
from deleatur.desensitize.own import MARK, all_alone, marked, mentions, own_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]
    Truth = npt.NDArray[np.bool_]

_CLASSES = (
    ("short", "^[\u4e00-\u9fff]{2}$"),
    ("long", "^[\u4e00-\u9fff]{3,4}$"),
    ("latin", "[A-Za-z]"),
)
_NO_CLASS, _LATIN = len(_CLASSES), frozenset({"latin"})


class Cuts(NamedTuple):
    """The sketches of a column with marks in place of own names, and the rows that stay single, in order."""

    drawn: Any  # encoded by a dictionary
    single: "Places"


def values_at(known: Sequence[Any], row: int) -> tuple[str, ...]:
    """Return the values that are known in a row."""
    return tuple(value for column in known if (value := column[row].as_py()))


def replaced(texts: Any, places: "Places", others: Sequence[str | None]) -> Any:
    """Return texts with others in some places, which are in order."""
    from pyarrow import compute as pc

    pa = arrow()
    if not len(places):
        return texts
    mask = np.zeros(len(texts), bool)
    mask[places] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(others, pa.string()))


def without_own(texts: Any, drawn: Any, known: Sequence[Any], single: "Truth") -> Cuts:
    """Cut own names out of `drawn`, the sketches of `texts`; rows that are `single` already stay so."""
    from pyarrow import compute as pc

    pa = arrow()
    if not known:
        return Cuts(drawn.dictionary_encode(), np.flatnonzero(single))
    left = truth(pc.is_valid(texts)) & ~single & _named(known, len(texts))
    done, classes = np.full(len(texts), None, object), np.full(len(texts), _NO_CLASS)
    for number, (script, pattern) in enumerate(_CLASSES if len(known) == 1 else ()):
        rows = np.flatnonzero(truth(pc.match_substring_regex(known[0], pattern)) & left)
        some = pa.array(rows)
        names, sketches = known[0].take(some).to_pylist(), drawn.take(some).to_pylist()
        if script == "latin":
            done[rows] = _latin(sketches, names)
            rest = rows[_open(done[rows])]
            some = pa.array(rest)
            done[rest] = _latin_in_texts(
                *(column.take(some).to_pylist() for column in (texts, drawn, known[0]))
            )
        else:
            done[rows] = _chinese(sketches, names)
        left[rows] = _open(done[rows])
        classes[rows] = np.where(left[rows], _NO_CLASS, number)
    rows = np.flatnonzero(left)
    done[rows] = [
        _one(texts[row].as_py(), drawn[row].as_py(), values_at(known, row)) for row in rows.tolist()
    ]
    single = single.copy()
    single[rows] = _open(done[rows])
    rest = np.flatnonzero(_open(done))
    done[rest] = drawn.take(pa.array(rest)).to_pylist()
    encoded = pa.array(done, pa.string()).dictionary_encode()
    return Cuts(encoded, np.flatnonzero(single | _beside(encoded, classes)))


def _beside(encoded: Any, classes: "Places") -> "Truth":
    """Say in which rows of the classes something beside a mark may be part of the name."""
    each = [
        [MARK in text and not all_alone(text, frozenset({script})) for script, _ in _CLASSES] + [False]
        for text in encoded.dictionary.to_pylist()
    ]
    nothing = [False] * (_NO_CLASS + 1)  # what NULL has
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    beside: Truth = np.array([*each, nothing])[indices, classes]
    return beside


def truth(array: Any) -> "Truth":
    """Return what holds as a numpy array; of NULL nothing holds."""
    holds: Truth = array.fill_null(False).to_numpy(zero_copy_only=False)
    return holds


def _named(known: Sequence[Any], rows: int) -> "Truth":
    from pyarrow import compute as pc

    named = np.zeros(rows, bool)
    for column in known:
        named |= truth(pc.not_equal(column, ""))
    return named


def _open(done: "npt.NDArray[np.object_]") -> "Truth":
    """Say which rows have no result yet."""
    return np.array([text is None for text in done], bool)


def _chinese(drawn: list[str], names: list[str]) -> list[str | None]:
    """Cut Chinese names out of sketches, which have the Chinese characters and spaces of their texts.

    None where more of the name may be there: the given name, or its surname before a space.
    """
    return [
        shown
        if (name[0] not in (shown := text.replace(name, MARK)) or not re.search(rf"{name[0]}\s", shown))
        and (len(name) == 2 or name[1:] not in shown)
        and name[:2] not in COMPOUND
        else None
        for text, name in zip(drawn, names, strict=True)
    ]


def _latin(drawn: list[str], names: list[str]) -> list[str | None]:
    """Cut names in Latin letters out of sketches without mail, which have the letters of their texts."""
    parts = _parts(names)
    lowered: dict[str, str] = {}
    shown: list[str | None] = []
    for sketch, name in zip(drawn, names, strict=True):
        likewise = sketch.replace(name, MARK)
        low = lowered.get(likewise)
        if low is None:
            low = lowered[likewise] = likewise.lower()
        if "@" in low:
            shown.append(None)
            continue
        for part in parts[name]:
            if part in low:
                shown.append(None)
                break
        else:
            shown.append(likewise)
    return shown


def _latin_in_texts(texts: list[str], drawn: list[str], names: list[str]) -> list[str | None]:
    """Cut names in Latin letters out of sketches; None where more of the name is in the text."""
    parts = _parts(names)
    shown: list[str | None] = []
    for text, sketch, name in zip(texts, drawn, names, strict=True):
        left, likewise = text.replace(name, MARK), sketch.replace(name, MARK)
        low = left.lower()
        clear = len(likewise) == len(left) and not any(part in low for part in parts[name])
        shown.append(likewise if clear else None)
    return shown


def _parts(names: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the parts of each name; of one that is no name in Latin letters, a part of every text."""
    owns = {name: own_of((name,)) for name in set(names)}
    sure = {name for name, own in owns.items() if own.names == (name,) and own.scripts == _LATIN}
    return {name: own.parts if name in sure else ("",) for name, own in owns.items()}


def _one(text: str, drawn: str, values: tuple[str, ...]) -> str | None:
    """Return a sketch after cuts; None if it does not say for certain what is in the text."""
    own = own_of(values)
    if not mentions(text, own):
        return drawn
    shown, likewise = marked(text, own), marked(drawn, own)
    differs = shown is text or len(shown) != len(likewise) or mentions(shown, own)
    return None if differs or not all_alone(likewise, own.scripts) else likewise
