"""Carvers of other people look at a device before and after it is erased, and only their counts stay."""

import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.documents.journal import Carving, Controlled, Verified
from deleatur.engine import looking
from deleatur.errors import Failed, Refused, Residue
from deleatur.sanitize.carving import ENOUGH, carve
from deleatur.testing.workbench import Workbench

from ..lab.jobs import events, job, predicate
from .loops import MIB, PATIENCE, Loop, loop_over

pytestmark = pytest.mark.root
CARVERS = ("foremost", "photorec")


def picture() -> bytes:
    """Return a PNG of noise, larger than a few blocks."""
    side = 40
    rows = b"".join(b"\0" + os.urandom(side * 3) for _ in range(side))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def disk(pictures: int) -> bytes:
    """Return a disk of 9 MiB with so many pictures, 128 KiB from each other."""
    content = bytearray(9 * MIB)
    for number in range(pictures):
        one = picture()
        content[number << 17 : (number << 17) + len(one)] = one
    return bytes(content)


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "jobs")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    with loop_over(tmp_path / "image", disk(5)) as made:
        yield made


def asked(carver: str) -> str:
    return f'carver = "{carver}"'


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield a folder into which everybody may write, `nobody` too."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """Put a program of the name photorec before all others."""
    program = folder / "photorec"
    program.write_text(f"#!/bin/sh\n[ $# -eq 1 ] && echo 7.1 && exit 0\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize("carver", CARVERS)
@pytest.mark.parametrize("technique", ["overwrite-device", "overwrite-device-zeros"])
def test_a_carver_sees_files_before_and_none_after(
    bench: Workbench, loop: Loop, carver: str, technique: str
) -> None:
    directory = bench.whole(job(loop.path, technique, more=asked(carver)))
    (before,) = (e.carved for e in events(directory) if isinstance(e, Controlled))
    (after,) = (e.carved for e in events(directory) if isinstance(e, Verified))
    assert (before.program, before.kinds, after.kinds) == (carver, (("png", 5),), ())
    assert before.sha256 == after.sha256
    assert before.version
    outcome = predicate(directory)["outcome"]["perTarget"][0]
    (said,) = (claim["text"] for claim in outcome["claims"] if claim["id"] == "carved")
    assert carver in said
    assert before.sha256 in said
    assert outcome["assurance"] == "A3/addressable"


@pytest.mark.parametrize("carver", CARVERS)
def test_it_stops_when_it_saw_enough_and_leaves_nothing_behind(tmp_path: Path, carver: str) -> None:
    with loop_over(tmp_path / "many", disk(70)) as many:
        before = many.file.read_bytes()
        assert carve(carver, str(many.path)).files >= ENOUGH
        assert many.file.read_bytes() == before
    assert not Path("/run/room").exists()
    assert not Path("/run/device").exists()


@pytest.mark.parametrize("killed", ["agent", "carver"])
def test_nothing_that_was_carved_outlives_a_kill(
    loop: Loop, open_folder: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    """The carver says through a fifo that it runs; its room goes with it, whoever is killed."""
    fake(open_folder, monkeypatch, f"echo carved > $2.png; echo $$ > {open_folder}/told; exec sleep 1000")
    os.mkfifo(open_folder / "told")
    (open_folder / "told").chmod(0o666)
    words = ["-m", "deleatur.sanitize.carving", "photorec", str(open_folder / "photorec"), str(loop.path)]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE) as running:
        carver = int((open_folder / "told").read_text())
        carved = Path(f"/proc/{carver}") / "root" / "run/room/carved.png"
        assert carved.read_text() == "carved\n"
        gone = os.pidfd_open(carver)
        os.kill(running.pid if killed == "agent" else carver, signal.SIGKILL)
        assert select.select([gone], [], [], PATIENCE)[0]
        os.close(gone)
        assert (running.wait(PATIENCE) == -signal.SIGKILL) == (killed == "agent")
    assert not carved.exists()
    assert not Path("/run/room").exists()


def test_modules_in_the_folder_where_it_is_called_are_not_run(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ctypes.py").write_text("import pathlib; pathlib.Path('ran').touch(); raise SystemExit(1)\n")
    monkeypatch.chdir(tmp_path)
    assert carve("photorec", str(loop.path)).kinds
    assert not (tmp_path / "ran").exists()


def test_a_blank_device_makes_the_carver_s_word_inconclusive(bench: Workbench, tmp_path: Path) -> None:
    with loop_over(tmp_path / "blank", bytes(5 * MIB)) as blank:
        directory = bench.whole(job(blank.path, more=asked("photorec")))
    found = predicate(directory)
    assert "carver-saw-nothing" in {e["sentence"]["id"] for e in found["exceptions"]}
    assert "carved" not in {claim["id"] for claim in found["outcome"]["perTarget"][0]["claims"]}
    assert found["outcome"]["overall"] == "verified-with-exceptions"


def test_a_carver_that_always_says_nothing_is_caught_by_the_control(
    bench: Workbench, loop: Loop, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(open_folder, monkeypatch, "exit 0")
    found = predicate(bench.whole(job(loop.path, more=asked("photorec"))))
    assert "carver-saw-nothing" in {e["sentence"]["id"] for e in found["exceptions"]}
    assert "carved" not in {claim["id"] for claim in found["outcome"]["perTarget"][0]["claims"]}


def test_files_that_an_erase_left_are_residue(
    bench: Workbench, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything was compared when they come back: only the carver still looks at the whole device."""
    looks: list[str] = []

    def sabotaged(name: str, device: str) -> Carving:
        looks.append(name)
        if len(looks) == 2:
            with open(loop.path, "r+b") as whole:
                whole.seek(4 * MIB)
                whole.write(picture())
        return carve(name, device)

    monkeypatch.setattr(looking, "carve", sabotaged)
    with pytest.raises(Residue):
        bench.whole(job(loop.path, "overwrite-device-zeros", "sample", asked("foremost")))


