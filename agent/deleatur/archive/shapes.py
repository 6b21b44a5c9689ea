"""Find identifiers by their shape inside texts of an archive, whoever they belong to. Pure."""

import re
from collections.abc import Sequence
from typing import Any

from deleatur.desensitize.arrow import arrow, kind_of
from deleatur.desensitize.columns import text_of
from deleatur.desensitize.redaction import redacted
from deleatur.documents.detection import Detector

_LOOSE = frozenset({"person-name", "postal-address", "date-of-birth", "other"})  # found by words around them
_RANDOM = re.compile(  # digests, UUIDs, keys and fractions hold numbers of cards and telephones by chance
    r"(?<![0-9A-Za-z.])(?:[0-9a-f]{32,}|[0-9A-F]{32,}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|age1[0-9a-z]{20,}|[0-9]+\.[0-9]{6,}(?:e[+-]?[0-9]{1,3})?)(?![0-9A-Za-z])"
)
_DAY = re.compile(r"(?<![0-9])[12][0-9]{3}-[01][0-9]-[0-3][0-9](?![0-9])")
_SURE = 0.8  # least confidence
_WHOLE = 0.8  # of a value: a column of such values is kept by rule, and by decision
_NEVER_WHOLE = frozenset({"credential", "payment-secret"})


def identifiers(array: Any, detectors: Sequence[Detector]) -> str:
    """Name the types that stand inside longer texts, "" if none does; secrets count as a whole value too."""
    from deleatur.desensitize.detectors import spans

    if kind_of(array.type) == "bytes":
        array = arrow().array([_text(value) for value in array.to_pylist()], arrow().string())
    bare = [None if v is None else _RANDOM.sub("#", v) for v in text_of(array).unique().to_pylist()]
    distinct = arrow().array(bare, arrow().string()).unique().drop_null()
    changed = redacted(distinct, (), detectors)
    found: set[str] = set()
    for text, after in zip(distinct.to_pylist(), changed.to_pylist(), strict=True):
        if text != after:
            own = {detector.type for detector in detectors}
            for span in spans(text, detectors=detectors):
                inside = span.end - span.start < _WHOLE * len(text) or span.type in _NEVER_WHOLE
                if inside and (span.type in own or (span.type not in _LOOSE and span.confidence >= _SURE)):
                    found.add(span.type)
    return ", ".join(sorted(found))


def without_chance(content: bytes) -> bytes:
    """Return a text without what holds short numbers by chance: digests, UUIDs, keys, fractions and days."""
    text = _DAY.sub("#", _RANDOM.sub("#", content.decode(errors="surrogateescape")))
    return text.encode(errors="surrogateescape")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
