"""What a saboteur does: as a plugin, to the job's documents, to its journal, to the archive and the target.

Whoever forges here has every right that the agent's own user has, but not the keys in the kernel.
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyrage

from deleatur.api import Backend, Cursor, Inspection, Keystream, Locator, Step
from deleatur.documents import journal as j
from deleatur.engine.looking import keep_digest
from deleatur.engine.spool import Spool
from deleatur.judge.fingerprint import key_id
from deleatur.testing.workbench import PIN, Workbench, signing_key
from deleatur.trust.approval import approve

from .sabotage_worlds import Memory, World

Act = Callable[[World], None]

# --- plugins that lie


def does_nothing(world: World) -> type[Backend]:
    class DoesNothing(world.base):  # type: ignore[name-defined,misc]
        def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
            yield Cursor(position="all", done=1)

    return DoesNothing


def skips_a_unit(world: World) -> type[Backend]:
    class SkipsAUnit(world.base):  # type: ignore[name-defined,misc]
        def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
            back = world.hide()
            try:
                yield from super().erase(step, after)
            finally:
                back()

    return SkipsAUnit


def lies_in_every_answer(world: World) -> type[Backend]:
    state: dict[str, Any] = {}

    class Lies(world.base):  # type: ignore[name-defined,misc]
        def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
            state["step"] = step
            yield Cursor(position="all", done=1)

        def probe(self, place: Locator) -> bytes | None:
            if world.done:
                return None
            if "step" in state:
                return Keystream(state["step"].pattern.key).read(place.unit, place.offset, place.length)
            found: bytes | None = super().probe(place)
            return found

        def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
            if not world.done:
                yield from super().sample(count, seed)

        def inspect(self) -> Inspection:
            found: Inspection = super().inspect()
            return msgspec.structs.replace(found, units=()) if world.done else found

    return Lies


def lies_and_declares_no_surface(world: World) -> type[Backend]:
    class Blind(lies_in_every_answer(world)):  # type: ignore[misc]
        def inspect(self) -> Inspection:
            return msgspec.structs.replace(super().inspect(), surfaces=())

    return Blind


def hands_over(rows: int) -> Callable[[World], type[Backend]]:
    def rogue(world: World) -> type[Backend]:
        class HandsOver(world.base):  # type: ignore[name-defined,misc]
            def records(self, table: str) -> Iterator[dict[str, Any]]:
                for number, row in enumerate(super().records(table)):
                    if number < rows:
                        yield row

        return HandsOver

    return rogue


# --- the job's documents


def edit_plan(change: Callable[[dict[str, Any]], None]) -> Act:
    def act(world: World) -> None:
        plan = json.loads(world.job.plan.read_bytes())
        change(plan)
        world.job.plan.write_bytes(
            json.dumps(plan, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        )

    return act


def plan_for_himself(world: World) -> None:
    """Make the plan accept a stranger's keys, and approve it with them."""
    strangers = (signing_key("mallory", 66), signing_key("trudy", 67))
    named = [{"name": k.public.name, "spki": k.public.spki} for k in strangers]
    edit_plan(lambda plan: plan.update(approvers=named))(world)
    shutil.rmtree(world.job.approvals)
    world.bench.approve(world.job, strangers)


def touch_job(world: World) -> None:
    with world.job.job.open("a") as job:
        job.write("# nothing of importance\n")


def approval(world: World, number: int) -> Path:
    return sorted(world.job.approvals.iterdir())[number]


def approve_twice_with_one_key(world: World) -> None:
    alice = world.bench.approvers[0]
    for path in world.job.approvals.iterdir():
        path.unlink()
    for n in range(2):
        envelope = approve(world.job.plan.read_bytes(), alice, f"2026-11-22T12:00:0{n}Z")
        (world.job.approvals / f"{n}.dsse.json").write_bytes(envelope)


def approve_as_a_stranger(world: World) -> None:
    envelope = approve(world.job.plan.read_bytes(), signing_key("bob", 66), "2026-11-22T12:00:00Z")
    approval(world, 1).write_bytes(envelope)


