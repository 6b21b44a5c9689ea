"""One trial of a backend: a planted target, the steps of a plan, and what must hold afterwards.

The contract suite asks; this module does: it opens afresh for each question, as the engine does,
keeps a journal of cursors, resumes from it, and judges what it finds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from deleatur.api import (
    Backend,
    Cursor,
    Gone,
    Identity,
    Inspection,
    Locator,
    Pattern,
    Secrets,
    Step,
    Surface,
    Target,
)
from deleatur.errors import DeleaturError
from deleatur.judge.planning import patterned
from deleatur.sanitize.patterns import laid
from deleatur.sanitize.scan import pieces_of
from deleatur.sanitize.surface import Piece
from deleatur.sanitize.techniques import TECHNIQUES, technique

SEED = bytes(range(32))
KEY = "5e" * 32  # of the overwrites of the suite


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A fresh target, and what was planted in it."""

    target: Target
    secrets: Secrets
    canaries: tuple[bytes, ...]  # stand in what is to go; 8 bytes or more each
    names: tuple[bytes, ...] = ()  # stand in names, which no place shows: they must go too, and not be told
    kept: tuple[bytes, ...] = ()  # stand in what must stay; 8 bytes or more each
    bystanders: Callable[[], bytes] | None = None  # what must stay, read without the backend
    records: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)  # of each archived table


def steps_of(name: str, target: str) -> tuple[Step, ...]:
    """Return the steps that a plan has for the technique called `name`, with fixed patterns."""
    return tuple(
        Step(
            id=f"s{n}",
            target=target,
            technique=name,
            action=action.name,
            compare=action.compare,
            pattern=pattern,
        )
        for n, (action, pattern) in enumerate(patterned(name, target, SEED), start=1)
    )


