"""Small pictures of files that desktops keep in caches of users, found by the address of the file.

Rules kept: nothing is opened and nothing is changed; what lies on a network, or behind a link to it, is
left alone, because asking for it may wait without an end; who may not be looked into finds nothing,
which the certificate's surface of copies elsewhere covers.
"""

import hashlib
import os
import pwd
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from deleatur.api import mount_points

# Thumbnail Managing Standard 0.9 (freedesktop.org), "Thumbnail Directory"; `fail` holds no pictures.
_SIZES = ("normal", "large", "x-large", "xx-large")
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "overlay"})
_MOST_STEPS = 1000  # links may go in a circle
_PLAIN = "/&=:@+$,-_.!~*'()"  # characters that GLib's g_filename_to_uri leaves as they are


class Thumbnails:
    """The names of all thumbnails on this host that this user may list, by user."""

    def __init__(self) -> None:
        """List the caches once."""
        self.found: Counter[int] = Counter()  # thumbnails of the target's files, by user
        self._names: dict[str, set[int]] = {}
        mounts = mount_points()
        for user in pwd.getpwall():
            for size in _SIZES:
                folder = _local(mounts, Path(user.pw_dir, ".cache", "thumbnails", size))
                if folder is not None:
                    self._list(folder, user.pw_uid)

    def _list(self, folder: Path, user: int) -> None:
        try:
            names = os.listdir(folder)  # noqa: PTH208 - names only
        except OSError:  # there is none, or not for us
            return
        for name in names:
            self._names.setdefault(name, set()).add(user)

    def look(self, path: str) -> None:
        """Count the thumbnails of the file at an absolute path."""
        if self._names:
            address = "file://" + quote(os.fsencode(path), safe=_PLAIN)
            name = hashlib.md5(address.encode("ascii"), usedforsecurity=False).hexdigest() + ".png"
            self.found.update(self._names.get(name, ()))

    def in_words(self) -> str:
        """Say where they were found; "" if nowhere."""
        users = ", ".join(f"{user} (files: {count})" for user, count in sorted(self.found.items()))
        return f"they lie in ~/.cache/thumbnails of the users with the numbers {users}" if users else ""


def _local(mounts: Mapping[str, str], path: Path) -> Path | None:
    """Follow the links of a path, each only once it is known to lie here; None if they lead elsewhere."""
    if not path.is_absolute():
        return None
    at, ahead = Path("/"), [*reversed(path.parts[1:])]
    for _ in range(_MOST_STEPS):
        if not ahead:
            return at
        part = ahead.pop()
        step = at.parent if part == ".." else at / part
        if _kind_of(mounts, str(step)) not in _LOCAL:
            return None
        try:
            to = step.readlink()
        except OSError:  # no link, or nothing at all
            at = step
            continue
        at = Path("/") if to.is_absolute() else at
        ahead += reversed(to.parts[to.is_absolute() :])
    return None


def _kind_of(mounts: Mapping[str, str], path: str) -> str:
    """Return the type of the file system on which an absolute path lies, by its name alone."""
    return next((mounts[str(p)] for p in (Path(path), *Path(path).parents) if str(p) in mounts), "")
