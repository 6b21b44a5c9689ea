"""On another host, nobody but the user who logs in may put a name into the job's folder, or swap it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deleatur import errors
from deleatur.documents import errand
from deleatur.engine.remote.private import require_private
from deleatur.engine.remote.serving import FarEnd

from .ssh_host import office

OTHER = 65534  # nobody


def as_link(folder: Path) -> None:
    elsewhere = folder.with_name("elsewhere")
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)


def as_file(folder: Path) -> None:
    folder.write_text("")


def open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def open_to_a_group(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)


def below_what_all_may_write(folder: Path) -> None:
    folder.mkdir()
    folder.parent.chmod(0o777)


def below_what_a_link_hides(folder: Path) -> None:
    """The path looks fine, the folder that it leads to can be swapped."""
    real = folder.parent.with_name("real")
    real.mkdir()
    real.chmod(0o777)
    folder.parent.rmdir()
    (real / "jobs").mkdir()
    folder.parent.symlink_to(real / "jobs")


ALL: list[Callable[[Path], None]] = [
    as_link,
    as_file,
    open_to_all,
    open_to_a_group,
    below_what_all_may_write,
    below_what_a_link_hides,
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "jobs" / "leavers"
    path.parent.mkdir()
    return path


@pytest.mark.parametrize("plant", ALL)
def test_a_folder_that_others_could_change_is_not_worked_in(
    folder: Path, plant: Callable[[Path], None]
) -> None:
    plant(folder)
    before = sorted(folder.parent.parent.rglob("*"))
    end = FarEnd(folder, None)
    for question in (errand.Look(), errand.Give(name="job.toml", content=b"x")):
        answer = end.answer(question)
        assert isinstance(answer, errand.Objection)
        assert answer.exit_code == 4
    assert sorted(folder.parent.parent.rglob("*")) == before


@pytest.mark.root
@pytest.mark.parametrize("whose", ["its own", "the one above"])
def test_a_folder_of_another_user_is_not_worked_in(folder: Path, whose: str) -> None:
    folder.mkdir()
    os.chown(folder if whose == "its own" else folder.parent, OTHER, OTHER)
    with pytest.raises(errors.Refused, match="another user" if whose == "its own" else "swap leavers"):
        require_private(folder)


def test_a_folder_of_ones_own_is_worked_in_and_need_not_be_there(folder: Path) -> None:
    require_private(folder)
    folder.mkdir()
    require_private(folder)
    folder.parent.chmod(0o1777)  # as /tmp is: others cannot rename what is not theirs
    require_private(folder)


@pytest.mark.parametrize("name", ["approvals", "archive", "certificate", "job.toml", "journal.jsonl"])
def test_a_link_in_the_folder_leads_nowhere(folder: Path, name: str) -> None:
    folder.mkdir(0o700)
    elsewhere = folder.with_name("elsewhere")
    elsewhere.mkdir()
    (folder / name).symlink_to(elsewhere)
    end = FarEnd(folder, None)
    given = errand.Give(name="approvals/approval-0123456789abcdef.dsse.json", content=b"x")
    for question in (given, errand.Look(), errand.Fetch(name="archive/agent.pub", offset=0)):
        answer = end.answer(question)
        assert isinstance(answer, errand.Objection)
        assert f"{name} is a link" in answer.text
    assert list(elsewhere.iterdir()) == []


@pytest.mark.root
def test_it_is_refused_over_a_real_connection(tmp_path: Path) -> None:
    with office(tmp_path) as there:
        there.far_job.mkdir()
        os.chown(there.far_job, OTHER, OTHER)
        run = there.remote("plan", *there.secret("agent"))
        assert run.returncode == 4
        assert "is of another user" in run.stderr
        assert run.stderr.count("\n") == 1
        assert list(there.far_job.iterdir()) == []
