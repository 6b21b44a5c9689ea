"""The agent's own settings, in `deleatur.toml`: whom it trusts, and nothing about any job."""

from typing import Annotated, Literal

from msgspec import Meta, field

from deleatur.documents.ledger import Day
from deleatur.documents.place import Frozen, Name, Role

Requirement = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(==[A-Za-z0-9.!+_-]+)?\Z")]


class Plugins(Frozen, frozen=True):
    """Distributions whose code may run: a name, or `name==version`."""

    trusted: tuple[Requirement, ...] = ("deleatur",)


class Keys(Frozen, frozen=True):
    """Key files, relative to the folder of `deleatur.toml`."""

    agent: str
    approvers: tuple[str, ...] = ()


class Holds(Frozen, frozen=True):
    """What holds in every job. Paths are relative to `deleatur.toml`."""

    register: str | None = None  # the register of legal holds
    policies: tuple[str, ...] = ()  # policy files whose `[[matter]]` are asked
    keys: tuple[str, ...] = ()  # public; may place and release in the register
    former: tuple[str, ...] = ()  # public; what they placed holds, what they released does not count


class DocketSettings(Frozen, frozen=True):
    """Requests, complaints and findings with their due times. Paths are relative to `deleatur.toml`."""

    file: str | None = None  # none is kept
    calendar: str = "calendar.toml"  # which days are worked
    keys: tuple[str, ...] = ()  # public; may sign in the docket


class Person(Frozen, frozen=True):
    """Somebody, by a pseudonym, and all keys that are theirs: files, relative to `deleatur.toml`."""

    name: Name
    keys: Annotated[tuple[str, ...], Meta(min_length=1)]  # public
    trained_until: Day | None = None  # the last day as operator; None: runs nothing
    access: Name | None = None  # the grant in the docket without which they run nothing


class Agent(Frozen, frozen=True):
    """The whole file."""

    schema: Literal["deleatur/agent/v1"]
    keys: Keys
    plugins: Plugins = Plugins()
    holds: Holds = Holds()
    docket: DocketSettings = DocketSettings()
    person: tuple[Person, ...] = ()  # who is who, for jobs that ask for it
    roles: dict[Role, tuple[str, ...]] = field(
        default_factory=dict
    )  # role: key files of approvers, relative to this file
