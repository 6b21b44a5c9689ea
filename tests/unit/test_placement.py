"""What became of the blocks of many files is said in counts, and in lists that end."""

import pytest
from msgspec.structs import replace

from deleatur.documents.journal import Lay
from deleatur.documents.place import Kept, Unit
from deleatur.documents.plan import PlannedTarget
from deleatur.judge.placement import (
    MOST_LISTED,
    MOST_NAMED,
    doubts_of_placement,
    limits_of_placement,
    placement,
)
from deleatur.testing.finished import a_file

FILES = 3000


@pytest.fixture
def planned() -> PlannedTarget:
    """So many files that told where they lie; the first half of them is held by others too."""
    units = tuple(Unit(name=f"inode-{n}", size=1, digest="d4" * 32, lies=f"{n:032x}") for n in range(FILES))
    kept = tuple(
        Kept(unit=unit.name, by="inode-9 of subvolume or snapshot 5") for unit in units[: FILES // 2]
    )
    return replace(a_file(), units=units, kept=kept)


def lay(in_place: int, moved: int, kept: int = FILES // 2) -> Lay:
    return Lay(in_place=in_place, moved=moved, kept=kept, untold=0, moved_units=(), on_device=0)


def test_all_are_counted_and_the_first_are_listed(planned: PlannedTarget) -> None:
    told = placement(planned, lay(in_place=FILES // 2, moved=0))
    assert (told.in_place, told.freed, told.not_reached) == (FILES // 2, 0, FILES // 2)
    assert len(told.not_reached_units) == MOST_LISTED
    sentences = list(limits_of_placement(planned, lay(in_place=0, moved=FILES // 2)))
    assert [s.id for s in sentences] == ["shared-with"] * MOST_NAMED + ["shared-with-more", "moved-extents"]
    assert f"(files: {FILES // 2 - MOST_NAMED})" in sentences[-2].text


@pytest.mark.parametrize("limit", ["data-journal", "inline-data", "network-file-system"])
def test_nothing_lies_in_place_where_copies_pass_beside(planned: PlannedTarget, limit: str) -> None:
    told = placement(replace(planned, limits=(limit,)), lay(in_place=FILES // 2, moved=0))
    assert (told.in_place, told.not_reached) == (0, FILES)


def test_a_journal_that_counts_other_files_is_doubted(planned: PlannedTarget) -> None:
    assert doubts_of_placement(planned, lay(in_place=FILES // 2, moved=0)) == []
    assert doubts_of_placement(planned, lay(in_place=1, moved=FILES // 2 - 1)) == []
    for wrong in (lay(FILES // 2 - 1, 0), lay(FILES, 0, kept=0), None):
        assert doubts_of_placement(planned, wrong)
