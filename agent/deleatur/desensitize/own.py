"""Cut a row's own values out of its text, where they stand by themselves. Pure.

What is known needs no detector, and what is left is read more surely without it. A name that could be
part of something longer (王芳 in 王芳芳, Müller in Anna Müller) stays, and the detectors see it together
with what is around it. A cut leaves one character that people's texts do not have.
"""

import re
from typing import NamedTuple

from deleatur.desensitize.detectors import addresses, known, names
from deleatur.desensitize.detectors.reading import Reading
from deleatur.desensitize.remembering import remembered, size_of_all

MARK = "\ue000"  # of private use: stands for a name that was cut out
NAMED = "[person-name]"
_HAN = "\u4e00-\u9fff"
_PARTICLES = "von|van|de|del|della|di|da|dos|der|den|zu|zur|bin|al|la|le|ter|und|and"
_STOPS = ',:;!?()\n，。：；！？（）、“”"'
_BEFORE_LATIN = re.compile(
    rf"(?:^|[{_STOPS}] ?|[{_HAN}]|(?<![^\W_])(?!(?:{_PARTICLES}) )[a-zäöüß]{{2,}} "
    r"|(?<!\w)(?:Dear|Hi|Hello|Hallo|Liebe|Lieber|Herr|Herrn|Frau|Mr|Mrs|Ms|Dr|Gruß|Grüße|I'm)\.? )$"
)
_AFTER_LATIN = re.compile(rf"$|[{_STOPS}{_HAN}]|\.(?:\s|$)|'s | (?!(?:{_PARTICLES}) )[a-zäöüß]")
_AFTER_HAN = re.compile(rf"$|[{_STOPS} ]")
_BEFORE_SHORT = re.compile(rf"(?:^|[^{_HAN}·]|[是叫给找帮系问人名为由写把替让请和跟与])$")
_AFTER_SHORT = frozenset("开的了在和与说问要是有也都就不到给把被对跟又还很吗呢吧啊呀么您你我他她它")
_LONG = 3  # characters: a Chinese name of so many, with a surname of one, is not the beginning of another
_LATIN_NAME = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ' -]{3,60}")
_HAN_NAME = re.compile(f"[{_HAN}]{{2,4}}")
_SPELT = re.compile("(?:[〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖][0-9 -]*){6}")  # digits written as words
_NEAR = 24  # characters
_VALUES, _TEXTS = 1 << 17, 1 << 14  # remembered


class Own(NamedTuple):
    """What is to be known of a row's own values; if no part of them is in a text, none of them is."""

    names: tuple[str, ...]  # those that may be cut out
    scripts: frozenset[str]  # in which they are written
    parts: tuple[str, ...]  # of all values, in lower case
    apart: tuple[str, ...]  # first characters of Chinese names, which may be written with spaces
    digits: tuple[str, ...]  # the ends of numbers that may be written in other groups
    cased: bool  # whether any part has letters of two cases


def cut(text: str, own: Own) -> str:
    """Return a text in which each own name has become a mark; the text itself if one does not stand alone."""
    if MARK in text:
        return text
    cut_out = marked(text, own)
    return cut_out if cut_out is text or all_alone(cut_out, own.scripts) else text


def marked(text: str, own: Own) -> str:
    """Return a text with a mark in place of each own name, the same object if there is none."""
    for name in own.names:
        if name in text:
            text = text.replace(name, MARK)
    return text


@remembered(_TEXTS)
def all_alone(text: str, scripts: frozenset[str]) -> bool:
    """Say whether nothing beside a mark could be part of the name that stood there, however it is written.

    In a text with a Chinese address nothing is alone: a person's name may be part of a street's.
    """
    for mark in re.finditer(MARK, text):
        before, after = (
            text[max(0, mark.start() - _NEAR) : mark.start()],
            text[mark.end() : mark.end() + _NEAR],
        )
        if not all(_alone(before, after, script) for script in scripts):
            return False
    return not addresses.in_chinese(text)


def mentions(text: str, own: Own) -> bool:
    """Say whether an own value may stand in a text, in whatever spelling; a no is certain.

    The text has no letters and digits but those that `Reading` takes as they are.
    """
    lowered = text.lower() if own.cased else text
    for part in own.parts:
        if part in lowered:
            return True
    for first in own.apart:
        if first in text and re.search(rf"{re.escape(first)}\s", text):
            return True
    if not own.digits:
        return False
    digits = re.sub("[^0-9]", "", text)
    return bool(_SPELT.search(text)) or any(end in digits for end in own.digits)


@remembered(_VALUES, size_of_all)
def own_of(values: tuple[str, ...]) -> Own:
    """Return what is to be known of a row's own values."""
    each = [_own(value) for value in values]
    return Own(
        tuple(name for own in each for name in own.names),
        frozenset().union(*(own.scripts for own in each)),
        _shortest({part for own in each for part in own.parts}),
        tuple(first for own in each for first in own.apart),
        tuple(end for own in each for end in own.digits),
        any(own.cased for own in each),
    )


def _own(value: str) -> Own:
    plain = Reading(value.strip()).text
    digits = re.sub("[^0-9]", "", plain)
    if len(digits) >= known.LEAST_DIGITS and not re.search("[A-Za-z\u3400-\u9fff@]", plain):
        return Own((), frozenset(), (), (), (digits[-known.LEAST_DIGITS :],), False)
    han = bool(_HAN_NAME.fullmatch(plain))
    latin = bool(_LATIN_NAME.fullmatch(plain)) and names.type_of(plain) == "person-name"
    long = len(plain) >= _LONG and plain[:2] not in known.COMPOUND
    written = [spelling for some in known.spellings(plain, "person-name") for spelling in some]
    if han:
        written.remove(" ".join(plain))
    firsts = {word[0].lower() for word in (re.search(r"[\w'’]+", spelling) for spelling in written) if word}
    script = "latin" if latin else "long" if long else "short"
    named = (han or latin) and plain == value.strip()
    return Own(
        (plain,) if named else (),
        frozenset({script} if named else ()),
        _shortest(firsts),
        (plain[0],) if han else (),
        (),
        not han,
    )


def _shortest(words: set[str]) -> tuple[str, ...]:
    """Leave out the words that another is part of."""
    return tuple(sorted(w for w in words if not any(other != w and other in w for other in words)))


def _alone(before: str, after: str, script: str) -> bool:
    if script == "latin":
        return bool(_BEFORE_LATIN.search(before) and _AFTER_LATIN.match(after))
    free = bool(_AFTER_HAN.match(after))
    if script == "long":
        return not before.endswith("·") and (free or bool(re.match(f"[{_HAN}]", after)))
    return bool(_BEFORE_SHORT.search(before)) and (free or after[0] in _AFTER_SHORT)
