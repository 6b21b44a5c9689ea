"""A device in use by any way is refused, and every reason is named."""

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


def test_a_command_to_the_drive_asks_for_its_other_namespaces_too():
    one = disk("nvme0n1", "259:0", subsystem="nqn.x")
    two = disk("nvme0n2", "259:1", subsystem="nqn.x")
    use = Use(number="259:1", kind="mounted", what="at /srv")
    table = DeviceTable(boot="b", devices=(one, two), uses=(use,))
    assert interlocks(table, one) == ()
    assert "nvme0n2 is mounted at /srv" in interlocks(table, one, whole=True)
