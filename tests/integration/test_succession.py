"""Custody passes with three signatures, the old key opens nothing new, and archives end in time."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deleatur.archive import new_identity, open_archive
from deleatur.archive.opening import look_inside
from deleatur.archive.shares import join_shares
from deleatur.documents.decode import decode_job
from deleatur.engine.handing import missing
from deleatur.engine.keeping import HANDOVERS, put_envelope
from deleatur.engine.succession import accept, draft_expiry, hand_over, register_of, take_over
from deleatur.errors import Failed, Refused
from deleatur.testing.workbench import signing_key
from deleatur.trust.custody import handover_in, sign_handover

from .custody_world import BOARD, IDENTITY, CustodyWorld

NEW_IDENTITY, NEW_RECIPIENT = new_identity()
CLARA = signing_key("clara", 21)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CustodyWorld:
    """A certified job whose archive lies in three copies."""
    world = CustodyWorld(tmp_path, monkeypatch).planned()
    world.refusal()
    world.copy()
    world.receive()
    world.bench.run(world.job)
    return world


def handed(world: CustodyWorld, identity: str = IDENTITY) -> tuple[Path, Path]:
    """Let records hand over to clara; return the hand-over and the new archive."""
    out = world.folder / "out"
    path = hand_over(
        world.sealed, identity, world.records, CLARA.public, NEW_RECIPIENT, out, world.bench.clock
    )
    return path, out / world.archived.file


def test_custody_passes_with_three_signatures(world: CustodyWorld) -> None:
    agent = world.bench.agent
    before = look_inside(world.sealed, IDENTITY)
    path, archive = handed(world)
    accept(path, archive, NEW_IDENTITY, CLARA)
    now = take_over(world.job, path, archive, agent)
    assert [(k.key.name, bool(k.until), k.successor) for k in now.keepers] == [
        ("records", True, "clara"),
        ("board", False, ""),
        ("clara", False, ""),
    ]
    assert (
        look_inside(world.sealed, NEW_IDENTITY)
        == before
        == look_inside(world.sealed, join_shares(BOARD.shares[:2]))
    )
    with pytest.raises(Refused, match="does not open"):
        open_archive(world.sealed, IDENTITY)
    assert any(
        "not read back from vault, stick, mine" in reason for reason in missing(world.job, agent.public)
    )
    world.copy()
    assert missing(world.job, agent.public) == []
    for folder in world.media.values():
        with pytest.raises(Refused, match="does not open"):
            open_archive(folder / world.archived.file, IDENTITY)
    assert b"PAR1" not in b"".join(p.read_bytes() for p in (world.folder / "out").iterdir() if p.is_file())


def test_without_the_successor_custody_stays_and_that_is_an_alarm(world: CustodyWorld) -> None:
    agent = world.bench.agent
    path, archive = handed(world)
    with pytest.raises(
        Refused, match="custody stays with records: the hand-over to clara is not signed by clara"
    ):
        take_over(world.job, path, archive, agent)
    assert [k.key.name for k in register_of(world.job, agent.public).keepers if not k.until] == [
        "records",
        "board",
    ]
    assert any("custody stays with records" in reason for reason in missing(world.job, agent.public))
    assert open_archive(world.sealed, IDENTITY).bag
    accept(path, archive, NEW_IDENTITY, CLARA)
    take_over(world.job, path, archive, agent)
    assert missing(world.job, agent.public)[0].startswith("close-shop-crm.tar.age: not read back")


def test_without_the_leaving_or_the_agent_nothing_passes(world: CustodyWorld) -> None:
    agent = world.bench.agent
    path, archive = handed(world)
    accept(path, archive, NEW_IDENTITY, CLARA)
    put_envelope(world.job.path, HANDOVERS, path.read_bytes())  # the agent has not signed
    assert "not signed by the agent" in register_of(world.job, agent.public).alarms[0]
    file, sha256, said, _ = handover_in(path.read_bytes(), ())
    forged = sign_handover(file, sha256, said, signing_key("records", 99))
    path.write_bytes(forged)
    accept(path, archive, NEW_IDENTITY, CLARA)
    with pytest.raises(Refused, match="not signed by"):
        take_over(world.job, path, archive, agent)
    assert [k.key.name for k in register_of(world.job, agent.public).keepers if not k.until] == [
        "records",
        "board",
    ]


def test_the_successor_opens_before_signing(world: CustodyWorld) -> None:
    path, archive = handed(world)
    with pytest.raises(Refused, match="does not open"):
        accept(path, archive, IDENTITY, CLARA)
    with pytest.raises(Refused, match="is not the key that the hand-over names"):
        accept(path, archive, NEW_IDENTITY, world.records)
    with pytest.raises(Refused, match="is not the archive that was handed over"):
        accept(path, world.sealed, IDENTITY, CLARA)


def test_only_a_custodian_who_opens_hands_over(world: CustodyWorld, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not open"):
        handed(world, NEW_IDENTITY)
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    stranger = signing_key("stranger", 33)
    with pytest.raises(Refused, match="stranger is no custodian"):
        hand_over(
            world.sealed, IDENTITY, stranger, CLARA.public, NEW_RECIPIENT, tmp_path / "o", world.bench.clock
        )


def test_an_archive_cut_short_is_not_sealed_anew(world: CustodyWorld, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(world.job.archive, cut)
    archive = cut / world.archived.file
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises((Refused, Failed)):
        hand_over(
            archive, IDENTITY, world.records, CLARA.public, NEW_RECIPIENT, tmp_path / "o", world.bench.clock
        )
    assert not [p for p in (tmp_path / "o").rglob("*") if p.is_file()]


def test_an_archive_is_a_target_when_its_last_day_is_over(world: CustodyWorld, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="kept until 2036-12-31"):
        draft_expiry(world.job, tmp_path / "end", lambda: datetime(2036, 12, 31, 23, 59, tzinfo=UTC))
    folder = draft_expiry(world.job, tmp_path / "end", lambda: datetime(2037, 1, 1, tzinfo=UTC))
    drafted = decode_job((folder / "job.toml").read_bytes())
    files = [Path(target.url.removeprefix("file://")) for target in drafted.target]
    assert len(files) == 4
    job = world.bench.job((folder / "job.toml").read_text(), "expiry")
    world.bench.plan(job)
    world.bench.approve(job)
    world.bench.run(job)
    assert job.certificate.exists()
    assert not [path for path in files if path.exists()]