class Trial:
    """A planted target in the hands of a backend."""

    def __init__(self, backend: type[Backend], planted: Planted, raw: Callable[[Planted], bytes]) -> None:
        self.backend = backend
        self.planted = planted
        self.raw: Callable[[], bytes] = partial(raw, planted)

    # --- questions, each through a fresh open

    @contextmanager
    def opened(self) -> Iterator[Backend]:
        """Open the target and close it, also after an error."""
        backend = self.backend.open(self.planted.target, self.planted.secrets)
        try:
            yield backend
        finally:
            backend.close()

    def inspect(self) -> Inspection:
        """Inspect the target."""
        with self.opened() as backend:
            return backend.inspect()

    def identity(self) -> Identity | None:
        """Return the target's identity; None when the storage says that it is gone."""
        with suppress(Gone):
            return self.inspect().identity
        return None

    def places(self) -> list[Locator]:
        """Name every place that holds data now."""
        with self.opened() as backend:
            return list(backend.sample(None, SEED))

    def probe(self, place: Locator) -> bytes | None:
        """Probe one place."""
        with self.opened() as backend:
            return backend.probe(place)

    def seen(self) -> bytes:
        """Return what all places show; pieces of one item are joined in the order of their offsets."""
        items: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
        with self.opened() as backend:
            for place in list(backend.sample(None, SEED)):
                content = backend.probe(place)
                assert content is not None, f"a sampled place of {place.unit} holds nothing"
                items.setdefault((place.unit, place.item), []).append((place.offset, content))
        return b"\0".join(b"".join(piece for _, piece in sorted(item)) for item in items.values())

    def staying(self) -> tuple[bytes, ...]:
        """Return what must stay: as the backend reads it, and as the vendor's own hook does."""
        own = self.planted.bystanders() if self.planted.bystanders else b""
        with suppress(Gone), self.opened() as backend:
            return (own, *backend.bystanders())
        return (own,)

    def answers(self, question: Callable[[], Any]) -> list[Any]:
        """Return the answer in a list, or an empty list if the question was met with a silent error.

        `Gone` is an answer, not a way of not knowing.
        """
        try:
            return [question()]
        except Gone:
            return [Gone]
        except (OSError, DeleaturError) as error:
            self.assert_silent(str(error).encode("utf-8", "surrogateescape"), "an error")
            return []

    def has_bystanders(self) -> bool:
        """Tell whether anything must stay."""
        return bool(self.planted.kept or any(self.staying()))

    def scannable(self) -> dict[str, bytes]:
        """Return the bytes of each surface that must show the values, by its name."""
        surfaces = self.inspect().surfaces
        return {s.name: self._bytes_of(s) for s in surfaces if s.reach == "scannable" and s.control == "own"}

    def _bytes_of(self, surface: Surface) -> bytes:
        """Return what a scan would read, below the caches; what is not there now is nothing."""
        parts = (part for path in surface.paths for part in pieces_of(path, 0))
        return b"".join(bytes(part.content) for part in parts if isinstance(part, Piece))

    # --- what can be asked of this backend

    def techniques(self) -> list[str]:
        """Name the techniques that the target allows."""
        return [offer.technique for offer in self.inspect().offers]

    def claiming(self) -> list[str]:
        """Name the techniques that claim more than a deletion."""
        return [name for name in self.techniques() if technique(name).category != "logical-delete"]

    def steps(self, name: str) -> tuple[Step, ...]:
        """Return the steps of the technique called `name` for this target."""
        return steps_of(name, self.planted.target.id)

    def overwrites(self) -> list[Step]:
        """Return the steps, of all techniques, that leave a pattern behind."""
        steps = [step for name in self.techniques() for step in self.steps(name)]
        return [step for step in steps if step.reads_back]

    def foreign_steps(self) -> list[Step]:
        """Return steps that the target does not offer: other techniques, and other actions."""
        offered = self.techniques()
        known = {name: {action.name for action in technique(name).actions} for name in TECHNIQUES}
        actions = {action for names in known.values() for action in names} | {"no-such-action"}
        pairs = [("no-such-technique", "no-such-action")]
        pairs += [(name, action) for name in known if name not in offered for action in sorted(known[name])]
        pairs += [(name, action) for name in offered for action in sorted(actions - known[name])]
        pattern = Pattern(kind="aes-256-ctr", key=KEY)
        target = self.planted.target.id
        return [
            Step(id="s1", target=target, technique=name, action=action, compare="absence", pattern=pattern)
            for name, action in pairs
        ]

    # --- erasing, as the engine does it

    def run(self, step: Step, after: Cursor | None = None) -> list[Cursor]:
        """Do one step to its end through a fresh open."""
        with self.opened() as backend:
            return list(backend.erase(step, after))

    def journalled(self, step: Step, after: Cursor | None = None) -> Iterator[str]:
        """Do one step, yielding a line of journal for each cursor and one for the end."""
        with self.opened() as backend:
            for cursor in backend.erase(step, after):
                yield f"{step.id} {msgspec.json.encode(cursor).decode()}"
        yield f"{step.id} end"

    def journalled_all(self, name: str) -> Iterator[str]:
        """Do all steps of a technique, yielding the lines of their journals."""
        for step in self.steps(name):
            yield from self.journalled(step)

    def journalled_until_error(self, name: str) -> tuple[list[str], OSError | DeleaturError | None]:
        """Do all steps of a technique; return the lines of its journal, and the error that ended it."""
        journal: list[str] = []
        try:
            for line in self.journalled_all(name):
                journal.append(line)  # noqa: PERF402 - the lines before the error count
        except (OSError, DeleaturError) as error:
            return journal, error
        return journal, None

    def resume(self, name: str, journal: Sequence[str], places: list[Locator]) -> None:
        """Go on from the journal's last cursor, through fresh opens, and compare each overwrite.

        A target that the storage says is gone has nothing left to do.
        """
        for step in self.steps(name):
            lines = [line.removeprefix(f"{step.id} ") for line in journal if line.startswith(f"{step.id} ")]
            if lines[-1:] == ["end"]:
                continue
            last = msgspec.json.decode(lines[-1], type=Cursor) if lines else None
            with suppress(Gone):
                self.run(step, last)
            if step.reads_back:
                self.assert_reads_back(step, places)

    # --- what must hold

    def assert_reads_back(self, step: Step, places: list[Locator]) -> None:
        """Every place holds the step's pattern, to the byte."""
        assert step.pattern is not None, "an overwrite needs a pattern"
        pattern = laid(step.pattern)
        with self.opened() as backend:
            for place in places:
                content = backend.probe(place)
                assert content is not None, f"nothing can be read back at {place}"
                assert len(content) == (place.length or len(content)), f"a short read at {place}"
                expected = pattern.read(place.unit, place.offset, len(content))
                assert content == expected, f"not the pattern of the plan at {place}"

    def assert_gone(self, name: str, places: list[Locator]) -> None:
        """No place can be read, no unit is left, nothing can be sampled; what stays holds its pattern."""
        if technique(name).stays:
            self.assert_reads_back(self.steps(name)[-1], places)
            return
        with suppress(Gone), self.opened() as backend:
            left = [place.unit for place in places if _readable(backend, place)]
            assert not left, f"can still be read: {len(left)} places, such as one of {left[0]}"
            assert list(backend.sample(None, SEED)) == [], "there are still places to sample"
            assert backend.inspect().units == (), "the inspection still finds units"

    def assert_clean_below(self) -> None:
        """No canary stands in the raw bytes."""
        below = self.raw()
        gone = (*self.planted.canaries, *self.planted.names)
        left = [n for n, canary in enumerate(gone) if canary in below]
        assert not left, f"below the interface the canaries number {left} are left"

    def assert_ended_well(self, name: str, places: list[Locator], staying: tuple[bytes, ...]) -> None:
        """Everything is gone, as deep as the technique claims, and what must stay has stayed."""
        self.assert_gone(name, places)
        assert self.staying() == staying, "what must stay changed"
        if technique(name).category != "logical-delete":
            self.assert_clean_below()

    def assert_silent(self, text: bytes, what: str) -> None:
        """No canary stands in `text`, which goes into documents or logs."""
        assert not [c for c in (*self.planted.canaries, *self.planted.kept) if c in text], (
            f"{what} tells data"
        )


def _readable(backend: Backend, place: Locator) -> bool:
    with suppress(Gone):
        return backend.probe(place) is not None
    return False
