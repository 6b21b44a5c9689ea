"""What the claim does not reach, and where bytes of the rows may survive.

Rule kept: what this user cannot see lowers the claim.
"""

import os
from collections.abc import Sequence

from deleatur.api import Surface, filesystem_of
from deleatur_plugins.postgresql.server import Server

_NAMED = 20  # files, in the plan and in the certificate
COMPRESSED = ("postgresql",)  # decoders: pglz and LZ4, in rows and in TOAST chunks


def limits_of(server: Server | None) -> tuple[str, ...]:
    """Return the ids of the sentences that lower the claim."""
    always = ("earlier-free-blocks", "numbers-not-searched", "process-memory")
    if server is None:
        return always
    system = filesystem_of(server.data)
    known = system.in_place or system.copy_on_write or system.network or system.memory
    found = {
        "copy-on-write": system.copy_on_write,
        "data-journal": system.data_journal,
        "network-file-system": system.network,
        "memory-file-system": system.memory,
        "unknown-file-system": not known,
        "flash": system.flash,
        "layered-device": system.layered,
        "reserved-blocks": os.geteuid() != 0,
        "freed-blocks": system.type == "xfs",  # it keeps some of those in each of its groups from any file
    }
    return (*(name for name, applies in found.items() if applies), *always)


def surfaces_of(server: Server | None, left: Sequence[str] = ()) -> tuple[Surface, ...]:
    """Name every place where bytes of the rows may survive; `left` are files that belong to no table."""
    elsewhere = (
        Surface(
            name="copies elsewhere (backups, exports, archives of the log, former standbys)",
            reach="out-of-reach",
            reason="they are no part of the target, and no list of them exists on this host",
        ),
        Surface(
            name="memory of the server and of its clients",
            reach="out-of-reach",
            reason="their memory and swap are not read",
        ),
    )
    if server is None:
        names = ("data directory", "write-ahead log", "server log", "block device under the file system")
        reason = "the server's files cannot be reached from here"
        return (*(Surface(name=n, reach="out-of-reach", reason=reason) for n in names), *elsewhere)
    system = filesystem_of(server.data)
    device = "block device under the file system"
    below = Surface(name=device, reach="out-of-reach", reason="this user may not read it, or there is none")
    if system.source and os.access(system.source, os.R_OK):
        below = Surface(name=device, reach="scannable", paths=(system.source,), decoders=COMPRESSED)
    outside = [path for path in (server.log, *server.tablespaces()) if not path.is_relative_to(server.data)]
    flash = Surface(
        name="flash over-provisioning",
        reach="out-of-reach",
        reason="the device remaps blocks; replaced ones cannot be addressed by the host",
    )
    return (
        Surface(
            name="data directory, write-ahead log and tablespaces",
            reach="scannable",
            paths=tuple(map(str, (server.data, *outside))),
            decoders=COMPRESSED,
        ),
        *_left(left),
        *_messages(server),
        below,
        *elsewhere,
        *((flash,) if system.flash else ()),
    )


def _left(files: Sequence[str]) -> tuple[Surface, ...]:
    if not files:
        return ()
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return (
        Surface(
            name=f"files that belong to no table: {', '.join(files[:_NAMED])}{more}",
            reach="out-of-reach",
            reason="a crash left them; they are searched with the data directory and never changed: with the "
            "server stopped they can be erased as files",
        ),
    )


def _messages(server: Server) -> tuple[Surface, ...]:
    """Name the log of messages where it is not in the data directory: searched, and never changed."""
    if server.messages is None:
        return ()
    return (Surface(name="server log", reach="scannable", paths=(str(server.messages),), control="none"),)
