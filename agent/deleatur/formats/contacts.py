"""Read address books (RFC 6350, and the older 2.1 and 3.0): one record a card."""

import quopri
from collections.abc import Iterator
from typing import IO

from deleatur.formats.encodings import encoding_of, lines_of
from deleatur.formats.parsed import Parsed, Row

_COLUMNS = ("fn", "n", "tel", "tel-2", "email", "email-2", "adr", "bday", "org", "note", "other")
_LONGEST = 1 << 20  # characters of one line; photographs are longer and cut


def contacts(stream: IO[bytes]) -> Iterator[Parsed]:
    """Yield the cards of a file."""
    encoding = encoding_of(stream)
    rows = _cards(_unfolded(lines_of(stream, encoding)))
    yield Parsed(kind="contacts", columns=_COLUMNS, rows=rows, dialect=encoding)


def _unfolded(lines: Iterator[str]) -> Iterator[str]:
    """Join lines that were folded (RFC 6350 §3.2), and those that quoted-printable goes on."""
    held = ""
    for line in lines:
        line = line.rstrip("\r\n")  # noqa: PLW2901
        if line[:1] in (" ", "\t"):
            held = (held + line[1:])[:_LONGEST]
        elif held.endswith("=") and "QUOTED-PRINTABLE" in held.upper():
            held = (held[:-1] + line)[:_LONGEST]
        else:
            if held:
                yield held
            held = line
    if held:
        yield held


def _cards(lines: Iterator[str]) -> Iterator[Row]:
    card: dict[str, str] | None = None
    for line in lines:
        head, _, value = line.partition(":")
        name, _, options = head.upper().partition(";")
        name = name.rpartition(".")[2].lower()
        if name == "begin":
            card = {}
        elif name == "end" and card is not None:
            yield tuple(card.get(column, "") for column in _COLUMNS)
            card = None
        elif card is not None and name not in ("version", "photo", "prodid", "rev"):
            _add(card, name, _plain(value, options))


def _add(card: dict[str, str], name: str, value: str) -> None:
    if name in ("tel", "email") and name in card:
        name += "-2"
    if name not in _COLUMNS:
        name = "other"
    card[name] = f"{card[name]} {value}" if name in card else value


def _plain(value: str, options: str) -> str:
    if "QUOTED-PRINTABLE" in options:
        value = quopri.decodestring(value.encode("utf-8", "replace")).decode("utf-8", "replace")
    value = value.removeprefix("tel:").removeprefix("mailto:")
    return value.replace("\\,", ",").replace("\\;", ";").replace("\\n", " ").replace(";", " ").strip()