def approve_another_plan(world: World) -> None:
    envelope = approve(b"{}\n", world.bench.approvers[1], "2026-11-22T12:00:00Z")
    for path in world.job.approvals.iterdir():
        path.unlink()
    (world.job.approvals / "x.dsse.json").write_bytes(envelope)


def another_jobs_plan(world: World) -> None:
    other = type(world)(world.folder / "other")
    other.bench.plan(other.job)
    other.bench.approve(other.job)
    shutil.copy(other.job.plan, world.job.plan)
    shutil.rmtree(world.job.approvals)
    shutil.copytree(other.job.approvals, world.job.approvals)


def change_approval(world: World) -> None:
    path = approval(world, 0)
    envelope = json.loads(path.read_bytes())
    text = base64.b64decode(envelope["payload"]).replace(b"2026-", b"2025-")
    envelope["payload"] = base64.b64encode(text).decode()
    path.write_bytes(json.dumps(envelope, separators=(",", ":")).encode() + b"\n")


def linked(name: str) -> Act:
    """Put a symbolic link to the same content in the place of one of the job's files or folders."""

    def act(world: World) -> None:
        path = world.job.path / name
        away = world.folder / "elsewhere"
        if path.exists():
            path.rename(away)
        else:
            away.mkdir()
        path.symlink_to(away)

    return act


def another_plugin(world: World) -> None:
    pin = msgspec.structs.replace(PIN, version="0.0.1", record_digest="ff" * 32)
    bench = world.bench

    class Other(Workbench):
        def registry(self, scheme: str) -> Any:
            return bench.backends[scheme], pin

    world.bench.__class__ = Other


def spool_of_another_job(world: World) -> None:
    path = world.folder / "spool"
    spool = Spool.create(path, "0" * 32)
    spool.append("t", [(Locator(unit="x"), b"another value")])
    spool.seal("t")
    spool.destroy_at(world.folder / "none", "0" * 32)
    spool.close()
    path.replace(world.job.spool)


def plant_a_certificate(world: World) -> None:
    """Lay the certificate of another job of the same agent into this one."""
    other = Memory(world.folder / "other")
    other.bench.plan(other.job)
    other.bench.approve(other.job)
    other.bench.run(other.job)
    shutil.copytree(other.job.certificate, world.job.certificate)


# --- the journal


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Act:
    def act(world: World) -> None:
        old = world.job.journal.read_bytes().splitlines(keepends=True)
        new = change(old)
        assert new != old
        world.job.journal.write_bytes(b"".join(new))

    return act


def change_a_line(old: list[bytes]) -> list[bytes]:
    return [line.replace(b'"selftests":', b'"selftests":1', 1) for line in old]


def forge(make: Callable[[World], list[j.AnyEvent]]) -> Act:
    """Cut the entry `stopped` off and go on with forged entries, with a sound chain."""

    def act(world: World) -> None:
        digest = hashlib.sha256(world.job.plan.read_bytes()).hexdigest()
        content = world.job.journal.read_bytes() if world.job.journal.exists() else b""
        entries, _ = j.read_chain(content, digest)
        events = [e.event for e in entries if not isinstance(e.event, j.Stopped)]
        previous, text = digest, b""
        for n, event in enumerate([*events, *make(world)]):
            line = j.line_of(j.Entry(n=n, at="2026-11-22T12:00:00.000Z", previous=previous, event=event))
            previous, text = j.digest_of_line(line), text + line
        world.job.journal.write_bytes(text)

    return act


def started(world: World) -> list[j.AnyEvent]:
    """Everything up to the control, by somebody who never looked."""
    return [
        j.Started(
            schema="deleatur/journal/v1",
            plan=hashlib.sha256(world.job.plan.read_bytes()).hexdigest(),
            selftests=9,
            resumed=False,
            approved_by=tuple(key_id(k.public) for k in world.bench.approvers),
        ),
        j.Unheld(asked=()),
        j.Controlled(
            target="t",
            places=4,
            values=4,
            shared=0,
            short=0,
            seen=4,
            set_digest="ab" * 32,
            surfaces=(),
            keep_digest=kept(world),
        ),
    ]


