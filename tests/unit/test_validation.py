"""A validation is a second record by a second identity: it answers every line, and raises no claim."""

import base64
import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from deleatur.documents.codec import encode_json
from deleatur.documents.gates import Member, StaffGate
from deleatur.documents.plan import PublicKey
from deleatur.documents.validation import CHECKS, decode_sheet, statement_of
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.judge.validation import exceptions_of, identity_objections, limits_of, objections
from deleatur.testing.finished import (
    AGENT,
    APPROVERS,
    PLANNER,
    SECOND_AGENT,
    FinishedJob,
    a_file,
    a_map,
    finished,
    known_key,
    some_rows,
)
from deleatur.trust.dsse import IN_TOTO, seal
from deleatur.trust.folder import write_certificate
from deleatur.trust.keys import SigningKey, public_pem
from deleatur.trust.validation import draft_validation, said_in, sign_validation, verify_validation
from deleatur.trust.verification import Verification, verify

OFFICER = known_key("officer", 70)
STRANGER = known_key("stranger", 71)
AT = "2026-11-23T09:00:00Z"
EXCEPTED = finished(a_file(), some_rows(), gates=(a_map(),))


def write(folder: Path, job: FinishedJob) -> Verification:
    write_certificate(
        folder,
        plan_bytes=job.plan_bytes,
        journal_bytes=job.journal_bytes,
        approvals=job.approvals,
        keys=[AGENT],
        issued_at="2026-03-01T12:00:00Z",
        certificate_id="certificate-0001",
    )
    return verify(folder, [AGENT.public], 1, None)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Verification:
    return write(tmp_path_factory.mktemp("job") / "certificate", EXCEPTED)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "media-policy.txt"
    path.write_text("Clear is enough for shelves in the house.\n")
    return path


@pytest.fixture(scope="module")
def sheet(certificate: Verification, policy: Path) -> str:
    return draft_validation(certificate, policy).decode()


def replace_operators(certificate: Verification, *operators: PublicKey) -> Verification:
    return dataclasses.replace(certificate, operators=operators)


def outcome_of(certificate: Verification) -> str:
    excepted = exceptions_of(certificate.certificate) or certificate.certificate.outcome.overall != "verified"
    return "accepted-with-exceptions" if excepted else "accepted"


def filled(sheet: str, outcome: str) -> str:
    """Answer everything with `yes`, with one reason for all."""
    text = sheet.replace('outcome = "?"', f'outcome = "{outcome}"')
    text = text.replace('reason = "?"', 'reason = "no customer data left the house"')
    return text.replace('"?"', '"yes"')


def signed(certificate: Verification, sheet: str, key: SigningKey = OFFICER) -> bytes:
    return sign_validation(certificate, filled(sheet, outcome_of(certificate)).encode(), key, AT)


@pytest.fixture(scope="module")
def envelope(certificate: Verification, sheet: str) -> bytes:
    return signed(certificate, sheet)


def reason_for_no(certificate: Verification, text: str, key: SigningKey = OFFICER) -> str:
    with pytest.raises(Refused) as caught:
        sign_validation(certificate, text.encode(), key, AT)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def invalid(
    tmp_path: Path,
    certificate: Verification,
    content: bytes,
    validator: PublicKey = OFFICER.public,
    policy: Path | None = None,
) -> str:
    path = tmp_path / "validation.dsse.json"
    path.write_bytes(content)
    with pytest.raises(Invalid) as caught:
        verify_validation(certificate, path, validator, policy)
    assert caught.value.exit_code == 8
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(content: bytes, change: Callable[[dict], object], key: SigningKey = OFFICER) -> bytes:
    """Change the statement and sign it again with the true key: a lying validator."""
    body = json.loads(base64.b64decode(json.loads(content)["payload"]))
    change(body)
    return seal(encode_json(body), IN_TOTO, [key])


# drafted


def test_a_draft_lists_every_limit_and_exception_and_accepts_none(
    certificate: Verification, sheet: str
) -> None:
    read = decode_sheet(sheet.encode())
    told = certificate.certificate
    assert {one.id for one in read.limit} == {s.id for s in (told.copies_not_covered, *told.known_limits)}
    assert len(read.exception) >= len(told.exceptions) > 0
    assert {one.name for one in read.check} == set(CHECKS)
    answers = [read.outcome, read.reason, *(c.answer for c in read.check)]
    answers += [one.accepted for one in (*read.limit, *read.exception)]
    assert set(answers) == {"?"}


