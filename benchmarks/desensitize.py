"""What desensitizing costs: CPU seconds per step, beside pandas and Presidio in the same run.

    python -m benchmarks.desensitize [--quick]

A row is a customer of `benchmarks._customers`: 12 columns, four tokens, seven other rules, and one line
that the customer wrote to support (100 bytes on average; half Chinese, 30 % English, 20 % German; four of
five hold names or numbers), made from 70 templates and redacted with the row's own name known. That is
text as forms, notices and macros make it; `free text` below is the same lines with a word of chance in
each, so that no two are alike and every one goes through all detectors.

Ratios travel between machines, seconds do not; the best of the runs counts, so caches are warm, except
where `cold` is said: there two new processes have half of the row groups each, from one file and to a file
each, and all their CPU time counts, from the start of the interpreter on: every import, word list and first
look at a text. A rate on two cores is the rows by the CPU seconds of the busier of the two: what two idle
cores do. With --quick it is mostly the start.

The pandas baseline is a script that does the same with `apply`, value by value, and row by row where the
text needs the name of its row; the text goes through one expression that knows numbers, dates and mail only.
Such a script made 40,000 rows in a CPU second when the goals were set. Its best, which is printed too, is
the same with methods for whole columns, the text left to Arrow's engine. Both use the one core that pandas
uses.

Presidio runs every recognizer of patterns that it brings, as texts in three languages need them, and, which
is printed too, the few that it enables for English; without any model or network. It only finds, and writes
no text.

The peers are no part of the lock: they bring spaCy and 200 MB that no user needs. A measurement installs
them beside it, and without them their figures say `no peer`:

    .venv/bin/pip install --target build/peers pandas presidio-analyzer
    PYTHONPATH=build/peers .venv/bin/python -m benchmarks.desensitize
"""

import hmac
import importlib.metadata
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from benchmarks import own_peak, result
from benchmarks._customers import PART, customers
from benchmarks._files import KEY, RULES, TOKENS, file_to_file
from deleatur.desensitize import keyed
from deleatur.desensitize.redaction import redacted
from deleatur.desensitize.rules import apply_rules_to_stream
from deleatur.documents.job import ArchivedTable, Rule, Target
from deleatur.documents.plan import PlannedTarget
from deleatur.testing.finished import planned_for

QUICK, ROWS = 30_000, 1_000_000
PANDAS_ROWS, PRESIDIO_LINES, FREE_LINES = 10_000, 300, 2_000
CORES = 2
RUNS = 3  # of each way; the quickest counts, for a machine is sometimes slow by itself
GROUP = 1 << 15  # rows in a row group: both processes have as many, within one group
MOST = 10**9  # bytes that one worker may hold
FEW = 1 << 10  # customers made at a time: what makes them counts too
LEAST = {  # of the issue that asked for it
    "rules without text, rows/s on two cores": 1_000_000,
    "file to file with text, cold, rows/s on two cores": 400_000,
    "file to file with text, cold, times pandas apply": 10,
    "text, times Presidio": 500,
    "tokens per CPU s": 5_000_000,
    "FF1 per CPU s": 1_000_000,
}
APPLY, COLUMNS = "pandas apply, Parquet to Parquet", "pandas at its best"
ALL_OF_PRESIDIO, ENABLED = "Presidio, all its patterns", "Presidio, those enabled for English"
NO_TEXT = {**RULES, "chat": Rule(rule="drop")}
NUMBERS = (  # without look-around: pandas leaves such an expression to Arrow's engine
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+|[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}"
    r"|(?:[0-9]{1,3}\.){3}[0-9]{1,3}|(?:\+[0-9]{1,3}[ -]?)?(?:[0-9][ -]?){8,18}[0-9Xx]"
)


def cpu_seconds(work: Callable[[], object], runs: int = RUNS) -> float:
    """Return the least CPU time (user and system, all threads) of `runs` runs."""
    best = float("inf")
    for _ in range(runs):
        before = time.process_time()
        work()
        best = min(best, time.process_time() - before)
    return best


def in_two_processes(source: Path) -> tuple[float, float]:
    """Give two new processes half of a file each; return the CPU seconds of the busier, and the clock's.

    The least of as many runs as everything else has here.
    """
    return min(_once_in_two_processes(source) for _ in range(RUNS))


