"""What a carver saw is judged: a file is residue, and silence without a control is nothing."""

import subprocess
from pathlib import Path

import pytest

from deleatur.documents.journal import Carving, Controlled
from deleatur.errors import Refused
from deleatur.judge.evidence import carver_saw, verdict
from deleatur.sanitize import carving as carving_module

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


class OldKernel:
    """A libc on a kernel that keeps no file system in memory out of swap."""

    def __init__(self) -> None:
        self.mounted: list[bytes] = []

    def mount(self, _what: bytes, _where: bytes, _kind: bytes, _flags: int, options: bytes) -> int:
        if b"noswap" in options:
            return -1
        self.mounted.append(options)
        return 0


@pytest.mark.parametrize("areas", [0, 1])
def test_nothing_is_carved_where_it_could_be_swapped_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, areas: int
) -> None:
    swaps = tmp_path / "swaps"
    swaps.write_text("Filename Type Size Used Priority\n" + "/dev/sda2 partition 1000 0 -2\n" * areas)
    monkeypatch.setattr(carving_module, "_SWAPS", swaps)
    kernel = OldKernel()
    if areas:
        with pytest.raises(SystemExit) as ended:
            carving_module._mount_room(kernel)
        assert ended.value.code == carving_module._COULD_BE_SWAPPED
    else:
        carving_module._mount_room(kernel)
    assert len(kernel.mounted) == 1 - areas


def test_the_refusal_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "foremost"
    program.write_bytes(b"")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    code = carving_module._COULD_BE_SWAPPED
    monkeypatch.setattr(
        carving_module.subprocess, "run", lambda *a, **_: subprocess.CompletedProcess(a, code, b"", b"")
    )
    with pytest.raises(Refused, match="switch swap off"):
        carving_module.carve("foremost", "/dev/null")
