"""Customers of whom one half leaves and the other stays, in turns, with values that a search can tell.

Each value names its customer and carries a mark that only this run can make, so that no hit is chance.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LONG = 50  # every so many customers have a document that engines store apart
_KEY = secrets.token_bytes(16)
_VALUE = re.compile(rb"ZQ([A-J])([NEHT])(\d{8})-([0-9a-f]{12})")
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


@dataclass
class Found:
    """What a search saw, by letter: the customers of whom it saw a value."""

    customers: dict[str, set[int]] = field(default_factory=dict)

    def of(self, letter: str) -> int:
        """Return of how many customers something was seen."""
        return len(self.customers.get(letter, ()))


def search(paths: Iterable[Path]) -> Found:
    """Read every byte of the files but their holes, and look for the values of those who leave."""
    found = Found()
    for path in paths:
        with path.open("rb") as file:
            for begin, end in _written(file):
                file.seek(begin)
                search_in(file, found, end - begin)
    return found


def _written(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Yield where a file has content: a disk of 3 GB in memory is mostly holes."""
    end = 0
    with suppress(OSError):  # no content behind
        while True:
            begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
            end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            yield begin, end


def search_in(file: IO[bytes], found: Found, size: int = 1 << 62) -> None:
    """Read so many bytes, or to the end, and add what is seen."""
    rest = b""
    while chunk := file.read(min(_CHUNK, size)):
        size -= len(chunk)
        content = rest + chunk
        for match in _VALUE.finditer(content):
            _note(found, match)
        rest = content[-_OVERLAP:]


def values_of(letter: str, number: int) -> list[bytes]:
    """Return what only this customer's row has: name, e-mail, begin and end of the document."""
    return [_value(letter, kind, number).encode() for kind in "NEHT"]


def _note(found: Found, match: re.Match[bytes]) -> None:
    letter, kind, number = match[1].decode(), match[2].decode(), int(match[3])
    seen = found.customers.setdefault(letter, set())
    if number not in seen and match[0].decode() == _value(letter, kind, number):
        seen.add(number)


def _value(letter: str, kind: str, number: int) -> str:
    stem = f"ZQ{letter}{kind}{number:08d}"
    return f"{stem}-{hmac.digest(_KEY, stem.encode(), 'sha256').hex()[:12]}"


def digest(rows: Iterable[object]) -> str:
    """Return a digest of rows in their order."""
    total = hashlib.sha256()
    for row in rows:
        total.update(repr(row).encode())
    return total.hexdigest()
