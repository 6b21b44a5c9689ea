"""`deleatur custody` as people call it: shares, receipts, copies on one disk, hand-over, the end."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deleatur.archive.age import new_identity, recipient_text
from deleatur.cli.group import deleatur
from deleatur.errors import DeleaturError

from .custody_world import COPIES, JOB, write_shop


class Office:
    """A folder with settings, keys and one job, in which commands are called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.chdir(folder)
        Path("pass").write_text("secret\n")
        monkeypatch.setenv("DELEATUR_PASSPHRASE_FILE", str(folder / "pass"))
        self.call(
            "init", "--approver", "alice", "--approver", "bob", "--approver", "records", "--approver", "board"
        )
        self.identity, self.recipient = new_identity()
        Path("key.txt").write_text(f"# mine\n{self.identity}\n")

    def raw(self, *arguments: str) -> Result:
        return CliRunner().invoke(deleatur, arguments)

    def call(self, *arguments: str) -> str:
        result = self.raw(*arguments)
        assert result.exit_code == 0, result.exception or result.output
        return result.output

    def refused(self, *arguments: str) -> str:
        result = self.raw(*arguments)
        assert isinstance(result.exception, DeleaturError), result.output
        assert result.exception.exit_code == 4
        return str(result.exception)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(tmp_path, monkeypatch)


def test_shares_are_made_joined_and_open_with_stock_age(office: Office) -> None:
    Path("shares").mkdir()
    made = json.loads(office.call("custody", "share", "--folder", "shares", "--json"))
    assert [Path(path).stat().st_mode & 0o777 for path in made["shares"]] == [0o600] * 3
    assert "is there already" in office.refused("custody", "share", "--folder", "shares")
    identity = office.call("custody", "join", made["shares"][0], made["shares"][2])
    assert recipient_text(identity) == made["recipient"]
    assert "too few" in office.refused("custody", "join", made["shares"][1])
    Path("plain").write_text("kept\n")
    subprocess.run(["age", "-r", made["recipient"], "-o", "sealed", "plain"], check=True)
    opened = subprocess.run(
        ["age", "-d", "-i", "-", "sealed"], input=identity, capture_output=True, text=True
    )
    assert opened.stdout == "kept\n"


def test_three_folders_on_one_disk_never_pass_and_receipts_are_taken_in(office: Office) -> None:
    write_shop(Path("crm.sqlite"))
    Path("shares").mkdir()
    board = json.loads(office.call("custody", "share", "--folder", "shares", "--json"))
    copies = "".join(
        f'[[custody.copy]]\nid = "{name}"\nurl = "file://{office.folder}/{name}"\nmedium = "{medium}"\n'
        f'site = "{site}"\nlaw = "DE"\n'
        for name, medium, site in zip(COPIES, ("disk", "flash", "tape"), ("hq", "hq", "mine"), strict=True)
    )
    Path("job").mkdir()
    Path("job/job.toml").write_text(
        JOB.format(
            law="DE", recipient=office.recipient, board=board["recipient"], copies=copies, transfer="",
            roles="", database=office.folder / "crm.sqlite",
        )
        .replace('"records.pub"', '"../keys/records.pub"')
        .replace('"board.pub"', '"../keys/board.pub"')
    )  # fmt: skip
    planned = json.loads(office.call("plan", "job", "--json"))
    digest = next(value for value in planned.values() if isinstance(value, str) and len(value) == 64)
    for name in ("alice", "bob"):
        office.call("approve", "job", "--key", f"keys/{name}.key", "--digest", digest)
    assert "no receipt of records" in office.refused("run", "job")
    assert json.loads(office.call("status", "job", "--json"))["state"] == "archived-unreceived"
    archive = "job/archive/close-shop-crm.tar.age"
    signed = ("--custodian", "records", "--key", "keys/records.key", "--identity", "key.txt", "--out", "r")
    office.call("custody", "receipt", archive, *signed)
    assert "is there already" in office.refused("custody", "receipt", archive, *signed)
    shares = [option for path in board["shares"][:2] for option in ("--share", path)]
    signed = ("--custodian", "board", "--key", "keys/board.key", *shares, "--out", "b")
    office.call("custody", "receipt", archive, *signed)
    assert office.call("custody", "import", "job", "r", "b") == "received by: records, board\n"
    for name in COPIES:
        Path(name).mkdir()
    result = office.raw("custody", "copy", "job", "--json")
    if result.exit_code == 0:  # a container that hides its disks refuses already here
        told = json.loads(result.output)["missing"]
        assert len(told) == 3
        assert all("lie on one medium" in reason for reason in told)
        assert "are missing" in office.refused("custody", "show", "job")
        assert "lie on one medium" in office.refused("resume", "job")
    else:
        assert isinstance(result.exception, DeleaturError)
        assert "does not tell" in str(result.exception)
    assert "kept until 2036-12-31" in office.refused("custody", "expire", "job", "--into", "end")
    assert "Canary" in Path("crm.sqlite").read_bytes().decode(errors="replace")
