"""The record of a transfer abroad, in `transfer.toml` (docs/spec/transfer.md), written by people.

It says that records of one law may lie under another, on which ground, and until when. Nobody signs it
by itself: who approves the plan as legal, it and business approves it, for its digest stands there.
"""

from collections.abc import Iterator
from typing import Literal

from deleatur.documents.codec import decode_toml
from deleatur.documents.ledger import Day
from deleatur.documents.place import Code, Frozen, Name, Text
from deleatur.documents.rules import Fault, personal_text, raise_all, real_date

MAX_TRANSFER = 1 << 20  # bytes


class TransferRecord(Frozen, frozen=True):
    """The whole record."""

    schema: Literal["deleatur/transfer/v1"]
    id: Name
    law: Code  # of the records
    to: Code  # under which they may lie
    receiver: Text  # who gets them there: a firm or an office, not a person
    purpose: Text
    ground: Text  # the assessment, contract or certification that lets them go, and its number
    decided: Day
    until: Day  # the last day on which it may be relied on


def decode_transfer(content: bytes) -> TransferRecord:
    """Decode `transfer.toml`.

    Raises:
        Malformed: what docs/spec/transfer.md forbids.
    """
    record = decode_toml(content, TransferRecord)
    raise_all([*_faults(record)])
    return record


def _faults(record: TransferRecord) -> Iterator[Fault]:
    yield from real_date(record.decided, "$.decided")
    yield from real_date(record.until, "$.until")
    if record.until < record.decided:
        yield Fault("contradiction", "$.until", "it ended before it was decided")
    if record.law == record.to:
        yield Fault("contradiction", "$.to", "the same law: nothing goes abroad")
    if "unknown" in (record.law, record.to):
        yield Fault("bad-value", "$.law", "a transfer is between two laws that are known")
    for key in ("receiver", "purpose", "ground"):
        yield from personal_text(getattr(record, key), f"$.{key}")
