"""Numbers that pass their checksums and belong to nobody: test ranges, never-issued ranges, film ranges."""

from datetime import date
from random import Random

_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999, ISO 7064 MOD 11-2
_RESIDENT_AREAS = ("110118", "110119", "310151", "120119", "330114", "440311")  # districts founded 2015 and
# later: nobody who was born before was given a number there
_CARD_RANGES = ("400000", "555555", "620000")  # test ranges of Visa, Mastercard, UnionPay
_GERMAN_LINES = (
    "30 23125",
    "40 66969",
    "69 90009",
    "89 99998",
)  # Bundesnetzagentur: numbers for films, 3 digits
_AMERICAN_AREAS = (
    "202",
    "206",
    "212",
    "303",
    "312",
    "415",
    "503",
    "617",
    "702",
    "808",
)  # 555-0100…0199: fiction


def luhn(digits: str) -> str:
    """Return the check digit of ISO/IEC 7812-1 for `digits`."""
    doubled = (int(d) * (2 - i % 2) for i, d in enumerate(reversed(digits)))
    return str(-sum(n - 9 if n > 9 else n for n in doubled) % 10)


def card(random: Random) -> str:
    """Return a card number of 16 digits from a test range."""
    digits = random.choice(_CARD_RANGES) + f"{random.randrange(10**9):09d}"
    return digits + luhn(digits)


def resident_id(random: Random, born: date) -> str:
    """Return a Chinese resident ID number (18 characters)."""
    digits = f"{random.choice(_RESIDENT_AREAS)}{born:%Y%m%d}{random.randrange(1000):03d}"
    return digits + resident_check(digits)


def resident_check(digits: str) -> str:
    """Return the check character for the first 17 digits of a resident ID number."""
    total = sum(int(d) * w for d, w in zip(digits, _RESIDENT_WEIGHTS, strict=True))
    return "10X98765432"[total % 11]


def tax_id(random: Random) -> str:
    """Return a German tax identification number: 11 digits, one of the first ten stands twice."""
    digits = random.sample("0123456789", 10)
    digits[random.randrange(1, 10)] = digits[0]
    random.shuffle(digits)
    if digits[0] == "0":
        digits.append(digits.pop(0))
    if digits[0] == "0":  # it was the doubled one
        digits.reverse()
    body = "".join(digits)
    return body + tax_check(body)


def tax_check(digits: str) -> str:
    """Return the check digit for ten digits (ISO 7064 MOD 11,10)."""
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return str((11 - product) % 10)


def social_security(random: Random) -> str:
    """Return a number of the form of a US SSN; area 666 is never issued (20 CFR 422.103)."""
    return f"666-{random.randrange(1, 100):02d}-{random.randrange(1, 10_000):04d}"


def phone(random: Random, country: str, *, large: bool = False) -> str:
    """Return a phone number that no network has given out; `large` takes ranges of more numbers."""
    if country == "CN":
        return f"+86154{random.randrange(10**8):08d}"  # 154 is assigned to no operator
    if large and country == "DE":
        return f"+49 199{random.randrange(10**7):07d}"  # used inside networks only
    if large:
        exchange = f"{random.randrange(2, 10)}11"  # N11 is no exchange (North American Numbering Plan)
        return f"+1 {random.choice(_AMERICAN_AREAS)}-{exchange}-{random.randrange(10_000):04d}"
    if country == "DE":
        return f"+49 {random.choice(_GERMAN_LINES)}{random.randrange(1000):03d}"
    return f"+1 {random.choice(_AMERICAN_AREAS)}-555-01{random.randrange(100):02d}"
