"""`deleatur demo`: a small closing web shop on the whole walk, with every command shown."""

import secrets
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deleatur.cli.output import as_json_option, emit, say
from deleatur.errors import Refused

if TYPE_CHECKING:
    from deleatur.engine.settings import Settings
    from deleatur.testing.shop import Canary, Shop

BAR = 40  # characters
MAP = "datamap.toml"
_SHOWN = 3  # rows of each archived table


@click.command("demo")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"))
@click.option("--customers", default=600, show_default=True, type=click.IntRange(40, 1_000_000))
@as_json_option
def command(folder: Path, customers: int, as_json: bool) -> None:
    """Build a closing web shop in FOLDER, decide, archive, erase, verify and certify.

    The stores are mapped and attested, and the job rests on that map. Customers with an open
    complaint are held; what the books need is archived without names; everything else goes. All
    people are invented. FOLDER must be empty or new. A million customers need 10 GB and about an hour.
    """
    from deleatur.archive.age import new_identity
    from deleatur.archive.shares import join_shares, new_shares
    from deleatur.cli.picture import show_certificate, show_plan
    from deleatur.cli.running import tell_certificate, walk
    from deleatur.cli.show import read_payload
    from deleatur.engine.directory import JobDirectory
    from deleatur.engine.jobs import approve_job, now, plan_job
    from deleatur.engine.settings import load_settings
    from deleatur.engine.setup import add_approver_key, make_settings
    from deleatur.testing.shop import build_shop, shop_job
    from deleatur.trust.folder import read_statement
    from deleatur.trust.keys import load_private, load_public
    from deleatur.trust.verification import verify

    tell = _silent if as_json else _chapter
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder} is not empty; remove it, or name another folder: deleatur demo FOLDER")
    tell("1  a web shop closes", "What do we hold? A CRM in SQLite and a salesperson's folder.")
    shop = build_shop(folder.absolute() / "shop", customers=customers)
    before = _count(shop, shop.gone())
    if not as_json:
        _show_counts("personal values that raw bytes of the shop's files show now", before, before)

    tell("2  settings and keys", "The agent plans and signs; Alice (legal) and Bob (finance) may approve.")
    secret = secrets.token_urlsafe(18)
    passphrase = folder / "passphrase.txt"
    passphrase.touch(mode=0o600)
    passphrase.write_text(f"{secret}\n", encoding="utf-8")
    make_settings(folder, "ed25519", secret.encode())
    add_approver_key(folder, "alice", "ed25519", secret.encode())
    add_approver_key(folder, "bob", "p-256", secret.encode())
    known = load_settings(folder / "deleatur.toml")
    identity, recipient = new_identity()
    custodian = folder / "custodian.age-identity"
    custodian.touch(mode=0o600)
    custodian.write_text(f"{identity}\n", encoding="utf-8")
    board, apart = new_shares(2, 3), new_shares(2, 3)
    for name, shared in (("board", board), ("last-four", apart)):
        for number, share in enumerate(shared.shares, 1):
            paper = folder / f"{name}-share-{number}.txt"
            paper.touch(mode=0o600)
            paper.write_text(f"{share}\n", encoding="utf-8")

    tell("3  the map", "Who answers for what? Both owners sign their part; without them nothing is planned.")
    people = customers - len(shop.ghosts)
    _map(folder, shop, people, secret, known, quiet=as_json)

    tell("4  the plan", "What must go, what must stay? Read-only so far; this digest is what people approve.")
    (folder / "job").mkdir(mode=0o700)
    directory = JobDirectory(folder / "job")
    text = shop_job(
        shop,
        recipient,
        board.recipient,
        apart.recipient,
        datamap=folder.absolute() / MAP,
        policy=folder.absolute() / "shop-policy.toml",
    )
    directory.write_once(directory.job, text.encode())
    agent = load_private(known.agent_key, secret.encode())
    approved = plan_job(
        directory,
        known.registry,
        planner=agent,
        approvers=known.approvers(),
        clock=now,
        holds=known.holds(),
        roles=known.roles(),
        people=known.people(now),
    )
    if not as_json:
        show_plan(approved, sys.stdout)
    for name in ("alice", "bob"):
        key = load_private(folder / "keys" / f"{name}.key", secret.encode())
        approve_job(directory, key, now, digest=approved.digest)
        tell("", f"approved by {name}, {key.key_id}")

    tell("5  the walk", "Preflight, holds, archive, control, erase, read back, verify, certify.")
    walk(directory, folder / "deleatur.toml", (), passphrase, quiet=as_json)
    if not as_json:
        tell_certificate(directory)

    tell("6  the proof", "Is it really gone, and can we prove it?")
    after, kept = _count(shop, shop.gone()), _count(shop, shop.kept())
    if not as_json:
        _show_counts("the same values in raw bytes of every file of the shop and of the job", before, after)
        _show_counts("values of customers with an open complaint, which must stay", kept, kept)
        show_certificate(read_statement(read_payload(directory.certificate)))
    trusted = [load_public(folder / "keys" / "agent.pub")]
    checked = verify(directory.certificate, trusted=trusted, threshold=1, about=None)
    tell("", f"deleatur verify: certificate {checked.certificate_id} is valid")

    tell("7  the archive", "What the law keeps, as the custodian opens it in ten years.")
    if not as_json:
        _show_archive(directory.archive / "close-shop-crm.tar.age", identity)
        _show_archive(directory.archive / "close-shop-crm+last-four.tar.age", join_shares(apart.shares[:2]))
        _farewell(folder)
    if sum(after.values()):
        raise Refused(f"{sum(after.values())} values can still be found; please report this")
    if as_json:
        emit({"before": dict(before), "after": dict(after), "kept": dict(kept)})


