"""Make an installation's settings and keys, and add approvers to it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deleatur.documents.agent import Agent, DocketSettings, Holds
from deleatur.documents.codec import MAX_JOB, decode_toml, read_limited
from deleatur.documents.plan import PublicKey
from deleatur.documents.toml import encode_toml
from deleatur.engine.directory import sync_directory, write_all
from deleatur.engine.settings import NAME
from deleatur.errors import Refused
from deleatur.judge.fingerprint import key_id
from deleatur.trust.keys import generate, load_public, public_pem

Kind = Literal["ed25519", "p-256"]
_KEYS = "keys"


@dataclass(frozen=True)
class MadeKey:
    """A key that was made or added, for people."""

    role: Literal["agent", "approver"]
    name: str
    key_id: str
    path: str


def make_settings(folder: Path, kind: Kind, passphrase: bytes) -> MadeKey:
    """Make `deleatur.toml` and the agent's key in `folder`.

    Raises:
        Refused: settings or key are there already.
    """
    path = folder / NAME
    if path.exists():
        raise Refused(f"{path} is there already")
    keys = folder / _KEYS
    keys.mkdir(mode=0o700, exist_ok=True)
    public = generate(keys, "agent", kind, passphrase)
    _write(path, _toml(f"{_KEYS}/agent.key", (), ("deleatur",)))
    return MadeKey("agent", public.name, key_id(public), str(keys / "agent.key"))


def add_approver_key(folder: Path, name: str, kind: Kind, passphrase: bytes) -> MadeKey:
    """Make a key pair for an approver and let its public half approve."""
    keys = folder / _KEYS
    public = generate(keys, name, kind, passphrase)
    _add(folder, f"{_KEYS}/{name}.pub", public)
    return MadeKey("approver", name, key_id(public), str(keys / f"{name}.key"))


def add_approver_public(folder: Path, public: Path) -> MadeKey:
    """Copy an approver's public key beside the settings and let it approve.

    Raises:
        Invalid: the file holds no key that may be trusted.
        Refused: that key may approve already.
    """
    key = load_public(public)
    copy = folder / _KEYS / f"{key.name}.pub"
    if not copy.exists():
        _write(copy, public_pem(key))
    elif load_public(copy).spki != key.spki:
        raise Refused(f"{copy} is another key; rename the new one")
    _add(folder, f"{_KEYS}/{copy.name}", key)
    return MadeKey("approver", key.name, key_id(key), str(copy))


def _add(folder: Path, path: str, key: PublicKey) -> None:
    settings = folder / NAME
    agent = decode_toml(read_limited(settings, MAX_JOB), Agent)
    if key.spki in {load_public(folder / p).spki for p in agent.keys.approvers}:
        raise Refused(f"the key {key_id(key)} may approve already")
    content = _toml(agent.keys.agent, (*agent.keys.approvers, path), agent.plugins.trusted)
    _write(settings, content + _others(agent))


def _toml(agent: str, approvers: tuple[str, ...], trusted: tuple[str, ...]) -> bytes:
    """Return the settings file; its strings hold no character that TOML would have to escape."""
    return (
        'schema = "deleatur/agent/v1"\n\n'
        "[keys]\n"
        f"agent = '{agent}'  # private; signs plans and certificates\n"
        f"approvers = [{_strings(approvers)}]  # public; only these may approve\n\n"
        "[plugins]\n"
        f"trusted = [{_strings(trusted)}]  # distributions whose code may run\n"
    ).encode()


def _others(agent: Agent) -> bytes:
    """Return the sections that an owner added by hand."""
    parts = [f"\n[holds]\n{encode_toml(agent.holds)}"] if agent.holds != Holds() else []
    if agent.docket != DocketSettings():
        parts.append(f"\n[docket]\n{encode_toml(agent.docket)}")
    parts += [f"\n[[person]]\n{encode_toml(person)}" for person in agent.person]
    roles = [f"{role} = [{_strings(paths)}]\n" for role, paths in agent.roles.items()]
    return "".join([*parts, *(["\n[roles]\n", *roles] if roles else [])]).encode()


def _strings(items: tuple[str, ...]) -> str:
    return ", ".join(f"'{item}'" for item in items)


def _write(path: Path, content: bytes) -> None:
    """Replace a file whole: settings are never half written."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)
