"""Read a text as a person does: full-width digits are digits, an invisible character is not there.

Every character of the reading knows where it stands in the original, so that what is found can be
cut out of the original. Nothing here uses a word boundary: to a regular expression a Chinese
character is part of the word, and there is no boundary between 号 and 6.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_UNSEEN = re.compile(  # soft hyphen, joiners, marks of direction, tags, variation selectors, keycap
    "[\u00ad\u034f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u20e3"
    "\U000e0000-\U000e01ef]"
)
_LOOSE = re.compile(f"{_UNSEEN.pattern[:-1]}\u0300-\u036f]")  # and combining accents
_NUMERALS = str.maketrans("〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖", "001234567891123456789")
_SPOKEN = re.compile(  # a number that is spelt out digit by digit
    "[〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖0-9][〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖0-9 -]{5,}"
    "[〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖0-9]"
)
_SEPARATOR = re.compile(r" ?[-.·_~] ?| {1,2}")
_GROUP = re.compile(r"[0-9]+")
_LONGEST = 19  # digits: the longest card number (ISO/IEC 7812-1)


_SPELT = 6  # numerals: fewer beside digits are a word of their own, as in 28968三三五


class Run(NamedTuple):
    """Digits that stand together, perhaps with single separators between groups."""

    start: int
    end: int
    digits: str
    groups: tuple[int, ...]  # digits per group


class Reading:
    """A text as it is read, with the way back to the original."""

    def __init__(self, original: str) -> None:
        self._length = len(original)
        self._starts: list[int] | None = None
        text = original
        if not text.isascii():
            if _LOOSE.search(text):
                text = self._composed(text)
            text = text.translate(_LOOKS)
            text = _SPOKEN.sub(_digits, text)
        self.text = text

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return where a part of the reading stands in the original, with all that is invisible in it."""
        if self._starts is None:
            return start, end
        return self._starts[start], self._starts[end] if end < len(self._starts) else self._length

    def runs(self, shortest: int) -> list[Run]:
        """Return every way to take neighbouring groups of digits as one number of `shortest` to 19 digits.

        Groups belong together when one kind of separator stands between them.
        """
        found: list[Run] = []
        for chain in self._chains():
            if chain[-1][1] - chain[0][0] >= shortest:
                for first in range(len(chain)):
                    found += self._from(chain[first : first + _LONGEST + 1], shortest)
        return found

    def _chains(self) -> Iterator[list[tuple[int, int]]]:
        """Yield groups of digits that follow each other with nothing but a separator between them."""
        chain: list[tuple[int, int]] = []
        for group in _GROUP.finditer(self.text):
            if chain and not _SEPARATOR.fullmatch(self.text, chain[-1][1], group.start()):
                yield chain
                chain = []
            chain.append(group.span())
        if chain:
            yield chain

    def _from(self, groups: list[tuple[int, int]], shortest: int) -> list[Run]:
        found = []
        digits, sizes, separator = "", [], None
        for number, (start, end) in enumerate(groups):
            if number:
                between = self.text[groups[number - 1][1] : start].strip() or " "
                if separator is not None and between != separator:
                    break
                separator = between
            digits += self.text[start:end]
            sizes.append(end - start)
            if len(digits) > _LONGEST:
                break
            if len(digits) >= shortest:
                found.append(Run(groups[0][0], end, digits, tuple(sizes)))
        return found

    def _composed(self, text: str) -> str:
        """Drop what cannot be seen and join accents to their letters; remember where each character began."""
        kept: list[str] = []
        starts: list[int] = []
        for place, character in enumerate(text):
            if _UNSEEN.match(character):
                continue
            if kept and unicodedata.combining(character):
                joined = unicodedata.normalize("NFC", kept[-1] + character)
                if len(joined) == 1:
                    kept[-1] = joined
                    continue
            kept.append(character)
            starts.append(place)
        self._starts = starts
        return "".join(kept)

    def before(self, place: int, length: int) -> str:
        """Return up to `length` characters of the same line before `place`."""
        return self.text[max(0, place - length) : place].rpartition("\n")[2]

    def after(self, place: int, length: int) -> str:
        """Return up to `length` characters of the same line from `place` on."""
        return self.text[place : place + length].partition("\n")[0]


def _digits(spoken: re.Match[str]) -> str:
    """Return the digits of a number that is spelt out."""
    written = spoken[0]
    return written.translate(_NUMERALS) if sum(not c.isascii() for c in written) >= _SPELT else written


class _Looks(dict[int, str]):
    """For `str.translate`: the one character that each character is read as, found out when first met."""

    def __missing__(self, code: int) -> str:
        self[code] = read = _read_as(chr(code))
        return read


def _read_as(character: str) -> str:
    if character.isascii():
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    if category == "Pd" or character in "\u2212\u00af":
        return "-"
    if category == "Zs":
        return " "
    if category == "Cs":  # half a character, as broken text has it: the tagger takes none
        return "\ufffd"
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 else character


_LOOKS = _Looks()
