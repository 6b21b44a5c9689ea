"""Each command of devices as a whole job, and each lie; `tests/lab/test_every_job.py` runs it by parts."""

from pathlib import Path

import pytest

from deleatur.devices import commanding
from deleatur.documents.journal import Reported
from deleatur.engine.certifying import own_certificate
from deleatur.errors import DeleaturError, Failed, Residue, Unsupported
from deleatur.testing.workbench import Workbench

from ..jobs import events, predicate
from ..played_jobs import FORMAT, SANITIZE, answers, impatient, played, prepared


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setattr(commanding, "Patience", impatient)
    return Workbench(tmp_path)


KINDS = ("crypto", "block", "overwrite")
# The first byte that was sent, and how its answer begins: status, host, driver, sense; or the NVMe status.
ANSWERS = {
    **dict.fromkeys((f"nvme-sanitize-{kind}" for kind in KINDS), (SANITIZE, "0000 ")),
    **dict.fromkeys((f"nvme-sanitize-{kind}-verified" for kind in KINDS[:2]), (SANITIZE, "0000 ")),
    **dict.fromkeys(("nvme-format", "nvme-format-crypto"), (FORMAT, "0000 ")),
    **dict.fromkeys((f"scsi-sanitize-{kind}" for kind in KINDS), ("48", "00 00 00")),
    "scsi-format": ("04", "00 00 00"),
    **dict.fromkeys(
        (f"ata-sanitize-{kind}" for kind in KINDS), ("85", "02 00 08 7201001d")
    ),  # registers follow
    **dict.fromkeys(("ata-security-erase", "ata-security-erase-enhanced"), ("85", "00 00 00")),
}


@pytest.mark.parametrize("technique", ANSWERS)
def test_an_honest_drive_is_attested_and_every_answer_is_kept(bench: Workbench, technique: str) -> None:
    with played(technique, "ok") as drive:
        directory = prepared(bench, drive, technique)
        bench.run(directory)
    found = predicate(directory)
    own_certificate(directory, (directory.path / "plan.json").read_bytes(), [bench.agent])
    assert found["outcome"]["perTarget"][0]["assurance"] == "A1/device-all"
    sent, answered = ANSWERS[technique]
    kept = answers(directory)
    assert any(block.startswith(sent) and reply.startswith(answered) for block, reply in kept), kept
    commands = [each for step in found["method"][1:] for each in step["commands"]]
    assert [(each["sent"], each["answered"]) for each in commands] == kept


# Technique, mode of the drive, error, its words. Residue is a report and exit code 7; none is a certificate.
LIES: dict[str, tuple[str, str, type[DeleaturError], str]] = {
    "format-unit-good-nothing-erased": ("scsi-format", "lie", Residue, "can still be read"),
    "format-nvm-good-nothing-erased": ("nvme-format", "lie", Residue, "can still be read"),
    "sanitize-done-data-present": ("nvme-sanitize-block", "lie", Residue, "can still be read"),
    "sanitize-at-655-for-ever": ("nvme-sanitize-crypto", "stuck", Failed, "not finished: it stands at 655"),
    "sanitize-that-fails": ("nvme-sanitize-crypto", "fail", Failed, "the controller says that it failed"),
    "scsi-sanitize-done-data-present": ("scsi-sanitize-crypto", "lie", Residue, "can still be read"),
    "scsi-sanitize-at-655": ("scsi-sanitize-block", "stuck", Failed, "not finished: it stands at 655"),
    "ata-sanitize-that-fails": ("ata-sanitize-crypto", "fail", Failed, "aborted"),
    "security-erase-aborted": ("ata-security-erase", "fail", Failed, "did not erase"),
    "security-erase-good-nothing-erased": ("ata-security-erase", "lie", Residue, "can still be read"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_never_certified(bench: Workbench, lie: str) -> None:
    technique, mode, error, words = LIES[lie]
    with played(technique, mode, 0.2) as drive:
        directory = prepared(bench, drive, technique)
        with pytest.raises(error, match=words) as caught:
            bench.run(directory)
    assert type(caught.value) is error
    assert not directory.certificate.exists()
    told = events(directory)
    assert any(isinstance(event, Reported) for event in told) == (error is Residue)
    assert len(list(directory.path.glob("residue-*.json"))) == (error is Residue)
    kept = answers(directory)
    assert kept, "what the drive answered is evidence too"
    if mode == "stuck" and technique.startswith("nvme"):
        assert kept[-1][1].split()[2].startswith("8f02"), kept[-1]  # SPROG 655, least byte first


def test_a_frozen_drive_is_refused_at_the_plan(bench: Workbench) -> None:
    with played("ata-security-erase", "frozen") as drive, pytest.raises(Unsupported, match="frozen"):
        prepared(bench, drive, "ata-security-erase")
