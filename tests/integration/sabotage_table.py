"""The sabotage table: each way to cheat, when, on which backend, and what must come of it.

`test_sabotage.py` plays every cell; docs/explanation/sabotage.md shows the same table.
"""

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyrage

from deleatur.api import Backend, Cursor, Inspection, Keystream, Locator, Step
from deleatur.documents import journal as j
from deleatur.engine.looking import keep_digest
from deleatur.engine.spool import Spool
from deleatur.errors import DeleaturError, Failed, Invalid, Malformed, Refused, Residue
from deleatur.judge.fingerprint import key_id
from deleatur.testing.workbench import PIN, Workbench, signing_key
from deleatur.trust.approval import approve

from .sabotage_worlds import Memory, World

BACKENDS = ("memory", "file", "rows", "database")
Act = Callable[[World], None]
Ends = type[DeleaturError] | str  # an error, or the overall state of an honest certificate
VERIFIED, UNVERIFIED = "verified", "executed-unverified"


@dataclass(frozen=True)
class Cheat:
    """One row of the table."""

    name: str
    when: str  # before approving, before running, at KIND, stopped at KIND, while verifying, as the plugin
    act: Callable[[World], Any]
    ends: Mapping[str, Ends]  # by backend; one that is not named does not know this cheat
    caught_by: str
    intact: bool = False  # the data must be as it was, because the erase may not have begun
    device: bool = False


def every(error: Ends, **others: Ends) -> dict[str, Ends]:
    """Return the same end for every backend but the ones named."""
    return {backend: others.get(backend, error) for backend in BACKENDS}


