"""data/risk.html: risk.json as a page in English, German and Chinese, with plots; no script, no network."""

from collections.abc import Iterator, Sequence
from html import escape

from deleatur.archive.risk import ArchivedRisk
from deleatur.desensitize.risk import ColumnSet, Groups, Risk

_TITLE = "Re-identification risk · Risiko der Wiedererkennung · 重标识风险"
_STYLE = """\
body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
h2{border-bottom:1px solid #888}table{border-collapse:collapse;margin:.5em 0}
td,th{border:1px solid #bbb;padding:.2em .6em;text-align:right}th:first-child,td:first-child{text-align:left}
svg text{font:12px sans-serif}.low{fill:#b3261e}.fine{fill:#2b6cb0}section{break-inside:avoid}
figure{margin:1em 0;overflow-x:auto}
"""
_ABOUT = (
    "Rows that agree in all quasi-identifiers are a group: who knows these values of a person finds a group, "
    "and no less. k is the size of the smallest. No value of a record stands here.",
    "Zeilen, die in allen Quasi-Identifikatoren übereinstimmen, sind eine Gruppe: Wer diese Werte einer "
    "Person kennt, findet eine Gruppe, nicht weniger. k ist die Größe der kleinsten. Hier steht kein Wert "
    "eines Datensatzes.",
    "所有准标识符取值都相同的行构成一组:知道某人这些值的人只能找到一组。"
    "k 为最小组的行数。本页不含任何记录的值。",
)
_LIMITS = (
    "Who knows more of a person than these columns may still tell who it is. The archive is pseudonymised.",
    "Wer mehr über eine Person weiß als diese Spalten, kann sie womöglich erkennen. Das Archiv ist "
    "pseudonymisiert.",
    "知道这些列以外信息的人仍可能认出本人。本归档属于去标识化(假名化)。",
)
_BEFORE, _WRITTEN = "before · vorher · 抑制前", "in the archive · im Archiv · 归档中"
_CONTENT = "default-src 'none'; style-src 'unsafe-inline'"
_WIDTH, _LINE, _LEFT = 640, 24, 260  # pixels: a plot, one bar, the room for its name


def risk_page(risks: Sequence[ArchivedRisk]) -> str:
    """Return the page; every name of a table or column in it is escaped."""
    return "\n".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_CONTENT}">',
            f"<title>{_TITLE}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<h1>{_TITLE}</h1>",
            *_paragraphs(_ABOUT),
            *(line for risk in risks for line in _table(risk)),
            *_paragraphs(_LIMITS),
            "</body>\n</html>\n",
        )
    )


def _paragraphs(languages: tuple[str, str, str]) -> Iterator[str]:
    for code, text in zip(("en", "de", "zh"), languages, strict=True):
        yield f'<p lang="{code}">{text}</p>'


def _table(risk: ArchivedRisk) -> Iterator[str]:
    limit = risk.limit
    yield f'<h2 class="table">{escape(risk.table)}</h2>'
    yield f"<p>Quasi-identifiers · Quasi-Identifikatoren · 准标识符: {escape(', '.join(limit.quasi))}</p>"
    if limit.sensitive is not None:
        yield f"<p>Sensitive column · schützenswerte Spalte · 敏感列: {escape(limit.sensitive)}</p>"
    rungs = ", ".join(f"{rung.column} → {rung.to}" for rung in risk.taken)
    if rungs:
        yield f"<p>Generalised further · weiter vergröbert · 进一步泛化: {escape(rungs)}</p>"
    yield from _numbers(risk)
    yield from _histogram(risk.before, limit.k, _BEFORE)
    yield from _histogram(risk.written, limit.k, _WRITTEN)
    yield from _uniqueness(risk.before.sets, _BEFORE)
    yield from _uniqueness(risk.written.sets, _WRITTEN)


def _numbers(risk: ArchivedRisk) -> Iterator[str]:
    limit, before, written = risk.limit, risk.before, risk.written
    yield f"<section><table><tr><th></th><th>{_BEFORE}</th><th>{_WRITTEN}</th><th>≥</th></tr>"
    for name, old, new, wanted in (
        ("rows · Zeilen · 行", before.rows, written.rows, None),
        ("groups · Gruppen · 组", before.groups, written.groups, None),
        ("k", before.k, written.k, limit.k),
        ("l", before.l, written.l, limit.l),
        ("unique rows · einzigartige Zeilen · 唯一行", before.unique, written.unique, None),
        ("rows below k · Zeilen unter k · 小于 k 的行", before.rows_below, written.rows_below, None),
        ("suppressed rows · unterdrückte Zeilen · 被抑制的行", None, risk.suppressed, None),
    ):
        cells = "".join(f"<td>{'' if cell is None else cell}</td>" for cell in (old, new, wanted))
        yield f"<tr><td>{name}</td>{cells}</tr>"
    yield "</table>"
    yield "<table><tr><th>smallest groups · kleinste Gruppen · 最小的组</th><th>rows · Zeilen · 行</th></tr>"
    for worst in written.worst:
        yield f"<tr><td>{worst.groups}</td><td>{worst.rows}</td></tr>"
    yield "</table></section>"


def _histogram(risk: Risk, k: int, when: str) -> Iterator[str]:
    """Draw how many groups there are of each size; those below k in red."""
    bars = [
        (_sizes(bar, after), bar.groups, "low" if bar.rows < k else "fine")
        for bar, after in zip(risk.histogram, [*risk.histogram[1:], None], strict=True)
    ]
    yield from _plot("sizes", f"Groups by size · Gruppen nach Größe · 各规模的组数, {when}", bars)


def _uniqueness(sets: Sequence[ColumnSet], when: str) -> Iterator[str]:
    """Draw how many rows each set of columns singles out."""
    bars = [(" + ".join(s.columns), s.unique, "low" if s.unique else "fine") for s in sets]
    title = f"Unique rows by columns · Einzigartige Zeilen nach Spalten · 各列组合的唯一行, {when}"
    yield from _plot("unique", title, bars)


def _sizes(bar: Groups, after: Groups | None) -> str:
    if after is None:
        return f"{bar.rows} +"
    return str(bar.rows) if after.rows == bar.rows + 1 else f"{bar.rows}–{after.rows - 1}"


def _plot(kind: str, title: str, bars: Sequence[tuple[str, int, str]]) -> Iterator[str]:
    highest = max((count for _, count, _ in bars), default=0) or 1
    height = len(bars) * _LINE + 8
    yield f'<section><figure class="{kind}"><figcaption>{escape(title)}</figcaption>'
    yield f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img">'
    for number, (name, count, colour) in enumerate(bars):
        top = 4 + number * _LINE
        wide = max(count * (_WIDTH - _LEFT - 90) // highest, min(count, 1))
        size = f'width="{wide}" height="{_LINE - 6}"'
        yield f'<text x="{_LEFT - 8}" y="{top + 15}" text-anchor="end">{escape(_short(name))}</text>'
        yield f'<rect class="{colour}" x="{_LEFT}" y="{top + 2}" {size}></rect>'
        yield f'<text x="{_LEFT + wide + 6}" y="{top + 15}">{count}</text>'
    yield "</svg></figure></section>"


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:39]}…"
