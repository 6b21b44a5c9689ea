"""Whether a folder is its user's own: nobody but that user and root may put a name into it, or swap it.

Rule: what another user could change between two looks is not looked at, it is refused.
"""

from pathlib import Path

from deleatur.engine.remote.bootstrap import fault_of
from deleatur.errors import Refused


def require_private(folder: Path) -> None:
    """Refuse a folder of another user, or one that others could write into or swap; it need not be there yet.

    A folder above it may be written by others only where they cannot rename what is not theirs: the
    sticky bit of /tmp.

    Raises:
        Refused: which folder it is, and what to do.
    """
    if fault := fault_of(folder):
        raise Refused(fault)
