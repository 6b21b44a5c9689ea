"""A workbench for whole jobs: keys in memory, a clock that stands still, every backend at hand.

Tests of the engine, and vendors who want to see their backend in a whole walk, use it. Nothing is
shortened: jobs are planned, approved by two keys, run and certified as on a real host.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deleatur.backend import Backend
from deleatur.documents.gates import Member
from deleatur.documents.plan import PluginPin, PublicKey, RoleKeys
from deleatur.engine.directory import JobDirectory
from deleatur.engine.holding import HoldSources
from deleatur.engine.hooks import Hooks
from deleatur.engine.jobs import Approved, approve_job, plan_job, read_plan, run_job
from deleatur.engine.registry import backend_class
from deleatur.judge.confirming import marks
from deleatur.testing.memory import MemoryBackend
from deleatur.trust.keys import SigningKey

PIN = PluginPin(distribution="deleatur", version="0", record_digest="00" * 32, entry_point="test")


def signing_key(name: str, number: int) -> SigningKey:
    """Return the same test key for the same number, without a file and without a passphrase."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(PublicKey(name=name, spki=base64.b64encode(spki).decode()), private)


class Workbench:
    """One folder with job directories; `extra` are backends by scheme that are under test."""

    def __init__(self, folder: Path, extra: Mapping[str, type[Backend]] | None = None) -> None:
        self.folder = folder
        self.backends: dict[str, type[Backend]] = {"memory": MemoryBackend, **(extra or {})}
        self.agent = signing_key("agent", 1)
        self.approvers = (signing_key("alice", 2), signing_key("bob", 3))
        self.hooks = Hooks()
        self.holds = HoldSources()
        self.roles: tuple[RoleKeys, ...] = ()
        self.people: tuple[Member, ...] = ()
        self._installed: dict[str, tuple[type[Backend], PluginPin]] = {}
        self._ticks = 0

    def registry(self, scheme: str) -> tuple[type[Backend], PluginPin]:
        """Return a backend under test, else the installed one."""
        if scheme in self.backends:
            return self.backends[scheme], PIN
        if scheme not in self._installed:
            self._installed[scheme] = backend_class(scheme, ("deleatur",))
        return self._installed[scheme]

    def clock(self) -> datetime:
        """Return a time that goes on by one second a call."""
        self._ticks += 1
        return datetime(2026, 11, 22, 12, 0, tzinfo=UTC) + timedelta(seconds=self._ticks)

    def job(self, text: str, name: str = "job") -> JobDirectory:
        """Make a job directory from the text of a job.toml."""
        path = self.folder / name
        path.mkdir(parents=True)
        (path / "job.toml").write_text(text, encoding="utf-8")
        return JobDirectory(path)

    def plan(self, directory: JobDirectory) -> Approved:
        """Plan with the agent's key; alice and bob may approve."""
        return plan_job(
            directory,
            self.registry,
            planner=self.agent,
            approvers=[k.public for k in self.approvers],
            clock=self.clock,
            holds=self.holds,
            roles=self.roles,
            people=self.people,
        )

    def approve(self, directory: JobDirectory, keys: Sequence[SigningKey] | None = None) -> None:
        """Approve with the given keys, else with both approvers."""
        for key in self.approvers if keys is None else keys:
            approved = read_plan(directory)
            typed = {name: mark for name, (_, mark) in marks(approved.plan).items()}
            approve_job(directory, key, self.clock, digest=approved.digest, typed=typed)

    def run(
        self, directory: JobDirectory, *keys: SigningKey, bytes_per_second: float | None = None
    ) -> Approved:
        """Run or resume; `keys` sign the certificate beside the agent's."""
        return run_job(
            directory,
            registry=self.registry,
            hooks=self.hooks,
            keys=[self.agent, *keys],
            approvers=[k.public for k in self.approvers],
            clock=self.clock,
            holds=self.holds,
            roles=self.roles,
            people=self.people,
            progress=lambda _phase, _target, _done, _total: None,
            bytes_per_second=bytes_per_second,
        )

    def approved(self, text: str, name: str = "job") -> JobDirectory:
        """Make, plan and approve a job."""
        directory = self.job(text, name)
        self.plan(directory)
        self.approve(directory)
        return directory

    def whole(self, text: str, name: str = "job") -> JobDirectory:
        """Make, plan, approve and run a job."""
        directory = self.approved(text, name)
        self.run(directory)
        return directory
