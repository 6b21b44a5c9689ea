"""The objects whose rows are meant: which of their versions hold selected rows, which rows must stay.

Rules kept: every version of every object that a pattern names is read whole, and one that cannot be read
stops the job; objects are named by number or keyed digest, never by their keys.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from deleatur.api import Failed, Locator, Refused, Secrets, Target, Unit, drawn, keyed_digest
from deleatur_plugins.s3.connecting import Session
from deleatur_plugins.s3.content import MOST, seal, unseal
from deleatur_plugins.s3.inside.forms import Form, form_of
from deleatur_plugins.s3.inside.reading import attributes, content_of, current, in_words, is_there
from deleatur_plugins.s3.inside.row import Row
from deleatur_plugins.s3.inside.rules import GOES, STAYS, Rule, Rules
from deleatur_plugins.s3.inside.tables import formats_of
from deleatur_plugins.s3.listing import Entry, listed

_EXCERPT = 4096  # bytes of one value: what the core keeps of a sampled place


@dataclass
class Object:
    """One object whose rows are meant, with all that lies under its key."""

    number: int  # from 1, in the order of the keys
    key: str
    form: Form
    rule: Rule
    told: dict[str, Any]  # what the server says of the current version; {}: there is none
    versions: list[Entry] = field(default_factory=list)
    markers: list[Entry] = field(default_factory=list)
    uploads: int = 0

    @property
    def latest(self) -> Entry | None:
        """The version that a plain request shows."""
        shown = [entry for entry in self.versions if entry.id == self.told.get("VersionId")]
        return shown[0] if shown else None


@dataclass(frozen=True)
class Chosen:
    """A version that holds selected rows, and how many."""

    object: Object
    entry: Entry
    rows: int

    @property
    def is_latest(self) -> bool:
        """Whether a plain request shows it: then what must stay of it is written before it goes."""
        return self.entry == self.object.latest


class Content:
    """What lies under the target's prefix now."""

    def __init__(self, session: Session, target: Target, secrets: Secrets, delimiter: str) -> None:
        self._session = session
        self._key = secrets["digest-key"]
        self._delimiter = delimiter
        rules = Rules(target, secrets)
        self.objects: dict[str, Object] = {}
        self._rules = rules
        self.beside = 0  # versions, markers and uploads that no pattern means
        versions = 0
        for entry in listed(session, session.address.prefix):
            versions += self._sort(entry)
            if versions > MOST:
                raise Refused(f"more than {MOST} versions are meant; split the job by prefix or pattern")
        for one in self.objects.values():
            with _of(one.number):
                _refuse_hidden(one)
        self._surveyed: dict[Entry, Counter[str]] = {}

    @property
    def listed(self) -> int:
        """How many entries lie under the prefix."""
        meant = sum(len(one.versions) + len(one.markers) + one.uploads for one in self.objects.values())
        return meant + self.beside

    def _sort(self, entry: Entry) -> bool:
        """Put an entry to its object, or count it with what is beside; say whether it is meant."""
        known = self.objects.get(entry.key)
        if known is None:
            rule = self._rule(entry)
            if rule is None:
                self.beside += 1
                return False
            number = len(self.objects) + 1
            with _of(number):
                form = form_of(entry.key, self._delimiter)
            known = Object(number, entry.key, form, rule, current(self._session, entry.key))
            self.objects[entry.key] = known
        if entry.kind == "upload":
            known.uploads += 1
        else:
            (known.markers if entry.kind == "marker" else known.versions).append(entry)
        return True

    def _rule(self, entry: Entry) -> Rule | None:
        return self._rules.rule(entry.key.removeprefix(self._session.address.prefix))

    # --- rows

    def rows(self, one: Object, entry: Entry) -> Iterator[Row]:
        """Yield every row of one version of an object."""
        with _of(one.number):
            yield from one.form.rows(content_of(self._session, entry), one.rule)

    def count(self, one: Object, entry: Entry) -> Counter[str]:
        """Return how many rows of a version go, stay, and are held by which hold."""
        if entry not in self._surveyed:
            with _of(one.number):
                verdicts = one.form.verdicts(content_of(self._session, entry), one.rule)
                self._surveyed[entry] = Counter(verdicts)
        return self._surveyed[entry]

    # --- what goes, and what is held

    def chosen(self) -> list[Chosen]:
        """Return every version that holds selected rows."""
        return [
            Chosen(one, entry, rows)
            for one in self.objects.values()
            for entry in one.versions
            if (rows := self.count(one, entry)[GOES])
        ]

    def unit(self, chosen: Chosen) -> Unit:
        """Return the unit of one version; its digest says whether that is current, its name does not."""
        state = b"current" if chosen.is_latest else b"old"
        name = keyed_digest(self._key, b"rows", *chosen.entry.parts())
        digest = keyed_digest(self._key, name.encode(), state, str(chosen.rows).encode())
        return Unit(name=f"version-{name[:24]}", size=chosen.rows, digest=digest)

    def held(self) -> tuple[Unit, ...]:
        """Return one unit for each hold that keeps rows of current versions back."""
        found: dict[str, list[tuple[str, int]]] = {}
        for one in self.objects.values():
            counts = self.count(one, one.latest) if one.latest is not None else Counter[str]()
            for hold, rows in counts.items():
                if hold not in (GOES, STAYS):
                    found.setdefault(hold, []).append((one.key, rows))
        return tuple(self._held_unit(hold, rows) for hold, rows in sorted(found.items()))

    def _held_unit(self, hold: str, rows: list[tuple[str, int]]) -> Unit:
        parts = [f"{key}\0{count}".encode("utf-8", "surrogatepass") for key, count in rows]
        digest = keyed_digest(self._key, b"held", hold.encode(), *parts)
        return Unit(name=f"hold {hold}", size=sum(count for _, count in rows), digest=digest)

    def blockers(self) -> Iterator[str]:
        """Say what of the named objects cannot be looked into, or cannot go without what must stay."""
        if uploads := sum(one.uploads for one in self.objects.values()):
            yield (
                f"{uploads} unfinished uploads stand under names that are meant, and nobody can read "
                "what their parts hold; complete or end them first"
            )
        columnar = [one.key for one in self.objects.values() if one.form.kind == "parquet"]
        for name in formats_of(self._session, columnar):
            yield (
                f"Parquet objects that are meant belong to a table of {name}, whose log keeps values of "
                "their rows and the size of each; delete the rows by the table's own engine, then old files"
            )
        if mixed := sum(map(self._loses_held, self.chosen())):
            yield (
                f"{mixed} old versions hold selected rows, and rows under a hold that their current version "
                "has not; an old version goes whole, so keep the held rows elsewhere first"
            )

    def _loses_held(self, chosen: Chosen) -> bool:
        """Say whether rows under a hold would go with a version, because it is old."""
        one, latest = chosen.object, chosen.object.latest
        if chosen.is_latest or not {*self.count(one, chosen.entry)} - {GOES, STAYS}:
            return False
        return latest is None or not self._held_rows(one, chosen.entry) <= self._held_rows(one, latest)

    def _held_rows(self, one: Object, entry: Entry) -> set[bytes]:
        held = (row.raw for row in self.rows(one, entry) if row.verdict not in (GOES, STAYS))
        return {hashlib.sha256(raw).digest() for raw in held}

    # --- places

    def sample(self, count: int | None, seed: bytes) -> tuple[list[Locator], dict[str, bytes]]:
        """Return places of selected values, and what stands there: each version is read once for each."""
        places = list(drawn((place for place, _ in self._values()), count, seed))
        wanted = {_mark(place) for place in places}
        return places, {mark: value for place, value in self._values() if (mark := _mark(place)) in wanted}

    def _values(self) -> Iterator[tuple[Locator, bytes]]:
        """Yield every value of a selected row; a row without any by itself."""
        for chosen in self.chosen():
            unit, sealed = self.unit(chosen).name, _sealed(self._key, chosen.entry)
            going = (row for row in self.rows(chosen.object, chosen.entry) if row.verdict == GOES)
            for number, row in enumerate(going):
                for cell, value in enumerate(list(row.leaves()) or [b""]):
                    yield Locator(unit=unit, item=f"{sealed}/{number}/{cell}"), value[:_EXCERPT]

    def value(self, place: Locator) -> bytes:
        """Return one value; the version is read for it."""
        found = next((value for here, value in self._values() if here == place), None)
        if found is None:
            raise Failed("a version is there, and the row that was named is not in it")
        return found

    # --- what stays

    def bystanders(self) -> Iterator[bytes]:
        """Yield what is beside; of each object: attributes, rows that stay, old versions without others."""
        for entry in listed(self._session, self._session.address.prefix):
            if self._rule(entry) is None:
                yield b"\0".join(entry.parts())
        for one in self.objects.values():
            yield b"object " + one.key.encode("utf-8", "surrogatepass")
            for entry in (*one.markers, *one.versions):
                if entry.kind == "marker" or (entry != one.latest and not self.count(one, entry)[GOES]):
                    yield b"\0".join(entry.parts())
            if one.latest is not None:
                yield from in_words(attributes(self._session, one.key, one.told))
                yield from (row.raw for row in self.rows(one, one.latest) if row.verdict != GOES)


