"""Small pictures of files that desktops keep in caches of users, found by the address of the file.

Rules kept: nothing is opened and nothing is changed; homes on a network are left alone, because asking
for them may wait without an end; who may not be looked into finds nothing, which the certificate's
surface of copies elsewhere covers.
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
_PLAIN = "/&=:@+$,-_.!~*'()"  # characters that GLib's g_filename_to_uri leaves as they are


class Thumbnails:
    """The names of all thumbnails on this host that this user may list, by user."""

    def __init__(self) -> None:
        """List the caches once."""
        self.found: Counter[int] = Counter()  # thumbnails of the target's files, by user
        self._names: dict[str, set[int]] = {}
        mounts = mount_points()
        for user in pwd.getpwall():
            if _kind_of(mounts, user.pw_dir) in _LOCAL:
                for size in _SIZES:
                    self._list(Path(user.pw_dir, ".cache", "thumbnails", size), user.pw_uid)

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


def _kind_of(mounts: Mapping[str, str], path: str) -> str:
    """Return the type of the file system on which an absolute path lies, by its name alone."""
    return next((mounts[str(p)] for p in (Path(path), *Path(path).parents) if str(p) in mounts), "")
