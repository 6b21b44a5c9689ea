"""Sign and read the lines of the hold register: each is a DSSE envelope in canonical form.

Rules: whoever acts signs; a line by a key that this agent does not know breaks the register, for
nobody can tell what else such a writer did; a torn last line never happened.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from deleatur.documents.chain import digest_of_line, links
from deleatur.documents.codec import MAX_LINE, decode_canonical, encode_json
from deleatur.documents.hold import AnyAct, Line, decode_line
from deleatur.documents.plan import PublicKey
from deleatur.errors import Invalid, Malformed
from deleatur.judge.fingerprint import key_id, spki_bytes
from deleatur.judge.holds import Standing, standing
from deleatur.trust.dsse import Envelope, decode_envelope, seal, unseal
from deleatur.trust.keys import SigningKey

# A name that nobody can own, until the project owns one: docs/adr/0014-type-uris-under-a-reserved-name.md
REGISTER_TYPE = "https://deleatur.example/hold-register/v1"
NOTHING = "0" * 64  # what the first line has before it


class Signed(Protocol):
    """What every signed line carries: its place in the chain, and whose it is."""

    @property
    def n(self) -> int: ...
    @property
    def previous(self) -> str: ...
    @property
    def by(self) -> PublicKey: ...


SignedLine = TypeVar("SignedLine", bound=Signed)


@dataclass(frozen=True)
class Register:
    """A register that was read and verified."""

    lines: tuple[Line, ...]
    digests: tuple[str, ...]  # sha256 hex of each line without its newline
    sound: int  # bytes of the whole lines
    holds: tuple[Standing, ...]

    @property
    def head(self) -> str:
        """The digest of the last line: it stands for everything before it."""
        return self.digests[-1] if self.digests else NOTHING

    @property
    def open(self) -> tuple[Standing, ...]:
        """The holds that still hold."""
        return tuple(s for s in self.holds if s.open)


def sign_line(register: Register, act: AnyAct, key: SigningKey, at: str) -> bytes:
    """Return the next line, newline included; `at` is RFC 3339 in UTC with milliseconds and `Z`."""
    line = Line(n=len(register.lines), at=at, previous=register.head, by=key.public, act=act)
    payload = encode_json(line)
    decode_line(payload)
    return seal(payload, REGISTER_TYPE, [key])


def read_register(content: bytes, keys: Sequence[PublicKey], former: Sequence[PublicKey] = ()) -> Register:
    """Return the register in `content`, verified.

    Args:
        content: of the file.
        keys: that may place and release.
        former: whose holds still hold, and whose releases no longer count.

    Raises:
        Malformed: `broken-chain`: a line is not in its place, or not signed by a known key.
    """
    sound = content.rfind(b"\n") + 1
    known = {spki_bytes(key) for key in (*keys, *former)}
    whole = [text + b"\n" for text in content[:sound].split(b"\n")[:-1]]
    lines = tuple(links(whole, NOTHING, lambda line: signed_line(line, REGISTER_TYPE, decode_line, known)))
    digests = tuple(map(digest_of_line, whole))
    return Register(lines, digests, sound, standing(lines, former))


def signed_line(
    envelope: bytes, payload_type: str, decode: Callable[[bytes], SignedLine], known: set[bytes]
) -> SignedLine:
    """Return what is signed of one line of a register, by the one key that it names.

    Raises:
        Malformed: it is not canonical, or not signed by a key that is known (SubjectPublicKeyInfo).
    """
    parsed = decode_canonical(envelope, Envelope, limit=MAX_LINE)
    opened = decode_envelope(envelope)
    line = decode(opened.payload)
    try:
        if spki_bytes(line.by) not in known:
            raise Invalid(f"the key that {line.by.name} signed with is not one of this register's")
        _, signers = unseal(envelope, payload_type, [line.by])
    except Invalid as error:
        raise Malformed(str(error), kind="unsigned", where="$.by") from None
    if [signature.keyid for signature in parsed.signatures] != [key_id(line.by)] or not signers:
        raise Malformed(f"not signed by the key of {line.by.name}", kind="unsigned", where="$.by")
    return line
