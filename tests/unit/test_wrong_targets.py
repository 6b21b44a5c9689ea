"""Of random hosts, no device in use is ever let through, and none but the approved one.

The oracle knows nothing of layers: each made-up device is a set of blocks of made-up drives, and a
device is in use if a used one has a block in common with it.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.devices import layers
from deleatur.devices.layers import Layers
from deleatur.documents.device import Device, DeviceTable, Partition, Signature, Use, UseKind
from deleatur.judge import interlocks as judged
from deleatur.judge.interlocks import identity_of, interlocks

BLOCKS = 12  # of a made-up drive
BLOCK = 1 << 20  # bytes of each
USES: tuple[UseKind, ...] = ("mounted", "swap", "root", "opened", "exported", "member-of-mounted")
Blocks = frozenset[tuple[int, int]]


@dataclass
class Host:
    """A made-up host: devices, the blocks of each, and what uses them."""

    draw: random.Random
    devices: list[Device] = field(default_factory=list)
    blocks: dict[str, Blocks] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    drives: dict[str, int] = field(default_factory=dict)  # number of a disk: of the drive behind it
    subsystems: dict[int, str] = field(default_factory=dict)

    def add(self, blocks: Blocks, **facts: Any) -> Device:
        """Add a device; names and numbers are given in a random order."""
        number = f"{self.draw.choice((8, 252, 259))}:{len(self.devices) * 16 + self.draw.randrange(16)}"
        name = f"d{len(self.devices)}"
        size = facts.pop("size", len(blocks) * BLOCK)
        base: dict[str, Any] = {"kind": "disk", "signatures": (), "diskseq": len(self.devices) + 1, **facts}
        one = Device(name=name, path=f"/dev/{name}", number=number, size=size, **base)
        self.devices.append(one)
        self.blocks[number] = blocks
        return one

    def drive(self, number: int) -> None:
        """Add a drive: with one path or two, or as namespaces of one subsystem; with partitions or not."""
        draw = self.draw
        every = frozenset((number, n) for n in range(BLOCKS))
        model, kind = draw.choice(("M", "N")), draw.choice(("ata", "dock", "nvme", "bare"))
        if kind == "nvme":
            cut = draw.randrange(1, BLOCKS)
            self.subsystems[number] = f"nqn.{number}"
            for part in (range(cut), range(cut, BLOCKS)):
                one = self.add(
                    frozenset((number, n) for n in part), bus="nvme", model=model, serial=f"S{number}",
                    subsystem=f"nqn.{number}", wwid=f"eui.{number}.{part.start}",
                )  # fmt: skip
                self.drives[one.number] = number
            return
        known = {"ata": {"bus": "ata", "serial": f"S{number}"}, "dock": {"bus": "usb", "serial": "0123"}}
        facts: dict[str, Any] = {"model": model, **known.get(kind, {})}
        if kind == "ata":
            facts["wwid"] = f"naa.{number}"
        bounds = sorted(draw.sample(range(BLOCKS + 1), draw.choice((0, 2, 4))))
        for _ in range(draw.choice((1, 1, 2)) if kind == "ata" else 1):
            disk = self.add(every, **facts)
            self.drives[disk.number] = number
            for index, (start, end) in enumerate(zip(bounds[::2], bounds[1::2], strict=True), 1):
                part_of = frozenset((number, n) for n in range(start, end))
                self.add(
                    part_of, kind="partition", parent=disk.number, **facts,
                    partition=Partition(index=index, start=start * BLOCK),
                )  # fmt: skip

    def layer(self) -> None:
        """Make something of what is there: a cipher, volumes, an array, a loop, a snapshot."""
        draw, below = self.draw, self.draw.choice(self.devices)
        blocks = self.blocks[below.number]
        group = f"LVM-{len(self.devices):032}"
        kind = draw.choice(("crypt", "volumes", "array", "loop", "snapshot"))
        if kind == "loop":
            self.add(blocks, kind="loop", backing=below.path, backing_number=below.number)
        elif kind == "array":
            other = draw.choice(self.devices)
            self.add(blocks | self.blocks[other.number], kind="array", slaves=(below.number, other.number))
        elif kind == "volumes" and len(blocks) > 1:
            each = sorted(blocks)
            cut = draw.randrange(1, len(each))
            for part in (each[:cut], each[cut:]):
                self.add(
                    frozenset(part),
                    kind="mapping",
                    slaves=(below.number,),
                    mapping=f"{group}{len(self.devices)}",
                )
        elif kind == "snapshot":
            real = self.add(blocks, kind="mapping", slaves=(below.number,), mapping=f"{group}r-real")
            for _ in range(2):
                self.add(blocks, kind="mapping", slaves=(real.number,), mapping=f"{group}{len(self.devices)}")
        else:
            self.add(blocks, kind="mapping", slaves=(below.number,), mapping=f"CRYPT-{len(self.devices)}")

    def table(self) -> DeviceTable:
        """Return the table as it would be read; holders stand at the lower device, as in sysfs."""
        holders: dict[str, list[str]] = {}
        for one in self.devices:
            for number in one.slaves:
                holders.setdefault(number, []).append(one.number)
        devices = [
            msgspec.structs.replace(one, holders=tuple(holders.get(one.number, ()))) for one in self.devices
        ]
        self.draw.shuffle(devices)
        return DeviceTable(boot="b", devices=tuple(devices), uses=tuple(self.uses))

    def target(self, device: Device, *, whole: bool) -> Blocks:
        """Return the blocks that an erase of the device would change."""
        mine = self.blocks[device.number]
        if not whole:
            return mine
        drives = {drive for drive, _ in mine}
        return mine | {(drive, n) for drive in drives for n in range(BLOCKS)}

    def in_use(self, device: Device, *, whole: bool) -> bool:
        """Say by blocks alone whether an erase of the device would hit what somebody uses."""
        target = self.target(device, whole=whole)
        return any(target & self.blocks[use.number] for use in self.uses)

    def alone(self, device: Device) -> bool:
        """Say whether no other device has a block in common with it."""
        mine = self.blocks[device.number]
        return not any(mine & b for number, b in self.blocks.items() if number != device.number)


def host(seed: int) -> Host:
    """Make up a host."""
    draw = random.Random(seed)
    made = Host(draw)
    for number in range(draw.randrange(1, 4)):
        made.drive(number)
    for _ in range(draw.randrange(5)):
        made.layer()
    for _ in range(draw.choice((0, 1, 1, 2))):
        one = draw.choice(made.devices)
        where = draw.choice(("", " in the mount namespace of process 7"))
        made.uses.append(Use(number=one.number, kind=draw.choice(USES), what=f"at /m{where}"))
    return made


def let_through_wrongly(
    seed: int, seen: Callable[[DeviceTable], DeviceTable] = lambda table: table
) -> list[str]:
    """Return the devices in use that are let through on one made-up host."""
    made = host(seed)
    table = seen(made.table())
    return [
        one.name
        for one in table.devices
        for whole in ((False, True) if one.kind == "disk" else (False,))
        if made.in_use(one, whole=whole) and not interlocks(table, one, whole=whole)
    ]


SEEDS = st.integers(0, 2**64 - 1)


@settings(max_examples=10_000, deadline=None, database=None)
@given(SEEDS)
def test_no_device_in_use_is_let_through(seed):
    assert let_through_wrongly(seed) == []


@settings(max_examples=1_000, deadline=None, database=None)
@given(SEEDS)
def test_a_device_that_shares_nothing_and_is_not_used_is_let_through(seed):
    made = host(seed)
    table = made.table()
    for one in table.devices:
        if made.alone(one) and not made.uses:
            assert interlocks(table, one) == (), one


def changed(made: Host, seed: int) -> Host:
    """Return the host after disks were taken off, put in and renamed; drives above 99 are new ones."""
    draw = random.Random(seed)
    after = Host(draw)
    for one in draw.sample(made.devices, len(made.devices)):
        number = made.drives.get(one.number)
        if number is None:
            continue
        fate = draw.choice(("stays", "stays", "moved", "swapped"))
        seq = one.diskseq if fate == "stays" else 1000 + len(after.devices)
        facts: dict[str, Any] = {
            name: getattr(one, name) for name in ("model", "serial", "bus", "wwid", "subsystem", "size")
        }
        if fate == "swapped":
            number += 100
            if facts["serial"] != "0123":
                facts["serial"] = facts["serial"] and f"S{number}"
            facts["wwid"] = facts["wwid"] and f"{facts['wwid']}.new"
        fresh = after.add(frozenset({(number, len(after.devices))}), **{**facts, "diskseq": seq})
        after.drives[fresh.number] = number
    return after


@settings(max_examples=2_000, deadline=None, database=None)
@given(SEEDS)
def test_none_but_the_approved_drive_is_let_through_after_disks_were_swapped(seed):
    made = host(seed)
    before, world = made.table(), changed(made, seed)
    after = world.table()
    for planned in before.devices:
        if planned.number not in made.drives:
            continue
        approved = identity_of(before, planned)
        for one in after.devices:
            if not interlocks(after, one, planned=approved):
                assert world.drives[one.number] == made.drives[planned.number], (planned, one)


def without(*names: str) -> Callable[[DeviceTable], DeviceTable]:
    """Return a look at a table that does not see some facts of the devices."""
    empty = Device(name="x", path="/dev/x", number="0:0", kind="disk", size=0)

    def seen(table: DeviceTable) -> DeviceTable:
        blind = {name: getattr(empty, name) for name in names}
        return msgspec.structs.replace(
            table, devices=tuple(msgspec.structs.replace(one, **blind) for one in table.devices)
        )

    return seen


@pytest.mark.parametrize(
    "facts",
    [("slaves", "holders"), ("parent",), ("backing_number",), ("wwid",), ("subsystem",)],
    ids="-".join,
)
def test_an_interlock_that_does_not_see_one_kind_of_layer_is_caught(facts):
    assert any(let_through_wrongly(seed, without(*facts)) for seed in range(2_000))


def nothing(*_args: object, **_options: object) -> Iterable[str]:
    """Stand in for an interlock that was taken out."""
    return ()


@pytest.mark.parametrize(
    ("room", "name"), [(judged, "_uses"), (Layers, "_beside_below"), (Layers, "below"), (Layers, "_siblings")]
)
def test_an_interlock_that_is_taken_out_is_caught(monkeypatch, room, name):
    monkeypatch.setattr(room, name, nothing)
    if name == "_uses":
        monkeypatch.setattr(judged, "_of_holders", nothing)
    assert any(let_through_wrongly(seed) for seed in range(2_000))


def test_a_snapshot_that_is_taken_for_a_volume_of_its_own_is_caught(monkeypatch):
    monkeypatch.setattr(layers, "_SNAPSHOT_ORIGIN", ("#",))
    assert any(let_through_wrongly(seed) for seed in range(2_000))


def test_an_idle_member_is_refused_with_all_that_shares_its_bytes():
    made = host(11)
    table = made.table()
    for one in table.devices:
        member = msgspec.structs.replace(one, signatures=(Signature(name="zfs", role="member", offset=0),))
        marked = msgspec.structs.replace(
            table, devices=tuple(member if d.number == one.number else d for d in table.devices)
        )
        assert any("member of zfs" in reason for reason in interlocks(marked, member))