def only(*backends: str, ends: Ends) -> dict[str, Ends]:
    """Return one end for some backends."""
    return dict.fromkeys(backends, ends)


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
    os.replace(path, world.job.spool)


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
    custodian = world.plan().custodian
    assert custodian is not None
    table = world.plan().targets[0].target.archive[0].table
    sha256 = hashlib.sha256(content).hexdigest()
    return [
        j.Archived(
            target="t",
            file="sabotage-t.tar.age",
            sha256=sha256,
            size=len(content),
            tables=(j.ArchivedRows(table=table, rows=4, sha256="ab" * 32),),
            custodian=custodian.name,
            recipient=custodian.recipient,
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
    return next(world.job.archive.iterdir())


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


ROWED = ("memory", "rows")
SAYS = "the surfaces are read raw by the core, not by the plugin"

PLUGIN = (
    Cheat(
        "says that it erased, and does nothing",
        "as the plugin",
        does_nothing,
        every(Residue),
        "reading back through a fresh handle; nothing is removed that does not read back",
        intact=True,
    ),
    Cheat(
        "leaves one unit out",
        "as the plugin",
        skips_a_unit,
        every(Residue, rows=Refused),
        "every place of the plan is read back; rows are compared with the approved ones before the swap",
    ),
    Cheat(
        "does nothing and lies in every answer",
        "as the plugin",
        lies_in_every_answer,
        every(Residue),
        SAYS,
        intact=True,
    ),
    Cheat(
        "does nothing, lies in every answer and names no surface",
        "as the plugin",
        lies_and_declares_no_surface,
        every(UNVERIFIED),
        "**no claim**: the control saw nothing, so the certificate says executed and not verified",
        intact=True,
    ),
)

STORAGE = (
    Cheat(
        "something is brought back",
        "at all-erased",
        lambda world: world.restore(),
        every(Residue, file=Refused, database=Refused),
        "verify looks at the selection; a file under the old name is another file",
    ),
    Cheat(
        "something is brought back between the two looks of verify",
        "while verifying",
        lambda world: world.restore(),
        every(Residue, file=Refused, database=Refused),
        "verify looks again after its scan",
    ),
    Cheat(
        "a copy is left on a declared surface (heap, WAL)",
        "at all-erased",
        lambda world: world.leave_copy(),
        {"memory": Residue, "rows": Residue, "database": Residue},
        SAYS,
    ),
    Cheat(
        "the same between the two looks of verify",
        "while verifying",
        lambda world: world.leave_copy(),
        {"memory": Residue, "rows": Residue, "database": Residue},
        SAYS,
    ),
    Cheat(
        "a copy is left beside the target, the job reads the device",
        "at all-erased",
        lambda world: world.copy_beside(),
        {"file": Residue, "rows": Residue, "database": Residue},
        "the block device is read raw",
        device=True,
    ),
    Cheat(
        "something that must stay is harmed",
        "at erasing",
        lambda world: world.harm_neighbour(),
        only(*ROWED, ends=Failed),
        "a keyed digest over all that must stay, before and after",
    ),
)

ARCHIVE = (
    Cheat(
        "the plugin hands over no record",
        "as the plugin",
        hands_over(0),
        only(*ROWED, ends=Refused),
        "no archive, no erase",
        intact=True,
    ),
    Cheat(
        "the plugin hands over fewer records",
        "as the plugin",
        hands_over(1),
        only(*ROWED, ends=VERIFIED),
        "**not caught**: the certificate counts the rows, the contract suite refuses such a plugin",
    ),
    *(
        Cheat(
            f"the sealed archive is {how}",
            when,
            act,
            only(*ROWED, ends=Refused),
            "its digest is compared before each step and before the certificate",
            intact=when != "at all-erased" and when != "stopped at advanced",
        )
        for when in ("at controlled", "stopped at advanced", "at all-erased")
        for how, act in (
            ("removed", lambda world: archive(world).unlink()),
            ("emptied", empty_archive),
            ("changed by one bit", change_archive),
            ("replaced by another sealed file", another_archive),
        )
    ),
    Cheat(
        "a forged entry calls another file the archive",
        "stopped at controlled",
        forge(false_archive),
        only(*ROWED, ends=VERIFIED),
        "the run that erases archives again: the certificate is about the true archive",
    ),
    Cheat(
        "the same, and forged that the erase had begun",
        "stopped at controlled",
        forge(false_archive_and_begun),
        only(*ROWED, ends=Refused),
        "the spool knows what was written, under a key that is on no disk",
        intact=True,
    ),
    Cheat(
        "the same, and the spool removed",
        "stopped at controlled",
        forge_and_forget,
        only(*ROWED, ends=UNVERIFIED),
        "**not caught** (limit 1): the certificate claims little, and the custodian misses the archive",
    ),
)

TARGET = (
    *(
        Cheat(
            "another target of the same kind is put under the name",
            when,
            lambda world: world.swap(),
            every(Refused),
            "identity and the keyed digests of the approved units, at every opening; the other one is intact",
        )
        for when in ("before approving", "before running", "at controlled", "stopped at advanced")
    ),
    Cheat(
        "a symbolic link to it is put in its place",
        "before running",
        link_target,
        {"file": Refused, "rows": Refused, "database": Refused},
        "targets are opened without following links",
        intact=True,
    ),
)

AGREED = (
    Cheat(
        "plan.json is removed",
        "before running",
        lambda world: world.job.plan.unlink(),
        every(Refused),
        "no plan, no run",
        intact=True,
    ),
    Cheat(
        "plan.json loses its last byte",
        "before running",
        lambda world: world.job.plan.write_bytes(world.job.plan.read_bytes()[:-1]),
        every(Malformed),
        "the one canonical form",
        intact=True,
    ),
    *(
        Cheat(
            f"plan.json: {what}",
            when,
            edit_plan(change),
            every(Refused, rows=Malformed) if what == "a step less" else every(Refused),
            "approvals are signatures over the plan's bytes; a target without a step is malformed",
            intact=when == "before running",
        )
        for when in ("before running", "stopped at advanced")
        for what, change in (
            ("another authority", lambda plan: plan.update(authority="another")),
            ("one approval is enough", lambda plan: plan["policy"].update(approvals=1)),
            ("a step less", lambda plan: plan["steps"].pop()),
            ("another seed", lambda plan: plan["targets"][0]["sampling"].update(seed="00" * 32)),
        )
    ),
    Cheat(
        "plan.json accepts a stranger's keys, and the stranger approves",
        "before running",
        plan_for_himself,
        every(Refused),
        "the agent's settings name who may approve",
        intact=True,
    ),
    Cheat(
        "job.toml is changed",
        "before running",
        touch_job,
        every(Refused),
        "its digest stands in the plan",
        intact=True,
    ),
    Cheat(
        "job.toml is changed",
        "stopped at advanced",
        touch_job,
        every(Refused),
        "its digest stands in the plan",
    ),
    Cheat(
        "an approval is copied under a second name",
        "before running",
        lambda world: shutil.copy(approval(world, 0), approval(world, 1)),
        every(Refused),
        "distinct public keys are counted, never files, names or key ids",
        intact=True,
    ),
    Cheat(
        "one key approves twice",
        "before running",
        approve_twice_with_one_key,
        every(Refused),
        "distinct public keys are counted",
        intact=True,
    ),
    Cheat(
        "a stranger approves under an approver's name",
        "before running",
        approve_as_a_stranger,
        every(Refused),
        "keys count, names do not",
        intact=True,
    ),
    Cheat(
        "an approval of another plan is put there",
        "before running",
        approve_another_plan,
        every(Refused),
        "an approval names the plan's digest",
        intact=True,
    ),
    Cheat(
        "an approval is changed",
        "before running",
        change_approval,
        every(Refused),
        "its signature does not verify",
        intact=True,
    ),
    Cheat(
        "an approval is removed",
        "stopped at advanced",
        lambda world: approval(world, 0).unlink(),
        every(Refused),
        "approvals are counted at every start",
    ),
    Cheat(
        "another version of the plugin is installed",
        "before running",
        another_plugin,
        every(Refused),
        "the plan pins distribution, version and digest",
        intact=True,
    ),
    Cheat(
        "another version of the plugin is installed",
        "stopped at advanced",
        another_plugin,
        every(Refused),
        "the plan pins distribution, version and digest",
    ),
)

KEPT = (
    Cheat(
        "digest.key is swapped",
        "before running",
        lambda world: world.job.digest_key.write_bytes(bytes(32)),
        every(Refused),
        "no keyed digest of the plan fits any more",
        intact=True,
    ),
    Cheat(
        "digest.key is removed",
        "stopped at advanced",
        lambda world: world.job.digest_key.unlink(),
        every(Refused),
        "nothing could be compared without it",
    ),
    *(
        Cheat(
            f"a symbolic link stands in the place of {name}",
            "stopped at controlled",
            linked(name),
            every(Refused),
            "a job's names are plain files",
            intact=True,
        )
        for name in (
            "job.toml",
            "plan.json",
            "journal.jsonl",
            "spool.bin",
            "digest.key",
            "approvals",
            "archive",
            "certificate",
        )
    ),
    Cheat(
        "the spool of sampled values is changed",
        "stopped at advanced",
        lambda world: world.job.spool.write_bytes(world.job.spool.read_bytes()[:-9] + bytes(9)),
        every(Refused),
        "each record is sealed with a key that is on no disk",
    ),
    Cheat(
        "the spool of another job is put there",
        "stopped at advanced",
        spool_of_another_job,
        every(Refused),
        "each record is bound to its job",
    ),
    Cheat(
        "the spool is removed before the erase",
        "stopped at controlled",
        lambda world: world.job.spool.unlink(),
        every(VERIFIED),
        "harmless: the sample is taken again",
    ),
    Cheat(
        "the spool is removed after the erase began",
        "stopped at advanced",
        lambda world: world.job.spool.unlink(),
        every(UNVERIFIED),
        "**no claim**: the certificate says executed and not verified",
    ),
)

JOURNAL = (
    *(
        Cheat(
            f"journal.jsonl: {what}",
            "stopped at advanced",
            lines(change),
            every(Malformed),
            "each line carries the digest of the line before",
        )
        for what, change in (
            ("a line is changed", change_a_line),
            ("a line is dropped", lambda old: [*old[:2], *old[3:]]),
            ("the first line is dropped", lambda old: old[1:]),
            ("two lines are swapped", lambda old: [old[0], old[2], old[1], *old[3:]]),
            ("a line stands twice", lambda old: [*old[:2], old[1], *old[2:]]),
            ("a line of another journal is put in", lambda old: [old[0], old[-1], *old[1:]]),
        )
    ),
    Cheat(
        "journal.jsonl: its last lines are cut off",
        "stopped at advanced",
        lines(lambda old: old[:-2]),
        every(VERIFIED),
        "harmless: work is done twice",
    ),
    Cheat(
        "a whole journal is forged, up to verified and CLEAN",
        "before running",
        forge(lambda world: [*started(world), *verified(world)]),
        every(Residue),
        "the run that certifies is the run that looked",
        intact=True,
    ),
    Cheat(
        "forged on: everything erased, verified, CLEAN",
        "stopped at controlled",
        forge(verified),
        every(Residue),
        "the run that certifies is the run that looked",
        intact=True,
    ),
    Cheat(
        "forged on: everything erased",
        "stopped at controlled",
        forge(all_erased),
        every(Residue),
        "the run that certifies is the run that looked",
        intact=True,
    ),
    Cheat(
        "forged on: overwritten and read back",
        "stopped at controlled",
        forge(lambda world: erased(world, "s1")),
        every(Residue),
        "what is to be removed is read back once more by the run that removes",
        intact=True,
    ),
    Cheat(
        "forged on: the cursor is at the end",
        "stopped at controlled",
        forge(at_the_end),
        every(Residue),
        "reading back asks for every unit of the plan",
        intact=True,
    ),
    Cheat(
        "forged on: the removal has begun",
        "stopped at controlled",
        forge(removing),
        {"memory": Residue, "file": Refused, "database": Refused},
        "backends remove only what reads as overwritten; else the raw scan finds it",
        intact=True,
    ),
    Cheat(
        "forged on: certified",
        "stopped at controlled",
        forge(certified),
        every(Invalid),
        "a certificate that the journal speaks of must lie there and verify",
        intact=True,
    ),
    Cheat(
        "the certificate of another job is laid into this one",
        "before running",
        plant_a_certificate,
        every(Invalid),
        "a certificate is adopted only if it is about this plan and rests on this journal",
        intact=True,
    ),
)

TABLE: dict[str, tuple[Cheat, ...]] = {
    "The plugin lies": PLUGIN,
    "The storage is played with": STORAGE,
    "The target is swapped": TARGET,
    "The archive is cheated": ARCHIVE,
    "What was agreed is changed": AGREED,
    "What the job keeps is changed": KEPT,
    "The journal is changed or forged": JOURNAL,
}


def cells() -> Iterator[tuple[Cheat, str, Ends]]:
    """Yield every cell: a cheat, a backend, and how it must end."""
    for cheats in TABLE.values():
        for cheat in cheats:
            for backend, ends in cheat.ends.items():
                yield cheat, backend, ends
