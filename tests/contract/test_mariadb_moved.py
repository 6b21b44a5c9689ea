"""The mariadb backend keeps every promise also when the whole server goes to a new data directory."""

from collections.abc import Iterator
from typing import ClassVar

import pytest

from deleatur.testing import contract
from deleatur.testing.contract import NewTrial

from ..mariadb_server import Server, server_on_a_disk
from .test_mariadb import ALWAYS, MariadbContract


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_on_a_disk(size=240 << 20) as running, running.kept_running():
        yield running


@pytest.mark.root
@pytest.mark.campaign
class TestMoved(MariadbContract):
    """Who runs the server starts it again."""

    technique = "reload-and-shred"
    not_applicable: ClassVar = ALWAYS

    def test_a_kill_at_any_call_is_survived(self, trial: NewTrial, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contract, "MOST_FAULTS", 8)  # each takes ten seconds
        super().test_a_kill_at_any_call_is_survived(trial)

    def test_an_io_error_is_not_swallowed(self, trial: NewTrial, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contract, "MOST_FAULTS", 10)
        super().test_an_io_error_is_not_swallowed(trial)
