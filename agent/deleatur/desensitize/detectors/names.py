"""Find names of persons: by titles and words that introduce a name, by surname, by a tagger for Chinese.

German and English names without such a word are found only if they are known from the row: a list
of first names would take Rose, Mark and Hope out of every text.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from deleatur.desensitize.detectors.lexicon import (
    COMMON_WORDS,
    COMPOUND_SURNAMES,
    NO_NAMES,
    SURNAMES,
    UNLIKELY,
)
from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span
from deleatur.errors import Unsupported

_HAN = "\u4e00-\u9fff"
_SURNAME = f"(?:{COMPOUND_SURNAMES}|[{SURNAMES}])"
_MINORITY = re.compile(f"[{_HAN}]{{2,6}}(?:·[{_HAN}]{{2,7}}){{1,3}}")  # 阿依古丽·买买提
_TITLED = re.compile(
    f"(?P<name>{_SURNAME}[{_HAN}]{{0,2}}?)"
    "(?:先生|女士|小姐|太太|老师|教授|医生|大夫|律师|经理|总监|总经理|主任|主管|工程师|师傅|阿姨|叔叔"
    "|大哥|大姐"
    "|同学|同志|局长|老板|护士|会计|院长|校长|总(?![共是计的数体结裁价额部算有会])|工(?=[,，。 说你您]))"
)
_NICK = re.compile(f"(?P<name>[小老阿][{SURNAMES}](?![{_HAN}]?(?:心|时|事|子|师|板|家|区|学|人)))")
_INTRODUCED = re.compile(  # surely a name follows
    "(?:我叫|名叫|他叫|她叫|叫做|名字[叫是为]?|姓名|收件人|收货人|联系人|签收人|寄件人|持卡人|户名"
    "|开户名|法人"
    "|法定代表人|负责人|经办人|实名认证|本人|署名|患者|家长)(?:名字|姓名)?(?:叫|是|为|写|填|改成"
    "|改为)?[:： ]{0,2}"
    f"(?={_SURNAME} ?[{_HAN}])"
)
_HINTED = re.compile(  # perhaps a name follows
    "(?:我是|这是|客户|用户|会员|孩子|儿子|女儿|老公|老婆|妻子|丈夫|改成|抬头|转告|联系|找|给|帮|替"
    "|请|请问|叫|由|把|跟"
    f"|和|让|写|为)[:： ]?(?={_SURNAME}[{_HAN}])"
)
_APART = re.compile(
    f"(?<![{_HAN}0-9A-Za-z])"
    f"(?=(?:{COMPOUND_SURNAMES})[{_HAN}]{{1,2}}(?![{_HAN}])|[{SURNAMES}][{_HAN}]{{1,2}}(?![{_HAN}]))"
)
_CAP = (
    r"(?:[A-ZÄÖÜÉÈÀÇÑŁŠŽ][a-zäöüßéèàçñłšžáíóúâêôîëïø]+|O['’][A-Z][a-z]+|Mc[A-Z][a-z]+|Mac[A-Z][a-z]+)"
    r"(?:-[A-ZÄÖÜ][a-zäöüß]+)?"
)
_PARTICLE = r"(?:von der|von|van der|van den|van|de la|de|del|der|den|zu|zur|bin|al|di|da|dos|le|la|ter)"
_LATIN = rf"(?P<name>{_CAP}(?: (?:[A-Z]\.|{_PARTICLE} {_CAP}|{_CAP})){{0,3}})"
_SURNAMED = re.compile(f"(?:我|他|她|本人|免贵|先生|老公|太太)姓(?P<name>{_SURNAME})(?=[,，。!！?？、 的]|$)")
_LATIN_IN_CHINESE = re.compile(
    rf"(?:我叫|我是|姓名|收件人|收货人|联系人|签收人|持卡人|户名|名字)(?:叫|是|为|写|改成|改为)?[:： "
    rf"]{{0,2}}{_LATIN}"
)
_NO_NAME_TAGS = frozenset(
    ("v", "vn", "vd", "d", "a", "ad", "an", "l", "i", "t", "c", "p", "r", "m", "q", "y", "f", "s")
)
_AFTER_NAME = frozenset(
    "的了在和与说问要是有也都就不到给把被对跟又还很吗呢吧啊呀么您你我他她它这那想能可请让用买收发"
    "寄退换去来做当会没已从为以及等下上里"
)
_LEADS = frozenset(
    "帮找给写请让替为叫跟和由把问"
)  # words before a name that a tagger takes for its first character
_NAME_TAGS = ("nr", "nrt", "nrfg")
_TITLE_LATIN = re.compile(
    r"(?<![A-Za-zäöüß])(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Madam|Herrn?|Frau|Fräulein|Familie|Hr|Fr"
    r"|Kollege|Kollegin)\.? "
    rf"(?:(?:Dr|Prof)\.? )*{_LATIN}"
)
_INTRODUCED_LATIN = re.compile(
    r"(?<![A-Za-zäöüß])(?i:my name is|i am|name is|name:|i am called|this is|i'm|ich heiße|ich heisse|mein "
    r"name ist|name ist"
    r"|hier ist|hier spricht|gezeichnet|gez\.|i\. ?a\.|i\. ?v\.|signed|sincerely|regards|cheers|best"
    r"|grüßen?|gruß|grüsse"
    r"|dear|hi|hello|hallo|lieber?|guten tag|attn|attention|z\. ?hd\.|c/o|contact|ansprechpartner(?:in)?"
    r"|empfänger(?:in)?|recipient|cardholder|karteninhaber(?:in)?|kontoinhaber(?:in)?|account holder"
    r"|customer|kund(?:e|in)"
    rf"|patient(?:in)?)[:,]?\s{{1,2}}{_LATIN}"
)


def find(reading: Reading) -> Iterator[Span]:
    """Yield every candidate in a reading, overlapping ones too."""
    text = reading.text
    if not text.isascii() and re.search(f"[{_HAN}]", text):
        yield from _chinese(text)
    for pattern, confidence in ((_TITLE_LATIN, 0.75), (_INTRODUCED_LATIN, 0.6), (_LATIN_IN_CHINESE, 0.7)):
        for found in pattern.finditer(text):
            end = _until_no_name(found["name"])
            if end:
                yield Span(found.start("name"), found.start("name") + end, "person-name", None, confidence)


def type_of(value: str) -> str:
    """Say whether a whole value can be a name: `person-name`, else `other`."""
    if re.fullmatch(f"[{_HAN}]{{2,4}}", value) or _MINORITY.fullmatch(value):
        return "person-name"
    if re.fullmatch(r"[^\W\d_][^\W\d_'’.-]*(?:[ ,]+[^\W\d_][\w'’.-]*){0,4}\.?", value) and not re.search(
        f"[{_HAN}]", value
    ):
        return "person-name"
    return "other"


def _until_no_name(words: str) -> int:
    """Return the length of the words of a name before the first that cannot be one."""
    end = 0
    for word in re.finditer(r"\S+", words):
        if word[0].rstrip(".,") in NO_NAMES:
            break
        end = word.end()
    return end


def _chinese(text: str) -> Iterator[Span]:
    words = _words(text)
    for found in _TITLED.finditer(text):
        if found["name"] not in COMMON_WORDS:
            yield Span(*found.span("name"), "person-name", None, 0.8)
    for found in _SURNAMED.finditer(text):
        yield Span(*found.span("name"), "person-name", None, 0.7)
    for found in _NICK.finditer(text):
        start, end = found.span("name")
        alone = end in words or end == len(text) or text[end] in _AFTER_NAME
        if alone and start in words and found["name"] not in COMMON_WORDS:
            yield Span(start, end, "person-name", None, 0.6)
    for pattern, confidence in ((_INTRODUCED, 0.75), (_HINTED, 0.55), (_APART, 0.5)):
        for found in pattern.finditer(text):
            end = _end_of_name(text, found.end(), words, sure=pattern is _INTRODUCED)
            if end:
                yield Span(found.end(), end, "person-name", None, confidence)
    for found in _MINORITY.finditer(text):
        yield Span(found.start(), found.end(), "person-name", None, 0.6)
    for start, (word, tag) in words.items():
        if tag in _NAME_TAGS or (tag == "x" and len(word) == 3):
            skipped = word[0] in _LEADS and bool(re.match(_SURNAME, word[1:]))
            if re.match(f"{_SURNAME}[{_HAN}]?", word[skipped:]):
                end = _end_of_name(text, start + skipped, words, sure=tag in _NAME_TAGS and len(word) > 1)
                if end:
                    yield Span(start + skipped, end, "person-name", None, 0.55)


def _words(text: str) -> dict[int, tuple[str, str]]:
    """Return the words of a text and their tags, by place."""
    place, words = 0, {}
    for word, tag in _tagger().tag(text):
        words[place] = word, tag
        place += len(word)
    return words


def _end_of_name(text: str, start: int, words: dict[int, tuple[str, str]], *, sure: bool) -> int:
    """Return where a name ends that begins at `start` with a surname; 0 if it is none.

    A name has one or two characters after the surname. The end of a word decides between them; what
    is a common word is no name.
    """
    surname = 2 if re.match(COMPOUND_SURNAMES, text[start:]) else 1
    given = re.match(f"[·{_HAN}]{{1,2}}", text[start + surname : start + surname + 2])
    if given is None or text[start : start + 2] in COMMON_WORDS or text[start : start + 3] in COMMON_WORDS:
        return 0
    word, tag = words.get(start, ("", ""))
    if not sure and (text[start] in UNLIKELY or (len(word) >= 2 and tag in _NO_NAME_TAGS)):
        return 0
    longest = start + surname + given.end()
    ends = [e for e in (longest, longest - 1) if e > start + surname and (e in words or e == len(text))]
    return _shortened(text, start, ends[0] if ends else longest)


def _shortened(text: str, start: int, end: int) -> int:
    """Leave a word that follows a name outside it: 王芳的 is 王芳."""
    while end - start > 2 and text[end - 1] in _AFTER_NAME:
        end -= 1
    return end


@cache
def _tagger() -> Any:
    try:
        import rjieba
    except ImportError:
        raise Unsupported("names in Chinese need rjieba: install deleatur[detect]") from None
    return rjieba