def test_without_its_folder_nothing_is_drafted_signed_or_verified(
    tmp_path: Path, policy: Path, sheet: str, envelope: bytes
) -> None:
    write(tmp_path / "certificate", EXCEPTED)
    alone = verify(tmp_path / "certificate" / "certificate.dsse.json", [AGENT.public], 1, None)
    (tmp_path / "v").write_bytes(envelope)
    acts: list[Callable[[], object]] = [
        lambda: draft_validation(alone, policy),
        lambda: signed(alone, sheet),
        lambda: verify_validation(alone, tmp_path / "v", OFFICER.public, None),
    ]
    for act in acts:
        with pytest.raises(Refused, match="name its folder"):
            act()


# signed


def test_a_filled_sheet_is_signed_and_verifies(
    tmp_path: Path, certificate: Verification, envelope: bytes, policy: Path
) -> None:
    (tmp_path / "v").write_bytes(envelope)
    for held in (policy, None):
        checked = verify_validation(certificate, tmp_path / "v", OFFICER.public, held)
        assert checked.said.outcome == "accepted-with-exceptions"
        assert checked.policy_compared == (held is not None)
        assert checked.said.certificate_state == certificate.certificate.outcome.overall


def test_each_answer_that_is_missing_is_named_and_refused(certificate: Verification, sheet: str) -> None:
    whole = filled(sheet, outcome_of(certificate))
    lines = whole.splitlines()
    asked = [n for n, line in enumerate(sheet.splitlines()) if line.endswith('"?"')]
    assert len(asked) > 10
    for number in asked:
        key = lines[number].partition(" = ")[0]
        text = "\n".join([*lines[:number], f'{key} = "?"', *lines[number + 1 :]]) + "\n"
        said = reason_for_no(certificate, text)
        assert "is not answered" in said or "no reason is given" in said


@pytest.mark.parametrize("field", ["answer", "accepted"])
def test_nothing_is_accepted_over_a_no(certificate: Verification, sheet: str, field: str) -> None:
    whole = filled(sheet, outcome_of(certificate))
    for number in range(whole.count(f'{field} = "yes"')):
        parts = whole.split(f'{field} = "yes"')
        text = f'{field} = "yes"'.join(parts[: number + 1]) + f'{field} = "no"'
        text += f'{field} = "yes"'.join(parts[number + 1 :])
        assert "although" in reason_for_no(certificate, text)
        rejected = text.replace(f'outcome = "{outcome_of(certificate)}"', 'outcome = "rejected"')
        assert said_in(sign_validation(certificate, rejected.encode(), OFFICER, AT)).outcome == "rejected"


def test_a_certificate_with_exceptions_is_not_simply_accepted(certificate: Verification, sheet: str) -> None:
    assert "accepted-with-exceptions" in reason_for_no(certificate, filled(sheet, "accepted"))


def test_what_has_no_exceptions_is_simply_accepted(certificate: Verification, envelope: bytes) -> None:
    told = certificate.certificate
    outcome = replace(
        told.outcome,
        overall="verified",
        per_target=tuple(replace(one, state="verified") for one in told.outcome.per_target),
    )
    plain = replace(told, exceptions=(), outcome=outcome)
    said = replace(said_in(envelope), certificate_state="verified", exceptions=())
    assert "no exceptions" in " ".join(objections(said, plain))
    assert [*objections(replace(said, outcome="accepted"), plain)] == []


def test_a_target_that_nothing_verified_is_an_exception_to_be_answered(certificate: Verification) -> None:
    told = certificate.certificate
    first, *others = told.outcome.per_target
    left = replace(first, state="executed-unverified")
    told = replace(told, outcome=replace(told.outcome, per_target=(left, *others)))
    assert (first.target_id, "executed-unverified") in {(t, k) for t, k, _ in exceptions_of(told)}


def test_a_sheet_of_another_certificate_is_refused(
    tmp_path: Path, sheet: str, certificate: Verification
) -> None:
    other = write(tmp_path / "certificate", finished(a_file("other"), some_rows()))
    assert "another certificate" in reason_for_no(other, filled(sheet, outcome_of(certificate)))


@pytest.mark.parametrize("which", [0, 1])
def test_an_address_in_any_reason_is_refused(certificate: Verification, sheet: str, which: int) -> None:
    parts = filled(sheet, outcome_of(certificate)).split("no customer data")
    text = "no customer data".join(parts[: which + 1]) + "ask a@b.example"
    with pytest.raises(Malformed):
        sign_validation(
            certificate, (text + "no customer data".join(parts[which + 1 :])).encode(), OFFICER, AT
        )


# who


@pytest.mark.parametrize("key", [AGENT, PLANNER, *APPROVERS], ids=lambda k: k.public.name)
def test_who_took_part_signs_no_validation(certificate: Verification, sheet: str, key: SigningKey) -> None:
    again = SigningKey(PublicKey(name="somebody-else", spki=key.public.spki), key._private)
    assert "another identity" in reason_for_no(certificate, filled(sheet, outcome_of(certificate)), again)


