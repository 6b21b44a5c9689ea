"""Which block devices share bytes: partitions, mappings, arrays, loops, and paths to one drive. Pure."""

from collections.abc import Iterator

from deleatur.documents.device import Device, DeviceTable, Number

_SNAPSHOT_ORIGIN = ("-real", "-cow")  # LVM2: what a volume with snapshots, and a snapshot, are made of


class Layers:
    """The devices of a table, by what lies on what."""

    def __init__(self, table: DeviceTable) -> None:
        self.by_number: dict[Number, Device] = {one.number: one for one in table.devices}
        self._above: dict[Number, list[Number]] = {}
        for one in table.devices:
            below = {*one.slaves, *(n for n in (one.parent, one.backing_number) if n is not None)}
            for number in below:
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
                if number is not None and number in self.by_number and number not in found:
                    found[number] = self.by_number[number]
                    waiting.append(self.by_number[number])
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
            if one_path or one_drive:
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
        """Yield what is made of the same bytes as `device`, beside it: of the whole disk, of a loop's base.

        Mappings of one volume group lie beside each other and share nothing, unless it is a snapshot.
        """
        for one in (device, *self.below(device)):
            bases = [one.backing_number] if one.backing_number else []
            bases += [n for n in one.slaves if self._is_origin(n)]
            if one.kind == "partition" and one.parent is not None:
                bases.append(one.parent)
            for base in bases:
                for number in self._above.get(base, ()):
                    other = self.by_number.get(number)
                    if other is not None and number != one.number and _may_overlap(one, other):
                        yield number

    def _is_origin(self, number: Number) -> bool:
        below = self.by_number.get(number)
        return below is not None and below.mapping.endswith(_SNAPSHOT_ORIGIN)


def _may_overlap(device: Device, other: Device) -> bool:
    if device.kind == other.kind == "partition" and device.parent == other.parent:
        return _overlap(device, other)
    return True


def _overlap(device: Device, other: Device) -> bool:
    """Say whether two partitions share bytes; so do an extended one and the logical ones in it."""
    if device.partition is None or other.partition is None:
        return True
    start, end = device.partition.start, device.partition.start + device.size
    return start < other.partition.start + other.size and other.partition.start < end
