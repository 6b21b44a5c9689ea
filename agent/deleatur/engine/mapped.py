"""Read the records of the places of a data map again, and change nothing.

Rules kept: what the map does not know stops the reading, for nothing may be passed over unseen; what
cannot be read is counted; a place that is lost has no records.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from deleatur.documents.datamap import DataMap, Place, Table
from deleatur.documents.job import Target
from deleatur.engine.naming import columns_of, is_value, shown, unique
from deleatur.engine.opening import Registry
from deleatur.engine.registry import scheme_of
from deleatur.errors import Refused
from deleatur.formats import Unreadable, tables_of
from deleatur.holding import Contents, HeldFile, HeldTable, NotRead

Row = tuple[Any, ...]
Visit = Callable[[Place, Table, Iterator[Row]], None]  # reads all rows before it returns
_MOVES = frozenset({"inode", "generation"})  # of an identity: an erase of rows makes a new file


def read_mapped(datamap: DataMap, registry: Registry, visit: Visit) -> Counter[str]:
    """Show every table of every place that was found; return how many things of each place were not read.

    Raises:
        Refused: a store, table or column is not the one of the map. And whatever a backend raises.
    """
    unread: Counter[str] = Counter()
    for place in datamap.place:
        if place.state == "found":
            unread[place.id] = _read(place, registry, visit)
    return unread


def _read(place: Place, registry: Registry, visit: Visit) -> int:
    backend, _ = registry(scheme_of(place.url))
    unread = 0
    target = Target(id="look", url=place.url)
    with closing(backend.open(target, {"digest-key": secrets.token_bytes(32)})) as opened:
        contents = opened.contents()
        _require_same(place, contents)
        known = {(t.name if not t.files else t.kind, *(f.name for f in t.field)): t for t in place.table}
        for holding in contents.holdings:
            match holding:
                case HeldTable():
                    columns = columns_of(holding)
                    visit(place, _known(place, known, (shown(holding.name), *columns)), holding.read())
                case HeldFile():
                    unread += not _file(place, known, holding, visit)
                case NotRead():
                    unread += 1
    return unread


def _file(place: Place, known: dict[tuple[str, ...], Table], held: HeldFile, visit: Visit) -> bool:
    try:
        with held.open() as stream:
            for parsed in tables_of(stream, held.suffix, held.size, is_value):
                table = _known(place, known, (parsed.kind, *unique(parsed.columns)))
                visit(place, table, parsed.rows)
    except (OSError, Unreadable):
        return False
    return True


def _known(place: Place, known: dict[tuple[str, ...], Table], key: tuple[str, ...]) -> Table:
    try:
        return known[key]
    except KeyError:
        raise Refused(
            f"{place.id} has a table or columns that are not in the data map: {key[0]}; discover it again"
        ) from None


def _require_same(place: Place, contents: Contents) -> None:
    """Refuse a store that is not the one that was mapped."""
    mapped = dict(place.identity)
    for name, value in contents.identity.fields:
        if name in mapped and name not in _MOVES and mapped[name] != shown(value, 4096):
            raise Refused(f"{place.id} is not the store of the map: its {name} differs; discover it again")
    if contents.identity.kind != place.kind:
        raise Refused(f"{place.id} is not the store of the map: {place.kind} there, now another kind")
