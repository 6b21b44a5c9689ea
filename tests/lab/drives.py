"""The drives that every guest has: NVMe with two namespaces, SCSI, ATA and USB, as QEMU plays them.

What QEMU 7.2 does not play, and what it claims wrongly, stands in guest/test_qemu_drives.py.
"""

import os
from pathlib import Path

SIZE = 16 << 20  # bytes of each drive
MODULES = ("nvme", "ahci", "virtio_scsi", "xhci_pci", "uas", "sd_mod", "sg")  # of the guest, in this order


def by_serial(serial: str) -> Path:
    """Find the SCSI, ATA or USB drive with this serial, in the guest.

    Raises:
        LookupError: there is none.
    """
    for page in Path("/sys/block").glob("sd*/device/vpd_pg80"):
        if page.read_bytes()[4:].decode("ascii", "replace").strip() == serial:
            return Path("/dev") / page.parts[3]
    raise LookupError(serial)


def image(folder: Path, name: str, size: int = SIZE) -> Path:
    """Make the content of a drive, random all over."""
    path = folder / f"{name}.img"
    with path.open("wb") as file:
        for offset in range(0, size, SIZE):
            file.write(os.urandom(min(SIZE, size - offset)))
    return path


def standard_drives(folder: Path) -> list[str]:
    """Make the images in `folder` and return QEMU's arguments."""

    def backed(name: str) -> list[str]:
        path = image(folder, name)
        return ["-drive", f"file={path},if=none,id={name},format=raw,discard=unmap,cache=unsafe"]

    return [
        "-device", "nvme-subsys,id=subsystem,nqn=lab",
        "-device", "nvme,id=nvme,serial=NVMELAB0,subsys=subsystem",
        *backed("nvme1"), "-device", "nvme-ns,drive=nvme1,bus=nvme,nsid=1",
        *backed("nvme2"), "-device",
        "nvme-ns,drive=nvme2,bus=nvme,nsid=2,logical_block_size=4096,physical_block_size=4096",
        "-device", "virtio-scsi-pci,id=scsi",
        *backed("scsi1"), "-device", "scsi-hd,id=scsi-drive,drive=scsi1,bus=scsi.0,scsi-id=0,serial=SCSILAB0",
        *backed("scsi2"), "-device", "scsi-hd,id=scsi-twin,drive=scsi2,bus=scsi.0,scsi-id=1,serial=SCSILAB1",
        "-device", "ich9-ahci,id=ahci",
        *backed("ata1"), "-device", "ide-hd,id=ata-drive,drive=ata1,bus=ahci.0,serial=ATALAB0,model=LAB",
        "-device", "qemu-xhci,id=usb",
        *backed("uas1"), "-device", "usb-uas,id=uas,bus=usb.0",
        "-device", "scsi-hd,id=uas-drive,drive=uas1,bus=uas.0,serial=UASLAB0",
    ]  # fmt: skip
