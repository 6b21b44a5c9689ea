"""`deleatur export`: give one person all records of them, and nobody else's."""

from pathlib import Path
from typing import Any

import click

from deleatur.cli.common import settings_option
from deleatur.cli.output import as_json_option, emit, note, say, table
from deleatur.cli.searching import search, subject_options


@click.command("export")
@click.argument("datamap", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="A new folder for the package; with --sealed-to a new file.",
)
@click.option("--sealed-to", metavar="age1…", help="Encrypt the package to this age recipient.")
@subject_options
@settings_option
@as_json_option
def command(
    datamap: Path, out: Path, sealed_to: str | None, settings: Path | None, *, as_json: bool, **whose: Any
) -> None:
    """Write all records of one person, from every store of DATAMAP, as a package that a person can read.

    Records that may be somebody else's are never exported: a person decides on them first.
    """
    import hashlib

    from deleatur.documents.codec import encode_json
    from deleatur.documents.datamap import encode_datamap
    from deleatur.engine.exporting import export_of, write_folder, write_sealed
    from deleatur.engine.jobs import now
    from deleatur.engine.mapping import attested, read_map
    from deleatur.engine.settings import load_settings
    from deleatur.judge.datamap import open_items

    known = read_map(datamap)
    if waiting := [item.what for item in open_items(known, attested(datamap, known)) if item.blocks]:
        note(f"the data map is open, so the export may lack something: {waiting[0]}")
    found = search(known, load_settings(settings).registry, **whose)
    digest = hashlib.sha256(encode_datamap(known)).hexdigest()
    export = export_of(known, digest, found, f"{now():%Y-%m-%dT%H:%M:%SZ}")
    if sealed_to:
        record = write_sealed(out, export, found, sealed_to)
    else:
        record = write_folder(out, export, found)
        note(f"{out} holds data in clear: hand it over, then erase it")
    if as_json:
        import json

        emit(json.loads(encode_json(record)))
        return
    table([(p.place.id, p.table.name, str(len(p.rows))) for p in found.parts], ("place", "table", "records"))
    for each in export.elsewhere:
        say(f"not in it: {each.where}: {each.what}: {each.count}")
    say(f"written: {out}; {record.records} records, HMAC-SHA-256 {record.package_hmac}")
