"""Vectors of the certificate: its statement, and the envelope that carries one."""

import base64
import hashlib
import json

from making import Made, swap

from deleatur.judge.statement import Issue, statement
from deleatur.testing.finished import AGENT, APPROVERS, SECOND_AGENT, finished
from deleatur.testing.vectors import vector_text
from deleatur.trust.dsse import IN_TOTO, seal


def good_statement() -> bytes:
    """Return the statement of the made-up job, which is sound."""
    job = finished()
    return statement(
        job.plan,
        job.plan_bytes,
        job.entries,
        Issue(
            certificate_id="certificate-0001",
            issued_at="2026-03-01T12:00:00Z",
            issuers=[AGENT.public, SECOND_AGENT.public],
            approvals=[key.public for key in APPROVERS],
            journal_digest=hashlib.sha256(job.journal_bytes).hexdigest(),
            evidence_digest="e" * 64,
        ),
    )


def certificate() -> Made:
    body = good_statement()
    yield _good("statement", "statement", body, "two targets, two issuers, an archive, a hold")
    yield from _statements(body)
    yield _good("envelope", "envelope", seal(b"{}", IN_TOTO, [AGENT, SECOND_AGENT]), "two signatures")
    yield from _envelopes(seal(b"{}", IN_TOTO, [AGENT]))


def _statements(body: bytes) -> Made:
    p = "$.predicate"
    id_ = b'"certificateId":"certificate-0001"'
    inside = body.index(b'"inventory"')
    for name, kind, where, comment, changed in (
        ("bom", "encoding", "byte 0", "a byte order mark", b"\xef\xbb\xbf" + body),
        ("not-json", "syntax", f"character {inside}", "cut in the middle", body[: inside + 4]),
        (
            "key-twice",
            "duplicate-key",
            "$.predicate.outcome",
            "the second one would win in most readers",
            swap(body, b'"overall":"verified"', b'"overall":"executed-unverified","overall":"verified"'),
        ),
        (
            "unknown-key",
            "unknown-key",
            p,
            "also where in-toto would allow it",
            swap(body, id_, b'"x":1,' + id_),
        ),
        (
            "missing-key",
            "missing-key",
            p,
            "no word about the certificate before this one",
            swap(body, b',"previous":"none"', b""),
        ),
        (
            "unknown-level-key",
            "unknown-key",
            f"{p}.outcome.perTarget[0]",
            "nothing may be added to an outcome",
            body.replace(b'"limitedBy":[]', b'"limitedBy":[],"stars":"5"', 1),
        ),
        (
            "float",
            "wrong-type",
            f"{p}.approvals.threshold",
            "no floats",
            swap(body, b'"threshold":2', b'"threshold":2.0'),
        ),
        (
            "number-as-text",
            "wrong-type",
            f"{p}.approvals.threshold",
            "nothing is converted",
            swap(body, b'"threshold":2', b'"threshold":"2"'),
        ),
        (
            "number-too-large",
            "number",
            f"{p}.approvals.threshold",
            "readers of JSON disagree beyond 2^53",
            swap(body, b'"threshold":2', b'"threshold":%d' % (2**60)),
        ),
        (
            "time-without-zone",
            "bad-value",
            f"{p}.issuedAt",
            "whose clock?",
            swap(body, b'"issuedAt":"2026-03-01T12:00:00Z"', b'"issuedAt":"2026-03-01T12:00:00"'),
        ),
        (
            "leap-second",
            "bad-value",
            f"{p}.issuedAt",
            "many readers refuse second 60",
            swap(body, b'"issuedAt":"2026-03-01T12:00:00Z"', b'"issuedAt":"2026-06-30T23:59:60Z"'),
        ),
        (
            "upper-case-digest",
            "bad-value",
            "$.subject[3].digest.sha256",
            "one spelling of a digest",
            swap(body, b"e" * 64, b"E" * 64),
        ),
        (
            "state-unknown",
            "bad-value",
            f"{p}.outcome.overall",
            "no such state",
            swap(body, b'"overall":"verified"', b'"overall":"gone"'),
        ),
        (
            "residue",
            "bad-value",
            f"{p}.verification[0].verdict",
            "residue never has a certificate",
            body.replace(b'"verdict":"CLEAN"', b'"verdict":"RESIDUE"', 1),
        ),
        (
            "other-predicate",
            "bad-value",
            "$.predicateType",
            "an approval is no certificate",
            swap(body, b"/erasure-certificate/v1", b"/erasure-approval/v1"),
        ),
        (
            "spaced",
            "not-canonical",
            "$",
            "the same statement, written another way",
            body.replace(b'":', b'": '),
        ),
        ("no-newline", "not-canonical", "$", "the newline at the end is missing", body[:-1]),
    ):
        yield _bad(name, "statement", kind, where, comment, changed)


def _envelopes(envelope: bytes) -> Made:
    tree = json.loads(envelope)

    def changed(**fields: object) -> bytes:
        return json.dumps(tree | fields, separators=(",", ":")).encode()

    signature = tree["signatures"][0]
    for name, kind, where, comment, document in (
        (
            "envelope-key-twice",
            "duplicate-key",
            "$",
            "two payloads",
            swap(envelope, b'{"payload"', b'{"payload":"e30=","payload"'),
        ),
        ("envelope-unknown-key", "unknown-key", "$", "nothing beside the three", changed(certificate="x")),
        ("envelope-no-signature", "bad-value", "$.signatures", "nobody signed", changed(signatures=[])),
        (
            "envelope-many-signatures",
            "bad-value",
            "$.signatures",
            "33 signatures",
            changed(signatures=[signature] * 33),
        ),
        (
            "envelope-base64-tail",
            "not-canonical",
            "$.payload",
            "unused bits at the end are set",
            changed(payload="e31="),
        ),
        ("envelope-base64-line", "bad-value", "$.payload", "a line break inside", changed(payload="e3\n0=")),
        ("envelope-base64-unpadded", "bad-value", "$.payload", "no padding", changed(payload="e30")),
        (
            "envelope-base64-url",
            "bad-value",
            "$.signatures[0].sig",
            "the alphabet of URLs",
            changed(signatures=[signature | {"sig": base64.urlsafe_b64encode(b"\xff" * 64).decode()}]),
        ),
        (
            "envelope-sig-missing",
            "missing-key",
            "$.signatures[0]",
            "a key id alone",
            changed(signatures=[{"keyid": signature["keyid"]}]),
        ),
        ("envelope-array", "wrong-type", "$", "not an object", b"[]"),
    ):
        yield _bad(name, "envelope", kind, where, comment, document)


def _good(name: str, decoder: str, document: bytes, comment: str) -> tuple[str, bytes]:
    header = {"decoder": decoder, "expect": "ok", "comment": comment}
    return f"certificate/good-{name}", vector_text(header, document)


def _bad(name: str, decoder: str, kind: str, where: str, comment: str, document: bytes) -> tuple[str, bytes]:
    header = {"decoder": decoder, "expect": "malformed", "kind": kind, "where": where, "comment": comment}
    return f"certificate/{name}", vector_text(header, document)
