"""`deleatur map`: say what is open in a data map, and draw it."""

from pathlib import Path

import click

from deleatur.cli.output import as_json_option, emit, say


@click.command("map")
@click.argument("datamap", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the map as one page.")
@click.option("--require-closed", is_flag=True, help="Refuse (exit 4) while anything is open.")
@click.option("--erased", metavar="ID", multiple=True, help="Say which places would still hold copies.")
@as_json_option
def command(
    datamap: Path, html: Path | None, require_closed: bool, erased: tuple[str, ...], as_json: bool
) -> None:
    """Say what is open in DATAMAP: who has not attested, what differs, what was not read.

    While anything is open no plan may rest on the map.
    """
    from deleatur.cli.mappage import page
    from deleatur.engine.mapping import attested, read_map, write_new
    from deleatur.judge.datamap import gate, left_after, open_items

    known = read_map(datamap)
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
