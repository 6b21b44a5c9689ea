"""Redact free text: what the detectors find, and the row's own values, give way to the name of their type."""

from collections.abc import Sequence
from typing import Any

from deleatur.desensitize.arrow import arrow

_SUSPECT = (  # no find of any detector does without one of these
    r"[0-9@A-Z(\[{]|[^\x00-\x7f]|pass|pw|token|secret|key|kennwort"
)
_ROWS = 4096  # rows turned into Python objects at a time


def redacted(texts: Any, known: Sequence[Any]) -> Any:
    """Return an Arrow array of texts, redacted; `known` are columns of the same rows, as text.

    A text without digit, `@`, bracket, capital letter, character beyond ASCII or word for password is
    given to the detectors only for the row's own values.
    """
    from pyarrow import compute as pc

    pa = arrow()
    suspect = pc.match_substring_regex(texts, _SUSPECT).fill_null(False)
    out: list[Any] = []
    for start in range(0, len(texts), _ROWS):
        own = [column[start : start + _ROWS].to_pylist() for column in known]
        rows = zip(
            texts[start : start + _ROWS].to_pylist(),
            suspect[start : start + _ROWS].to_pylist(),
            *own,
            strict=True,
        )
        part = [_redacted(text, looked, [v for v in values if v]) for text, looked, *values in rows]
        out.append(pa.array(part, pa.string()))
    return pa.concat_arrays(out) if out else pa.array([], pa.string())


def _redacted(text: str | None, suspect: bool, known: list[str]) -> str | None:
    from deleatur.desensitize.detectors import spans

    if not text or not (suspect or _mentioned(text, known)):
        return text
    for span in reversed(spans(text, known=known)):
        text = f"{text[: span.start]}[{span.type}]{text[span.end :]}"
    return text


def _mentioned(text: str, known: list[str]) -> bool:
    folded = text.casefold()
    return any(word in folded for value in known for word in value.casefold().split())
