"""A whole device is overwritten, read back and certified; drives that fail or lie are told, or caught."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.documents.journal import Advanced, Challenged, Compared
from deleatur.documents.place import Cursor, Step
from deleatur.engine.certifying import own_certificate
from deleatur.engine.directory import JobDirectory
from deleatur.errors import DeleaturError, Refused, Residue
from deleatur.sanitize import device as whole
from deleatur.sanitize.passes import STANDARDS
from deleatur.sanitize.patterns import laid
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block.backend import BlockBackend

from ..lab.faulty_device import SPLIT, faulty_device
from ..lab.faulty_file import Faults
from ..lab.jobs import events, job, pattern_of, predicate
from .loops import MIB, PATIENCE, SECTOR, Loop, attached, loop_over

pytestmark = pytest.mark.root


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "jobs")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    with loop_over(tmp_path / "image", os.urandom(9 * MIB + 3 * SECTOR)) as made:
        yield made


def test_a_device_is_overwritten_and_every_byte_is_read_back(bench: Workbench, loop: Loop) -> None:
    directory = bench.whole(job(loop.path))
    size = 9 * MIB + 3 * SECTOR
    assert loop.file.read_bytes() == laid(pattern_of(directory)).read("device", 0, size)
    found = predicate(directory)
    (compared,) = found["verification"][0]["comparisons"]
    assert (compared["compare"], compared["bytesRead"], compared["bound"]) == ("pattern", size, None)
    assert found["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"
    own_certificate(directory, (directory.path / "plan.json").read_bytes(), [bench.agent])


def test_a_blank_device_gets_its_certificate_too(bench: Workbench, tmp_path: Path) -> None:
    with loop_over(tmp_path / "blank", bytes(5 * MIB)) as blank:
        directory = bench.whole(job(blank.path, "overwrite-device-zeros"))
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"


def test_passes_follow_each_other_and_the_last_one_is_read_back(bench: Workbench, loop: Loop) -> None:
    directory = bench.whole(job(loop.path, "overwrite-device-dod-short"))
    found = predicate(directory)
    first, second, last = (m["pattern"] for m in found["method"])
    assert int(first.removeprefix("bytes-"), 16) ^ 0xFF == int(second.removeprefix("bytes-"), 16)
    assert last == "aes-256-ctr"
    assert [c["step"] for c in found["verification"][0]["comparisons"]] == ["s3"]
    assert loop.file.read_bytes()[:MIB] == laid(pattern_of(directory, "pass-3")).read("device", 0, MIB)


def test_values_are_searched_too_where_the_job_asks(bench: Workbench, loop: Loop) -> None:
    found = predicate(bench.whole(job(loop.path, more="device = true")))
    needles = found["verification"][0]["needles"]
    assert needles["searched"] == needles["positiveControl"] > 2000
    assert "searched" in {claim["id"] for claim in found["outcome"]["perTarget"][0]["claims"]}


def test_a_sample_is_drawn_after_the_erase_and_its_bound_is_printed(bench: Workbench, tmp_path: Path) -> None:
    large = tmp_path / "sparse"
    with large.open("wb") as file:
        file.truncate(400 * whole.PIECE)
    with attached(large) as path:
        directory = bench.whole(job(path, "overwrite-device-zeros", "sample", 'max_bad_fraction = "0.02"'))
    told = events(directory)
    challenged = next(n for n, e in enumerate(told) if isinstance(e, Challenged))
    assert challenged > max(n for n, e in enumerate(told) if isinstance(e, Advanced))
    assert challenged + 1 == next(n for n, e in enumerate(told) if isinstance(e, Compared))
    (compared,) = predicate(directory)["verification"][0]["comparisons"]
    assert (
        compared["seed"]
        == told[challenged].seed
        != json.loads((directory.path / "plan.json").read_bytes())["targets"][0]["sampling"]["seed"]
    )
    assert 228 <= compared["sampled"] < compared["population"] == 400
    assert compared["bound"]["maxBadFraction"] < "0.02"


BAD = ((1000, 3), (8200, 1), (8202, 1), (20_000, 4))  # sectors, and how many


def test_exactly_the_bad_sectors_are_listed_and_all_others_are_erased(bench: Workbench) -> None:
    with faulty_device(12 * MIB, Faults.bad(*BAD)) as device:
        directory = bench.whole(job(device.path))
        truth = device.truth.read_bytes()
    (compared,) = predicate(directory)["verification"][0]["comparisons"]
    listed = [{"start": s * SECTOR, "end": (s + n) * SECTOR} for s, n in BAD]
    assert compared["notRead"] == compared["notWritten"] == listed
    outcome = predicate(directory)["outcome"]
    assert outcome["overall"] == "verified-with-exceptions"
    assert outcome["perTarget"][0]["assurance"] == "A2/addressable"
    ids = {e["sentence"]["id"] for e in predicate(directory)["exceptions"]}
    assert "ranges-not-read" in ids
    expected = laid(pattern_of(directory)).read("device", 0, len(truth))
    bad = {s + k for s, n in BAD for k in range(n)}
    wrong = {
        n
        for n in range(len(truth) // SECTOR)
        if truth[n * SECTOR : (n + 1) * SECTOR] != expected[n * SECTOR : (n + 1) * SECTOR]
    }
    assert wrong == bad


def test_a_sample_reads_every_range_that_failed(bench: Workbench) -> None:
    with faulty_device(40 * MIB, Faults(unwritable=((50_000, 1),))) as device, pytest.raises(Residue):
        bench.whole(job(device.path, mode="sample", more='confidence = "0.5"\nmax_bad_fraction = "0.5"'))


def test_a_sector_that_healed_is_no_exception(bench: Workbench) -> None:
    faults = Faults(unreadable=((500, 2),), healing=True)
    with faulty_device(5 * MIB, faults) as device:
        (compared,) = predicate(bench.whole(job(device.path)))["verification"][0]["comparisons"]
    assert compared["notRead"] == []


@pytest.mark.parametrize(
    ("faults", "piece"),
    [
        (Faults(dropped=((3000, 1),)), 1 << 20),
        (Faults(dropped=((0, 1 << 20),)), 1 << 20),
        (Faults(unwritable=((4100, 1),)), SPLIT),  # the loop driver calls the short write a success
        (Faults(short=((4100, 1),)), SPLIT),
        (Faults(flipped=((9, 1),)), 1 << 20),
    ],
    ids=["drops-one", "drops-all", "fails-in-the-middle", "writes-short", "flips-a-bit"],
)
def test_a_lie_ends_in_a_report_and_never_in_a_certificate(
    bench: Workbench, faults: Faults, piece: int
) -> None:
    with faulty_device(6 * MIB, faults, piece) as device, pytest.raises(Residue) as caught:
        bench.whole(job(device.path, "overwrite-device"))
    assert caught.value.exit_code == 7
    directory = JobDirectory(bench.folder / "job")
    assert not directory.certificate.exists()
    told = next(e for e in events(directory) if isinstance(e, Compared))
    assert told.mismatches
    assert told.differ


def test_a_device_that_goes_away_ends_the_run_and_is_no_list_of_bad_sectors(bench: Workbench) -> None:
    with faulty_device(64 * MIB) as device:
        directory = bench.approved(job(device.path))
        device.set_faults(Faults(gone_after=20))
        with pytest.raises(DeleaturError, match=r"went away|could not be read"):
            bench.run(directory)
        assert not directory.certificate.exists()
        device.set_faults(Faults())
        bench.run(directory)
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"


def test_a_mounted_device_is_refused_and_stays_as_it_is(bench: Workbench, loop: Loop, tmp_path: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", loop.path], check=True, timeout=PATIENCE)
    (tmp_path / "mnt").mkdir()
    subprocess.run(["mount", loop.path, tmp_path / "mnt"], check=True, timeout=PATIENCE)
    try:
        with pytest.raises(Refused, match="is mounted"):
            bench.plan(bench.job(job(loop.path)))
    finally:
        subprocess.run(["umount", tmp_path / "mnt"], check=True, timeout=PATIENCE)


def test_a_device_mounted_after_the_plan_is_refused(bench: Workbench, loop: Loop, tmp_path: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", loop.path], check=True, timeout=PATIENCE)
    directory = bench.approved(job(loop.path))
    (tmp_path / "mnt").mkdir()
    subprocess.run(["mount", loop.path, tmp_path / "mnt"], check=True, timeout=PATIENCE)
    try:
        with pytest.raises(Refused, match="is mounted"):
            bench.run(directory)
    finally:
        subprocess.run(["umount", tmp_path / "mnt"], check=True, timeout=PATIENCE)
    bench.run(directory)
    assert directory.certificate.exists()


def test_another_device_at_the_same_path_is_refused(bench: Workbench, loop: Loop, tmp_path: Path) -> None:
    directory = bench.approved(job(loop.path))
    loop.detach()
    other = tmp_path / "other"
    other.write_bytes(content := os.urandom(loop.file.stat().st_size))
    loop.attach(other)
    with pytest.raises(Refused, match="not the target of the plan"):
        bench.run(directory)
    assert other.read_bytes() == content


class Swapped(BlockBackend):
    """Another device comes to the path after the core has compared the one that was there."""

    link = Path("/dev")
    other = ""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Lead the path to the other device, then go on."""
        self.link.unlink()
        self.link.symlink_to(self.other)
        yield from super().erase(step, after)


