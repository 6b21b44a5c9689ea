"""Chat lines with labels, made by chance from a seed: the same seed gives the same lines.

Templates are ours, names come from lists that the detectors do not read; a real chat is harder, so take
recall on these lines as an upper bound.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from deleatur.testing.shop import numbers

_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁"
    "魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎"
    "易常武乔贺赖龚文"
)
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建文斌宇浩凯雪梅晨欣怡子涵诗梓轩睿博思"
    "雨佳琪俊豪嘉宁婷慧颖志鹏飞翔倩楠"
)
_GERMAN = (
    "Anna Jürgen Björn Käthe Sören Lena Günther Uwe Heike Jörg Ulrike Matthias Zoë Thorsten Änne "
    "Friedrich Petra Klaus",
    "Müller Schäfer Köhler Groß Weiß Jäger Böhm Kühn Vogt Krüger Brandstätter Fuchs Winkelmann Strauß "
    "Hübner Zöllner Rößler",
)
_ENGLISH = (
    "Olivia James Ashley Michael Brianna Christopher Savannah Tyler Madison Joshua Kayla Hannah Dylan "
    "Latoya Miguel Siobhan",
    "Whitaker O'Connor Ramirez Kowalczyk Hutchinson Nakamura Delacroix Fitzgerald McAllister Thornton "
    "Okafor Pemberton",
)
_TEMPLATES = {
    "zh": (
        "你好，我是{name}，手机号{mobile}，麻烦改一下地址",
        "收件人{name}，电话{mobile}，谢谢",
        "身份证号{id}，{name}，海关要的",
        "我叫{name}，退款打到卡号{card}",
        "请问{name}的快递到哪了？电话{mobile}",
        "实名认证：{name} {id}",
        "{name}的订单帮我取消吧，邮箱{mail}",
        "把{card}解绑，换成{card}",
        "联系{name}，{mobile}，微信同号",
        "孩子生日{born}，收件人写{name}",
        "帮{name}开发票，寄到邮箱{mail}",
        "登录地址{ip}不是我，我是{name}",
        "什么时候发货？等了三天了",
        "订单号20260{serial}还没到，急",
        "满300减50的券怎么用不了",
        "好的，谢谢，麻烦您了",
    ),
    "de": (
        "Hallo, hier ist {name}, meine Nummer ist {mobile}",
        "Bitte an {name} liefern, Tel. {landline}",
        "{name}, IBAN {iban}, danke für die Erstattung",
        "Meine Steuer-ID ist {id}, Gruß {name}",
        "Karte {card} wurde doppelt belastet",
        "Das Paket für {name} fehlt, Mail {mail}",
        "geboren am {born}, {name}",
        "Zugriff von {ip} war nicht ich",
        "Wann kommt die Bestellung 2026-{serial}?",
        "Vielen Dank, alles gut angekommen",
    ),
    "en": (
        "Hi, I'm {name}, call me at {mobile}",
        "The parcel for {name} never came, phone {mobile}",
        "SSN {id}, {name}",
        "Refund card {card} please, {name}",
        "{name} here, my email is {mail}",
        "DOB {born}, {name}",
        "Login from {ip} wasn't me",
        "Where is order 112-{serial}?",
        "Thanks, that worked great",
    ),
}
_SEPARATORS = ("", "", " ", "-")
_TYPES = {
    "name": "person-name", "mobile": "mobile-number", "landline": "landline-number", "card": "bank-card",
    "mail": "e-mail", "born": "date-of-birth", "ip": "ip-address", "iban": "iban",
}  # fmt: skip
_IDS = {"zh": "resident-id", "de": "tax-number", "en": "social-security-number"}
_FIRST_BIRTH, _DAYS = date(1948, 1, 1), 25_000


@dataclass(frozen=True)
class Label:
    """A labelled place in a text."""

    start: int
    end: int
    type: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """A text with its labels; `known` are values of its row."""

    id: str
    language: str
    text: str
    labels: tuple[Label, ...]
    known: tuple[str, ...] = ()


def chats(count: int, seed: int) -> Iterator[Case]:
    """Yield chat lines, half of them Chinese; the row's name is known in German and English lines only."""
    random = Random(seed)
    for number in range(count):
        language = random.choice(("zh", "zh", "de", "en"))
        yield chat(random, f"chat {number}", language, name_of(random, language))


