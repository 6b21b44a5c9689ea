"""What desensitizing costs: CPU seconds per step, as a ratio to reading and writing the same table plainly.

    python -m benchmarks.desensitize [--quick]

Ratios travel between machines, seconds do not; the best of three runs counts.
"""

import io
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pyarrow as pa
from pyarrow import parquet

from benchmarks import result
from deleatur.archive import new_identity, write_archive
from deleatur.archive.leaks import scan_for_leaks
from deleatur.desensitize.rules import apply_rules
from deleatur.documents.job import ArchivedTable, Custodian, Rule, Target
from deleatur.documents.place import Identity, Sampling
from deleatur.documents.plan import PlannedTarget, PluginPin
from deleatur.testing.shop import numbers

QUICK, ROWS = 20_000, 200_000
KEY = bytes(range(32))
MOST = 5.0  # times a plain copy that the rules may cost, so that they are never the bottleneck
RULES = {
    "id": Rule(rule="keep"),
    "customer": Rule(rule="keyed-hash"),
    "name": Rule(rule="drop"),
    "phone": Rule(rule="mask"),
    "card": Rule(rule="keep-last-4"),
    "born": Rule(rule="generalise", to="decade"),
    "total_cents": Rule(rule="keep"),
    "country": Rule(rule="keep"),
}


def table_of(rows: int) -> pa.Table:
    """Return invoices of `rows` customers, half of them distinct."""
    random = Random(2026)
    people = [f"客户 {n} Müller" for n in range(rows // 2 + 1)]
    chosen = [random.randrange(len(people)) for _ in range(rows)]
    return pa.table(
        {
            "id": range(rows),
            "customer": [f"C-{n:08d}" for n in chosen],
            "name": [people[n] for n in chosen],
            "phone": [numbers.phone(random, "CN") for _ in range(rows)],
            "card": [numbers.card(random) for _ in range(rows)],
            "born": [f"{random.randrange(1950, 2005)}-{random.randrange(1, 13):02d}-17" for _ in range(rows)],
            "total_cents": [random.randrange(100_000) for _ in range(rows)],
            "country": [random.choice(("CN", "DE", "US")) for _ in range(rows)],
        }
    )


def cpu_seconds(work: Callable[[], object], runs: int = 3) -> float:
    """Return the least CPU time (user and system, all threads) of `runs` runs."""
    best = float("inf")
    for _ in range(runs):
        before = time.process_time()
        work()
        best = min(best, time.process_time() - before)
    return best


def plain_copy(content: bytes) -> None:
    """Read Parquet and write it again: what any tool must do."""
    out = io.BytesIO()
    parquet.write_table(parquet.read_table(io.BytesIO(content)), out, compression="zstd", compression_level=3)


def planned() -> PlannedTarget:
    """Return a planned target that archives the one table."""
    archive = (ArchivedTable(table="invoices", columns=RULES),)
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


def main() -> int:
    """Measure and print the table, and one line for machines."""
    rows = QUICK if sys.argv[1:] == ["--quick"] else ROWS
    table = table_of(rows)
    out = io.BytesIO()
    parquet.write_table(table, out, compression="zstd", compression_level=3)
    changed = apply_rules(table, RULES, KEY)
    records = table.to_pylist()
    custodian = Custodian(name="benchmark", recipient=new_identity()[1], retain_until="2036-12-31")

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            tables = {"invoices": iter(records)}
            write_archive(
                Path(folder), planned(), tables, custodian, job="benchmark", plan_digest="0" * 64, key=KEY
            )

    base = cpu_seconds(lambda: plain_copy(out.getvalue()))
    steps = {
        "plain read and write": base,
        "rules": cpu_seconds(lambda: apply_rules(table, RULES, KEY)),
        "leak scan": cpu_seconds(
            lambda: scan_for_leaks({"invoices": table}, {"invoices": changed}, {"invoices": RULES})
        ),
        "whole archive, records to sealed": cpu_seconds(whole, runs=1),
    }
    print(f"{'step':<34}{'CPU s':>8}{'ratio':>8}{'rows per CPU s':>16}")
    for step, seconds in steps.items():
        print(f"{step:<34}{seconds:>8.2f}{seconds / base:>8.1f}{rows / seconds:>16,.0f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"rows {rows}, peak {peak} MiB, {rows / steps['rules']:,.0f} rows a CPU second by the rules")
    ratio = steps["rules"] / base
    return result("desensitize", f"{ratio:.1f}", "of-plain-copy", good=ratio <= MOST)


if __name__ == "__main__":
    sys.exit(main())
