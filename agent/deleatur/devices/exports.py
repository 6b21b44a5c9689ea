"""Find the devices that this host's kernel serves to others, as its targets for NVMe and SCSI are configured.

A namespace of the NVMe target and a file of the SCSI target are opened beside everybody else and by no
process: neither an exclusive open nor a look at open files would tell of them.
"""

import re
from collections.abc import Iterator

from deleatur.devices.places import Places, attribute, names_in

# What a backstore prints of itself (drivers/target: target_core_file.c, target_core_iblock.c).
_FILE = re.compile(r"\bFile: (.+?)  Size: [0-9]+")
_BLOCK = re.compile(r"\bUDEV PATH: (.+?)(?:  |$)", re.MULTILINE)
_NONE = ("", "(null)")  # of a namespace that was given no device yet (drivers/nvme/target/configfs.c)


def exports(places: Places) -> Iterator[tuple[str, str]]:
    """Yield the path of each exported device or file, and by what it is exported, in words.

    Raises OSError: the configuration may not be read.
    """
    config = places.sys / "kernel/config"
    systems = config / "nvmet/subsystems"
    for system in names_in(systems):
        for namespace in names_in(systems / system / "namespaces"):
            path = attribute(systems / system / "namespaces" / namespace / "device_path")
            if path not in _NONE:
                yield path, f"over NVMe as namespace {namespace} of {system}"
    stores = config / "target/core"
    for adapter in names_in(stores):
        for store in names_in(stores / adapter):
            told = attribute(stores / adapter / store / "info")
            found = (*_FILE.findall(told), *_BLOCK.findall(told))
            yield from ((path.strip(), f"over SCSI as {adapter}/{store}") for path in found)
