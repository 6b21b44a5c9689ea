"""The server and the ground that it stands on: its files, what is in the way, how far a claim goes.

Rules kept: files are taken for the server's only when the process at the other end of the socket has
them open; whoever blocks is named by the number that ends it; what cannot be seen lowers the claim.
"""

# ruff: noqa: S608 - what stands in an SQL text here is a constant, or quoted by the session

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from deleatur.api import (
    Denial,
    FileSystem,
    Gone,
    Secrets,
    Surface,
    Target,
    encrypted_below,
    filesystem_of,
    keyed_digest,
    limits_of_files,
    memory_of_server,
    opened_in_turn,
    surfaces_below,
)
from deleatur_plugins.mariadb.connecting import Session
from deleatur_plugins.mariadb.innodb import Pages

# Decoders: of ROW_FORMAT=COMPRESSED, compressed columns, and PAGE_COMPRESSED with each provider but lzo.
COMPRESSED = ("bzip2", "innodb", "xz", "zlib")
REBUILD, RELOAD, ROWS = "rebuild-and-shred", "reload-and-shred", "delete-rows"
_LONG = 10  # seconds; a transaction that is open for longer holds old row versions back
_JOURNAL = ".deleatur-links"
_RELOAD = ".deleatur-reload"  # a data directory, beside the one that is in use


