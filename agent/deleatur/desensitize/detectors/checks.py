"""Check digits and calendars: what tells a real number from one that only looks like it.

A check never decides whether something is redacted, only what it is called: numbers are mistyped,
and counties are founded after the people who live in them were born.
"""

import datetime
from types import ModuleType

from deleatur.errors import Unsupported

_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999, ISO 7064 MOD 11-2
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: without I, O, S, V, Z
_CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)  # 3^i mod 31
_PENSION_WEIGHTS = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)  # VKVV § 2
_PROVINCES = frozenset(  # GB/T 2260: first two digits of an administrative division
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
        "91",
    ]
)
_FIRST_YEAR, _LAST_YEAR = 1850, 2099  # years of birth that a form of ours may hold


def standard_numbers(name: str) -> ModuleType:
    """Return a module of python-stdnum, such as `eu.vat`.

    Raises:
        Unsupported: it is not installed.
    """
    from importlib import import_module

    try:
        return import_module(f"stdnum.{name}")
    except ImportError:
        raise Unsupported("detection needs python-stdnum: install deleatur[detect]") from None


def valid(name: str, number: str) -> bool:
    """Say whether python-stdnum's module `name` accepts a number."""
    return bool(standard_numbers(name).is_valid(number))


def luhn(digits: str) -> bool:
    """Say whether the last digit is the check digit of ISO/IEC 7812-1."""
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def resident(number: str) -> bool:
    """Say whether the 18th character of a resident ID number fits the other 17."""
    total = sum(int(d) * w for d, w in zip(number[:17], _RESIDENT_WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == number[17].upper()


def resident_shape(number: str) -> bool:
    """Say whether 15 or 18 characters begin with a province and hold a day of birth."""
    if number[:2] not in _PROVINCES:
        return False
    born = number[6:14] if len(number) == 18 else "19" + number[6:12]
    return day(int(born[:4]), int(born[4:6]), int(born[6:])) is not None


def credit_code(code: str) -> bool:
    """Say whether the 18th character of a unified social credit code fits the other 17."""
    if any(c not in _CREDIT_ALPHABET for c in code):
        return False
    total = sum(_CREDIT_ALPHABET.index(c) * w for c, w in zip(code[:17], _CREDIT_WEIGHTS, strict=True))
    return _CREDIT_ALPHABET[-total % 31] == code[17]


def mod_97(code: str) -> bool:
    """Say whether an IBAN's two check digits fit (ISO 13616-1, ISO 7064 MOD 97-10)."""
    return int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97 == 1


def pension(number: str) -> bool:
    """Say whether the last digit of a German pension insurance number fits: 12 characters (VKVV § 2)."""
    digits = number[:8] + f"{ord(number[8]) - 64:02d}" + number[9:11]
    products = (int(d) * w for d, w in zip(digits, _PENSION_WEIGHTS, strict=True))
    return sum(p // 10 + p % 10 for p in products) % 10 == int(number[11])


def insured(number: str) -> bool:
    """Say whether the last of the nine digits of a German health insurance number fits (SGB V § 290)."""
    digits = f"{ord(number[0]) - 64:02d}" + number[1:9]
    products = (int(d) * (1 + i % 2) for i, d in enumerate(digits))
    return sum(p // 10 + p % 10 for p in products) % 10 == int(number[9])


def day(year: int, month: int, number: int) -> datetime.date | None:
    """Return a day of a year in which somebody may have been born, None if there is no such day."""
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    try:
        return datetime.date(year, month, number)
    except ValueError:
        return None
