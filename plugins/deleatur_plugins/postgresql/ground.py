"""What the claim does not reach, and where bytes of the rows may survive.

Rule kept: what this user cannot see lowers the claim.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deleatur.api import FileSystem, Surface, filesystem_of, memory_of_server, surfaces_below
from deleatur_plugins.postgresql.server import Server

if TYPE_CHECKING:
    import psycopg

_NAMED = 20  # files, in the plan and in the certificate
COMPRESSED = ("postgresql",)  # decoders: pglz and LZ4, in rows and in TOAST chunks


def limits_of(server: Server | None) -> tuple[str, ...]:
    """Return the ids of the sentences that lower the claim."""
    if server is None:
        return ("earlier-free-blocks", "numbers-not-searched")
    systems = _systems(server)
    known = all(s.in_place or s.copy_on_write or s.network or s.memory for s in systems)
    found = {
        "copy-on-write": any(s.copy_on_write for s in systems),
        "data-journal": any(s.data_journal for s in systems),
        "network-file-system": any(s.network for s in systems),
        "memory-file-system": any(s.memory for s in systems),
        "unknown-file-system": not known,
        "flash": any(s.flash for s in systems),
        "layered-device": any(s.layered for s in systems),
        "reserved-blocks": os.geteuid() != 0,
        # XFS keeps some of those in each of its groups from any file
        "freed-blocks": any(s.type == "xfs" for s in systems),
    }
    return (
        *(name for name, applies in found.items() if applies),
        "earlier-free-blocks",
        "small-numbers-not-searched",
    )


def keeps_parts(connection: "psycopg.Connection[Any]") -> bool:
    """Say whether an index of the database keeps texts without their beginnings, as SP-GiST does."""
    ((found,),) = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'spgist')"
    ).fetchall()
    return bool(found)


def surfaces_of(server: Server | None, left: Sequence[str] = ()) -> tuple[Surface, ...]:
    """Name every place where bytes of the rows may survive; `left` are files that belong to no table."""
    elsewhere = (
        Surface(
            name="copies elsewhere (backups, exports, archives of the log, former standbys)",
            reach="out-of-reach",
            reason="they are no part of the target, and no list of them exists on this host",
        ),
        memory_of_server(
            server.process if server else 0,
            server.data if server else Path("/"),
            "its buffers keep pages of what was deleted, those of former files too; a restart empties them",
            COMPRESSED,
        ),
    )
    if server is None:
        names = ("data directory", "write-ahead log", "server log", "block device under the file system")
        reason = "the server's files cannot be reached from here"
        return (*(Surface(name=n, reach="out-of-reach", reason=reason) for n in names), *elsewhere)
    data, *outside = _places(server)
    system, *beside = _systems(server)
    return (
        Surface(
            name="data directory, write-ahead log and tablespaces",
            reach="scannable",
            paths=tuple(map(str, (data, *outside))),
            decoders=COMPRESSED,
        ),
        *_left(left),
        *_messages(server),
        *surfaces_below(system, COMPRESSED, beside),
        *elsewhere,
    )


def _places(server: Server) -> tuple[Path, ...]:
    """Return the data directory, and the folders of the log and of tables that lie outside of it."""
    outside = (path for path in (server.log, *server.tablespaces()) if not path.is_relative_to(server.data))
    return (server.data, *outside)


def _systems(server: Server) -> tuple[FileSystem, ...]:
    """Return the file systems on which rows may lie, that of the data directory first."""
    return tuple(dict.fromkeys(map(filesystem_of, _places(server))))


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
