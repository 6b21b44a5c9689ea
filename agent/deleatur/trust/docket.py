"""Sign and read the lines of the docket: each is a DSSE envelope in canonical form.

Rules: as those of the hold register: whoever acts signs, and a line by a key that this agent does not
know breaks the docket; a torn last line never happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from deleatur.documents.chain import digest_of_line, links
from deleatur.documents.codec import encode_json
from deleatur.documents.docket import AnyAct, Line, decode_line
from deleatur.documents.plan import PublicKey
from deleatur.judge.docket import Standing, fold
from deleatur.judge.fingerprint import spki_bytes
from deleatur.trust.dsse import seal
from deleatur.trust.keys import SigningKey
from deleatur.trust.register import NOTHING, signed_line

# A name that nobody can own, until the project owns one: docs/adr/0014-type-uris-under-a-reserved-name.md
DOCKET_TYPE = "https://deleatur.example/docket/v1"


@dataclass(frozen=True)
class Docket:
    """A docket that was read and verified."""

    lines: tuple[Line, ...]
    head: str  # sha256 hex of the last line: it stands for everything before it
    sound: int  # bytes of the whole lines
    matters: dict[str, Standing]  # without deadlines


def sign_docket_line(docket: Docket, act: AnyAct, key: SigningKey, at: str) -> bytes:
    """Return the next line, newline included; `at` is RFC 3339 in UTC with milliseconds and `Z`."""
    line = Line(n=len(docket.lines), at=at, previous=docket.head, by=key.public, act=act)
    payload = encode_json(line)
    decode_line(payload)
    return seal(payload, DOCKET_TYPE, [key])


def read_docket(content: bytes, keys: Sequence[PublicKey]) -> Docket:
    """Return the docket in `content`, verified.

    Raises:
        Malformed: `broken-chain`: a line is not in its place, cannot follow, or is not signed by a known key.
    """
    sound = content.rfind(b"\n") + 1
    known = {spki_bytes(key) for key in keys}
    whole = [text + b"\n" for text in content[:sound].split(b"\n")[:-1]]
    lines = tuple(links(whole, NOTHING, lambda line: signed_line(line, DOCKET_TYPE, decode_line, known)))
    return Docket(lines, digest_of_line(whole[-1]) if whole else NOTHING, sound, fold(lines))
