"""Every gate of a job: closed by itself it stops the erase, and no random walk passes one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deleatur.errors import DeleaturError, Refused
from deleatur.trust.verification import verify

from .gate_company import Company

Act = Callable[[Company], object]


def to_the_plan(company: Company) -> None:
    company.discover()
    company.attest()
    company.tell()
    company.plan()


def to_the_archive(company: Company) -> None:
    """Everything is in order but the copies and receipts, which only a written archive can have."""
    to_the_plan(company)
    company.approve()
    company.until_day(31, hours=4)
    assert "archived-unreceived" in refused(company)


def refused(company: Company) -> str:
    with pytest.raises(DeleaturError) as caught:
        company.run()
    return checked(company, caught.value)


def checked(company: Company, error: DeleaturError) -> str:
    """Look that one clear line refused, and nothing was touched; return the line."""
    assert isinstance(error, Refused), error
    assert error.exit_code == 4
    assert "\n" not in str(error)
    assert company.whole()
    assert not company.directory.certificate.exists()
    return str(error)


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Company:
    return Company(tmp_path, monkeypatch)


def test_with_every_gate_open_the_job_is_certified(company: Company) -> None:
    to_the_archive(company)
    company.copy()
    company.receive()
    company.run()
    assert not company.whole()
    key = company.bench.agent.public
    certificate = verify(company.directory.certificate, [key], 1, None).certificate
    assert {c.gate for c in certificate.conditions} == {"datamap", "holds", "notice", "custody"}
    assert certificate.approvals.threshold == 2


def unattested(company: Company) -> None:
    company.discover()
    company.attest("it")
    company.tell()
    company.plan()


def unexplained(company: Company) -> None:
    company.discover(people=7)
    company.attest("sales")
    company.tell()
    company.plan()


def unknown_law(company: Company) -> None:
    company.discover(law="unknown")
    company.attest()
    company.tell()
    company.plan()


def nobody_told(company: Company) -> None:
    company.discover()
    company.attest()
    (company.folder / "notice").mkdir()
    (company.folder / "notice" / "held.txt").touch()
    company.plan()


def new_column(company: Company) -> None:
    company.discover()
    company.attest()
    company.tell()
    company.sql("ALTER TABLE customers ADD COLUMN born TEXT")
    company.plan()


BEFORE_THE_PLAN: dict[str, tuple[Act, str]] = {
    "unattested owner": (unattested, "the data map is open: sales has not attested their part"),
    "unexplained difference": (
        unexplained,
        "difference people-people (declared 7, found 6) is not explained",
    ),
    "unknown jurisdiction": (unknown_law, "the jurisdiction of crm is unknown"),
    "missing notice": (nobody_told, "there is no evidence of notice"),
    "new column": (new_column, "born"),
}


@pytest.mark.parametrize("gate", BEFORE_THE_PLAN)
def test_a_closed_gate_stops_the_plan(company: Company, gate: str) -> None:
    act, line = BEFORE_THE_PLAN[gate]
    with pytest.raises(DeleaturError) as caught:
        act(company)
    assert line in checked(company, caught.value)
    assert not company.directory.plan.exists()


def day_29(company: Company) -> None:
    to_the_plan(company)
    company.approve()
    company.until_day(29)


def one_approver(company: Company) -> None:
    to_the_plan(company)
    company.approve("alice")
    company.until_day(31, hours=4)


def open_order(company: Company) -> None:
    to_the_archive(company)
    company.copy()
    company.receive()
    company.sql("UPDATE orders SET status = 'open' WHERE id = 3")


def attestation_withdrawn(company: Company) -> None:
    to_the_archive(company)
    company.copy()
    company.receive()
    company.withdraw("sales")


def later_column(company: Company) -> None:
    to_the_archive(company)
    company.copy()
    company.receive()
    company.sql("ALTER TABLE orders ADD COLUMN remark TEXT")


def two_copies(company: Company) -> None:
    to_the_archive(company)
    company.copy("vault", "stick")
    company.receive()


def no_receipt(company: Company) -> None:
    to_the_archive(company)
    company.copy()
    company.receive("records")


def unread(company: Company) -> None:
    """A copy changed after it was read back."""
    to_the_archive(company)
    company.copy()
    company.receive()
    copy = next(company.media["stick"].glob("*.tar.age"))
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)


BEFORE_THE_ERASE: dict[str, tuple[Act, str]] = {
    "day 29 of 30": (day_29, "nothing may go before"),
    "one approver": (one_approver, "approv"),
    "open order": (open_order, "plan again"),
    "attestation withdrawn": (attestation_withdrawn, "sales has not attested their part"),
    "column that came later": (later_column, "not the target of the plan (schema-sha256"),
    "two copies": (two_copies, "not read back from mine"),
    "no receipt": (no_receipt, "no receipt of board"),
    "archive unread": (unread, "the copy stick is not what was sealed"),
}


@pytest.mark.parametrize("gate", BEFORE_THE_ERASE)
def test_a_closed_gate_stops_the_erase(company: Company, gate: str) -> None:
    act, line = BEFORE_THE_ERASE[gate]
    act(company)
    assert line in refused(company)