def kept(world: World) -> str:
    """Compute the digest of what must stay, as someone can who reads the job's directory."""
    planned = world.plan().targets[0]
    backend = world.base.open(planned.target, {"digest-key": world.job.digest_key.read_bytes()})
    try:
        return keep_digest(backend, world.job.digest_key.read_bytes())
    finally:
        backend.close()


def erased(world: World, *steps: str) -> list[j.AnyEvent]:
    """The whole story of some steps: begun, done, read back and found good."""
    planned = world.plan().targets[0]
    told: list[j.AnyEvent] = []
    for step in world.plan().steps:
        if step.id in steps:
            told += [j.Erasing(step=step.id), j.Erased(step=step.id, done=planned.size)]
            if step.compare == "keystream":
                told.append(
                    j.Compared(
                        step=step.id,
                        mode="full",
                        population=4,
                        read=4,
                        size=planned.size,
                        mismatches=0,
                        unreadable=0,
                        surfaces=(),
                    )
                )
    return told


def all_erased(world: World) -> list[j.AnyEvent]:
    return erased(world, *world.steps)


def removing(world: World) -> list[j.AnyEvent]:
    return [*erased(world, "s1"), j.Erasing(step="s2")]


def at_the_end(world: World) -> list[j.AnyEvent]:
    return [j.Erasing(step="s1"), j.Advanced(step="s1", position=world.at_the_end, done=1)]


def verified(world: World) -> list[j.AnyEvent]:
    clean = j.Verified(
        target="t",
        verdict="CLEAN",
        reason="",
        absent=4,
        present=0,
        remaining=0,
        values=4,
        surfaces=(),
        keep_digest=kept(world),
    )
    return [*all_erased(world), clean]


def certified(world: World) -> list[j.AnyEvent]:
    return [*verified(world), j.Certified(certificate="ab" * 16, sha256="cd" * 32)]


def false_archive(world: World) -> list[j.AnyEvent]:
    """Say that a file of the saboteur's is the archive that was read back and compared."""
    world.job.archive.mkdir(exist_ok=True)
    content = b"nothing of value"
    (world.job.archive / "sabotage-t.tar.age").write_bytes(content)
    custody = world.plan().custody
    assert custody is not None
    table = world.plan().targets[0].target.archive[0].table
    sha256 = hashlib.sha256(content).hexdigest()
    return [
        j.Archived(
            target="t",
            file="sabotage-t.tar.age",
            sha256=sha256,
            size=len(content),
            tables=(j.ArchivedRows(table=table, rows=4, sha256="ab" * 32),),
            contents="0" * 64,
            recipients=tuple(c.recipient for c in custody.custodian),
            compared="decrypted",
        )
    ]


def false_archive_and_begun(world: World) -> list[j.AnyEvent]:
    return [*false_archive(world), j.Erasing(step="s1")]


def forge_and_forget(world: World) -> None:
    forge(false_archive_and_begun)(world)
    world.job.spool.unlink()


# --- the archive, the target


def archive(world: World) -> Path:
    return next(world.job.archive.glob("*.age"))


def empty_archive(world: World) -> None:
    archive(world).write_bytes(b"")


def change_archive(world: World) -> None:
    content = bytearray(archive(world).read_bytes())
    content[-1] ^= 1
    archive(world).write_bytes(content)


def another_archive(world: World) -> None:
    sealed = pyrage.encrypt(b"other", [pyrage.x25519.Identity.generate().to_public()])
    archive(world).write_bytes(sealed)


def link_target(world: World) -> None:
    """Move the target away and leave a symbolic link to it."""
    name = {"file": "tree", "sqlite": "shop.sqlite"}[world.scheme]
    (world.home / name).rename(world.home / "moved")
    (world.home / name).symlink_to(world.home / "moved")
