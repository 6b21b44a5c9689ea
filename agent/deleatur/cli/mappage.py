"""Draw a data map as one HTML page: open items first, places as boxes, copies as lines, then every table.

Rules kept: the page loads nothing and runs nothing (its policy says so to the browser), every text
is escaped, a level has a colour and a word, and it can be printed.
"""

from collections.abc import Collection, Iterator, Sequence
from html import escape
from math import ceil

from deleatur.documents.datamap import Copy, DataMap, Declared, Field, Place, Table
from deleatur.documents.detection import Level
from deleatur.judge.datamap import LEVELS, open_items

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # CSP level 3: no script, no network
_COLOURS: dict[Level, str] = {
    "public": "#d9ead3",
    "internal": "#cfe2f3",
    "sensitive": "#fce5cd",
    "core": "#f4cccc",
}
_WIDTH, _HEIGHT, _ACROSS, _DOWN = 230, 92, 340, 190  # pixels: a box, and from one box to the next
_IN_ROW = 3
_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif; margin: 2rem auto;
  max-width: 68rem; padding: 0 1rem; color: #1b1b1b; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2rem; } h3 { font-size: 1.05rem; }
table { border-collapse: collapse; min-width: 40rem; margin: .5rem 0 1.25rem; }
th, td { border: 1px solid #bbb; padding: .25rem .5rem; text-align: left; vertical-align: top; }
dd { overflow-wrap: anywhere; }
th { background: #f3f3f3; }
.level { padding: 0 .4rem; border: 1px solid #888; white-space: nowrap; }
.open { border-left: .4rem solid #b00020; padding: .2rem .7rem; margin: .3rem 0; background: #fdf1f2; }
.noted { border-left: .4rem solid #777; padding: .2rem .7rem; margin: .3rem 0; background: #f5f5f5; }
.closed { border-left: .4rem solid #2e7d32; padding: .2rem .7rem; background: #f0f7f0; }
.scroll { overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; }
dt { color: #555; } dd { margin: 0; }
@media print {
  body { margin: 0; max-width: none; }
  h2, h3 { break-after: avoid; } tr, svg { break-inside: avoid; }
}
"""


def page(datamap: DataMap, attested: Collection[str]) -> str:
    """Return the page; `attested` names the owners whose signature over their part holds."""
    colours = "".join(
        f".{level} {{ background: {colour}; fill: {colour}; }}\n" for level, colour in _COLOURS.items()
    )
    title = f"Data map of {escape(datamap.as_of)}"
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>\n<style>{_STYLE}{colours}</style>\n</head>\n<body>\n<h1>{title}</h1>",
            *_opening(datamap, attested),
            *_picture(datamap),
            *_levels(datamap),
            *_owners(datamap, attested),
            *(line for place in datamap.place for line in _place(place)),
            *_declared(datamap.declared),
            *_differences(datamap),
            "<h2>What was not looked at</h2>",
            _list(datamap.limits),
            "</body>\n</html>\n",
        )
    )


def level_of(part: Place | Declared | Table) -> Level:
    """Return the highest level of anything in a place or table."""
    if isinstance(part, Declared):
        return part.level
    fields = part.field if isinstance(part, Table) else [f for table in part.table for f in table.field]
    return max((f.level for f in fields), key=LEVELS.index, default="internal")


def _opening(datamap: DataMap, attested: Collection[str]) -> Iterator[str]:
    items = open_items(datamap, attested)
    blocking = [item for item in items if item.blocks]
    yield f'<section id="open"><h2>Open: {len(blocking)}</h2>'
    if not blocking:
        yield '<p class="closed">Nothing is open: a plan may rest on this map.</p>'
    for item in blocking:
        yield f'<p class="open" data-kind="{escape(item.kind)}">{escape(item.what)}</p>'
    for item in items:
        if not item.blocks:
            yield f'<p class="noted" data-kind="{escape(item.kind)}">{escape(item.what)}</p>'
    people = datamap.people
    bound = "" if people.complete else "at least "
    yield (
        f"<p>{bound}{people.found} people in {len(datamap.place)} places, each counted once "
        f"({escape(people.rule)}); {people.mentioned} further identifiers stand only in texts.</p></section>"
    )


def _picture(datamap: DataMap) -> Iterator[str]:
    boxes: list[Place | Declared] = [*datamap.place, *datamap.declared]
    middle = {
        box.id: (20 + n % _IN_ROW * _ACROSS + _WIDTH / 2, 20 + n // _IN_ROW * _DOWN + _HEIGHT / 2)
        for n, box in enumerate(boxes)
    }
    width, height = 40 + (_IN_ROW - 1) * _ACROSS + _WIDTH, 40 + ceil(len(boxes) / _IN_ROW) * _DOWN
    yield '<section id="picture"><h2>Places and copies</h2><div class="scroll">'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    yield f'<svg {size} role="img" aria-label="places and copies">'
    for number, copy in enumerate(datamap.copy):
        yield _edge(copy, middle[copy.source], middle[copy.to], number)
    for box in boxes:
        yield _node(box, *middle[box.id])
    yield "</svg></div>"
    rows = [(c.source, c.to, c.kind, c.basis, str(c.count or ""), c.reason) for c in datamap.copy]
    yield _table(("from", "to", "copy", "basis", "people", "reason"), rows)
    yield "</section>"


def _edge(copy: Copy, start: tuple[float, float], end: tuple[float, float], number: int) -> str:
    """Draw a copy as a line that hangs below its boxes, so that none runs behind another box."""
    bend = 40 + 12 * (number % 4)
    x1, x2 = start[0] - 24 + 16 * (number % 4), end[0] - 24 + 16 * (number % 4)
    y1, y2 = start[1] + _HEIGHT / 2, end[1] + _HEIGHT / 2
    low = max(y1, y2) + bend
    label = ((x1 + x2) / 2, (y1 + y2) / 8 + low * 3 / 4 + 4)  # the middle of a cubic curve
    dashes = ' stroke-dasharray="6 4"' if copy.basis == "declared" else ""
    words = escape(f"{copy.kind}{f': {copy.count}' if copy.count else ''}")
    path = f"M{x1:.0f} {y1:.0f} C{x1:.0f} {low:.0f} {x2:.0f} {low:.0f} {x2:.0f} {y2:.0f}"
    return (
        f'<g class="edge" data-from="{escape(copy.source)}" data-to="{escape(copy.to)}">'
        f'<path d="{path}" fill="none" stroke="#444" stroke-width="1.5"{dashes}/>'
        f'<text x="{label[0]:.0f}" y="{label[1]:.0f}" font-size="12" text-anchor="middle" '
        f'paint-order="stroke" stroke="#fff" stroke-width="4">{words}</text></g>'
    )


def _node(box: Place | Declared, x: float, y: float) -> str:
    level = level_of(box)
    left, top = x - _WIDTH / 2, y - _HEIGHT / 2
    if isinstance(box, Place):
        lines = [
            box.id,
            f"{box.kind}, {box.state}",
            f"{box.people} people, {level}",
            f"owner: {box.owner or 'nobody'}",
        ]
    else:
        lines = [box.id, box.what, f"{box.people} people, {level}", f"{box.state}, not verified"]
    dashes = ' stroke-dasharray="6 4"' if isinstance(box, Declared) or box.state != "found" else ""
    texts = "".join(
        f'<text x="{left + 10:.0f}" y="{top + 22 + 20 * n:.0f}" font-size="13">{escape(_cut(line))}</text>'
        for n, line in enumerate(lines)
    )
    place = f'x="{left:.0f}" y="{top:.0f}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"'
    return (
        f'<g class="node" data-id="{escape(box.id)}" data-level="{level}">'
        f'<rect class="{level}" {place} stroke="#333"{dashes}/>{texts}</g>'
    )


def _cut(text: str, longest: int = 30) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _levels(datamap: DataMap) -> Iterator[str]:
    yield "<h2>Levels: who holds what</h2>"
    rows = []
    for level in reversed(LEVELS):
        for place in datamap.place:
            fields = [f"{t.name}.{f.name}" for t in place.table for f in t.field if f.level == level]
            if fields and level not in ("public", "internal"):
                rows.append((level, place.id, ", ".join(fields), "; ".join(place.access)))
        rows += [
            (level, d.id, ", ".join(d.types), "attested, not verified")
            for d in datamap.declared
            if d.level == level
        ]
    yield _table(("level", "place", "fields", "who has access"), rows)


def _owners(datamap: DataMap, attested: Collection[str]) -> Iterator[str]:
    yield "<h2>Owners</h2>"
    rows = [
        (
            key.name,
            ", ".join(
                [p.id for p in datamap.place if p.owner == key.name]
                + [d.id for d in datamap.declared if d.owner == key.name]
            ),
            "attested" if key.name in attested else "not attested",
        )
        for key in datamap.owner
    ]
    yield _table(("owner", "places", "state"), rows)


def _place(place: Place) -> Iterator[str]:
    yield f'<section class="place"><h2>{escape(place.id)}</h2><dl>'
    laws = "; ".join(
        f"{j.code} ({j.reason}{f', {j.records} records' if j.records else ''})" for j in place.jurisdiction
    )
    facts = (
        ("URL", place.url),
        ("host", place.host),
        *place.identity,
        ("state", place.state),
        ("owner", place.owner or "nobody"),
        ("source", place.source),
        ("purpose", place.purpose),
        ("people", str(place.people)),
        ("jurisdiction", laws),
        ("encrypted", f"{place.encrypted} {f'({place.encryption})' if place.encryption else ''}"),
        ("access", "; ".join(place.access)),
    )
    yield "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts if text)
    yield "</dl>"
    for table in place.table:
        yield from _fields(table)
    if place.unread:
        yield "<h3>There, and not read</h3>"
        yield _table(("what", "how many", "why"), [(u.unit, str(u.count), u.reason) for u in place.unread])
    yield "</section>"


def _fields(table: Table) -> Iterator[str]:
    files = f", {table.files} files" if table.files else ""
    source = f", from {escape(table.source)}" if table.source else ""
    yield f"<h3>{escape(table.name)} ({escape(table.kind)}): {table.records} records{files}{source}</h3>"
    if table.totals:
        t = table.totals
        yield (
            f"<p>{t.all} in all, {t.active} active, {t.dormant} dormant, {t.undated} without a date "
            f"(active: {escape(t.rule)})</p>"
        )
    rows = "".join(_field(field) for field in table.field)
    heads = "".join(f"<th>{head}</th>" for head in ("field", "level", "types", "stored as", "points to"))
    yield f'<div class="scroll"><table><tr>{heads}</tr>{rows}</table></div>'


def _field(field: Field) -> str:
    types = "; ".join(f"{f.type} {f.count} of {f.of} (confidence {f.confidence})" for f in field.finding)
    if field.minors:
        types += f"; minor {field.minors}"
    cells = (escape(types or field.type), escape(field.stored_as), escape(field.references))
    return (
        f'<tr><td>{escape(field.name)}</td><td><span class="level {field.level}">{field.level}</span></td>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _declared(declared: Sequence[Declared]) -> Iterator[str]:
    if declared:
        yield "<h2>Declared: attested, not verified</h2>"
        rows = [
            (
                d.id,
                d.what,
                d.owner,
                d.state,
                str(d.people),
                d.level,
                f"{d.evidence} sha256:{d.evidence_sha256}",
            )
            for d in declared
        ]
        yield _table(("id", "what", "owner", "state", "people", "level", "evidence"), rows)


def _differences(datamap: DataMap) -> Iterator[str]:
    if datamap.difference:
        yield "<h2>Declared and found</h2>"
        rows = [
            (d.what, str(d.declared), str(d.found), d.owner, d.explanation or "not explained")
            for d in datamap.difference
        ]
        yield _table(("what", "declared", "found", "owner", "explanation"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "<p>none</p>"
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
