"""Erase a whole block device, as one unit; every open looks again whether it is the device, and free.

Rules kept: nothing is written while any interlock stands, and no option takes one away; the device is
opened for this process alone; each technique is a module of its own, and no other one is ever tried.
"""

import json
import mmap
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import ClassVar, Self
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from deleatur.api import (
    LEAVE,
    LIFT,
    Backend,
    Cursor,
    Denial,
    Device,
    DeviceTable,
    Gone,
    Inspection,
    Locator,
    Offer,
    Refused,
    Secrets,
    Step,
    Surface,
    Target,
    Transient,
    Unit,
    Unsupported,
    device_at,
    full_size,
    identity_of,
    interlocks,
    keyed_digest,
    offers_for,
    positions,
    read_table,
    require_same,
    technique,
    unreadable_until,
)
from deleatur_plugins.block import commanding, keys, lifting, overwriting, psid

UNIT = "device"
_PLACE = 4096  # bytes of one sampled place at least; a multiple of most logical blocks in use
_GLANCES = 10  # looks
_GLANCE = 0.2  # seconds between two of them
Way = Callable[[Device, str, Step, Cursor | None], Iterator[Cursor]]


class BlockBackend(Backend):
    """One block device of this host, named by a `block:` URL."""

    ways: ClassVar[Mapping[str, Way]] = {
        **dict.fromkeys(commanding.TECHNIQUES, commanding.command),
        **dict.fromkeys(overwriting.TECHNIQUES, overwriting.overwrite),
    }

    def __init__(
        self,
        path: str,
        key: bytes,
        approved: frozenset[str] | None,
        keys_end: int | None = None,
        *,
        lifts: bool = False,
        technique: str | None = None,
    ) -> None:
        self._path = path
        self._key = key
        self._approved = approved  # digests of the unit's identity; None before there is a plan
        self._keys_end = keys_end  # of a LUKS container, in bytes as planned, 0 before; None: all is erased
        self._lifts = lifts  # what a drive hides is shown first, and overwritten too
        self._technique = technique  # as the job names it; None: the strongest
        self._fd: int | None = None

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Take the path; it is looked up anew at every look."""
        if target.select or target.hold or target.archive:
            raise Unsupported(
                f"{target.id}: a device has no rows to select, hold or archive; name a database's own URL"
            )
        approved, size = None, 0
        if "approved-units" in secrets:
            units = json.loads(secrets["approved-units"])["units"]
            approved = frozenset(unit["digest"] for unit in units)
            size = sum(unit["size"] for unit in units)
        keys_end = size if target.technique == keys.TECHNIQUE else None
        return cls(
            _path_of(target.url),
            secrets["digest-key"],
            approved,
            keys_end,
            lifts=target.lift_hidden,
            technique=target.technique,
        )

    def close(self) -> None:
        """Close the device, if anything was read."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def inspect(self) -> Inspection:
        """Look at the device, at everything made of it, and at every use of either.

        Raises:
            Refused: it may not be read, or does not answer: nothing is known of it then.
            Transient: it was there when it was planned.
        """
        table, device = self._look()
        planned = self._approved is not None
        if device.signatures is None and not (planned and unreadable_until(device)):
            raise self._unread(device)
        offers, denials = self._allowed(device)
        wanted = self._technique or next((offer.technique for offer in offers), "")
        if wanted == psid.TECHNIQUE and wanted in {offer.technique for offer in offers}:
            psid.psid_of(device)  # looked for before anything begins
        if table.closed:
            offers = tuple(replace(offer, limits=(*offer.limits, "openers-unseen")) for offer in offers)
        return Inspection(
            identity=identity_of(table, device),
            size=full_size(device) if self._lifts else device.size,
            units=(Unit(name=UNIT, size=self._extent(device), digest=self._digest(table, device)),),
            offers=offers,
            denials=denials,
            surfaces=_surfaces(device),
            blockers=interlocks(table, device, approved=planned, whole=wanted in commanding.WHOLE),
            shown=device.size if self._lifts else None,
        )

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name places of 4 KiB, or of one block: a device always holds something at each of them."""
        _, device = self._look_at_the_approved()
        length = max(_PLACE, device.logical_block)
        extent = min(self._extent(device), device.size)  # what a drive hides cannot be read yet
        population = -(-extent // length)
        numbers = range(population) if count is None else positions(seed, population, count)
        for number in numbers:
            start = number * length
            yield Locator(unit=UNIT, offset=start, length=min(length, extent - start))

    def probe(self, place: Locator) -> bytes | None:
        """Read a place below the page cache. Raises OSError where the medium does not show it."""
        if place.unit != UNIT or place.item or not place.length:
            raise Refused("a device has one unit, and places with a length")
        if self._fd is None:
            self._fd = self._opened_below()
        room = mmap.mmap(-1, place.length)
        count = os.preadv(self._fd, [room], place.offset)
        if count != place.length:
            raise OSError(5, "the device ended before its size")
        return room[:]

    def _opened_below(self) -> int:
        _, device = self._look_at_the_approved()
        fd = os.open(device.path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            require_same(fd, device)
        except BaseException:  # a later probe must not read what was refused
            os.close(fd)
            raise
        return fd

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Do one step of a technique, after a last look at every interlock.

        Raises:
            Unsupported: this device does not allow it. Refused: the device must not be written now.
        """
        actions = {action.name for action in technique(step.technique).actions}
        way = self._ways().get(step.technique)
        if step.action == LIFT and self._lifts:
            way = lifting.lift
        elif way is None or step.action not in actions:
            raise Unsupported(f"a device does not know {step.technique} with {step.action}")
        table, device = self._look_at_the_approved()
        whole = step.technique in commanding.WHOLE
        ours = after is not None or step.action == LEAVE  # it erases itself, or waits, by our command
        if blockers := interlocks(table, device, approved=ours, whole=whole):
            raise Refused("; ".join(blockers))
        if after is None and step.technique not in {offer.technique for offer in self._allowed(device)[0]}:
            raise Unsupported(f"{device.name} does not allow {step.technique} any more; plan again")
        if self._lifts and step.action != LIFT and device.size != full_size(device):
            raise Transient(f"{device.name} hides sectors again; resume, and they are lifted again")
        yield from way(device, UNIT, step, after)

    def _ways(self) -> Mapping[str, Way]:
        if self._keys_end is None:
            return self.ways
        return {keys.TECHNIQUE: partial(overwriting.overwrite, size=self._keys_end)}

    def _extent(self, device: Device) -> int:
        """Return how many bytes from its beginning are erased: of a LUKS container, those of its keys.

        Raises:
            Refused: there is no such container, and none was planned.
        """
        if self._lifts:
            return full_size(device)
        if self._keys_end is None:
            return device.size
        return keys.end_of(device) if keys.has_header(device) or not self._keys_end else self._keys_end

    def _digest(self, table: DeviceTable, device: Device) -> str:
        return keyed_digest(self._key, b"device", identity_of(table, device).text().encode())

    def _look_at_the_approved(self) -> tuple[DeviceTable, Device]:
        """Look, and refuse what came to the path since the core compared it with the plan.

        Raises:
            Refused: it is another device than the approved one.
        """
        table, device = self._look()
        if self._approved is not None and self._digest(table, device) not in self._approved:
            raise Refused(
                f"{device.name} is not the device of the plan, though it lies at its path; look again"
            )
        return table, device

    def _look(self) -> tuple[DeviceTable, Device]:
        """Read the table of all devices anew, and find ours in it.

        Whoever looks at all devices of a host, as we do, has each of them open for a moment: that
        alone is waited for, a little while, before it counts.
        """
        for waited in range(_GLANCES):
            if waited:
                time.sleep(_GLANCE)
            table, device = self._found()
            if not any(use.kind == "opened" and use.number == device.number for use in table.uses):
                break
        return table, device

    def _found(self) -> tuple[DeviceTable, Device]:
        """Read the table and find ours in it. Raises Transient where a planned device was pulled."""
        try:
            table = read_table(self._path)
            device = device_at(table, self._path)
        except Gone as error:
            if self._approved is None:
                raise Refused(str(error)) from None
            raise Transient(f"{self._path} went away; attach it again and resume") from None
        if self._approved is not None and not device.size:
            raise Transient(f"nothing is attached at {device.name} any more; attach it again and resume")
        return table, device

    def _unread(self, device: Device) -> Refused | Transient:
        """Return the error for a device of which nothing could be read."""
        if why := unreadable_until(device):
            return Refused(f"{device.name} {why}")
        if self._approved is None or not os.access(device.path, os.R_OK, effective_ids=True):
            return Refused(f"{device.name} could not be read; run as root, and see whether it answers")
        return Transient(f"{device.name} could not be read; see whether it answers, then resume")

    def _allowed(self, device: Device) -> tuple[tuple[Offer, ...], tuple[Denial, ...]]:
        """Return what the device allows and this backend can do; the overwrites by every standard."""
        offers, denials = offers_for(device)
        known: list[Offer] = []
        for offer in offers:
            names = (
                overwriting.TECHNIQUES if offer.technique in overwriting.TECHNIQUES else (offer.technique,)
            )
            known += [
                replace(offer, technique=name, limits=(*offer.limits, *overwriting.limits_of(name)))
                for name in names
                if name in self._ways()
            ]
        return lifting.only_overwrites(device, known) if self._lifts else (tuple(known), denials)


def _surfaces(device: Device) -> tuple[Surface, ...]:
    addressed = Surface(name="block device", reach="scannable", paths=(device.path,))
    if device.kind in ("loop", "memory"):
        return (addressed,)
    below = device.kind in ("mapping", "array")
    return (
        addressed,
        Surface(
            name="sectors that the drives below put aside" if below else "sectors that the drive put aside",
            reach="out-of-reach",
            reason="the host cannot address them; only the drive's own commands reach them",
        ),
    )


def _path_of(url: str) -> str:
    """Return the path of the device node, or of a link to it, that a `block:` URL names.

    Raises:
        Refused: another host, a query, or a path outside of /dev.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise Refused("a block URL names a device of this host: write block:///dev/disk/by-id/NAME")
    if not path.startswith("/dev/") or os.path.normpath(path) != path or not path.isprintable():
        raise Refused("a block URL names a path below /dev: write block:///dev/disk/by-id/NAME")
    return path
