"""Say what a column holds, from a sample of its values and, as a weak hint, its name."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from deleatur.desensitize.detectors.texts import spans
from deleatur.desensitize.detectors.types import TYPES
from deleatur.documents.detection import Detector, Finding, Level

_NAME_LIKE = re.compile(  # two to four words with capitals; two to four Chinese characters
    r"^(?:[^\W\d_a-z][\w'’.-]*(?: [^\W\d_a-z][\w'’.-]*){1,3}|[\u4e00-\u9fff]{2,4})$"
)
_WORDS = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
_HINTS: tuple[tuple[str, re.Pattern[str], re.Pattern[str]], ...] = (
    tuple(  # type, column name, what values need
        (type_, re.compile(words, re.IGNORECASE), needed)
        for type_, words, needed in (
            (
                "chat-text",
                r"chat|message|conversation|transcript|comment|nachricht|verlauf|聊天|对话|消息|留言"
                r"|备注|内容",
                _WORDS,
            ),
            ("search-term", r"search|query|keyword|suchbegriff|suche|搜索|检索|关键词", _WORDS),
            ("browsing-record", r"\burl|referr?er|page_?view|visited|browsing|浏览|访问记录|足迹", _WORDS),
            ("payment-secret", r"^(?:cvv2?|cvc2?|pin|otp)$|安全码|验证码|prüfziffer", _DIGIT),
            ("date-of-birth", r"birth|born|\bdob\b|geburt|geboren|^geb|生日|出生", _DIGIT),
            (
                "person-name",
                r"(?:first|last|full|sur|given|middle|user|customer|client|contact|holder|recipient)[_ ]?name"
                r"|vorname|nachname|^kunde$|^contact$|姓名|名字|联系人|收件人|客户名",
                _WORDS,
            ),
            ("person-name", r"^name$", _NAME_LIKE),
            (
                "postal-address",
                r"addr|street|straße|strasse|anschrift|wohnort|postal|post_?code|^zip|^plz|city$|地址"
                r"|住址|邮编",
                re.compile(r"\w"),
            ),
            ("credential", r"passw|secret|token|api_?key|kennwort|密码|口令|密钥", re.compile(r"\w")),
        )
    )
)
_SHARE = 0.05  # of the values: below it, single finds in a column of short values are chance
_LONG = 24  # characters: longer values are read as sentences
_BY_NAME = 0.5  # confidence of a finding that only the column's name supports
_MOST = 0.8  # of the values must be what the column's name says
_NAMES_SOMETHING = re.compile(r"name$|title$|titel$", re.IGNORECASE)  # "name: Rock" would introduce a person


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
    prefix = f"{label}: " if label and not _NAMES_SOMETHING.search(label) else ""
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
    hinted = _hinted(texts, name)
    if hinted is not None:
        shaped = next((f for f in found if f.type == hinted.type), None)
        if shaped is None:
            found.append(hinted)
        elif shaped.count < hinted.count:
            found[found.index(shaped)] = _both(shaped, hinted)
    return tuple(sorted(found, key=lambda f: (-f.count, -f.confidence, f.type)))


def _both(shaped: Finding, hinted: Finding) -> Finding:
    """Return a finding of all values that the name speaks for; those of the right shape count for more."""
    rest = hinted.count - shaped.count
    confidence = (shaped.count * shaped.confidence + rest * hinted.confidence) / hinted.count
    return Finding(hinted.type, hinted.level, hinted.count, hinted.of, round(confidence, 3))


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


def _hinted(texts: list[str], name: str) -> Finding | None:
    """Return what the column's name says, if most values can be that: a `name` of numbers names nobody."""
    if not texts or not name:
        return None
    for type_, words, needed in _HINTS:
        if words.search(name):
            count = sum(bool(needed.search(text)) for text in texts)
            if count >= _MOST * len(texts):
                return Finding(type_, TYPES[type_].level, count, len(texts), _BY_NAME)
    return None


def _text(value: str | bytes | int | None) -> str:
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip()
