"""The kernel's table of mounts (proc(5), /proc/PID/mountinfo), as it writes it.

Rule kept: only a line feed ends a line. Whoever may mount in a namespace of their own names the folder,
and of such a name the kernel escapes space, tab, line feed and backslash, and no other character.
"""

import os
import re
from typing import NamedTuple


class Mount(NamedTuple):
    """One line of the table."""

    identifier: str
    number: str  # major:minor of the file system
    point: str
    options: str  # with commas between them
    kind: str
    source: str
    super_options: str


def mounts(table: bytes) -> tuple[Mount, ...]:
    """Return what the text of a mountinfo file lists, in its order; names as `os.fsdecode`."""
    return tuple(_mount(os.fsdecode(line)) for line in table.split(b"\n") if line)


def _mount(line: str) -> Mount:
    fields = line.split(" ")
    dash = fields.index("-", 6)  # optional fields stand before it
    kind, source, *rest = fields[dash + 1 :]
    return Mount(
        identifier=fields[0],
        number=fields[2],
        point=plain(fields[4]),
        options=fields[5],
        kind=kind,
        source=plain(source),
        super_options=plain(" ".join(rest)),
    )


def plain(field: str) -> str:
    """Undo the octal escapes of mountinfo and of /proc/swaps."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
