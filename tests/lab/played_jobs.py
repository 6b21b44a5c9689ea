"""Whole jobs in the guest on played drives: what their tests share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deleatur.devices.waiting import Patience
from deleatur.documents.journal import Advanced
from deleatur.engine.directory import JobDirectory
from deleatur.testing.workbench import Workbench

from .jobs import events, job
from .played_drives import nvme_drive, scsi_drive

SMALL = 'confidence = "0.5"\nmax_bad_fraction = "0.5"'  # the markers cover a drive of 16 MiB from end to end
SANITIZE, FORMAT = "84", "80"  # opcodes of NVMe


def impatient() -> Patience:
    """Ask often, and give up soon."""
    return Patience(interval=0.2, still=1.0)


def namespace_of(controller: Path) -> Path:
    """Return the block device of an NVMe drive."""
    return controller.with_name(f"{controller.name}n1")


@contextmanager
def played(technique: str, mode: str, seconds: float = 0.6) -> Iterator[Path]:
    """Yield the block device of a played drive that knows the technique."""
    bus = technique.split("-")[0]
    if bus == "nvme":
        with nvme_drive(mode, seconds) as controller:
            yield namespace_of(controller)
    else:
        with scsi_drive(bus, mode, seconds) as drive:
            yield drive


def prepared(bench: Workbench, drive: Path, technique: str) -> JobDirectory:
    """Plan a job, and have it approved by two keys and the end of the serial."""
    return bench.approved(job(drive, technique, "sample", SMALL))


def answers(directory: JobDirectory) -> list[tuple[str, str]]:
    """Return every command block in the journal, and the raw answer."""
    told = (event for event in events(directory) if isinstance(event, Advanced))
    return [(exchange.sent, exchange.answered) for event in told for exchange in event.exchanges]
