"""Whole jobs on a self-encrypting disk, through the kernel's own SCSI layer: honest and lying."""

from pathlib import Path

import pytest

from deleatur.devices.inventory import device_at, read_table
from deleatur.errors import Residue
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block import psid

from ..jobs import predicate
from ..played_drives import scsi_drive
from ..played_jobs import answers, prepared
from ..tper_played import PSID


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def label(drive: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write down what stands on the label of a drive."""
    file = folder / "psids"
    file.write_text(f"{device_at(read_table(drive.name), drive.name).serial} {PSID.decode()}\n")
    file.chmod(0o600)
    patch.setenv(psid.FILE, str(file))


def test_an_honest_drive_is_reverted_and_attested(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scsi_drive("opal", "ok") as drive:
        seen = device_at(read_table(drive.name), drive.name).opal
        assert seen is not None
        assert (seen.ssc, seen.encrypts, seen.locking_enabled) == ("opal-2", True, True)
        label(drive, tmp_path, monkeypatch)
        directory = prepared(bench, drive, psid.TECHNIQUE)
        bench.run(directory)
        now = device_at(read_table(drive.name), drive.name).opal
    assert now is not None
    assert not now.locking_enabled
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A1/device-all"
    assert [block[:2] for block, _ in answers(directory)] == ["b5", "a2", "b5", "a2"]


def test_a_drive_that_keeps_its_key_gets_a_report(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scsi_drive("opal", "lie") as drive:
        label(drive, tmp_path, monkeypatch)
        directory = prepared(bench, drive, psid.TECHNIQUE)
        with pytest.raises(Residue, match="can still be read"):
            bench.run(directory)
    assert not directory.certificate.exists()
