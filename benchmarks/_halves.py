"""Customers of whom one half leaves and the other stays, in turns, with values that a search can tell.

Each value names its customer and carries a mark that only this run can make, so that no hit is chance.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LONG = 50  # every so many customers have a document that engines store apart
_KEY = secrets.token_bytes(16)
_VALUE = re.compile(rb"ZQ([A-Z])([NEHT])(\d{8})-([0-9a-f]{12})")
_CHUNK, _OVERLAP = 8 << 20, 64  # bytes
Row = tuple[int, int, str, str, str]  # id, leaves, name, email, document


def customers(rows: int, letter: str) -> Iterator[Row]:
    """Yield so many customers; values of those who leave begin with ZQ and `letter`, of others with ZQK."""
    for number in range(rows):
        leaves = number % 2
        mark = letter if leaves else "K"
        name, email, head, tail = (_value(mark, kind, number) for kind in "NEHT")
        filling = secrets.token_hex(3000 if number // 2 % LONG == 0 else 60)
        yield number, leaves, name, f"{email}@example.org", f"{head} {filling} {tail}"


def values_of(letter: str, number: int) -> list[bytes]:
    """Return what only this customer's row has: name, e-mail, begin and end of the document."""
    return [_value(letter, kind, number).encode() for kind in "NEHT"]


def _value(letter: str, kind: str, number: int) -> str:
    stem = f"ZQ{letter}{kind}{number:08d}"
    return f"{stem}-{hmac.digest(_KEY, stem.encode(), 'sha256').hex()[:12]}"


@dataclass
class Found:
    """What a search saw, by letter: hits, and the customers of whom they tell."""

    hits: dict[str, int] = field(default_factory=dict)
    customers: dict[str, set[int]] = field(default_factory=dict)

    def of(self, letter: str) -> int:
        """Return of how many customers something was seen."""
        return len(self.customers.get(letter, ()))


def search(paths: Iterable[Path]) -> Found:
    """Read every byte of the files, and count the values of those who leave."""
    found = Found()
    for path in paths:
        with path.open("rb") as file:
            search_in(file, found)
    return found


def search_in(file: IO[bytes], found: Found) -> None:
    """Read to the end, and add what is seen."""
    rest = b""
    while chunk := file.read(_CHUNK):
        content = rest + chunk
        for match in _VALUE.finditer(content):
            if match.end() > len(rest):  # else it was counted already
                _count(found, match)
        rest = content[-_OVERLAP:]


def _count(found: Found, match: re.Match[bytes]) -> None:
    letter, kind, number = match[1].decode(), match[2].decode(), int(match[3])
    if letter != "K" and match[0].decode() == _value(letter, kind, number):
        found.hits[letter] = found.hits.get(letter, 0) + 1
        found.customers.setdefault(letter, set()).add(number)


def digest(rows: Iterable[object]) -> str:
    """Return a digest of rows in their order."""
    total = hashlib.sha256()
    for row in rows:
        total.update(repr(row).encode())
    return total.hexdigest()
