"""Say what a column holds, from a sample of its values and, as a weak hint, its name."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from deleatur.desensitize.detectors.texts import spans
from deleatur.desensitize.detectors.types import TYPES
from deleatur.documents.detection import Detector, Finding, Level

_HINTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (type_, re.compile(words, re.IGNORECASE))
    for type_, words in (
        (
            "chat-text",
            r"chat|message|conversation|transcript|comment|nachricht|verlauf|聊天|对话|消息|留言|备注|内容",
        ),
        ("search-term", r"search|query|keyword|suchbegriff|suche|搜索|检索|关键词"),
        ("browsing-record", r"url|referr?er|page_?view|visited|browsing|seite|浏览|访问记录|足迹"),
        ("payment-secret", r"^(?:cvv2?|cvc2?|pin|otp)$|安全码|验证码|prüfziffer"),
        ("date-of-birth", r"birth|born|\bdob\b|geburt|geboren|^geb|生日|出生"),
        (
            "person-name",
            r"name$|^(?:first|last|full|sur|given)_?name|vorname|nachname|kunde$|^contact$|姓名|名字|联系人|收件人|客户名",
        ),
        ("postal-address", r"addr|street|straße|strasse|anschrift|wohnort|地址|住址"),
        ("credential", r"passw|secret|token|api_?key|kennwort|密码|口令|密钥"),
    )
)
_SHARE = 0.05  # of the values: below it, single finds in a column of short values are chance
_LONG = 24  # characters: longer values are read as sentences
_BY_NAME = 0.5  # confidence of a finding that only the column's name supports


def classify(
    values: Iterable[str | bytes | int | None], *, name: str = "", detectors: Sequence[Detector] = ()
) -> tuple[Finding, ...]:
    """Return the types that stand in a column, the most frequent first; NULL and empty values do not count.

    The column's name is read before each value, as a person would, so a number in a column `phone`
    is found as one in the text `phone: …` is.

    Raises:
        Unsupported: the extra `detect` is not installed.
        Failed: a plugin's detector broke its promise.
    """
    texts = [text for value in values if (text := _text(value))]
    whole: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    sure: defaultdict[str, float] = defaultdict(float)
    label = re.sub(r"[_\s]+", " ", name).strip()[:64]
    prefix = f"{label}: " if label else ""
    for text in texts:
        best: dict[str, float] = {}
        for span in spans(prefix + text, detectors=detectors):
            if span.end <= len(prefix):
                continue
            size = span.end - max(span.start, len(prefix))
            (whole if size >= 0.8 * len(text) else inside)[span.type] += span.type not in best
            best[span.type] = max(best.get(span.type, 0.0), span.confidence)
        for type_, confidence in best.items():
            sure[type_] += confidence
    level = {**{t: info.level for t, info in TYPES.items()}, **{d.type: d.info.level for d in detectors}}
    found = _counted(texts, whole, inside, sure, level)
    hinted = _hinted(texts, name, {finding.type for finding in found})
    return tuple(sorted(found + hinted, key=lambda f: (-f.count, -f.confidence, f.type)))


def _counted(
    texts: list[str],
    whole: Counter[str],
    inside: Counter[str],
    sure: Mapping[str, float],
    level: dict[str, Level],
) -> list[Finding]:
    sentences = sum(len(text) > _LONG for text in texts) >= 0.2 * max(len(texts), 1)
    found = []
    for type_ in whole.keys() | inside.keys():
        count = whole[type_] + inside[type_]
        if not count or (not sentences and count < _SHARE * len(texts)):
            continue
        found.append(Finding(type_, level[type_], count, len(texts), round(sure[type_] / count, 3)))
    return found


def _hinted(texts: list[str], name: str, found: set[str]) -> list[Finding]:
    """Return what only the column's name says; a column without values says nothing."""
    if not texts or not name:
        return []
    for type_, words in _HINTS:
        if words.search(name) and type_ not in found and _fits(type_, texts):
            return [Finding(type_, TYPES[type_].level, len(texts), len(texts), _BY_NAME)]
    return []


def _fits(type_: str, texts: list[str]) -> bool:
    """Say whether the values can be what the name says: a `name` of numbers names nobody."""
    if type_ in ("person-name", "chat-text", "search-term", "postal-address"):
        return sum(any(c.isalpha() for c in text) for text in texts) >= 0.5 * len(texts)
    if type_ in ("date-of-birth", "payment-secret"):
        return sum(any(c.isdigit() for c in text) for text in texts) >= 0.5 * len(texts)
    return True


def _text(value: str | bytes | int | None) -> str:
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip()
