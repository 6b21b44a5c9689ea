"""Techniques by a device's own commands: what counts as done, and what never does."""

import contextlib
import fcntl

import pytest

from deleatur.devices import ata, nvme, sending
from deleatur.devices.asking import _sanitize_state
from deleatur.devices.commanding import COMMANDS, erase_by_command
from deleatur.devices.erase_ata import PASSWORD
from deleatur.documents.place import Cursor
from deleatur.errors import DeleaturError, Failed, Malformed, Refused, Transient

from ..fake_drives import SIZE, AtaDrive, NvmeDrive, ScsiDrive, fixed_sense

KINDS = {"nvme": NvmeDrive, "scsi": ScsiDrive, "ata": AtaDrive}
FAR = [name for name in COMMANDS if "sanitize" in name or name == "scsi-format"]  # work on by themselves
ACCEPTED = Cursor(position="accepted", done=0)
ZEROS = bytes(SIZE)


@pytest.fixture
def attach(monkeypatch):
    """Put a drive behind every ioctl."""

    def attached(drive):
        monkeypatch.setattr(fcntl, "ioctl", drive.ioctl)
        return drive

    return attached


def made(technique: str, **how):
    return KINDS[technique.split("-")[0]](**how)


def erase(technique, drive, after=None):
    return list(erase_by_command(technique, 3, SIZE, after, drive.patience))


def sent_until(technique, drive, position):
    """Run until a cursor, as far as a run that is killed there."""
    for cursor in erase_by_command(technique, 3, SIZE, None, drive.patience):
        if cursor.position == position:
            return
    raise AssertionError(position)


@pytest.mark.parametrize("technique", COMMANDS)
def test_an_honest_drive_is_erased_and_its_commands_are_kept(technique, attach):
    drive = attach(made(technique))
    cursors = erase(technique, drive)
    assert cursors[-1].position == "done"
    assert cursors[-1].done == SIZE
    assert drive.medium == ZEROS
    kept = [e for c in cursors for e in c.exchanges]
    assert kept
    assert [c.done for c in cursors] == sorted(c.done for c in cursors)
    assert len(drive.sent) == {"ata-security-erase": 3, "ata-security-erase-enhanced": 3}.get(technique, 1)


@pytest.mark.parametrize("technique", COMMANDS)
def test_nothing_is_sent_before_the_first_step(technique, attach):
    drive = attach(made(technique))
    erase_by_command(technique, 3, SIZE, None, drive.patience)
    assert not drive.sent


@pytest.mark.parametrize("technique", FAR)
@pytest.mark.parametrize(
    ("mode", "words"), [("stuck", "in progress, not finished: it stands at 655"), ("fail", "failed|aborted")]
)
def test_a_drive_that_stands_still_or_fails_is_never_erased(technique, mode, words, attach):
    drive = attach(made(technique, mode=mode))
    with pytest.raises(Failed, match=words):
        erase(technique, drive)
    assert drive.medium != ZEROS


@pytest.mark.parametrize("technique", COMMANDS)
def test_a_command_that_is_not_taken_is_a_failure(technique, attach):
    drive = attach(made(technique, mode="refuse"))
    with pytest.raises(Failed):
        erase(technique, drive)
    assert drive.medium != ZEROS


@pytest.mark.parametrize("technique", FAR)
def test_killed_between_the_intent_and_the_answer_what_is_at_work_is_ours(technique, attach):
    drive = attach(made(technique))
    run = erase_by_command(technique, 3, SIZE, None, drive.patience)
    assert next(run).position == "begun"
    assert not drive.sent
    next(run)  # taken by the drive, and the journal did not get to know
    assert erase(technique, drive, Cursor(position="begun", done=0))[-1].position == "done"
    assert len(drive.sent) == 1


@pytest.mark.parametrize("technique", COMMANDS)
def test_killed_after_the_end_nothing_is_sent_again(technique, attach):
    drive = attach(made(technique))
    last = erase(technique, drive)[-1]
    sent = list(drive.sent)
    assert erase(technique, drive, last) == []
    assert drive.sent == sent


