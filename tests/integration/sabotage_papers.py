"""The sabotage table of certificates: each way to forge one, and what a verifier answers."""

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from deleatur.documents import journal as j
from deleatur.documents.plan import PublicKey
from deleatur.errors import DeleaturError, Invalid, Refused
from deleatur.judge.fingerprint import key_id
from deleatur.testing.workbench import signing_key
from deleatur.trust.dsse import IN_TOTO, seal
from deleatur.trust.folder import ENVELOPE, EVIDENCE, evidence_of, write_certificate
from deleatur.trust.keys import SigningKey
from deleatur.trust.verification import Verification, verify

AGENT, MALLORY = signing_key("agent", 1), signing_key("mallory", 66)
OPEN = ("certificateId", "issuers[0].name")  # what no evidence bears; an issuer may choose it


@dataclass
class Papers:
    """A certificate in a folder, and how somebody verifies it."""

    folder: Path
    another: Path  # the certificate of another job of the same agent
    trusted: Sequence[PublicKey] = (AGENT.public,)
    threshold: int = 1
    about: Path | None = None

    def verify(self) -> Verification:
        return verify(self.folder, self.trusted, self.threshold, self.about)

    def envelope(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / ENVELOPE).read_bytes())
        return found

    def write_envelope(self, envelope: dict[str, Any]) -> None:
        (self.folder / ENVELOPE).write_bytes(json.dumps(envelope, separators=(",", ":")).encode())

    def statement(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(base64.b64decode(self.envelope()["payload"]))
        return found

    def sign(self, statement: dict[str, Any], key: SigningKey) -> None:
        text = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        (self.folder / ENVELOPE).write_bytes(seal(text, IN_TOTO, [key]))

    def change_payload(self, statement: dict[str, Any]) -> None:
        """Change the statement and leave the signature as it is."""
        text = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        self.write_envelope({**self.envelope(), "payload": base64.b64encode(text).decode()})

    def files(self) -> list[str]:
        lines = (self.folder / EVIDENCE).read_text().splitlines()
        return [line.split("  ")[1] for line in lines]

    def digest_again(self) -> None:
        """Make evidence.sha256 fit what lies there, and let the agent's key sign that."""
        names = [name for name in self.files() if (self.folder / name).exists()]
        evidence = evidence_of({name: (self.folder / name).read_bytes() for name in names})
        (self.folder / EVIDENCE).write_bytes(evidence)
        statement = self.statement()
        statement["subject"][-1]["digest"]["sha256"] = hashlib.sha256(evidence).hexdigest()
        journal = (self.folder / "journal.jsonl").read_bytes()
        statement["predicate"]["evidence"]["journal"]["sha256"] = hashlib.sha256(journal).hexdigest()
        statement["predicate"]["evidence"]["journalEntries"] = journal.count(b"\n")
        self.sign(statement, AGENT)


Ends = type[DeleaturError] | str


@dataclass(frozen=True)
class Forgery:
    """One row of the table. `act` is called for each variant; every one must end the same way."""

    name: str
    act: Callable[[Papers], Iterator[str]]  # yields the name of each variant after it was made
    ends: Ends
    caught_by: str


def once(act: Callable[[Papers], Any]) -> Callable[[Papers], Iterator[str]]:
    """Return a forgery with one variant."""

    def variants(papers: Papers) -> Iterator[str]:
        act(papers)
        yield ""

    return variants


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the path of every leaf of a statement, and what changes it by one step."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        here = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}".lstrip(".")
        if isinstance(inner, dict | list):
            yield from leaves(inner, here)
        elif inner is not None:
            yield here, lambda key=key, inner=inner: value.__setitem__(key, changed(inner))


def changed(leaf: str | int) -> str | int:
    """Return a leaf that differs by one character, or by one."""
    if isinstance(leaf, int):
        return leaf + 1
    for at, char in enumerate(leaf):
        if char.isalnum() and char.isascii():
            other = chr(ord(char) - 1) if char in "9zZf" else chr(ord(char) + 1)
            return leaf[:at] + other + leaf[at + 1 :]
    return f"{leaf}x"


def every_field(
    sign: Callable[[Papers, dict[str, Any]], None], *, leave: Sequence[str] = ()
) -> Callable[[Papers], Iterator[str]]:
    """Change each field of the statement in turn, but those of the predicate that are to be left."""

    def variants(papers: Papers) -> Iterator[str]:
        for path, _ in leaves(papers.statement()):
            if path.removeprefix("predicate.") in leave:
                continue
            statement = papers.statement()
            dict(leaves(statement))[path]()
            kept = (papers.folder / ENVELOPE).read_bytes()
            sign(papers, statement)
            yield path
            (papers.folder / ENVELOPE).write_bytes(kept)

    return variants


def sign_as_mallory(papers: Papers, statement: dict[str, Any]) -> None:
    papers.sign(statement, MALLORY)


def sign_as_agent(papers: Papers, statement: dict[str, Any]) -> None:
    papers.sign(statement, AGENT)


def every_file(harm: Callable[[Path], None], *, digest: bool) -> Callable[[Papers], Iterator[str]]:
    """Harm each file of the evidence in turn; with new digests under the true signature, or without."""

    def variants(papers: Papers) -> Iterator[str]:
        whole = papers.folder.with_name("whole")
        shutil.copytree(papers.folder, whole)
        for name in papers.files():
            if digest and name in NOT_BORNE:
                continue
            harm(papers.folder / name)
            if digest:
                papers.digest_again()
            yield name
            shutil.rmtree(papers.folder)
            shutil.copytree(whole, papers.folder)

    return variants


NOT_BORNE = ("VERIFY.txt", "keys/agent.pub", "keys/alice.pub", "keys/bob.pub")  # help, and not to be trusted


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link(path: Path) -> None:
    away = path.with_name(f"away-{path.name}")
    path.rename(away)
    path.symlink_to(away)


def issue_as_mallory(papers: Papers) -> None:
    statement = papers.statement()
    key = MALLORY.public
    named = {"name": key.name, "keyId": key_id(key), "spki": key.spki}
    statement["predicate"]["issuers"] = [named]
    papers.sign(statement, MALLORY)


def sign_twice(papers: Papers) -> None:
    envelope = papers.envelope()
    papers.write_envelope({**envelope, "signatures": envelope["signatures"] * 2})
    papers.trusted, papers.threshold = (AGENT.public, MALLORY.public), 2


def trust_twice(papers: Papers) -> None:
    papers.trusted, papers.threshold = (AGENT.public, signing_key("second", 1).public), 2


def borrow_key_id(papers: Papers) -> None:
    statement = papers.statement()
    papers.sign(statement, MALLORY)
    envelope = papers.envelope()
    envelope["signatures"][0]["keyid"] = AGENT.key_id
    papers.write_envelope(envelope)


def replay(papers: Papers) -> None:
    papers.about = papers.folder.with_name("about.txt")
    shutil.copy(papers.folder / "targets" / "t1.txt", papers.about)
    shutil.rmtree(papers.folder)
    shutil.copytree(papers.another, papers.folder)


def ask_about_another(papers: Papers) -> None:
    papers.about = papers.another / "targets" / "t1.txt"


def ask_with_one_change(papers: Papers) -> Iterator[str]:
    text = (papers.folder / "targets" / "t1.txt").read_text()
    papers.about = papers.folder.with_name("about.txt")
    for number, line in enumerate(text.splitlines()):
        papers.about.write_text(text.replace(line, str(changed(line)), 1))
        yield f"line {number + 1}"


def mix(papers: Papers) -> None:
    shutil.copy(papers.another / ENVELOPE, papers.folder / ENVELOPE)


def borrow_evidence(papers: Papers) -> None:
    shutil.copy(papers.another / "journal.jsonl", papers.folder / "journal.jsonl")
    papers.digest_again()


def drop_last_entry(papers: Papers) -> None:
    path = papers.folder / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    papers.digest_again()


def drop_approval(papers: Papers) -> None:
    (papers.folder / "approvals" / "a1.dsse.json").unlink()
    papers.digest_again()


def copy_approval(papers: Papers) -> None:
    shutil.copy(papers.folder / "approvals" / "a1.dsse.json", papers.folder / "approvals" / "a2.dsse.json")
    papers.digest_again()


def name_another_file(papers: Papers) -> None:
    (papers.folder / "extra.txt").write_text("extra")
    with (papers.folder / EVIDENCE).open("a") as evidence:
        evidence.write(f"{hashlib.sha256(b'extra').hexdigest()}  extra.txt\n")
    papers.digest_again()


def write_a_better_story(papers: Papers) -> None:
    """Make a new certificate with the agent's key, from a journal in which the search saw more."""
    plan = (papers.folder / "plan.json").read_bytes()
    digest = hashlib.sha256(plan).hexdigest()
    entries, _ = j.read_chain((papers.folder / "journal.jsonl").read_bytes(), digest)
    previous, journal = digest, b""
    for entry in entries:
        event = entry.event
        if isinstance(event, j.Controlled):
            more = [msgspec.structs.replace(scan, seen=1000, hits=1000) for scan in event.surfaces]
            event = msgspec.structs.replace(event, values=1000, seen=1000, surfaces=tuple(more))
        if isinstance(event, j.Verified):
            event = msgspec.structs.replace(event, values=1000)
        line = j.line_of(j.Entry(n=entry.n, at=entry.at, previous=previous, event=event))
        previous, journal = j.digest_of_line(line), journal + line
    approvals = {p.name: p.read_bytes() for p in (papers.folder / "approvals").iterdir()}
    shutil.rmtree(papers.folder)
    write_certificate(
        papers.folder,
        plan_bytes=plan,
        journal_bytes=journal,
        approvals=approvals,
        keys=[AGENT],
        issued_at="2026-11-22T13:00:00Z",
        certificate_id="forged-with-the-key",
    )


def unsign(papers: Papers) -> None:
    papers.write_envelope({**papers.envelope(), "signatures": []})


def other_type(papers: Papers) -> None:
    papers.write_envelope({**papers.envelope(), "payloadType": "text/plain"})


AGAIN = "the statement is made again from plan and journal and must come out the same, byte by byte"
SIGNED = "no trusted key has signed that"
DIGEST = "each file has its digest in evidence.sha256, which is a signed subject"

FORGERIES = (
    Forgery(
        "each field of the statement, the signature left", every_field(Papers.change_payload), Invalid, SIGNED
    ),
    Forgery("each field, signed by a stranger", every_field(sign_as_mallory), Invalid, SIGNED),
    Forgery(
        "each field but the issuer's name and the certificate's id, signed by the agent",
        every_field(sign_as_agent, leave=OPEN),
        Invalid,
        AGAIN,
    ),
    Forgery("a stranger signs and names himself the issuer", once(issue_as_mallory), Invalid, SIGNED),
    Forgery(
        "a stranger signs under the agent's key id", once(borrow_key_id), Invalid, "key ids prove nothing"
    ),
    Forgery(
        "one signature stands twice, two are asked for",
        once(sign_twice),
        Invalid,
        "distinct keys are counted",
    ),
    Forgery(
        "the verifier trusts one key under two names, two are asked for",
        once(trust_twice),
        Refused,
        "distinct keys are counted",
    ),
    Forgery("all signatures are removed", once(unsign), Invalid, "no signature, no certificate"),
    Forgery("another payload type", once(other_type), Invalid, "it is part of what is signed"),
    Forgery("each file of the evidence, one bit", every_file(flip, digest=False), Invalid, DIGEST),
    Forgery("each file of the evidence, removed", every_file(Path.unlink, digest=False), Invalid, DIGEST),
    Forgery(
        "each file of the evidence, a symbolic link to it",
        every_file(link, digest=False),
        Invalid,
        "links are not followed",
    ),
    Forgery(
        "plan, journal, identity or approval, one bit, digests made again and signed by the agent",
        every_file(flip, digest=True),
        Invalid,
        AGAIN,
    ),
    Forgery("the journal's last entry is dropped, the same way", once(drop_last_entry), Invalid, AGAIN),
    Forgery(
        "the journal of another job, the same way",
        once(borrow_evidence),
        Invalid,
        "the chain begins with the plan",
    ),
    Forgery(
        "an approval is dropped, the same way", once(drop_approval), Invalid, "approvals are counted again"
    ),
    Forgery(
        "an approval stands there twice, the same way",
        once(copy_approval),
        Invalid,
        "distinct keys are counted",
    ),
    Forgery(
        "a file more in evidence.sha256",
        once(name_another_file),
        Invalid,
        "it names only files that a certificate has",
    ),
    Forgery("the envelope of another job over this evidence", once(mix), Invalid, DIGEST),
    Forgery(
        "the whole certificate of another job, asked about this target",
        once(replay),
        Invalid,
        "the identity text's digest is a signed subject",
    ),
    Forgery(
        "asked about another target",
        once(ask_about_another),
        Invalid,
        "the identity text's digest is a signed subject",
    ),
    Forgery(
        "asked about a target that differs by one character, line by line",
        ask_with_one_change,
        Invalid,
        "the identity text's digest is a signed subject",
    ),
    Forgery(
        "the agent's own key signs a story that it made up",
        once(write_a_better_story),
        "verifies",
        "**not caught** (limit 1)",
    ),
)
