"""Rules over Arrow tables: what becomes of each column in the archive (docs/spec/archive.md).

Silence is refused: every column has a rule, every rule has a column. A rule that does not fit the
type of its column is refused by name. NULL stays NULL, rows keep their order and number.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deleatur.desensitize import values
from deleatur.desensitize.arrow import arrow, keep_memory, kind_of
from deleatur.documents.detection import Detector
from deleatur.documents.job import OPTIONS, Rule
from deleatur.errors import Refused

if TYPE_CHECKING:
    import pyarrow as pa

_ANY = frozenset({"bool", "integer", "float", "decimal", "date", "timestamp", "text", "bytes"})
_DATED = frozenset({"text", "date", "timestamp"})
_COUNTED = frozenset({"integer", "float", "decimal", "text"})
FITS = {  # rule in words -> kinds of column that it fits
    "keep": _ANY,
    "drop": _ANY | {"other"},
    "null": _ANY,
    "mask": _ANY - {"bool"},  # "0000" or "00000" would tell which
    "keep-last-4": frozenset({"text", "integer"}),
    "keyed-hash": _ANY - {"bool"},  # two tokens for two values hide nothing
    "format-preserving": frozenset({"text", "integer"}),
    "date-shift": _DATED,
    "redact": frozenset({"text"}),
    "generalise to year": _DATED,
    "generalise to month": _DATED,
    "generalise to five-years": _DATED,
    "generalise to decade": _DATED,
    "generalise to first-letter": frozenset({"text"}),
    "generalise to first-2": frozenset({"text"}),
    "generalise to first-3": frozenset({"text"}),
    "generalise to tens": _COUNTED,
    "generalise to thousands": _COUNTED,
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
        for key, (rules, needed) in OPTIONS.items():
            given = getattr(rule, key) is not None
            if given != (rule.rule in rules) and (given or needed):
                raise Refused(f"column {name}: `{key}` belongs to {', '.join(rules)}")
        for other in (*(rule.known or ()), *((rule.by,) if rule.by is not None else ())):
            if other not in present:
                raise Refused(f"column {name}: names column {other}, which is not in the table")
    if all(rule.rule == "drop" for rule in columns.values()):
        raise Refused("every column is dropped: nothing would be archived")


def apply_rules(
    table: "pa.Table", columns: Mapping[str, Rule], key: bytes, detectors: Sequence[Detector] = ()
) -> "pa.Table":
    """Return `table` with its rules applied, column by column; the same input gives the same output.

    `key` is the job's secret of 32 bytes: tokens link rows inside the job's archives and, once it
    is destroyed, nothing outside. `detectors` are those of plugins, for redaction.

    A row's result does not depend on other rows, so a table may be given in parts.

    Raises:
        Refused: a column without a rule, a rule without a column, or one that does not fit;
            by table column, never by value.
    """
    check_rules(table.column_names, columns)
    keep_memory()
    kept = [name for name in table.column_names if columns[name].rule != "drop"]
    return arrow().table({name: _apply(name, table, columns[name], key, detectors) for name in kept})


def apply_rules_to_stream(
    batches: Iterable["pa.RecordBatch"], columns: Mapping[str, Rule], key: bytes
) -> Iterator["pa.RecordBatch"]:
    """Yield each batch with the rules applied as soon as it comes; one batch is in memory at a time.

    Raises:
        Refused: as `apply_rules` does.
    """
    pa = arrow()
    for batch in batches:
        changed = apply_rules(pa.Table.from_batches([batch]), columns, key)
        yield from changed.combine_chunks().to_batches()


def _apply(name: str, table: "pa.Table", rule: Rule, key: bytes, detectors: Sequence[Detector]) -> Any:
    from deleatur.desensitize.columns import whole

    pa = arrow()
    column = table.column(name)
    kind = kind_of(column.type)
    words = rule_in_words(rule)
    if kind == "null":
        return column
    if kind not in FITS[words]:
        raise Refused(f"column {name}: {words} does not fit {kind} ({column.type}); choose another rule")
    if rule.rule == "keep":
        return column
    if rule.rule == "null":
        return pa.nulls(len(column), column.type)
    try:
        if rule.rule == "redact":
            return _redacted(table, whole(column), rule, detectors)
        if rule.rule == "date-shift":
            return _shifted(table, whole(column), rule, key)
        return _function(rule, key)(whole(column))
    except values.UnfitError as error:
        raise Refused(f"column {name}: {words} met {error}; choose another rule") from None


def rule_in_words(rule: Rule) -> str:
    """Return the rule as documents and messages name it, such as `generalise to year`."""
    return f"generalise to {rule.to}" if rule.rule == "generalise" else rule.rule


def _function(rule: Rule, key: bytes) -> Callable[[Any], Any]:
    from deleatur.desensitize import columns, keyed

    functions: dict[str, Callable[[Any], Any]] = {
        "mask": columns.masked,
        "keep-last-4": columns.last_4,
        "keyed-hash": lambda array: keyed.tokens(array, key, rule.domain),
        "format-preserving": lambda array: keyed.format_preserving(array, key, str(rule.form), rule.domain),
        "generalise to year": lambda array: columns.years(array, 1),
        "generalise to five-years": lambda array: columns.years(array, 5),
        "generalise to decade": lambda array: columns.years(array, 10),
        "generalise to month": columns.months,
        "generalise to first-letter": columns.first_letter,
        "generalise to first-2": lambda array: columns.first(array, 2),
        "generalise to first-3": lambda array: columns.first(array, 3),
        "generalise to tens": columns.tens,
        "generalise to thousands": columns.thousands,
    }
    return functions[rule_in_words(rule)]


def _shifted(table: "pa.Table", array: Any, rule: Rule, key: bytes) -> Any:
    from deleatur.desensitize.columns import whole
    from deleatur.desensitize.keyed import date_shift

    return date_shift(array, whole(table.column(str(rule.by))), key, rule.domain)


def _redacted(table: "pa.Table", array: Any, rule: Rule, detectors: Sequence[Detector]) -> Any:
    from deleatur.desensitize.columns import text_of, whole
    from deleatur.desensitize.redaction import redacted

    known = [whole(table.column(name)) for name in rule.known or ()]
    if any(kind_of(column.type) in {"bytes", "other"} for column in known):
        raise values.UnfitError("known values that are no text or number")
    return redacted(array, [text_of(c) for c in known if kind_of(c.type) != "null"], detectors)
