"""Read what sysfs says of one block device; nothing is opened and nothing is asked of the drive."""

import re
from pathlib import Path

from deleatur.devices.places import Places, attribute, attribute_bytes, names_in, number_in
from deleatur.documents.device import Bus, Device, Kind, Medium, Number, Partition, Zoned

_SECTOR = 512  # bytes; `size` and `start` count these whatever the device's own (Documentation/ABI, block)
# A component of the path below /sys/devices, and the bus that it stands for; the first that fits.
_BUSES: tuple[tuple[str, Bus], ...] = (
    (r"/usb[0-9]+/", "usb"),
    (r"/ata[0-9]+/", "ata"),
    (r"/session[0-9]+/", "iscsi"),
    (r"/rport-", "fibre"),
    (r"/end_device-", "sas"),
    (r"/nvme", "nvme"),
    (r"/mmc_host/", "mmc"),
    (r"/host[0-9]+/", "scsi"),
    (r"/virtio[0-9]+/", "virtio"),
    (r"/block/(nbd|rbd|drbd)", "network"),
)
_FABRICS = ("tcp", "rdma", "fc", "loop")  # drivers/nvme/host, nvme_ctrl_ops.name; of a drive "pcie"
_MEMORY = ("ram", "zram", "pmem")
_ZONES: dict[str, Zoned] = {"host-aware": "host-aware", "host-managed": "host-managed"}


def block_names(places: Places) -> tuple[str, ...]:
    """Return the kernel's names of all block devices that have a node."""
    return tuple(
        name
        for name in names_in(places.sys / "class/block")
        if attribute(places.sys / "class/block" / name / "dev")  # hidden paths of NVMe multipath have none
    )


def characters_of(places: Places) -> dict[Number, Number]:
    """Return the block device of each character device through which its drive can be used as well.

    Those of SCSI (sg, bsg), and of NVMe namespaces (ng); virtual machines are given them.
    """
    found: dict[Number, Number] = {}
    blocks = places.sys / "class/block"
    for name in block_names(places):
        generic = places.sys / "class/nvme-generic" / re.sub(r"\Anvme", "ng", name)
        folders = (blocks / name / "device" / kind for kind in ("scsi_generic", "bsg"))
        for path in (generic, *(folder / one for folder in folders for one in names_in(folder))):
            if number := attribute(path / "dev"):
                found[number] = attribute(blocks / name / "dev")
    return found


def numbers_in(places: Places, folder: Path) -> tuple[Number, ...]:
    """Return major:minor of the block devices that a folder (holders, slaves) links to."""
    found = (attribute(places.sys / "class/block" / name / "dev") for name in names_in(folder))
    return tuple(number for number in found if number)


def read_device(places: Places, name: str) -> Device:
    """Describe the block device that the kernel calls `name`.

    Raises OSError: it went away, or an attribute may not be read.
    """
    here = places.sys / "class/block" / name
    path = here.resolve(strict=True)
    partition = _partition(path)
    disk = path.parent if partition is not None else path
    kind = _kind(path, name)
    bus = _bus(str(disk)) if kind in ("disk", "partition", "optical") else "none"
    queue, drive = disk / "queue", disk / "device"
    turns = number_in(queue / "rotational")
    backing = attribute(path / "loop/backing_file")
    return Device(
        name=name,
        path=str(Path("/dev") / _uevent(path).get("DEVNAME", name.replace("!", "/"))),
        number=attribute(path / "dev"),
        kind=kind,
        size=(number_in(path / "size") or 0) * _SECTOR,
        diskseq=number_in(disk / "diskseq"),
        logical_block=number_in(queue / "logical_block_size") or _SECTOR,
        physical_block=number_in(queue / "physical_block_size") or _SECTOR,
        bus=bus,
        bridge=_bridge(disk, bus) or _fabric(places, disk, bus),
        medium=_medium(kind, bus, turns, attribute_bytes(drive / "vpd_pgb1")),
        rotational=None if turns is None else turns != 0,
        removable=number_in(disk / "removable") == 1,
        read_only=number_in(path / "ro") != 0,
        zoned=_ZONES.get(attribute(queue / "zoned"), "none"),
        vendor=attribute(drive / "vendor") if bus not in ("virtio", "nvme") else "",
        model=attribute(drive / "model") or (attribute(drive / "name") if bus == "mmc" else ""),
        serial=_serial(disk, drive),
        firmware=attribute(drive / "firmware_rev") or attribute(drive / "rev") or attribute(drive / "fwrev"),
        wwid=attribute(disk / "wwid") or attribute(drive / "wwid") or attribute(drive / "cid"),
        partition=partition,
        parent=attribute(disk / "dev") if partition is not None else None,
        slaves=numbers_in(places, path / "slaves"),
        holders=numbers_in(places, path / "holders"),
        backing=backing,
        backing_offset=number_in(path / "loop/offset") or 0,
        mapping=attribute(path / "dm/uuid") or attribute(path / "md/uuid"),
        subsystem=attribute(drive / "subsysnqn"),
        controller=_controller(disk) if bus == "nvme" else "",
        namespace=number_in(disk / "nsid") if bus == "nvme" else None,
    )


