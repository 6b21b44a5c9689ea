"""Nothing is erased before three copies were read back and every custodian has opened the archive."""

import errno
import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import compute as pc
from pyarrow import parquet

from deleatur.archive import copies, new_identity, open_archive
from deleatur.archive.shares import join_shares
from deleatur.desensitize.keyed import tokens
from deleatur.documents.gates import CustodyGate
from deleatur.engine import keeping
from deleatur.engine.bundling import bundle_job
from deleatur.engine.handing import copy_archives, import_receipt, missing
from deleatur.engine.jobs import read_plan
from deleatur.errors import Failed, Invalid, Refused
from deleatur.testing.workbench import signing_key
from deleatur.trust.custody import sign_receipt
from deleatur.trust.keys import public_pem
from deleatur.trust.verification import verify

from .custody_world import BOARD, COPIES, IDENTITY, ROWS, CustodyWorld


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CustodyWorld:
    return CustodyWorld(tmp_path, monkeypatch).planned()


def test_the_whole_way(world: CustodyWorld) -> None:
    first = world.refusal()
    assert first.startswith(
        "archived-unreceived: close-shop-crm.tar.age: not read back from vault, stick, mine"
    )
    assert "no receipt of records" in first
    assert "no receipt of board" in first
    archived = world.archived
    world.copy()
    assert "not read back" not in world.refusal()
    import_receipt(world.job, world.receipt(world.records))
    assert "no receipt of board" in world.refusal()
    import_receipt(world.job, world.receipt(world.board, join_shares(BOARD.shares[1:])))
    assert missing(world.job, world.bench.agent.public) == []
    world.bench.run(world.job)
    assert world.rows() == 0
    assert world.archived == archived  # the archive that was copied is the one that was kept
    checked = verify(world.job.certificate, trusted=[world.bench.agent.public], threshold=1, about=None)
    condition = next(c for c in checked.certificate.conditions if c.gate == "custody")
    assert {c.name: c.count for c in condition.counts} == {
        "archives": 1, "copies": 3, "read-again": 3, "receipts": 2,
    }  # fmt: skip
    assert "copies: 3, kinds of medium: 3, sites: 2" in condition.sentences[0].text
    assert [c.opens for c in checked.certificate.archives[0].custodians] == ["alone", "2 of 3 shares"]


def test_the_token_key_is_erased_before_the_certificate_which_says_so(
    world: CustodyWorld, tmp_path: Path
) -> None:
    world.refusal()
    key = world.job.token_key.read_bytes()
    opened = open_archive(world.sealed, IDENTITY)
    first = opened.tables["invoices"]["phone"][0].as_py()
    known = pa.array(["+49 30 0000000"])
    assert tokens(known, key)[0].as_py() == first  # who has the key finds a person by number
    world.copy()
    world.receive()
    world.bench.run(world.job)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not world.job.token_key.exists()
    assert not [path.name for path in files if key in path.read_bytes()]
    checked = verify(world.job.certificate, trusted=[world.bench.agent.public], threshold=1, about=None)
    (archive,) = checked.certificate.archives
    assert archive.token_key.id == "token-key-erased"
    assert "key-erased" in world.job.journal.read_text()


def test_two_copies_are_not_three(world: CustodyWorld) -> None:
    world.refusal()
    world.copy("vault", "stick")
    world.receive()
    assert world.refusal() == (
        "archived-unreceived: close-shop-crm.tar.age: not read back from mine; run `deleatur custody copy`"
    )


def test_records_that_change_while_receipts_are_awaited_stop_the_job(world: CustodyWorld) -> None:
    world.refusal()
    world.copy()
    world.receive()
    with closing(sqlite3.connect(world.database)) as connection, connection:
        connection.execute("UPDATE invoices SET net_cents = net_cents + 1 WHERE id = 3")
    assert "plan" in world.refusal()


def test_copies_elsewhere_stand_by_their_envelopes_and_here_are_read_again(world: CustodyWorld) -> None:
    world.refusal()
    world.copy()
    world.receive()
    shutil.rmtree(world.media["mine"])  # the tape went to the mine
    copy = world.media["stick"] / world.archived.file
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert "the copy stick is not what was sealed" in world.refusal()
    world.copy("stick")
    world.bench.run(world.job)
    assert world.rows() == 0


