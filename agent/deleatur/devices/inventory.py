"""Read the table of all block devices of a host and of what uses them."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from deleatur.devices.asking import asked
from deleatur.devices.layers import Layers
from deleatur.devices.loops import attached_to
from deleatur.devices.places import Places, attribute, names_in
from deleatur.devices.protected import never_erase
from deleatur.devices.signatures import signatures_on
from deleatur.devices.sysfs import block_names, characters_of, read_device
from deleatur.devices.uses import Looking
from deleatur.documents.device import Device, DeviceTable, Number
from deleatur.errors import Gone

_AT_ONCE = 32  # drives that are asked at the same time


def read_table(of: str | None = None, *, places: Places = Places()) -> DeviceTable:  # noqa: B008 - frozen
    """Return every block device of this host and every use of one, as they are now.

    Nothing is changed. A device that goes away while it is looked at is left out. Drives are asked
    and their signatures read one beside the other. `of`, a name as in `device_at`, spares a shelf of
    slow disks: only this device and what it is made of are asked, and what shares its bytes is read;
    of the others the signatures are None.

    Raises:
        Gone: there is no device `of`.
        Malformed: the list of devices that are never erased cannot be understood.
        OSError: sysfs or procfs may not be read.
    """
    devices: list[Device] = []
    for name in block_names(places):
        with contextlib.suppress(FileNotFoundError):  # taken off since it was listed
            one = read_device(places, name)
            devices.append(attached_to(one) if places.live else one)
    nodes = {one.path: one.number for one in devices}
    links = _links(places, nodes)
    files: dict[str, list[Number]] = {}
    for one in devices:
        if one.backing_inode:
            files.setdefault(one.backing_inode, []).append(one.number)
    named = {link: number for number, all_ in links.items() for link in all_}
    looking = Looking(places, {**nodes, **named}, files, characters_of(places))
    table = DeviceTable(
        boot=attribute(places.proc / "sys/kernel/random/boot_id"),
        devices=tuple(
            msgspec.structs.replace(
                one,
                aliases=links.get(one.number, ()),
                backing_number=one.backing_number or nodes.get(one.backing),
            )
            for one in devices
        ),
        uses=looking.uses(),
        never=never_erase(places),
        unseen=tuple(dict.fromkeys(looking.unseen)),
        closed=tuple(dict.fromkeys(looking.closed)),
    )
    return _looked_into(table, of) if places.live else table


def _looked_into(table: DeviceTable, of: str | None) -> DeviceTable:
    """Ask drives and read signatures; it takes as long as the slowest drive."""
    reading = asking = table.devices
    if of is not None:
        wanted = device_at(table, of)
        layers = Layers(table)  # what lies below is asked too: a list may name it as the drive itself does
        asking, reading = (wanted, *layers.below(wanted)), layers.reached(wanted, whole=True)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        told = {one.number: one for one in pool.map(asked, asking)}
        erasing = {number: one.erasing for number, one in told.items() if one.erasing}
        readable = [one for one in reading if not {one.number, one.parent} & erasing.keys()]
        found = dict(zip((one.number for one in readable), pool.map(signatures_on, readable), strict=True))
    complete = (
        msgspec.structs.replace(
            told.get(one.number, one),
            signatures=found.get(one.number),
            erasing=erasing.get(one.number) or erasing.get(one.parent or ""),
        )
        for one in table.devices
    )
    return msgspec.structs.replace(table, devices=tuple(complete))


def device_at(table: DeviceTable, path: str) -> Device:
    """Return the device whose node, link or kernel's name is `path`; links are followed.

    Raises:
        Gone: there is none.
    """
    real = os.path.realpath(path) if path.startswith("/") else path
    for one in table.devices:
        if path in (one.name, one.path, *one.aliases) or real == one.path:
            return one
    raise Gone(f"no block device is called {path[:200]!r}; `deleatur devices` lists them")


def _links(places: Places, nodes: dict[str, Number]) -> dict[Number, tuple[str, ...]]:
    """Return the lasting names of each device: what udev links to it."""
    found: dict[Number, list[str]] = {}
    for folder in ("disk/by-id", "mapper"):
        for name in names_in(places.dev / folder):
            target = os.path.realpath(places.dev / folder / name)
            number = nodes.get(str(Path("/dev") / os.path.relpath(target, places.dev)))
            if number is not None:
                found.setdefault(number, []).append(f"/dev/{folder}/{name}")
    return {number: tuple(names) for number, names in found.items()}
