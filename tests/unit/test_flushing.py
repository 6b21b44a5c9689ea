"""The flush ledger: due until flushed, and settled by what settles it on a real disk."""

import os
from pathlib import Path

import pytest

from deleatur.testing.flushing import watched


def flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def test_a_write_is_due_until_the_file_is_flushed(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"old")
    with watched() as ledger:
        with file.open("r+b") as opened:
            opened.write(b"new")
        assert [d.split()[0] for d in ledger.due()] == ["write"]
        flush(file)  # another descriptor of the same inode does it
        assert ledger.due() == ()
        assert ledger.changes == 1


def test_a_new_name_is_due_until_its_folder_is_flushed(tmp_path: Path) -> None:
    with watched() as ledger:
        (tmp_path / "a").touch()
        flush(tmp_path / "a")
        assert [d.split()[0] for d in ledger.due()] == ["open"]
        flush(tmp_path)
        assert ledger.due() == ()


@pytest.mark.parametrize("action", ["rename", "unlink", "mkdir", "link", "symlink"])
def test_changed_names_are_due(tmp_path: Path, action: str) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with watched() as ledger:
        {
            "rename": lambda: (tmp_path / "a").rename(tmp_path / "b"),
            "unlink": lambda: (tmp_path / "a").unlink(),
            "mkdir": lambda: (tmp_path / "b").mkdir(),
            "link": lambda: (tmp_path / "b").hardlink_to(tmp_path / "a"),
            "symlink": lambda: (tmp_path / "b").symlink_to("a"),
        }[action]()
        assert [d.split()[0] for d in ledger.due()] == [action]
        flush(tmp_path)
        assert ledger.due() == ()


def test_overwritten_and_unlinked_without_a_flush_stays_due(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with watched() as ledger:
        with (tmp_path / "a").open("r+b") as opened:
            opened.write(b"new")
        (tmp_path / "a").unlink()
        flush(tmp_path)
        assert [d.split()[0] for d in ledger.due()] == ["write"]


def test_what_came_and_went_while_we_watched_is_not_due(tmp_path: Path) -> None:
    with watched() as ledger:
        (tmp_path / "a").write_bytes(b"x")
        (tmp_path / "a").unlink()
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "c").mkdir()
        (tmp_path / "b" / "c").rmdir()
        (tmp_path / "b").rmdir()
        flush(tmp_path)
        assert ledger.due() == ()


def test_a_folder_descriptor_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    folder = os.open(tmp_path, os.O_RDONLY)
    with watched() as ledger:
        os.rename("a", "b", src_dir_fd=folder, dst_dir_fd=folder)
        os.unlink("b", dir_fd=folder)
        assert len(ledger.due()) == 1
        os.fsync(folder)
        assert ledger.due() == ()
    os.close(folder)


def test_written_through_is_not_due(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with watched() as ledger:
        descriptor = os.open(tmp_path / "a", os.O_WRONLY | os.O_DSYNC)
        os.write(descriptor, b"new")
        os.close(descriptor)
        assert ledger.due() == ()
    assert ledger.changes == 1
