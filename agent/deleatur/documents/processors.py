"""Who processed data for us and must return or destroy it, in `processors.toml` (docs/spec/processors.md).

A processor's certificate is their word: it is kept, linked by digest, and never called verified.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.certificate import Day
from deleatur.documents.codec import decode_toml
from deleatur.documents.destruction import FileName, JobName, Years
from deleatur.documents.place import Frozen, Name, Text
from deleatur.documents.plan import PublicKey
from deleatur.documents.rules import Fault, personal_text, raise_all, real_date, twice


class ProcessorCertificate(Frozen, frozen=True):
    """The file that came, in `evidence/`, and what it says."""

    file: FileName
    received: Day
    says: Text  # "all copies deleted on 2026-10-31, backups by 2026-11-30"


class Processor(Frozen, frozen=True):
    """One processor; without a certificate it is an exception."""

    id: Name
    name: Text
    covers: Text  # "newsletter: names and addresses, 2019 to 2026"
    asked: Day  # when they were asked to return or destroy
    certificate: ProcessorCertificate | None = None  # None: none has come


class Processors(Frozen, frozen=True):
    """The whole list, and who answers for it."""

    schema: Literal["deleatur/processors/v1"]
    id: Name
    officer: PublicKey
    processor: Annotated[tuple[Processor, ...], Meta(min_length=1)]
    job: JobName = ""
    keep_years: Years = 5


def decode_processors(content: bytes) -> Processors:
    """Decode `processors.toml`.

    Raises:
        Malformed: what docs/spec/processors.md forbids.
    """
    processors = decode_toml(content, Processors)
    raise_all([*faults_of_processors(processors)])
    return processors


def faults_of_processors(processors: Processors) -> Iterator[Fault]:
    """Yield every fault of `processors`."""
    yield from twice((p.id for p in processors.processor), "$.processor", "id")
    came = [p.certificate.file for p in processors.processor if p.certificate is not None]
    yield from twice(came, "$.processor", "certificate.file")
    for n, processor in enumerate(processors.processor):
        where = f"$.processor[{n}]"
        yield from personal_text(processor.name, f"{where}.name")
        yield from personal_text(processor.covers, f"{where}.covers")
        yield from real_date(processor.asked, f"{where}.asked")
        if (came_in := processor.certificate) is not None:
            yield from personal_text(came_in.says, f"{where}.certificate.says")
            yield from real_date(came_in.received, f"{where}.certificate.received")
