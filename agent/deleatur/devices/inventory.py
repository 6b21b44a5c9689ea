"""Read the table of all block devices of a host and of what uses them."""

import os
from pathlib import Path

import msgspec

from deleatur.devices.places import Places, attribute, names_in
from deleatur.devices.signatures import signatures_on
from deleatur.devices.sysfs import block_names, read_device
from deleatur.devices.uses import Looking
from deleatur.documents.device import Device, DeviceTable, Number
from deleatur.errors import Refused


def read_table(places: Places | None = None) -> DeviceTable:
    """Return every block device of this host and every use of one, as they are now.

    Nothing is changed. A device that goes away while it is looked at is left out.
    """
    places = places or Places()
    devices: list[Device] = []
    for name in block_names(places):
        try:
            devices.append(read_device(places, name))
        except FileNotFoundError:  # taken off since it was listed
            continue
    nodes = {one.path: one.number for one in devices}
    links = _links(places, nodes)
    looking = Looking(places, {**nodes, **{link: number for number, all_ in links.items() for link in all_}})
    complete = tuple(_completed(places, one, nodes, links.get(one.number, ())) for one in devices)
    return DeviceTable(
        boot=attribute(places.proc / "sys/kernel/random/boot_id"),
        devices=complete,
        uses=looking.uses(),
        unseen=tuple(dict.fromkeys(looking.unseen)),
    )


def device_at(table: DeviceTable, path: str) -> Device:
    """Return the device whose node, link or kernel's name is `path`; links are followed.

    Raises:
        Refused: there is none.
    """
    real = os.path.realpath(path) if path.startswith("/") else path
    for one in table.devices:
        if path in (one.name, one.path, *one.aliases) or real == one.path:
            return one
    raise Refused(f"no block device is called {path[:200]!r}; `deleatur devices` lists them")


def _completed(places: Places, device: Device, nodes: dict[str, Number], links: tuple[str, ...]) -> Device:
    found = signatures_on(device) if places.live else device.signatures
    base = nodes.get(device.backing)
    return msgspec.structs.replace(device, aliases=links, signatures=found, backing_number=base)


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