def _once_in_two_processes(source: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks._files", str(source)]
    before = time.perf_counter()
    workers = [
        subprocess.Popen([*command, str(source.with_name(f"half-{part}")), str(part), str(CORES)], stdout=-1)
        for part in range(CORES)
    ]
    busy = [float(worker.communicate(timeout=600)[0]) for worker in workers]
    return max(busy), time.perf_counter() - before


def with_pandas_apply(source: Path, out: Path) -> None:
    """Do the same as a script does that says for one value what to do, and applies it."""
    import pandas as pd

    def token(value: str) -> str:
        return hmac.digest(KEY, value.encode(), "sha256").hex()[:32]

    numbers = re.compile(NUMBERS)
    frame = pd.read_parquet(source)
    frame["chat"] = frame.apply(
        lambda row: numbers.sub("[number]", row["chat"].replace(row["name"], "[name]")), axis=1
    )
    for column in TOKENS:
        frame[column] = frame[column].apply(token)
    frame["card"] = frame["card"].apply(lambda v: "****" + re.sub("[^0-9]", "", v)[-4:])
    frame["address"] = frame["address"].apply(lambda v: v[:3])
    frame["born"] = frame["born"].apply(lambda v: int(v[:4]) // 5 * 5)
    frame["ip"] = frame["ip"].apply(lambda v: re.sub("[0-9]", "0", v))
    frame["seen"] = frame["seen"].apply(lambda v: (date.fromisoformat(v) + timedelta(days=17)).isoformat())
    frame.to_parquet(out, compression="zstd")


def with_pandas_columns(source: Path, out: Path) -> None:
    """Do the same as a script does that uses what pandas has for whole columns."""
    import pandas as pd

    frame = pd.read_parquet(source)
    chat = [t.replace(n, "[name]") for t, n in zip(frame["chat"].array, frame["name"].array, strict=True)]
    frame["chat"] = pd.Series(chat, dtype="str").str.replace(NUMBERS, "[number]", regex=True)
    for column in TOKENS:
        codes, values = pd.factorize(frame[column])
        digests = [hmac.digest(KEY, value.encode(), "sha256").hex()[:32] for value in values]
        frame[column] = pd.Series(digests, dtype="str").take(codes).array
    frame["card"] = "****" + frame["card"].str.replace("[^0-9]", "", regex=True).str[-4:]
    frame["address"] = frame["address"].str[:3]
    frame["born"] = frame["born"].str[:4].astype(int) // 5 * 5
    frame["ip"] = frame["ip"].str.replace("[0-9]", "0", regex=True)
    codes, days = pd.factorize(frame["seen"])
    moved = (pd.to_datetime(pd.Series(days)) + pd.Timedelta(days=17)).dt.strftime("%Y-%m-%d")
    frame["seen"] = moved.take(codes).array
    frame.to_parquet(out, compression="zstd")


def enabled_in_presidio() -> list[Any]:
    """Return the recognizers that Presidio enables for English and that need no model."""
    from presidio_analyzer import RecognizerRegistry

    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    recognizers = registry.get_recognizers(language="en", all_fields=True)
    return [r for r in recognizers if r.name != "SpacyRecognizer"]


def all_of_presidio() -> list[Any]:
    """Return every recognizer of Presidio that works by patterns, those for telephone numbers too."""
    from presidio_analyzer import PatternRecognizer, predefined_recognizers

    kinds = [getattr(predefined_recognizers, name) for name in dir(predefined_recognizers)]
    patterns = [k for k in kinds if isinstance(k, type) and issubclass(k, PatternRecognizer)]
    chosen = {k for k in patterns if k is not PatternRecognizer} | {predefined_recognizers.PhoneRecognizer}
    return [kind(supported_language="en") for kind in chosen]


def with_presidio(recognizers: list[Any], lines: list[str]) -> None:
    """Let each recognizer look at each line."""
    from presidio_analyzer.nlp_engine import NlpArtifacts

    nothing = NlpArtifacts([], None, [], [], None, "en")
    for line in lines:
        for recognizer in recognizers:
            recognizer.analyze(line, recognizer.supported_entities, nothing)


def installed(name: str) -> str:
    """Return the version of a peer, "" if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def planned() -> PlannedTarget:
    """Return a planned target that archives the one table."""
    archive = (ArchivedTable(table="customers", columns=RULES),)
    return planned_for(Target(id="crm", url="sqlite:///crm.sqlite", archive=archive))


def seal(rows: int) -> int:
    """Write one archive of `rows` records; return the most memory that this process ever had, in bytes."""

    def records() -> Iterator[dict[str, Any]]:
        for batch in customers(rows, part=FEW):  # as a store gives its rows: few at a time
            yield from batch.to_pylist()

    from deleatur.archive import new_identity, write_archive  # here, where no other process pays for it
    from deleatur.testing.keepers import keepers

    custody = keepers(new_identity()[1])
    with tempfile.TemporaryDirectory() as folder:
        write_archive(
            Path(folder),
            planned(),
            {"customers": records},
            custody,
            job="benchmark",
            plan_digest="0" * 64,
            key=KEY,
            challenge=bytes(32),
        )
    return own_peak()


def ours(table: pa.Table, source: Path) -> dict[str, float]:
    """Return our rates: rows, values or texts per CPU second."""
    rows, groups = table.num_rows, range(parquet.ParquetFile(source).num_row_groups)
    out = source.with_name("out")
    random = Random(7)
    lines = table.column("chat").slice(0, FREE_LINES).to_pylist()
    names = table.column("name").slice(0, FREE_LINES).combine_chunks()
    column = table.column("id_number").combine_chunks()
    digits = pa.array([f"{n:011d}" for n in range(rows)])

    def free() -> None:
        texts = pa.array([f"{line} {random.randbytes(4).hex()}" for line in lines])
        redacted(texts, [names])

    def text() -> None:
        for batch in table.to_batches(PART):
            redacted(batch.column("chat"), [batch.column("name")])

    steps: dict[str, tuple[Callable[[], object], int]] = {
        "rules without text": (
            lambda: list(apply_rules_to_stream(table.to_batches(PART), NO_TEXT, KEY)),
            rows,
        ),
        "rules with text": (lambda: list(apply_rules_to_stream(table.to_batches(PART), RULES, KEY)), rows),
        "Parquet to Parquet without text": (lambda: file_to_file(source, out, NO_TEXT, groups), rows),
        "Parquet to Parquet with text": (lambda: file_to_file(source, out, RULES, groups), rows),
        "text alone": (text, rows),
        "free text alone": (free, len(lines)),
        "tokens alone (AES-CMAC)": (lambda: keyed.tokens(column, KEY), rows),
        "FF1 alone, 11 digits": (partial(keyed.format_preserving, digits, KEY, "digits"), rows),
    }
    return {step: count / cpu_seconds(work) for step, (work, count) in steps.items()}


def in_file(table: pa.Table, path: Path) -> Path:
    """Write a table as one Parquet file."""
    parquet.write_table(table, path, compression="zstd", compression_level=1, row_group_size=GROUP)
    return path


def peers(table: pa.Table, folder: Path) -> dict[str, float]:
    """Return the rates of the peers that are installed."""
    rates = {}
    if installed("pandas"):
        few, out = in_file(table.slice(0, PANDAS_ROWS), folder / "few"), folder / "out"
        for name, work in ((APPLY, with_pandas_apply), (COLUMNS, with_pandas_columns)):
            rates[name] = PANDAS_ROWS / cpu_seconds(partial(work, few, out))
    if installed("presidio-analyzer"):
        import tldextract

        tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # the list it brings
        lines = table.column("chat").slice(0, PRESIDIO_LINES).to_pylist()
        for name, chosen in ((ALL_OF_PRESIDIO, all_of_presidio()), (ENABLED, enabled_in_presidio())):
            rates[name] = len(lines) / cpu_seconds(partial(with_presidio, chosen, lines), runs=2)
    return rates


def main() -> int:
    """Measure and print the table, and one line for machines."""
    rows = QUICK if sys.argv[1:] == ["--quick"] else ROWS
    table = pa.Table.from_batches(customers(rows))
    with tempfile.TemporaryDirectory() as name:
        source = in_file(table, Path(name) / "customers")
        busy, wall = in_two_processes(source)
        rates = ours(table, source) | peers(table, Path(name))
    on_two_cores = rows / busy
    figures = {
        "rules without text, rows/s on two cores": CORES * rates["rules without text"],
        "file to file with text, cold, rows/s on two cores": on_two_cores,
        "tokens per CPU s": rates["tokens alone (AES-CMAC)"],
        "FF1 per CPU s": rates["FF1 alone, 11 digits"],
    }
    for name, peer, rate in (
        ("file to file with text, cold, times pandas apply", APPLY, on_two_cores),
        ("file to file with text, cold, times pandas at its best", COLUMNS, on_two_cores),
        ("text, times Presidio", ALL_OF_PRESIDIO, rates["text alone"]),
        ("text, times what Presidio enables for English", ENABLED, rates["text alone"]),
    ):
        if peer in rates:
            figures[name] = rate / rates[peer]
    print(f"{'step':<44}{'per CPU s':>14}")
    for step, rate in rates.items():
        print(f"{step:<44}{rate:>14,.0f}")
    print(f"\n{'figure':<56}{'measured':>14}{'wanted':>12}")
    for name in LEAST | figures:
        measured = f"{figures[name]:,.{figures[name] < 100:d}f}" if name in figures else "no peer"
        print(f"{name:<56}{measured:>14}{LEAST.get(name, 0) or '':>12{',' if name in LEAST else ''}}")
    print(f"\nfile to file with text in two new processes, by the clock: {rows / wall:,.0f} rows/s")
    with ProcessPoolExecutor(1, get_context("spawn")) as worker:  # its peak is its own
        before = time.perf_counter()
        peak = worker.submit(seal, rows).result()
        print(
            f"{rows} customers into an archive: {time.perf_counter() - before:.0f} s, peak {peak >> 20} MiB"
        )
    good = peak < MOST and all(figures.get(name, least) >= least for name, least in LEAST.items())
    return result("desensitize", f"{on_two_cores:.0f}", "rows/s-with-text-on-2-cores", good=good)


if __name__ == "__main__":
    sys.exit(main())
