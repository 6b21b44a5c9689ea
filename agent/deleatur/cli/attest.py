"""`deleatur attest`: an owner signs their part of a data map."""

from pathlib import Path

import click

from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say


@click.command("attest")
@click.argument("datamap", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--owner", required=True, metavar="NAME", help="Whose part, as the map names them.")
@click.option(
    "--key", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The owner's private key."
)
@passphrase_option
@as_json_option
def command(datamap: Path, owner: str, key: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Sign the part of DATAMAP that belongs to an owner: it is complete and right.

    The map must explain each difference of theirs first. Whoever has not signed is listed.
    """
    from deleatur.engine.jobs import now
    from deleatur.engine.mapping import attest_map, attested, read_map
    from deleatur.judge.datamap import owners_of

    written = attest_map(datamap, owner, signing_key(key, passphrase_file), now)
    known = read_map(datamap)
    missing = sorted(set(owners_of(known)) - attested(datamap, known))
    if as_json:
        emit({"attestation": str(written), "not_attested": missing})
        return
    say(f"attested: {written}")
    say(f"not attested yet: {', '.join(missing)}" if missing else "every owner has attested their part")
