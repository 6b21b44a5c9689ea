"""Find numbers of patients, of insured people and of those who treat them, where a form of them is published.

A shape with letters stands for itself; one of digits alone only beside a word that names it.
"""

import re
from collections.abc import Iterator

from deleatur.desensitize.detectors import checks
from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span

_INSURED = re.compile(r"(?<![0-9A-Za-z])([A-Za-z])[ ]?([0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{3})(?![0-9A-Za-z])")
_INSURED_WORDS = re.compile(r"kvnr|krankenvers|versichertennummer|gesundheitskarte", re.IGNORECASE)
# 42 CFR 414.1305 has no form; that of CMS ("Understanding the MBI"): letters without S, L, O, I, B, Z
_LETTER = "[AC-HJKMNP-RT-Yac-hjkmnp-rt-y]"
_EITHER = "[0-9AC-HJKMNP-RT-Yac-hjkmnp-rt-y]"
_MEDICARE = re.compile(
    rf"(?<![0-9A-Za-z])[1-9]{_LETTER}{_EITHER}[0-9]-?{_LETTER}{_EITHER}[0-9]-?{_LETTER}{{2}}[0-9]{{2}}"
    r"(?![0-9A-Za-z])"
)
_TEN = re.compile(r"(?<![0-9])[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}(?![0-9])")
_PROVIDER_WORDS = re.compile(r"(?<![a-z])npi(?![a-z])|national provider", re.IGNORECASE)
_PATIENT_WORDS = re.compile(r"(?<![a-z])nhs(?![a-z])", re.IGNORECASE)
_NEAR = 24  # characters: how far before a number a word may name it


def find(reading: Reading) -> Iterator[Span]:
    """Yield every candidate in a reading, overlapping ones too."""
    for found in _INSURED.finditer(reading.text):
        sound = checks.insured(found[1].upper() + found[2].replace(" ", ""))
        named = bool(_INSURED_WORDS.search(reading.before(found.start(), _NEAR)))
        if named or sound:
            yield Span(found.start(), found.end(), "health-number", sound, 0.95 if named else 0.6)
    for found in _MEDICARE.finditer(reading.text):
        yield Span(found.start(), found.end(), "health-number", None, 0.8)
    for found in _TEN.finditer(reading.text):
        digits, before = re.sub("[ -]", "", found[0]), reading.before(found.start(), _NEAR)
        if _PROVIDER_WORDS.search(before):
            sound = checks.luhn(f"80840{digits}")  # 45 CFR 162.406; prefix of ISO/IEC 7812 for health, USA
            yield Span(found.start(), found.end(), "health-number", sound, 0.95)
        elif _PATIENT_WORDS.search(before):
            yield Span(found.start(), found.end(), "health-number", checks.valid("gb.nhs", digits), 0.95)
