"""The order to destroy, in `order.toml` (docs/spec/order.md), written by people: the custody list.

It is what stands in the record of a destruction before anything was destroyed. Whether it may be
sent is judged elsewhere: `deleatur.judge.destruction`.
"""

from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.codec import decode_toml
from deleatur.documents.destruction import Handover, Item, JobName, Years, faults_of_custody
from deleatur.documents.place import Frozen, Name, Text
from deleatur.documents.plan import PublicKey
from deleatur.documents.rules import raise_all


class Order(Frozen, frozen=True):
    """The whole order."""

    schema: Literal["deleatur/order/v1"]
    id: Name  # of the record that it becomes
    authority: Text  # under which order or law
    by: Name  # a vendor of the register, with a `service`
    item: Annotated[tuple[Item, ...], Meta(min_length=1)]
    handover: Annotated[tuple[Handover, ...], Meta(min_length=1)]
    witness: Annotated[tuple[PublicKey, ...], Meta(min_length=2)]
    job: JobName = ""  # of deleatur, if it belongs to one
    keep_years: Years = 5


def decode_order(content: bytes) -> Order:
    """Decode `order.toml`.

    Raises:
        Malformed: what docs/spec/order.md forbids.
    """
    order = decode_toml(content, Order)
    raise_all([*faults_of_custody(order.authority, order.item, order.handover, order.witness)])
    return order
