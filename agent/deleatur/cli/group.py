"""The list of commands, each loaded only when it is called: start-up stays fast."""

from importlib import import_module
from typing import Final

import click

COMMANDS: Final = {  # name: one line of help, in the order of a job
    "demo": "Build a small closing web shop and take it through the whole walk.",
    "init": "Make the agent's settings and keys.",
    "lint": "Check policies, jobs and data maps, and explain what becomes of a record.",
    "discover": "Look at stores and write the data map, or compare two maps.",
    "attest": "Sign the part of a data map that belongs to you.",
    "map": "Say what is open in a data map, and draw it.",
    "export": "Give one person all records of them, and nobody else's.",
    "draft": "Draft the job that erases one person.",
    "intake": "Draft the jobs of events that others put into a folder.",
    "hold": "Place, release and list legal holds.",
    "notice": "Tell people before their records go, and keep the evidence of it.",
    "cycle": "Draft what finished jobs left on hold and is free now, for approval.",
    "devices": "List the disks of this host, what is on them, and what each allows or refuses.",
    "plan": "Look at a job's targets without changing them, and write the plan.",
    "approve": "Sign a plan's digest.",
    "run": "Run an approved plan to its certificate.",
    "resume": "Go on with a job that was stopped.",
    "remote": "Do a job on another host by SSH, and fetch its certificate.",
    "status": "Say how far a job is.",
    "custody": "Keep archives: copies, receipts, keys that several people share.",
    "drill": "Open archives for trial once a year, and keep the record of it.",
    "verify": "Check a certificate offline, with public keys only.",
    "validate": "Accept the outcome of a job, or reject it, in a record of its own.",
    "stamp": "Ask others when a certificate was there, and keep their time stamps.",
    "show": "Show a certificate to a person.",
    "destruction": "Check and sign the record of what others destroyed.",
    "docket": "Keep requests, complaints and findings: who does them by when, and what was missed.",
    "schedule": "Count the last day of each gate back from the end of business.",
    "controls": "List law by law what a job shows, and what it does not.",
    "bundle": "Put together what shows that a job was done.",
    "purge": "Remove the records of a job after their last day.",
    "erase": "Erase one file, folder or database: job, plan, approval and certificate in one go.",
    "plugins": "List the plugins that are installed, and which are trusted.",
    "plugin": "Start a plugin of your own.",
    "selftest": "Run the known-answer tests that run before every job.",
    "completion": "Print the completion script for your shell.",
}


class Commands(click.Group):
    """A group that imports `deleatur.cli.NAME` when NAME is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of a job."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"deleatur.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="deleatur")
@click.pass_context
def deleatur(context: click.Context) -> None:
    """Erase data for good, archive what must stay, and sign a certificate of it.

    A job is a directory. First `plan` it, then `approve` the plan by its digest, then `run` it;
    `verify` needs the certificate and public keys, nothing else. Try `deleatur demo`.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
