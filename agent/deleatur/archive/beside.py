"""What lies beside a sealed archive, for those without a key: facts, digests, a signature, how to open it.

`NAME.tar.age` comes with `NAME.json`, `NAME.README.txt`, `NAME.sha256` (input to `sha256sum -c`), its
signature `NAME.sha256.sig` and `agent.pub`. Stock `openssl` and `sha256sum` check them.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Literal

from deleatur.archive.readme import readme, readme_outside
from deleatur.documents.codec import decode_json, encode_json
from deleatur.documents.job import Custody
from deleatur.documents.journal import Archived, ArchivedRows, package_of
from deleatur.documents.place import ArchivePart, Count, Digest, Frozen, Name
from deleatur.errors import Malformed

KEY_FILE = "agent.pub"
_SUFFIX = ".tar.age"


class Opener(Frozen, frozen=True):
    """Who opens the archive."""

    name: Name
    recipient: str
    opens: str  # "alone", or "2 of 3 shares"


class Facts(Frozen, frozen=True):
    """`NAME.json`: what everybody may know of an archive."""

    schema: Literal["deleatur/archive-facts/v1"]
    job: Name
    target: Name
    part: ArchivePart
    plan: Digest
    file: str
    sha256: Digest
    size: Count
    contents: Digest  # of the plain tar inside
    tables: tuple[ArchivedRows, ...]
    retain_until: str
    custodians: tuple[Opener, ...]


def stem_of(file: str) -> str:
    """Return the name that all files of one archive begin with."""
    return file.removesuffix(_SUFFIX)


def facts(job: str, plan_digest: str, archived: Archived, custody: Custody) -> Facts:
    """Return what may be told of an archive."""
    return Facts(
        schema="deleatur/archive-facts/v1",
        job=job,
        target=archived.target,
        part=archived.part,
        plan=plan_digest,
        file=archived.file,
        sha256=archived.sha256,
        size=archived.size,
        contents=archived.contents,
        tables=archived.tables,
        retain_until=custody.retain_until,
        custodians=tuple(
            Opener(name=c.name, recipient=c.recipient, opens=c.in_words()) for c in custody.custodian
        ),
    )


def beside(told: Facts, custody: Custody, pem: bytes, sign: Callable[[bytes], bytes]) -> dict[str, bytes]:
    """Return the files that go beside an archive, by name; `pem` is the public key of who signs."""
    stem = stem_of(told.file)
    text = readme(
        title=f"{told.job} / {package_of(told.target, told.part)}", file=told.file, bag=stem, custody=custody
    )
    outside = readme_outside(text, stem=stem, verify=signature_command(stem, pem))
    files = {f"{stem}.json": encode_json(told), f"{stem}.README.txt": outside.encode()}
    lines = {told.file: told.sha256, **{n: hashlib.sha256(c).hexdigest() for n, c in files.items()}}
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(lines.items())).encode()
    return {**files, f"{stem}.sha256": listed, f"{stem}.sha256.sig": sign(listed), KEY_FILE: pem}


def facts_in(files: Mapping[str, bytes], file: str, verifies: Callable[[bytes, bytes], bool]) -> Facts | None:
    """Return the facts beside an archive if their signature holds, else None.

    `verifies` is asked with signature and message. That the sealed file has its digest is not asked here.
    """
    stem = stem_of(file)
    try:
        content, listed = files[f"{stem}.json"], files[f"{stem}.sha256"]
        told = decode_json(content, Facts)
        if not verifies(files[f"{stem}.sha256.sig"], listed):
            return None
    except (KeyError, Malformed):
        return None
    wanted = {f"{told.sha256}  {file}", f"{hashlib.sha256(content).hexdigest()}  {stem}.json"}
    return told if told.file == file and wanted <= {*listed.decode(errors="replace").splitlines()} else None


def signature_command(stem: str, pem: bytes) -> str:
    """Return the command of stock OpenSSL 3 that checks the signature, for the kind of the key."""
    der = base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")))
    files = f"-in {stem}.sha256 -sigfile {stem}.sha256.sig"
    if b"\x2b\x65\x70" in der[:16]:  # RFC 8410 §3: id-Ed25519
        return f"openssl pkeyutl -verify -pubin -inkey {KEY_FILE} -rawin {files}"
    return f"openssl dgst -sha256 -verify {KEY_FILE} -signature {stem}.sha256.sig {stem}.sha256"