def test_a_device_that_comes_to_the_path_at_the_last_moment_is_not_written(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(9 * MIB + 3 * SECTOR)
    link = Path(f"/dev/deleatur-{os.getpid()}-{tmp_path.name[-12:]}")
    link.symlink_to(loop.path)
    monkeypatch.setattr(Swapped, "link", link)
    bench = Workbench(tmp_path / "jobs", {"block": Swapped})
    try:
        with loop_over(tmp_path / "other", content) as other:
            monkeypatch.setattr(Swapped, "other", other.path)
            with pytest.raises(Refused, match="not the device of the plan"):
                bench.whole(job(link))
            assert other.file.read_bytes() == content
    finally:
        link.unlink()


def test_a_device_that_is_named_twice_is_refused(bench: Workbench, loop: Loop) -> None:
    link = Path(f"/dev/deleatur-{os.getpid()}-twice")
    link.symlink_to(loop.path)
    try:
        twice = job(loop.path) + f'[[target]]\nid = "again"\nurl = "block://{link}"\n'
        with pytest.raises(Refused, match="same device"):
            bench.plan(bench.job(twice))
    finally:
        link.unlink()


@pytest.mark.parametrize("moment", [0, *(pytest.param(n, marks=pytest.mark.campaign) for n in (1, 2, 3))])
def test_a_killed_overwrite_goes_on_and_ends_verified(
    bench: Workbench, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "_DURABLE", 0)
    monkeypatch.setattr(whole, "_OFTEN", 0.0)
    with faulty_device(48 * MIB, Faults(slow=0.004)) as device:
        directory = bench.approved(job(device.path))
        child = os.fork()
        if not child:
            try:
                bench.run(directory)
            finally:
                os._exit(0)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            text = directory.journal.read_bytes() if directory.journal.exists() else b""
            if text.count(b'"kind":"advanced"') > 2 * moment:
                break
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        reached = [e for e in events(directory) if isinstance(e, Advanced)]
        assert reached
        assert not directory.certificate.exists()
        device.set_faults(Faults())
        bench.run(directory)
        truth = device.truth.read_bytes()
    assert truth == laid(pattern_of(directory)).read("device", 0, len(truth))
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"


def test_every_standard_lays_its_passes(tmp_path: Path) -> None:
    assert len({s.id for s in STANDARDS}) == len(STANDARDS) >= 12
    assert STANDARDS[0].passes == ("keystream",)
    assert {len(s.passes) for s in STANDARDS if "gutmann" in s.id} == {35}
