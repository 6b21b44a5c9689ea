"""Forms of sound numbers, in which the digits that no detector asks for may be any. Pure.

Each form says by its layout which numbers it means, which of them are sound, and which number stands for
them all. The digits that decide about a find or its type are part of the form or are kept.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Places = npt.NDArray[np.int64]
    Truth = npt.NDArray[np.bool_]
    Draw = Callable[[Bytes], tuple[Truth, Bytes]]

_FILL = 5  # stands for every digit that nobody asks for
_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])  # GB 11643-1999
_PROVINCES = np.zeros(100, bool)  # GB/T 2260
_PROVINCES[
    [11, 12, 13, 14, 15, 21, 22, 23, *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66)]
] = True
_CARDS = np.zeros(100, bool)  # first two digits of 16 that are a card's (ISO/IEC 7812-1)
_CARDS[[*range(22, 28), 35, *range(40, 70), 81, *range(90, 100)]] = True
_FIRST_YEAR, _LAST_YEAR = 1900, 2029  # in which every reading of a date takes it for one
_LAST_DAY = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_MOBILE, _GLUED, _TWELVE = (
    "15555555555",
    "8615555555555",
    "255555555555",
)  # what is drawn; the last is no find
_TAX_DIALLED = "15234567893"  # a sound one too
_CARD, _TAX, _SECURITY, _AMERICAN = "6255555555555558", "23456789056", "5" * 9, "5" * 10
_IBAN = "74555555555555555555"
_RESIDENT, _RESIDENT_X = "110101199010105550", "11010119901010550"
_DASHES, _SPACES, _STOPS, _SLASHES = (ord(mark) for mark in "- ./")


def key_of(layout: tuple[int, ...]) -> int:
    """Return one number for the lengths of up to four groups of digits."""
    return sum(length << (5 * group) for group, length in enumerate(layout))


GLUED = (key_of((13,)), key_of((5, 4, 4)))  # 8615412345678, 86154 1234 5678


@dataclass(frozen=True)
class Form:
    """A layout with separators, and how its sound numbers are drawn."""

    key: int
    columns: "Places"  # where the digits stand, counted from the first
    marks: "Truth"  # of each byte, whether it may stand between the groups; 0 for none
    countries: "Truth"  # of each country code up to 99, whether it may stand before; 0 for none
    draw: "Draw"  # digits of many numbers -> which are sound, and what stands for them


def days(year: "Places", month: "Places", day: "Places") -> "Truth":
    """Say which days every reading of them has."""
    good: Truth = (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12)
    good &= (day >= 1) & (day <= _LAST_DAY[np.minimum(month, 12)])
    return good


def _resident_with_x(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    """Take the 17 digits before an X."""
    return _born(digits) & (_checks(digits) == 2), _alike(digits, _RESIDENT_X)


def _value(digits: "Bytes") -> "Places":
    value = np.zeros(len(digits), np.int64)
    for column in digits.T:
        value = value * 10 + column
    return value


def _alike(digits: "Bytes", number: str) -> "Bytes":
    return np.broadcast_to(np.frombuffer(number.encode(), np.uint8) - np.uint8(48), digits.shape)


def _mobile(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    return (digits[:, 0] == 1) & (digits[:, 1] >= 3), _alike(digits, _MOBILE)


def _mobile_or_tax(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    good, drawn = _mobile(digits)
    others = np.flatnonzero(~good)
    drawn = drawn.copy()
    good[others], drawn[others] = _tax(digits[others])
    return good, drawn


def _mobile_glued(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    china = (digits[:, 0] == 8) & (digits[:, 1] == 6)
    return china & _mobile(digits[:, 2:])[0], _alike(digits, _GLUED)


def _twelve(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    """Take twelve digits: no detector knows such a number, so it only stays."""
    return digits[:, 0] >= 1, _alike(digits, _TWELVE)


def _eleven(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    """Take eleven digits in two groups that no country dials: an order number."""
    return digits[:, 0] >= 2, _alike(digits, "5" * 11)


def _ten(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    """Take ten digits in two groups: an American number, or one that stays."""
    american = (digits[:, 0] >= 2) & (digits[:, 3] >= 2)
    drawn = np.where(american[:, None], _alike(digits, _AMERICAN), _alike(digits, "1555555555"))
    return american | (digits[:, 0] == 1), drawn


def iban(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    """Take the 20 digits after DE: ISO 13616-1, MOD 97-10."""
    rest = np.zeros(len(digits), np.int64)
    for column in [*digits.T[2:], 1, 3, 1, 4, *digits.T[:2]]:  # DE is 13 14
        rest = (rest * 10 + column) % 97
    return rest == 1, _alike(digits, _IBAN)


def _card(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    doubled = digits[:, ::2].astype(np.int64) * 2
    total = (doubled - 9 * (doubled > 9)).sum(axis=1) + digits[:, 1::2].sum(axis=1)
    return _CARDS[_value(digits[:, :2])] & (total % 10 == 0), _alike(digits, _CARD)


def _resident(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    check = _checks(digits[:, :17])
    expected = np.array([1, 0, 99, 9, 8, 7, 6, 5, 4, 3, 2])[check]
    return _born(digits) & (expected == digits[:, 17]), _alike(digits, _RESIDENT)


def _checks(digits: "Bytes") -> "Places":
    checks: Places = (digits.astype(np.int64) * _WEIGHTS).sum(axis=1) % 11
    return checks


def _born(digits: "Bytes") -> "Truth":
    good: Truth = _PROVINCES[_value(digits[:, :2])]
    good &= days(_value(digits[:, 6:10]), _value(digits[:, 10:12]), _value(digits[:, 12:14]))
    return good


def _security(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    good = (digits[:, 0] >= 1) & (digits[:, 0] <= 8) & (_value(digits[:, :3]) != 666)
    good &= (_value(digits[:, 3:5]) > 0) & (_value(digits[:, 5:]) > 0)
    return good, _alike(digits, _SECURITY)


def _american(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    return (digits[:, 0] >= 2) & (digits[:, 3] >= 2), _alike(digits, _AMERICAN)


def _tax(digits: "Bytes") -> tuple["Truth", "Bytes"]:
    """Take German tax identification numbers: AO § 139b, ISO 7064 MOD 11,10."""
    product = np.full(len(digits), 10)
    for column in digits.T[:10]:
        total = (column + product) % 10
        product = np.where(total == 0, 10, total) * 2 % 11
    counts = np.array([(digits[:, :10] == number).sum(axis=1) for number in range(10)])
    repeated = ((counts == 2) | (counts == 3)).sum(axis=0) == 1
    good = (digits[:, 0] > 0) & ((11 - product) % 10 == digits[:, 10]) & repeated & (counts.max(axis=0) <= 3)
    dialled = _mobile(digits)[0][:, None]  # which is another find
    return good, np.where(dialled, _alike(digits, _TAX_DIALLED), _alike(digits, _TAX))


def _octets(layout: tuple[int, ...]) -> "Draw":
    ends = list(itertools.accumulate(layout))
    number = "".join({1: "1", 2: "10", 3: "100"}[length] for length in layout)

    def draw(digits: "Bytes") -> tuple["Truth", "Bytes"]:
        good = np.ones(len(digits), bool)
        for length, end in zip(layout, ends, strict=True):
            octet = digits[:, end - length : end]
            good &= (_value(octet) <= 255) & ((octet[:, 0] > 0) | (length == 1))
        return good & (digits[:, 0] > 0), _alike(digits, number)

    return draw


def _date(layout: tuple[int, ...], order: str) -> "Draw":
    ends = list(itertools.accumulate(layout))
    number = "".join({4: "1990", 2: "10", 1: "5"}[length] for length in layout)

    def draw(digits: "Bytes") -> tuple["Truth", "Bytes"]:
        parts = {
            part: _value(digits[:, end - length : end])
            for part, length, end in zip(order, layout, ends, strict=True)
        }
        return days(parts["y"], parts["m"], parts["d"]), _alike(digits, number)

    return draw


def _with_area(layout: tuple[int, ...], least: int) -> "Draw":
    """Keep the first group and the first digit of the others: they decide which country dials so."""
    kept = np.zeros(sum(layout), bool)
    kept[: layout[0]] = True
    kept[list(itertools.accumulate(layout))[:-1]] = True

    def draw(digits: "Bytes") -> tuple["Truth", "Bytes"]:
        good = (digits[:, 0] == 0) & (digits[:, 1] > 0) if not least else digits[:, 0] >= least
        return good, np.where(kept, digits, np.uint8(_FILL))

    return draw


def columns_of(layout: tuple[int, ...]) -> "Places":
    """Return where the digits of a number stand, with one separator between its groups."""
    groups = np.repeat(np.arange(len(layout)), layout)
    return np.arange(groups.size) + groups


def _form(layout: tuple[int, ...], marks: tuple[int, ...], draw: "Draw", *countries: int) -> Form:
    return Form(key_of(layout), columns_of(layout), _set(256, marks), _set(100, countries or (0,)), draw)


@cache
def _set(size: int, members: tuple[int, ...]) -> "Truth":
    there = np.zeros(size, bool)
    there[list(members)] = True
    return there


def _forms() -> Iterator[Form]:
    yield _form((11,), (0,), _mobile_or_tax)
    yield _form((11,), (0,), _mobile, 86)
    yield _form((13,), (0,), _mobile_glued)
    yield _form((5, 4, 4), (_DASHES, _SPACES), _mobile_glued)
    yield _form((3, 4, 4), (_DASHES, _SPACES), _mobile, 0, 86)
    yield _form((12,), (0,), _twelve)
    yield _form((4, 7), (_DASHES, _SPACES), _eleven)
    yield _form((3, 7), (_DASHES, _SPACES), _ten)
    yield _form((16,), (0,), _card)
    yield _form((4, 4, 4, 4), (_DASHES, _SPACES), _card)
    yield _form((18,), (0,), _resident)
    yield _form((6, 8, 4), (_DASHES, _SPACES), _resident)
    yield _form((3, 2, 4), (_DASHES, _SPACES), _security)
    yield _form((3, 3, 4), (_DASHES, _SPACES, _STOPS), _american, 0, 1)
    yield _form((2, 3, 3, 3), (_DASHES, _SPACES), _tax)
    for layout in itertools.product((1, 2, 3), repeat=4):
        dated = any(max(a, b) <= 2 == c for a, b, c in zip(layout, layout[1:], layout[2:], strict=False))
        if not dated and sum(layout) != 11:  # three octets that are a date; eleven digits are many things
            yield _form(layout, (_STOPS,), _octets(layout))
    for one, two in itertools.product((1, 2), repeat=2):
        yield _form((4, one, two), (_DASHES, _SLASHES, _STOPS), _date((4, one, two), "ymd"))
        yield _form((one, two, 4), (_STOPS,), _date((one, two, 4), "dmy"))
        yield _form((one, two, 4), (_DASHES, _SLASHES), _date((one, two, 4), "mdy"))
    for layout in _dialled():
        if layout[0] >= 3:
            yield _form(layout, (_DASHES, _SPACES, _SLASHES), _with_area(layout, 0))
        if sum(layout) != 11:  # thirteen digits from a 4 on may be a card
            yield _form(layout, (_DASHES, _SPACES), _with_area(layout, 1), 49)


def _dialled() -> Iterator[tuple[int, ...]]:
    """Yield the layouts of telephone numbers with an area code."""
    pairs = itertools.product(range(2, 6), range(3, 10))
    triples = itertools.product(range(2, 6), range(2, 6), range(2, 6))
    for layout in itertools.chain[tuple[int, ...]](pairs, triples):
        if 8 <= sum(layout) <= 12 and layout != (3, 2, 4):  # which may be social security
            yield layout


FORMS = tuple(_forms())
BEFORE_X = (_form((17,), (0,), _resident_with_x), _form((6, 8, 3), (_DASHES, _SPACES), _resident_with_x))
