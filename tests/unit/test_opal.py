"""A self-encrypting drive is reverted by its label; no lie and no answer that cannot be read is a success."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.cli.devices import _security
from deleatur.devices import erase_opal, tcg
from deleatur.devices.asking import _discovered
from deleatur.documents.device import AtaCommands, Device, NvmeCommands, Opal, ScsiCommands
from deleatur.documents.place import Cursor
from deleatur.errors import Failed, Malformed, Refused, Transient
from deleatur.judge.capabilities import offers_for
from deleatur_plugins.block import psid

from ..fake_drives import SIZE, Drive, OpalNvme, OpalScsi
from ..lab.tper_played import PSID, SYNC, Tper

FD = 3
OLD = b"\xa5" * SIZE
BUSES = {"nvme": OpalNvme, "scsi": OpalScsi}


@pytest.fixture(params=list(BUSES))
def attach(request, monkeypatch):
    """Return what puts a drive behind the ioctl boundary of a bus."""

    def attached(way: str = "ok", **rest) -> Drive:
        drive = BUSES[request.param]()
        drive.tper = Tper(lambda: drive.medium.__setitem__(slice(None), bytes(SIZE)), way, **rest)
        drive.over_nvme = request.param == "nvme"
        monkeypatch.setattr("fcntl.ioctl", drive.ioctl)
        return drive

    return attached


def reverted(drive: Drive, label: bytes = PSID, after: Cursor | None = None) -> list[Cursor]:
    return list(
        erase_opal.revert_by_psid(FD, SIZE, after, label, over_nvme=drive.over_nvme, patience=drive.patience)
    )


def test_it_is_reverted_and_every_transfer_kept(attach):
    drive = attach()
    told = reverted(drive)
    assert bytes(drive.medium) == bytes(SIZE)
    assert [cursor.position for cursor in told] == ["begun", "sent", "answered", "sent", "answered", "done"]
    assert told[-1].done == SIZE
    exchanges = [exchange for cursor in told for exchange in cursor.exchanges]
    codes = ("81", "82") if drive.over_nvme else ("b5", "a2")
    assert [exchange.sent[:2] for exchange in exchanges] == [*codes, *codes]
    assert SYNC.hex() in exchanges[1].answered
    assert PSID.hex() not in "".join(e.sent + e.answered for e in exchanges)


LIES = {
    "fail": (Failed, r"did not revert: fail \(0x3f\)"),
    "stuck": (Failed, "gave no answer"),
    "cut": (Failed, "did not take a command"),
    "keep": (Failed, "its locking is enabled still"),
    "busy": (Transient, "another session open"),
    "torn": (Failed, "that nobody can read"),
}


@pytest.mark.parametrize("way", LIES)
def test_what_did_not_go_well_is_no_success_and_its_answers_are_kept(attach, way):
    drive = attach(way)
    told = []
    run = erase_opal.revert_by_psid(FD, SIZE, None, PSID, over_nvme=drive.over_nvme, patience=drive.patience)
    error, words = LIES[way]
    with pytest.raises(error, match=words):
        told.extend(run)
    assert way in ("keep", "torn") or bytes(drive.medium) == OLD
    assert "done" not in {cursor.position for cursor in told}
    assert told[-1].exchanges, "what it answered last is evidence"


def test_a_wrong_psid_is_told_as_that(attach):
    drive = attach()
    with pytest.raises(Failed, match="does not know this PSID; compare it with the label"):
        reverted(drive, b"0" * 32)
    assert (drive.tper.reverts, bytes(drive.medium)) == (0, OLD)


def test_a_drive_that_lost_its_power_is_reverted_at_a_resume(attach):
    drive = attach("cut")
    with pytest.raises(Failed):
        reverted(drive)
    reverted(drive, after=Cursor(position="sent", done=0))
    assert bytes(drive.medium) == bytes(SIZE)
    reverted(drive)  # a second one is harmless
    assert reverted(drive, after=Cursor(position="done", done=SIZE)) == []


def test_an_answer_that_repeats_the_psid_is_not_kept(attach):
    drive = attach("echo")
    told = reverted(drive)
    kept = "".join(e.answered for cursor in told for e in cursor.exchanges)
    assert PSID.hex() not in kept
    assert SYNC.hex() not in kept


@pytest.mark.parametrize(
    "rest", [{"ssc": 0x0302}, {"ssc": 0x0303}, {"ssc": 0x0100}, {"flags": 0x03}, {"ssc": 0x0999}]
)
def test_what_does_not_encrypt_or_would_not_change_its_key_is_refused(attach, rest):
    drive = attach(**rest)
    with pytest.raises(Refused, match="does not say that it encrypts"):
        reverted(drive)
    assert bytes(drive.medium) == OLD


def test_other_namespaces_would_go_too(monkeypatch):
    drive = OpalNvme(namespaces=(1, 2), tper=Tper(lambda: None))
    monkeypatch.setattr("fcntl.ioctl", drive.ioctl)
    with pytest.raises(Refused, match="a revert takes all namespaces, and there are 2 of them"):
        list(erase_opal.revert_by_psid(FD, SIZE, None, PSID, over_nvme=True, patience=drive.patience))
    assert drive.tper.reverts == 0


def test_the_inventory_asks_only_drives_that_take_security_commands(attach):
    drive = attach(flags=0x0F)
    bus = "nvme" if drive.over_nvme else "scsi"
    device = Device(name="d", path="/dev/d", number="8:0", kind="disk", size=SIZE, bus=bus)
    asks = {
        "nvme": {"nvme": NvmeCommands(security_protocol=True)},
        "scsi": {"scsi": ScsiCommands(security_protocol=True)},
    }[bus]
    fields = {name: getattr(device, name) for name in device.__struct_fields__}
    found = _discovered(Device(**(fields | asks)), FD).opal
    assert found == Opal(supported=True, ssc="opal-2", encrypts=True, locking_enabled=True, locked=True)
    assert _discovered(device, FD).opal is None
    assert _discovered(Device(**(fields | {"ata": AtaCommands()})), FD).opal is None


@pytest.mark.parametrize(
    ("opal", "why"),
    [
        (Opal(supported=True, ssc="opal-2", encrypts=True, locking_enabled=True), ""),
        (Opal(supported=True, ssc="opal-2", encrypts=True, locked=True), "its data are locked"),
        (Opal(supported=True, ssc="opal-2"), "does not say that it encrypts"),
        (Opal(supported=True, ssc="pyrite-2", encrypts=True), "does not say that it encrypts"),
        (Opal(supported=True), None),
        (None, None),
    ],
)
def test_it_is_offered_last_and_only_where_it_means_something(opal, why):
    device = Device(
        name="d", path="/dev/d", number="8:0", kind="disk", size=SIZE, bus="nvme", medium="flash", opal=opal
    )
    offers, denials = offers_for(device)
    told = {denial.technique: denial.reason for denial in denials}
    if why == "":
        assert [offer.technique for offer in offers] == ["overwrite-device", "opal-psid-revert"]
    elif why is None:
        assert "opal-psid-revert" not in {*told, *(offer.technique for offer in offers)}
    else:
        assert why in told["opal-psid-revert"]


def test_people_see_the_class_and_whether_it_encrypts():
    opal = Opal(supported=True, ssc="pyrite-2", locking_enabled=True)
    device = Device(name="d", path="/dev/d", number="8:0", kind="disk", size=SIZE, opal=opal)
    assert _security(device) == "TCG pyrite-2; locking enabled; not locked"


@given(st.binary(max_size=200))
def test_no_answer_breaks_the_reading_of_it(content):
    for read in (tcg.reply_of, tcg.Discovery.decode):
        try:
            read(content)
        except Malformed:
            continue


@given(st.binary(max_size=80), st.integers(0, 80))
def test_no_tokens_are_a_success_without_a_status(payload, length):
    packet = struct.pack(">IIIHHII", 1, 105, 0, 0, 0, 0, 12 + len(payload))
    packet += struct.pack(">6xHI", 0, min(length, len(payload))) + payload
    content = struct.pack(">4xHHIII", 1, 0, 0, 0, len(packet)) + packet
    try:
        found = tcg.reply_of(content)
    except Malformed:
        return
    assert (found is None) == (not payload[:length])
    assert found is None or found.status is None or b"\xf9\xf0" in payload[:length].replace(b"\xff", b"")


def named(tmp_path, monkeypatch, content: str, mode: int = 0o600) -> None:
    file = tmp_path / "psids"
    file.write_text(content)
    file.chmod(mode)
    monkeypatch.setenv(psid.FILE, str(file))


DRIVE = Device(name="d", path="/dev/d", number="8:0", kind="disk", size=SIZE, serial="S3 X9")


def test_the_psid_of_a_drive_comes_from_its_owners_file(tmp_path, monkeypatch):
    named(tmp_path, monkeypatch, f"# shelf 7\nOTHER 11112222\n\nS3 X9   {PSID.decode()}\n")
    assert psid.psid_of(DRIVE) == PSID


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("S3 X9 AAAABBBB\n", 0o640, "can be read by others"),
        ("S3 X9 AAAA\n", 0o600, "needs a serial and a PSID"),
        ("AAAABBBB\n", 0o600, "needs a serial and a PSID"),
        ("S3 X8 AAAABBBB\n", 0o600, "names 0 PSIDs"),
        ("S3 X9 AAAABBBB\nS3 X9 AAAACCCC\n", 0o600, "names 2 PSIDs"),
        ("S3 X9 ÄÄÄÄBBBB\n", 0o600, "needs a serial and a PSID"),
    ],
)
def test_a_file_that_is_not_sure_is_refused_and_never_quoted(tmp_path, monkeypatch, content, mode, words):
    named(tmp_path, monkeypatch, content, mode)
    with pytest.raises(Refused, match=words) as caught:
        psid.psid_of(DRIVE)
    assert "AAAA" not in str(caught.value)


def test_without_a_file_it_says_which(tmp_path, monkeypatch):
    monkeypatch.delenv(psid.FILE, raising=False)
    with pytest.raises(Refused, match=f"on each line in {psid.FILE}"):
        psid.psid_of(DRIVE)
    monkeypatch.setenv(psid.FILE, str(tmp_path / "nothing"))
    with pytest.raises(Refused, match="FileNotFoundError"):
        psid.psid_of(DRIVE)
    monkeypatch.setenv(psid.FILE, str(tmp_path))
    with pytest.raises(Refused, match="cannot be read"):
        psid.psid_of(DRIVE)
