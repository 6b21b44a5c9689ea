"""What a letter needs: its language, its dates in words, and the four parts that it must have. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

from deleatur.documents.job import Letter
from deleatur.documents.ledger import Language
from deleatur.errors import Refused
from deleatur.judge.jurisdiction import code_of

# The four parts, and what each must say: PIPL art. 17 and 47, GDPR art. 12 to 14 name such contents (from
# general knowledge, not checked); that all four stand in each letter is this house's rule.
PARTS: Mapping[str, tuple[str, ...]] = {
    "reason": ("reason",),
    "erased": ("erased", "erase_from", "method"),
    "rights": ("export", "contact"),
    "cut_off": ("cut_off",),
}
_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
}
_SPOKEN: Mapping[str, Language] = {  # where a country is known and no language
    "AT": "de",
    "CH": "de",
    "CN": "zh",
    "DE": "de",
    "HK": "zh",
    "SG": "zh",
    "TW": "zh",
}
_LONGEST_NAME = 200  # characters


def in_words(day: date, language: Language) -> str:
    """Return a date as people of a language write it in a letter."""
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    month = _MONTHS[language].split()[day.month - 1]
    return f"{day.day}{'.' if language == 'de' else ''} {month} {day.year}"


def language_of(told: object, letters: Sequence[Letter]) -> Language:
    """Return the language to write in: by a language tag or a country, else that of the first letter."""
    offered = {letter.language: letter.language for letter in letters}
    text = str(told or "").strip()
    tag = re.split(r"[-_]", text.lower())[0]
    if tag in offered:
        return offered[tag]
    return offered.get(_SPOKEN.get(code_of(text), letters[0].language), letters[0].language)


def words_of(letter: Letter, cut_off: str, name: str) -> dict[str, str]:
    """Return what a template may name."""
    last = date.fromisoformat(cut_off)
    return {
        "name": one_line(name)[:_LONGEST_NAME],
        "sender": letter.sender,
        "reason": letter.reason,
        "erased": letter.erased,
        "method": letter.method,
        "export": letter.export,
        "contact": letter.contact,
        "cut_off": in_words(last, letter.language),
        "erase_from": in_words(last + timedelta(days=1), letter.language),
    }


def one_line(text: str) -> str:
    """Return a text of a store for one line of a letter: no line ends, nothing that cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def missing_parts(words: Mapping[str, str], parts: Mapping[str, str], whole: str) -> list[str]:
    """Name each part that a letter lacks: it is not there, or does not say what it must."""
    return [
        name
        for name, needed in PARTS.items()
        if not parts.get(name, "").strip()
        or _flat(parts[name]) not in _flat(whole)
        or any(_flat(words[word]) not in _flat(parts[name]) for word in needed)
    ]


def require_parts(missing: Collection[str], template: str) -> None:
    """Refuse a letter without one of its four parts.

    Raises:
        Refused: it names the parts that are missing.
    """
    if missing:
        raise Refused(
            f"{template}: the letter lacks {', '.join(missing)}; each of the four parts is a block that says "
            "what docs/howto/tell-people.md lists"
        )


def _flat(text: str) -> str:
    return "".join(text.split())
