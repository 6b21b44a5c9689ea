"""Have a drive show the sectors that it hides, so that an overwrite reaches them too."""

import os
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from deleatur.api import (
    Cursor,
    Denial,
    Device,
    Offer,
    Step,
    full_size,
    lift_hidden,
    open_exclusive,
    unliftable,
)
from deleatur_plugins.block import overwriting

_OWN = "lift_hidden goes with an overwrite by this host only; name one, or plan without"


def only_overwrites(device: Device, offers: Sequence[Offer]) -> tuple[tuple[Offer, ...], tuple[Denial, ...]]:
    """Return the overwrites, which reach all that is lifted; none, where it cannot be lifted."""
    why = unliftable(device)
    overwrites = [offer for offer in offers if offer.technique in overwriting.TECHNIQUES]
    others = tuple(
        Denial(technique=offer.technique, reason=_OWN) for offer in offers if offer not in overwrites
    )
    if why:
        return (), (*(Denial(technique=offer.technique, reason=why) for offer in overwrites), *others)
    reached = (
        replace(offer, limits=tuple(name for name in offer.limits if name != "hidden-area"))
        for offer in overwrites
    )
    return tuple(reached), others


def lift(device: Device, _unit: str, _step: Step, _after: Cursor | None) -> Iterator[Cursor]:
    """Lift all that `device` hides, opened for this process alone; yield what was sent and answered.

    Raises:
        Refused: the device is in use. Failed: it does not show what was planned. Transient: it went away.
    """
    fd = open_exclusive(device)
    try:
        yield from lift_hidden(fd, device, full_size(device))
    finally:
        os.close(fd)
