"""Rogues: backends that break one promise each, to prove that the contract suite can see it.

`BREAKS` names for each rogue the test that must fail. A promise that no rogue breaks is a promise
that nobody knows to be tested; tests/contract/test_rogues.py counts both ways. Each is the memory
backend with one method bent, in a way that somebody once shipped or easily could.
"""

import hashlib
import os
import secrets as randomness
from collections.abc import Callable, Iterator
from typing import Any, Final, Self

import msgspec

from deleatur.api import (
    Cursor,
    Failed,
    Gone,
    Identity,
    Inspection,
    Locator,
    Offer,
    Pattern,
    Refused,
    Secrets,
    Step,
    Surface,
    Target,
    Unsupported,
)
from deleatur.testing.memory import Box, MemoryBackend, Store

replaced = msgspec.structs.replace


class InventsALimit(MemoryBackend):
    """Lowers its claim by a sentence that nobody vetted, so no certificate could be written."""

    def inspect(self) -> Inspection:
        return replaced(
            super().inspect(), offers=(Offer(technique="forget", limits=("works-most-of-the-time",)),)
        )


class LooksAndTouches(MemoryBackend):
    """Changes something while looking: it leaves a lock file behind."""

    def inspect(self) -> Inspection:
        (self.store.folder / "lock").write_bytes(b"1")
        return super().inspect()


class LeavesItOpen(MemoryBackend):
    """Opens the heap at each open and never closes it, so that later looks may use an old handle."""

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        opened = super().open(target, secrets)
        os.open(opened.store.folder / "heap", os.O_RDONLY)
        return opened


class DriftsInIdentity(MemoryBackend):
    """Takes the size of the target into its identity, which changes half-way."""

    def inspect(self) -> Inspection:
        honest = super().inspect()
        drifting = (*honest.identity.fields, ("boxes", str(len(self.store.index().boxes))))
        return replaced(honest, identity=Identity(kind="memory", fields=drifting))


class LiesAboutIdentity(MemoryBackend):
    """Says of every target that it is the same one."""

    def inspect(self) -> Inspection:
        return replaced(super().inspect(), identity=Identity(kind="memory", fields=(("store", "1"),)))


class NamesTheAddress(MemoryBackend):
    """Takes the address for the identity: whoever moves in there is erased."""

    def inspect(self) -> Inspection:
        address = hashlib.sha256(self.target.url.encode()).hexdigest()
        return replaced(super().inspect(), identity=Identity(kind="memory", fields=(("store", address),)))


class DrawsTheSample(MemoryBackend):
    """Chooses the places anew at each call."""

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        return super().sample(count, seed + randomness.token_bytes(8))


class SamplesWhatIsEasy(MemoryBackend):
    """Ignores the seed and always names the first places."""

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:  # noqa: ARG002
        yield from list(super().sample(None, b""))[:count]


class SamplesOutside(MemoryBackend):
    """Names a place that the target's selection does not cover."""

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        yield from super().sample(count, seed)
        if count is None:
            neighbour = self.store.index().boxes[-1]
            yield Locator(unit=neighbour.name, length=neighbour.length)


class ShowsNothing(MemoryBackend):
    """Answers every probe of a known box with zeros, before as after."""

    def probe(self, place: Locator) -> bytes | None:
        content = super().probe(place)
        return None if content is None else bytes(len(content))


class HidesAUnit(MemoryBackend):
    """Never samples the last box of the selection, so nobody will look there."""

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        hidden = self.selected()[-1].name
        yield from [p for p in super().sample(None, seed) if p.unit != hidden][:count]


class PointsElsewhere(MemoryBackend):
    """Declares a surface where the data never was, so that the scan comes out clean."""

    def inspect(self) -> Inspection:
        index = str(self.store.folder / "index")
        return replaced(
            super().inspect(), surfaces=(Surface(name="heap", reach="scannable", paths=(index,)),)
        )


class AddsABlindSurface(MemoryBackend):
    """Declares one more surface where the data never was, and lets the other ones speak for it."""

    def inspect(self) -> Inspection:
        honest = super().inspect()
        blind = (replaced(s, control="own") for s in honest.surfaces if s.control == "none")
        return replaced(honest, surfaces=(honest.surfaces[0], *blind))


