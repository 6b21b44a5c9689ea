"""The memory backend: a small real storage that passes the contract suite and serves other tests.

It has the two layers that every storage has: an interface (an index of boxes on shelves) and raw
bytes below it (the heap), which keep what the interface has forgotten. Both are files of one
folder, so that a job can be killed and resumed by another process. It follows every rule that a
backend follows, and takes no short cut that a vendor may not take.
"""

import hmac
import os
import secrets as randomness
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

import msgspec

from deleatur.api import (
    Backend,
    Condition,
    Cursor,
    Failed,
    Gone,
    Identity,
    Inspection,
    Keystream,
    Locator,
    Offer,
    Secrets,
    Step,
    Surface,
    Target,
    Unit,
    Unsupported,
    keyed_digest,
)

CHUNK = 64  # bytes of one place; small, so that a box has several


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """One record: where its bytes lie in the heap."""

    number: int
    shelf: str  # what a selection calls a table
    offset: int  # bytes
    length: int  # bytes

    @property
    def name(self) -> str:
        """The name of the unit: a number, never content."""
        return f"box-{self.number}"


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """The interface layer: what the storage says it holds."""

    store: str  # 32 hex digits, drawn once when the storage is made: its identity
    boxes: tuple[Box, ...]


class Store:
    """The storage itself: an index above, a heap below, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, shelves: Mapping[str, Sequence[bytes]]) -> Self:
        """Make a new storage in `folder` (which must not exist) with one box for each content."""
        folder.mkdir(parents=True)
        store, boxes, heap = cls(folder), list[Box](), bytearray()
        for shelf, contents in shelves.items():
            for content in contents:
                boxes.append(Box(number=len(boxes) + 1, shelf=shelf, offset=len(heap), length=len(content)))
                heap += content
        (folder / "heap").write_bytes(heap)
        store._replace_index(Index(store=randomness.token_hex(16), boxes=tuple(boxes)))
        return store

    def index(self) -> Index:
        """Read the index.

        Raises:
            Gone: the folder, or the index in it, is not there.
        """
        try:
            content = (self.folder / "index").read_bytes()
        except FileNotFoundError:
            raise Gone("the memory store has no index: it was removed, or never made") from None
        try:
            return msgspec.json.decode(content, type=Index)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Failed("the memory store's index is damaged; restore it or remove the store") from None

    def read(self, box: Box, offset: int, length: int) -> bytes:
        """Return `length` bytes of the box from `offset`.

        Raises:
            OSError: the heap cannot be read, or is shorter than the index says.
        """
        with (self.folder / "heap").open("rb") as heap:
            heap.seek(box.offset + offset)
            content = heap.read(length)
        if len(content) != length:
            raise OSError(f"the heap ends inside {box.name}")
        return content

    def write(self, box: Box, content: bytes) -> None:
        """Write `content` over the whole box, and flush it."""
        descriptor = os.open(self.folder / "heap", os.O_WRONLY)
        try:
            written = 0
            while written < len(content):
                written += os.pwrite(descriptor, content[written:], box.offset + written)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def drop(self, box: Box) -> None:
        """Forget the box: the index is replaced durably, the heap keeps its bytes."""
        index = self.index()
        left = tuple(b for b in index.boxes if b.number != box.number)
        self._replace_index(Index(store=index.store, boxes=left))

    def raw(self) -> bytes:
        """Return every byte below the interface, of every file in the folder."""
        return b"".join(p.read_bytes() for p in sorted(self.folder.rglob("*")) if p.is_file())

    def _replace_index(self, index: Index) -> None:
        fresh = self.folder / "index.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            content = msgspec.json.encode(index)
            while content:
                content = content[os.write(descriptor, content) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(fresh, self.folder / "index")  # noqa: PTH104 - counted by deleatur.testing.faults
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def memory_url(folder: Path) -> str:
    """Return the URL of the store in `folder`."""
    return "memory:" + quote(str(folder.absolute()))


class MemoryBackend(Backend):
    """`memory:/folder`: a `Store`, whole or by shelf, with conditions on the column `number`.

    It offers `overwrite-and-remove`, and `forget`, which leaves the bytes in the heap: a job that
    uses `forget` must end with residue.
    """

    def __init__(self, target: Target, store: Store, digest_key: bytes) -> None:
        self.target = target
        self.store = store
        self.digest_key = digest_key

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Find the store; raises `Gone` when the storage has none there."""
        store = Store(Path(unquote(urlsplit(target.url).path)))
        store.index()
        return cls(target, store, secrets["digest-key"])

    def inspect(self) -> Inspection:
        """List the boxes that are selected and not held."""
        selected = self.selected()
        return Inspection(
            identity=Identity(kind="memory", fields=(("store", self.store.index().store),)),
            size=sum(b.length for b in selected),
            units=tuple(map(self._unit, selected)),
            held=tuple(map(self._unit, self._held())),
            offers=(Offer(technique="overwrite-and-remove"), Offer(technique="forget")),
            surfaces=(
                Surface(name="heap", reach="scannable", paths=(str(self.store.folder / "heap"),)),
                Surface(
                    name="index",
                    reach="scannable",
                    paths=(str(self.store.folder / "index"),),
                    control="none",  # it knows where the values lie, and none of them
                ),
            ),
        )

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name places of `CHUNK` bytes, in the order of their keyed digests under `seed`."""
        places = [
            Locator(unit=box.name, offset=offset, length=min(CHUNK, box.length - offset))
            for box in self.selected()
            for offset in range(0, box.length, CHUNK)
        ]
        if count is not None:
            places.sort(key=lambda p: hmac.digest(seed, f"{p.unit} {p.offset}".encode(), "sha256"))
        yield from places[:count]

    def probe(self, place: Locator) -> bytes | None:
        """Read through the index; None only when the index does not know the box."""
        for box in self.store.index().boxes:
            if box.name == place.unit:
                return self.store.read(box, place.offset, place.length or box.length - place.offset)
        return None

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Overwrite or drop one box after the other, in the order of their numbers."""
        done = after.done if after else 0
        last = int(after.position.removeprefix("box-")) if after else 0
        action = self.action(step)
        for box in self.selected():
            if box.number > last:
                action(box)
                done += box.length
                yield Cursor(position=box.name, done=done)

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield number and content of the boxes that the archive keeps of the shelf `table`."""
        for archived in self.target.archive:
            if archived.table == table:
                for box in self.store.index().boxes:
                    if box.shelf == table and _meets(box, archived.where):
                        content = self.store.read(box, 0, box.length).decode("utf-8", "backslashreplace")
                        row = {"number": box.number, "content": content}
                        yield {column: row[column] for column in archived.columns}

    def bystanders(self) -> Iterator[bytes]:
        """Yield the boxes that are not selected, or held, in the order of their numbers."""
        going = {b.number for b in self.selected()}
        for box in self.store.index().boxes:
            if box.number not in going:
                yield self.store.read(box, 0, box.length)

    def selected(self) -> list[Box]:
        """Return the boxes that are to go, in the order of their numbers."""
        held = {b.number for b in self._held()}
        return [b for b in self._chosen() if b.number not in held]

    def _chosen(self) -> list[Box]:
        boxes = self.store.index().boxes
        if not self.target.select:
            return list(boxes)
        return [
            b for b in boxes if any(b.shelf == s.table and _meets(b, s.where) for s in self.target.select)
        ]

    def _held(self) -> list[Box]:
        return [
            b
            for b in self._chosen()
            if any(b.shelf == h.table and _meets(b, h.where) for h in self.target.hold)
        ]

    def _unit(self, box: Box) -> Unit:
        identifying = (box.name.encode(), box.shelf.encode(), box.length.to_bytes(8, "big"))
        return Unit(name=box.name, size=box.length, digest=keyed_digest(self.digest_key, *identifying))

    def action(self, step: Step) -> Callable[[Box], None]:
        """Return what the step does to one box; raises `Unsupported` for what is not offered."""
        match (step.technique, step.action):
            case ("overwrite-and-remove", "overwrite"):
                if step.pattern is None:
                    raise Failed(f"step {step.id} has no pattern to overwrite with; plan the job again")
                keystream = Keystream(step.pattern.key)
                return lambda box: self.store.write(box, keystream.read(box.name, 0, box.length))
            case ("overwrite-and-remove", "remove") | ("forget", "forget"):
                return self.store.drop
        raise Unsupported(f"a memory store does not know {step.action[:80]!r} of {step.technique[:80]!r}")


def _meets(box: Box, where: Sequence[Condition]) -> bool:
    return all(_meets_one(box, condition) for condition in where)


def _meets_one(box: Box, condition: Condition) -> bool:
    if condition.column != "number" or condition.operator not in ("=", "in"):
        raise Unsupported("a memory store selects by = and in on the column number only")
    wanted = condition.values if condition.operator == "in" else (condition.value,)
    return box.number in (wanted or ())
