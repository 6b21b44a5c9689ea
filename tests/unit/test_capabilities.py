"""What a device may hide, or stand upon, lowers what is claimed of it."""

import errno
import os
from pathlib import Path

import pytest

from deleatur.devices.places import Places
from deleatur.devices.sysfs import characters_of, read_device
from deleatur.devices.uses import Looking
from deleatur.documents.device import AtaCommands, Device, DeviceTable, HiddenAreas
from deleatur.judge.capabilities import offers_for
from deleatur.judge.interlocks import interlocks

GIB = 1 << 30
ATA = AtaCommands(sanitize=True, sanitize_crypto=True, sanitize_frozen=False)


def disk(**facts: object) -> Device:
    """Return a free ATA disk of 1 GiB that hides nothing."""
    base: dict[str, object] = {
        "name": "sda", "path": "/dev/sda", "number": "8:0", "kind": "disk", "size": GIB, "bus": "ata",
        "medium": "magnetic", "signatures": (), "serial": "S1", "ata": ATA,
        "hidden": HiddenAreas(native_sectors=GIB // 512),
    }  # fmt: skip
    return Device(**{**base, **facts})  # type: ignore[arg-type]


def limits(device: Device) -> set[str]:
    offers = {offer.technique: offer for offer in offers_for(device)[0]}
    found = {*offers["overwrite-device"].limits}
    assert ("answers-of-device" in found) is (device.kind != "memory")
    return found - {"answers-of-device"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, set()),
        ({"hidden": HiddenAreas(native_sectors=GIB // 512 + 1, by="hpa")}, {"hidden-area"}),
        (
            {"hidden": HiddenAreas(native_sectors=GIB // 512, factory_sectors=GIB // 512 + 9)},
            {"hidden-area"},
        ),
        ({"hidden": HiddenAreas(by="amac")}, {"hidden-area-unknown"}),
        ({"hidden": None}, {"hidden-area-unknown"}),
        ({"hidden": None, "bus": "usb", "rotational": True}, {"hidden-area-unknown"}),
        # a stick, or a card in a reader: the kernel calls it rotational, as it does whatever says nothing
        ({"hidden": None, "bus": "usb", "medium": "unknown"}, {"medium-unknown"}),
        ({"bus": "usb", "medium": "unknown", "rotational": True}, {"medium-unknown"}),
        ({"bus": "usb", "medium": "unknown", "rotational": False}, {"flash"}),
        (
            {"hidden": None, "bus": "scsi", "medium": "unknown", "bridge": "megaraid_sas"},
            {"medium-unknown", "hidden-area-unknown"},
        ),
        ({"hidden": None, "bus": "virtio", "medium": "unknown"}, {"layered-device"}),
        ({"hidden": None, "bus": "scsi", "ata": None}, {"hidden-area-unknown"}),
        ({"hidden": None, "bus": "sas", "ata": None}, {"hidden-area-unknown"}),
        ({"bus": "sas"}, set()),  # an ATA drive behind a SAS adapter, that says what it hides
        ({"hidden": None, "bus": "fibre"}, {"layered-device"}),
        ({"hidden": None, "bus": "iscsi"}, {"layered-device"}),
        ({"hidden": None, "bus": "none"}, {"layered-device"}),
        ({"hidden": None, "bus": "nvme", "medium": "flash"}, {"flash"}),
        (
            {"hidden": None, "bus": "nvme", "medium": "flash", "bridge": "nvme-tcp"},
            {"flash", "layered-device"},
        ),
        ({"hidden": None, "bus": "none", "kind": "partition"}, {"layered-device"}),
        ({"hidden": None, "bus": "none", "kind": "memory"}, set()),
    ],
)
def test_what_an_overwrite_does_not_reach_is_named(facts: dict[str, object], expected: set[str]) -> None:
    assert limits(disk(**facts)) == expected


def test_a_drive_that_does_not_say_that_it_is_thawed_is_not_offered_a_sanitize() -> None:
    def offered(frozen: bool | None) -> bool:
        found = AtaCommands(sanitize=True, sanitize_crypto=True, sanitize_frozen=frozen)
        return "ata-sanitize-crypto" in {offer.technique for offer in offers_for(disk(ata=found))[0]}

    assert (offered(None), offered(True), offered(False)) == (False, False, True)


def test_a_device_whose_end_is_half_a_block_cannot_be_overwritten() -> None:
    offers, denials = offers_for(disk(size=GIB + 512, logical_block=4096))
    assert "overwrite-device" not in {offer.technique for offer in offers}
    assert any("no multiple" in denial.reason for denial in denials)


@pytest.mark.parametrize("wwid", ["", "naa.5"])
def test_devices_that_nothing_tells_apart_are_both_refused(wwid: str) -> None:
    """Two paths to one drive have its WWID too, and are refused as such."""
    one = disk(serial="0123", wwid=wwid)
    other = disk(serial="0123", wwid=wwid, name="sdb", path="/dev/sdb", number="8:16", ata=None, model="M")
    table = DeviceTable(boot="b", devices=(one, other))
    for device in table.devices:
        assert len(interlocks(table, device)) == 1, device.name
    assert ("same identity" in interlocks(table, one)[0]) is not bool(wwid)
    larger = disk(serial="0123", size=2 * GIB, name="sdb", path="/dev/sdb", number="8:16")
    assert interlocks(DeviceTable(boot="b", devices=(disk(serial="0123"), larger)), one) == ()


@pytest.mark.parametrize(("transport", "bridge"), [("pcie", ""), ("tcp", "nvme-tcp"), ("loop", "nvme-loop")])
def test_a_namespace_of_another_host_is_told_from_a_drive(
    tmp_path: Path, transport: str, bridge: str
) -> None:
    """As Linux 6.1 shows a namespace of the NVMe/TCP target of the laboratory."""
    disk = tmp_path / "devices/virtual/nvme-fabrics/ctl/nvme0/nvme0n1"
    disk.mkdir(parents=True)
    (disk / "dev").write_text("259:0\n")
    (disk / "size").write_text("32768\n")
    (disk / "device").symlink_to("..")
    for kind, name, target in (("block", "nvme0n1", disk), ("nvme", "nvme0", disk.parent)):
        (tmp_path / "class" / kind).mkdir(parents=True)
        (tmp_path / "class" / kind / name).symlink_to(target)
    (disk.parent / "transport").write_text(f"{transport}\n")
    found = read_device(Places(sys=tmp_path), "nvme0n1")
    assert (found.bus, found.controller, found.bridge) == ("nvme", "/dev/nvme0", bridge)


def test_a_process_whose_files_are_shown_to_nobody_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is listed, and each of its links is denied: nobody can say whether it has a device open."""
    for process in ("1", "7"):
        (tmp_path / process / "fd").mkdir(parents=True)
        (tmp_path / process / "fd" / "3").symlink_to("/dev/null")
        (tmp_path / process / "mountinfo").touch()
    (tmp_path / "swaps").write_text("Filename\n")
    honest = Path.readlink

    def denied(self: Path) -> Path:
        if self.is_relative_to(tmp_path / "1" / "fd"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return honest(self)

    monkeypatch.setattr(Path, "readlink", denied)
    looking = Looking(Places(proc=tmp_path, sys=tmp_path / "sys"), {})
    assert looking.uses() == ()
    assert looking.closed == ["process 1"]
    assert looking.unseen == []


def test_a_drive_that_is_open_as_a_character_device_is_in_use(tmp_path: Path) -> None:
    """As a virtual machine has it that was given /dev/sg0, or /dev/ng0n1."""
    null = Path("/dev/null").stat().st_rdev
    number = f"{os.major(null)}:{os.minor(null)}"
    drive, namespace = tmp_path / "sys/class/block/sda", tmp_path / "sys/class/block/nvme0n1"
    for folder, own in ((drive, "8:0"), (namespace, "259:0")):
        folder.mkdir(parents=True)
        (folder / "dev").write_text(f"{own}\n")
    generic = tmp_path / "sys/class/nvme-generic/ng0n1"
    for folder, own in ((drive / "device/scsi_generic/sg0", number), (generic, "242:0")):
        folder.mkdir(parents=True)
        (folder / "dev").write_text(f"{own}\n")
    (tmp_path / "7/fd").mkdir(parents=True)
    (tmp_path / "7/fd/3").symlink_to("/dev/null")
    (tmp_path / "7/mountinfo").touch()
    (tmp_path / "7/comm").write_text("qemu\n")
    (tmp_path / "swaps").write_text("Filename\n")
    places = Places(proc=tmp_path, sys=tmp_path / "sys")
    found = characters_of(places)
    assert found == {number: "8:0", "242:0": "259:0"}
    (use,) = Looking(places, {}, characters=found).uses()
    assert (use.number, use.kind, use.what) == ("8:0", "opened", "process 7 (qemu)")


def test_what_the_kernel_exports_is_in_use(tmp_path: Path) -> None:
    """As the targets of Linux 6.1 show themselves in configfs."""
    config = tmp_path / "sys/kernel/config"
    namespace = config / "nvmet/subsystems/nqn.shelf/namespaces/1"
    namespace.mkdir(parents=True)
    (namespace / "device_path").write_text("/dev/sda\n")
    told = {
        "fileio_0/one": "TCM FILEIO ID: 0        File: /dev/sdb  Size: 1048576  Mode: O_DSYNC Async: 0\n",
        "iblock_0/two": "iBlock device: sdc  UDEV PATH: /dev/disk/by-id/c  readonly: 0\n"
        "        Major: 8 Minor: 32  CLAIMED: IBLOCK\n",
        "user_0/three": "Config: foo/bar Size: 512\n",
    }
    for store, text in told.items():
        folder = config / "target/core" / store
        folder.mkdir(parents=True)
        (folder / "info").write_text(f"Status: ACTIVATED  Max Queue Depth: 0\n        {text}")
    (config / "target/core/alua").mkdir()
    (config / "nvmet/subsystems/nqn.shelf/namespaces/2").mkdir()
    (config / "nvmet/subsystems/nqn.shelf/namespaces/2/device_path").write_text("(null)\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/swaps").write_text("Filename\n")
    nodes = {"/dev/sda": "8:0", "/dev/sdb": "8:16", "/dev/disk/by-id/c": "8:32"}
    looking = Looking(Places(proc=tmp_path / "proc", sys=tmp_path / "sys"), nodes)
    assert {(use.number, use.kind, use.what) for use in looking.uses()} == {
        ("8:0", "exported", "over NVMe as namespace 1 of nqn.shelf"),
        ("8:16", "exported", "over SCSI as fileio_0/one"),
        ("8:32", "exported", "over SCSI as iblock_0/two"),
    }
    assert looking.unseen == []


def test_an_export_that_leads_to_no_device_and_no_file_is_not_taken_for_unused(tmp_path: Path) -> None:
    """A link that was exported by and is gone, or a node that another name space alone has."""
    spaces = tmp_path / "sys/kernel/config/nvmet/subsystems/nqn.shelf/namespaces"
    (tmp_path / "image").touch()
    for number, path in enumerate((tmp_path / "image", tmp_path / "gone")):
        (spaces / str(number)).mkdir(parents=True)
        (spaces / str(number) / "device_path").write_text(f"{path}\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/swaps").write_text("Filename\n")
    looking = Looking(Places(proc=tmp_path / "proc", sys=tmp_path / "sys"), {})
    assert looking.uses() == ()
    assert looking.unseen == ["what this host's kernel exports over NVMe as namespace 1 of nqn.shelf"]
