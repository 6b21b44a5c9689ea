"""Find identifiers that mix letters and digits: credit codes, passports, plates, VAT numbers, IBANs."""

import re
from collections.abc import Iterator

from deleatur.desensitize.detectors import checks
from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span

_ALONE = r"(?<![0-9A-Za-z])"
_END = r"(?![0-9A-Za-z])"
_GAP = "[ .-]?"
_CREDIT = re.compile(  # GB 32100-2015: registrar, category, division, organisation code, check character
    rf"(?<![0-9])[1-9ANYa-ny]{_GAP}[1-9Aa]{_GAP}(?:[0-9]{_GAP}){{6}}(?:[0-9A-HJ-NPQRTUWXYa-hj-npqrtuwxy]{_GAP}){{9}}"
    rf"[0-9A-HJ-NPQRTUWXYa-hj-npqrtuwxy]{_END}"
)
_CREDIT_WORDS = re.compile(r"信用代码|税号|纳税人|识别号|uscc|credit code|tax", re.IGNORECASE)
_IBAN = re.compile(rf"{_ALONE}[A-Za-z]{{2}}[0-9]{{2}}(?:[ -]?[0-9A-Za-z]){{11,30}}{_END}")
_IBAN_LENGTHS = {  # ISO 13616 registry
    country: int(length)
    for country, length in (
        pair.split(":")
        for pair in [
            "AD:24",
            "AE:23",
            "AL:28",
            "AT:20",
            "AZ:28",
            "BA:20",
            "BE:16",
            "BG:22",
            "BH:22",
            "BR:29",
            "CH:21",
            "CR:22",
            "CY:28",
            "CZ:24",
            "DE:22",
            "DK:18",
            "DO:28",
            "EE:20",
            "EG:29",
            "ES:24",
            "FI:18",
            "FO:18",
            "FR:27",
            "GB:22",
            "GE:22",
            "GI:23",
            "GL:18",
            "GR:27",
            "GT:28",
            "HR:21",
            "HU:28",
            "IE:22",
            "IL:23",
            "IQ:23",
            "IS:26",
            "IT:27",
            "JO:30",
            "KW:30",
            "KZ:20",
            "LB:28",
            "LC:32",
            "LI:21",
            "LT:20",
            "LU:20",
            "LV:21",
            "MC:27",
            "MD:24",
            "ME:22",
            "MK:19",
            "MR:27",
            "MT:31",
            "MU:30",
            "NL:18",
            "NO:15",
            "PK:24",
            "PL:28",
            "PS:29",
            "PT:25",
            "QA:29",
            "RO:24",
            "RS:22",
            "SA:24",
            "SE:24",
            "SI:19",
            "SK:24",
            "SM:27",
            "TN:24",
            "TR:26",
            "UA:29",
            "VA:22",
            "VG:24",
            "XK:20",
        ]
    )
}
_VAT = {  # the forms of VIES
    "AT": "U[0-9]{8}", "BE": "[01][0-9]{9}", "BG": "[0-9]{9,10}", "CY": "[0-9]{8}[A-Z]", "CZ": "[0-9]{8,10}",
    "DE": "[0-9]{9}", "DK": "[0-9]{8}", "EE": "[0-9]{9}", "EL": "[0-9]{9}",
    "ES": "[0-9A-Z][0-9]{7}[0-9A-Z]",
    "FI": "[0-9]{8}", "FR": "[0-9A-HJ-NP-Z]{2}[0-9]{9}", "HR": "[0-9]{11}", "HU": "[0-9]{8}",
    "IE": "[0-9][0-9A-Z+*][0-9]{5}[A-Z]{1,2}", "IT": "[0-9]{11}", "LT": "(?:[0-9]{9}|[0-9]{12})",
    "LU": "[0-9]{8}",
    "LV": "[0-9]{11}", "MT": "[0-9]{8}", "NL": "[0-9]{9}B[0-9]{2}", "PL": "[0-9]{10}", "PT": "[0-9]{9}",
    "RO": "[0-9]{2,10}", "SE": "[0-9]{10}01", "SI": "[0-9]{8}", "SK": "[0-9]{10}", "XI": "[0-9]{9}",
    "GB": "[0-9]{9}",
}  # fmt: skip
_VAT_FORMS = {country: re.compile(form) for country, form in _VAT.items()}
_VAT_ANY = re.compile(  # a look ahead: in "VAT GB GB980780684" the second country counts too
    rf"{_ALONE}(?=({'|'.join(_VAT)}|{'|'.join(_VAT).lower()})([ .-]?)"
    rf"([0-9A-Za-z+*](?:[ .-]?[0-9A-Za-z+*]){{1,13}}){_END})"
)
_VAT_WORDS = re.compile(
    r"vat|ust|umsatzsteuer|mwst|增值税|税号|btw|tva|p\.? ?iva|partita|\bnif\b|\buid\b|vies|moms",
    re.IGNORECASE,
)
_PASSPORT_CHINA = re.compile(
    rf"{_ALONE}(?:[EeGg][ -]?[0-9]{{4}}[ -]?[0-9]{{4}}|[Ee][A-HJ-NP-Za-hj-np-z][ -]?[0-9]{{7}}){_END}"
)
_PASSPORT_NAMED = re.compile(
    rf"{_ALONE}(?:[A-Za-z]{{1,2}}[ -]?[0-9]{{7,8}}|[0-9]{{9}}"
    rf"|[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{{8}}[0-9]?D?){_END}"
)
_PASSPORT_WORDS = re.compile(
    r"护照|passport|reisepass|\bpass(?:nummer|nr|-nr)|personalausweis|ausweisn|通行证|回乡证", re.IGNORECASE
)
_PASSPORT_GERMAN = re.compile(r"(?<![0-9A-Z])[CFGHJK][0-9CFGHJKLMNPRTVWXYZ]{8}([0-9])D?(?![0-9A-Z])")
_MRZ = re.compile(
    r"(?:P[A-Z<][A-Z]{3}[A-Z<]{39}|[A-Z0-9<]{9}[0-9][A-Z<]{3}[0-9]{7}[MFX<][0-9]{7}[A-Z0-9<]{14}[0-9<][0-9])"
)
_PLATE_CHINA = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][ ]?[A-HJ-NP-Za-hj-np-z] ?[-·•.・]? ?"
    r"(?:[A-HJ-NP-Za-hj-np-z0-9]{4}[挂学警港澳领]|[A-HJ-NP-Za-hj-np-z0-9]{5,6})(?![A-Za-z0-9])"
)
_PLATE_GERMAN = re.compile(
    r"(?<![0-9A-ZÄÖÜa-z-])[A-ZÄÖÜ]{1,3}-[A-Z]{1,2}[ -]?[1-9][0-9]{0,3}[EH]?(?![0-9A-Za-z-])"
)
_PLATE_NAMED = re.compile(
    r"(?<![0-9A-ZÄÖÜa-z])[A-ZÄÖÜ]{1,3}[ -][A-Z]{1,2}[ -]?[1-9][0-9]{0,3}[EH]?(?![0-9A-Za-z])"
)
_PLATE_WORDS = re.compile(r"kennzeichen|plate|nummernschild|车牌|wagen|auto\b", re.IGNORECASE)
_PENSION = re.compile(rf"{_ALONE}[0-9]{{2}} ?[0-9]{{6}} ?[A-Z] ?[0-9]{{3}}{_END}")
_FRENCH = re.compile(
    rf"{_ALONE}[12] ?[0-9]{{2}} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?[0-9][0-9AB] ?[0-9]{{3}} ?[0-9]{{3}} "
    rf"?[0-9]{{2}}{_END}"
)
_BRITISH = re.compile(
    rf"{_ALONE}[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{{2}} ?[0-9]{{2}} ?[0-9]{{2}} ?[A-D]{_END}"
)
_ITALIAN = re.compile(
    rf"{_ALONE}[A-Z]{{6}}[0-9LMNPQRSTUV]{{2}}[ABCDEHLMPRST][0-9LMNPQRSTUV]{{2}}[A-Z][0-9LMNPQRSTUV]{{3}}[A-Z]{_END}"
)
_SPANISH = re.compile(rf"{_ALONE}(?:[0-9]{{8}}|[XYZ][0-9]{{7}})[ -]?[A-HJ-NP-TV-Z]{_END}")
_NEAR = 24  # characters


