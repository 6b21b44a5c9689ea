"""Time stamps of others over a certificate: a stock authority answers, we and stock openssl verify."""

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from deleatur.cli.group import deleatur
from deleatur.engine.bundling import bundle_job
from deleatur.engine.directory import JobDirectory
from deleatur.engine.purging import written_by_jobs
from deleatur.engine.stamping import add_stamp, checked_stamp, envelope_at
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.testing.authority import Authority
from deleatur.testing.finished import AGENT, a_file, finished, some_rows
from deleatur.testing.workbench import Workbench, signing_key
from deleatur.trust.bundle import verify_bundle
from deleatur.trust.folder import write_certificate
from deleatur.trust.stamp import stamp_query, verify_stamp

JOB = """
schema = "deleatur/job/v1"
name = "shelf"
reason = "other"
authority = "a test"
requested_by = "tester"
[[target]]
id = "shelf"
url = "file:../shelf"
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stamped") / "certificate"
    job = finished(a_file(), some_rows())
    write_certificate(
        folder,
        plan_bytes=job.plan_bytes,
        journal_bytes=job.journal_bytes,
        approvals=job.approvals,
        keys=[AGENT],
        issued_at="2026-03-01T12:00:00Z",
        certificate_id="certificate-0001",
    )
    return folder


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "authority")


def test_a_stamp_verifies_offline_and_changes_nothing_in_the_certificate(
    certificate: Path, authority: Authority, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in certificate.rglob("*") if path.is_file()}
    run = CliRunner().invoke
    query = tmp_path / "query.tsq"
    assert run(deleatur, ["stamp", "query", str(certificate), "--out", str(query)]).exit_code == 0
    response = authority.answer(query.read_bytes())
    told = run(
        deleatur,
        ["stamp", "verify", str(certificate), str(response), "--authority", str(authority.root), "--json"],
    )
    said = json.loads(told.stdout)
    assert said["valid"]
    at = datetime.fromisoformat(said["at"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 120
    assert {path: path.read_bytes() for path in certificate.rglob("*") if path.is_file()} == before


def test_the_query_is_what_stock_openssl_asks(certificate: Path, tmp_path: Path) -> None:
    envelope = certificate / "certificate.dsse.json"
    stock = tmp_path / "stock.tsq"
    command = ["openssl", "ts", "-query", "-data", envelope, "-sha256", "-cert", "-no_nonce", "-out", stock]
    subprocess.run(command, check=True, capture_output=True)
    assert stamp_query(envelope_at(certificate)) == stock.read_bytes()


def test_a_stamp_over_other_bytes_is_refused(certificate: Path, authority: Authority) -> None:
    response = authority.answer(stamp_query(b"another envelope")).read_bytes()
    with pytest.raises(Invalid, match="over other bytes"):
        verify_stamp(response, envelope_at(certificate), authority.root.read_bytes())


def test_an_authority_that_nobody_trusts_is_refused(
    certificate: Path, authority: Authority, tmp_path: Path
) -> None:
    same_name = Authority(tmp_path / "other")
    response = authority.answer(stamp_query(envelope_at(certificate)))
    with pytest.raises(Invalid, match="under the roots that you named"):
        checked_stamp(certificate, response, same_name.root)


def test_an_authority_that_had_expired_is_refused(certificate: Path, tmp_path: Path) -> None:
    expired = Authority(tmp_path / "expired", days=-1)
    response = expired.answer(stamp_query(envelope_at(certificate)))
    with pytest.raises(Invalid, match="valid at its time"):
        checked_stamp(certificate, response, expired.root)


def test_no_single_changed_byte_of_a_stamp_passes_for_another_time(
    certificate: Path, authority: Authority
) -> None:
    envelope, roots = envelope_at(certificate), authority.root.read_bytes()
    response = authority.answer(stamp_query(envelope)).read_bytes()
    sound = verify_stamp(response, envelope, roots)
    caught = 0
    for place in range(0, len(response), 3):
        changed = bytearray(response)
        changed[place] ^= 1
        try:
            assert verify_stamp(bytes(changed), envelope, roots) == sound
        except Invalid:
            caught += 1
    assert caught > len(response) // 6
    digits = re.search(rb"\d{14}Z(?=.{0,40}\x30)", response, re.DOTALL)
    assert digits is not None
    later = response.replace(digits[0], b"20200101000000Z")
    with pytest.raises(Invalid):
        verify_stamp(later, envelope, roots)


@pytest.mark.parametrize("junk", [b"", b"no stamp", b"\x30\x03\x02\x01\x00"])
def test_what_is_no_stamp_is_refused(certificate: Path, authority: Authority, junk: bytes) -> None:
    with pytest.raises(Invalid, match="not a time stamp"):
        verify_stamp(junk, envelope_at(certificate), authority.root.read_bytes())


def test_roots_that_are_none_are_malformed(certificate: Path, authority: Authority) -> None:
    envelope = envelope_at(certificate)
    response = authority.answer(stamp_query(envelope)).read_bytes()
    with pytest.raises(Malformed, match="no certificates in PEM"):
        verify_stamp(response, envelope, b"nothing")


@pytest.fixture
def stamped(tmp_path: Path, authority: Authority) -> JobDirectory:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "list.csv").write_text("".join(f"{n}@mail.example.org\n" for n in range(9)))
    job = Workbench(tmp_path).whole(JOB)
    response = authority.answer(stamp_query(envelope_at(job.certificate)))
    add_stamp(job, "notary", response, authority.root)
    return job


def test_a_stamp_goes_into_the_bundle_and_stock_programs_check_it(
    stamped: JobDirectory, authority: Authority, tmp_path: Path
) -> None:
    maker = signing_key("carol", 4)
    bundle_job(stamped, tmp_path / "shown", added=(), key=maker, clock=lambda: datetime.now(UTC))
    shown = tmp_path / "shown"
    text = (shown / "VERIFY.txt").read_text()
    commands = "".join(line[4:] + "\n" for line in text.splitlines() if line.startswith("    "))

    def run() -> subprocess.CompletedProcess[str]:
        clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        asked = ["unshare", "--net", "--map-root-user", "bash", "-c", commands]
        return subprocess.run(asked, cwd=shown, env=clean, capture_output=True, text=True)

    good = run()
    assert good.returncode == 0, good.stderr
    assert "Verification: OK" in good.stdout + good.stderr
    keys = [maker.public, signing_key("agent", 1).public]
    assert verify_bundle(shown, keys, 2)
    shutil.copy(authority.answer(stamp_query(b"another")), shown / "stamps" / "notary.tsr")
    assert run().returncode != 0
    with pytest.raises(Invalid, match=r"stamps/notary\.tsr was changed"):
        verify_bundle(shown, keys, 2)


def test_a_stamp_that_does_not_verify_is_neither_added_nor_bundled(
    stamped: JobDirectory, authority: Authority, tmp_path: Path
) -> None:
    other = authority.answer(stamp_query(b"another"))
    with pytest.raises(Invalid, match="over other bytes"):
        add_stamp(stamped, "second", other, authority.root)
    with pytest.raises(Refused, match="small letters"):
        add_stamp(stamped, "../x", other, authority.root)
    assert sorted(path.name for path in stamped.stamps.iterdir()) == ["notary.pem", "notary.tsr"]
    assert stamped.stamps in written_by_jobs(stamped)
    shutil.copy(other, stamped.stamps / "notary.tsr")
    with pytest.raises(Invalid, match="stamps/notary: the stamp is over other bytes"):
        bundle_job(
            stamped, tmp_path / "b", added=(), key=signing_key("carol", 4), clock=lambda: datetime.now(UTC)
        )