class Ground:
    """One server, as one session sees it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._database = session.address.database
        self.distance = self._distance()  # why its files are out of reach; "" when they are not

    def variable(self, name: str) -> str:
        """Return a global variable; "" when the server does not have it."""
        rows = self._session.texts(f"SHOW GLOBAL VARIABLES LIKE {self._session.literal(name)}")
        return rows[0][1] if rows else ""

    @property
    def data(self) -> Path:
        """The data directory, with its links resolved."""
        return Path(os.path.realpath(self.variable("datadir")))

    def beside(self, name: str) -> Path:
        """Return the path of a file that a variable names, relative ones below the data directory."""
        return self.data / self.variable(name)

    @property
    def system_tablespace(self) -> Path:
        """The file of the system tablespace."""
        folder = self.data / self.variable("innodb_data_home_dir")
        return folder / self.variable("innodb_data_file_path").split(":")[0]

    def journal(self, secrets: Secrets, target: Target) -> Path:
        """Return where the crash journal of one job lies: nobody else's, and the same in each run."""
        return self.data / f"{_JOURNAL}-{_name_of(secrets, target)}"

    def other_directory(self, secrets: Secrets, target: Target) -> Path:
        """Return the name of one job for the directory that is made anew, and later for the old one.

        It ends with the number of the directory that was in use when it was made, so that what stands
        there says by itself whether the two changed places.
        """
        stem = f"{_RELOAD}-{_name_of(secrets, target)}"
        there = sorted(self.data.parent.glob(f"{stem}-*"))
        return there[0] if there else self.data.with_name(f"{stem}-{self.data.stat().st_ino}")

    def unfinished(self, own: Path) -> tuple[str, ...]:
        """Name the erase of another job that was begun here and not finished: its files are its own.

        Nobody else knows whether the server has given them up, or is about to.
        """
        mine = own.name.removeprefix(f"{_JOURNAL}-")
        left = (*self.data.glob(f"{_JOURNAL}-*"), *self.data.parent.glob(f"{_RELOAD}-*"))
        return tuple(
            f"another job's erase on this server is not finished (it left {name}); resume that job first"
            for name in sorted(path.name for path in left)
            if mine not in name
        )

    def file_name(self, name: str) -> str:
        """Return the name of a database's folder, or of a table's file without its ending."""
        return self._session.text(f"SELECT CONVERT({self._session.literal(name)} USING filename)")

    def pages(self) -> Pages:
        """Return a reader of what InnoDB keeps beside its tables."""
        undo = {
            int(space): self.data / name
            for space, name in self._session.texts(
                "SELECT space, filename FROM information_schema.innodb_sys_tablespaces "
                "WHERE name LIKE 'innodb\\_undo%'"
            )
        }
        return Pages(self.system_tablespace, undo, int(self.variable("innodb_page_size")))

    def _distance(self) -> str:
        """Say why the files are out of reach: certainty needs the server's socket and a right to look."""
        if self._session.address.host:
            return "the server was reached over the network; name its socket to have its files seen"
        try:
            wanted = self.system_tablespace.stat()
            with os.scandir(f"/proc/{self._session.peer}/fd") as descriptors:
                opened = any(_is(entry.path, wanted) for entry in descriptors)
        except OSError as error:
            return f"the server's files cannot be looked at ({error.strerror}); run as root on its host"
        return "" if opened else "the files at the server's data directory are not those that it has open"

    # --- who it is

    def identity(self, technique: str) -> tuple[tuple[str, str], ...]:
        """Return what tells this database from every other, and stays the same while it is erased."""
        if self.distance:
            address = self._session.address
            return (
                ("engine", "mariadb"),
                ("server", f"{address.host}:{address.port}" if address.host else address.socket),
                ("server-uid", self.variable("server_uid")),
                ("database", self._database),
            )
        folder = self.file_name(self._database)
        inode = () if technique == RELOAD else (self.system_tablespace.stat().st_ino,)
        return (
            ("engine", "mariadb"),
            ("path", str(self.data / folder)),
            ("filesystem", self.system().uuid),
            *(("system-tablespace", f"inode {number}") for number in inode),
        )

    def system(self) -> FileSystem:
        """Describe the file system of the data directory. Raises Gone when the directory is not there."""
        try:
            return filesystem_of(self.data)
        except FileNotFoundError:
            raise Gone("the data directory is not there") from None

    def encryption(self) -> tuple[Literal["yes", "unknown"], str]:
        """Say whether what is stored is encrypted, and by what."""
        if self.variable("innodb_encrypt_tables") in ("ON", "FORCE"):
            return "yes", "innodb_encrypt_tables"
        if self.distance:
            return "unknown", self.distance
        return encrypted_below(self.system().source)

    # --- what is in the way

    def denials(self) -> tuple[Denial, ...]:
        """Say why the server cannot write its files anew, if it cannot."""
        reasons = [self.distance] if self.distance else []
        for name, wanted, cure in (
            ("innodb_file_per_table", "ON", "set it and rebuild the tables"),
            ("innodb_change_buffering", "none", "set it to none and restart with innodb_fast_shutdown=0"),
            ("innodb_read_only", "OFF", "restart the server for writing"),
            ("wsrep_on", "OFF", "take the node out of its Galera cluster first"),
        ):
            value = self.variable(name)
            if value and value.lower() != wanted.lower():
                reasons.append(f"{name} is {value}: {cure}")
        if not self.variable("innodb_log_checkpoint_now"):
            reasons.append("the server cannot be told to write its pages out; MariaDB 10.11 or newer can")
        if ";" in self.variable("innodb_data_file_path"):
            reasons.append("the system tablespace has several files, which this version cannot read")
        if self.variable("server_audit_logging") == "ON":
            reasons.append(
                "server_audit_logging is ON: its log keeps statements with their values; switch it off, and "
                "archive its files or make them a target of their own"
            )
        if self.variable("log_output") not in ("FILE", "NONE"):
            reasons.append("log_output names tables, whose old pages are not reached; set it to FILE")
        return tuple(Denial(technique=REBUILD, reason=reason) for reason in reasons[:1])

    def blockers(self, tables: Iterable[str], journal: Path) -> tuple[str, ...]:
        """Return each thing that keeps copies or old versions of the rows alive, by name."""
        ask = self._session.texts
        found = [*self.unfinished(journal)]
        found += [
            f"connection {id_} has a transaction open for {seconds} s and may still need the rows; "
            f"end it (KILL {id_})"
            for id_, seconds in ask(
                "SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) "
                f"FROM information_schema.innodb_trx WHERE trx_started < NOW() - INTERVAL {_LONG} SECOND "
                "AND trx_mysql_thread_id <> CONNECTION_ID() AND trx_mysql_thread_id <> 0 ORDER BY 1"
            )
        ]
        prepared = len(ask("XA RECOVER FORMAT='SQL'"))
        if prepared:
            found.append(
                f"{prepared} prepared transactions wait (XA RECOVER lists them); commit or roll them back"
            )
        found += [
            f"connection {id_} of {host} reads the binary log (replica or consumer); stop it, erase there too"
            for id_, host in ask(
                "SELECT id, host FROM information_schema.processlist "
                "WHERE command LIKE 'Binlog Dump%' ORDER BY id"
            )
        ]
        found += [
            f"replica {row[1] or 'without a name'!r} (server {row[0]}) is registered; take it off, "
            "erase there too"
            for row in ask("SHOW SLAVE HOSTS")
        ]
        found += [
            f"the server is a replica of {row[3]!r} (connection {row[0]!r}); erase at its source, and end "
            "the replication (RESET SLAVE ALL)"
            for row in ask("SHOW ALL SLAVES STATUS")
        ]
        device = self.data.stat().st_dev
        found += [
            f"a table of the database has its file on another file system ({link.name}), which is not "
            "searched; move it to that of the data directory"
            for link, path in self._links()
            if link.parent.name == self.file_name(self._database) and path.stat().st_dev != device
        ]
        for path in (journal.parent, *(self.data / name for name in tables)):
            if path.exists() and not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True):
                found.append("this user may not make names beside the server's files; run as root")
        return tuple(dict.fromkeys(found))

    # --- how far a claim goes

    def limits(self, technique: str) -> tuple[str, ...]:
        """Return the ids of the sentences that lower the claim."""
        if technique == ROWS:
            return ("logical-only", "numbers-not-searched")
        files = (self.system_tablespace, *sorted(self.data.glob("ib_logfile*")))
        found = limits_of_files(self.system(), opened_in_turn(files))
        return (*found, "earlier-free-blocks", "small-numbers-not-searched")

    def surfaces(self) -> tuple[Surface, ...]:
        """Name every place where bytes of the rows may survive."""
        beyond = (
            Surface(
                name="free pages and free blocks from before this job",
                reach="out-of-reach",
                reason="older versions of rows that were given back earlier; only a scan of the block device "
                "reaches them",
            ),
            Surface(
                name="temporary files of earlier statements",
                reach="out-of-reach",
                reason="the server removed them from its tmpdir when the statements ended; only a scan of "
                "that block device reaches their blocks",
            ),
            memory_of_server(
                0 if self.distance else self._session.peer,
                self.data,
                "its buffers keep pages and log records of what was deleted; a restart empties them",
                COMPRESSED,
            ),
            Surface(
                name="copies elsewhere (backups, dumps, replicas, consumers of the binary log)",
                reach="out-of-reach",
                reason="they are no part of the target, and no list of them exists on this host",
            ),
        )
        if self.distance:
            files = Surface(name="files of the server", reach="out-of-reach", reason=self.distance)
            return (files, *beyond)
        places = self._places()
        files = Surface(name="files of the server", reach="scannable", paths=places, decoders=COMPRESSED)
        beside = [filesystem_of(folder) for folder in self._folders()]
        return (files, *surfaces_below(self.system(), COMPRESSED, beside), *beyond)

    def _links(self) -> Iterator[tuple[Path, Path]]:
        """Yield each file in which InnoDB notes where a table lies (DATA DIRECTORY), and that place."""
        for link in sorted(self.data.glob("*/*.isl")):
            yield link, Path(link.read_text().rstrip("\n"))

    def _folders(self) -> list[Path]:
        """Return the folders in which rows may lie beside the data directory."""
        folders = [self.beside(name) for name in ("innodb_log_group_home_dir", "innodb_undo_directory")]
        if self.variable("log_bin") == "ON":
            folders.append(self.beside("log_bin_basename").parent)
        return [Path(os.path.realpath(path)) for path in (*folders, self.system_tablespace.parent)]

    def _places(self) -> tuple[str, ...]:
        """Return the data directory, and the folders and logs of the server that lie outside of it."""
        names = ("general_log_file", "slow_query_log_file", "log_error")
        logs = [self.beside(name) for name in names if self.variable(name)]
        files = [other for log in logs for other in sorted(log.parent.glob(f"{log.name}*"))]
        files += [table for _, table in self._links()]
        outside = [*self._folders(), *(Path(os.path.realpath(p)) for p in files)]
        return tuple(
            dict.fromkeys([str(self.data), *(str(p) for p in outside if not p.is_relative_to(self.data))])
        )


def _name_of(secrets: Secrets, target: Target) -> str:
    return keyed_digest(secrets["digest-key"], b"links", target.id.encode())[:32]


def _is(path: str, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), wanted)  # noqa: PTH116 - os level throughout
    except FileNotFoundError:  # closed meanwhile
        return False
