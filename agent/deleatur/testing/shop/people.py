"""Customers of the shop, in China, Germany and the United States: invented, and the same for one seed.

In a small shop no value of a kind stands inside another one, so a value that is found again names one
person. A large one needs more values than such ranges hold: there names and addresses come twice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from zlib import crc32

from deleatur.testing.shop import numbers

_SURNAMES_CN = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢"
_GIVEN_CN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建文斌宇浩凯雪梅晨欣怡子涵"
_GIVEN_DE = (
    "Anna Jürgen Björn Käthe Sören Lena Günther Uwe Heike Jörg Ulrike Matthias Zoë Thorsten Änne "
    "Friedrich Petra Klaus"
)
_SURNAMES_DE = (
    "Müller Schäfer Köhler Groß Weiß Jäger Böhm Kühn Vogt Krüger Lüdenscheidt Brandstätter "
    "Österreicher Fuchs Winkelmann Strauß Hübner Zöllner Ebersbach Rößler"
)
_GIVEN_US = (
    "Olivia James Ashley Michael Brianna Christopher Savannah Tyler Madison Joshua Kayla Brandon "
    "Hannah Dylan Latoya Miguel Siobhan Terrence"
)
_SURNAMES_US = (
    "Whitaker O'Connor Ramirez Kowalczyk Hutchinson Nakamura Delacroix Fitzgerald McAllister "
    "Thornton Abernathy Castellanos Goldstein Vandermeer Blackwood Sorensen Okafor Pemberton"
)
_PLACES: dict[str, tuple[tuple[str, str, str], ...]] = {  # street, city, postcode
    "CN": (
        ("中关村大街", "北京市海淀区", "100080"),
        ("南京西路", "上海市静安区", "200041"),
        ("天河路", "广州市天河区", "510620"),
        ("文三路", "杭州市西湖区", "310012"),
    ),
    "DE": (
        ("Königsallee", "Düsseldorf", "40212"),
        ("Schönhauser Allee", "Berlin", "10437"),
        ("Große Bleichen", "Hamburg", "20354"),
        ("Türkenstraße", "München", "80799"),
    ),
    "US": (
        ("Maple Avenue", "Sacramento, CA", "95814"),
        ("Cedar Street", "San Diego, CA", "92101"),
        ("Lakeview Drive", "Los Angeles, CA", "90012"),
        ("Harbor Road", "San Francisco, CA", "94105"),
    ),
}
_DOMAINS = {"CN": "example.net", "DE": "example.org", "US": "example.com"}  # RFC 2606
_COUNTRIES = ("CN", "DE", "CN", "US", "DE", "CN", "US")  # repeated; no outside source, a mix to look at
_LANGUAGES = {"CN": "zh", "DE": "de", "US": "en"}
_FIRST_BIRTH = date(1948, 1, 1)
_BIRTH_DAYS = 20_000  # to 2002: nobody is a minor
_BITS = 1 << 26  # of numbers that were drawn: 8 MiB for each kind


@dataclass(frozen=True, kw_only=True)
class Person:
    """One customer."""

    number: int
    country: str
    name: str
    born: date
    id_number: str
    phone: str
    email: str
    card: str
    address: str
    language: str

    def identifiers(self) -> Iterator[tuple[str, str]]:
        """Yield (kind, value) of everything that names this person."""
        for kind in ("name", "id_number", "phone", "email", "card", "address"):
            yield kind, str(getattr(self, kind))


_Draw = Callable[[str, Callable[[], str]], str]


class _Unique:
    """Draws values until one neither stands in an earlier one nor holds one."""

    def __init__(self) -> None:
        self._taken: dict[str, list[str]] = {}

    def draw(self, kind: str, make: Callable[[], str]) -> str:
        taken = self._taken.setdefault(kind, [])
        while True:
            value = make()
            if not any(value in other or other in value for other in taken):
                taken.append(value)
                return value


def people(random: Random, count: int, *, large: bool = False) -> Iterator[Person]:
    """Yield `count` customers, one after the other."""
    draw: _Draw = _Distinct().draw if large else _Unique().draw
    return (_person(random, draw, number, large=large) for number in range(1, count + 1))


class _Distinct:
    """Draws numbers until one is certainly new; names and addresses may come twice.

    Of each number one bit is kept, so that a million customers need no more memory than few. Where the
    bit of another number is met, one more number is drawn.
    """

    def __init__(self) -> None:
        self._taken = {kind: bytearray(_BITS >> 3) for kind in ("id_number", "phone", "card")}

    def draw(self, kind: str, make: Callable[[], str]) -> str:
        taken = self._taken.get(kind)
        while True:
            value = make()
            if taken is None:
                return value
            byte, bit = divmod(crc32(value.encode()) % _BITS, 8)
            if not taken[byte] >> bit & 1:
                taken[byte] |= 1 << bit
                return value


def _person(random: Random, draw: _Draw, number: int, *, large: bool) -> Person:
    country = _COUNTRIES[number % len(_COUNTRIES)]
    born = _FIRST_BIRTH + timedelta(days=random.randrange(_BIRTH_DAYS))
    numbered: dict[str, Callable[[], str]] = {
        "CN": lambda: numbers.resident_id(random, born),
        "DE": lambda: numbers.tax_id(random),
        "US": lambda: numbers.social_security(random),
    }
    return Person(
        number=number,
        country=country,
        name=draw("name", lambda: _name(random, country)),
        born=born,
        id_number=draw("id_number", numbered[country]),
        phone=draw("phone", lambda: numbers.phone(random, country, large=large)),
        email=f"{random.choice(('shop', 'kaufe', 'wang', 'mail'))}.{number:05d}@{_DOMAINS[country]}",
        card=draw("card", lambda: numbers.card(random)),
        address=draw("address", lambda: _address(random, country)),
        language=_LANGUAGES[country],
    )


def _name(random: Random, country: str) -> str:
    if country == "CN":
        return random.choice(_SURNAMES_CN) + "".join(random.sample(_GIVEN_CN, 2))
    given, surnames = (_GIVEN_DE, _SURNAMES_DE) if country == "DE" else (_GIVEN_US, _SURNAMES_US)
    middle = random.choice("ABCDEFGHJKLMPRSTW")
    return f"{random.choice(given.split())} {middle}. {random.choice(surnames.split())}"


def _address(random: Random, country: str) -> str:
    street, city, postcode = random.choice(_PLACES[country])
    number, flat = random.randrange(1, 400), random.randrange(1, 60)
    if country == "CN":
        return f"{city}{street}{number}号{flat}室 {postcode}"
    if country == "DE":
        return f"{street} {number}, Whg. {flat}, {postcode} {city}"
    return f"{number} {street}, Apt. {flat}, {city} {postcode}"
