"""A database, a tape and a mailbox with their data map, for tests of jobs that rest on one."""

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

from deleatur.documents.declared import decode_declaration
from deleatur.engine.directory import JobDirectory
from deleatur.engine.discovery import Request, discover
from deleatur.engine.mapping import attest_map, write_map
from deleatur.testing.workbench import Workbench, signing_key
from deleatur.trust.keys import public_pem

OWNERS = {"it": signing_key("it", 11), "sales": signing_key("sales", 12)}
MAILS = [f"walburga.canary-{n}@mail.example.org" for n in range(40)]
DECLARED = """
schema = "deleatur/declared/v1"
people = { count = 40, owner = "it" }
[[owner]]
name = "it"
key = "it.pub"
[[owner]]
name = "sales"
key = "sales.pub"
[[place]]
url = "sqlite:crm.sqlite"
id = "crm"
owner = "it"
jurisdiction = [{ code = "DE", reason = "seat" }, { code = "CN", reason = "branch" }]
[[place]]
url = "file:tape"
id = "tape"
owner = "it"
jurisdiction = [{ code = "DE", reason = "seat" }]
[[declared]]
id = "mailbox"
what = "private mailbox of sales"
owner = "sales"
evidence = "evidence.pdf"
level = "sensitive"
[[copy]]
source = "crm"
to = "tape"
kind = "backup"
reason = "weekly"
"""
HEAD = """
schema = "deleatur/job/v1"
name = "people"
reason = "other"
authority = "a test"
requested_by = "tester"
without_notice = "nobody of these people exists"
"""
JOB = f"""{HEAD}
[datamap]
file = "../datamap.toml"
laws = ["DE"]
leaves = ["tape"]
[[target]]
id = "people"
url = "sqlite:../crm.sqlite"
[[target.select]]
table = "people"
"""


class House:
    """A database, a tape, a mailbox that nobody can read, and their map."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = Workbench(folder)
        self.sql(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, mail TEXT)",
            *(f"INSERT INTO people (mail) VALUES ('{mail}')" for mail in MAILS),
            "CREATE TABLE towns (name TEXT)",
            "INSERT INTO towns VALUES ('Kassel')",
        )
        (folder / "tape").mkdir()
        (folder / "tape" / "list.csv").write_text("mail\n" + "".join(f"{mail}\n" for mail in MAILS))
        (folder / "evidence.pdf").write_bytes(b"signed by sales")
        for name, key in OWNERS.items():
            (folder / f"{name}.pub").write_bytes(public_pem(key.public))

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.folder / "crm.sqlite")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    @property
    def file(self) -> Path:
        return self.folder / "datamap.toml"

    def map(self, declared: str = DECLARED) -> None:
        declaration = decode_declaration(declared.encode())
        request = Request((), date(2026, 11, 22), "2026-11-22T10:00:00Z", declaration, self.folder)
        write_map(self.file, discover(request, self.bench.registry))

    def attest(self, *owners: str) -> None:
        for owner in owners or OWNERS:
            attest_map(self.file, owner, OWNERS[owner], self.bench.clock)

    def approved(self, job: str = JOB) -> JobDirectory:
        directory = self.bench.job(job)
        self.bench.plan(directory)
        self.bench.approve(directory)
        return directory

    def untouched(self) -> bool:
        raw = (self.folder / "crm.sqlite").read_bytes()
        return all(mail.encode() in raw for mail in MAILS)
