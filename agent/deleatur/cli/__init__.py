"""The command line: prints, asks, exits. One file per command, loaded when it is called.

Rules: results go to standard output, everything else to standard error; an error is one line and
an exit code of docs/reference/exit-codes.md; a traceback, which could quote data, reaches nobody.
"""

import sys

import click

from deleatur.cli.group import Commands
from deleatur.cli.output import complain
from deleatur.errors import DeleaturError, Failed, Interrupted


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="deleatur")
def deleatur() -> None:
    """Erase data for good, archive what must stay, and sign a certificate of it.

    A job is a directory. First `plan` it, then `approve` the plan by its digest, then `run` it;
    `verify` needs the certificate and public keys, nothing else. Try `deleatur demo`.
    """


def main() -> None:
    """Run the command line and exit with a documented code."""
    as_json = "--json" in sys.argv
    try:
        deleatur.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _exit(Interrupted("stopped by hand; nothing is lost, go on with `deleatur resume`"), as_json=as_json)
    except DeleaturError as error:
        _exit(error, as_json=as_json)
    except BrokenPipeError:
        sys.exit(Failed.exit_code)
    except OSError as error:  # the file's name may be somebody's name
        _exit(Failed(f"input or output failed: {error.strerror}"), as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the message may quote data, so only the class is shown
        _exit(Failed(f"a defect of deleatur: {type(error).__name__}; please report it"), as_json=as_json)


def _exit(error: DeleaturError, *, as_json: bool) -> None:
    complain(error, as_json=as_json)
    sys.exit(error.exit_code)
