"""Measure what a raw scan still finds of deleted rows after each way of deleting them from PostgreSQL.

Each way gets a server of its own, on an ext4 of its own in memory, with the same rows: one half goes,
the other stays, one by one in turns. The scan reads the table's files, the log, all files and the
whole device. Needs root. Prints a table, what the rows that stay look like after, and
`RESULT postgresql_residue FIGURE values ok|short`: deleted values that are left after our technique.
Short means more than none, rows that changed, or a scan that did not see every value before.
"""

import argparse
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.postgresql_server import RunningServer, running_server

from benchmarks import result
from deleatur.api import Condition, Selection, Target
from deleatur.documents.place import Surface
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.testing.trial import steps_of
from deleatur_plugins.postgresql import PostgresqlBackend

TABLE = "CREATE TABLE customer (id int PRIMARY KEY, leaves boolean, email text UNIQUE, doc text)"
KEPT = "SELECT c::text FROM customer c WHERE NOT leaves ORDER BY id"
# No file of the log is given back before the deletion: what lies in free blocks already is another target.
WAL_STAYS = {"max_wal_size": "4GB", "min_wal_size": "4GB", "max_prepared_transactions": "1"}
LONG = 10  # every so many rows have a document that is stored apart
Way = Callable[[RunningServer], None]


def load(server: RunningServer, emails: list[str]) -> None:
    """Fill the table; every second row leaves."""
    with server.connect() as connection:
        connection.execute(TABLE)
        with connection.cursor().copy("COPY customer FROM STDIN") as copy:
            for n, email in enumerate(emails):
                document = secrets.token_hex(6000 if n % LONG == 0 else 200)
                copy.write_row((n, n % 2 == 0, email, document))
        connection.execute("ANALYZE customer")
        connection.execute("CHECKPOINT")


def nothing(_: RunningServer) -> None:
    """Do nothing: the positive control."""


def delete(server: RunningServer) -> None:
    """Delete."""
    server.run("DELETE FROM customer WHERE leaves", "CHECKPOINT")


def vacuum(server: RunningServer) -> None:
    """Delete and vacuum."""
    server.run("DELETE FROM customer WHERE leaves", "VACUUM ANALYZE customer", "CHECKPOINT")


def vacuum_full(server: RunningServer) -> None:
    """Delete and rewrite with the engine's own rewrite."""
    server.run("DELETE FROM customer WHERE leaves", "VACUUM FULL ANALYZE customer", "CHECKPOINT")


def ours(technique: str, server: RunningServer) -> None:
    """Do what a technique does, without the looks before and after it; print how long others wait."""
    leaving = (Condition(column="leaves", operator="=", value=True),)
    select = (Selection(table="customer", where=leaving),)
    target = Target(id="t", url=server.url(), technique=technique, select=select)
    (step,) = steps_of(technique, "t")
    with closing(PostgresqlBackend.open(target, {"digest-key": secrets.token_bytes(32)})) as backend:
        (offer,) = backend.inspect().offers
        before = time.monotonic()
        waited = 0
        for cursor in backend.erase(step, None):
            now = time.monotonic()
            print(f"  {cursor.position:<24}{now - before:>8.2f} s")
            before, waited = now, max(waited, cursor.outage)
        planned = f"planned: at most {offer.outage / 1000:.1f} s"
        print(f"  {technique}: others wait {waited / 1000:.2f} s at one stretch ({planned})")


WAYS: dict[str, Way] = {
    "nothing (control)": nothing,
    "DELETE": delete,
    "DELETE, VACUUM": vacuum,
    "DELETE, VACUUM FULL": vacuum_full,
    "rewrite-and-reclaim": partial(ours, "rewrite-and-reclaim"),
    "swap-and-shred": partial(ours, "swap-and-shred"),
}


def left_after(way: Way, emails: list[str]) -> tuple[list[int], float, bool]:
    """Return values seen per place, seconds, and whether the rows that stay are as they were."""
    size = 160 + len(emails) * 8 // 1000  # MiB: each row has about 1.8 kB, twice, and its log
    with running_server(megabytes=size, settings=WAL_STAYS, journal=True) as server:
        load(server, emails)
        before = kept(server)
        begun = time.monotonic()
        way(server)
        took = time.monotonic() - begun
        ((path,),) = server.run("SELECT pg_relation_filepath('customer')")
        places = {
            "database": (server.data / str(path)).parent,
            "log": server.data / "pg_wal",
            "all files": server.data,
            "device": server.image,
        }
        server.raw()
        scanner = Scanner(NeedleSet.of(email.encode() for email in emails[::2]))
        seen = [len(found(scanner, name, place)) for name, place in places.items()]
        return seen, took, kept(server) == before


def found(scanner: Scanner, name: str, place: Path) -> frozenset[int]:
    """Return which values are seen in one place."""
    finding = scanner.scan_surface(Surface(name=name, reach="scannable", paths=(str(place),)), lambda _: None)
    if finding.scan.unreadable:
        sys.exit(f"postgresql_residue: {finding.scan.unreadable} bytes of {name} cannot be read")
    return finding.seen


def kept(server: RunningServer) -> str:
    """Return a digest of every row that stays."""
    return hashlib.sha256(repr(server.run(KEPT)).encode()).hexdigest()


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2,000 rows instead of 60,000")
    rows = 2_000 if parser.parse_args().quick else 60_000
    if os.geteuid() != 0:
        sys.exit("postgresql_residue: loop devices need root; run as root")
    emails = [f"{secrets.token_hex(8)}@example.org" for _ in range(rows)]
    print(f"{rows} rows, {rows // 2} of them leave")
    table = [f"{'after':<24}{'table':>9}{'log':>9}{'files':>9}{'device':>9}{'seconds':>9}  rows that stay"]
    left = {}
    for name, way in WAYS.items():
        left[name] = left_after(way, emails)
        seen, took, same = left[name]
        shown = "".join(f"{n:>9}" for n in seen)
        table.append(f"{name:<24}{shown}{took:>9.1f}  {'as they were' if same else 'CHANGED'}")
    print("\n".join(table))
    ratio = left["rewrite-and-reclaim"][1] / left["DELETE, VACUUM FULL"][1]
    print(f"rewrite-and-reclaim took {ratio:.1f} times as long as DELETE, VACUUM FULL")
    control = left["nothing (control)"][0]
    figure = sum(left["rewrite-and-reclaim"][0]) + sum(left["swap-and-shred"][0])
    good = figure == 0 and control[2:] == [rows // 2] * 2 and all(same for _, _, same in left.values())
    return result("postgresql_residue", str(figure), "values", good=good)


if __name__ == "__main__":
    sys.exit(main())