@pytest.mark.parametrize("technique", COMMANDS)
@pytest.mark.parametrize("mode", ["refuse", "fail", "stuck"])
def test_the_last_answer_of_a_drive_that_did_not_erase_is_kept(technique, mode, attach):
    drive = attach(made(technique, mode=mode))
    kept = []
    with contextlib.suppress(Failed):
        for cursor in erase_by_command(technique, 3, SIZE, None, drive.patience):
            kept = cursor.exchanges or kept
            assert cursor.position != "done" or drive.medium == ZEROS
    assert kept


@pytest.mark.parametrize("technique", [name for name in COMMANDS if not name.startswith("nvme")])
def test_an_adapter_that_does_not_understand_leaves_unknown_and_no_success(technique, attach):
    drive = attach(made(technique, mode="deaf"))
    with pytest.raises(Failed, match="unknown"):
        erase(technique, drive)


VERIFIED = [name for name in COMMANDS if name.endswith("-verified")]


@pytest.mark.parametrize("technique", VERIFIED)
def test_a_sanitize_that_is_verified_ends_where_it_can_be_and_is_left_once(technique, attach):
    drive = attach(made(technique))
    erase(technique, drive)
    assert drive.verifying
    left = list(erase_by_command(technique, 3, SIZE, None, drive.patience, leaving=True))
    assert [cursor.position for cursor in left][:2] == ["begun", "accepted"]
    assert left[-1].position == "done"
    assert (drive.verifying, drive.state, drive.sent) == (False, 1, [0x84, 0x8400])
    again = erase_by_command(technique, 3, SIZE, left[1], drive.patience, leaving=True)
    assert list(again)[-1].position == "done"
    assert drive.sent == [0x84, 0x8400]


@pytest.mark.parametrize("technique", VERIFIED)
def test_it_is_sent_again_if_the_power_was_lost_before_its_step_was_entered(technique, attach):
    drive = attach(made(technique))
    sent_until(technique, drive, "done")
    drive.lose_power()
    assert erase(technique, drive, ACCEPTED)[-1].position == "done"
    assert drive.verifying
    assert drive.sent == [0x84, 0x84]


@pytest.mark.parametrize("technique", VERIFIED)
def test_whoever_else_finds_it_being_verified_waits(technique, attach):
    drive = attach(made(technique))
    erase(technique, drive)
    with pytest.raises(Transient, match="another sanitize than ours"):
        erase(technique, drive)
    with pytest.raises(Transient, match="another sanitize than ours"):
        erase("nvme-sanitize-overwrite", drive)


@pytest.mark.parametrize("technique", VERIFIED)
def test_a_state_that_another_sanitize_led_to_is_not_left(technique, attach):
    drive = attach(made(technique))
    erase(next(name for name in VERIFIED if name != technique), drive)
    with pytest.raises(Failed, match="left its media verification state by itself"):
        list(erase_by_command(technique, 3, SIZE, None, drive.patience, leaving=True))


def test_a_controller_without_the_state_refuses(attach):
    drive = attach(NvmeDrive(verifies=False))
    with pytest.raises(Failed, match="did not take the sanitize"):
        erase("nvme-sanitize-block-verified", drive)


@pytest.mark.parametrize("technique", FAR)
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_killed_run_is_gone_on_with_and_no_second_command_is_sent(technique, stop, attach):
    drive = attach(made(technique))
    cursor = None
    run = erase_by_command(technique, 3, SIZE, None, drive.patience)
    for _ in range(stop):
        cursor = next(run)
    run.close()
    assert cursor is not None
    assert erase(technique, drive, cursor)[-1].position == "done"
    assert len(drive.sent) == 1
    assert drive.medium == ZEROS


@pytest.mark.parametrize("technique", FAR)
def test_a_run_that_was_killed_until_after_the_end_only_asks(technique, attach):
    drive = attach(made(technique))
    sent_until(technique, drive, "accepted")
    drive.now += 1000
    assert [c.position for c in erase(technique, drive, ACCEPTED)] == ["done"]
    assert len(drive.sent) == 1


@pytest.mark.parametrize("technique", ["nvme-sanitize-crypto", "ata-sanitize-crypto", "scsi-sanitize-crypto"])
def test_the_old_success_of_a_drive_at_rest_is_not_ours(technique, attach):
    drive = attach(made(technique))
    if technique.startswith("nvme"):
        drive.state, drive.cdw10 = 1, nvme.sanitize(nvme.SanitizeAction.crypto_erase, keep_blocks=True).cdw10
    erase(technique, drive)
    assert len(drive.sent) == 1
    assert drive.medium == ZEROS


