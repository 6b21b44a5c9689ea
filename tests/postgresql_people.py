"""Forty people in a PostgreSQL database, half of whom leave, and the job that lets them."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from deleatur.api import Condition, Selection, Target
from deleatur.testing.trial import steps_of
from deleatur_plugins.postgresql import PostgresqlBackend

from .postgresql_server import RunningServer

(REWRITE,) = steps_of("rewrite-and-reclaim", "t")
(SWAP,) = steps_of("swap-and-shred", "t")
EVERYBODY = (Selection(table="person", where=(Condition(column="leaves", operator="=", value=True),)),)


@contextmanager
def of_forty_people(server: RunningServer, *first: str) -> Iterator[str]:
    """A database of its own with a table of forty people, half of whom leave; `first` runs before."""
    name = f"d{uuid.uuid4().hex[:8]}"
    server.run(f"CREATE DATABASE {name}")
    server.run(
        *first,
        "CREATE TABLE person (id int PRIMARY KEY, leaves boolean, name text, memo text)",
        "INSERT INTO person SELECT n, n % 2 = 0, md5(n::text || random()), md5(random()::text) "
        "FROM generate_series(1, 40) n",
        "ANALYZE person",
        "CHECKPOINT",
        database=name,
    )
    yield name
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


def opened(server: RunningServer, database: str, *, key: bytes = b"", **fields: Any) -> PostgresqlBackend:
    """Open it as the same job each time; a job of its own for each test, or for another `key`."""
    target = Target(id="t", url=server.url(database), **{"select": EVERYBODY, **fields})
    return PostgresqlBackend.open(target, {"digest-key": key or sha256(database.encode()).digest()})


def values(server: RunningServer, database: str, where: str = "leaves") -> list[bytes]:
    shown = server.run(f"SELECT name FROM person WHERE {where} ORDER BY id", database=database)
    return [name.encode() for (name,) in shown]


def job_text(
    server: RunningServer, database: str, *, device: bool = True, user: str = "postgres", technique: str = ""
) -> str:
    return f"""
schema = "deleatur/job/v1"
name = "leavers"
reason = "retention-expired"
authority = "policy 3"
requested_by = "legal"

[verification]
device = {str(device).lower()}

[[target]]
id = "people"
url = "{server.url(database, user)}"
{f'technique = "{technique}"' if technique else ""}

[[target.select]]
table = "person"
where = [{{ column = "leaves", operator = "=", value = true }}]
"""
