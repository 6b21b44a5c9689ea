"""Whether a folder is its user's own: nobody but that user and root may put a name into it, or swap it.

Rule: what another user could change between two looks is not looked at, it is refused.
"""

import os
import stat
from pathlib import Path

from deleatur.errors import Refused

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def require_private(folder: Path) -> None:
    """Refuse a folder of another user, or one that others could write into or swap; it need not be there yet.

    A folder above it may be written by others only where they cannot rename what is not theirs: the
    sticky bit of /tmp.

    Raises:
        Refused: which folder it is, and what to do.
    """
    user = os.geteuid()
    if os.path.lexists(folder):
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise Refused(f"{folder} is a link or another thing than a folder; look and remove it")
        if status.st_uid != user or status.st_mode & _OTHERS:
            raise Refused(
                f"{folder} is of another user, or others may write there; make it anew, with mode 700"
            )
    real = folder.parent.resolve()
    for above in dict.fromkeys([*folder.parents, real, *real.parents]):
        status = above.lstat()
        shared = status.st_mode & _OTHERS and not status.st_mode & stat.S_ISVTX
        if status.st_uid not in {0, user} or (shared and not stat.S_ISLNK(status.st_mode)):
            raise Refused(
                f"{above} can be changed by other users, who could swap {folder.name}; choose another folder"
            )
