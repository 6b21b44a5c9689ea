"""Find identifiers that are digits only: resident IDs, cards, tax numbers, American social security.

Shape decides whether something is found; a check digit decides what it is called and how sure we are.
"""

import re
from collections.abc import Iterator

from deleatur.desensitize.detectors import checks
from deleatur.desensitize.detectors.reading import Reading, Run
from deleatur.documents.detection import Span

_CARD_STARTS = re.compile(  # ISO/IEC 7812-1 issuer ranges: digits of the number, by scheme
    r"(?:4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|35\d{14}|(?:62|60|81)\d{14,17}|9[0-9]\d{14,17}|(?:50|5[6-9]|6[0-9])\d{14,17})",
    re.ASCII,
)
_CARD_BY_SHAPE = re.compile(r"(?:4\d{15}|5[1-5]\d{14}|62\d{14}|62\d{17})", re.ASCII)  # even if Luhn fails
_CARD_GROUPS = (
    (4, 4, 4, 4),
    (4, 4, 4, 4, 3),
    (4, 6, 5),
    (6, 13),
    (4, 4, 4, 7),
    (6, 4, 9),
    (4, 4, 4, 4, 2),
    (4, 4, 4, 4, 1),
)
_CARD_WORDS = re.compile(
    r"卡号|银行卡|信用卡|储蓄卡|借记卡|账号|帐号|尾号|银联|card|visa|master|unionpay|karte|konto|account",
    re.IGNORECASE,
)
_RESIDENT_WORDS = re.compile(
    r"身份证|证件号|居民身份|身分證|身份證|\bid ?(?:card|number|no)|ausweis|resident", re.IGNORECASE
)
_TAX_WORDS = re.compile(
    r"steuer|id-?nr|identifikationsnummer|\btin\b|tax ?(?:id|no|number)|pesel|税号|纳税", re.IGNORECASE
)
_PESEL_WORDS = re.compile(r"pesel", re.IGNORECASE)
_SECURITY_WORDS = re.compile(r"ssn|social security|社安号|社会安全|sozialvers", re.IGNORECASE)
_SECURITY = re.compile(
    r"(?<![0-9])(?<![0-9][-.])([0-9]{3})([- ])([0-9]{2})\2([0-9]{4})(?![0-9A-Za-z])(?![-.][0-9])"
)
_NINE = re.compile(r"(?<![0-9])[0-9]{9}(?![0-9])")
_STEUERNUMMER = re.compile(
    r"(?<![0-9/])(?:[0-9]{2,3}[/ ][0-9]{3,4}[/ ][0-9]{4,5}|[0-9]{5}/[0-9]{5})(?![0-9/])"
)
_CLAUSE = re.compile("[,，。;；]")
_LETTER = re.compile(r"[A-Za-z]")
_NEAR = 24  # characters: how far before a number a word may name it


def find(reading: Reading) -> Iterator[Span]:
    """Yield every candidate in a reading, overlapping ones too."""
    for run in reading.runs(11):
        if _inside_a_code(reading, run):
            continue
        yield from _resident(reading, run)
        yield from _card(reading, run)
        yield from _tax(reading, run)
    yield from _security(reading)
    yield from _steuernummer(reading)


def _inside_a_code(reading: Reading, run: Run) -> bool:
    """Say whether letters stand on both sides: part of a product code or of a digest, not a number."""
    left, right = reading.text[max(0, run.start - 1) : run.start], reading.text[run.end : run.end + 2]
    if right[:1] in "xX" and not _LETTER.match(right[1:]):
        right = ""
    return bool(_LETTER.match(left) and _LETTER.match(right))


def _resident(reading: Reading, run: Run) -> Iterator[Span]:
    length, number, end = len(run.digits), run.digits, run.end
    if length == 17:
        tail = re.compile(r" ?-? ?[xX](?![0-9A-Za-z])").match(reading.text, run.end)
        if tail is None:
            return
        number, end, length = number + "X", tail.end(), 18
    if length not in (15, 18):
        return
    if checks.resident_shape(number):
        if length == 15:
            yield Span(run.start, end, "resident-id", None, 0.75)
        else:
            sound = checks.resident(number)
            yield Span(run.start, end, "resident-id", sound, 0.99 if sound else 0.7)
    elif _RESIDENT_WORDS.search(reading.before(run.start, _NEAR)):
        yield Span(run.start, end, "resident-id", False, 0.6)


def _card(reading: Reading, run: Run) -> Iterator[Span]:
    if len(run.digits) < 13 or not _CARD_STARTS.fullmatch(run.digits):
        return
    usual = len(run.groups) == 1 or run.groups in _CARD_GROUPS or set(run.groups) == {1}
    named = bool(_CARD_WORDS.search(reading.before(run.start, _NEAR)))
    if not usual and not named:
        return
    if checks.luhn(run.digits):
        yield Span(run.start, run.end, "bank-card", True, 0.9)
    elif named or run.groups in _CARD_GROUPS:
        yield Span(run.start, run.end, "bank-card", False, 0.65)
    elif _CARD_BY_SHAPE.fullmatch(run.digits):
        yield Span(run.start, run.end, "bank-card", False, 0.45)


def _tax(reading: Reading, run: Run) -> Iterator[Span]:
    """German tax identification number and Polish PESEL: eleven digits each."""
    if len(run.digits) != 11:
        return
    near = _CLAUSE.split(reading.before(run.start, _NEAR + 8))[-1]
    if _PESEL_WORDS.search(near):
        yield Span(run.start, run.end, "tax-number", checks.valid("pl.pesel", run.digits), 0.9)
        return
    sound = checks.valid("de.idnr", run.digits)
    if _TAX_WORDS.search(near):
        yield Span(run.start, run.end, "tax-number", sound, 0.95)
    elif sound and run.groups in ((11,), (2, 3, 3, 3)):
        yield Span(run.start, run.end, "tax-number", True, 0.6)


def _security(reading: Reading) -> Iterator[Span]:
    for found in _SECURITY.finditer(reading.text):
        area, group, serial = found[1], found[3], found[4]
        if area[0] == "9":  # an individual taxpayer identification number (26 CFR 301.6109-1)
            yield Span(found.start(), found.end(), "tax-number", None, 0.7)
            continue
        issued = area not in ("000", "666") and group != "00" and serial != "0000"  # 20 CFR 422.103
        yield Span(found.start(), found.end(), "social-security-number", issued, 0.8 if issued else 0.6)
    for found in _NINE.finditer(reading.text):
        if _SECURITY_WORDS.search(reading.before(found.start(), _NEAR)):
            yield Span(found.start(), found.end(), "social-security-number", None, 0.8)


def _steuernummer(reading: Reading) -> Iterator[Span]:
    for found in _STEUERNUMMER.finditer(reading.text):
        named = _TAX_WORDS.search(reading.before(found.start(), _NEAR + 8)) or re.search(
            r"(?i)st\.?-?nr", reading.before(found.start(), 12)
        )
        if named or " " not in found[0]:
            yield Span(found.start(), found.end(), "tax-number", None, 0.85 if named else 0.5)