@pytest.mark.parametrize("does", ["exit 3", "kill -9 $$", "exec dd if=/run/device of=/dev/full"])
def test_a_carver_that_fails_ends_the_job_before_anything_is_erased(
    bench: Workbench, loop: Loop, open_folder: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    before = loop.file.read_bytes()
    fake(open_folder, monkeypatch, does)
    with pytest.raises(Failed, match="photorec did not come to its end"):
        bench.whole(job(loop.path, more=asked("photorec")))
    assert loop.file.read_bytes() == before


def test_a_carver_that_is_not_there_ends_the_job_before_anything_is_erased(
    bench: Workbench, loop: Loop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = loop.file.read_bytes()
    monkeypatch.setattr("deleatur.sanitize.carving.shutil.which", lambda _: None)
    with pytest.raises(Refused, match="photorec is not installed"):
        bench.whole(job(loop.path, more=asked("photorec")))
    assert loop.file.read_bytes() == before


def test_a_carver_can_write_neither_to_the_device_nor_anywhere_but_its_room(
    loop: Loop, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = loop.file.read_bytes()
    tries = f"(echo > /run/device) && echo > a.png; (echo > {open_folder}/x) && echo > b.png; echo > c.jpg"
    fake(open_folder, monkeypatch, tries)
    assert carve("photorec", str(loop.path)).kinds == (("jpg", 1),)
    assert loop.file.read_bytes() == before
    assert [path.name for path in open_folder.iterdir()] == ["photorec"]


def test_a_target_that_is_no_device_cannot_be_carved(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_bytes(os.urandom(9000))
    text = job("", more=asked("photorec")).replace("block://", f"file://{tmp_path}/data")
    with pytest.raises(Refused, match="no target is one"):
        bench.whole(text.replace('technique = "overwrite-device"\n', ""))
