"""Draw a person's package as one HTML page that is read offline and printed.

Rules kept: the page loads nothing and runs nothing (its policy says so to the browser), every value
is escaped and stands apart from its neighbours, and none turns the direction of writing round.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from deleatur.archive.subject_words import (
    COLLECTED,
    ELSEWHERE,
    ELSEWHERE_HEADS,
    HEADS,
    LIMITS,
    RECORDS,
    TITLE,
)

if TYPE_CHECKING:
    from deleatur.archive.subject_export import ExportedTable, SubjectExport

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # CSP level 3: no script, no network
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # UAX 9 §2
_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif; margin: 2rem auto;
  max-width: 68rem; padding: 0 1rem; color: #1b1b1b; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2rem; } h3 { font-size: 1.05rem; }
table { border-collapse: collapse; margin: .5rem 0 1.25rem; }
th, td { border: 1px solid #bbb; padding: .25rem .5rem; text-align: left; vertical-align: top; }
td { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 4rem; max-width: 30rem; }
th { background: #f3f3f3; } small { color: #555; font-weight: normal; display: block; }
.none { color: #777; } .scroll { overflow-x: auto; }
@media print {
  body { margin: 0; max-width: none; } h2, h3 { break-after: avoid; } tr { break-inside: avoid; }
}
"""


def page(export: "SubjectExport", rows: Sequence[Sequence[tuple[Any, ...]]]) -> str:
    """Return the page; `rows` are those of every table, in the order of `export`."""
    tables = [(place.place, table) for place in export.place for table in place.table]
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(TITLE)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            f"<h1>{escape(TITLE)}</h1>\n<p>{escape(export.made_at)}: {export.records} {escape(RECORDS)}</p>",
            f"<h2>{escape(COLLECTED)}</h2>",
            _table(HEADS, _collected(export)),
            *(
                line
                for (place, table), records in zip(tables, rows, strict=True)
                for line in _records(place, table, records)
            ),
            f"<h2>{escape(ELSEWHERE)}</h2>",
            _table(ELSEWHERE_HEADS, [(e.where, e.what, str(e.count)) for e in export.elsewhere]),
            f"<h2>{escape(LIMITS)}</h2>",
            f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in export.limits)}</ul>",
            "</body>\n</html>\n",
        )
    )


def _collected(export: "SubjectExport") -> Iterator[tuple[str, ...]]:
    for place in export.place:
        for table in place.table:
            categories = dict.fromkeys(c for field in table.field for c in field.categories)
            yield (
                place.place,
                table.table,
                str(table.records),
                "; ".join(categories),
                table.source,
                place.purpose,
                "; ".join(place.recipients),
                "; ".join(place.jurisdiction),
            )


def _records(place: str, table: "ExportedTable", rows: Sequence[tuple[Any, ...]]) -> Iterator[str]:
    yield f'<section class="records"><h2>{_text(place)}: {_text(table.table)}</h2>'
    heads = "".join(
        f"<th>{_text(field.name)}<small>{_text('; '.join(field.categories))}</small></th>"
        for field in table.field
    )
    body = "".join(f"<tr>{''.join(f'<td>{_value(value)}</td>' for value in row)}</tr>\n" for row in rows)
    yield f'<div class="scroll"><table><tr>{heads}</tr>\n{body}</table></div></section>'


def _value(value: Any) -> str:
    if value is None:
        return '<span class="none">–</span>'
    if isinstance(value, bytes | bytearray | memoryview):
        return f'<span class="none">{len(value)} bytes</span>'
    return _text(str(value))


def _text(text: str) -> str:
    """Return a text for the page: escaped, apart from its neighbours, with control characters shown."""
    return f"<bdi>{escape(''.join(map(_visible, text)))}</bdi>"


def _visible(character: str) -> str:
    hidden = character in _TURNING or unicodedata.category(character) in ("Cc", "Cs")
    return f"\\u{ord(character):04x}" if hidden and character not in "\n\t\r" else character


def _table(heads: Sequence[str], rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>\n{body}</table></div>'
