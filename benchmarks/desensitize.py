"""What desensitizing costs: CPU seconds per step, beside value-by-value Python in the same run.

    python -m benchmarks.desensitize [--quick]

Ratios travel between machines, seconds do not; the best of three runs counts. The baseline is what
a script does: `hmac` and `re` over each value of each column.
"""

import hmac
import io
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from benchmarks import result
from deleatur.archive import new_identity, write_archive
from deleatur.desensitize import keyed
from deleatur.desensitize.rules import apply_rules_to_stream
from deleatur.documents.job import ArchivedTable, Rule, Target
from deleatur.documents.place import Identity, Sampling
from deleatur.documents.plan import PlannedTarget, PluginPin
from deleatur.testing.keepers import keepers
from deleatur.testing.shop import numbers

QUICK, ROWS = 20_000, 1_000_000
PART = 1 << 16  # rows in a batch of the stream
KEY = bytes(range(32))
LEAST = 5.0  # times the baseline, which does less: it neither shifts by subject nor encrypts a format
GIGABYTE = 1 << 20  # KiB: what one worker may hold
RULES = {
    "id": Rule(rule="keep"),
    "customer": Rule(rule="keyed-hash", domain="customer"),
    "name": Rule(rule="keyed-hash"),
    "phone": Rule(rule="mask"),
    "phone2": Rule(rule="format-preserving", form="digits"),
    "card": Rule(rule="keep-last-4"),
    "mail": Rule(rule="keyed-hash"),
    "born": Rule(rule="generalise", to="five-years"),
    "seen": Rule(rule="date-shift", by="customer"),
    "zip": Rule(rule="generalise", to="first-3"),
    "total_cents": Rule(rule="keep"),
    "country": Rule(rule="keep"),
}


def records_of(rows: int) -> Iterator[dict[str, Any]]:
    """Yield `rows` records of 12 columns, of half as many customers; the same ones each time."""
    random = Random(2026)

    def day(first: int, last: int) -> str:
        return f"{random.randrange(first, last)}-{random.randrange(1, 13):02d}-{random.randrange(1, 29):02d}"

    for n in range(rows):
        customer = random.randrange(rows // 2 + 1)
        yield {
            "id": n,
            "customer": f"C-{customer:08d}",
            "name": f"客户 {customer} Müller",
            "phone": numbers.phone(random, "CN"),
            "phone2": numbers.phone(random, "CN"),
            "card": numbers.card(random),
            "mail": f"person.{customer}@example.com",
            "born": day(1950, 2005),
            "seen": day(2020, 2026),
            "zip": f"{random.randrange(100_000):05d}",
            "total_cents": random.randrange(100_000),
            "country": random.choice(("CN", "DE", "US")),
        }


def table_of(rows: int) -> pa.Table:
    """Return the records as one table."""
    records = records_of(rows)
    parts = iter(lambda: list(islice(records, PART)), [])
    return pa.concat_tables(pa.Table.from_pylist(part) for part in parts)


def baseline(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Do to each value what the rules do to columns, as a script would; without FF1 and date shifts."""
    done = []
    for row in rows:
        new = dict(row)
        for column in ("customer", "name", "mail", "phone2"):
            new[column] = hmac.new(KEY, row[column].encode(), "sha256").hexdigest()[:32]
        new["phone"] = re.sub("[0-9]", "0", re.sub("[A-Za-z]", "x", row["phone"]))
        new["card"] = "****" + re.sub("[^0-9]", "", row["card"])[-4:]
        new["born"] = int(row["born"][:4]) // 5 * 5
        new["seen"] = str(date.fromisoformat(row["seen"]) + timedelta(days=17))
        new["zip"] = row["zip"][:2]
        done.append(new)
    return done


def cpu_seconds(work: Callable[[], object], runs: int = 3) -> float:
    """Return the least CPU time (user and system, all threads) of `runs` runs."""
    best = float("inf")
    for _ in range(runs):
        before = time.process_time()
        work()
        best = min(best, time.process_time() - before)
    return best


def file_to_file(content: bytes) -> None:
    """Read Parquet, apply the rules batch by batch, and write Parquet."""
    batches = parquet.ParquetFile(io.BytesIO(content)).iter_batches(PART)
    writer = None
    for batch in apply_rules_to_stream(batches, RULES, KEY):
        writer = writer or parquet.ParquetWriter(io.BytesIO(), batch.schema, compression="zstd")
        writer.write_batch(batch)
    if writer is not None:
        writer.close()


def planned(rules: dict[str, Rule]) -> PlannedTarget:
    """Return a planned target that archives the one table."""
    archive = (ArchivedTable(table="invoices", columns=rules),)
    return PlannedTarget(
        id="crm",
        target=Target(id="crm", url="sqlite:///crm.sqlite", archive=archive),
        identity=Identity(kind="benchmark", fields=()),
        size=0,
        units=(),
        held=(),
        technique="rewrite",
        limits=(),
        surfaces=(),
        sampling=Sampling(mode="full", count=1, seed="0" * 64),
        plugin=PluginPin(distribution="none", version="0", record_digest="0", entry_point="none"),
    )


def seal(rows: int) -> int:
    """Write one archive of `rows` records; return the peak in KiB."""

    custody = keepers(new_identity()[1])
    with tempfile.TemporaryDirectory() as folder:
        write_archive(
            Path(folder),
            planned(RULES),
            {"invoices": partial(records_of, rows)},
            custody,
            job="benchmark",
            plan_digest="0" * 64,
            key=KEY,
            challenge=KEY,
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """Measure and print the table, and one line for machines."""
    rows = QUICK if sys.argv[1:] == ["--quick"] else ROWS
    with ProcessPoolExecutor(1, get_context("spawn")) as worker:  # its peak is its own
        before = time.perf_counter()
        peak = worker.submit(seal, rows).result()
        wall = time.perf_counter() - before
    table = table_of(rows)
    out = io.BytesIO()
    parquet.write_table(table, out, compression="zstd", compression_level=1, row_group_size=PART)
    few = table.slice(0, QUICK).to_pylist()
    card = table.column("phone").combine_chunks()
    steps: dict[str, tuple[Callable[[], object], int]] = {
        "value by value in Python": (lambda: baseline(few), QUICK),
        "rules, in batches": (lambda: list(apply_rules_to_stream(table.to_batches(PART), RULES, KEY)), rows),
        "Parquet to Parquet, in batches": (lambda: file_to_file(out.getvalue()), rows),
        "tokens alone (AES-CMAC)": (lambda: keyed.tokens(card, KEY), rows),
        "FF1 alone, 11 digits": (partial(keyed.format_preserving, card, KEY, "digits"), rows),
    }
    rates = {step: count / cpu_seconds(work) for step, (work, count) in steps.items()}
    base = rates["value by value in Python"]
    print(f"{'step':<34}{'rows per CPU s':>16}{'times the first':>17}")
    for step, rate in rates.items():
        print(f"{step:<34}{rate:>16,.0f}{rate / base:>17.1f}")
    print(f"{rows} records of 12 columns into an archive: {wall:.0f} s, peak {peak >> 10} MiB")
    ratio = rates["rules, in batches"] / base
    return result("desensitize", f"{ratio:.1f}", "times-python", good=ratio >= LEAST and peak < GIGABYTE)


if __name__ == "__main__":
    sys.exit(main())
