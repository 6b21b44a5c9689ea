"""`deleatur plugins`: list installed plugins and whether they are trusted."""

from pathlib import Path

import click

from deleatur.cli.common import settings_option
from deleatur.cli.output import as_json_option, emit, table


@click.command("plugins")
@settings_option
@as_json_option
def command(settings: Path | None, as_json: bool) -> None:
    """List every installed claim on a scheme, without importing any."""
    from deleatur.documents.agent import Plugins
    from deleatur.engine.registry import claimants, pin_of, require_trusted
    from deleatur.engine.services import GROUP
    from deleatur.engine.settings import load_settings
    from deleatur.errors import Refused

    try:
        trusted = load_settings(settings).agent.plugins.trusted
    except Refused:
        if settings is not None:
            raise
        trusted = Plugins().trusted
    rows = []
    for claim in [*claimants(), *claimants(GROUP)]:
        pin = pin_of(claim)
        try:
            if claim.dist is not None:
                require_trusted(claim.dist, trusted)
            state = "trusted" if claim.dist is not None else "refused"
        except Refused:
            state = "not trusted"
        rows.append([claim.name, pin.distribution, pin.version, pin.record_digest[:16], state])
    heads = ["scheme", "distribution", "version", "digest", "state"]
    if as_json:
        emit({"plugins": [dict(zip(heads, r, strict=True)) for r in rows]})
    else:
        table(rows, heads)
