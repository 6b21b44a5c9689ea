"""The folder of a certificate: written once and whole, and believed in nothing when it is read."""

import base64
import contextlib
import errno
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deleatur.documents import journal as j
from deleatur.errors import Invalid, Refused, Residue
from deleatur.testing.finished import (
    AGENT,
    APPROVERS,
    SECOND_AGENT,
    FinishedJob,
    a_file,
    chained,
    changed,
    finished,
    known_key,
    some_rows,
)
from deleatur.trust.approval import approve
from deleatur.trust.dsse import IN_TOTO, seal
from deleatur.trust.folder import evidence_of, named_keys, write_certificate
from deleatur.trust.keys import SigningKey
from deleatur.trust.verification import Verification, verify

JOB = finished()
KEYS = [AGENT, SECOND_AGENT]
TRUSTED = [key.public for key in KEYS]


def write(folder: Path, job: FinishedJob = JOB, keys: list[SigningKey] = KEYS) -> str:
    return write_certificate(
        folder,
        plan_bytes=job.plan_bytes,
        journal_bytes=job.journal_bytes,
        approvals=job.approvals,
        keys=keys,
        issued_at="2026-03-01T12:00:00Z",
        certificate_id="certificate-0001",
    )


def check(folder: Path, threshold: int = 2, about: Path | None = None) -> Verification:
    return verify(folder, TRUSTED, threshold, about)


def refusal(folder: Path, about: Path | None = None, threshold: int = 2) -> str:
    with pytest.raises(Invalid) as caught:
        check(folder, threshold, about)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 8
    return str(caught.value)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "certificate"
    write(folder)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "certificate")
    return tmp_path / "certificate"


def reseal(folder: Path, change: Callable[[dict], None], keys: list[SigningKey] = KEYS) -> None:
    """Change the statement and sign it again with the true keys: a lying agent."""
    envelope = json.loads((folder / "certificate.dsse.json").read_bytes())
    body = json.loads(base64.b64decode(envelope["payload"]))
    change(body)
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    (folder / "certificate.dsse.json").write_bytes(seal(text, IN_TOTO, keys))


def redigest(folder: Path) -> None:
    """Make evidence.sha256 anew from what lies there."""
    names = [line.split("  ")[1] for line in (folder / "evidence.sha256").read_text().splitlines()]
    (folder / "evidence.sha256").write_bytes(evidence_of({n: (folder / n).read_bytes() for n in names}))


# written


def test_a_certificate_verifies_with_its_evidence_and_alone(sound: Path) -> None:
    whole = check(sound, about=sound / "targets" / "t2.txt")
    assert (whole.evidence, whole.certificate_id, len(whole.signers)) == (True, "certificate-0001", 2)
    alone = check(sound / "certificate.dsse.json", about=sound / "targets" / "t1.txt")
    assert alone.evidence is False
    assert alone.certificate == whole.certificate
    assert alone.sha256 == whole.sha256


def test_the_same_inputs_give_the_same_folder_and_never_a_second_one(tmp_path: Path, sound: Path) -> None:
    digest = write(tmp_path / "certificate")
    assert digest == check(sound).sha256
    for path in sound.rglob("*"):
        if path.is_file():
            assert (tmp_path / "certificate" / path.relative_to(sound)).read_bytes() == path.read_bytes()
    with pytest.raises(Refused, match="is there already"):
        write(tmp_path / "certificate")


def test_an_attempt_that_was_cut_short_is_replaced(tmp_path: Path, sound: Path) -> None:
    (tmp_path / ".certificate.new" / "targets").mkdir(parents=True)
    (tmp_path / ".certificate.new" / "plan.json").write_bytes(b"half")
    assert write(tmp_path / "certificate") == check(sound).sha256
    assert [path.name for path in tmp_path.iterdir()] == ["certificate"]


class Killed(BaseException):
    """Nothing catches it, so the disk stays as a SIGKILL would leave it."""


def dying(real: Callable, calls: Iterator[int], how: str) -> Callable:
    def call(*args, **named):
        last = next(calls) == 0
        if last and how == "full disk":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if last and how == "killed before":
            raise Killed
        found = real(*args, **named)
        if last:
            raise Killed
        return found

    return call


