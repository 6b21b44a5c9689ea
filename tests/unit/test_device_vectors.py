"""What real devices answered, as recorded in vectors/devices, is read as what they are."""

from pathlib import Path

from deleatur.devices.ata import AtaIdentity
from deleatur.devices.nvme import IdentifyController, IdentifyNamespace
from deleatur.devices.scsi import Capacity, Inquiry
from deleatur.devices.sense import Sense
from deleatur.devices.tcg import ROOM, Discovery

FOLDER = Path(__file__).parents[1] / "vectors" / "devices"


def recorded(name: str) -> bytes:
    lines = (FOLDER / f"{name}.hex").read_text("ascii").splitlines()
    assert [line[0] for line in lines[:3]] == ["#"] * 3  # what, which programs, which command
    return bytes.fromhex("".join(lines[3:]))


def test_nvme() -> None:
    controller = IdentifyController.decode(recorded("nvme-identify-controller"))
    assert (controller.serial, controller.model) == ("NVMELAB0", "QEMU NVMe Ctrl")
    assert (controller.can_format, controller.sanitizes) == (True, ())
    for block in (512, 4096):
        namespace = IdentifyNamespace.decode(recorded(f"nvme-identify-namespace-{block}"))
        assert (namespace.block, namespace.blocks * block) == (block, 16 << 20)


def test_ata() -> None:
    drive = AtaIdentity.decode(recorded("ata-identify"))
    assert (drive.serial, drive.model, drive.sectors) == ("ATALAB0", "LAB", 32768)
    assert (drive.sanitizes, drive.security) == ((), False)


def test_scsi() -> None:
    drive = Inquiry.decode(recorded("scsi-inquiry"))
    assert (drive.vendor, drive.product) == ("QEMU", "QEMU HARDDISK")
    capacity = Capacity.decode(recorded("scsi-capacity"))
    assert (capacity.blocks, capacity.block) == (32768, 512)


def test_self_encrypting_drives() -> None:
    told = {
        "samsung-860-evo": ("opal-2", 0x1004, True, True, True),
        "samsung-970-evo-plus": ("opal-2", 0x1004, True, False, False),
        "sabrent-rocket-4": ("pyrite-1", 0x07FE, False, False, False),
    }
    for name, (ssc, com_id, encrypts, enabled, locked) in told.items():
        found = Discovery.decode(recorded(f"tcg-discovery-{name}").ljust(ROOM, b"\0"))  # a whole transfer
        assert (found.ssc, found.com_id) == (ssc, com_id)
        assert (found.encrypts, found.enabled, found.locked) == (encrypts, enabled, locked)


def test_sense() -> None:
    aborted = Sense.decode(recorded("sense-sata-sanitize-aborted"))
    assert aborted.ata is not None
    assert (aborted.key, aborted.ata.error, aborted.ata.status, aborted.ata.good) == (0xB, 0x04, 0x41, False)
    answered = Sense.decode(recorded("sense-sata-native-max"))
    assert answered.ata is not None
    assert (answered.ata.good, answered.ata.lba) == (True, 32767)
    unknown = Sense.decode(recorded("sense-scsi-sanitize-unknown"))
    assert (unknown.key, unknown.asc, unknown.ascq) == (5, 0x20, 0)
