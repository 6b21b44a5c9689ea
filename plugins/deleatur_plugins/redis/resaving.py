"""Let the server write its snapshot and its log anew, and shred what it gives up.

Rules kept: each file has a second name of ours before a key is deleted, so that nothing is given
back unseen; the server saves only when asked while keys go; all of it may be done again from the
start after a kill, of this process or of the server.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deleatur.api import Cursor, Failed, Keystream, LinkShredder, Refused, Secrets, Target, Transient
from deleatur_plugins.redis.connecting import Session
from deleatur_plugins.redis.deleting import delete_keys
from deleatur_plugins.redis.ground import Ground

# The server saves by itself after so many seconds; never an empty list, which would also keep it
# from saving when it is told to stop.
_SELDOM = "1000000000 1"
_SETTINGS = {"save": _SELDOM, "auto-aof-rewrite-percentage": "0"}
_LONGEST = 150  # characters of the settings in a cursor
_POLL = 0.05  # seconds
_ATTEMPTS = 200  # saves asked for: ten seconds and more, for one that waits behind another child
_STANDSTILL = 600.0  # seconds without a further key written or a file finished
_WRITING = ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled")
_PROGRESS = ("current_save_keys_processed", "rdb_saves", "aof_rewrites")
_PATIENCE = 10.0  # seconds for the server to remove what it replaced


class Resaving:
    """One run of the action `resave`."""

    def __init__(
        self, session: Session, ground: Ground, target: Target, secrets: Secrets, keystream: Keystream
    ) -> None:
        self._session = session
        self._ground = ground
        self._target = target
        self._secrets = secrets
        self._keystream = keystream

    def run(self, after: Cursor | None) -> Iterator[Cursor]:
        """Go the whole way, whatever an earlier run did of it.

        Every position carries the settings that are to be set back at the end.
        """
        settings = after.position.partition(" | ")[2] if after else self._settings()
        if after is None:
            yield Cursor(f"begin | {settings}", 0)
        with self._saving_seldom(settings):
            with LinkShredder(self._ground.journal) as links:
                rows = self._delete(links) or (after.done if after else 0)
                self._save(links)
                self._rewrite(links)
                self._wait_until_given_up(links)
                yield Cursor(f"saved | {settings}", rows)
                for unit, offset in links.shred(self._keystream):
                    yield Cursor(f"shredded {unit} {offset} | {settings}", rows)
                links.finish()
            self._session.ask("SLOWLOG", "RESET")
            self._session.ask("ACL", "LOG", "RESET")
        yield Cursor(f"forgotten | {settings}", rows)

    # --- the server's own saving

    def _settings(self) -> str:
        """Return the settings that will be changed, as a cursor can carry them."""
        told = ";".join(self._ground.setting(name) for name in _SETTINGS)
        if len(told) > _LONGEST or not told.isascii():
            raise Refused(f"the setting save is longer than {_LONGEST} characters; shorten it")
        return told

    @contextmanager
    def _saving_seldom(self, settings: str) -> Iterator[None]:
        """Keep the server from saving by itself, and set it back."""
        self._set(_SETTINGS)
        try:
            yield
        finally:
            with suppress(Transient):  # a server that went away has the settings of its own file again
                self._set(dict(zip(_SETTINGS, settings.split(";"), strict=True)))

    def _set(self, settings: dict[str, str]) -> None:
        self._session.ask_all([("CONFIG", "SET", name, value) for name, value in settings.items()])

    def _delete(self, links: LinkShredder) -> int:
        """Delete the keys while each file that is there, or comes meanwhile, has a second name."""
        self._wait_until_idle()
        links.hold(self._ground.held_files())
        saved = self._saves()
        rows = delete_keys(self._session, self._target, self._secrets)
        self._wait_until_idle()
        links.hold(self._ground.held_files())
        if self._saves() - saved > 1:
            raise Failed(
                "somebody let the server save more than once while keys were deleted, so files with some of "
                "them were given back unseen; fill the free space or wipe it, then resume"
            )
        return rows

    def _saves(self) -> int:
        """Return how often the server wrote its files anew since it started."""
        info = self._session.refresh()
        return int(info.get("rdb_saves", "0")) + int(info.get("aof_rewrites", "0"))

    def _save(self, links: LinkShredder) -> None:
        """Have the snapshot written anew, where there is one.

        Raises:
            Failed: the server could not, or says that it did and keeps the old file.
        """
        for _ in range(_ATTEMPTS):
            if all(name.path != self._ground.snapshot for name in links.in_use()):
                return
            self._session.ask("BGSAVE", "SCHEDULE")
            time.sleep(_POLL)  # a save that is scheduled begins a moment later
            self._wait_until_idle()
            if self._session.info.get("rdb_last_bgsave_status") != "ok":
                raise Failed("the server could not save its snapshot; its own log says why (a full disk?)")
        raise Failed("the server saves, and its old snapshot stays where it was; look at its directory")

    def _rewrite(self, links: LinkShredder) -> None:
        """Have the log written anew, where there is one, and take away what dead children left."""
        log = set(self._ground.log())
        if log:
            self._session.ask("BGREWRITEAOF")
            self._wait_until_idle()
            if self._session.info.get("aof_last_bgrewrite_status") != "ok":
                raise Failed("the server could not rewrite its log; its own log says why (a full disk?)")
        for path in self._ground.temporary():  # who still writes one is waited for before it is shredded
            links.hold([path])
            path.unlink()
            _flush(path.parent)

    def _wait_until_idle(self) -> None:
        """Wait until no child of the server writes a file.

        Raises:
            Transient: a child has not come on for a long time.
        """
        end, seen = time.monotonic() + _STANDSTILL, dict[str, str]()
        while True:
            info = self._session.refresh()
            now = {name: info.get(name, "0") for name in (*_WRITING, *_PROGRESS)}
            if all(now[name] == "0" for name in _WRITING):
                return
            if now != seen:
                end, seen = time.monotonic() + _STANDSTILL, now
            elif time.monotonic() >= end:
                raise Transient(
                    f"the server has been writing a file for {_STANDSTILL:.0f} s and does not come on; see "
                    "its log, then resume"
                )
            time.sleep(_POLL)

    def _wait_until_given_up(self, links: LinkShredder) -> None:
        """Wait until the server removed each file that it replaced.

        Raises:
            Failed: it goes on using one of them.
        """
        end = time.monotonic() + _PATIENCE
        while kept := links.in_use():
            if time.monotonic() >= end:
                raise Failed(
                    f"the server kept {', '.join(name.unit for name in kept)} and was to write it anew"
                )
            time.sleep(_POLL)


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