@pytest.mark.parametrize("how", ["killed before", "killed after", "full disk"])
def test_a_kill_at_any_call_leaves_a_whole_certificate_or_none(
    tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    target = tmp_path / "certificate"
    expected = check(sound).sha256
    for number in itertools.count():
        calls = itertools.count(number, -1)
        with monkeypatch.context() as patched:
            for name in ("fsync", "rename", "mkdir", "open"):
                patched.setattr(os, name, dying(getattr(os, name), calls, how))
            try:
                write(target)
                break
            except Killed:
                pass
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - the one that was put there
        if target.exists():
            assert check(target).sha256 == expected
            shutil.rmtree(target)
    assert number > 40  # every file is opened and synced, every folder made and synced
    assert check(target).sha256 == expected


def test_a_link_in_place_of_the_temporary_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_bytes(b"keep")
    (tmp_path / ".certificate.new").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        write(tmp_path / "certificate")
    assert (tmp_path / "elsewhere" / "mine").read_bytes() == b"keep"


def test_nothing_is_written_for_a_job_that_may_not_be_certified(tmp_path: Path) -> None:
    for job, error in (
        (changed(JOB, j.Verified, verdict="RESIDUE"), Residue),
        (JOB.with_events(JOB.events[:-1]), Refused),
        (FinishedJob(JOB.plan, JOB.events, {}), Refused),
    ):
        with pytest.raises(error):
            write(tmp_path / "certificate", job)
    assert list(tmp_path.iterdir()) == []


def test_two_keys_of_one_name_get_two_files() -> None:
    named = named_keys([known_key("a", 1).public, known_key("a", 2).public, known_key("b", 1).public])
    assert len(named) == 2
    assert len({key.spki for key in named.values()}) == 2


# refused


def test_signatures_are_counted_by_key_and_threshold(sound: Path, tmp_path: Path) -> None:
    write(tmp_path / "one", keys=[AGENT])
    assert "1 of the 2 signatures" in refusal(tmp_path / "one")
    assert check(tmp_path / "one", threshold=1).signers == (AGENT.public,)
    again = known_key("agent-again", 1).public
    with pytest.raises(Refused, match="distinct keys"):
        verify(sound, [AGENT.public, again], 2, None)
    for trusted, threshold in (([], 1), ([], 0), (TRUSTED, 0), (TRUSTED, 3)):
        with pytest.raises(Refused):
            verify(sound, trusted, threshold, None)


def test_keys_inside_the_folder_are_not_trusted(folder: Path) -> None:
    stranger = known_key("agent", 77)
    reseal(folder, lambda body: None, keys=[stranger])
    assert "0 of the 2" in refusal(folder)


def test_an_issuer_that_did_not_sign_is_noticed(folder: Path) -> None:
    reseal(folder, lambda body: None, keys=[AGENT])
    with pytest.raises(Invalid, match="issuer that has not signed"):
        verify(folder, TRUSTED, 1, None)


def test_a_certificate_of_another_target_is_refused(folder: Path, tmp_path: Path) -> None:
    text = (folder / "targets" / "t1.txt").read_text()
    mine = tmp_path / "mine.txt"
    mine.write_text(text.replace("h-17", "h-18"))
    assert "about other targets" in refusal(folder, about=mine)
    assert "about other targets" in refusal(folder / "certificate.dsse.json", about=mine)
    assert "about other targets" in refusal(folder, about=folder / "plan.json")  # a subject, and no target


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda p: p["outcome"]["perTarget"][0].update(assurance="A3/device-all"), "assurance"),
        (lambda p: p["verification"][0]["needles"].update(count=99), "needles.count"),
        (lambda p: p["approvals"].update(threshold=1), "approvals.threshold"),
        (lambda p: p["knownLimits"].pop(), "knownLimits"),
        (lambda p: p["targets"][0].update(units=2), "targets[0].units"),
        (lambda p: p["archives"][0].update(custodians=[]), "archives[0].custodians"),
        (lambda p: p["times"].update(verified="2026-03-01T09:00:00Z"), "times.verified"),
        (lambda p: p["software"].update(version="9"), "software.version"),
        (lambda p: p["outcome"]["perTarget"][0]["claims"][0].update(text="All gone."), "claims[0].text"),
        (lambda p: p["evidence"].update(selftests=99), "evidence.selftests"),
    ],
)
def test_a_certificate_that_claims_more_than_its_evidence_is_refused(
    folder: Path, change: Callable[[dict], None], field: str
) -> None:
    reseal(folder, lambda body: change(body["predicate"]))
    told = refusal(folder)
    assert "does not say what its evidence says" in told
    assert field in told