class ErasesEagerly(MemoryBackend):
    """Does the first unit before it is asked for the first cursor."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        self.action(step)(self.selected()[0])
        return super().erase(step, after)


class SkipsTheLastUnit(MemoryBackend):
    """Leaves the last box alone and says that it came to the end."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        last = self.selected()[-1].name
        for cursor in super().erase(step, after):
            yield cursor
            following = [b.name for b in self.selected() if int(cursor.position[4:]) < b.number]
            if following == [last]:
                return


class WritesZeros(MemoryBackend):
    """Overwrites with zeros instead of the keystream: nobody can tell them from never written."""

    def action(self, step: Step) -> Callable[[Box], None]:
        honest = super().action(step)
        return (lambda box: self.store.write(box, bytes(box.length))) if step.pattern else honest


class DrawsAMissingKey(MemoryBackend):
    """Without a key in the plan it draws one, which no verifier can know."""

    def action(self, step: Step) -> Callable[[Box], None]:
        drawn = Pattern(kind="aes-256-ctr", key=randomness.token_hex(32))
        return super().action(replaced(step, pattern=step.pattern or drawn))


class LeavesACopyBelow(MemoryBackend):
    """Copies the heap before it overwrites, as a journal or a write-ahead log does."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        copy = self.store.folder / "heap.wal"
        if not copy.exists():
            copy.write_bytes((self.store.folder / "heap").read_bytes())
        yield from super().erase(step, after)


class ErasesANeighbour(MemoryBackend):
    """Treats the first box that must stay like the last one of the selection."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        action, going = self.action(step), {b.number for b in self.selected()}
        yield from super().erase(step, after)
        action(next(b for b in self.store.index().boxes if b.number not in going))


class FailsTheSecondTime(MemoryBackend):
    """Takes work that is already done for an error, so that no job can be resumed."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        if not self.selected():
            raise Refused("nothing is left to erase; plan the job again")
        yield from super().erase(step, after)


class FallsBack(MemoryBackend):
    """Does what it can when it cannot do what was asked."""

    def action(self, step: Step) -> Callable[[Box], None]:
        try:
            return super().action(step)
        except Unsupported:
            return self.store.drop


class TellsInACursor(MemoryBackend):
    """Puts the key of a row into the cursor, and so into the journal: a name is data."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        where = replaced(after, position=after.position.partition(" ")[0]) if after else None
        names = {b.name: self.store.read(b, 0, min(b.length, 24)).decode("latin-1") for b in self.selected()}
        for cursor in super().erase(step, where):
            yield replaced(cursor, position=f"{cursor.position} {names[cursor.position]}")


class QuotesInErrors(MemoryBackend):
    """Explains a refusal by quoting what it refuses to erase."""

    def action(self, step: Step) -> Callable[[Box], None]:
        try:
            return super().action(step)
        except Unsupported as error:
            box = self.selected()[0]
            raise Unsupported(f"{error}: {self.store.read(box, 0, box.length)!r}") from None


class DeniedMeansGone(MemoryBackend):
    """Answers "nothing there" when it was not let in."""

    def probe(self, place: Locator) -> bytes | None:
        try:
            return super().probe(place)
        except OSError:
            return None


class SaysGoneWhenDenied(MemoryBackend):
    """Raises `Gone` for a target that it may not open."""

    def probe(self, place: Locator) -> bytes | None:
        try:
            return super().probe(place)
        except OSError:
            raise Gone("the store cannot be found") from None


class LosesRecords(MemoryBackend):
    """Archives all records but the last one."""

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        yield from list(super().records(table))[:-1]


class PromisesEarly(MemoryBackend):
    """Yields the cursor first and does the work when it is asked for the next one."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        action, last = self.action(step), int(after.position.removeprefix("box-")) if after else 0
        done = after.done if after else 0
        for box in self.selected():
            if box.number > last:
                done += box.length
                yield Cursor(position=box.name, done=done)
                action(box)


class ForgetsOnResume(MemoryBackend):
    """Counts the units done, and on resume skips one too many."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        if after is None:
            return super().erase(step, None)
        return super().erase(step, replaced(after, position=f"box-{int(after.position[4:]) + 1}"))


