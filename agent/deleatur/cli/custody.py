"""`deleatur custody`: copies, receipts and shared keys of archives."""

from pathlib import Path

import click

from deleatur.cli.common import job_argument, job_directory, settings_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say
from deleatur.errors import Refused

MAX_SECRET = 1 << 16  # bytes of a key file or a share

_file = click.Path(path_type=Path, dir_okay=False)
identity_option = click.option("--identity", type=_file, help="The custodian's age key file.")
share_option = click.option(
    "--share", "shares", type=_file, multiple=True, help="A file with one share; as many as are needed."
)


@click.group("custody", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Keep archives: copies on several media, receipts of custodians, keys that several people share."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("copy")
@job_argument
@click.option("--only", multiple=True, metavar="ID", help="A copy by its id (default: all that are here).")
@settings_option
@passphrase_option
@as_json_option
def copy(
    job: Path, only: tuple[str, ...], settings: Path | None, passphrase_file: Path | None, as_json: bool
) -> None:
    """Write each archive of JOB to its media, read it back whole from there, and enter it."""
    from deleatur.engine.handing import copy_archives, missing
    from deleatur.engine.jobs import now
    from deleatur.engine.settings import load_settings

    agent = signing_key(load_settings(settings).agent_key, passphrase_file)
    directory = job_directory(job)
    done = copy_archives(directory, agent, now, only)
    left = missing(directory, agent.public)
    if as_json:
        emit({"copies": [{"copy": name, "disks": disks} for name, disks in done], "missing": left})
        return
    for name, disks in done:
        say(f"read back: {name} on {disks}")
    _say_left(left)


@command.command("show")
@job_argument
@settings_option
@as_json_option
def show(job: Path, settings: Path | None, as_json: bool) -> None:
    """Say which copies and receipts of JOB are missing; exit code 4 if any is. Reads only."""
    from deleatur.engine.handing import missing
    from deleatur.engine.settings import load_settings
    from deleatur.trust.keys import load_public

    left = missing(job_directory(job), load_public(load_settings(settings).agent_key.with_suffix(".pub")))
    if as_json:
        emit({"missing": left})
    else:
        _say_left(left)
    if left:
        raise Refused(f"{len(left)} copies and receipts are missing, so nothing may be erased")


def _say_left(left: list[str]) -> None:
    for reason in left:
        say(f"missing: {reason}")
    if not left:
        say("every copy is kept and every receipt is there")


@command.command("receipt")
@click.argument("archive", type=_file)
@click.option("--custodian", required=True, metavar="NAME", help="As the job names you.")
@click.option("--key", required=True, type=_file, help="Your private key that signs receipts.")
@click.option("--out", required=True, type=_file, help="Where to write the receipt.")
@identity_option
@share_option
@passphrase_option
@as_json_option
def receipt(
    archive: Path,
    custodian: str,
    key: Path,
    out: Path,
    identity: Path | None,
    shares: tuple[Path, ...],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Open ARCHIVE to its end, without writing what is in it, and sign that you have it.

    On the custodian's machine. Who has not opened the archive cannot make a receipt that counts.
    """
    from deleatur.engine.handing import make_receipt
    from deleatur.engine.jobs import now

    made = make_receipt(
        archive, opened_by(identity, shares), custodian, signing_key(key, passphrase_file), now
    )
    try:
        with out.open("xb") as file:
            file.write(made)
    except FileExistsError:
        raise Refused(f"{out} is there already; choose another name") from None
    emit({"receipt": str(out)}) if as_json else say(f"receipt: {out}; send it to who runs the job")


@command.command("import")
@job_argument
@click.argument("receipts", type=_file, nargs=-1, required=True)
@as_json_option
def take(job: Path, receipts: tuple[Path, ...], as_json: bool) -> None:
    """Take custodians' RECEIPTS into JOB; one that does not show that the archive was opened is refused."""
    from deleatur.engine.handing import import_receipt
    from deleatur.engine.keeping import MAX_BESIDE
    from deleatur.engine.reading import read_plain

    directory = job_directory(job)
    names = [import_receipt(directory, read_plain(path, MAX_BESIDE)) for path in receipts]
    emit({"received_by": names}) if as_json else say(f"received by: {', '.join(names)}")


@command.command("sheet")
@click.argument("archive", type=_file)
@click.option("--out", required=True, type=_file, help="Where to write the page.")
@as_json_option
def print_sheet(archive: Path, out: Path, as_json: bool) -> None:
    """Write the sheet of ARCHIVE to be printed: one page from which somebody outside opens it.

    From what lies beside the archive, without any key; it is read to its end first.
    """
    from deleatur.engine.keeping import sheet_of

    page = sheet_of(archive)
    try:
        with out.open("xb") as file:
            file.write(page)
    except FileExistsError:
        raise Refused(f"{out} is there already; choose another name") from None
    emit({"sheet": str(out)}) if as_json else say(
        f"sheet: {out}; print it, and fill in what only people know"
    )


@command.command("hand-over")
@click.argument("archive", type=_file)
@click.option("--key", required=True, type=_file, help="The leaving custodian's private key.")
@click.option("--successor-key", required=True, type=_file, help="The successor's public key, NAME.pub.")
@click.option("--recipient", required=True, metavar="age1…", help="The successor's age recipient.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="A new folder.")
@identity_option
@share_option
@passphrase_option
@as_json_option
def hand_over(
    archive: Path,
    key: Path,
    successor_key: Path,
    recipient: str,
    out: Path,
    identity: Path | None,
    shares: tuple[Path, ...],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Leave: seal ARCHIVE anew for the successor in your place, and sign the hand-over.

    Nothing that is in it is written in clear. Your old key opens nothing that is sealed from now on.
    """
    from deleatur.engine import succession
    from deleatur.engine.jobs import now
    from deleatur.trust.keys import load_public

    path = succession.hand_over(
        archive,
        opened_by(identity, shares),
        signing_key(key, passphrase_file),
        load_public(successor_key),
        recipient,
        out,
        now,
    )
    emit({"handover": str(path)}) if as_json else say(f"hand-over: {path}; the successor accepts it now")


@command.command("accept")
@click.argument("handover", type=_file)
@click.argument("archive", type=_file)
@click.option("--key", required=True, type=_file, help="The successor's private key.")
@identity_option
@share_option
@passphrase_option
@as_json_option
def accept(
    handover: Path,
    archive: Path,
    key: Path,
    identity: Path | None,
    shares: tuple[Path, ...],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Succeed: open the ARCHIVE that was sealed anew, to its end, and sign HANDOVER too."""
    from deleatur.engine import succession

    succession.accept(handover, archive, opened_by(identity, shares), signing_key(key, passphrase_file))
    emit({"handover": str(handover)}) if as_json else say(f"signed: {handover}; send both to the agent")


@command.command("take-over")
@job_argument
@click.argument("handover", type=_file)
@click.argument("archive", type=_file)
@settings_option
@passphrase_option
@as_json_option
def take_over(
    job: Path,
    handover: Path,
    archive: Path,
    settings: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Sign HANDOVER as the agent and take the new ARCHIVE into JOB; a missing signature is an alarm."""
    from deleatur.engine import succession
    from deleatur.engine.settings import load_settings

    agent = signing_key(load_settings(settings).agent_key, passphrase_file)
    now = succession.take_over(job_directory(job), handover, archive, agent)
    keepers = [{"name": k.key.name, "since": k.since, "until": k.until} for k in now.keepers]
    if as_json:
        emit({"custodians": keepers})
        return
    for keeper in keepers:
        say(f"{keeper['name']}: {keeper['since']} to {keeper['until'] or 'now'}")
    say(f"next: deleatur custody copy {job}, so that no copy opens with the old key")


@command.command("expire")
@job_argument
@click.option("--into", required=True, type=click.Path(path_type=Path, file_okay=False), help="A new folder.")
@as_json_option
def expire(job: Path, into: Path, as_json: bool) -> None:
    """Draft a job that erases every copy of JOB's archives, once their last day is over."""
    from deleatur.engine.jobs import now
    from deleatur.engine.succession import draft_expiry

    folder = draft_expiry(job_directory(job), into, now)
    emit({"job": str(folder)}) if as_json else say(f"next: deleatur plan {folder}, with every medium mounted")


@command.command("share")
@click.option("--needed", type=int, default=2, show_default=True, help="How many shares open.")
@click.option("--of", "of", type=int, default=3, show_default=True, help="How many shares there are.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where to.")
@as_json_option
def share(needed: int, of: int, folder: Path, as_json: bool) -> None:
    """Make a key that nobody has alone: one file of words for each holder, and the recipient.

    Give each file to another person and remove it here; the key itself is never written.
    """
    from deleatur.archive.shares import new_shares

    paths = [folder / f"share-{number}-of-{of}.txt" for number in range(1, of + 1)]
    if there := [str(path) for path in paths if path.exists()]:
        raise Refused(f"{', '.join(there)} is there already; choose another folder")
    made = new_shares(needed, of)
    for path, words in zip(paths, made.shares, strict=True):
        path.touch(mode=0o600)
        path.write_text(f"{words}\n", encoding="ascii")
    if as_json:
        emit({"recipient": made.recipient, "shares": [str(path) for path in paths]})
        return
    for path in paths:
        say(str(path))
    say(f"recipient: {made.recipient}")


@command.command("join")
@click.argument("shares", type=_file, nargs=-1, required=True)
def join(shares: tuple[Path, ...]) -> None:
    """Print the key that SHARES are of, for `deleatur custody join A B | age -d -i - ARCHIVE`."""
    say(opened_by(None, shares))


def opened_by(identity: Path | None, shares: tuple[Path, ...]) -> str:
    """Return the identity of a key file, or of shares.

    Raises:
        Refused: neither or both are given, or they do not open.
    """
    from deleatur.archive.shares import join_shares

    if (identity is None) == (not shares):
        raise Refused("give either --identity, or --share as often as shares are needed")
    if identity is not None:
        return _secret(identity)
    return join_shares([_secret(path) for path in shares])


def _secret(path: Path) -> str:
    from deleatur.engine.reading import read_plain

    try:
        return read_plain(path, MAX_SECRET).decode("ascii", errors="replace")
    except FileNotFoundError:
        raise Refused(f"{path} is not there") from None
