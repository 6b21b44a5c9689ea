"""`deleatur selftest`: run the known-answer tests."""

import click

from deleatur.cli.output import as_json_option, emit, say


@click.command("selftest")
@as_json_option
def command(as_json: bool) -> None:
    """Run the known-answer tests that run before every job, and count them."""
    from deleatur.engine.selftest import selftest

    passed = selftest()
    emit({"passed": passed}) if as_json else say(f"{passed} known-answer tests passed")
