"""A million customers as a shop has them: 12 columns, the last of them what they wrote to support."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any

import pyarrow as pa

from benchmarks._chats import chat, name_of
from deleatur.testing.shop import numbers

PART = 1 << 16  # rows in a row group
_STREETS = {
    "zh": "北京市朝阳区建国路{}号",
    "de": "Hauptstraße {}, 10115 Berlin",
    "en": "{} Main Street, Springfield",
}
_CLOSINGS = {  # what a line ends with, so that it has the length of a message
    "zh": ("麻烦尽快处理一下，等了好几天了，谢谢！", "辛苦了，有消息请回复我，非常感谢。"),
    "de": (
        "Bitte melden Sie sich bald, vielen Dank und freundliche Grüße",
        "Danke im Voraus für eine rasche Antwort.",
    ),
    "en": (
        "Please look into it soon, thank you very much in advance",
        "I would be glad to hear back from you this week.",
    ),
}
_LANGUAGES = ("zh",) * 5 + ("en",) * 3 + ("de",) * 2
_FIRST, _DAYS = date(1948, 1, 1), 25_000


def customers(rows: int, seed: int = 2026, *, part: int = PART) -> Iterator[pa.RecordBatch]:
    """Yield `rows` customers, `part` at a time, half of them Chinese; the same seed gives the same ones."""
    random = Random(seed)
    for start in range(0, rows, part):
        records = [_customer(random, start + n) for n in range(min(part, rows - start))]
        yield pa.RecordBatch.from_pylist(records)


def _customer(random: Random, number: int) -> dict[str, Any]:
    language = random.choice(_LANGUAGES)
    name = name_of(random, language)
    born = _FIRST + timedelta(days=random.randrange(_DAYS))
    return {
        "id": number,
        "name": name,
        "id_number": numbers.resident_id(random, born) if language == "zh" else numbers.tax_id(random),
        "phone": numbers.phone(random, {"zh": "CN", "de": "DE", "en": "US"}[language]),
        "mail": f"person.{number}@example.com",
        "card": numbers.card(random),
        "address": _STREETS[language].format(random.randrange(1, 999)),
        "born": born.isoformat(),
        "ip": f"203.0.113.{random.randrange(256)}",
        "total_cents": random.randrange(100_000),
        "seen": (date(2020, 1, 1) + timedelta(days=random.randrange(2000))).isoformat(),
        "chat": f"{chat(random, '', language, name).text}\n{random.choice(_CLOSINGS[language])}",
    }
