"""`deleatur map`: say what is open in a data map, and draw it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from deleatur.cli.output import as_json_option, emit, say
from deleatur.errors import Refused

if TYPE_CHECKING:
    from deleatur.documents.datamap import DataMap
    from deleatur.documents.detection import Level


@click.command("map")
@click.argument("datamap", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the map as one page.")
@click.option("--require-closed", is_flag=True, help="Refuse (exit 4) while anything is open.")
@click.option("--erased", metavar="ID", multiple=True, help="Say which places would still hold copies.")
@click.option("--source", metavar="TEXT", help="Say only which tables came from there, such as support.")
@click.option(
    "--at-most",
    type=click.Choice(["public", "internal", "sensitive"]),
    help="Say nothing if no place holds more; else name it and refuse (exit 4).",
)
@as_json_option
def command(
    datamap: Path,
    html: Path | None,
    require_closed: bool,
    erased: tuple[str, ...],
    source: str | None,
    at_most: "Level | None",
    as_json: bool,
) -> None:
    """Say what is open in DATAMAP: who has not attested, what differs, what was not read.

    While anything is open no plan may rest on the map.
    """
    from deleatur.cli.mappage import page
    from deleatur.engine.mapping import attested, read_map, write_new
    from deleatur.judge.datamap import gate, left_after, open_items

    known = read_map(datamap)
    if source is not None:
        _from(known, source, as_json=as_json)
        return
    if at_most is not None:
        _require_at_most(known, at_most, as_json=as_json)
        return
    held = attested(datamap, known)
    items = open_items(known, held)
    left = left_after(known, erased) if erased else ()
    if html:
        write_new(html, page(known, held).encode())
    if require_closed:
        gate(known, held)
    if as_json:
        listed = [{"kind": i.kind, "where": i.where, "what": i.what, "blocks": i.blocks} for i in items]
        emit({"open": listed, "attested": sorted(held), "left_after": list(left)})
        return
    for item in items:
        say(f"{'open' if item.blocks else 'noted'}: {item.what}")
    if not any(item.blocks for item in items):
        say("nothing is open")
    if erased:
        say(f"copies would stay in: {', '.join(left) or 'no place of this map'}")
    if html:
        say(f"written: {html}")


def _from(known: "DataMap", source: str, *, as_json: bool) -> None:
    """Say which tables came from a source."""
    from deleatur.judge.datamap import tables_from

    found = [{"place": p.id, "table": t.name, "records": t.records} for p, t in tables_from(known, source)]
    if as_json:
        emit({"tables": found})
    for each in () if as_json else found:
        say(f"{each['place']}/{each['table']}: {each['records']} records")


def _require_at_most(known: "DataMap", most: "Level", *, as_json: bool) -> None:
    """Name what holds more than a level; a clean place gives silence."""
    from deleatur.judge.datamap import above

    found = [*above(known, most)]
    for what in () if as_json else found:
        say(what)
    if found:
        raise Refused(f"{len(found)} things hold more than {most} data, or may: {found[0]}")
    if as_json:
        emit({"above": []})