def _uevent(path: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in attribute(path / "uevent").splitlines())
    return {key: value for key, _, value in pairs}


def _partition(path: Path) -> Partition | None:
    index = number_in(path / "partition")
    if index is None:
        return None
    return Partition(
        index=index,
        start=(number_in(path / "start") or 0) * _SECTOR,
        uuid=_uevent(path).get("PARTUUID", ""),  # since 6.9
    )


def _kind(path: Path, name: str) -> Kind:
    if (path / "partition").exists():
        return "partition"
    if (path / "dm").is_dir():
        return "mapping"
    if (path / "md").is_dir():
        return "array"
    if name.startswith("loop"):
        return "loop"
    if name.startswith(_MEMORY):
        return "memory"
    if name.startswith("sr"):
        return "optical"
    return "disk"


def _bus(path: str) -> Bus:
    return next((bus for pattern, bus in _BUSES if re.search(pattern, path)), "none")


def _medium(kind: Kind, bus: Bus, turns: int | None, rotation: bytes) -> Medium:
    """Say what keeps the bytes: only what the drive says of itself counts, not the kernel's default."""
    if kind == "memory":
        return "memory"
    if bus in ("nvme", "mmc"):
        return "flash"
    if len(rotation) >= 6:  # SBC-4, block device characteristics VPD page: medium rotation rate
        rate = int.from_bytes(rotation[4:6], "big")
        if rate == 1:
            return "flash"
        if 0x0401 <= rate <= 0xFFFE:
            return "magnetic"
    return "flash" if turns == 0 and bus in ("ata", "scsi", "sas", "fibre", "usb") else "unknown"


def _serial(disk: Path, drive: Path) -> str:
    """Return the serial number: of NVMe and MMC an attribute, of SCSI and libata the VPD page 80h."""
    said = attribute(drive / "serial") or attribute(disk / "serial")
    if said:
        return said
    page = attribute_bytes(drive / "vpd_pg80")
    return page[4:].decode("ascii", "replace").strip("\0 ") if page[1:2] == b"\x80" else ""


def _controller(disk: Path) -> str:
    """Return the character device of the drive's controller; with multipath, of the first one."""
    above = re.search(r"/(nvme[0-9]+)/", f"{disk}/")
    if above and "nvme-subsystem" not in str(disk):
        return f"/dev/{above[1]}"
    for name in names_in(disk.parent):
        if re.fullmatch(r"nvme[0-9]+", name):
            return f"/dev/{name}"
    return ""


def _fabric(places: Places, disk: Path, bus: Bus) -> str:
    """Return over what an NVMe namespace of another host, or of this host's own target, is reached."""
    if bus != "nvme":
        return ""
    transport = attribute(places.sys / "class/nvme" / Path(_controller(disk)).name / "transport")
    return f"nvme-{transport}" if transport in _FABRICS else ""


def _bridge(disk: Path, bus: Bus) -> str:
    """Return the driver that translates for the drive: of a USB enclosure, of a SCSI or RAID controller."""
    for folder in disk.parents:
        if bus == "usb" and (folder / "bInterfaceClass").exists():
            ids = f"{attribute(folder.parent / 'idVendor')}:{attribute(folder.parent / 'idProduct')}"
            driver = (folder / "driver").resolve().name if (folder / "driver").exists() else "usb"
            return f"{driver} {ids}"
        if bus != "usb" and re.fullmatch(r"host[0-9]+", folder.name):
            return attribute(folder / "scsi_host" / folder.name / "proc_name")
    return ""
