"""`deleatur remote`: do a job on another host by SSH, and fetch its certificate."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deleatur.cli.common import job_argument, job_directory, settings_option
from deleatur.cli.keys import passphrase_of, passphrase_option
from deleatur.cli.output import as_json_option, emit, note, say
from deleatur.cli.running import ENVELOPE, tell_certificate
from deleatur.engine.directory import JobDirectory
from deleatur.errors import Interrupted, Refused

if TYPE_CHECKING:
    import paramiko

    from deleatur.documents.errand import Standing
    from deleatur.documents.host import Host
    from deleatur.engine.remote.errands import Errand
    from deleatur.engine.remote.far import Far
    from deleatur.engine.remote.ssh import SshLine

login_option = click.option(
    "--login-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the passphrase of the SSH key from the first line of this file instead of asking.",
)


@click.group("remote", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Do a job on the host that host.toml in its directory names; documents come back here."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("show")
@job_argument
@login_option
@as_json_option
def show(job: Path, login_passphrase_file: Path | None, as_json: bool) -> None:
    """Connect, compare host key and version, and say how far JOB is there. Changes nothing."""
    directory, host = _host(job)
    with _far(host, directory, login_passphrase_file) as far:
        standing = far.look()
    state = state_of(standing)
    if as_json:
        emit({"host": host.address, "port": host.port, "state": state, "plan": standing.plan})
        return
    say(f"host:   {host.address} port {host.port}, its key and its deleatur are as they must be")
    say(f"folder: {host.folder}")
    say(f"state:  {state}, as that host says")


@command.command("plan")
@job_argument
@passphrase_option
@login_option
@as_json_option
def plan(job: Path, passphrase_file: Path | None, login_passphrase_file: Path | None, as_json: bool) -> None:
    """Send job.toml, let the agent there look at the targets, and fetch the plan.

    The passphrase is the one of the agent's key there. Approve the plan here, with `deleatur approve`.
    """
    from deleatur.cli.picture import show_plan

    with _errand(job, passphrase_file, login_passphrase_file) as errand:
        approved = errand.plan()
        if as_json:
            found = {"plan": str(errand.directory.plan), "sha256": approved.digest, "id": approved.plan.id}
            emit(found)
        else:
            show_plan(approved, sys.stdout)


@command.command("run")
@job_argument
@passphrase_option
@login_option
@as_json_option
def run(job: Path, passphrase_file: Path | None, login_passphrase_file: Path | None, as_json: bool) -> None:
    """Send the approvals, let the agent there begin or go on, and follow it to its certificate.

    The work there goes on when the connection breaks, or when you stop this command.
    """
    with _errand(job, passphrase_file, login_passphrase_file) as errand:
        _followed(errand, errand.run, as_json=as_json)


@command.command("follow")
@job_argument
@login_option
@as_json_option
def follow(job: Path, login_passphrase_file: Path | None, as_json: bool) -> None:
    """Fetch the journal of a job that was begun there as it grows, and at its end the certificate."""
    with _errand(job, None, login_passphrase_file) as errand:
        _followed(errand, errand.follow, as_json=as_json)


@command.command("fetch")
@job_argument
@login_option
@as_json_option
def fetch(job: Path, login_passphrase_file: Path | None, as_json: bool) -> None:
    """Fetch the archives that JOB has written there, sealed as they are, and compare them with its journal.

    What was fetched before is not fetched again; a file that broke off is gone on with.
    """
    with _errand(job, None, login_passphrase_file) as errand:
        fetched = errand.fetch()
    if as_json:
        emit({"archives": [str(path) for path in fetched]})
        return
    for path in fetched:
        say(f"fetched: {path}")


@command.command("copy")
@job_argument
@click.option(
    "--extra", "extras", multiple=True, metavar="NAME", help="An extra that the copy has too: once for each."
)
@login_option
@as_json_option
def copy(job: Path, extras: tuple[str, ...], login_passphrase_file: Path | None, as_json: bool) -> None:
    """Copy the agent that runs here to the host, for the `python` there that host.toml names.

    It goes to the folder of `program`. A copy of the same files that is there is left as it is.
    """
    from deleatur.engine.remote.copying import copy_agent

    host, talk = _talk(job, login_passphrase_file, "take")
    try:
        copied = copy_agent(host, talk, extras)
    finally:
        talk.close()
    if as_json:
        emit({"program": host.program, "copied": copied})
    else:
        say(f"{'copied' if copied else 'there already'}: {host.program} on {host.address}")


@command.command("remove")
@job_argument
@login_option
@as_json_option
def remove(job: Path, login_passphrase_file: Path | None, as_json: bool) -> None:
    """Remove the copy of the agent from the host; settings, keys and jobs there stay.

    Refused while it works on JOB: other jobs that use the same copy are not looked for.
    """
    from deleatur.engine.remote.copying import remove_agent

    directory, host = _host(job)
    with _far(host, directory, login_passphrase_file) as far:
        if far.look().running:
            raise Refused(f"the copy on {host.address} works on this job; follow it to its end first")
    host, talk = _talk(job, login_passphrase_file, "remove")
    try:
        remove_agent(host, talk)
    finally:
        talk.close()
    if as_json:
        emit({"program": host.program, "removed": True})
    else:
        say(f"removed: {Path(host.program).parent} on {host.address}")


def _talk(job: Path, login: Path | None, work: str) -> tuple["Host", "SshLine"]:
    """Start on the host what takes or removes a copy of the agent."""
    from deleatur.engine.remote.copying import command as command_line
    from deleatur.engine.remote.ssh import SshLine

    directory, host = _host(job)
    words = command_line(host, work)
    return host, SshLine(host, _key(host, directory, login), words)


@command.command("serve", hidden=True)
@click.argument("folder", type=click.Path(path_type=Path))
@settings_option
def serve(folder: Path, settings: Path | None) -> None:
    """Answer, on standard input and output, what `deleatur remote` on another host asks about a job."""
    from deleatur.documents.codec import encode_json
    from deleatur.documents.errand import MAX_MESSAGE, decode_question
    from deleatur.engine.key_ring import harden_process
    from deleatur.engine.remote.serving import FarEnd

    harden_process()
    end = FarEnd(folder, settings)
    while line := sys.stdin.buffer.readline(MAX_MESSAGE):
        sys.stdout.buffer.write(encode_json(end.answer(decode_question(line))))
        sys.stdout.buffer.flush()


def state_of(standing: "Standing") -> str:
    """Return how far a job is by the word of the far end: nothing of it was verified here."""
    if f"certificate/{ENVELOPE}" in standing.files:
        return "ended"  # certified it is only when its certificate was fetched and verified
    return "running" if standing.running else "planned" if standing.plan else "no plan"


def _followed(errand: "Errand", work: Callable[[], None], *, as_json: bool) -> None:
    """Do it, and say where the certificate lies; who stops it is told that nothing stopped there."""
    directory = errand.directory
    try:
        work()
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped here; what was begun on {errand.far.name} goes on: "
            f"`deleatur remote follow {directory.path}`"
        ) from None
    if as_json:
        emit({"certificate": str(directory.certificate / ENVELOPE), "state": "certified"})
    else:
        tell_certificate(directory)


@contextmanager
def _errand(job: Path, passphrase: Path | None, login: Path | None) -> Iterator["Errand"]:
    """Yield what is to be done, with the directory held and the connection open."""
    from deleatur.engine.remote.errands import Errand
    from deleatur.trust.keys import load_public

    directory, host = _host(job)
    signer = load_public(directory.path / host.signer)
    with directory.locked(), _far(host, directory, login) as far:
        yield Errand(
            directory,
            far,
            signer,
            passphrase=lambda: passphrase_of(f"the agent's key on {host.address}", passphrase),
            told=note,
        )


def _host(job: Path) -> tuple[JobDirectory, "Host"]:
    """Read host.toml of a job.

    Raises:
        Refused: there is none.
    """
    from deleatur.documents.codec import MAX_JOB
    from deleatur.documents.host import decode_host
    from deleatur.engine.reading import decoding, read_plain

    directory = job_directory(job)
    try:
        content = read_plain(directory.host, MAX_JOB)
    except FileNotFoundError:
        raise Refused(f"there is no host.toml in {job}; it names the host and its key") from None
    with decoding("host.toml"):
        return directory, decode_host(content)


def _far(host: "Host", directory: JobDirectory, login: Path | None) -> "Far":
    """Return the far end, not yet connected; the SSH key is opened once for all connections."""
    from deleatur.engine.remote import ssh
    from deleatur.engine.remote.far import Far

    key = _key(host, directory, login)
    return Far(host.address, lambda: ssh.SshLine(host, key, host.command), note)


def _key(host: "Host", directory: JobDirectory, login: Path | None) -> "paramiko.PKey | None":
    """Return the SSH key that host.toml names; None: the keys of the SSH agent."""
    from deleatur.documents.host import SSH_AGENT
    from deleatur.engine.key_ring import harden_process
    from deleatur.engine.remote import ssh

    harden_process()
    ssh.library()
    key = None
    if host.login != SSH_AGENT:
        path = directory.path / host.login
        wrapped = ssh.needs_passphrase(path)
        key = ssh.login_key(path, passphrase_of(path.name, login) if wrapped else None)
    return key