def test_every_field_of_the_statement_is_checked(folder: Path) -> None:
    """Change every number and every text of the statement, one at a time."""
    envelope = json.loads((folder / "certificate.dsse.json").read_bytes())
    body = json.loads(base64.b64decode(envelope["payload"]))
    paths = list(leaves(body))
    assert len(paths) > 200
    accepted = []
    free = {
        ("predicate", "certificateId"),  # what only the issuer can know
        ("predicate", "issuedAt"),
        ("predicate", "issuers", 0, "name"),
        ("predicate", "issuers", 1, "name"),
    }
    for path in paths:
        reseal_at(folder, body, path)
        try:
            check(folder)
        except Invalid:
            continue
        accepted.append(path)
    assert set(accepted) <= free


def leaves(value: object, path: tuple = ()) -> list[tuple]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, (*path, index))]
    return [path]


def reseal_at(folder: Path, body: dict, path: tuple) -> None:
    copy = json.loads(json.dumps(body))
    holder = copy
    for part in path[:-1]:
        holder = holder[part]
    last = holder[path[-1]]
    holder[path[-1]] = (
        last + 1 if isinstance(last, int) else "x" if last is None else last[:-1] + "0x"[last[-1:] == "0"]
    )
    text = json.dumps(copy, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    (folder / "certificate.dsse.json").write_bytes(seal(text, IN_TOTO, KEYS))


@pytest.mark.parametrize(
    "name", ["plan.json", "journal.jsonl", "targets/t1.txt", "approvals/a1.dsse.json", "VERIFY.txt"]
)
def test_any_change_of_the_evidence_is_noticed(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content.replace(b"e", b"f", 1))
    assert f"{name} was changed" in refusal(folder)
    redigest(folder)
    assert "does not" in refusal(folder)
    (folder / name).unlink()
    assert f"{name} is missing" in refusal(folder)


def test_a_journal_whose_chain_breaks_bears_nothing(folder: Path) -> None:
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for content in (b"".join(lines[:5] + lines[6:]), b"".join(lines)[:-1], b"".join(lines[:-1])):
        (folder / "journal.jsonl").write_bytes(content)
        redigest(folder)
        assert "does not bear" in refusal(folder)


def test_evidence_of_a_weaker_job_does_not_bear_a_stronger_certificate(folder: Path, tmp_path: Path) -> None:
    weaker = finished(a_file(limits=("copy-on-write",)), some_rows())
    write(tmp_path / "weaker", weaker)
    strong = (folder / "certificate.dsse.json").read_bytes()
    (tmp_path / "weaker" / "certificate.dsse.json").write_bytes(strong)
    assert "does not say what its evidence says" in refusal(tmp_path / "weaker")


def test_approvals_are_counted_again(folder: Path) -> None:
    (folder / "approvals" / "a2.dsse.json").write_bytes((folder / "approvals" / "a1.dsse.json").read_bytes())
    redigest(folder)
    assert "1 of 2 approvals" in refusal(folder)


@pytest.mark.parametrize(
    "line",
    [
        "0" * 64 + "  ../../etc/passwd",
        "0" * 64 + "  /etc/passwd",
        "0" * 64 + "  targets/../plan.json",
        "0" * 64 + "  targets/t1.txt",
        "0" * 64 + " *plan.json",
        "0" * 64 + "  plan.json\r",
        "0" * 63 + "  plan.json",
        "",
        "\u00e9",
    ],
)
def test_evidence_names_only_files_of_a_certificate(folder: Path, line: str) -> None:
    with (folder / "evidence.sha256").open("a") as file:
        file.write(line + "\n")
    assert "evidence.sha256" in refusal(folder)


def make_link(path: Path) -> None:
    (path.parent / "real").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to("real")


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_huge(path: Path) -> None:
    path.write_bytes(b"")
    os.truncate(path, 5 << 30)


def make_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("make", [make_link, make_fifo, make_folder, make_huge, make_device, make_empty])
@pytest.mark.parametrize("name", ["evidence.sha256", "plan.json", "targets/t1.txt", "certificate.dsse.json"])
def test_a_hostile_folder_is_invalid_and_costs_nothing(
    folder: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(folder / name)
    assert refusal(folder)


def test_a_linked_folder_inside_is_not_followed(folder: Path) -> None:
    (folder / "targets").rename(folder.parent / "elsewhere")
    (folder / "targets").symlink_to(folder.parent / "elsewhere")
    assert "targets/t1.txt is not a plain file" in refusal(folder)


def test_a_device_or_a_pipe_in_place_of_a_file_is_not_read(sound: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for hostile in (tmp_path / "pipe", Path("/dev/zero")):
        assert "is not a plain file" in refusal(hostile)
        assert "is not a plain file" in refusal(sound, about=hostile)
    assert "is missing" in refusal(sound, about=tmp_path / "nowhere")


STRANGE = (
    0,
    -1,
    2**53,
    2**70,
    0.5,
    True,
    None,
    "",
    "x",
    "\u202e",
    "0" * 64,
    "9" * 5000,
    [],
    {},
    [[]],
    "\x00",
)


def test_whatever_a_lying_agent_signs_is_invalid_and_nothing_worse(folder: Path) -> None:
    """Put something strange into each place of the plan in turn, and sign everything again."""
    plan = json.loads(JOB.plan_bytes)
    envelope = json.loads((folder / "certificate.dsse.json").read_bytes())
    body = json.loads(base64.b64decode(envelope["payload"]))
    spelled = itertools.cycle(STRANGE)
    told = []
    for path in leaves(plan):
        for strange in itertools.islice(spelled, 2):
            copy = json.loads(json.dumps(plan))
            holder = copy
            for part in path[:-1]:
                holder = holder[part]
            if type(holder[path[-1]]) is type(strange) and holder[path[-1]] == strange:
                continue
            holder[path[-1]] = strange
            content = json.dumps(copy, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            sign_again(folder, content, body)
            try:
                check(folder)  # what the statement does not repeat may be anything that a plan may be
            except Invalid as error:
                told.append(str(error))
    assert len(told) > 200
    assert not any("\n" in line for line in told)


def sign_again(folder: Path, plan_bytes: bytes, body: dict) -> None:
    """Rest the certificate on another plan: with its own approvals, its own journal, true signatures."""
    digest = hashlib.sha256(plan_bytes).hexdigest()
    (folder / "plan.json").write_bytes(plan_bytes)
    for number, key in enumerate(APPROVERS, 1):
        approval = approve(plan_bytes, key, "2026-03-01T09:00:00Z")
        (folder / "approvals" / f"a{number}.dsse.json").write_bytes(approval)
    events = [msgspec.structs.replace(JOB.events[0], plan=digest), *JOB.events[1:]]
    lines = b"".join(j.line_of(entry) for entry in chained(events, digest))
    (folder / "journal.jsonl").write_bytes(lines)
    redigest(folder)
    files = {"plan.json": plan_bytes, "evidence.sha256": (folder / "evidence.sha256").read_bytes()}
    for subject in body["subject"]:
        if subject["name"] in files:
            subject["digest"]["sha256"] = hashlib.sha256(files[subject["name"]]).hexdigest()
    body["predicate"]["plan"]["digest"]["sha256"] = digest
    body["predicate"]["evidence"]["journal"]["sha256"] = hashlib.sha256(lines).hexdigest()
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    (folder / "certificate.dsse.json").write_bytes(seal(text, IN_TOTO, KEYS))


def test_what_is_no_certificate_at_all(tmp_path: Path) -> None:
    assert "missing" in refusal(tmp_path)
    assert "missing" in refusal(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"{}")
    assert "not a DSSE envelope" in refusal(tmp_path / "file")
    other = seal(b'{"_type":"https://in-toto.io/Statement/v1"}', IN_TOTO, KEYS)
    (tmp_path / "file").write_bytes(other)
    assert "not a certificate" in refusal(tmp_path / "file")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_changed_byte_of_any_signed_file_is_accepted(
    sound: Path, folder: Path, data: st.DataObject
) -> None:
    names = sorted(str(p.relative_to(sound)) for p in sound.rglob("*") if p.is_file())
    name = data.draw(st.sampled_from(names))
    content = bytearray((sound / name).read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(bytes(content))
    found = None
    with contextlib.suppress(Invalid):
        found = check(folder)
    (folder / name).write_bytes((sound / name).read_bytes())
    if found is not None:  # a key id is a hint that nobody signs
        assert name == "certificate.dsse.json"
        assert found.certificate == check(sound).certificate
