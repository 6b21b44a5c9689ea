"""Why a device must not be written: every use that its bytes have, by any way down to them. Pure.

Rules kept: no flag takes a reason away; what could not be looked at refuses; all reasons are told at once.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator

from deleatur.devices.layers import Layers
from deleatur.documents.device import Device, DeviceTable, Signature, Use
from deleatur.documents.place import Identity

_EXTENDED = 1024  # bytes, or a block (Linux, block/partitions/msdos.c): all that is shown of one
_KIND_OF_WWID = re.compile(r"\A(wwn-)?(0x|naa\.|eui\.)")  # udev and lsblk, sysfs
_USES = {
    "mounted": "is mounted {}",
    "swap": "is in use as swap {}",
    "root": "holds the root file system {}",
    "boot": "holds what this host boots from {}",
    "resume": "is where this host resumes from {}",
    "own": "holds files of this very job {}",
    "opened": "is open in {}",
    "exported": "is exported {}",
    "member-of-mounted": "is part of a mounted file system {}",
}


def interlocks(
    table: DeviceTable,
    device: Device,
    *,
    planned: Identity | None = None,
    whole: bool = False,
    approved: bool = False,
) -> tuple[str, ...]:
    """Return every reason why `device`, an entry of `table`, must not be written; none: it may be.

    `planned` is the identity that was approved, if there is a plan. `whole`: the technique is a
    command to the drive, which reaches all namespaces and partitions of it, and not this device only.
    `approved`: a plan for this device stands, and a job goes on; that nothing can be read of it while it
    erases itself, or until it is unlocked, is no reason then.
    """
    layers = Layers(table)
    reached = layers.reached(device, whole=whole)
    touched = (*reached, *layers.below(device))
    reasons = [
        *(_in_words(use, layers) for use in _uses(table, touched)),
        *_of_holders(device, reached),
        *(reason for one in reached for reason in _of_content(one, approved=approved)),
        *_of_device(device, whole=whole),
        *_of_list(table, touched),
        *_of_doubles(table, device),
        *_of_plan(device, identity_of(table, device), planned),
        *(f"{what} could not be looked at; run as root" for what in table.unseen),
    ]
    return tuple(dict.fromkeys(reasons))


def identity_of(table: DeviceTable, device: Device) -> Identity:
    """Return what tells this device from every other: it stays the same when the disk is erased.

    Of a drive: its maker's words, and its size with nothing hidden. What has neither serial nor WWID
    nor UUID is known by its attachment only, until it is taken off or the host starts again; so is a
    drive behind a USB bridge that lets nobody ask it, for the serial may be the bridge's own.
    """
    if device.kind == "partition" and device.parent is not None:
        disk = next((one for one in table.devices if one.number == device.parent), None)
        part = device.partition
        if disk is not None and part is not None:
            own = (("partition-start", str(part.start)), ("partition-size", str(device.size)))
            return Identity(kind="block-partition", fields=(*identity_of(table, disk).fields, *own))
    marks = (("serial", device.serial), ("wwid", device.wwid), ("mapping", device.mapping))
    known = tuple((name, value) for name, value in marks if value)
    if device.backing:
        known = (*known, ("backing", device.backing), ("backing-inode", device.backing_inode))
        known = (*known, ("backing-offset", str(device.backing_offset)))
    if not known or (device.bus == "usb" and device.ata is None):
        known = (*known, ("boot", table.boot), ("diskseq", str(device.diskseq)))
    if below := _made_of(table, device):
        known = (*known, ("made-of", below))
    maker = tuple((k, v) for k, v in (("vendor", device.vendor), ("model", device.model)) if v)
    return Identity(kind="block-device", fields=(*maker, *known, ("size", str(full_size(device)))))


def _made_of(table: DeviceTable, device: Device) -> str:
    """Return a digest of what a mapping, or a loop over a device, lies on now; "" of other devices.

    Its name, UUID and size stay when it is led elsewhere. Paths to one drive are one; what is known by its
    attachment only counts by its size, for a mapping with an UUID outlasts a start of the host.
    """
    if device.kind not in ("mapping", "loop"):
        return ""
    numbers = {*device.slaves, device.backing_number}
    below = (identity_of(table, one).fields for one in table.devices if one.number in numbers)
    lasting = {"\n".join(f"{k} {v}" for k, v in one if k not in ("boot", "diskseq")) for one in below}
    return hashlib.sha256("\n\n".join(sorted(lasting)).encode()).hexdigest() if lasting else ""


def full_size(device: Device) -> int:
    """Return the size in bytes that the device has when nothing of it is hidden from the host."""
    hidden = device.hidden
    if hidden is None:
        return device.size
    sectors = max(hidden.native_sectors or 0, hidden.factory_sectors or 0)
    return max(device.size, sectors * device.logical_block)


def _of_device(device: Device, *, whole: bool) -> Iterator[str]:
    if device.read_only:
        yield f"{device.name} is read-only"
    if device.size == 0:
        yield f"{device.name} has no size: nothing is attached to it"
    if whole and device.kind != "disk":
        yield f"{device.name} is no whole drive, and the command goes to the drive"
    if device.kind == "optical":
        yield f"{device.name} is an optical drive"
    table = any(found.role == "table" for found in device.signatures or ())
    if device.kind == "partition" and table and device.size <= max(_EXTENDED, device.logical_block):
        yield (
            f"{device.name} is an extended partition: the kernel shows the map of the logical ones in it "
            "and nothing else; name the disk, or each of those"
        )


def unreadable_until(device: Device) -> str:
    """Say what must end before anything can be read of the device, in words; "": it hides nothing."""
    if device.erasing == "running":
        return "is erasing itself by a command of its own; wait until that ends"
    if device.erasing == "verifying":
        return "erased itself and waits to be read; resume the job that told it to, or switch it off and on"
    if device.erasing == "failed":
        return "failed to erase itself, and shows nothing until such a command ends well"
    if device.security is not None and device.security.locked:
        return "is locked by a password; unlock it first"
    return ""


def _of_content(device: Device, *, approved: bool) -> Iterator[str]:
    if device.signatures is None and (why := unreadable_until(device)):
        if not approved:
            yield f"{device.name} {why}"
    elif device.signatures is None:
        yield f"what lies on {device.name} could not be read; run as root"
    for found in device.signatures or ():
        if found.role == "member":
            yield f"{device.name} is a member of {_set_named(found)}; take it out of there first"


def _set_named(found: Signature) -> str:
    return f"{found.name} {found.uuid}".rstrip()


def _of_holders(device: Device, reached: tuple[Device, ...]) -> Iterator[str]:
    for one in reached:
        if one.number != device.number and one.kind != "partition":
            yield f"{one.name} is made of {device.name}, or shares its bytes; take it down first"


def _uses(table: DeviceTable, devices: tuple[Device, ...]) -> Iterator[Use]:
    numbers = {one.number for one in devices}
    yield from (use for use in table.uses if use.number in numbers)


def _in_words(use: Use, layers: Layers) -> str:
    return f"{layers.by_number[use.number].name} {_USES[use.kind].format(use.what)}".rstrip()


def _of_list(table: DeviceTable, devices: tuple[Device, ...]) -> Iterator[str]:
    never = table.never
    if never is None:
        return
    serials, wwids, models = map(_told, (never.serials, never.wwids, never.models))
    if never.server and not (serials | wwids | models | {*never.paths}):
        yield "this host is marked as a server and its list of devices that are never erased is empty"
    for one in devices:
        if (
            _plain(one.serial) in serials
            or _plain(one.wwid) in wwids
            or _plain(one.model) in models
            or {one.path, *one.aliases} & set(never.paths)
        ):
            yield f"{one.name} is on the list of devices that are never erased"


def _told(names: Iterable[str]) -> set[str]:
    return {_plain(name) for name in names} - {""}


def _plain(name: str) -> str:
    """Return a serial, WWID or model without what tools print differently: case, blanks, the kind of WWID."""
    return _KIND_OF_WWID.sub("", "".join(name.split()).casefold())


def _of_doubles(table: DeviceTable, device: Device) -> Iterator[str]:
    """Refuse a device that nothing tells from another one: a plan that was approved would fit both."""
    disk = next((one for one in table.devices if one.number == device.parent), device)
    for other in table.devices:
        if other.number != disk.number and _alike(table, other, disk):
            yield (
                f"{disk.name} has the same identity as {other.name}; take the other one off and look again"
            )


def _alike(table: DeviceTable, other: Device, device: Device) -> bool:
    """Say whether another device has the marks of this one, and not as another path to the same drive.

    Drives that were not asked lack words of their maker: so serial and size alone count, where they decide.
    """
    if device.wwid or other.wwid:  # a drive with the same one is the same drive, by another path
        return False
    now = identity_of(table, device)
    if device.serial and "diskseq" not in dict(now.fields):
        return (other.serial, other.kind, other.size) == (device.serial, device.kind, device.size)
    return identity_of(table, other) == now


def _of_plan(device: Device, now: Identity, planned: Identity | None) -> Iterator[str]:
    if planned is None:
        return
    if now.kind != planned.kind:
        yield f"{device.name} is a {now.kind}, and a {planned.kind} was planned"
    before, after = dict(planned.fields), dict(now.fields)
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            old, new = before.get(name, "none"), after.get(name, "none")
            yield f"{device.name} has the {name} {new}, and {old} was planned: it is another device"
