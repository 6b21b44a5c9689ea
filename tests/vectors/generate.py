"""Write the test vectors of job, plan, journal and certificate: one fault a file (docs/spec/vectors.md).

    python tests/vectors/generate.py [FOLDER]

A test compares what this writes with what is committed, so a vector is changed here and nowhere else.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from certificate_vectors import certificate
from datamap_vectors import datamap, declared
from destruction_vectors import attested, destruction, order, processors, vendors
from docket_vectors import docket
from hold_vectors import hold, register
from host_vectors import host
from job_vectors import job_bad, job_good
from journal_vectors import journal
from ledger_vectors import ledger
from making import Made
from notice_vectors import job_notice
from plan_vectors import plan
from policy_vectors import policy_bad, policy_good
from transfer_vectors import event, transfer
from validation_vectors import sheet, validation

MAKERS: tuple[Callable[[], Made], ...] = (
    job_good,
    job_bad,
    job_notice,
    plan,
    journal,
    ledger,
    certificate,
    datamap,
    declared,
    vendors,
    order,
    destruction,
    processors,
    attested,
    hold,
    register,
    docket,
    policy_good,
    policy_bad,
    transfer,
    event,
    host,
    sheet,
    validation,
)


def all_vectors() -> dict[str, bytes]:
    """Return the content of every vector file by its path in the folder."""
    made = [pair for maker in MAKERS for pair in maker()]
    vectors = {f"{name}.vector": text for name, text in made}
    if len(vectors) != len(made):
        raise ValueError("two vectors have the same name")
    return vectors


def main(folder: Path) -> None:
    """Write all vectors into `folder`."""
    for path, text in all_vectors().items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
