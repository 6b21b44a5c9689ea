"""Find postal addresses as they are written in Chinese, English and German."""

import re
from collections.abc import Iterator

from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span

_HAN = "[\u4e00-\u9fff]"
_NUMBER = "(?:[0-9]{1,5}|[一二三四五六七八九十百]{1,4})(?:[-/之][0-9]{1,4})?[A-Za-z]?"
_UNIT = f"(?:{_NUMBER} ?(?:号院|号楼|号|弄|栋|幢|座|单元|楼|层|室|户|门|房|村|组|排|支弄)|[A-Za-z][座栋幢区])"
_PROVINCES = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃"
    "|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
_CHINESE = re.compile(
    f"(?:(?:{_PROVINCES})(?:省|市|自治区|壮族自治区|回族自治区|维吾尔自治区|特别行政区)? ?)?"
    f"(?:{_HAN}{{2,7}}?(?:自治州|地区|市|盟) ?)?(?:{_HAN}{{1,6}}?(?:自治县|新区|区|县|市|旗) ?)?"
    f"(?:{_HAN}{{1,8}}?(?:街道|镇|乡) ?)?(?:{_HAN}{{1,12}}?(?:大道|大街|胡同|公路|路|街|道|巷|弄|里|村|园|苑|小区|花园|公寓|大厦|广场|工业园|新村) ?)+"
    f"(?:{_HAN}{{0,8}}?{_UNIT} ?)+(?:[0-9]{{2,4}}(?![0-9元年月日]))?"
)
_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Way|Place|Pl|Terrace|Square|Sq|Parkway"
    "|Pkwy|Highway|Hwy|Close|Crescent|Gardens|Grove|Mews"
)
_UNIT_ENGLISH = r"(?:,? ?(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room|#)\.? ?#?[0-9]{0,5}[A-Za-z]?)"
_ENGLISH = re.compile(
    rf"(?<![0-9A-Za-z])(?:(?:Flat|Apt|Unit) [0-9]{{1,4}}[A-Z]?, )?[0-9]{{1,6}}[A-Za-z]? (?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\.? )?"
    rf"(?:[A-Z0-9][A-Za-z0-9'’-]{{0,24}} ){{1,4}}(?:{_STREET})(?![A-Za-z])\.?{_UNIT_ENGLISH}?"
    r"(?:,? [A-Z][A-Za-z'’. -]{1,24}?,? (?:[A-Z]{2} [0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2}))?"
)
_BOX = re.compile(r"(?:P\.? ?O\.? ?Box|Postfach|邮政信箱|信箱) ?[0-9]{1,6}(?: ?[0-9]{2,4})*", re.IGNORECASE)
_TOWN = r"[0-9]{5} [A-ZÄÖÜ][A-Za-zäöüß-]+(?: (?:am|an der|im|in der|bei|ob der|vor der|v\. ?d\.) [A-ZÄÖÜ][a-zäöüß]+| [A-ZÄÖÜ][a-zäöüß]+)?"
_HOUSE = r"[0-9]{1,4} ?(?:[a-zA-Z](?![A-Za-zäöüß]))?(?: ?[-/+] ?[0-9]{1,4}[a-z]?)?"
_GERMAN = re.compile(
    r"(?<![A-Za-zäöüÄÖÜß])(?:"
    r"[A-ZÄÖÜ][A-Za-zäöüß-]{2,30}(?:straße|strasse|str\.|weg|allee|platz|gasse|ring|damm|ufer|chaussee|steig|markt|hof|berg|stieg|pfad|graben|wall|zeile|park)"
    r"|(?:[A-ZÄÖÜ][A-Za-zäöüß.-]{1,24}[ -]){1,3}(?:Straße|Strasse|Str\.|Weg|Allee|Platz|Gasse|Ring|Damm|Ufer|Chaussee|Markt|Bleichen)"
    r"|(?:Am|An der|Auf der|Auf dem|Im|In der|Unter den|Zum|Zur|Alte|Große|Kleine|Hinter der) [A-ZÄÖÜ][A-Za-zäöüß-]{2,30}"
    rf") {_HOUSE}(?:,? (?:Whg\.?|Wohnung|App\.?|Hinterhaus|Vorderhaus|[0-9]{{1,2}}\. ?(?:OG|Stock)|EG|c/o)(?: [0-9]{{1,4}})?)?(?:(?:, ?| |\n)(?:D-)?{_TOWN})?"
)
_GERMAN_TOWN = re.compile(rf"(?<![0-9A-Za-z])(?:D-)?{_TOWN}")
_TOWN_WORDS = re.compile(r"wohn|adresse|anschrift|lieferung|nach|\bin|plz|liefern", re.IGNORECASE)
_POSTCODE = re.compile(r"(?:邮编|邮政编码)[:： ]{0,2}(?P<code>[0-9]{6})(?![0-9])")


def find(reading: Reading) -> Iterator[Span]:
    """Yield every candidate in a reading, overlapping ones too."""
    text = reading.text
    if not text.isascii():
        for found in _CHINESE.finditer(text):
            yield Span(found.start() + _lead(found[0]), found.end(), "postal-address", None, 0.75)
        for found in _POSTCODE.finditer(text):
            yield Span(*found.span("code"), "postal-address", None, 0.6)
    for pattern, confidence in ((_ENGLISH, 0.75), (_GERMAN, 0.7), (_BOX, 0.7)):
        for found in pattern.finditer(text):
            yield Span(found.start(), found.end(), "postal-address", None, confidence)
    for found in _GERMAN_TOWN.finditer(text):
        if _TOWN_WORDS.search(reading.before(found.start(), 24)):
            yield Span(found.start(), found.end(), "postal-address", None, 0.5)


_LEAD = re.compile(
    r"^(?:我的|我家|我们|他的|她的|收货|新|旧|家庭|公司)*(?:地址|住址)?(?:改成|改为|改到|换成|寄到|送到|发到|住在|搬到|是|在|到)"
)


def _lead(address: str) -> int:
    """Return how many characters of a match are words that lead to an address."""
    found = _LEAD.match(address)
    return found.end() if found else 0