def chat(random: Random, name: str, language: str, person: str) -> Case:
    """Return one line in which `person` writes."""
    template = random.choice(_TEMPLATES[language])
    text, labels = "", []
    for part in template.replace("}", "{").split("{"):
        if part == "serial":
            text += f"{random.randrange(10**7):07d}"
        elif part in _TYPES or part == "id":
            value = person if part == "name" else _value(random, part, language)
            type_ = _IDS[language] if part == "id" else _TYPES[part]
            labels.append(Label(len(text), len(text) + len(value), type_))
            text += value
        else:
            text += part
    known = () if language == "zh" else (person,)
    return Case(id=name, language=language, text=text, labels=tuple(labels), known=known)


def name_of(random: Random, language: str) -> str:
    """Return a name of somebody who speaks a language."""
    if language == "zh":
        return random.choice(_SURNAMES) + "".join(random.sample(_GIVEN, random.choice((1, 2, 2, 2))))
    given, surnames = _GERMAN if language == "de" else _ENGLISH
    return f"{random.choice(given.split())} {random.choice(surnames.split())}"


def _value(random: Random, part: str, language: str) -> str:
    match part:
        case "mobile":
            return _mobile(random, language)
        case "landline":
            return f"030 23125 {random.randrange(1000):03d}"
        case "card":
            return _grouped(numbers.card(random), (4, 4, 4, 4), random)
        case "mail":
            return f"user.{random.randrange(10**5)}@example.{random.choice(('com', 'org', 'net'))}"
        case "born":
            return _born(random, language)
        case "ip":
            return f"203.0.113.{random.randrange(256)}"
        case "iban":
            return _iban(random)
        case _:
            return _id(random, language)


def _mobile(random: Random, language: str) -> str:
    if language == "zh":
        prefix = random.choice(("", "", "", "+86", "+86 "))
        return prefix + _grouped(f"154{random.randrange(10**8):08d}", (3, 4, 4), random)
    if language == "de":
        return random.choice(("0171 39200", "+49 171 39200", "0171/39200")) + f"{random.randrange(10, 100)}"
    return numbers.phone(random, "US").removeprefix(random.choice(("", "+1 ")))


def _id(random: Random, language: str) -> str:
    if language == "zh":
        number = numbers.resident_id(random, _FIRST_BIRTH + timedelta(days=random.randrange(_DAYS)))
        return random.choice((number, number.lower(), _grouped(number, (6, 8, 4), random)))
    if language == "de":
        return _grouped(numbers.tax_id(random), (2, 3, 3, 3), random)
    return f"{random.randrange(100, 600)}-{random.randrange(1, 100):02d}-{random.randrange(1, 10_000):04d}"


def _born(random: Random, language: str) -> str:
    born = _FIRST_BIRTH + timedelta(days=random.randrange(_DAYS))
    if language == "zh":
        return random.choice((f"{born.year}年{born.month}月{born.day}日", born.isoformat()))
    return f"{born:%d.%m.%Y}" if language == "de" else f"{born:%m/%d/%Y}"


def _iban(random: Random) -> str:
    body = f"{random.randrange(10**18):018d}"
    check = 98 - int(body + "131400") % 97  # D and E are 13 and 14
    return _grouped(f"DE{check:02d}{body}", (4, 4, 4, 4, 4, 2), random)


def _grouped(digits: str, sizes: tuple[int, ...], random: Random) -> str:
    separator = random.choice(_SEPARATORS)
    places = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    return separator.join(digits[a:b] for a, b in itertools.pairwise(places))