def find(reading: Reading) -> Iterator[Span]:
    """Yield every candidate in a reading, overlapping ones too."""
    yield from _credit(reading)
    yield from _ibans(reading)
    yield from _vat(reading)
    yield from _passports(reading)
    yield from _plates(reading)
    yield from _persons(reading)


def _squeezed(text: str) -> str:
    return re.sub("[^0-9A-Za-z+*]", "", text).upper()


def _credit(reading: Reading) -> Iterator[Span]:
    for found in _CREDIT.finditer(reading.text):
        code = _squeezed(found[0])
        sound = checks.credit_code(code)
        named = _CREDIT_WORDS.search(reading.before(found.start(), _NEAR))
        resident = code[:17].isdigit() and checks.resident_shape(code)
        if sound and not (resident and checks.resident(code)):
            yield Span(found.start(), found.end(), "unified-social-credit-code", True, 0.97)
        elif named or (code[:2] in ("91", "92", "93") and not code.isdigit()):
            yield Span(found.start(), found.end(), "unified-social-credit-code", False, 0.6)


def _ibans(reading: Reading) -> Iterator[Span]:
    for found in _IBAN.finditer(reading.text):
        country = found[0][:2].upper()
        length = _IBAN_LENGTHS.get(country)
        end = _after_letters(reading.text, found.start(), length) if length else None
        if end is None:
            continue
        code = re.sub("[^0-9A-Za-z]", "", reading.text[found.start() : end]).upper()
        sound = checks.mod_97(code)
        if sound or sum(c.isdigit() for c in code) >= 12:
            yield Span(found.start(), end, "iban", sound, 0.98 if sound else 0.7)


