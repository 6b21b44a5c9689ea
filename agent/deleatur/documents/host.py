"""The host on which a job is done, in `host.toml` beside `job.toml` (docs/spec/host.md), written by people.

It names the one key that the host must show: there is no first time at which any key is taken.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.codec import decode_toml
from deleatur.documents.place import Frozen, Text
from deleatur.documents.rules import Fault, raise_all

SSH_AGENT = "ssh-agent"  # as `login`: keys of the agent that SSH_AUTH_SOCK names

# Only characters that no shell gives a meaning: the far command line is put together from these.
Place = Annotated[str, Meta(pattern=r"^/[A-Za-z0-9._+/-]{1,1000}\Z")]


class Host(Frozen, frozen=True):
    """The whole document. Paths in `signer` and `login` are relative to its folder."""

    schema: Literal["deleatur/host/v1"]
    address: Annotated[str, Meta(pattern=r"^[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}\Z")]
    user: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\Z")]
    host_key: Annotated[
        str, Meta(pattern=r"^(ssh-ed25519|ecdsa-sha2-nistp256) [A-Za-z0-9+/]{20,400}={0,2}\Z")
    ]
    login: Text  # a private key for SSH, or "ssh-agent"
    signer: Text  # the public key of the agent there, which signs plan and certificate
    program: Place  # deleatur there
    folder: Place  # the job's directory there
    python: Place | None = None  # there; with it the agent here is copied to the folder of `program`
    settings: Place | None = None  # deleatur.toml there; None: as deleatur there finds it
    port: Annotated[int, Meta(ge=1, le=65535)] = 22

    @property
    def key_kind(self) -> str:
        """The kind of the host's key, as SSH names it."""
        return self.host_key.partition(" ")[0]

    @property
    def key_blob(self) -> bytes:
        """The host's public key as SSH sends it (RFC 4253 §6.6)."""
        return base64.b64decode(self.host_key.partition(" ")[2])

    @property
    def command(self) -> str:
        """The command line that is asked for there; it holds no secret."""
        settings = f" --settings {self.settings}" if self.settings else ""
        return f"{self.program} remote serve {self.folder}{settings}"


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a key as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def decode_host(content: bytes) -> Host:
    """Decode `host.toml`.

    Raises:
        Malformed: what docs/spec/host.md forbids.
    """
    host = decode_toml(content, Host)
    raise_all([*_faults(host)])
    return host


def _faults(host: Host) -> Iterator[Fault]:
    kind = host.key_kind.encode()
    try:
        blob = base64.b64decode(host.host_key.partition(" ")[2], validate=True)
    except binascii.Error:
        yield Fault("bad-value", "$.host_key", "the key is not base64")
        return
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind):
        yield Fault("bad-value", "$.host_key", "the key is of another kind than its first word says")
    for key in ("program", "folder", "python", "settings"):
        if ".." in (getattr(host, key) or "").split("/"):
            yield Fault("bad-value", f"$.{key}", "the path goes back by `..`")
