"""What an ATA drive hides is lifted; then drive and kernel are asked, and no good status counts alone."""

import pytest

from deleatur.devices import lifting, opening
from deleatur.devices.asking import _hidden
from deleatur.devices.passing import identified
from deleatur.devices.waiting import Patience
from deleatur.documents.device import AtaCommands, Device, HiddenAreas
from deleatur.errors import Failed, Transient
from deleatur.judge.capabilities import offers_for, unliftable

from ..fake_drives import SIZE, HidingDrive

FD = 3
WHOLE = 2 * SIZE
DEVICE = Device(
    name="sdz", path="/dev/sdz", number="8:400", kind="disk", size=SIZE, bus="ata", ata=AtaCommands()
)


@pytest.fixture
def attach(monkeypatch, tmp_path):
    """Have a drive answer; the kernel shows what the drive showed when it was last told to look."""

    def attached(drive: HidingDrive, *, notices: bool = True) -> HidingDrive:
        monkeypatch.setattr("fcntl.ioctl", drive.ioctl)
        seen = [drive.shown]
        if notices:
            drive.resized = lambda sectors: seen.__setitem__(0, sectors)
        monkeypatch.setattr(lifting, "size_of_open", lambda _fd: seen[0] * 512)
        (tmp_path / DEVICE.number / "device").mkdir(parents=True)
        monkeypatch.setattr(lifting, "_SYSFS", tmp_path)
        return drive

    return attached


def lifted(drive: HidingDrive) -> list[str]:
    """Lift all; return the commands that were sent, as they stand in the evidence."""
    told = list(lifting.lift_hidden(FD, DEVICE, WHOLE, drive.patience))
    assert (told[-1].position, told[-1].done) == ("done", WHOLE)
    return [exchange.sent[28:30] for cursor in told for exchange in cursor.exchanges]


@pytest.mark.parametrize(
    ("drive", "commands"),
    [
        (HidingDrive(way="hpa"), ["27", "37"]),
        (HidingDrive(way="amac"), ["78", "78"]),
        (HidingDrive(way="none", native=SIZE // 512), ["b1"]),
        (HidingDrive(way="hpa", native=3 * SIZE // 1024), ["27", "37", "b1", "27"]),
        (HidingDrive(way="hpa", shown=WHOLE // 512), []),
    ],
    ids=["protected area", "lowered address", "overlay", "area and overlay", "nothing"],
)
def test_all_that_is_hidden_is_lifted_and_each_command_kept(attach, drive, commands):
    attach(drive)
    assert lifted(drive) == commands
    assert drive.shown * 512 == WHOLE


def test_a_protected_area_is_lifted_until_the_next_power_up_only(attach):
    drive = attach(HidingDrive(way="hpa"))
    lifted(drive)
    drive.power_cycle()
    assert drive.shown * 512 == SIZE
    assert lifted(drive) == ["27", "37"]


@pytest.mark.parametrize("mode", ["lie", "half"])
@pytest.mark.parametrize("way", ["hpa", "amac"])
def test_a_good_status_is_no_size(attach, mode, way):
    drive = attach(HidingDrive(mode=mode, way=way))
    with pytest.raises(Failed, match=r"shows \d+ sectors and 4096 were planned, whatever it answered"):
        lifted(drive)


@pytest.mark.parametrize(
    ("drive", "words"),
    [
        (HidingDrive(mode="refuse", way="hpa"), "host protected area: switch it off and on"),
        (HidingDrive(mode="refuse", way="amac"), "lowered address: switch it off and on"),
        (HidingDrive(mode="refuse", way="none", native=SIZE // 512), "configuration overlay: switch it off"),
        (HidingDrive(mode="lie", way="none", native=SIZE // 512), "shows 2048 sectors and 4096"),
    ],
)
def test_what_the_drive_does_not_give_up_is_a_failure_with_its_answer_kept(attach, drive, words):
    attach(drive)
    kept = []
    with pytest.raises(Failed, match=words):
        kept.extend(lifting.lift_hidden(FD, DEVICE, WHOLE, drive.patience))
    assert drive.shown * 512 == SIZE


def test_an_abort_is_yielded_before_it_is_raised(attach):
    drive = attach(HidingDrive(mode="refuse"))
    lifting_now = lifting.lift_hidden(FD, DEVICE, WHOLE, drive.patience)
    assert next(lifting_now).position == "command 27"
    (answer,) = next(lifting_now).exchanges
    with pytest.raises(Failed):
        next(lifting_now)
    assert answer.sent[28:30] == "37"
    assert "0451" in answer.answered


def test_a_drive_that_is_larger_than_planned_is_no_drive_of_the_plan(attach):
    drive = attach(HidingDrive(real=3 * SIZE // 512, native=3 * SIZE // 512))
    with pytest.raises(Failed, match="shows 6144 sectors and 4096 were planned"):
        lifted(drive)


def test_a_kernel_that_does_not_notice_is_told_to_look_and_ends_the_run(attach, tmp_path):
    drive = attach(HidingDrive(), notices=False)
    patience = Patience(interval=1.0, still=5.0, sleep=drive.sleep, clock=lambda: drive.now)
    with pytest.raises(Failed, match=f"the drive shows {WHOLE} bytes and the kernel {SIZE}"):
        list(lifting.lift_hidden(FD, DEVICE, WHOLE, patience))
    assert (tmp_path / DEVICE.number / "device/rescan").read_text() == "1"
    assert drive.sent[-1] == 0xC6, "libata identifies a drive anew after SET MULTIPLE MODE"


def test_a_device_that_the_kernel_takes_off_on_the_way_is_waited_for(attach, tmp_path, monkeypatch):
    drive = attach(HidingDrive(), notices=False)
    monkeypatch.setattr(lifting, "_SYSFS", tmp_path / "nothing")
    with pytest.raises(Transient, match="went away when it showed its sectors"):
        lifted(drive)


def test_an_overlay_that_does_not_answer_is_not_taken_for_none(attach):
    drive = attach(HidingDrive(overlay_frozen=True))
    found = _hidden(FD, identified(FD))
    assert (found.native_sectors, found.factory_sectors, found.overlay_unread) == (WHOLE // 512, None, True)
    frozen = Device(**{**{f: getattr(DEVICE, f) for f in DEVICE.__struct_fields__}, "hidden": found})
    assert "configuration overlay is frozen" in unliftable(frozen)
    overwrite = next(o for o in offers_for(frozen)[0] if o.technique == "overwrite-device")
    assert "hidden-area-unknown" in overwrite.limits
    assert drive.sent == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "partition"}, "whole ATA drives"),
        ({"ata": None}, "whole ATA drives"),
        ({"hidden": None}, "whole ATA drives"),
        ({"hidden": HiddenAreas(by="hpa")}, "does not say how many"),
        ({"hidden": HiddenAreas(native_sectors=4096, by="hpa")}, ""),
    ],
)
def test_only_what_a_drive_tells_can_be_lifted(changes, words):
    fields = {f: getattr(DEVICE, f) for f in DEVICE.__struct_fields__} | {"hidden": HiddenAreas()} | changes
    found = unliftable(Device(**fields))
    assert words in found
    assert bool(words) == bool(found)


def test_the_size_of_an_open_device_is_the_kernels(monkeypatch):
    monkeypatch.setattr(
        "fcntl.ioctl", lambda _fd, _request, room: room.__setitem__(slice(None), (77).to_bytes(8, "little"))
    )
    assert opening.size_of_open(FD) == 77
