"""What a carver saw is judged: a file is residue, and silence without a control is nothing."""

import pytest

from deleatur.documents.journal import Carving, Controlled
from deleatur.judge.evidence import carver_saw, verdict

SAME, OTHER = "a" * 64, "b" * 64


def carving(files: int, sha256: str = SAME) -> Carving:
    kinds = (("png", files),) if files else ()
    return Carving(program="photorec", version="7.1", sha256=sha256, kinds=kinds)


def controlled(carved: Carving | None) -> Controlled:
    return Controlled(
        target="disk",
        places=0,
        values=0,
        shared=0,
        short=0,
        seen=0,
        set_digest="",
        surfaces=(),
        keep_digest="",
        carved=carved,
    )


@pytest.mark.parametrize(
    ("after", "ruling"), [(None, "CLEAN"), (0, "CLEAN"), (1, "RESIDUE"), (16, "RESIDUE")]
)
@pytest.mark.parametrize("before", [0, 5])
def test_one_carved_file_is_residue_whatever_the_control_saw(
    before: int, after: int | None, ruling: str
) -> None:
    found, _ = verdict(
        (),
        controlled(carving(before)),
        (),
        sampled=True,
        values=0,
        present=0,
        remaining=0,
        stays=True,
        carved=None if after is None else carving(after),
    )
    assert found == ruling


@pytest.mark.parametrize(
    ("before", "saw"), [(None, False), (carving(0), False), (carving(1), True), (carving(9, OTHER), False)]
)
def test_only_the_same_program_that_saw_files_before_counts(before: Carving | None, saw: bool) -> None:
    assert carver_saw(controlled(before), carving(0)) == saw
