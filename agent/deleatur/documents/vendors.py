"""The register of those who destroy for us, in `vendors.toml` (docs/spec/vendors.md).

It says what a vendor showed: nobody here asks the body that issued a certificate.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.carriers import Carrier
from deleatur.documents.certificate import Day
from deleatur.documents.codec import decode_toml
from deleatur.documents.place import Frozen, Name, Text
from deleatur.documents.rules import Fault, personal_text, raise_all, real_date, twice

OURSELVES = "ourselves"  # who destroys, if it is no vendor


class Qualification(Frozen, frozen=True):
    """A certificate that a vendor showed."""

    standard: Text  # "ISO/IEC 27001", as under `requires`
    number: Text
    issuer: Text
    scope: Text  # as it is printed
    carriers: Annotated[tuple[Carrier, ...], Meta(min_length=1)]  # what that scope takes in
    issued: Day
    expires: Day  # the last day


class TrainedOperator(Frozen, frozen=True):
    """Someone who works for a vendor: a pseudonym."""

    name: Name
    trained_until: Day


class Vendor(Frozen, frozen=True):
    """Who destroys for us, and the key that signs for them."""

    id: Name
    name: Text
    spki: str
    service: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*:[!-~]+\Z", max_length=4096)] | None = (
        None  # the URL that a plugin speaks to
    )
    certificate: tuple[Qualification, ...] = ()
    operator: tuple[TrainedOperator, ...] = ()


class OwnOperator(Frozen, frozen=True):
    """Someone of ours who destroys, with a key of their own."""

    name: Name
    spki: str
    trained_until: Day


class Vendors(Frozen, frozen=True):
    """The whole register."""

    schema: Literal["deleatur/vendors/v1"]
    requires: Annotated[tuple[Text, ...], Meta(min_length=1)]  # standards that every vendor must hold
    vendor: tuple[Vendor, ...] = ()
    own_operator: tuple[OwnOperator, ...] = ()


def decode_vendors(content: bytes) -> Vendors:
    """Decode `vendors.toml`.

    Raises:
        Malformed: what docs/spec/vendors.md forbids.
    """
    vendors = decode_toml(content, Vendors)
    raise_all([*faults_of_vendors(vendors)])
    return vendors


def faults_of_vendors(vendors: Vendors) -> Iterator[Fault]:
    """Yield every fault of `vendors`."""
    yield from twice((v.id for v in vendors.vendor), "$.vendor", "id")
    yield from twice((v.spki for v in vendors.vendor), "$.vendor", "spki")
    yield from twice((o.name for o in vendors.own_operator), "$.own_operator", "name")
    yield from twice((o.spki for o in vendors.own_operator), "$.own_operator", "spki")
    for n, operator in enumerate(vendors.own_operator):
        yield from real_date(operator.trained_until, f"$.own_operator[{n}].trained_until")
    for n, vendor in enumerate(vendors.vendor):
        where = f"$.vendor[{n}]"
        if vendor.id == OURSELVES:
            yield Fault("contradiction", f"{where}.id", "who works for ourselves is an own_operator")
        yield from personal_text(vendor.name, f"{where}.name")
        yield from twice((o.name for o in vendor.operator), f"{where}.operator", "name")
        for m, one in enumerate(vendor.operator):
            yield from real_date(one.trained_until, f"{where}.operator[{m}].trained_until")
        for m, shown in enumerate(vendor.certificate):
            here = f"{where}.certificate[{m}]"
            yield from real_date(shown.issued, f"{here}.issued")
            yield from real_date(shown.expires, f"{here}.expires")
            if shown.expires < shown.issued:
                yield Fault("contradiction", f"{here}.expires", "expires before it was issued")
