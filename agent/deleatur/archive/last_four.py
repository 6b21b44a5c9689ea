"""Keep last four digits apart: what the main package and the last-four package of a target each hold. Pure.

A column with the rule `keep-last-4` stands in the last-four package only. Both packages name the rows by one
keyed token, so that who opens both can match them, and who opens one cannot.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from deleatur.desensitize.arrow import arrow, kind_of
from deleatur.desensitize.columns import last_4, text_of, whole
from deleatur.desensitize.keyed import tokens
from deleatur.desensitize.rules import rule_in_words
from deleatur.documents.job import Rule, last_fours
from deleatur.documents.place import ArchivePart
from deleatur.errors import Refused

if TYPE_CHECKING:
    import pyarrow as pa

ROW: Final = "last-four-row"
_DOMAIN = "last-four+row"  # no job can name it: names have no `+`
_HIDDEN = "****"
_SHARE = 0.9  # of the rows: more is no chance
_LEAST = 3  # rows
_SAMPLE = 64  # rows that are looked at first


def rules_of(rules: Mapping[str, Rule], part: ArchivePart) -> dict[str, Rule]:
    """Return the rules of a table in one package: what stands in the other one is dropped."""
    apart = last_fours(rules)
    return {
        name: rule if (name in apart) == (part == "last-four") else Rule(rule="drop")
        for name, rule in rules.items()
    }


def rules_in_words(rules: Mapping[str, Rule], part: ArchivePart) -> dict[str, str]:
    """Return what rules.json of one package says of a table."""
    if part == "last-four":
        return dict.fromkeys(last_fours(rules), "keep-last-4")
    apart = last_fours(rules)
    return {
        name: "keep-last-4, in the last-four part" if name in apart else rule_in_words(rule)
        for name, rule in rules.items()
    }


def with_rows(result: "pa.Table", table: str, first: int, key: bytes) -> "pa.Table":
    """Return a part of a table with the token of each row; `first` is the number of its first row.

    Raises:
        Refused: the table has a column of that name.
    """
    if ROW in result.column_names:
        raise Refused(f"table {table}: the archive needs the column name {ROW}; drop the column")
    pa = arrow()
    rows = pa.array([f"{table}/{number}" for number in range(first, first + result.num_rows)], pa.string())
    return result.append_column(ROW, tokens(rows, key, _DOMAIN))


def check_endings(table: str, originals: Mapping[str, Any], result: "pa.Table") -> None:
    """Refuse a main package that shows last four digits after all; `originals` are the columns kept apart.

    Four digits stand in long texts by chance. It is none when a column holds those of its own row in nine
    rows of ten, or one time in the form that `keep-last-4` gives them.

    Raises:
        Refused: by the names of the columns, never by value.
    """
    for name, values in originals.items():
        if kind_of(values.type) == "null":
            continue
        shown = last_4(whole(values)).to_pylist()
        for column in result.column_names:
            texts = _bytes(whole(result.column(column)))
            pairs = [
                (s.encode(), t)
                for s, t in zip(shown, texts, strict=True)
                if s is not None and t is not None and len(s) > len(_HIDDEN)
            ]
            if any(_HIDDEN.encode() in text and form in text for form, text in pairs) or _mostly(pairs):
                raise Refused(
                    f"archive: column {table}.{column} would carry the last four digits of {name} into "
                    f"the main part; drop {column}, or give it keep-last-4"
                )


def _mostly(pairs: list[tuple[bytes, bytes]]) -> bool:
    """Say whether nine rows of ten hold their own last four characters; a sample is asked first."""
    return len(pairs) >= _LEAST and all(
        sum(form[len(_HIDDEN) :] in text for form, text in some) >= _SHARE * len(some)
        for some in (pairs[:_SAMPLE], pairs)
    )


def _bytes(array: Any) -> list[bytes | None]:
    if kind_of(array.type) == "null":
        return [None] * len(array)
    found = array if kind_of(array.type) == "bytes" else text_of(array)
    plain: list[bytes | None] = found.cast(arrow().binary()).to_pylist()
    return plain