@pytest.mark.parametrize("key", [AGENT, PLANNER, *APPROVERS], ids=lambda k: k.public.name)
def test_a_validation_by_who_took_part_does_not_verify(
    tmp_path: Path, certificate: Verification, envelope: bytes, key: SigningKey
) -> None:
    def theirs(body: dict) -> None:
        named = {"name": key.public.name, "keyId": key.key_id, "spki": key.public.spki}
        body["predicate"]["validator"] = named

    said = invalid(tmp_path, certificate, changed(envelope, theirs, key), key.public)
    assert "took part" in said


def test_a_further_signer_of_the_certificate_took_part(certificate: Verification) -> None:
    plan = certificate.plan
    assert plan is not None
    told = certificate.certificate
    assert [*identity_objections(SECOND_AGENT.public, told, plan, [])] == []
    assert [*identity_objections(SECOND_AGENT.public, told, plan, [SECOND_AGENT.public])] != []


def test_who_ran_it_once_and_signed_nothing_took_part(certificate: Verification, sheet: str) -> None:
    ran = replace_operators(certificate, OFFICER.public)
    assert "another identity" in reason_for_no(ran, filled(sheet, outcome_of(certificate)))


def test_an_issuer_whose_key_the_caller_did_not_name_took_part(certificate: Verification) -> None:
    plan = certificate.plan
    assert plan is not None
    assert [*identity_objections(AGENT.public, certificate.certificate, plan, [])] != []


def test_who_might_have_approved_took_part(certificate: Verification) -> None:
    plan = certificate.plan
    assert plan is not None
    named = replace(plan, approvers=(*plan.approvers, OFFICER.public))
    assert [*identity_objections(OFFICER.public, certificate.certificate, named, [])] != []


def test_where_people_are_known_another_key_of_the_same_person_is_refused(
    certificate: Verification,
) -> None:
    plan = certificate.plan
    assert plan is not None
    legal, security = APPROVERS

    def told(*keys: SigningKey) -> str:
        people = (
            Member(name="lena", keys=(legal.public.spki, *(k.public.spki for k in keys)), trained_until=None),
            Member(name="omar", keys=(OFFICER.public.spki,), trained_until=None),
            Member(name="sam", keys=(security.public.spki,), trained_until=None),
        )
        gate = StaffGate(operator="named", people=people)
        asked = replace(plan, gates=(*plan.gates, gate))
        key = keys[0] if keys else OFFICER
        return " ".join(identity_objections(key.public, certificate.certificate, asked, []))

    assert told() == ""
    assert "lena took part" in told(STRANGER)


def test_where_people_are_known_a_key_of_nobody_is_refused(certificate: Verification) -> None:
    plan = certificate.plan
    assert plan is not None
    gate = StaffGate(
        operator="named", people=(Member(name="lena", keys=(APPROVERS[0].public.spki,), trained_until=None),)
    )
    asked = replace(plan, gates=(*plan.gates, gate))
    said = " ".join(identity_objections(OFFICER.public, certificate.certificate, asked, []))
    assert "nobody in [[person]]" in said


# verified


def test_a_rejection_verifies_as_a_rejection(tmp_path: Path, certificate: Verification, sheet: str) -> None:
    path = tmp_path / "v"
    path.write_bytes(sign_validation(certificate, filled(sheet, "rejected").encode(), OFFICER, AT))
    assert verify_validation(certificate, path, OFFICER.public, None).said.outcome == "rejected"