class ChokesOnWorkDone(MemoryBackend):
    """Works off a list that it made at the start, and fails at what is no longer there."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        listed = self.store.folder / f"list-{step.action}"
        if not listed.exists():
            listed.write_text(" ".join(b.name for b in self.selected()), encoding="ascii")
        names = listed.read_text(encoding="ascii").split()
        here = {b.name: b for b in self.selected()}
        for name in names[names.index(after.position) + 1 if after else 0 :]:
            if name not in here:
                raise Failed(f"{name} is not in the store; look into who removed it")
            self.action(step)(here[name])
            yield Cursor(position=name, done=int(name.removeprefix("box-")))


class DrawsANewKeyOnResume(MemoryBackend):
    """Overwrites with another key after a crash, so that what it wrote looks like residue."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        if after and step.pattern:
            step = replaced(step, pattern=replaced(step.pattern, key=randomness.token_hex(32)))
        return super().erase(step, after)


class TicksOffFirst(MemoryBackend):
    """Ticks a box off before it is done, and on resume believes the tick."""

    def action(self, step: Step) -> Callable[[Box], None]:
        honest = super().action(step)

        def ticked(box: Box) -> None:
            tick = self.store.folder / f"{step.action}-{box.name}"
            if not tick.exists():
                tick.write_bytes(b"done")
                honest(box)

        return ticked


class SwallowsErrors(MemoryBackend):
    """Goes on to the next box when one cannot be written."""

    def action(self, step: Step) -> Callable[[Box], None]:
        honest = super().action(step)

        def forgiving(box: Box) -> None:
            try:
                honest(box)
            except OSError:
                return

        return forgiving


class NeverFlushes(MemoryBackend):
    """Writes into the page cache and promises that it is on the disk."""

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> "NeverFlushes":
        honest = MemoryBackend.open(target, secrets)
        return cls(target, LazyStore(honest.store.folder), honest.digest_key)


class LazyStore(Store):
    """A store whose writes are not flushed."""

    def write(self, box: Box, content: bytes) -> None:
        descriptor = os.open(self.folder / "heap", os.O_WRONLY)
        try:
            if os.pwrite(descriptor, content, box.offset) != len(content):
                raise Failed(f"a short write into {box.name}; run again")
        finally:
            os.close(descriptor)


BREAKS: Final[dict[type[MemoryBackend], str]] = {
    InventsALimit: "test_offers_are_known",
    LooksAndTouches: "test_looking_changes_nothing",
    LeavesItOpen: "test_close_releases_what_open_took",
    DriftsInIdentity: "test_identity_is_stable",
    LiesAboutIdentity: "test_another_target_is_another",
    NamesTheAddress: "test_a_replaced_target_is_another",
    DrawsTheSample: "test_sampling_is_repeatable",
    SamplesWhatIsEasy: "test_sampling_is_repeatable",
    SamplesOutside: "test_sampling_names_only_the_selection",
    ShowsNothing: "test_probes_see_data_before",
    HidesAUnit: "test_units_cover_the_places",
    PointsElsewhere: "test_surfaces_hold_the_canaries_before",
    AddsABlindSurface: "test_surfaces_hold_the_canaries_before",
    ErasesEagerly: "test_erase_is_lazy",
    SkipsTheLastUnit: "test_nothing_is_readable_after",
    WritesZeros: "test_keystream_reads_back",
    DrawsAMissingKey: "test_a_missing_key_is_an_error",
    LeavesACopyBelow: "test_canaries_are_gone_below_the_interface",
    ErasesANeighbour: "test_bystanders_are_untouched",
    FailsTheSecondTime: "test_erasing_twice_is_harmless",
    FallsBack: "test_the_unknown_is_unsupported",
    TellsInACursor: "test_cursors_say_where_never_what",
    QuotesInErrors: "test_what_is_said_is_where_never_what",
    DeniedMeansGone: "test_not_knowing_is_not_gone",
    SaysGoneWhenDenied: "test_not_knowing_is_not_gone",
    LosesRecords: "test_records_round_trip",
    PromisesEarly: "test_a_crash_at_any_cursor_is_survived[after]",
    ForgetsOnResume: "test_a_crash_at_any_cursor_is_survived[after]",
    ChokesOnWorkDone: "test_a_crash_at_any_cursor_is_survived[before]",
    DrawsANewKeyOnResume: "test_a_crash_at_any_cursor_is_survived[after]",
    TicksOffFirst: "test_a_kill_at_any_call_is_survived",
    SwallowsErrors: "test_an_io_error_is_not_swallowed",
    NeverFlushes: "test_a_cursor_is_flushed",
}
