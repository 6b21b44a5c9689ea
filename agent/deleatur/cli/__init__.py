"""The command line: prints, asks, exits. One file per command."""


def main() -> None:
    """Run the command line."""
