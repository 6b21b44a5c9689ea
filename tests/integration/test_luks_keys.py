"""Real LUKS containers lose headers and key slots in a whole job: nothing opens them, and their data stay."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.devices.luks import key_area
from deleatur.documents.journal import Compared
from deleatur.errors import Refused
from deleatur.judge.fold import clean
from deleatur.sanitize.patterns import laid
from deleatur.testing.workbench import Workbench

from ..lab.jobs import events, job, pattern_of, predicate
from .loops import MIB, PATIENCE, SECTOR, Loop, loop_over

pytestmark = pytest.mark.root
WORD = b"correct horse"
ENDS = {"luks1": 4096 * SECTOR, "luks2": 16 * MIB}  # where cryptsetup 2.6 puts the data: both measured


def cryptsetup(*words: str | Path, given: bytes = WORD) -> int:
    return subprocess.run(
        ["cryptsetup", "--batch-mode", *words], input=given, timeout=PATIENCE, capture_output=True
    ).returncode


def opens(path: str | Path, *more: str) -> bool:
    return cryptsetup("open", "--test-passphrase", "--key-file=-", *more, path) == 0


@pytest.fixture(params=["luks1", "luks2"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def container(tmp_path: Path, kind: str) -> Iterator[Loop]:
    """A container with two keys in it, over random bytes."""
    quick = ("--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000", "--key-file=-")
    with loop_over(tmp_path / "image", os.urandom(20 * MIB)) as made:
        assert cryptsetup("luksFormat", f"--type={kind}", *quick, made.path) == 0
        (tmp_path / "second").write_bytes(b"another word")
        assert cryptsetup("luksAddKey", *quick, made.path, tmp_path / "second") == 0
        assert opens(made.path)
        yield made


def test_headers_and_slots_are_overwritten_and_nothing_opens_it(
    container: Loop, kind: str, tmp_path: Path
) -> None:
    bench = Workbench(tmp_path / "jobs")
    before = container.file.read_bytes()
    copy = tmp_path / "header"
    assert cryptsetup("luksHeaderBackup", container.path, f"--header-backup-file={copy}") == 0
    directory = bench.whole(job(container.path, "luks-erase"))
    after, end = container.file.read_bytes(), ENDS[kind]
    assert after[:end] == laid(pattern_of(directory, "overwrite-keys")).read("device", 0, end)
    assert after[end:] == before[end:]  # its data are left: sealed under keys that are gone here
    assert not opens(container.path)
    assert cryptsetup("luksDump", container.path) != 0
    assert cryptsetup("repair", container.path) != 0  # from the second header
    assert opens(container.path, f"--header={copy}")  # as the certificate says: who has a copy can open it
    found = predicate(directory)
    assert found["outcome"]["perTarget"][0]["assurance"] == "A3/key"
    assert found["verification"][0]["comparisons"][0]["bytesRead"] == end
    assert "sealed-values" in {sentence["id"] for sentence in found["knownLimits"]}
    assert all(clean(event) for event in events(directory) if isinstance(event, Compared))


def test_a_container_made_anew_after_the_plan_is_refused(container: Loop, tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "jobs")
    directory = bench.approved(job(container.path, "luks-erase"))
    quick = ("--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000", "--key-file=-", "--offset=20480")
    assert cryptsetup("luksFormat", "--type=luks1", *quick, container.path) == 0
    with pytest.raises(Refused, match="changed since the plan"):
        bench.run(directory)
    assert opens(container.path)


def test_a_device_without_a_header_is_refused(tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "jobs")
    with loop_over(tmp_path / "plain", bytes(4 * MIB)) as plain:
        directory = bench.job(job(plain.path, "luks-erase"))
        with pytest.raises(Refused, match="no LUKS header"):
            bench.plan(directory)


DAMAGES = {
    "luks1": (
        (104, b"\xff" * 4),
        (104, bytes(4)),
        (248, b"\x7f" * 4),
        (6, b"\0\3"),
        (112 + 136, b"\0\1\0\0"),
    ),
    "luks2": ((8, b"\xff" * 4), (12, bytes(4)), (4096, b"\xff" * 4), (4096, b"[" * 12000), (6, b"\0\3")),
}


@pytest.mark.parametrize("damage", range(5))
def test_a_damaged_header_is_refused_and_nothing_is_guessed(container: Loop, kind: str, damage: int) -> None:
    content = bytearray(container.file.read_bytes())
    at, wrong = DAMAGES[kind][damage]
    content[at : at + len(wrong)] = wrong
    with pytest.raises(Refused):
        key_area(lambda offset, length: bytes(content[offset : offset + length]), len(content))
