"""A device in use by any way is refused, and every reason is named."""

import pytest

from deleatur.documents.device import Device, DeviceTable, NeverErase, Partition, Signature, Use
from deleatur.judge.interlocks import identity_of, interlocks

LIST = "deleatur/never-erase/v1"
GIB = 1 << 30


def disk(name: str, number: str, **facts: object) -> Device:
    """Return a free disk of 1 GiB."""
    base: dict[str, object] = {
        "kind": "disk", "size": GIB, "diskseq": 1, "serial": f"S-{name}", "signatures": (),
    }  # fmt: skip
    return Device(name=name, path=f"/dev/{name}", number=number, **{**base, **facts})  # type: ignore[arg-type]


def test_a_free_disk_is_let_through():
    table = DeviceTable(boot="b", devices=(disk("sda", "8:0"), disk("sdb", "8:16")))
    assert interlocks(table, table.devices[0], planned=identity_of(table, table.devices[0])) == ()


def test_a_mount_deep_above_a_disk_refuses_it():
    part = disk("sda1", "8:1", kind="partition", parent="8:0", partition=Partition(index=1, start=1 << 20))
    crypt = disk("dm-0", "252:0", kind="mapping", slaves=("8:1",))
    volume = disk("dm-1", "252:1", kind="mapping", slaves=("252:0",))
    use = Use(number="252:1", kind="mounted", what="at /srv")
    table = DeviceTable(boot="b", devices=(disk("sda", "8:0"), part, crypt, volume), uses=(use,))
    for device in table.devices:
        assert "dm-1 is mounted at /srv" in interlocks(table, device), device.name


def test_an_idle_member_and_an_unreadable_disk_are_refused():
    member = disk("sda", "8:0", signatures=(Signature(name="lvm2", role="member", offset=512),))
    table = DeviceTable(boot="b", devices=(member, disk("sdb", "8:16", signatures=None)))
    assert interlocks(table, member) == ("sda is a member of lvm2; take it out of there first",)
    assert "could not be read" in interlocks(table, table.devices[1])[0]


def test_another_disk_of_the_same_size_and_model_is_another_disk():
    planned = disk("sda", "8:0", model="M", serial="one")
    swapped = disk("sda", "8:0", model="M", serial="two")
    before, after = (DeviceTable(boot="b", devices=(one,)) for one in (planned, swapped))
    reasons = interlocks(after, swapped, planned=identity_of(before, planned))
    assert reasons == ("sda has the serial two, and one was planned: it is another device",)


def test_a_server_needs_a_list_and_the_list_refuses():
    free = disk("sda", "8:0", wwid="naa.5")
    table = DeviceTable(boot="b", devices=(free,), never=NeverErase(schema=LIST, server=True))
    assert "is empty" in interlocks(table, free)[0]
    listed = DeviceTable(boot="b", devices=(free,), never=NeverErase(schema=LIST, wwids=("naa.5",)))
    assert "is on the list" in interlocks(listed, free)[0]


@pytest.mark.parametrize(
    "listed",
    [
        {"wwids": ("0x5000C500A1B2C3D4",)},  # lsblk, udev
        {"wwids": ("wwn-0x5000c500a1b2c3d4",)},  # /dev/disk/by-id
        {"wwids": ("5000c500a1b2c3d4",)},  # the label
        {"serials": ("s3z1nb0k123456",)},
        {"serials": (" S3Z1NB0K123456 ",)},
        {"models": ("ST1000DM003-1CH162",)},
        {"models": ("st1000dm003-1ch162  ",)},
    ],
)
def test_a_name_on_the_list_counts_as_any_tool_prints_it(listed):
    free = disk(
        "sda", "8:0", wwid="naa.5000c500a1b2c3d4", serial="S3Z1NB0K123456", model="ST1000DM003-1CH162"
    )
    table = DeviceTable(boot="b", devices=(free,), never=NeverErase(schema=LIST, **listed))
    assert interlocks(table, free) == ("sda is on the list of devices that are never erased",)


def test_a_blank_on_the_list_is_no_device_without_a_name():
    free = disk("sda", "8:0", serial="")
    never = NeverErase(schema=LIST, serials=(" ",), wwids=(" ",), models=("0x",))
    assert interlocks(DeviceTable(boot="b", devices=(free,), never=never), free) == ()


def test_an_extended_partition_is_the_map_of_others():
    """Its logical partitions share no byte with the two sectors that the kernel shows of it."""
    map_ = Signature(name="mbr", role="table", offset=0)
    facts = {"kind": "partition", "parent": "8:0", "partition": Partition(index=4, start=1 << 20)}
    extended = disk("sda4", "8:4", size=1024, signatures=(map_,), **facts)
    large = disk("sda4", "8:4", size=4096, logical_block=4096, signatures=(map_,), **facts)
    nested = disk("sda4", "8:4", size=64 << 20, signatures=(map_,), **facts)
    small = disk("sda4", "8:4", size=1024, **facts)
    for one, refused in ((extended, True), (large, True), (nested, False), (small, False)):
        reasons = interlocks(DeviceTable(boot="b", devices=(disk("sda", "8:0"), one)), one)
        assert [True for reason in reasons if "extended partition" in reason] == [True] * refused


def a_mapping_on(*drives, uuid="LVM-1", kind="mapping"):
    """Return the identity of a mapping of 1 GiB on these drives."""
    lies = {"slaves": tuple(one.number for one in drives)}
    if kind == "loop":
        lies = {"backing": "/dev/sdb", "backing_inode": "0:6 9", "backing_number": drives[0].number}
    one = disk("dm-0", "252:0", kind=kind, serial="", mapping=uuid, **lies)
    return identity_of(DeviceTable(boot="b", devices=(*drives, one)), one)


@pytest.mark.parametrize("kind", ["mapping", "loop"])
def test_what_is_led_to_another_drive_is_another_device(kind):
    one, other = disk("sda", "8:0"), disk("sdb", "8:16")
    assert a_mapping_on(one, kind=kind) != a_mapping_on(other, kind=kind)
    renamed = disk("sdc", "8:32", serial="S-sda")
    assert a_mapping_on(one, kind=kind) == a_mapping_on(renamed, kind=kind)


def test_a_mapping_on_two_paths_is_the_same_when_one_of_them_fails():
    paths = [disk(f"sd{n}", f"8:{n}", serial="S", wwid="naa.5") for n in (0, 1)]
    assert a_mapping_on(*paths) == a_mapping_on(paths[1])
    assert a_mapping_on(paths[0], disk("sdz", "8:99")) != a_mapping_on(paths[0])


def test_a_volume_on_a_nameless_drive_is_known_after_a_start():
    drives = [disk("vda", "253:0", serial="", diskseq=n) for n in (1, 7)]
    assert a_mapping_on(drives[0]) == a_mapping_on(drives[1])
    assert "diskseq" in dict(a_mapping_on(drives[0], uuid="").fields)


def test_a_command_to_the_drive_asks_for_its_other_namespaces_too():
    one = disk("nvme0n1", "259:0", subsystem="nqn.x")
    two = disk("nvme0n2", "259:1", subsystem="nqn.x")
    use = Use(number="259:1", kind="mounted", what="at /srv")
    table = DeviceTable(boot="b", devices=(one, two), uses=(use,))
    assert interlocks(table, one) == ()
    assert "nvme0n2 is mounted at /srv" in interlocks(table, one, whole=True)
