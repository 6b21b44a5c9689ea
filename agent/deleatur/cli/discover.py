"""`deleatur discover`: look at stores and write the data map, or compare two maps."""

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deleatur.cli.common import settings_option
from deleatur.cli.output import as_json_option, emit, note, say, table
from deleatur.errors import Refused

if TYPE_CHECKING:
    from deleatur.documents.datamap import DataMap

_EVERY = 5.0  # seconds between two lines of progress


@click.command("discover")
@click.argument("urls", nargs=-1, metavar="URL...")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write datamap.toml.")
@click.option(
    "--declared",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="declared.toml: owners, purposes, and places that cannot be read.",
)
@click.option("--active", metavar="RULE", help="Who is active, such as 'orders.ordered_on within 365 days'.")
@click.option("--as-of", metavar="DAY", help="The day of the rule, as 2026-11-22 (default: today, UTC).")
@click.option(
    "--compare",
    nargs=2,
    metavar="OLD NEW",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Look at no store: say what a later map has that an earlier one has not.",
)
@settings_option
@as_json_option
def command(
    urls: tuple[str, ...],
    out: Path | None,
    declared: Path | None,
    active: str | None,
    as_of: str | None,
    compare: tuple[Path, Path] | None,
    settings: Path | None,
    as_json: bool,
) -> None:
    """Look at the stores at each URL without changing them, and write the data map.

    The map names places, tables, columns, types and counts, and holds no data. Owners attest their
    parts with `deleatur attest`; what is open shows `deleatur map`.
    """
    if compare:
        _compare(*compare, as_json=as_json)
        return
    from deleatur.documents.declared import Declaration
    from deleatur.engine.discovery import Request, discover, read_declaration
    from deleatur.engine.hooks import Hooks
    from deleatur.engine.jobs import now
    from deleatur.engine.mapping import write_map
    from deleatur.engine.settings import load_settings
    from deleatur.judge.activity import activity

    if out is None:
        raise Refused("say where to write the map: --out datamap.toml")
    if out.exists():
        raise Refused(f"{out} is there already; choose another name, an older map is kept to be compared")
    made_at = f"{now():%Y-%m-%dT%H:%M:%SZ}"
    day = _day(as_of or made_at[:10])
    known = load_settings(settings)
    request = Request(
        urls=urls,
        as_of=day,
        made_at=made_at,
        declaration=read_declaration(declared) if declared else Declaration(schema="deleatur/declared/v1"),
        folder=(declared or Path("x")).absolute().parent,
        rule=activity(active, day) if active else None,
        detectors=Hooks.load(known.agent.plugins.trusted).detectors(),
    )
    datamap = discover(request, known.registry, teller(quiet=as_json))
    write_map(out, datamap)
    if as_json:
        emit({"datamap": str(out), **_counts(datamap)})
    else:
        show_map(out, datamap)


def _compare(old: Path, new: Path, *, as_json: bool) -> None:
    from deleatur.engine.mapping import read_map
    from deleatur.judge.datamap import compare

    changes = compare(read_map(old), read_map(new))
    if as_json:
        emit({"changes": [{"kind": change.kind, "what": change.what} for change in changes]})
    elif not changes:
        say("nothing is new")
    for change in () if as_json else changes:
        say(f"{change.kind}: {change.what}")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("write the day as 2026-11-22") from None


def teller(*, quiet: bool) -> Callable[[str, int], None]:
    """Return what notes now and then how many records of a place were read."""
    last = 0.0

    def tell(place: str, records: int) -> None:
        nonlocal last
        if not quiet and time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            note(f"{place}: {records} records")

    return tell


def _counts(datamap: "DataMap") -> dict[str, int]:
    return {
        "places": len(datamap.place),
        "declared": len(datamap.declared),
        "people": datamap.people.found,
        "differences": len(datamap.difference),
        "unread": sum(u.count for p in datamap.place for u in p.unread),
    }


def show_map(out: Path, datamap: "DataMap") -> None:
    """Print a line for each place, and what differs."""
    rows = [
        (
            p.id,
            p.state,
            str(len(p.table)),
            str(sum(t.records for t in p.table)),
            str(p.people),
            str(len(p.unread)),
        )
        for p in datamap.place
    ]
    table(rows, ("place", "state", "tables", "records", "people", "unread"))
    say(f"people in all places, each counted once: {datamap.people.found}")
    for difference in datamap.difference:
        say(f"differs: {difference.what}: declared {difference.declared}, found {difference.found}")
    say(f"written: {out}; what is open shows `deleatur map {out}`")
