"""Desensitize a file of customers into another one, with nothing loaded that this does not need.

    python -m benchmarks._files SOURCE OUT PART OF

takes each OF-th row group from number PART on, and prints the CPU seconds of the whole process.
"""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from pyarrow import parquet

from deleatur.desensitize.rules import apply_rules_to_stream
from deleatur.documents.job import Rule

KEY = bytes(range(32))
RULES = {  # four tokens, seven other rules, and the text with the row's own name known
    "id": Rule(rule="keep"),
    "name": Rule(rule="keyed-hash"),
    "id_number": Rule(rule="keyed-hash"),
    "phone": Rule(rule="keyed-hash"),
    "mail": Rule(rule="keyed-hash"),
    "card": Rule(rule="keep-last-4"),
    "address": Rule(rule="generalise", to="first-3"),
    "born": Rule(rule="generalise", to="five-years"),
    "ip": Rule(rule="mask"),
    "total_cents": Rule(rule="keep"),
    "seen": Rule(rule="date-shift", by="id_number"),
    "chat": Rule(rule="redact", known=("name",)),
}
TOKENS = ("name", "id_number", "phone", "mail")  # random digits: they neither compress nor recur
PLAIN = ["card", "address", "born", "ip", "seen", "chat"]


def file_to_file(source: Path, out: Path, rules: dict[str, Rule], groups: Iterable[int]) -> None:
    """Read row groups of Parquet, apply the rules batch by batch, write Parquet."""
    file = parquet.ParquetFile(source, memory_map=True)
    batches = (b for group in groups for b in file.read_row_group(group, use_threads=False).to_batches())
    writer = None
    for batch in apply_rules_to_stream(batches, rules, KEY):
        writer = writer or parquet.ParquetWriter(
            out,
            batch.schema,
            compression={n: "none" if n in TOKENS else "zstd" for n in batch.schema.names},
            use_dictionary=PLAIN,
        )
        writer.write_batch(batch)
    if writer is not None:
        writer.close()


if __name__ == "__main__":
    every = range(parquet.ParquetFile(sys.argv[1]).num_row_groups)
    mine = every[int(sys.argv[3]) :: int(sys.argv[4])]
    file_to_file(Path(sys.argv[1]), Path(sys.argv[2]), RULES, mine)
    print(time.process_time())
