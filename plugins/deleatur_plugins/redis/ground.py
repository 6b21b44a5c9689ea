"""The server and the ground that it stands on: its files, what is in the way, how far a claim goes.

Rules kept: files are taken for the server's only when the process at the other end of the connection
works in their directory; whoever blocks is named; what cannot be seen lowers the claim.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from deleatur.api import (
    Denial,
    Failed,
    FileSystem,
    Gone,
    Refused,
    Surface,
    encrypted_below,
    filesystem_of,
    limits_of_files,
    memory_of_server,
    opened_in_turn,
    surfaces_below,
)
from deleatur_plugins.redis.connecting import Session

RESAVE, ROWS = "resave-and-shred", "delete-rows"
_OLDEST = 7  # the first major version whose log has several files and whose rights can be asked for
_COMPRESSED = ("redis",)  # decoders: strings of a snapshot, and of a log that begins with one
_JOURNAL = ".deleatur-links"
_REPLICA = re.compile(r"slave[0-9]+")
_TEMPORARY = re.compile(r"temp-[0-9]+\.rdb|temp-rewriteaof-(bg-)?[0-9]+\.aof")


class Ground:
    """One server, as one session sees it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.silence = ""  # why its settings are not known; "" when they are
        try:
            self._settings = self._read_settings()
        except (Refused, Failed) as error:
            self._settings, self.silence = {}, f"the server does not tell its settings ({error})"
        self.distance = self.silence or self._distance()  # why its files are out of reach

    def _read_settings(self) -> dict[str, str]:
        told = [
            bytes(part).decode("utf-8", "surrogateescape") for part in self._session.ask("CONFIG", "GET", "*")
        ]
        return dict(zip(told[::2], told[1::2], strict=True))

    def setting(self, name: str) -> str:
        """Return a setting; "" when the server does not have it."""
        return self._settings.get(name, "")

    @property
    def data(self) -> Path:
        """The server's directory, with its links resolved."""
        return Path(os.path.realpath(self.setting("dir")))

    @property
    def snapshot(self) -> Path:
        """The file of the snapshot (RDB)."""
        return self.data / self.setting("dbfilename")

    @property
    def journal(self) -> Path:
        """Where the crash journal of an erase lies."""
        return self.data / _JOURNAL

    def log(self) -> tuple[Path, ...]:
        """Return the files of the log (AOF) that are there."""
        name = self.setting("appendfilename")
        inside = self.data / self.setting("appenddirname")
        found = [path for path in sorted(inside.glob("*")) if path.name.startswith(f"{name}.")]
        return tuple(path for path in found if not path.is_symlink())

    def temporary(self) -> tuple[Path, ...]:
        """Return what a child of the server left, or still writes."""
        folders = (self.data, self.data / self.setting("appenddirname"))
        found = (path for folder in folders for path in sorted(folder.glob("temp-*")))
        return tuple(path for path in found if _TEMPORARY.fullmatch(path.name))

    def held_files(self) -> tuple[Path, ...]:
        """Return every file that may hold keys and that the server gives up when it saves anew."""
        snapshot = (self.snapshot,) if self.snapshot.exists() else ()
        return (*snapshot, *self.log(), *self.temporary())

    def _distance(self) -> str:
        """Say why the files are out of reach: certainty needs a server of this host and a right to look."""
        if not self._session.peer:
            return (
                "the server is not on this host, or cannot be seen; run as root on its host, in no container"
            )
        try:
            wanted = self.data.stat()
            works = os.stat(f"/proc/{self._session.peer}/cwd")  # noqa: PTH116 - the server works in its directory
        except OSError as error:
            return f"the server's files cannot be looked at ({error.strerror}); run as root on its host"
        if not os.path.samestat(works, wanted):
            return "the directory that the server names is not the one that it works in"
        return ""

    # --- who it is

    def identity(self) -> tuple[tuple[str, str], ...]:
        """Return what tells this database from every other."""
        address = self._session.address
        number = ("database", str(address.database))
        if self.distance:
            server = f"{address.host}:{address.port}" if address.host else address.socket
            return (("engine", "redis"), ("server", server), number)
        return (
            ("engine", "redis"),
            ("path", str(self.data)),
            ("filesystem", self.system().uuid),
            ("directory", f"inode {self.data.stat().st_ino}"),
            number,
        )

    def system(self) -> FileSystem:
        """Describe the file system of the server's directory. Raises Gone when the directory is not there."""
        try:
            return filesystem_of(self.data)
        except FileNotFoundError:
            raise Gone("the server's directory is not there") from None

    def encryption(self) -> tuple[Literal["yes", "unknown"], str]:
        """Say whether what is stored is encrypted, and by what."""
        return ("unknown", self.distance) if self.distance else encrypted_below(self.system().source)

    # --- what is in the way

    def denials(self) -> tuple[Denial, ...]:
        """Say why the server cannot write its files anew, if it cannot."""
        info = self._session.info
        version = info.get("valkey_version") or info.get("redis_version", "0")
        reasons = [self.distance] if self.distance else []
        if int(version.partition(".")[0]) < _OLDEST:
            reasons.append("the server is older than Redis 7, which is the oldest supported")
        if not self.distance and self.data == Path("/"):
            reasons.append(
                "the server works in the root directory; give it a directory of its own (setting dir)"
            )
        return tuple(Denial(technique=RESAVE, reason=reason) for reason in reasons[:1])

    def strangers(self) -> Iterator[str]:
        """Name what makes this server another one's copy, or not a whole one yet."""
        info = self._session.info
        if info.get("role") != "master":
            master = f"{info.get('master_host', '?')}:{info.get('master_port', '?')}"
            yield f"the server is a replica of {master}; erase there, and at each replica"
        if info.get("loading") == "1":
            yield "the server is still loading its files; wait until it is done"

    def blockers(self) -> Iterator[str]:
        """Name what keeps copies of the keys, or writes the server's files at this moment."""
        info = self._session.info
        for name, value in sorted(info.items()):
            if _REPLICA.fullmatch(name):
                fields = dict(part.partition("=")[::2] for part in value.split(","))
                yield (
                    f"replica {fields.get('ip')}:{fields.get('port')} is attached and has every key; "
                    "detach it (REPLICAOF NO ONE there), and erase there too"
                )
        if info.get("rdb_bgsave_in_progress") == "1":
            yield "the server is saving its snapshot just now (BGSAVE); wait until it is done"
        if info.get("aof_rewrite_in_progress") == "1" or info.get("aof_rewrite_scheduled") == "1":
            yield "the server is rewriting its log just now (BGREWRITEAOF); wait until it is done"
        statuses = {"save": "rdb_last_bgsave_status", "rewrite of its log": "aof_last_bgrewrite_status"}
        for what, name in statuses.items():
            if info.get(name, "ok") != "ok":
                yield f"the server's last {what} failed; see its own log, mend it and let it run once"
        for line in self._session.text("CLIENT", "LIST").splitlines():
            fields = dict(part.partition("=")[::2] for part in line.split(" "))
            if "O" in fields.get("flags", ""):
                id_ = fields["id"]
                yield f"client {id_} watches every command (MONITOR); end it (CLIENT KILL ID {id_})"
        for path in self.held_files():
            status = path.lstat()
            own = path.with_name(f".deleatur-held-{status.st_ino}").exists()
            if status.st_nlink > 1 + own:
                yield f"inode-{status.st_ino} of the server has {status.st_nlink} names; remove the others"
        if not os.access(self.data, os.W_OK | os.X_OK, effective_ids=True):
            yield "this user may not make names beside the server's files; run as root"

    # --- how far a claim goes

    def limits(self, technique: str) -> tuple[str, ...]:
        """Return the ids of the sentences that lower the claim."""
        if technique == ROWS:
            return ("logical-only", "numbers-not-searched")
        found = limits_of_files(self.system(), opened_in_turn(self.held_files()))
        return (*found, "earlier-free-blocks", "small-numbers-not-searched", "engine-check-not-run")

    def surfaces(self) -> tuple[Surface, ...]:
        """Name every place where bytes of the keys may survive."""
        beyond = (
            Surface(
                name="free blocks from before this job",
                reach="out-of-reach",
                reason="the server gave back older snapshots and logs as they were; only a scan of the block "
                "device reaches them",
            ),
            memory_of_server(
                0 if self.distance else self._session.peer,
                self.data,
                "its allocator and its replication backlog keep what was deleted; a restart empties them",
            ),
            Surface(
                name="copies elsewhere (backups, dumps, replicas, readers of messages)",
                reach="out-of-reach",
                reason="they are no part of the target, and no list of them exists on this host",
            ),
        )
        if self.distance:
            return (Surface(name="files of the server", reach="out-of-reach", reason=self.distance), *beyond)
        files = Surface(
            name="files of the server", reach="scannable", paths=self._places(), decoders=_COMPRESSED
        )
        return (files, *surfaces_below(self.system(), _COMPRESSED), *beyond)

    def _places(self) -> tuple[str, ...]:
        """Return the server's directory, and its own log of events where it lies outside of it."""
        name = self.setting("logfile")
        events = Path(os.path.realpath(self.data / name)) if name else self.data
        outside = () if events.is_relative_to(self.data) else (str(events),)
        return (str(self.data), *outside)
