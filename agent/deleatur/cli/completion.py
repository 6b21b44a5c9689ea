"""`deleatur completion SHELL`: print a completion script."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL; put `eval "$(deleatur completion bash)"` into its start file."""
    kind = get_completion_class(shell)
    root = ctx.find_root().command
    if kind is not None:
        click.echo(kind(root, {}, "deleatur", "_DELEATUR_COMPLETE").source())
