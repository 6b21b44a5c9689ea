"""How long the redis backend waits for a child of the server: as long as it comes on, and not for ever."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deleatur.api import Failed, Transient
from deleatur_plugins.redis import resaving
from deleatur_plugins.redis.resaving import Resaving

SNAPSHOT = Path("/srv/redis/dump.rdb")


class Server:
    """A server whose answers to INFO follow each other; the last one stays."""

    def __init__(self, answers: Iterator[dict[str, str]]) -> None:
        self.answers, self.info, self.asked = answers, dict[str, str](), 0

    def refresh(self) -> dict[str, str]:
        self.info = next(self.answers, self.info)
        return self.info

    def ask(self, *_command: str) -> bytes:
        self.asked += 1
        return b"OK"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that only sleeping moves."""
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    monkeypatch.setattr(resaving, "time", clock)
    return clock


def run_of(server: Server) -> Any:
    ground = SimpleNamespace(snapshot=SNAPSHOT)
    return Resaving(server, ground, None, {}, None)  # type: ignore[arg-type]


def test_a_child_that_does_not_come_on_ends_the_wait(slept: SimpleNamespace) -> None:
    run = run_of(Server(iter([{"rdb_bgsave_in_progress": "1"}])))
    with pytest.raises(Transient, match="does not come on"):
        run._wait_until_idle()
    assert 600 <= slept.now < 601


def test_a_long_save_that_comes_on_is_waited_for(slept: SimpleNamespace) -> None:
    saving = ({"rdb_bgsave_in_progress": "1", "current_save_keys_processed": str(n)} for n in range(100_000))
    idle = iter([{"rdb_bgsave_in_progress": "0"}])
    run_of(Server(part for source in (saving, idle) for part in source))._wait_until_idle()
    assert slept.now > 4000


def test_a_snapshot_that_is_never_replaced_is_an_error(slept: SimpleNamespace) -> None:
    server = Server(iter([{"rdb_bgsave_in_progress": "0", "rdb_last_bgsave_status": "ok"}]))
    held = SimpleNamespace(path=SNAPSHOT)
    with pytest.raises(Failed, match="stays where it was"):
        run_of(server)._save(SimpleNamespace(in_use=lambda: [held]))
    assert server.asked >= 100
    assert slept.now >= 10
