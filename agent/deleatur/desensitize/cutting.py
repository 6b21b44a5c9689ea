"""Cut the rows' own names out of a column of texts. Pure.

Names of two to four Chinese characters, and names in Latin letters, have a short road each, where they are
the only value known. A row in which more of its values may stand goes by itself, and stays single if it is
not certain that its sketch says all. tests/unit/test_redaction.py holds the roads against each other.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deleatur.desensitize.arrow import arrow
from deleatur.desensitize.cmac import buffers_of
from deleatur.desensitize.detectors.known import COMPOUND
from deleatur.desensitize.finding import LONGEST, SHORTEST, Found, Texts, Words, of_bytes, words_of
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
_LATIN_CLASS, _NO_CLASS, _LATIN = len(_CLASSES) - 1, len(_CLASSES), frozenset({"latin"})
_HAN_BYTES = 3  # of a Chinese character
_COMPOUND = [name.encode() for name in COMPOUND]
_NAMES = 1 << 17  # remembered
_NO_PART = (b"", 0)


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

    left = truth(pc.is_valid(texts)) & ~single & _named(known, len(texts))
    classes = np.full(len(texts), _NO_CLASS)
    if len(known) == 1 and left.any():
        for number, (_, pattern) in enumerate(_CLASSES):
            classes[left & truth(pc.match_substring_regex(known[0], pattern))] = number
        drawn, clear = _at_once(texts, drawn, known[0], classes)
        classes[~clear] = _NO_CLASS
        left &= ~clear
    rows = np.flatnonzero(left | single)
    one = [
        None if single[row] else _one(texts[row].as_py(), drawn[row].as_py(), values_at(known, row))
        for row in rows.tolist()
    ]
    encoded = replaced(drawn, rows, one).dictionary_encode()
    beside = _beside(encoded, classes)
    beside[rows] |= np.array([text is None for text in one], bool)
    return Cuts(encoded, np.flatnonzero(beside))


def _at_once(texts: Any, drawn: Any, names: Any, classes: "Places") -> tuple[Any, "Truth"]:
    """Cut the names of the classes out of sketches; say in which rows no more of them can be in the text.

    The other rows keep their sketches.
    """
    if not len(buffers_of(texts)[0]):
        return drawn, np.zeros(len(texts), bool)
    text, words = Texts.of(texts), words_of(names)
    latin, han = classes == _LATIN_CLASS, classes < _LATIN_CLASS
    found = text.find(words.only(latin | han))
    clear = (latin | han) & words.fit() & ~text.overlapping(found, words)
    clear &= ~_more_in_chinese(text, words.only(han), found)
    if latin.any():
        strings, some = (array.filter(arrow().array(latin)) for array in (texts, names))
        clear[latin] &= ~_more_in_latin(Texts.of(strings), some, text.count(found)[latin])
    sketches = Texts.of(drawn)
    clear[found.rows[~sketches.same(text, found, words)]] = False
    return sketches.cut(found.only(clear[found.rows]), words, MARK.encode()), clear


def _more_in_chinese(text: Texts, words: Words, found: Found) -> "Truth":
    """Say where more of a Chinese name may be: the given name, its first character before a space."""
    given = text.count(text.find(words.without(_HAN_BYTES)))
    more = (given > text.count(found)) & (words.lengths > 2 * _HAN_BYTES)
    more |= text.before_space(words) | words.begin(_COMPOUND)
    return more


def _more_in_latin(text: Texts, names: Any, cuts: "Places") -> "Truth":
    """Say where more of a name in Latin letters may be than its cuts: a part of it, in any case."""
    encoded = names.dictionary_encode()
    parts = [_parts(name) for name in encoded.dictionary.to_pylist()]
    which, counts = encoded.indices.to_numpy(), np.array([len(some) for some in parts])
    more: Truth = text.beyond() | (counts[which] == 0)
    flat = [*(part for some in parts for part in some), _NO_PART]
    words, inside = [word for word, _ in flat], np.array([count for _, count in flat])
    first = np.cumsum(counts) - counts
    lowered, rows = text.lowered(), np.arange(len(which))
    for number in range(counts.max()):
        some = counts[which[rows]] > number
        if 2 * some.sum() <= some.size:
            lowered, rows, some = lowered.only(some), rows[some], some[some]
        part = np.where(some, first[which[rows]] + number, len(flat) - 1)
        places = lowered.find(of_bytes(words, part))
        more[rows] |= lowered.count(places) != cuts[rows] * inside[part]
    return more


@lru_cache(_NAMES)
def _parts(name: str) -> tuple[tuple[bytes, int], ...]:
    """Return the parts of a name in Latin letters, and how often each is in it; none if one is not sure."""
    own = own_of((name,))
    parts = [part.encode() for part in own.parts]
    fit = all(SHORTEST <= len(part) <= LONGEST for part in parts)
    if own.names != (name,) or own.scripts != _LATIN or not fit:
        return ()
    low = name.lower().encode()
    return tuple((part, sum(low.startswith(part, place) for place in range(len(low)))) for part in parts)


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


def _one(text: str, drawn: str, values: tuple[str, ...]) -> str | None:
    """Return a sketch after cuts; None if it does not say for certain what is in the text."""
    own = own_of(values)
    if not mentions(text, own):
        return drawn
    shown, likewise = marked(text, own), marked(drawn, own)
    differs = shown is text or len(shown) != len(likewise) or mentions(shown, own)
    return None if differs or not all_alone(likewise, own.scripts) else likewise
