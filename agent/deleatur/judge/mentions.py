"""Look whether a record names a person: by an identifier or the full name, anywhere in its texts. Pure.

It counts where somebody must look; it finds spellings with other spaces, dashes and cases, no
nicknames and no slips of the pen.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from deleatur.judge.subject import Identifier

_LEAST_DIGITS = 7  # of a telephone number that is sought inside longer texts
_LEAST_NAME = 2  # characters of a Chinese name
_SEPARATED = re.compile(r"[\s().·/_-]")


class Mentions:
    """Identifiers and names in the forms in which they are sought."""

    def __init__(self, identifiers: Collection[Identifier], names: Iterable[Sequence[str]]) -> None:
        addresses = {v for f, v in identifiers if f == "e-mail"}
        self._words = addresses | {form for parts in names for form in _forms(parts)}
        self._alone = _any_of(self._words)
        self._numbers = {v for f, v in identifiers if f != "e-mail" and len(v) >= _LEAST_DIGITS}

    def within(self, values: Iterable[Any], known: Collection[str] = ()) -> bool:
        """Say whether any text among `values` names the person; texts of `known` do not count."""
        texts = [v for v in values if isinstance(v, str) and v not in known]
        if not texts:
            return False
        joined = "\0".join(texts)
        plain = joined if joined.isascii() else unicodedata.normalize("NFKC", joined)
        lowered = plain.casefold()
        if any(word in lowered for word in self._words) and self._alone.search(lowered):
            return True
        squeezed = _SEPARATED.sub("", plain).upper()
        return any(number in squeezed for number in self._numbers)


def _any_of(words: Collection[str]) -> re.Pattern[str]:
    """Match any of the words where it stands alone; beside Chinese characters every word does."""
    alone = r"[^\W\u3400-\u9fff]"
    bodies = "|".join(
        re.escape(w)
        if re.search("[\u3400-\u9fff]", w)
        else rf"(?<!{alone})(?<!{alone}[.+-]){re.escape(w)}(?!{alone}|[.-]{alone})"
        for w in sorted(words)
    )
    return re.compile(bodies)


def _forms(parts: Sequence[str]) -> set[str]:
    """Return a name as texts write it; a single word is no full name, but for a Chinese one."""
    words = [" ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts]
    words = [word for word in words if word]
    whole = " ".join(words)
    if re.search("[\u3400-\u9fff]", whole):
        return {"".join(words)} if len("".join(words)) >= _LEAST_NAME else set()
    if " " not in whole:
        return set()
    first, _, last = whole.rpartition(" ")
    return {whole, f"{last}, {first}", f"{last} {first}"}
