"""A small web shop that closes: a CRM and a salesperson's folder, invented, the same for one seed.

The demo and the integration tests take it through the whole walk.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from deleatur.errors import Refused
from deleatur.testing.shop.crm import write_crm
from deleatur.testing.shop.declared import POLICY, declaration_text
from deleatur.testing.shop.files import write_files
from deleatur.testing.shop.job import job_text
from deleatur.testing.shop.people import Person, people

__all__ = ["POLICY", "Canary", "Shop", "build_shop", "declaration_text", "shop_job"]

_FEWEST = 40  # customers, so that every country has some that are erased and some are held
_LARGE = 2000  # customers; with more, names and addresses come twice: there are only so many
_MOST = 1_000_000  # customers
_SHOWN = 600  # customers of a large shop who stand in the folder, and whose values are looked for


@dataclass(frozen=True, kw_only=True)
class Canary:
    """A personal value whose fate can be looked up in raw bytes."""

    value: str
    kind: str  # name, id_number, phone, email, card, address
    customer: int  # whose it is


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What was built, and what must become of it."""

    database: Path
    files: Path  # the salesperson's folder
    canaries: tuple[Canary, ...]
    held: frozenset[int]  # customers with an open complaint: they stay in the CRM
    ghosts: frozenset[int]  # customers deleted long ago: only free pages still hold them

    def gone(self) -> tuple[Canary, ...]:
        """Return the canaries that no file may hold after the job, ghosts included."""
        return tuple(canary for canary in self.canaries if canary.customer not in self.held)

    def kept(self) -> tuple[Canary, ...]:
        """Return the canaries that the CRM must still hold after the job."""
        return tuple(canary for canary in self.canaries if canary.customer in self.held)


def build_shop(folder: Path, *, customers: int = 600, seed: int = 2026) -> Shop:
    """Build the shop in `folder`, which must not hold one yet; the same seed gives the same shop.

    Raises:
        Refused: fewer than 40 or more than a million customers, or there is something in the way.
    """
    if not _FEWEST <= customers <= _MOST:
        raise Refused(f"a shop has {_FEWEST} to {_MOST} customers; choose a number between them")
    database, files = folder / "crm.sqlite", folder / "销售 Müller"
    if database.exists() or files.exists():
        raise Refused(f"{folder} already holds a shop; choose another folder or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    large = customers > _LARGE
    shown: list[Person] = []
    drawn: Iterable[Person] = people(random, customers, large=large)
    everybody = _noting(drawn, shown, _SHOWN) if large else (shown := [*drawn])
    held, ghosts = write_crm(database, everybody, customers, random, large=large)
    write_files(files, [person for person in shown if person.number not in ghosts])
    canaries = tuple(
        Canary(value=value, kind=kind, customer=person.number)
        for person in shown
        for kind, value in person.identifiers()
        if not large or kind in ("id_number", "phone", "email", "card")  # of the others there are two
    )
    return Shop(database=database, files=files, canaries=canaries, held=held, ghosts=ghosts)


def _noting(persons: Iterable[Person], shown: list[Person], most: int) -> Iterator[Person]:
    """Pass persons on, and keep the first ones."""
    for person in persons:
        if len(shown) < most:
            shown.append(person)
        yield person


def shop_job(
    shop: Shop,
    accounting: str,
    board: str,
    apart: str,
    *,
    datamap: Path | None = None,
    policy: Path | None = None,
) -> str:
    """Return the text of the job.toml that closes `shop`, with the recipients of its custodians.

    `apart` opens the last four digits of cards.

    Given both, it rests on a data map and on the shop's own policy.
    """
    return job_text(shop.database, shop.files, (accounting, board, apart), datamap, policy)
