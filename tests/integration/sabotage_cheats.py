"""What a row of the sabotage table is: a cheat, its moment, and how it must end on each backend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deleatur.errors import DeleaturError

from .sabotage_worlds import World

BEFORE_THE_ERASE = (
    "as the plugin",
    "before approving",
    "before running",
    "at controlled",
    "killed at controlled",
)
BACKENDS = ("memory", "file", "rows", "database")
Ends = type[DeleaturError] | str  # an error, or the overall state of an honest certificate
VERIFIED, UNVERIFIED = "verified", "executed-unverified"


@dataclass(frozen=True)
class Cheat:
    """One row of the table."""

    name: str
    when: str  # before approving, before running, at KIND, killed at KIND, while verifying, as the plugin
    act: Callable[[World], Any]
    ends: Mapping[str, Ends]  # by backend; one that is not named does not know this cheat
    caught_by: str
    spares: bool = True  # whether the cheat itself leaves the target's data alone
    device: bool = False  # whether the job reads the block device

    @property
    def intact(self) -> bool:
        """Whether the data must be as it was: the erase may not have begun."""
        return self.spares and self.when in BEFORE_THE_ERASE


def every(error: Ends, **others: Ends) -> dict[str, Ends]:
    """Return the same end for every backend but the ones named."""
    return {backend: others.get(backend, error) for backend in BACKENDS}


def only(*backends: str, ends: Ends) -> dict[str, Ends]:
    """Return one end for some backends."""
    return dict.fromkeys(backends, ends)


ROWED = ("memory", "rows")
KEYSTREAM = ("memory", "file", "database")
SAYS = "the surfaces are read raw by the core, not by the plugin"
