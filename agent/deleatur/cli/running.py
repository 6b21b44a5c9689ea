"""What `run`, `resume` and `erase` share: load keys, walk, show the certificate."""

import hashlib
from pathlib import Path

import click

from deleatur.cli.keys import signing_key
from deleatur.cli.output import emit, note, say
from deleatur.cli.progress import shown
from deleatur.engine.directory import JobDirectory
from deleatur.trust.keys import SigningKey

keys_option = click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Another private key that signs the certificate beside the agent's.",
)

ENVELOPE = "certificate.dsse.json"

rate_option = click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MB",
    help="Write and read at most this many megabytes (for tables: million rows) a second.",
)


def run_to_certificate(
    directory: JobDirectory,
    settings: Path | None,
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    *,
    as_json: bool,
    rate: float | None = None,
    agent: SigningKey | None = None,
) -> None:
    """Walk a job to its end and say where the certificate lies."""
    walk(directory, settings, keys, passphrase_file, quiet=as_json, rate=rate, agent=agent)
    if as_json:
        certificate = directory.certificate / ENVELOPE
        digest = hashlib.sha256(directory.read_plan()).hexdigest()
        emit({"certificate": str(certificate), "plan": digest, "state": "certified"})
    else:
        tell_certificate(directory)


def tell_certificate(directory: JobDirectory) -> None:
    """Say where the certificate of a job lies, what to do with it, and how long others waited."""
    from deleatur.cli.picture import outages
    from deleatur.engine.jobs import read_plan, state_of

    approved = read_plan(directory)
    for waited in outages(approved.plan, state_of(directory, approved)):
        say(waited)
    say(f"certificate: {directory.certificate / ENVELOPE}")
    say(f"show it:     deleatur show {directory.certificate}")
    say(f"check it:    see {directory.certificate / 'VERIFY.txt'}")


def walk(
    directory: JobDirectory,
    settings: Path | None,
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    *,
    quiet: bool,
    rate: float | None = None,
    agent: SigningKey | None = None,
) -> None:
    """Take a job to its certificate and show, unless `quiet`, how far it is.

    `agent` is the agent's key where the caller has it already: a passphrase is asked for once.
    """
    from deleatur.engine.hooks import Hooks
    from deleatur.engine.jobs import now, run_job
    from deleatur.engine.key_ring import harden_process
    from deleatur.engine.settings import load_settings

    harden_process()
    known = load_settings(settings)
    hooks = Hooks.load(known.agent.plugins.trusted)
    first = signing_key(known.agent_key, passphrase_file) if agent is None else agent
    signing = [first, *(signing_key(path, passphrase_file) for path in keys)]
    with shown(quiet=quiet) as progress:
        run_job(
            directory,
            registry=known.registry,
            hooks=hooks,
            keys=signing,
            approvers=known.approvers(),
            clock=now,
            holds=known.holds(),
            roles=known.roles(),
            people=known.people(now),
            progress=progress,
            bytes_per_second=None if rate is None else rate * 1e6,
        )
    for failure in hooks.failures:
        note(f"an observer failed, the job did not: {failure}")