def test_a_copy_that_was_removed_from_its_medium_is_missed(world: CustodyWorld) -> None:
    world.refusal()
    world.copy()
    world.receive()
    (world.media["vault"] / world.archived.file).unlink()
    assert "the copy vault is gone from its medium" in world.refusal()


@pytest.mark.parametrize("kind", ["disk", "hard-link", "link", "own"])
def test_one_medium_behind_two_paths_is_not_two(world: CustodyWorld, kind: str) -> None:
    world.refusal()
    world.copy()
    world.receive()
    name = world.archived.file
    stick = world.media["stick"] / name
    if kind == "disk":
        world.disks[str(world.media["stick"])] = ("SERIAL-vault",)
        world.copy("stick")
        wanted = "vault and stick lie on one medium (SERIAL-vault)"
    else:
        stick.unlink()
        if kind == "link":
            stick.symlink_to(world.media["vault"] / name)
            wanted = "is a link"
        elif kind == "own":
            os.link(world.sealed, stick)
            wanted = "is the job's own file under a second name"
        else:
            os.link(world.media["vault"] / name, stick)
            wanted = "vault and stick are one file under two names"
    assert wanted in world.refusal()


def test_a_medium_that_gives_other_bytes_back_is_told_at_once(
    world: CustodyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.refusal()
    real = copies._copied

    def rogue(source: Path, partial: Path) -> str:
        digest = real(source, partial)
        content = bytearray(partial.read_bytes())
        content[len(content) // 2] ^= 1
        partial.write_bytes(content)
        return digest

    monkeypatch.setattr(copies, "_copied", rogue)
    with pytest.raises(Failed, match="gave other bytes back"):
        world.copy("vault")
    assert "not read back from vault, stick, mine" in world.refusal()


def test_a_full_medium_leaves_nothing_and_the_first_copy_stands(
    world: CustodyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.refusal()
    real = os.write

    def full(descriptor: int, content: bytes) -> int:
        if "stick" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Failed, match="no space is left"):
        world.copy()
    monkeypatch.undo()
    assert list(world.media["stick"].iterdir()) == []
    assert (world.media["vault"] / world.archived.file).is_file()


def test_a_folder_that_is_not_mounted_is_never_made(world: CustodyWorld) -> None:
    world.refusal()
    world.media["mine"].rmdir()
    with pytest.raises(Refused, match="is not there; mount the medium"):
        world.copy("mine")
    assert not world.media["mine"].exists()
    with pytest.raises(Refused, match="has no copy cellar"):
        world.copy("cellar")


def test_rogue_receipts_are_refused(world: CustodyWorld, tmp_path: Path) -> None:
    world.refusal()
    archived = world.archived
    stranger = signing_key("records", 44)
    with pytest.raises(Refused, match="no custodian of this plan signed it"):
        import_receipt(world.job, world.receipt(stranger))
    unopened = sign_receipt(  # all that is public is right, the archive was never opened
        archived.file,
        archived.sha256,
        custodian="records",
        contents=archived.contents,
        challenge=hashlib.sha256(archived.contents.encode()).digest(),
        at="2026-11-22T12:00:00Z",
        key=world.records,
    )
    with pytest.raises(Refused, match="does not show that the archive was opened"):
        import_receipt(world.job, unopened)
    other = sign_receipt(
        archived.file, "ab" * 32, custodian="records", contents=archived.contents, challenge=bytes(32),
        at="2026-11-22T12:00:00Z", key=world.records,
    )  # fmt: skip
    with pytest.raises(Refused, match="for another job's"):
        import_receipt(world.job, other)
    stolen = world.receipt(world.records).replace(b'"payload":"eyJ', b'"payload":"eyK')
    with pytest.raises(Refused, match="no custodian of this plan signed it"):
        import_receipt(world.job, stolen)
    with pytest.raises(Refused, match="does not open"):
        world.receipt(world.records, new_identity()[0])
    keeping.put_envelope(world.job.path, keeping.RECEIPTS, unopened)  # slipped in beside the command
    world.copy()
    assert "does not show that the archive was opened" in world.refusal()


def test_a_receipt_of_one_custodian_is_none_of_another(world: CustodyWorld) -> None:
    world.refusal()
    world.copy()
    import_receipt(world.job, world.receipt(world.records))
    twisted = sign_receipt(
        world.archived.file, world.archived.sha256, custodian="board", contents=world.archived.contents,
        challenge=bytes(32), at="2026-11-22T12:00:00Z", key=world.records,
    )  # fmt: skip
    with pytest.raises(Refused):
        import_receipt(world.job, twisted)
    assert "no receipt of board" in world.refusal()


def test_an_archive_cut_short_gives_no_receipt(world: CustodyWorld, tmp_path: Path) -> None:
    world.refusal()
    cut = tmp_path / world.archived.file
    cut.write_bytes(world.sealed.read_bytes()[:-40])
    with pytest.raises(Refused, match="cut short"):
        world.receipt(world.records, archive=cut)


def test_an_envelope_by_another_agent_is_no_copy(world: CustodyWorld) -> None:
    world.refusal()
    copy_archives(world.job, signing_key("agent", 77), world.bench.clock, ())
    assert "not read back from vault, stick, mine" in world.refusal()


def test_a_swapped_archive_with_a_forged_journal_is_archived_anew(world: CustodyWorld) -> None:
    """Facts beside the archive that the agent did not sign keep nothing."""
    world.refusal()
    before = world.archived
    listed = world.job.archive / "close-shop-crm.sha256"
    listed.write_text(listed.read_text().replace(before.sha256, "ab" * 32))
    world.refusal()
    assert world.archived.sha256 != before.sha256


def test_an_archive_of_cn_may_not_lie_in_the_eu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no").mkdir()
    there = CustodyWorld(tmp_path / "no", monkeypatch, law="CN", mine="DE")
    with pytest.raises(Refused, match=r"copy mine: records of CN stay in CN.*custody.transfer"):
        there.planned()
    (tmp_path / "yes").mkdir()
    approved = CustodyWorld(tmp_path / "yes", monkeypatch, law="CN", mine="DE", transfer=True).planned()
    gate = read_plan(approved.job).plan.gates[0]
    assert isinstance(gate, CustodyGate)
    record = (approved.job.path / "t.toml").read_bytes()
    assert gate.transfers[0].digest == hashlib.sha256(record).hexdigest()


def test_the_agent_is_not_its_own_custodian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = CustodyWorld(tmp_path, monkeypatch)
    (world.job.path / "board.pub").write_bytes(public_pem(world.bench.agent.public))
    with pytest.raises(Refused, match="the agent's own key cannot sign"):
        world.planned()


def test_one_key_in_two_files_is_no_second_custodian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = CustodyWorld(tmp_path, monkeypatch)
    (world.job.path / "board.pub").write_bytes(public_pem(world.records.public))
    with pytest.raises(Refused, match="records and board have one key"):
        world.planned()


def test_copies_are_checked_and_opened_with_stock_tools(world: CustodyWorld, tmp_path: Path) -> None:
    world.refusal()
    world.copy()
    fresh = tmp_path / "fresh"
    shutil.copytree(world.media["mine"], fresh)
    (tmp_path / "key.txt").write_text(IDENTITY + "\n")

    def stock(command: str) -> str:
        done = subprocess.run(["bash", "-euc", command], cwd=fresh, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    text = (fresh / "close-shop-crm.README.txt").read_text()
    verify_line = next(line.strip() for line in text.splitlines() if "openssl" in line)
    assert stock("sha256sum -c close-shop-crm.sha256").count(": OK") == 3
    assert "Verified" in stock(verify_line)
    assert (fresh / "agent.pub").read_bytes() == public_pem(world.bench.agent.public)
    stock("age -d -i ../key.txt close-shop-crm.tar.age | tar x")
    stock("cd close-shop-crm && sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt")
    for language in ("EN  ", "DE  ", "中文 "):
        assert language in text
    assert "board (2 of 3 shares)" in text


def test_a_bundle_shows_each_copy_and_each_receipt_or_is_none(world: CustodyWorld, tmp_path: Path) -> None:
    world.refusal()
    world.copy()
    world.receive()
    world.bench.run(world.job)
    agent, archived = world.bench.agent, world.archived

    def bundled(name: str) -> str:
        with pytest.raises(Invalid) as caught:
            bundle_job(world.job, tmp_path / name, added=(), key=agent, clock=world.bench.clock)
        return str(caught.value)

    for kind, what in (("copies", "the copy "), ("receipts", "the receipt of ")):
        for envelope in sorted((world.job.custody / kind).iterdir()):
            content = envelope.read_bytes()
            envelope.unlink()
            assert f"nothing in the bundle shows {what}" in bundled("less")
            envelope.write_bytes(content)
    receipts = [path.read_bytes() for path in (world.job.custody / "receipts").iterdir()]
    shutil.rmtree(world.job.custody / "receipts")
    strangers = (signing_key("records", 98), signing_key("board", 99))
    for stranger in strangers:
        keeping.put_envelope(world.job.path, "receipts", world.receipt(stranger))
    assert f"nothing in the bundle shows the receipt of records of {archived.file}" in bundled("forged")
    for receipt in receipts:
        keeping.put_envelope(world.job.path, "receipts", receipt)
    made = bundle_job(world.job, tmp_path / "shown", added=(), key=agent, clock=world.bench.clock)
    assert made.bundle.certificates
    assert len(list((tmp_path / "shown" / "custody").rglob("*.dsse.json"))) == 3 + 2 + 2


def test_the_tax_query_gives_the_numbers_of_the_source(world: CustodyWorld, tmp_path: Path) -> None:
    with closing(sqlite3.connect(world.database)) as connection:
        wanted = connection.execute(
            "SELECT substr(issued_on, 1, 4), vat_percent, sum(net_cents), sum(vat_cents) FROM invoices"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
    assert len(wanted) == 15
    world.refusal()
    (tmp_path / "key.txt").write_text(IDENTITY + "\n")
    opening = f"age -d -i {tmp_path}/key.txt {world.sealed} | tar x -C {tmp_path}"
    subprocess.run(["bash", "-c", opening], check=True)
    folder = tmp_path / "close-shop-crm" / "data" / "tables" / "invoices"
    awk = """
    FNR == 1 { for (i = 1; i <= NF; i++) { gsub(/"/, "", $i); at[$i] = i } next }
    { gsub(/"/, ""); k = substr($at["issued_on"], 1, 4) " " $at["vat_percent"]
      net[k] += $at["net_cents"]; vat[k] += $at["vat_cents"] }
    END { for (k in net) print k, net[k], vat[k] }
    """
    told = subprocess.run(
        ["bash", "-c", 'awk -F, "$0" part-*.csv | sort -k1,1n -k2,2n', awk],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [line.split() for line in told.splitlines()]
    assert [(year, int(rate), int(net), int(vat)) for year, rate, net, vat in lines] == wanted
    table = parquet.read_table([*folder.glob("part-*.parquet")])
    table = table.append_column("year", pc.utf8_slice_codeunits(table["issued_on"], 0, 4))
    sums = table.group_by(["year", "vat_percent"]).aggregate([("net_cents", "sum"), ("vat_cents", "sum")])
    rows = sums.select(["year", "vat_percent", "net_cents_sum", "vat_cents_sum"]).to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == wanted
    assert table.num_rows == ROWS
    assert "Canary" not in told + str(table.slice(0, 3).to_pylist())


def test_the_media_of_this_world_are_those_of_the_copies(world: CustodyWorld) -> None:
    assert {str(world.media[name]) for name in COPIES} == world.disks.keys()


class _KilledError(BaseException):
    """The process ends here."""


def test_killed_at_every_write_flush_and_rename_of_a_copy(
    world: CustodyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any kill the same command goes on, and what counts was read back whole."""
    world.refusal()
    world.receive()
    calls = {"left": -1}

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            calls["left"] -= 1
            if calls["left"] == 0:
                raise _KilledError
            return real(*arguments, **named)

        return call

    for name in ("write", "fsync", "rename"):
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    kills = 0
    for stop in (*range(1, 24), *range(24, 400, 9)):
        shutil.rmtree(world.job.path / "custody" / "copies", ignore_errors=True)
        for path in world.media.values():
            for file in path.iterdir():
                file.unlink()
        calls["left"] = stop
        try:
            world.copy()
            break
        except _KilledError:
            kills += 1
            calls["left"] = -1
            whole = world.archived.sha256
            for path in world.media.values():
                sealed = path / world.archived.file
                assert not sealed.exists() or hashlib.sha256(sealed.read_bytes()).hexdigest() == whole
    assert kills >= 25
    assert missing(world.job, world.bench.agent.public) == []
