"""`deleatur draft`: draft the job that erases one person, for approval like any job."""

from pathlib import Path
from typing import Any

import click

from deleatur.cli.common import settings_option
from deleatur.cli.output import as_json_option, emit, note, say, table
from deleatur.cli.searching import search, subject_options


@click.command("draft")
@click.argument("datamap", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--job",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A new directory for the job.",
)
@click.option("--authority", required=True, help="What this rests on; it is printed in the certificate.")
@click.option("--requested-by", required=True, metavar="NAME", help="A pseudonym, never a person's name.")
@click.option("--name", default="erase-one-person", show_default=True, help="Of the job.")
@click.option(
    "--leave", multiple=True, metavar="PLACE", help="A place with files of the person; somebody sees to it."
)
@subject_options
@settings_option
@as_json_option
def command(
    datamap: Path,
    job: Path,
    authority: str,
    requested_by: str,
    name: str,
    leave: tuple[str, ...],
    settings: Path | None,
    *,
    as_json: bool,
    **whose: Any,
) -> None:
    """Draft the job that erases one person from the databases of DATAMAP: consent withdrawn, erasure asked.

    It is a draft: add holds and archives to job.toml, then plan, approve and run it as any job.
    """
    from deleatur.engine.drafting import Request, draft_job
    from deleatur.engine.mapping import require_closed
    from deleatur.engine.settings import load_settings
    from deleatur.judge.datamap import left_after

    known = require_closed(datamap)
    registry = load_settings(settings).registry
    found = search(known, registry, **whose)
    request = Request(datamap=datamap, name=name, authority=authority, requested_by=requested_by, leave=leave)
    directory, left = draft_job(job, known, found, request, registry)
    drafted = [part for part in found.parts if part not in left]
    erased = {part.place.id for part in drafted}
    stays = [("in files", p.place.id, p.table.name, len(p.rows)) for p in left]
    stays += [("named in texts", *where, count) for where, count in sorted(found.mentions.items())]
    copies = left_after(known, erased)
    if as_json:
        rows = [{"place": p.place.id, "table": p.table.name, "rows": len(p.rows)} for p in drafted]
        heads = ("why", "place", "table", "records")
        listed = [dict(zip(heads, each, strict=True)) for each in stays]
        emit({"job": str(directory.job), "select": rows, "stays": listed, "copies": copies})
        return
    table([(p.place.id, p.table.name, str(len(p.rows))) for p in drafted], ("place", "table", "rows that go"))
    for why, place, table_name, count in stays:
        say(f"stays, {why}: {place}/{table_name}: {count}")
    if copies:
        say(f"copies may stay in: {', '.join(copies)}")
    say(f"written: {directory.job}; add holds, then `deleatur plan {job}`")
    note("the values files beside it name the person: erase them when the job is certified")
