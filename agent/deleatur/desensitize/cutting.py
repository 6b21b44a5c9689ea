"""Cut the rows' own names out of a column of texts. Pure.

Names of two to four Chinese characters, and names in Latin letters, have a short road each, where they are
the only value known. A row in which more of its values may stand goes by itself, and stays single if it is
not certain that its sketch says all. tests/unit/test_redaction.py holds the roads against each other.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deleatur.desensitize.arrow import arrow
from deleatur.desensitize.detectors.known import COMPOUND
from deleatur.desensitize.finding import Texts, words_of
from deleatur.desensitize.own import MARK, all_alone, marked, mentions, own_of
from deleatur.desensitize.remembering import remembered

if TYPE_CHECKING:
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]
    Truth = npt.NDArray[np.bool_]

_USUAL = (  # characters that `Reading` takes for the letters and digits that they are, and the mark
    r"\x00-\x7e\x{a0}\x{c0}-\x{131}\x{134}-\x{13e}\x{141}-\x{148}\x{14a}-\x{17e}€–—‘’“”„…·\x{3000}-\x{3002}"
    r"《》「」『』【】\x{3041}-\x{3096}\x{30a1}-\x{30fa}\x{4e00}-\x{9fff}！（），．：；？～\x{1f300}-\x{1faff}"
    f"{MARK}"
)
_SCRIPTS = ("short", "long", "latin")  # as `own_of` calls them, in the order of the classes
_SHORT, _LONG, _LATIN, _NONE = range(len(_SCRIPTS) + 1)
_LEAST_HAN, _MOST_HAN = 2, 4  # characters of a name
_BEFORE_SPACE = re.compile(r"[\u4e00-\u9fff](?=\s)")
_AT_ONCE = 8  # parts are looked for in a sketch in the time that one row takes
_NAMES, _TEXTS = 1 << 17, 1 << 14  # remembered


class Cuts(NamedTuple):
    """The sketches of a column with marks in place of own names, and the rows that stay single, in order."""

    sketches: list[str]
    numbers: "Places"  # of each row's sketch
    single: "Places"


class Names(NamedTuple):
    """A column of names: each different one and its class, and which of them each row has."""

    each: Any
    which: "Places"
    classes: "Places"
    points: "Places"  # of the Chinese characters with which each begins


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


def without_own(texts: Any, drawn: Any, known: Sequence[Any]) -> Cuts:
    """Cut own names out of `drawn`, the sketches of `texts`; nothing is NULL in either."""
    from pyarrow import compute as pc

    named = _named(known, len(texts))
    at_once = len(known) == 1 and named.any()
    classes, shown, cuts = np.full(len(texts), _NONE), drawn, np.zeros(len(texts), int)
    if at_once:
        names = _names(known[0])
        classes = names.classes[names.which]
        shown, cuts = _without_names(drawn, known[0], classes)
    encoded = shown.dictionary_encode()
    sketches, numbers = encoded.dictionary.to_pylist(), encoded.indices.to_numpy().copy()
    single = np.array([text.count(MARK) for text in sketches], int)[numbers] != cuts  # a mark of their own
    if named.any():
        single |= truth(pc.match_substring_regex(encoded.dictionary, f"[^{_USUAL}]"))[numbers]
    if at_once:
        latin, han = np.flatnonzero(classes == _LATIN), np.flatnonzero(classes < _LATIN)
        classes[_more_in_chinese(han, names, sketches, numbers)] = _NONE
        classes[[*_more_in_latin(latin, texts, names, sketches, numbers)]] = _NONE
    beside = [[MARK in text and not all_alone(text, frozenset({s})) for s in _SCRIPTS] for text in sketches]
    single |= np.array([[*some, False] for some in beside], bool)[numbers, classes]
    at_all = {text: number for number, text in enumerate(sketches)}
    for row in np.flatnonzero(named & ~single & (classes == _NONE)).tolist():
        one = _one(texts[row].as_py(), drawn[row].as_py(), values_at(known, row))
        single[row] = one is None
        if one is not None:
            numbers[row] = at_all.setdefault(one, len(at_all))
    return Cuts(list(at_all), numbers, np.flatnonzero(single))


def _names(names: Any) -> Names:
    """Return a column of names: the class of each is how it is written, if that is sure."""
    encoded = names.fill_null("").dictionary_encode()
    each = encoded.dictionary
    words = words_of(each)
    points = words.chinese(_MOST_HAN)
    written = (points > 0).sum(axis=1)
    han = (written >= _LEAST_HAN) & (words.lengths == written * len("王".encode()))
    classes: Places = np.where(han, np.where(written > _LEAST_HAN, _LONG, _SHORT), _NONE)
    others = np.flatnonzero(~han)
    sure = np.array([bool(_parts(name)) for name in _strings(each, others)], bool)
    classes[others[sure]] = _LATIN
    return Names(each, encoded.indices.to_numpy(), classes, points)


def _without_names(drawn: Any, names: Any, classes: "Places") -> tuple[Any, "Places"]:
    """Cut the names of the classes out of sketches, and count the cuts; other rows lose their class."""
    texts, words = Texts.of(drawn), words_of(names).only(classes != _NONE)
    found = texts.find(words)
    classes[~words.fit() | texts.overlapping(found, words)] = _NONE
    found = found.only(classes[found.rows] != _NONE)
    return texts.cut(found, words, MARK.encode()), texts.count(found)


def _more_in_chinese(rows: "Places", names: Names, sketches: list[str], numbers: "Places") -> "Places":
    """Return the rows where more of a Chinese name may stand: the given name, or a space in it."""
    spaced = [_before_space(text) for text in sketches]
    first, given = (np.zeros(1 << 16, bool) for _ in range(2))
    first[[ord(c) for c in frozenset().union(*spaced, (name[0] for name in COMPOUND))]] = True
    given[[ord(c) for c in frozenset("".join(sketches)) if c <= "\uffff"]] = True
    one, two, three, _ = names.points[names.which[rows]].T
    rows = rows[first[one] | (given[two] & given[three] & (three > 0))]
    own = zip(_strings(names.each, names.which[rows]), numbers[rows].tolist(), strict=True)
    more = [
        name[0] in spaced[number]
        or name[:2] in COMPOUND
        or (name[1:] in sketches[number] and len(name) > len("王芳"))
        for name, number in own
    ]
    chosen: Places = rows[np.array(more, bool)]
    return chosen


def _more_in_latin(
    rows: "Places", texts: Any, names: Names, sketches: list[str], numbers: "Places"
) -> Iterator[int]:
    """Yield the rows where more of a name in Latin letters may stand: a part of it, in any case."""
    present = np.unique(names.which[rows])
    spelt = dict(zip(present.tolist(), _strings(names.each, present), strict=True))
    every = {part for name in spelt.values() for part in _parts(name)}
    shown_to = np.flatnonzero(np.bincount(numbers[rows], minlength=len(sketches)))
    many = len(shown_to) * len(every) > _AT_ONCE * len(rows)
    looked = np.zeros(len(sketches), bool)
    for number in shown_to.tolist():  # a sketch does not show for whom a mail address is
        text = sketches[number].lower()
        looked[number] = many or "@" in text or _holds(text, every)
    rows = rows[looked[numbers[rows]]]
    sizes = [len(text) for text in sketches]
    own = zip(rows.tolist(), names.which[rows].tolist(), numbers[rows].tolist(), strict=True)
    for (row, name, number), text in zip(own, _strings(texts, rows), strict=True):
        shown = text.replace(spelt[name], "\0")
        if len(shown) != sizes[number] or _holds(shown.lower(), _parts(spelt[name])):
            yield row


def _holds(text: str, parts: Iterable[str]) -> bool:
    """Say whether one of the parts is in a text; a plain loop is quicker here than `any`."""
    for part in parts:  # noqa: SIM110
        if part in text:
            return True
    return False


def _strings(array: Any, rows: "Places") -> list[str]:
    strings: list[str] = array.take(arrow().array(rows)).to_numpy(zero_copy_only=False).tolist()
    return strings


@remembered(_TEXTS)
def _before_space(text: str) -> frozenset[str]:
    """Return the Chinese characters before white space: a name may go on behind it."""
    return frozenset(_BEFORE_SPACE.findall(text))


@remembered(_NAMES)
def _parts(name: str) -> tuple[str, ...]:
    """Return the parts of a name in Latin letters; none if it is not sure that it is one."""
    own = own_of((name,))
    return own.parts if own.names == (name,) and own.scripts == {_SCRIPTS[_LATIN]} else ()


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
