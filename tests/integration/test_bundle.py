"""Bundles and the end of keeping: what is shown elsewhere, and what may be removed when."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from deleatur.documents.declared import decode_declaration
from deleatur.engine.bundling import bundle_job
from deleatur.engine.directory import JobDirectory
from deleatur.engine.discovery import Request, discover
from deleatur.engine.mapping import attest_map, write_map
from deleatur.engine.purging import purge_job, written_by_jobs
from deleatur.errors import Invalid, Refused
from deleatur.testing.destroyed import (
    ALICE,
    AT,
    BOB,
    CAROL,
    DESTRUCTION,
    SHREDCO,
    write_destruction,
    write_processors,
)
from deleatur.testing.workbench import Workbench, signing_key
from deleatur.trust.bundle import ENVELOPE, MANIFEST, VerifiedBundle, verify_bundle
from deleatur.trust.dsse import IN_TOTO, seal
from deleatur.trust.keys import SigningKey, public_pem
from deleatur.trust.kinds import kind_of
from deleatur.trust.record import sign_record
from deleatur.trust.verification import verify

MAKER = CAROL
LAST, AFTER = "2036-11-22", "2036-11-23"  # of the certificate: ten years, and the day after
IT = signing_key("it", 11)
BENCH_AGENT = signing_key("agent", 1)
KEYS = [key.public for key in (BENCH_AGENT, ALICE, CAROL)]
DECLARED = """
schema = "deleatur/declared/v1"
[[owner]]
name = "it"
key = "it.pub"
[[place]]
url = "file:shelf"
id = "shelf"
owner = "it"
jurisdiction = [{ code = "DE", reason = "seat" }]
"""
PACK = """
schema = "deleatur/policy/v1"
id = "own"
version = "1"
title = "Our own rules: none"
jurisdiction = "any"
date = "2026-11-22"
"""
ASKED = """
schema = "deleatur/job/v1"
name = "shelf"
reason = "other"
authority = "a test"
without_notice = "nobody of these people exists"
requested_by = "tester"
[datamap]
file = "../datamap.toml"
packs = ["../own.toml"]
[[target]]
id = "shelf"
url = "file:../shelf"
"""


def clock(day: str) -> Callable[[], datetime]:
    return lambda: datetime.fromisoformat(day).replace(tzinfo=UTC)


def a_job(home: Path) -> JobDirectory:
    """A job that ended, on a data map: with a record of destruction and one of processors."""
    bench = a_house(home)
    directory = bench.whole(ASKED)
    signed_records(directory)
    return directory


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> JobDirectory:
    return a_job(tmp_path_factory.mktemp("made"))


@pytest.fixture
def job(made: JobDirectory, tmp_path: Path) -> JobDirectory:
    """A copy of the job; its map stays where it was."""
    shutil.copytree(made.path, tmp_path / "job")
    shutil.copy(made.path.parent / "own.toml", tmp_path)
    return JobDirectory(tmp_path / "job")


def bundled(
    directory: JobDirectory, folder: Path, added: Sequence[Path] = (), key: SigningKey = MAKER
) -> VerifiedBundle:
    return bundle_job(directory, folder, added=added, key=key, clock=clock("2026-12-24T10:00:00"))


@pytest.fixture(scope="module")
def sound(made: JobDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bundle")
    (home / "letters").mkdir()
    (home / "letters" / "delivery log.csv").write_text("id,when\n")
    bundled(made, home / "shown", [home / "letters"])
    return home / "shown"


@pytest.fixture
def shown(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def invalid(folder: Path, keys: list | None = None, threshold: int = 1) -> str:
    with pytest.raises(Invalid) as caught:
        verify_bundle(folder, keys or KEYS, threshold)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# bundles


def test_a_bundle_verifies_elsewhere_with_everything_in_it(shown: Path) -> None:
    checked = verify_bundle(shown, KEYS, 3)
    (certificate,) = checked.bundle.certificates
    assert certificate.retain_until == LAST
    processors, yard = checked.bundle.records
    assert (processors.id, processors.state, processors.assurance) == (
        "processors-2026",
        "attested-with-exceptions",
        "A0",
    )
    assert (yard.id, yard.assurance, yard.days_late) == ("yard-2026-11-20", "A1", 14)
    names = {str(path.relative_to(shown)) for path in shown.rglob("*")}
    assert names >= {"map/datamap.toml", "map/datamap.toml.attested/it-1.dsse.json", "job/job.toml"}
    assert names >= {
        "job/plan.dsse.json",
        "policy/own.toml",
        "added/letters/delivery log.csv",
        "certificate/journal.jsonl",
    }


def test_its_parts_verify_by_themselves(shown: Path) -> None:
    assert verify(shown / "certificate", [BENCH_AGENT.public], 1, None).evidence
    assert kind_of(shown) == "bundle"
    assert kind_of(shown / "records" / "yard") == "record"
    assert kind_of(shown / "certificate") == "certificate"
    assert kind_of(shown / ENVELOPE) == "bundle"
    assert kind_of(shown / "records" / "yard" / "record.dsse.json") == "record"


def test_a_folder_that_could_be_two_things_is_none(shown: Path) -> None:
    shutil.copy(shown / ENVELOPE, shown / "records" / "yard")
    with pytest.raises(Invalid, match="more than one envelope"):
        kind_of(shown / "records" / "yard")


@pytest.mark.parametrize(
    "name",
    [
        "map/datamap.toml",
        "job/job.toml",
        "VERIFY.txt",
        "keys/carol.pub",
        "records/yard/evidence/hall-2.mp4",
    ],
)
def test_a_changed_file_is_named(shown: Path, name: str) -> None:
    (shown / name).write_bytes(b"something else\n")
    assert f"{name} was changed" in invalid(shown)


def test_a_missing_and_an_added_file_are_named(shown: Path) -> None:
    (shown / "job" / "more.toml").write_text("")
    assert "job/more.toml is there, and not in the list" in invalid(shown)
    (shown / "job" / "more.toml").unlink()
    (shown / "job" / "job.toml").unlink()
    assert "job/job.toml is in the list, and missing" in invalid(shown)


def relisted(shown: Path, key: SigningKey = MAKER) -> None:
    """List the files anew and sign the list: a maker who changed what was bundled."""
    names = sorted(
        str(path.relative_to(shown))
        for path in shown.rglob("*")
        if path.is_file() and path.name not in (MANIFEST, ENVELOPE)
    )
    lines = "".join(f"{hashlib.sha256((shown / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
    (shown / MANIFEST).write_text(lines)
    body = json.loads(base64.b64decode(json.loads((shown / ENVELOPE).read_bytes())["payload"]))
    body["subject"][0]["digest"]["sha256"] = hashlib.sha256(lines.encode()).hexdigest()
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    (shown / ENVELOPE).write_bytes(seal(text, IN_TOTO, [key]))


def test_a_maker_cannot_swap_a_video_either(shown: Path) -> None:
    (shown / "records" / "yard" / "evidence" / "hall-2.mp4").write_bytes(b"another hall")
    relisted(shown)
    assert "evidence/hall-2.mp4 was changed: its digest is not the one that was signed" in invalid(shown)


def test_a_maker_cannot_leave_out_a_record_and_still_name_it(shown: Path) -> None:
    shutil.rmtree(shown / "records" / "processors")
    relisted(shown)
    assert "$.predicate.records" in invalid(shown)


def test_every_part_is_signed_by_a_key_that_came_another_way(shown: Path) -> None:
    assert "signed by no key that you named" in invalid(shown, [BENCH_AGENT.public, ALICE.public])
    assert "0 of the 1 signatures" in invalid(shown, [CAROL.public, ALICE.public])  # the certificate
    assert "0 of the 1 signatures" in invalid(shown, [CAROL.public, BENCH_AGENT.public])  # the yard
    stranger = [key.public for key in (BENCH_AGENT, ALICE, CAROL, SHREDCO)]
    assert verify_bundle(shown, stranger, 4)
    with pytest.raises(Refused, match="cannot be checked"):
        verify_bundle(shown, [CAROL.public], 2)


def test_a_maker_who_did_not_sign_is_not_named(shown: Path) -> None:
    relisted(shown, ALICE)
    assert "names a maker who has not signed" in invalid(shown)


def test_links_are_refused(shown: Path, tmp_path: Path) -> None:
    (shown / "job" / "job.toml").unlink()
    (shown / "job" / "job.toml").symlink_to(tmp_path)
    assert "not a plain file" in invalid(shown)


def test_what_does_not_verify_is_not_bundled(job: JobDirectory, tmp_path: Path) -> None:
    (job.records / "yard" / "destruction.toml").write_text("")
    with pytest.raises(Invalid, match=r"records/yard: .*destruction\.toml was changed"):
        bundled(job, tmp_path / "shown")
    assert sorted(os.listdir(tmp_path)) == ["job", "own.toml"]
    shutil.rmtree(job.records / "yard")
    write_destruction(job.records / "yard")
    with pytest.raises(Invalid, match=r"record\.dsse\.json is missing"):
        bundled(job, tmp_path / "shown")
    sign_record(job.records / "yard", SHREDCO, AT)
    with pytest.raises(Invalid, match="not signed by alice, bob"):
        bundled(job, tmp_path / "shown")


def test_the_map_that_the_job_rested_on_is_shown_or_nothing(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    content = (tmp_path / "datamap.toml").read_text()
    (tmp_path / "datamap.toml").write_text(content + "# later\n")
    with pytest.raises(Refused, match=r"datamap\.toml is not the file that the job rested on"):
        bundled(job, tmp_path / "shown")
    (tmp_path / "datamap.toml").unlink()
    with pytest.raises(Refused, match="which the job rested on, is gone"):
        bundled(job, tmp_path / "shown")
    (tmp_path / "datamap.toml").write_text(content)
    asked = job.job.read_text()
    job.job.write_text(asked + "# later\n")
    with pytest.raises(Refused, match="not the job that was planned"):
        bundled(job, tmp_path / "shown")


def test_a_maker_cannot_leave_out_the_map(shown: Path) -> None:
    shutil.rmtree(shown / "map")
    relisted(shown)
    assert "the data map that the job rested on is not in the bundle" in invalid(shown)


def test_a_file_that_is_called_as_the_list_would_call_the_map_is_not_the_map(shown: Path) -> None:
    digest = hashlib.sha256((shown / "map" / "datamap.toml").read_bytes()).hexdigest()
    shutil.rmtree(shown / "map")
    (shown / "added" / f"{digest}  map").mkdir(parents=True)
    (shown / "added" / f"{digest}  map" / "datamap.toml").write_text("")
    relisted(shown)
    assert "the data map that the job rested on is not in the bundle" in invalid(shown)


def test_the_record_of_another_job_is_not_bundled(job: JobDirectory, tmp_path: Path) -> None:
    shutil.rmtree(job.records / "yard")
    other = DESTRUCTION.replace('operator = "op-7"\n', 'operator = "op-7"\njob = "another"\n')
    yard = write_destruction(job.records / "yard", other)
    for key in (SHREDCO, ALICE, BOB):
        sign_record(yard, key, AT)
    with pytest.raises(Invalid, match="belong to different jobs: another, "):
        bundled(job, tmp_path / "shown")


def test_nothing_is_overwritten_and_nothing_is_no_bundle(job: JobDirectory, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    with pytest.raises(Refused, match="there already"):
        bundled(job, tmp_path / "shown")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="neither a certificate nor a record"):
        bundled(JobDirectory(tmp_path / "empty"), tmp_path / "other")
    odd = tmp_path / "a\nb.toml"
    odd.write_text("")
    with pytest.raises(Refused, match="cannot stand in a list"):
        bundled(job, tmp_path / "other", [odd])
    twice = [tmp_path / "x" / "own.toml", tmp_path / "y" / "own.toml"]
    for path in twice:
        path.parent.mkdir()
        path.write_text("")
    with pytest.raises(Refused, match=r"two files would be called added/own\.toml"):
        bundled(job, tmp_path / "other", twice)


def test_a_bundle_that_was_cut_short_is_made_again(job: JobDirectory, tmp_path: Path) -> None:
    (tmp_path / ".shown.new" / "old").mkdir(parents=True)
    (tmp_path / ".shown.new" / "old" / "file").write_text("old")
    bundled(job, tmp_path / "shown")
    assert not (tmp_path / "shown" / "old").exists()
    assert sorted(os.listdir(tmp_path)) == ["job", "own.toml", "shown"]
    assert verify_bundle(tmp_path / "shown", KEYS, 1)


def test_records_alone_are_a_bundle_too(job: JobDirectory, tmp_path: Path) -> None:
    shutil.rmtree(job.certificate)
    made = bundled(job, tmp_path / "shown")
    assert (made.bundle.certificates, len(made.bundle.records)) == ((), 2)


def test_stock_programs_alone_check_a_bundle(shown: Path) -> None:
    text = (shown / "VERIFY.txt").read_text()
    commands = "".join(line[4:] + "\n" for line in text.splitlines() if line.startswith("    "))
    clean = {"PATH": os.environ["PATH"], "HOME": str(shown.parent)}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["unshare", "--net", "--map-root-user", "bash", "-c", commands],
            cwd=shown,
            env=clean,
            capture_output=True,
            text=True,
        )

    good = run()
    assert good.returncode == 0, good.stderr
    assert len(re.findall(r"Signature Verified Successfully|Verified OK", good.stdout)) == 5
    assert "nothing of it was measured by deleatur" in good.stdout
    (shown / "records" / "yard" / "evidence" / "serials.jpg").write_bytes(b"x")
    assert run().returncode != 0


# a job that rests on records


RESTING = ASKED.replace("[datamap]", 'records = ["yard", "processors"]\n[datamap]')


def a_house(home: Path) -> Workbench:
    """The shelf and its map, and the folder of a job that is not planned yet."""
    (home / "shelf").mkdir()
    (home / "shelf" / "list.csv").write_text("mail\n" + "".join(f"{n}@mail.example.org\n" for n in range(9)))
    (home / "it.pub").write_bytes(public_pem(IT.public))
    (home / "own.toml").write_text(PACK)
    bench = Workbench(home)
    declaration = decode_declaration(DECLARED.encode())
    request = Request((), date(2026, 11, 22), "2026-11-22T10:00:00Z", declaration, home)
    write_map(home / "datamap.toml", discover(request, bench.registry))
    attest_map(home / "datamap.toml", "it", IT, bench.clock)
    return bench


def signed_records(directory: JobDirectory) -> None:
    yard = write_destruction(directory.records / "yard")
    for key in (SHREDCO, ALICE, BOB):
        sign_record(yard, key, "2026-12-04T08:00:00Z")
    sign_record(write_processors(directory.records / "processors"), CAROL, "2026-11-18T09:00:00Z")


def test_a_job_rests_on_records_and_its_certificate_says_so(tmp_path: Path) -> None:
    bench = a_house(tmp_path)
    directory = bench.job(RESTING)
    signed_records(directory)
    bench.plan(directory)
    bench.approve(directory)
    bench.run(directory)
    checked = verify(directory.certificate, [BENCH_AGENT.public], 1, None).certificate
    assert [condition.gate for condition in checked.conditions] == [
        "datamap",
        "without-notice",
        "records",
    ]
    counts = {counted.name: counted.count for counted in checked.conditions[2].counts}
    assert counts == {"records": 2, "exceptions": 1, "late": 1}
    told = {one.sentence.id for one in checked.exceptions if one.target_id == "processors-2026"}
    assert told == {"record-exceptions"}
    assert checked.outcome.overall == "verified-with-exceptions"
    bundled(directory, tmp_path / "shown")
    shutil.rmtree(tmp_path / "shown" / "records" / "processors")
    relisted(tmp_path / "shown")
    assert "the record processors-2026 that the job rested on is not in the bundle" in invalid(
        tmp_path / "shown"
    )


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda yard: (yard / "record.dsse.json").unlink(), r"records/yard: record\.dsse\.json is missing"),
        (lambda yard: (yard / "evidence" / "hall-2.mp4").write_bytes(b"x"), r"hall-2\.mp4 was changed"),
        (lambda yard: shutil.rmtree(yard), "records/yard: record.dsse.json is missing"),
    ],
)
def test_no_plan_is_made_on_a_record_that_does_not_hold(
    tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    bench = a_house(tmp_path)
    directory = bench.job(RESTING)
    signed_records(directory)
    spoil(directory.records / "yard")
    with pytest.raises(Refused, match=reason):
        bench.plan(directory)


def test_no_plan_is_made_on_a_record_that_a_witness_has_not_signed_or_of_another_job(tmp_path: Path) -> None:
    bench = a_house(tmp_path)
    directory = bench.job(RESTING)
    yard = write_destruction(directory.records / "yard")
    sign_record(write_processors(directory.records / "processors"), CAROL, "2026-11-18T09:00:00Z")
    for key in (SHREDCO, ALICE):
        sign_record(yard, key, AT)
    with pytest.raises(Refused, match="records/yard: not signed by bob"):
        bench.plan(directory)
    shutil.rmtree(yard)
    write_destruction(
        yard, DESTRUCTION.replace('operator = "op-7"\n', 'operator = "op-7"\njob = "another"\n')
    )
    for key in (SHREDCO, ALICE, BOB):
        sign_record(yard, key, AT)
    with pytest.raises(Refused, match="belongs to the job another, not to shelf"):
        bench.plan(directory)


def test_a_record_that_is_swapped_after_the_plan_stops_the_run(tmp_path: Path) -> None:
    bench = a_house(tmp_path)
    directory = bench.job(RESTING)
    signed_records(directory)
    bench.plan(directory)
    bench.approve(directory)
    yard = directory.records / "yard"
    (yard / "record.dsse.json").unlink()
    for key in (SHREDCO, ALICE, BOB):
        sign_record(yard, key, "2026-12-05T08:00:00Z")
    with pytest.raises(Refused, match="records/yard is another record than planned"):
        bench.run(directory)
    assert (tmp_path / "shelf" / "list.csv").read_text().startswith("mail\n0@")
    shutil.rmtree(directory.records)
    with pytest.raises(Refused, match="records/yard"):
        bench.run(directory)


# the end of keeping


def test_younger_records_are_not_purged_and_the_date_is_named(job: JobDirectory) -> None:
    before = sorted(path for path in job.path.rglob("*"))
    for day in ("2026-12-24", "2031-11-21", LAST):
        with pytest.raises(Refused, match=f"kept until {LAST}") as caught:
            purge_job(job, clock(day))
        assert caught.value.exit_code == 4
    assert sorted(path for path in job.path.rglob("*")) == before


def test_after_the_last_day_of_all_the_records_go(job: JobDirectory) -> None:
    (job.path / "note.txt").write_text("not of the job")
    for report in (job.report(7), job.report(31)):
        report.write_bytes(b"{}\n")
    done = purge_job(job, clock(AFTER))
    assert done.last_day == LAST
    assert set(done.removed) == {
        "job.toml",
        "plan.json",
        "plan.dsse.json",
        "approvals",
        "journal.jsonl",
        "records",
        "certificate",
        "residue-7.json",
        "residue-31.json",
    }
    assert done.left == ("note.txt",)
    assert os.listdir(job.path) == ["note.txt"]


def test_a_job_of_which_all_was_written_by_jobs_goes_as_a_whole(job: JobDirectory) -> None:
    assert purge_job(job, clock(AFTER)).left == ()
    assert not job.path.exists()


def test_everything_that_a_job_writes_is_known_to_purge(made: JobDirectory) -> None:
    named = {path for name, path in vars(made).items() if isinstance(path, Path) and name != "path"}
    assert set(written_by_jobs(made)) == named


@pytest.mark.parametrize(("years", "last"), [(3, LAST), (12, "2038-11-20")])
def test_the_later_of_certificate_and_record_counts(job: JobDirectory, years: int, last: str) -> None:
    shutil.rmtree(job.records)
    job.records.mkdir()
    yard = write_destruction(
        job.records / "yard",
        DESTRUCTION.replace('operator = "op-7"\n', f'operator = "op-7"\nkeep_years = {years}\n'),
    )
    for key in (SHREDCO, ALICE, BOB):
        sign_record(yard, key, AT)
    with pytest.raises(Refused, match=f"kept until {last}"):
        purge_job(job, clock(last))
    assert purge_job(job, clock("2040-01-01")).last_day == last


def test_a_record_of_two_years_is_refused(job: JobDirectory) -> None:
    """Requirement 68: three years at least, and no document can ask for less."""
    shutil.rmtree(job.certificate)
    job.plan.unlink()
    job.journal.unlink()
    shutil.rmtree(job.records / "yard")
    with pytest.raises(Refused, match="kept until 2029-11-18"):
        purge_job(job, clock("2028-11-22"))


def test_what_does_not_verify_is_not_purged(job: JobDirectory) -> None:
    (job.certificate / "plan.json").write_bytes(b"{}")
    with pytest.raises(Invalid, match=r"plan\.json was changed"):
        purge_job(job, clock("2040-01-01"))
    assert job.certificate.is_dir()


def test_a_job_without_its_end_and_one_with_an_archive_are_not_purged(job: JobDirectory) -> None:
    job.archive.mkdir()
    (job.archive / "shop-1.tar.age").write_bytes(b"x")
    with pytest.raises(Refused, match="holds an archive"):
        purge_job(job, clock("2040-01-01"))
    shutil.rmtree(job.archive)
    shutil.rmtree(job.certificate)
    with pytest.raises(Refused, match="has no certificate"):
        purge_job(job, clock("2040-01-01"))
    job.plan.unlink()
    job.journal.unlink()
    shutil.rmtree(job.records)
    with pytest.raises(Refused, match="neither a certificate nor a record"):
        purge_job(job, clock("2040-01-01"))


def test_a_folder_as_of_a_purge_that_was_cut_short_lets_nothing_go_early(job: JobDirectory) -> None:
    (job.path / ".purged").mkdir()
    with pytest.raises(Refused, match=f"kept until {LAST}"):
        purge_job(job, clock(LAST))
    assert job.certificate.is_dir()
    assert job.records.is_dir()


def test_a_purge_that_was_cut_between_two_parts_goes_on(
    job: JobDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, to: Path) -> None:
        if path == job.records:
            raise KeyboardInterrupt
        os.rename(path, to)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            purge_job(job, clock(AFTER))
    assert not job.plan.exists()
    purge_job(job, clock(AFTER))
    assert not job.path.exists()


def test_a_purge_that_was_cut_short_goes_on(job: JobDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            purge_job(job, clock(AFTER))
    purge_job(job, clock(AFTER))
    assert not job.path.exists()