def _map(folder: Path, shop: "Shop", people: int, secret: str, known: "Settings", *, quiet: bool) -> None:
    """Discover both stores, write the map and its picture, and let the owners attest."""
    from deleatur.cli.discover import show_map, teller
    from deleatur.cli.mappage import page
    from deleatur.documents.declared import decode_declaration
    from deleatur.engine.discovery import Request, discover
    from deleatur.engine.jobs import now
    from deleatur.engine.mapping import attest_map, attested, write_map
    from deleatur.testing.shop import POLICY, declaration_text
    from deleatur.trust.keys import generate, load_private

    owners = {"it": "keys/it.pub", "sales": "keys/sales.pub"}
    for name in owners:
        generate(folder / "keys", name, "ed25519", secret.encode())
    (folder / "shop-policy.toml").write_text(POLICY, "utf-8")
    (folder / "mailbox.txt").write_text("Sales says: the provider holds our mail, nobody else can read it.\n")
    database = shop.database.as_uri().replace("file:", "sqlite:", 1)
    declared = declaration_text(database, shop.files.as_uri(), owners, people, "mailbox.txt")
    (folder / "declared.toml").write_text(declared, "utf-8")
    today = now()
    request = Request(
        urls=(),
        as_of=today.date(),
        made_at=f"{today:%Y-%m-%dT%H:%M:%SZ}",
        declaration=decode_declaration(declared.encode()),
        folder=folder.absolute(),
    )
    datamap = discover(request, known.registry, teller(quiet=quiet))
    path = folder / MAP
    write_map(path, datamap)
    for name in owners:
        attest_map(path, name, load_private(folder / "keys" / f"{name}.key", secret.encode()), now)
    signed = attested(path, datamap)
    (folder / "datamap.html").write_text(page(datamap, signed), "utf-8")
    if not quiet:
        show_map(path, datamap)
        say(f"attested by {' and '.join(sorted(signed))}; a picture of it: {folder / 'datamap.html'}")


def _silent(_title: str, _text: str) -> None:
    """Say nothing: a machine is reading."""


def _chapter(title: str, text: str) -> None:
    if title:
        say()
        say(f"── {title} " + "─" * max(0, 90 - len(title)))
    say(text)


def _count(shop: "Shop", canaries: "tuple[Canary, ...]") -> Counter[str]:
    """Count, by kind, the values that stand in raw bytes of any file beside or below the shop."""
    from deleatur.documents.place import Surface
    from deleatur.sanitize.needles import NeedleSet
    from deleatur.sanitize.scan import Scanner

    root = shop.database.parent.parent
    needles = NeedleSet.of(c.value.encode() for c in canaries)
    surface = Surface(name="demo", reach="scannable", paths=(str(root),))
    seen = Scanner(needles).scan_surface(surface, lambda _size: None).seen
    found: Counter[str] = Counter({c.kind: 0 for c in canaries})
    found.update(canary.kind for number, canary in enumerate(canaries) if number in seen)
    return found


def _show_counts(title: str, before: Counter[str], after: Counter[str]) -> None:
    say()
    say(f"{title}:")
    most = max(before.values(), default=0) or 1
    for kind, count in sorted(before.items()):
        filled = round(after[kind] / most * BAR)
        say(f"  {kind:<10} {'█' * filled}{'·' * (round(count / most * BAR) - filled)} {after[kind]}")


def _show_archive(path: Path, identity: str) -> None:
    from deleatur.archive.package import glance
    from deleatur.cli.output import table

    for seen in glance(path, identity, _SHOWN):
        say()
        say(f"{path.name}: {seen.table}, {seen.rows} rows, the first three")
        heads = seen.first.column_names
        table([[_cell(row[h]) for h in heads] for row in seen.first.to_pylist()], heads)


def _cell(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 16 else f"{text[:8]}…"


def _farewell(folder: Path) -> None:
    tell = _chapter
    tell("where everything lies", f"job, plan, journal   {folder / 'job'}")
    say(f"certificate          {folder / 'job' / 'certificate'}  (VERIFY.txt: check it without deleatur)")
    say(f"archive              {folder / 'job' / 'archive'}, opens with {folder / 'custodian.age-identity'}")
    say(f"                     or with two of three {folder / 'board-share-N.txt'}: deleatur custody join")
    say(f"last four of cards   the same folder, opens with two of three {folder / 'last-four-share-N.txt'}")
    say(f"settings and keys    {folder / 'deleatur.toml'}, {folder / 'keys'}")
    tell("on your own data", "deleatur init                        settings and the agent's key")
    say("deleatur init --approver-public alice.pub --approver-public bob.pub")
    say("mkdir my-job; edit my-job/job.toml   what to erase; docs/howto/write-a-job.md")
    say("deleatur plan my-job                 look, change nothing")
    say("deleatur approve my-job --key alice.key; the same by bob")
    say("deleatur run my-job                  and `deleatur resume my-job` after any stop")