@pytest.mark.parametrize("technique", FAR)
def test_a_failed_erase_can_be_tried_again(technique, attach):
    drive = attach(made(technique, mode="fail"))
    with pytest.raises(Failed):
        erase(technique, drive)
    drive.mode = "ok"
    assert erase(technique, drive, ACCEPTED)[-1].position == "done"
    assert drive.medium == ZEROS


@pytest.mark.parametrize("technique", FAR)
def test_what_somebody_else_began_is_waited_for_and_never_taken_for_ours(technique, attach):
    drive = attach(made(technique))
    drive.running_since = 0.0
    if technique.startswith("nvme"):
        drive.state, drive.cdw10 = 2, 0x1234
    with pytest.raises(Transient, match="running"):
        erase(technique, drive)
    assert not drive.sent


def test_a_controller_without_a_trace_of_what_it_took_is_not_believed(attach):
    drive = attach(NvmeDrive(mode="forget"))
    with pytest.raises(Failed, match="another command"):
        erase("nvme-sanitize-block", drive)


@pytest.mark.parametrize("technique", [name for name in COMMANDS if name.startswith("nvme-")])
def test_other_namespaces_are_never_erased_with_one(technique, attach):
    drive = attach(NvmeDrive(namespaces=(1, 7), fna=7))
    with pytest.raises(Refused, match="there are 2 of them: 1, 7"):
        erase(technique, drive)
    assert not drive.sent


def test_a_format_of_one_namespace_leaves_the_others_alone(attach):
    drive = attach(NvmeDrive(namespaces=(1, 7), fna=4))
    assert erase("nvme-format", drive)[-1].position == "done"


@pytest.mark.parametrize("aborts", ["linux", "sat", "descriptor"])
@pytest.mark.parametrize("technique", [name for name in COMMANDS if name.startswith("ata-")])
def test_an_aborted_ata_command_is_a_failure_in_every_form(technique, aborts, attach):
    drive = attach(AtaDrive(mode="refuse", aborts=aborts))
    with pytest.raises(Failed):
        erase(technique, drive)
    assert not drive.enabled
    assert drive.medium != ZEROS


@pytest.mark.parametrize("aborts", ["linux", "sat", "descriptor"])
def test_a_drive_whose_sanitize_failed_says_so_and_one_that_never_began_does_not(aborts, attach):
    drive = attach(AtaDrive(aborts=aborts))
    assert _sanitize_state(3) == (False, None)
    drive.failed = True
    assert _sanitize_state(3) == (False, "failed")
    drive.failed, drive.running_since = False, 0.0
    assert _sanitize_state(3) == (False, "running")


def test_a_bridge_without_room_for_the_upper_registers_is_not_believed(attach):
    drive = attach(AtaDrive(fixed_only=True))
    with pytest.raises((Failed, Malformed), match="upper bytes"):
        erase("ata-sanitize-block", drive)


@pytest.mark.parametrize("technique", ["ata-security-erase", "ata-sanitize-crypto"])
def test_a_frozen_drive_is_told_what_to_do(technique, attach):
    drive = attach(AtaDrive(frozen=True))
    with pytest.raises(Refused, match="frozen"):
        erase(technique, drive)
    assert not drive.sent


def test_a_security_erase_that_leaves_its_password_erased_nothing(attach):
    drive = attach(AtaDrive(mode="forget"))
    with pytest.raises(Failed, match="still had its password"):
        erase("ata-security-erase", drive)
    assert not drive.enabled


def test_a_password_of_others_is_left_alone(attach):
    drive = attach(AtaDrive(enabled=True, password=b"other".ljust(32, b"\0")))
    with pytest.raises(Failed, match="not ours"):
        erase("ata-security-erase", drive)
    assert drive.enabled


@pytest.mark.parametrize("locked", [False, True])
def test_our_own_password_of_a_killed_run_opens_the_drive(locked, attach):
    drive = attach(AtaDrive())
    sent_until("ata-security-erase", drive, "command f1")
    assert drive.enabled
    drive.locked = locked
    cursors = erase("ata-security-erase", drive, Cursor(position="begun", done=0))
    assert cursors[-1].position == "done"
    assert (drive.enabled, drive.medium) == (False, bytearray(ZEROS))


