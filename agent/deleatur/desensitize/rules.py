"""Rules over Arrow tables: what becomes of each column in the archive (docs/spec/archive.md).

Silence is refused: every column has a rule, every rule has a column. A rule that does not fit the
type of its column is refused by name. NULL stays NULL, rows keep their order and number.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from deleatur.desensitize import values
from deleatur.desensitize.arrow import arrow, kind_of
from deleatur.documents.job import Rule
from deleatur.errors import Refused

if TYPE_CHECKING:
    import pyarrow as pa

_ANY = frozenset({"bool", "integer", "float", "decimal", "date", "timestamp", "text", "bytes"})
_FITS = {
    "keep": _ANY,
    "null": _ANY,
    "mask": _ANY - {"bool"},  # "0000" or "00000" would tell which
    "keep-last-4": frozenset({"text", "integer"}),
    "keyed-hash": _ANY - {"bool"},  # two tokens for two values hide nothing
    "generalise to year": frozenset({"text", "date", "timestamp"}),
    "generalise to month": frozenset({"text", "date", "timestamp"}),
    "generalise to decade": frozenset({"text", "date", "timestamp"}),
    "generalise to first-letter": frozenset({"text"}),
    "generalise to thousands": frozenset({"integer", "float", "decimal", "text"}),
}
_GENERALISE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "year": (values.to_year, "int64"),
    "month": (values.to_month, "string"),
    "decade": (values.to_decade, "int64"),
    "first-letter": (values.to_first_letter, "string"),
    "thousands": (values.to_thousands, "int64"),
}


def check_rules(names: Iterable[str], columns: Mapping[str, Rule]) -> None:
    """Refuse silence and slips: a column without a rule, a rule without a column, a rule half said.

    Raises:
        Refused: with the names of the columns.
    """
    present = list(names)
    double = sorted({n for n in present if present.count(n) > 1})
    silent = [n for n in present if n not in columns]
    unknown = [n for n in columns if n not in present]
    for wrong, what in (
        (double, "stands twice in the table"),
        (silent, "has no rule: name one, or drop"),
        (unknown, "has a rule and is not in the table"),
    ):
        if wrong:
            raise Refused(f"column {', '.join(wrong)} {what}")
    for name, rule in columns.items():
        if (rule.rule == "generalise") != (rule.to is not None):
            raise Refused(f"column {name}: `to` belongs to generalise, and generalise needs it")
    if all(rule.rule == "drop" for rule in columns.values()):
        raise Refused("every column is dropped: nothing would be archived")


def apply_rules(table: "pa.Table", columns: Mapping[str, Rule], key: bytes) -> "pa.Table":
    """Return `table` with its rules applied, column by column; the same input gives the same output.

    `key` is the job's secret of 32 bytes: the tokens of keyed-hash link rows inside the job's
    archives and, once it is destroyed, nothing outside.

    Raises:
        Refused: a column without a rule, a rule without a column, or one that does not fit;
            by table column, never by value.
    """
    check_rules(table.column_names, columns)
    kept = [name for name in table.column_names if columns[name].rule != "drop"]
    return arrow().table({name: _apply(name, table.column(name), columns[name], key) for name in kept})


def _apply(name: str, column: Any, rule: Rule, key: bytes) -> Any:
    pa = arrow()
    kind = kind_of(column.type)
    words = rule_in_words(rule)
    if kind == "null":
        return column
    if kind not in _FITS[words]:
        raise Refused(f"column {name}: {words} does not fit {kind} ({column.type}); choose another rule")
    if rule.rule == "keep":
        return column
    if rule.rule == "null":
        return pa.nulls(len(column), column.type)
    function, result = _function(rule, key)
    if words.startswith("generalise") and kind == "text":
        function = _empty_is_null(function)
    try:
        return _map(column, function, result)
    except values.UnfitError as error:
        raise Refused(f"column {name}: {words} met {error}; choose another rule") from None


def rule_in_words(rule: Rule) -> str:
    """Return the rule as documents and messages name it, such as `generalise to year`."""
    return f"generalise to {rule.to}" if rule.rule == "generalise" else rule.rule


def _function(rule: Rule, key: bytes) -> tuple[Callable[[Any], Any], str]:
    if rule.rule == "generalise":
        return _GENERALISE[str(rule.to)]
    functions = {"mask": values.mask, "keep-last-4": values.keep_last_4}
    return functions.get(rule.rule) or values.keyed_hash(key), "string"


def _empty_is_null(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Say that an empty text has no year: databases write '' where they mean NULL."""
    return lambda value: function(value) if value.strip() else None


def _map(column: Any, function: Callable[[Any], Any], result: str) -> Any:
    """Apply `function` once to each distinct value; NULL is never passed to it."""
    pa = arrow()
    encoded = column.combine_chunks().dictionary_encode()
    changed = pa.array([function(value) for value in encoded.dictionary.to_pylist()], type=result)
    return changed.take(encoded.indices)
