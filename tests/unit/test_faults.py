"""The fault injector: each call counted once, and the process dead exactly there."""

import errno
import os
from pathlib import Path

import pytest

from deleatur.testing.faults import (
    count_calls,
    failing_at,
    failing_from,
    list_calls,
    recording,
    run_failing_at,
    run_killed_at,
)


def durable_write(path: Path) -> None:
    """Write a file in the way of the house: temp, fsync, rename, folder fsync."""
    with path.with_suffix(".new").open("wb") as file:
        file.write(b"0123456789")
        file.flush()
        os.fsync(file.fileno())
    path.with_suffix(".new").rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def test_calls_of_descriptors_paths_and_file_objects_are_listed(tmp_path: Path) -> None:
    calls = list_calls(lambda: durable_write(tmp_path / "a"))
    assert calls == ("open", "write", "fsync", "rename", "fsync")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


@pytest.mark.parametrize(
    ("n", "moment", "temporary", "final"),
    [
        (1, "before", None, None),
        (1, "after", b"", None),
        (2, "before", b"", None),
        (2, "torn", b"01234", None),
        (2, "after", b"0123456789", None),
        (4, "before", b"0123456789", None),
        (4, "after", None, b"0123456789"),
    ],
)
def test_the_process_dies_exactly_there(
    tmp_path: Path, n: int, moment: str, temporary: bytes | None, final: bytes | None
) -> None:
    outcome = run_killed_at(lambda: durable_write(tmp_path / "a"), n, moment)  # type: ignore[arg-type]
    assert outcome.killed
    found = [p.read_bytes() if p.exists() else None for p in (tmp_path / "a.new", tmp_path / "a")]
    assert found == [temporary, final]


def test_a_run_with_fewer_calls_comes_to_its_end(tmp_path: Path) -> None:
    outcome = run_killed_at(lambda: durable_write(tmp_path / "a"), 6)
    assert not outcome.killed
    assert outcome.error == ""
    assert (tmp_path / "a").exists()


def test_an_injected_error_reaches_the_caller_and_is_told(tmp_path: Path) -> None:
    outcome = run_failing_at(lambda: durable_write(tmp_path / "a"), 3, errno.ENOSPC)
    assert not outcome.killed
    assert "injected at fsync, call 3" in outcome.error
    with failing_at(3, errno.EIO) as calls, pytest.raises(OSError) as caught:
        durable_write(tmp_path / "b")
    assert caught.value.errno == errno.EIO
    assert calls == ["open", "write", "fsync"]


def test_a_disk_that_is_full_stays_full(tmp_path: Path) -> None:
    with failing_from(2, errno.ENOSPC):
        (tmp_path / "a").mkdir()
        for name in ("b", "c", "d"):
            with pytest.raises(OSError, match="injected"):
                (tmp_path / name).mkdir()
    assert (tmp_path / "a").is_dir()


def test_pipes_and_reads_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")

    def run() -> None:
        reader, writer = os.pipe()
        os.write(writer, b"x")
        os.close(reader)
        os.close(writer)
        assert (tmp_path / "a").read_bytes() == b"x"

    assert count_calls(run) == 0


def test_a_failing_run_cannot_be_counted(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="FileNotFoundError"):
        count_calls(lambda: (tmp_path / "missing").unlink())


def test_everything_is_put_back(tmp_path: Path) -> None:
    before = (os.write, os.open, open)
    with recording() as calls:
        (tmp_path / "a").write_text("grüße", encoding="utf-8")
    assert (os.write, os.open, open) == before
    assert calls == ["open", "write"]