def test_no_evidence_holds_a_password(attach):
    drive = attach(AtaDrive())
    for cursor in erase("ata-security-erase-enhanced", drive):
        for exchange in cursor.exchanges:
            assert PASSWORD.hex() not in exchange.sent + exchange.answered


@pytest.mark.parametrize(
    ("status", "host", "driver", "outcome"),
    [(0, 0, 0, "good"), (0, 0, 8, "good"), (0, 7, 0, "unknown"), (0, 0, 6, "unknown"), (2, 0, 8, "failed")],
)
def test_good_needs_every_status_field(status, host, driver, outcome):
    reply = sending.ScsiReply(status=status, host=host, driver=driver, sense=b"", content=b"", seconds=0)
    assert reply.outcome == outcome


def test_a_drive_that_says_it_needs_weeks_is_given_what_the_kernel_can_count(attach):
    drive = attach(AtaDrive())
    command = ata.security_erase(PASSWORD, enhanced=False, timeout=1e9).wrapped()
    assert sending.send_scsi(3, command).outcome == "failed"
    assert not drive.sent


def test_a_kernel_that_does_not_pass_it_on_is_an_error(tmp_path):
    with (tmp_path / "file").open("w") as file, pytest.raises(OSError):
        list(erase_by_command("nvme-sanitize-block", file.fileno(), SIZE, None))


def test_every_error_is_one_line(attach):
    drive = attach(ScsiDrive(mode="stuck"))
    with pytest.raises(DeleaturError) as caught:
        erase("scsi-format", drive)
    assert "\n" not in str(caught.value)


SAYS = [  # sense key, ASC, ASCQ of a device whose erase goes on, which it tells only when it is asked again
    pytest.param((6, 0x29, 0x00), id="power on or reset"),
    pytest.param((6, 0x2A, 0x01), id="mode parameters changed"),
]
ENDS = [
    pytest.param((4, 0x44, 0x00), id="internal target failure"),
    pytest.param((0xB, 0x47, 0x00), id="aborted"),
    pytest.param((5, 0x20, 0x00), id="not known"),
    pytest.param((7, 0x27, 0x00), id="write protected"),
]


class Interrupting(ScsiDrive):
    """Answers the second time that its state is asked, or from then on, with something else."""

    says: tuple[int, int, int] = (0, 0, 0)
    often: int = 1
    asked: int = 0

    def _state(self) -> bytes:
        self.asked += 1
        if 2 <= self.asked < 2 + self.often:
            return fixed_sense(*self.says)
        return super()._state()


@pytest.mark.parametrize("technique", [name for name in FAR if name.startswith("scsi")])
@pytest.mark.parametrize("says", SAYS)
def test_a_reset_while_it_erases_is_not_taken_for_the_end(technique, says, attach):
    drive = attach(Interrupting())
    drive.says, drive.often = says, 3
    cursors = erase(technique, drive)
    assert drive.medium == ZEROS
    assert [c.position for c in cursors][-1] == "done"


@pytest.mark.parametrize("technique", [name for name in FAR if name.startswith("scsi")])
@pytest.mark.parametrize("says", [*ENDS, *SAYS])
def test_an_error_of_another_kind_is_not_taken_for_the_end(technique, says, attach):
    drive = attach(Interrupting())
    drive.says, drive.often = says, 100
    with pytest.raises(Failed, match="nothing is erased for sure"):
        erase(technique, drive)


@pytest.mark.parametrize(
    ("technique", "other"), [("scsi-sanitize-crypto", "scsi-format"), ("scsi-format", "scsi-sanitize-crypto")]
)
def test_an_erase_of_another_kind_is_not_ours_after_a_kill(technique, other, attach):
    """The journal says that the command was about to be sent, and the device is at work: on a lesser one."""
    drive = attach(ScsiDrive())
    sent_until(other, drive, "accepted")
    with pytest.raises(Transient, match="another erase"):
        erase(technique, drive, Cursor(position="begun", done=0))
    assert len(drive.sent) == 1
