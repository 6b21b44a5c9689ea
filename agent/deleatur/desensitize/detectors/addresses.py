"""Find postal addresses as they are written in Chinese, English and German."""

import re
from collections.abc import Iterator

from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span

_HAN = "[\u4e00-\u9fff]"
_NUMBER = "(?:[0-9]{1,5}|[一二三四五六七八九十百]{1,4})(?:[-/之][0-9]{1,4})?[A-Za-z]?"
_UNIT = f"(?:{_NUMBER} ?(?:号院|号楼|号|弄|栋|幢|座|单元|楼|层|室|户|门|房|村|组|排|支弄)|[A-Za-z][座栋幢区])"
_ROAD = (  # a house number stands after a road or a housing estate
    "(?:大道|大街|胡同|公路|路|街|道|巷|弄|里|村|屯|园|苑|城|小区|花园|公寓|大厦|广场|新村|街道|镇|乡)"
)
_CHINESE = re.compile(  # atomic groups: the time stays linear in the length of the text
    f"{_ROAD} ?(?>{_HAN}{{0,8}}?{_UNIT})(?> ?{_HAN}{{0,8}}?{_UNIT}){{0,6}}(?:[0-9]{{2,4}}(?![0-9元年月日]))?"
)
_HEAD = re.compile(f"[{_HAN[1:-1]} ]{{1,30}}$")
_LEAD = re.compile(  # words before an address
    "^.*(?:地址|住址|改成|改为|改到|换成|寄到|寄往|送到|送去|发到|发往|住在|住|搬到|位于|收货|是|在|到) *"
)
_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Way|Place|Pl|Terrace"
    "|Square|Sq|Parkway"
    "|Pkwy|Highway|Hwy|Close|Crescent|Gardens|Grove|Mews"
)
_UNIT_ENGLISH = r"(?:,? ?(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room|#)\.? ?#?[0-9]{0,5}[A-Za-z]?)"
_ENGLISH = re.compile(
    rf"(?<![0-9A-Za-z])(?:(?:Flat|Apt|Unit) [0-9]{{1,4}}[A-Z]?, )?[0-9]{{1,6}}[A-Za-z]? (?:(?:N|S|E|W"
    rf"|NE|NW|SE|SW|North|South|East|West)\.? )?"
    rf"(?:[A-Z0-9][A-Za-z0-9'’-]{{0,24}} ){{1,4}}(?:{_STREET})(?![A-Za-z])\.?{_UNIT_ENGLISH}?"
    r"(?:,? [A-Z][A-Za-z'’. -]{1,24}?,? (?:[A-Z]{2} [0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][0-9A-Z]? "
    r"?[0-9][A-Z]{2}))?"
)
_BOX = re.compile(r"(?:P\.? ?O\.? ?Box|Postfach|邮政信箱|信箱) ?[0-9]{1,6}(?: ?[0-9]{2,4})*", re.IGNORECASE)
_TOWN = (
    r"[0-9]{5} [A-ZÄÖÜ][A-Za-zäöüß-]+(?: (?:am|an der|im|in der|bei|ob der|vor der|v\. ?d\.) "
    r"[A-ZÄÖÜ][a-zäöüß]+| [A-ZÄÖÜ][a-zäöüß]+)?"
)
_HOUSE = r"[0-9]{1,4} ?(?:[a-zA-Z](?![A-Za-zäöüß]))?(?: ?[-/+] ?[0-9]{1,4}[a-z]?)?"
_GERMAN = re.compile(
    r"(?<![A-Za-zäöüÄÖÜß])(?:"
    r"[A-ZÄÖÜ][A-Za-zäöüß-]{2,30}(?:straße|strasse|str\.|weg|allee|platz|gasse|ring|damm|ufer"
    r"|chaussee|steig|markt|hof|berg|stieg|pfad|graben|wall|zeile|park)"
    r"|(?:[A-ZÄÖÜ][A-Za-zäöüß.]{1,24}[ -]){1,3}(?:Straße|Strasse|Str\.|Weg|Allee|Platz|Gasse|Ring"
    r"|Damm|Ufer|Chaussee|Markt|Bleichen)"
    r"|(?:Am|An der|Auf der|Auf dem|Im|In der|Unter den|Zum|Zur|Alte|Große|Kleine|Hinter der) "
    r"[A-ZÄÖÜ][A-Za-zäöüß-]{2,30}"
    rf") {_HOUSE}(?:,? (?:Whg\.?|Wohnung|App\.?|Hinterhaus|Vorderhaus|[0-9]{{1,2}}\. ?(?:OG|Stock)|EG"
    rf"|c/o)(?: [0-9]{{1,4}})?)?(?:(?:, ?| |\n)(?:D-)?{_TOWN})?"
)
_GERMAN_TOWN = re.compile(rf"(?<![0-9A-Za-z])(?:D-)?{_TOWN}")
_TOWN_WORDS = re.compile(r"wohn|adresse|anschrift|lieferung|nach|\bin|plz|liefern", re.IGNORECASE)
_POSTCODE = re.compile(r"(?:邮编|邮政编码)[:： ]{0,2}(?P<code>[0-9]{6})(?![0-9])")


def find(reading: Reading) -> Iterator[Span]:
    """Yield every candidate in a reading, overlapping ones too."""
    text = reading.text
    if not text.isascii():
        for found in _CHINESE.finditer(text):
            yield Span(_head(text, found.start()), found.end(), "postal-address", None, 0.75)
        for found in _POSTCODE.finditer(text):
            yield Span(*found.span("code"), "postal-address", None, 0.6)
    for pattern, confidence in ((_ENGLISH, 0.75), (_GERMAN, 0.7), (_BOX, 0.7)):
        for found in pattern.finditer(text):
            yield Span(found.start(), found.end(), "postal-address", None, confidence)
    for found in _GERMAN_TOWN.finditer(text):
        if _TOWN_WORDS.search(reading.before(found.start(), 24)):
            yield Span(found.start(), found.end(), "postal-address", None, 0.5)


def in_chinese(text: str) -> bool:
    """Say whether a text has a Chinese address."""
    return bool(_CHINESE.search(text))


def _head(text: str, road: int) -> int:
    """Return where the address begins whose road ends at `road`: after the words that lead to it."""
    head = _HEAD.search(text[max(0, road - 30) : road])
    if head is None:
        return road
    lead = _LEAD.match(head[0])
    return road - len(head[0]) + (lead.end() if lead else len(head[0]) - len(head[0].lstrip()))