def _after_letters(text: str, start: int, count: int | None) -> int | None:
    """Return the place after the `count`-th letter or digit; None if no code ends there."""
    place = start
    while count and place < len(text):
        count -= text[place].isascii() and text[place].isalnum()
        place += 1
    following = text[place : place + 1]
    return None if count or (following.isascii() and following.isalnum()) else place


def _vat(reading: Reading) -> Iterator[Span]:
    for found in _VAT_ANY.finditer(reading.text):
        country = found[1].upper()
        end = _longest_form(country, reading.text, *found.span(3))
        if end is None:
            continue
        number = _squeezed(reading.text[found.start(3) : end])
        sound = country != "GB" and checks.valid("eu.vat", country + number)
        if country == "GB":
            sound = checks.valid("gb.vat", number)
        named = _VAT_WORDS.search(reading.before(found.start(), _NEAR))
        plainly = found[1].isupper() and not found[2] and len(number) >= 8
        if sound and (named or len(number) >= 8):
            yield Span(found.start(), end, "vat-number", True, 0.9)
        elif named or plainly:
            yield Span(found.start(), end, "vat-number", False, 0.6 if named else 0.5)


def _longest_form(country: str, text: str, start: int, end: int) -> int | None:
    """Return where the longest VAT number of a country ends that begins at `start`."""
    for place in range(end, start, -1):
        before, following = text[place - 1], text[place : place + 1]
        if not (before.isalnum() or before in "+*") or (following.isascii() and following.isalnum()):
            continue
        if _VAT_FORMS[country].fullmatch(_squeezed(text[start:place])):
            return place
    return None


def _passports(reading: Reading) -> Iterator[Span]:
    text = reading.text
    for found in _PASSPORT_CHINA.finditer(text):
        yield Span(found.start(), found.end(), "passport", None, 0.7)
    for found in _PASSPORT_GERMAN.finditer(text):
        if any(c.isalpha() for c in found[0][1:9]) and any(c.isdigit() for c in found[0][1:9]):
            sound = _icao(found[0][:9]) == int(found[1])
            if sound:
                yield Span(found.start(), found.end(), "passport", True, 0.75)
    if _PASSPORT_WORDS.search(text):
        for found in _PASSPORT_NAMED.finditer(text):
            if _PASSPORT_WORDS.search(reading.before(found.start(), _NEAR)):
                yield Span(found.start(), found.end(), "passport", None, 0.85)
    for found in _MRZ.finditer(text):
        yield Span(found.start(), found.end(), "passport", None, 0.95)


def _icao(code: str) -> int:
    """Return the check digit of a machine-readable document (ICAO Doc 9303-3 § 4.9)."""
    return sum(int(c, 36) * (7, 3, 1)[i % 3] for i, c in enumerate(code)) % 10


def _plates(reading: Reading) -> Iterator[Span]:
    for found in _PLATE_CHINA.finditer(reading.text):
        if any(c.isdigit() for c in found[0][2:]):
            yield Span(found.start(), found.end(), "plate", None, 0.85)
    for found in _PLATE_GERMAN.finditer(reading.text):
        yield Span(found.start(), found.end(), "plate", None, 0.55)
    if _PLATE_WORDS.search(reading.text):
        for found in _PLATE_NAMED.finditer(reading.text):
            if _PLATE_WORDS.search(reading.before(found.start(), _NEAR)):
                yield Span(found.start(), found.end(), "plate", None, 0.7)


def _persons(reading: Reading) -> Iterator[Span]:
    """Numbers of persons in Germany, France, the United Kingdom, Italy and Spain."""
    for found in _PENSION.finditer(reading.text):
        sound = checks.pension(_squeezed(found[0]))
        yield Span(found.start(), found.end(), "social-security-number", sound, 0.9 if sound else 0.6)
    for found in _BRITISH.finditer(reading.text):
        yield Span(found.start(), found.end(), "social-security-number", None, 0.8)
    for pattern, module, type_, needed in (
        (_FRENCH, "fr.nir", "social-security-number", True),
        (_ITALIAN, "it.codicefiscale", "tax-number", False),
        (_SPANISH, "es.nif", "tax-number", True),
    ):
        for found in pattern.finditer(reading.text):
            sound = checks.valid(module, _squeezed(found[0]))
            if sound or not needed:
                yield Span(found.start(), found.end(), type_, sound, 0.9 if sound else 0.6)
