"""Say which columns of a mapped table tell whose a record is, and read them from a record. Pure.

Rules kept: what a column holds is taken from the map, whether one value is an identifier from the
value itself; a reference is followed from the record that points to the one that it points to, never
back; the name of a column can keep a record away (`name`, `birth`), and brings none in by itself.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from deleatur.documents.datamap import DataMap, Field, Place, Table
from deleatur.errors import Refused
from deleatur.judge.activity import day_of
from deleatur.judge.names import name_of
from deleatur.judge.people import LINKING, family, normalised
from deleatur.judge.subject import LASTING, Identifier, Key, Pointer, Record

_MAIN = 0.5  # share of a column's values above which it is one of that type
_MAIL = re.compile(r"[^\s@<>,;\"']+@[^\s@<>,;\"']+")
_NUMBER = re.compile(r"[\w\s+()./-]{5,40}")
_LEAST_DIGITS = 3
_TAIL = 5  # characters at the end of a number, which stay when it is written in another way
_OLD = 15  # digits of a Chinese resident ID before 1999, which is compared as one of 18
_NAMED: Mapping[str, re.Pattern[str]] = {  # what a sample of few values, or of odd ones, may not show
    "person-name": re.compile(
        r"((first|last|full|given|family|sur|customer|client)[_ ]?)?name|kunde|vor-?name|nach-?name"
        r"|familienname|姓名|名字|姓|客户名称?|客户姓名",
        re.IGNORECASE,
    ),
    "date-of-birth": re.compile(
        r"birth[_ -]?(day|date)|date[_ ]of[_ ]birth|born([_ ]on)?|dob|geburts(tag|datum)|geboren(_am)?|生日"
        r"|出生(日期|年月日?)",
        re.IGNORECASE,
    ),
}
CERTAIN = tuple(kind for kind in LINKING if kind not in ("e-mail", "mobile-number"))


def identifiers_in(kind: str, value: Any) -> Iterator[Identifier]:
    """Yield the identifiers that a value is: an address or number, or a list of addresses; never a text."""
    if isinstance(value, bool | bytes | float) or value is None:
        return
    text = str(value).strip()
    if kind == "e-mail":
        for part in re.split("[,;]", text):
            bracketed = re.search("<([^<>]*)>", part)
            address = (bracketed[1] if bracketed else part).strip()
            if _MAIL.fullmatch(address):
                yield family(kind), normalised(kind, address)
        return
    digits = sum(c.isdigit() for c in text) >= _LEAST_DIGITS
    if digits and _NUMBER.fullmatch(text) and (plain := normalised(kind, text)):
        yield family(kind), plain


def key_text(value: Any) -> str:
    """Return a value of a key as text, so that 17 in a database and 17 in a file are one; "" is none."""
    if isinstance(value, bool | bytes) or value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


@dataclass(frozen=True)
class Roles:
    """The columns of one table that tell whose a record is, by their numbers."""

    where: str  # "place/table"
    mail: bool = False
    identifiers: tuple[tuple[int, str], ...] = ()
    names: tuple[int, ...] = ()
    born: tuple[int, ...] = ()
    keys: tuple[tuple[int, str], ...] = ()
    points: tuple[tuple[int, str, str, bool], ...] = ()  # number, its column, the column it points to, people

    def found(self, row: tuple[Any, ...]) -> Iterator[tuple[str, Identifier]]:
        """Yield the kind and identifier of each that the record holds of the one it is about."""
        for number, kind in self.identifiers:
            for identifier in identifiers_in(kind, row[number]):
                yield kind, identifier
        if self.mail:  # sender, recipients: a mail is its sender's, and that of whom alone it went to
            yield from (("e-mail", i) for i in identifiers_in("e-mail", row[0]))
            recipients = set(identifiers_in("e-mail", row[1]))
            yield from (("e-mail", i) for i in recipients if len(recipients) == 1)

    def concerned(self, identifiers: Collection[Identifier], keys: Collection[Key]) -> bool:
        """Say whether any of these could lead to a record of the table."""
        columns = {column for column, _ in keys}
        linked = any(to in columns for _, _, to, _ in self.points) or any(c in columns for _, c in self.keys)
        return linked or bool(identifiers and (self.identifiers or self.mail))

    def record(self, row: tuple[Any, ...], digest: str) -> Record:
        """Return what the record says about whose it is."""
        found = [*self.found(row)]
        days: list[date] = [day for n in self.born if (day := day_of(row[n]))]
        return Record(
            digest=digest,
            identifiers=frozenset(identifier for _, identifier in found),
            certain=frozenset(identifier for kind, identifier in found if kind in CERTAIN),
            lasting=frozenset((kind, identifier[1]) for kind, identifier in found if kind in LASTING),
            name=name_of([str(row[n]) for n in self.names if isinstance(row[n], str)]),
            born=days[0].isoformat() if len(set(days)) == 1 else "",
            keys=frozenset((c, text) for n, c in self.keys if (text := key_text(row[n]))),
            points=tuple(
                Pointer(column, (to, text), people)
                for n, column, to, people in self.points
                if (text := key_text(row[n]))
            ),
            letter=self.mail,
        )


class Sieve:
    """What leads to a record of one table. It is asked of every record, so it looks at little first."""

    def __init__(self, roles: Roles, identifiers: Collection[Identifier], keys: Collection[Key]) -> None:
        self._roles = roles
        self._identifiers = identifiers
        self._addresses = {value for kind, value in identifiers if kind == "e-mail"}
        self._tails = {value[-_TAIL:] for kind, value in identifiers if kind != "e-mail"}
        columns = [(n, to) for n, _, to, _ in roles.points] + [*roles.keys]
        known = {column: {value for to, value in keys if to == column} for _, column in columns}
        self._keys = [(n, known[column]) for n, column in columns if known[column]]

    def holds(self, row: tuple[Any, ...]) -> bool:
        """Say whether anything known leads to the record."""
        if any(key_text(row[n]) in values for n, values in self._keys):
            return True
        near = self._roles.mail or any(self._may_be(kind, row[n]) for n, kind in self._roles.identifiers)
        return near and any(identifier in self._identifiers for _, identifier in self._roles.found(row))

    def _may_be(self, kind: str, value: Any) -> bool:
        """Say whether a value can be a known identifier, without bringing it into the form of comparison."""
        if not isinstance(value, str) or not value.isascii():
            return value is not None
        if kind == "e-mail":
            lowered = value.lower()
            return any(address in lowered for address in self._addresses)
        plain = "".join(filter(str.isalnum, value)).upper()
        return plain[-_TAIL:] in self._tails or len(plain) == _OLD  # its last digits change with its form


def roles_of(
    datamap: DataMap, links: Mapping[str, str], apart: Collection[str], given: Collection[str]
) -> dict[tuple[str, str], Roles]:
    """Return the roles of every table of the map, by place and table.

    `links` and `apart` are columns as "place/table.column": links point from one column to another,
    also over stores; a column of `apart` is about somebody else, so nothing is read from it. `given` are
    columns of keys that the operator knows.

    Raises:
        Refused: one of these columns is not in the map.
    """
    tables = {f"{p.id}/{t.name}": (p, t) for p in datamap.place for t in p.table}
    columns = {f"{where}.{f.name}" for where, (_, t) in tables.items() for f in t.field}
    named = {*links, *links.values(), *apart, *given}
    if strangers := sorted(named - columns):
        raise Refused(f"the data map has no column {strangers[0]}; columns are written place/table.column")
    people = {where for where, (_, table) in tables.items() if _identifying(where, table, apart)}
    points = {
        column: to
        for where, (place, table) in tables.items()
        for field in table.field
        if (column := f"{where}.{field.name}") not in apart
        and (to := links.get(column) or _referenced(place, field, columns))
    }
    keys = {*points.values(), *given}
    return {
        (place.id, table.name): _roles(where, table, points, keys, people, apart)
        for where, (place, table) in tables.items()
    }


def _roles(
    where: str,
    table: Table,
    points: Mapping[str, str],
    keys: Collection[str],
    people: Collection[str],
    apart: Collection[str],
) -> Roles:
    names = [f"{where}.{field.name}" for field in table.field]
    return Roles(
        where=where,
        mail=table.kind == "mail",
        identifiers=_identifying(where, table, apart),
        names=_of_type(where, table, "person-name", apart),
        born=_of_type(where, table, "date-of-birth", apart),
        keys=tuple((n, name) for n, name in enumerate(names) if name in keys),
        points=tuple(
            (n, name, points[name], points[name].rpartition(".")[0] in people)
            for n, name in enumerate(names)
            if name in points
        ),
    )


def _identifying(where: str, table: Table, apart: Collection[str]) -> tuple[tuple[int, str], ...]:
    """Return the columns whose values are identifiers, each with its usual kind; texts name many people."""
    if table.kind in ("mail", "text", "full-text"):
        return ()
    found = []
    for number, field in enumerate(table.field):
        linking = [f for f in field.finding if f.type in LINKING]
        if (
            linking
            and f"{where}.{field.name}" not in apart
            and sum(f.count for f in linking) >= _MAIN * linking[0].of
        ):
            found.append((number, linking[0].type))
    return tuple(found)


def _of_type(where: str, table: Table, kind: str, apart: Collection[str]) -> tuple[int, ...]:
    if table.kind in ("mail", "text", "full-text"):
        return ()
    return tuple(
        n
        for n, field in enumerate(table.field)
        if f"{where}.{field.name}" not in apart
        and (
            _NAMED[kind].fullmatch(field.name)
            or any(f.type == kind and f.count >= _MAIN * f.of for f in field.finding)
        )
    )


def _referenced(place: Place, field: Field, columns: Collection[str]) -> str:
    """Return the column that a field points to by the store's own key, or ""."""
    if not field.references:
        return ""
    to = f"{place.id}/{field.references}"
    return to if to in columns else next((c for c in columns if c.casefold() == to.casefold()), "")