def _refuse_hidden(one: Object) -> None:
    """Refuse an object of which the server shows no version, and lists none above that would explain it.

    Its current version would pass for an old one, and go with all of its rows.
    """
    if one.versions and one.latest is None:
        newest = max(entry.modified for entry in one.versions)
        if not any(entry.modified >= newest for entry in one.markers):
            raise Refused("the server shows no current version of it, and lists no marker above its versions")


def probe(session: Session, key: bytes, place: Locator, known: Callable[[Locator], bytes]) -> bytes | None:
    """Return what stands at a place; None when the server says that there is no such version."""
    id_, _, name = unseal(key, place.item.split("/")[0]).decode("utf-8", "surrogatepass").partition("\0")
    entry = Entry(name, id_, "object", "", 0, "")
    return known(place) if is_there(session, entry) else None


def _sealed(key: bytes, entry: Entry) -> str:
    return seal(key, f"{entry.id}\0{entry.key}".encode("utf-8", "surrogatepass"))


def _mark(place: Locator) -> str:
    return place.item


@contextmanager
def _of(number: int) -> Iterator[None]:
    """Say in a refusal which object is meant, without its key."""
    try:
        yield
    except Refused as error:
        if type(error) is not Refused:  # of the server's, not of the content
            raise
        raise Refused(
            f"object {number} of those that the job means, by the order of their keys: {error}"
        ) from None
