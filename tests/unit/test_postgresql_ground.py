"""What the PostgreSQL backend says of its place, without a server."""

import os
from pathlib import Path

import pytest

from deleatur_plugins.postgresql.ground import limits_of, surfaces_of
from deleatur_plugins.postgresql.server import Server


def test_who_is_not_root_does_not_reach_the_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pg_tblspc").mkdir()
    server = Server(data=tmp_path, log=tmp_path, process=0, messages=None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "reserved-blocks" not in limits_of(server)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "reserved-blocks" in limits_of(server)


def test_without_the_files_every_place_is_out_of_reach() -> None:
    assert {s.reach for s in surfaces_of(None)} == {"out-of-reach"}
    assert all(s.reason for s in surfaces_of(None))
