"""Compare names of people as they are written in stores: with titles, initials, accents, in either order.

Pure. It says "same" only when two words agree, or a whole Chinese name: a surname is a family's.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

Name = frozenset[str]  # words, folded; the characters of a Chinese name are one word, in a fixed order
Agreement = Literal["same", "compatible", "different"]

_HAN = re.compile(r"[\u3400-\u9fff]")
_WORD = re.compile(r"[^\W\d_]+")
_LONGEST = 80  # characters; longer ones are sentences
_TITLES = frozenset(
    ("herr", "frau", "dr", "prof", "med", "mr", "mrs", "ms", "miss", "mx", "sir", "ing", "dipl", "jr", "sr")
)


def name_of(values: Sequence[str]) -> Name:
    """Return the name that the name columns of one record give, or an empty one when they give none or two.

    Words that stand alone, such as a first and a last name, are put together.
    """
    alone: set[str] = set()
    whole: list[Name] = []
    found = [words for value in values if (words := _words(value))]
    apart = any(
        len(word) == 1 and _HAN.match(word) for words in found for word in words
    )  # a surname's column
    for words in found:
        if len(words) > 1 or (any(_HAN.match(w) and len(w) > 1 for w in words) and not apart):
            whole.append(words)
        else:
            alone |= words
    if not whole:
        return _joined(alone)
    first = max(whole, key=len)
    if any(agreement(first, other) == "different" for other in whole):
        return frozenset()
    return first


def agreement(one: Name, other: Name) -> Agreement:
    """Say whether two names can be one person's. `compatible`: too little is written to tell."""
    short, long = sorted((one, other), key=len)
    rest = set(long) - short
    left = [word for word in short if word not in long]
    agreed = sum(2 if _HAN.match(word) and len(word) > 1 else len(word) > 1 for word in short & long)
    for word in left:
        match = next((w for w in sorted(rest) if _abbreviates(word, w)), None)
        if match is None:
            return "different"
        rest.discard(match)
    return "same" if agreed >= 2 else "compatible"


def among(name: Name, known: Iterable[Name]) -> Agreement:
    """Say whether a name is one of those that a person is known by."""
    found = {agreement(name, each) for each in known if each} if name else set()
    if "same" in found:
        return "same"
    return "different" if "different" in found else "compatible"


def _words(value: str) -> Name:
    if len(value) > _LONGEST or any(c.isdigit() for c in value):
        return frozenset()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", value).casefold())
    plain = "".join(c for c in folded if not unicodedata.combining(c))
    for umlaut, letter in (("ae", "a"), ("oe", "o"), ("ue", "u")):
        plain = plain.replace(umlaut, letter)  # Mueller and Müller are one name
    return _joined({word for word in _WORD.findall(plain) if word not in _TITLES})


def _joined(words: set[str]) -> Name:
    """Put the parts of a Chinese name together, whichever stands first."""
    han = "".join(sorted("".join(word for word in words if _HAN.match(word))))
    return frozenset({word for word in words if not _HAN.match(word)} | ({han} if han else set()))


def _abbreviates(one: str, other: str) -> bool:
    """Say whether one word is short for the other: an initial, or the given name of a Chinese name."""
    short, long = sorted((one, other), key=len)
    if _HAN.match(short) and _HAN.match(long):
        return not set(short) - set(long)
    return len(short) == 1 and long.startswith(short)
