"""The agent's settings: which code and which keys this installation trusts."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deleatur.backend import Backend
from deleatur.documents.agent import Agent
from deleatur.documents.codec import MAX_JOB, decode_toml, read_limited
from deleatur.documents.gates import Member
from deleatur.documents.plan import PluginPin, PublicKey, RoleKeys
from deleatur.engine.chronicle import Clock
from deleatur.engine.docket import DocketFile
from deleatur.engine.holding import HoldSources
from deleatur.engine.reading import decoding
from deleatur.engine.register import HoldRegister
from deleatur.engine.registry import backend_class
from deleatur.errors import Refused
from deleatur.trust.keys import load_public

NAME = "deleatur.toml"


@dataclass(frozen=True)
class Settings:
    """A decoded `deleatur.toml` and the folder that its key files are relative to."""

    folder: Path
    agent: Agent

    def registry(self, scheme: str) -> tuple[type[Backend], PluginPin]:
        """Return the trusted backend for a scheme."""
        return backend_class(scheme, self.agent.plugins.trusted)

    @property
    def agent_key(self) -> Path:
        """The file of the agent's private key."""
        return self.folder / self.agent.keys.agent

    def approvers(self) -> tuple[PublicKey, ...]:
        """Return the public keys whose approvals count."""
        return self._public(self.agent.keys.approvers)

    def roles(self) -> tuple[RoleKeys, ...]:
        """Return the roles that approvers have."""
        return tuple(
            RoleKeys(role=role, keys=tuple(key.spki for key in self._public(paths)))
            for role, paths in self.agent.roles.items()
        )

    def people(self, clock: Clock) -> tuple[Member, ...]:
        """Return who is who, for jobs that ask for it; whose access is not in force now runs nothing.

        Raises:
            Refused: somebody's access stands in a docket that cannot be read.
        """
        asked = {person.access for person in self.agent.person} - {None}
        docket = self.docket() if asked else None
        if asked and docket is None:
            raise Refused("[[person]] names an access, and the settings name no docket; add [docket]")
        standing = docket.standings(clock) if docket is not None else ()
        given = {None, *(one.matter.id for one in standing if one.in_force)}
        return tuple(
            Member(
                name=person.name,
                keys=tuple(key.spki for key in self._public(person.keys)),
                trained_until=person.trained_until if person.access in given else None,
            )
            for person in self.agent.person
        )

    def register(self) -> HoldRegister | None:
        """Return the hold register; None if this agent has none."""
        holds = self.agent.holds
        if holds.register is None:
            return None
        path = Path(os.path.normpath(self.folder / holds.register))
        return HoldRegister(path, self._public(holds.keys), self._public(holds.former))

    def docket(self) -> DocketFile | None:
        """Return the docket; None if this agent keeps none."""
        kept = self.agent.docket
        if kept.file is None:
            return None
        path, calendar = (Path(os.path.normpath(self.folder / name)) for name in (kept.file, kept.calendar))
        return DocketFile(path, self._public(kept.keys), calendar)

    def holds(self) -> HoldSources:
        """Return where this agent looks for what holds in every job."""
        policies = (Path(os.path.normpath(self.folder / name)) for name in self.agent.holds.policies)
        return HoldSources(self.register(), tuple(policies))

    def _public(self, paths: Iterable[str]) -> tuple[PublicKey, ...]:
        return tuple(load_public(self.folder / path) for path in paths)


def load_settings(path: Path | None) -> Settings:
    """Read the settings at `path`, or the first `deleatur.toml` here or in the user's folder.

    Raises:
        Refused: there is none.
        Malformed: it does not follow docs/reference/settings.md.
    """
    places = [path] if path is not None else [Path(NAME), Path.home() / ".config" / "deleatur" / NAME]
    for place in places:
        if place.is_file():
            with decoding(str(place)):
                return Settings(place.absolute().parent, decode_toml(read_limited(place, MAX_JOB), Agent))
    raise Refused(f"there is no {' or '.join(map(str, places))}; make one with `deleatur init`")
