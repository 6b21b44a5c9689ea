"""Measure certificates a second, made and verified with all their evidence, beside bare signatures.

    .venv/bin/python benchmarks/certificates.py [--quick]

One process, one core. Ratios travel between machines, seconds do not. Prints a table and
`RESULT certificates FIGURE verified/s ok|short`: verified certificates a second of one target with two
signatures. Short means under 20, or a certificate that costs more than 80 bare verifications.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import result
from deleatur.judge.statement import Issue, statement
from deleatur.testing.finished import AGENT, APPROVERS, SECOND_AGENT, a_file, finished
from deleatur.trust.dsse import IN_TOTO, seal, unseal
from deleatur.trust.folder import write_certificate
from deleatur.trust.keys import verifies
from deleatur.trust.verification import verify

KEYS = [AGENT, SECOND_AGENT]
TRUSTED = [key.public for key in KEYS]
FLOOR = 20  # verified certificates a second: a shelf of a thousand disks in a minute
COST = 80  # bare P-256 verifications that one certificate may cost: 18 on an idle core, 38 on a busy one
RUNS = 3


def rate(call: Callable[[], object], seconds: float) -> float:
    """Return how often `call` runs a second: the best of some runs."""
    best = 0.0
    for _ in range(RUNS):
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds / RUNS:
            call()
            count += 1
        best = max(best, count / (time.perf_counter() - begin))
    return best


def main(seconds: float) -> int:
    """Measure and print; return the exit code."""
    job = finished(a_file())
    issue = Issue(
        certificate_id="certificate-0001",
        issued_at="2026-03-01T12:00:00Z",
        issuers=TRUSTED,
        approvals=[key.public for key in APPROVERS],
        journal_digest="0" * 64,
        evidence_digest="0" * 64,
    )
    plan_bytes, entries, journal_bytes = job.plan_bytes, job.entries, job.journal_bytes
    body = statement(job.plan, plan_bytes, entries, issue)
    envelope = seal(body, IN_TOTO, KEYS)
    signature = SECOND_AGENT.sign(body)
    with tempfile.TemporaryDirectory(dir=fast_folder()) as name:
        folder = Path(name) / "certificate"

        def write() -> None:
            if folder.exists():
                shutil.rmtree(folder)
            write_certificate(
                folder,
                plan_bytes=plan_bytes,
                journal_bytes=journal_bytes,
                approvals=job.approvals,
                keys=KEYS,
                issued_at="2026-03-01T12:00:00Z",
                certificate_id="certificate-0001",
            )

        write()
        works: dict[str, Callable[[], object]] = {
            "sign, Ed25519": lambda: AGENT.sign(body),
            "sign, P-256": lambda: SECOND_AGENT.sign(body),
            "verify, P-256": lambda: verifies(SECOND_AGENT.public, signature, body),
            "make the statement": lambda: statement(job.plan, plan_bytes, entries, issue),
            "seal, two keys": lambda: seal(body, IN_TOTO, KEYS),
            "unseal, two keys": lambda: unseal(envelope, IN_TOTO, TRUSTED),
            "write the folder": write,
            "verify the envelope": lambda: verify(folder / "certificate.dsse.json", TRUSTED, 2, None),
            "verify the folder": lambda: verify(folder, TRUSTED, 2, None),
        }
        rates = {name: rate(work, seconds) for name, work in works.items()}
    bare = rates["verify, P-256"]
    print(f"statement {len(body)} bytes, envelope {len(envelope)} bytes, {len(entries)} journal entries")
    print(f"{'work':<22} {'a second':>10} {'bare verifications':>20}")
    for name, found in rates.items():
        print(f"{name:<22} {found:>10,.0f} {bare / found:>20.1f}")
    figure = rates["verify the folder"]
    return result(
        "certificates", f"{figure:.0f}", "verified/s", good=figure >= FLOOR and bare / figure <= COST
    )


def fast_folder() -> str | None:
    """Return a folder in memory if there is one: the disk's flushes are not what is measured."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Certificates a second.")
    parser.add_argument("--quick", action="store_true", help="half a second for each line instead of two")
    sys.exit(main(0.5 if parser.parse_args().quick else 2.0))
