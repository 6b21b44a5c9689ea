"""Which block devices share bytes: partitions, mappings, arrays, loops, and paths to one drive. Pure."""

from collections.abc import Iterator

from deleatur.documents.device import Device, DeviceTable, Number

_GROUP = 36  # characters: "LVM-" and the UUID of the volume group (LVM2, lib/activate/dev_manager.c)
_SNAPSHOT_ORIGIN = ("-real", "-cow")  # LVM2: what a volume with snapshots, and a snapshot, are made of


class Layers:
    """The devices of a table, by what lies on what."""

    def __init__(self, table: DeviceTable) -> None:
        self.by_number: dict[Number, Device] = {one.number: one for one in table.devices}
        self._above: dict[Number, list[Number]] = {}
        for one in table.devices:
            for number in _bases(one):
                self._above.setdefault(number, []).append(one.number)
            for number in one.holders:
                self._above.setdefault(one.number, []).append(number)

    def reached(self, device: Device, *, whole: bool) -> tuple[Device, ...]:
        """Return `device` and all whose bytes change with its own, in the order of the table.

        These are what is made of it, other paths to the same drive, and what is made of those;
        with `whole` also the other namespaces of the drive.
        """
        found: set[Number] = set()
        waiting = [device.number, *(number for number in self._beside_below(device))]
        while waiting:
            number = waiting.pop()
            if number in found or number not in self.by_number:
                continue
            found.add(number)
            waiting += self._above.get(number, ())
            waiting += (one.number for one in self._siblings(self.by_number[number], whole=whole))
        return tuple(one for one in self.by_number.values() if one.number in found)

    def below(self, device: Device) -> tuple[Device, ...]:
        """Return what `device` is made of, all the way down; the uses of these as they are count too."""
        found: dict[Number, Device] = {}
        waiting = [device]
        while waiting:
            one = waiting.pop()
            for number in (*one.slaves, one.parent, one.backing_number):
                for path in self._paths(number):
                    if path.number not in found:
                        found[path.number] = path
                        waiting.append(path)
        return tuple(found.values())

    def _siblings(self, device: Device, *, whole: bool) -> Iterator[Device]:
        """Yield other names of the same bytes: paths to one drive, and with `whole` its other namespaces."""
        if device.kind == "partition":
            yield from self._same_partition(device)
            return
        for other in self.by_number.values():
            if other.number == device.number or other.kind == "partition":
                continue
            one_path = device.wwid and other.wwid == device.wwid
            one_drive = whole and device.subsystem and other.subsystem == device.subsystem
            if one_path or one_drive or _one_file(device, other):
                yield other

    def _same_partition(self, device: Device) -> Iterator[Device]:
        disk = self.by_number.get(device.parent or "")
        if disk is None or device.partition is None:
            return
        paths = {one.number for one in self._siblings(disk, whole=False)}
        for other in self.by_number.values():
            if other.parent in paths and other.partition is not None and _overlap(device, other):
                yield other

    def _beside_below(self, device: Device) -> Iterator[Number]:
        """Yield what may be made, beside `device`, of the bytes that it is made of itself."""
        for one in (device, *self.below(device)):
            for base in (path for number in _bases(one) for path in self._paths(number)):
                for number in self._above.get(base.number, ()):
                    other = self.by_number.get(number)
                    if other is not None and number != one.number and _may_overlap(one, other, base):
                        yield number

    def _paths(self, number: Number | None) -> tuple[Device, ...]:
        """Return the device of this number, and other paths to the same bytes."""
        one = self.by_number.get(number or "")
        return () if one is None else (one, *self._siblings(one, whole=False))


def _one_file(device: Device, other: Device) -> bool:
    """Say whether two loop devices share bytes of one file."""
    if not device.backing_inode or other.backing_inode != device.backing_inode:
        return False
    start, begins = device.backing_offset, other.backing_offset
    return start < begins + other.size and begins < start + device.size


def _bases(device: Device) -> tuple[Number, ...]:
    return (*device.slaves, *(n for n in (device.parent, device.backing_number) if n is not None))


def _may_overlap(device: Device, other: Device, base: Device) -> bool:
    """Say whether two devices made of one base may share bytes of it: two volumes of one group do not."""
    if device.kind == other.kind == "partition":  # of one drive, by whatever path
        return _overlap(device, other)
    one_group = device.mapping.startswith("LVM-") and device.mapping[:_GROUP] == other.mapping[:_GROUP]
    return not one_group or base.mapping.endswith(_SNAPSHOT_ORIGIN)


def _overlap(device: Device, other: Device) -> bool:
    """Say whether two partitions share bytes; so do an extended one and the logical ones in it."""
    if device.partition is None or other.partition is None:
        return True
    start, end = device.partition.start, device.partition.start + device.size
    return start < other.partition.start + other.size and other.partition.start < end
