"""Where this host keeps memory of programs on its disks: swap areas and core dumps.

Rules kept: nothing is opened and nothing is changed; what cannot be searched is named as out of reach.
"""

import os
from contextlib import suppress
from pathlib import Path

from deleatur.documents.place import DUMPS, SWAP, Surface
from deleatur.sanitize.mounts import plain

_SWAPS = Path("/proc/swaps")
_ZSWAP = Path("/sys/module/zswap/parameters/enabled")
# Of systemd-coredump(8), kdump and apport, and apport as a handler.
_FOLDERS = (Path("/var/lib/systemd/coredump"), Path("/var/crash"), Path("/var/lib/apport/coredump"))
_PACKED = (".zst", ".lz4", ".xz", ".gz", ".crash")  # the last is apport's: compressed, as text


def put_down() -> tuple[Surface, ...]:
    """Return what can be searched of them, and what cannot, as it is now.

    A core dump that its program left in its own folder is found by nobody.
    """
    folders = [folder for folder in _FOLDERS if folder.is_dir()]
    found = [Surface(name=SWAP, reach="scannable", paths=_swaps(), control="none")]
    if _says_yes(_ZSWAP):
        why = "the kernel keeps it compressed, and shows it to nobody"
        found.append(Surface(name="swap in zswap", reach="out-of-reach", reason=why))
    dumps = tuple(str(folder) for folder in folders)
    found.append(Surface(name=DUMPS, reach="scannable", paths=dumps, control="none"))
    if packed := sum(map(_packed, folders)):
        why = f"the content of compressed files was not searched (files: {packed})"
        found.append(Surface(name="compressed core dumps", reach="out-of-reach", reason=why))
    return tuple(found)


def _swaps() -> tuple[str, ...]:
    try:
        lines = _SWAPS.read_bytes().splitlines()[1:]
    except OSError:  # a kernel without swap
        return ()
    return tuple(plain(os.fsdecode(line.split(None, 1)[0])) for line in lines if line.strip())


def _says_yes(switch: Path) -> bool:
    with suppress(OSError):
        return switch.read_text().strip() == "Y"
    return False


def _packed(folder: Path) -> int:
    with suppress(OSError):  # not for us: then its files cannot be read either, and the scan says so
        return sum(name.endswith(_PACKED) for _, _, names in os.walk(folder) for name in names)
    return 0
