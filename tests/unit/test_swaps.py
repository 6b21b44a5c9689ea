"""Swaps of PostgreSQL's files: what other jobs on the same server left half done."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from deleatur_plugins.postgresql.server import Server
from deleatur_plugins.postgresql.swapping import other_swaps


def test_only_other_jobs_that_put_files_aside_are_named(tmp_path: Path) -> None:
    """An empty journal put none aside; one that goes while it is looked at belongs to a job that ended."""
    for name, content in (("mine", b"x"), ("other", b"x"), ("empty", b"")):
        (tmp_path / f"pgsql_tmp.deleatur-swap-{name}").write_bytes(content)
    (tmp_path / "pgsql_tmp.deleatur-swap-ended").symlink_to(tmp_path / "gone")
    server = cast(Server, SimpleNamespace(data=tmp_path))
    assert other_swaps(server, "deleatur-mine") == ["deleatur-other"]