LIES: dict[str, Callable[[dict], object]] = {
    "another certificate": lambda b: b["subject"][0]["digest"].update(sha256="0" * 64),
    "another id": lambda b: b["predicate"].update(certificateId="certificate-0002"),
    "a better state": lambda b: b["predicate"].update(certificateState="verified"),
    "before the certificate": lambda b: b["predicate"].update(validatedAt="2026-02-28T12:00:00Z"),
    "a check left out": lambda b: b["predicate"]["checks"].pop(),
    "a check twice": lambda b: b["predicate"]["checks"].append(b["predicate"]["checks"][0]),
    "a check that failed": lambda b: b["predicate"]["checks"][0].update(answer="no"),
    "a limit left out": lambda b: b["predicate"]["limits"].pop(),
    "a limit reworded": lambda b: b["predicate"]["limits"][0].update(text="nothing to see"),
    "a limit not accepted": lambda b: b["predicate"]["limits"][0].update(accepted="no"),
    "an exception left out": lambda b: b["predicate"]["exceptions"].pop(),
    "an exception not accepted": lambda b: b["predicate"]["exceptions"][0].update(accepted="no"),
    "an exception without a reason": lambda b: b["predicate"]["exceptions"][0].update(reason="?"),
    "no reason": lambda b: b["predicate"].update(reason="?"),
    "simply accepted": lambda b: b["predicate"].update(outcome="accepted"),
    "an outcome of its own": lambda b: b["predicate"].update(outcome="purged"),
    "a claim of its own": lambda b: b["predicate"].update(assurance="A4"),
    "another validator": lambda b: b["predicate"]["validator"].update(spki=STRANGER.public.spki),
    "another fingerprint": lambda b: b["predicate"]["validator"].update(keyId=STRANGER.key_id),
    "another type": lambda b: b.update(predicateType="https://deleatur.example/attestation/restore-drill/v1"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_validator_is_caught(
    tmp_path: Path, certificate: Verification, envelope: bytes, lie: str
) -> None:
    assert changed(envelope, lambda _: None) != b""
    (tmp_path / "sound").write_bytes(changed(envelope, lambda _: None))
    verify_validation(certificate, tmp_path / "sound", OFFICER.public, None)
    invalid(tmp_path, certificate, changed(envelope, LIES[lie]))


def test_another_policy_key_or_signature_is_invalid(
    tmp_path: Path, certificate: Verification, envelope: bytes
) -> None:
    other = tmp_path / "other-policy.txt"
    other.write_text("Everything goes.\n")
    assert "another policy" in invalid(tmp_path, certificate, envelope, policy=other)
    assert "not signed by" in invalid(tmp_path, certificate, envelope, STRANGER.public)
    assert "not signed by" in invalid(tmp_path, certificate, changed(envelope, lambda _: None, STRANGER))


def test_a_validation_is_of_one_certificate_only(tmp_path: Path, envelope: bytes) -> None:
    other = write(tmp_path / "certificate", finished(a_file("other"), some_rows()))
    assert "about another certificate" in invalid(tmp_path, other, envelope)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_change_of_a_byte_is_another_validation(
    data: st.DataObject, tmp_path: Path, certificate: Verification, envelope: bytes
) -> None:
    at = data.draw(st.integers(0, len(envelope) - 1))
    flipped = bytearray(envelope)
    flipped[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "v"
    path.write_bytes(bytes(flipped))
    try:
        checked = verify_validation(certificate, path, OFFICER.public, None)
    except Invalid:
        return
    assert checked.said == said_in(envelope)  # the hint of a key id is not signed


@settings(max_examples=60, deadline=None)
@given(answers=st.lists(st.sampled_from(["yes", "no", "?"]), min_size=40, max_size=40))
def test_whatever_is_answered_only_yes_everywhere_accepts(
    answers: list[str], certificate: Verification, sheet: str
) -> None:
    text = filled(sheet, outcome_of(certificate))
    parts = text.split('= "yes"')
    used = (answers * len(parts))[: len(parts) - 1]
    text = "".join(f'{part}= "{a}"' for part, a in zip(parts, used, strict=False)) + parts[-1]
    if set(used) == {"yes"}:
        assert said_in(sign_validation(certificate, text.encode(), OFFICER, AT)).outcome != "rejected"
    else:
        reason_for_no(certificate, text)


def test_limits_are_listed_once_each(certificate: Verification) -> None:
    told = certificate.certificate
    double = replace(told, known_limits=(*told.known_limits, *told.known_limits))
    assert limits_of(double) == limits_of(told)


def test_the_statement_is_about_the_envelope(certificate: Verification, envelope: bytes) -> None:
    made = statement_of("certificate.dsse.json", certificate.sha256, said_in(envelope))
    assert base64.b64decode(json.loads(envelope)["payload"]) == encode_json(made)


# with programs of others


def test_openssl_and_jq_check_it_and_see_a_change(tmp_path: Path, envelope: bytes) -> None:
    """The commands of the how-to: signature, certificate by digest, outcome."""
    write(tmp_path / "certificate", EXCEPTED)
    (tmp_path / "validation.dsse.json").write_bytes(envelope)
    (tmp_path / "officer.pub").write_bytes(public_pem(OFFICER.public))
    page = (Path(__file__).parents[2] / "docs/howto/validate-a-certificate.md").read_text()
    script = page.partition("```sh\n")[2].partition("```")[0]
    assert "openssl" in script

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-e", "-o", "pipefail", "-c", script]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)

    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Verified Successfully" in done.stdout
    assert "certificate.dsse.json: OK" in done.stdout
    assert "accepted-with-exceptions" in done.stdout
    lied = changed(envelope, lambda b: b["predicate"].update(outcome="accepted"), STRANGER)
    (tmp_path / "validation.dsse.json").write_bytes(lied)
    assert run(tmp_path).returncode != 0
    (tmp_path / "validation.dsse.json").write_bytes(envelope)
    shutil.rmtree(tmp_path / "certificate")
    write(tmp_path / "certificate", finished(a_file("other"), some_rows()))
    assert run(tmp_path).returncode != 0
