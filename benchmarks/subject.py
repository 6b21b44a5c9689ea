"""Measure how long it takes to find one person's records in a large shop, beside reading its tables once.

Prints the passes over the stores, their time, and the memory; then `RESULT subject FIGURE times ok|short`:
how many times as long as one plain read of the same tables. Short means over the promised 12, or a GiB.
"""

import argparse
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import result
from deleatur.documents.datamap import DataMap, Place, Table
from deleatur.documents.declared import Declaration
from deleatur.engine.discovery import Request, discover
from deleatur.engine.mapped import Row, read_mapped
from deleatur.engine.subjects import Search, find_subject
from deleatur.judge.identifiers import read_identifiers
from deleatur.testing.shop import build_shop
from deleatur.testing.workbench import Workbench

PROMISE = 12  # times; five passes, each of which reads identifiers in the forms in which they are compared
MOST = 1 << 30  # bytes of memory, as for a worker of the whole chain


def once(datamap: DataMap, bench: Workbench) -> tuple[float, int]:
    """Read every record once and do nothing with it; return the seconds and the records."""
    count = 0

    def visit(_place: Place, _table: Table, rows: Iterator[Row]) -> None:
        nonlocal count
        count += sum(1 for _ in rows)

    start = time.perf_counter()
    read_mapped(datamap, bench.registry, visit)
    return time.perf_counter() - start, count


def main() -> int:
    """Build, map, find, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5,000 customers instead of 200,000")
    customers = 5_000 if parser.parse_args().quick else 200_000
    with tempfile.TemporaryDirectory(prefix="subject-") as folder:
        shop = build_shop(Path(folder) / "shop", customers=customers)
        bench = Workbench(Path(folder) / "bench")
        request: dict[str, Any] = {"as_of": date(2025, 6, 30), "made_at": "2025-06-30T00:00:00Z"}
        empty = Declaration(schema="deleatur/declared/v1")
        datamap = discover(
            Request(urls=(f"sqlite://{shop.database}",), declaration=empty, **request), bench.registry
        )
        with closing(sqlite3.connect(shop.database)) as connection:
            (email,) = connection.execute(
                "SELECT email FROM customers WHERE id = ?", (customers // 2,)
            ).fetchone()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        read, records = once(datamap, bench)
        start = time.perf_counter()
        found = find_subject(Search(datamap, read_identifiers(f"e-mail: {email}".encode())), bench.registry)
        taken = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{customers} customers, {records} records; {found.records} of one person found")
    print(f"{'plain read':<12} {read:>7.1f} s {records / read:>10.0f} records/s")
    print(f"{'find':<12} {taken:>7.1f} s {records / taken:>10.0f} records/s, all passes together")
    print(f"memory {after >> 20} MiB, {after - before >> 20} MiB more than the map needed")
    good = taken <= PROMISE * read and after < MOST
    return result("subject", f"{taken / read:.1f}", "times", good=good)


if __name__ == "__main__":
    sys.exit(main())
