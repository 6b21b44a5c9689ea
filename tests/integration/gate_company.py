"""A company whose job rests on every gate: map, holds, notice, approvals, copies, receipts.

Each gate can be opened and closed; what is closed the company itself knows, from what was done and
not from what deleatur says.
"""

import shutil
import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from deleatur.archive.age import new_identity
from deleatur.documents.declared import decode_declaration
from deleatur.engine import handing, keeping
from deleatur.engine.directory import JobDirectory
from deleatur.engine.discovery import Request, discover
from deleatur.engine.gates import notice as notice_gate
from deleatur.engine.handing import copy_archives, import_receipt, make_receipt
from deleatur.engine.holding import HoldSources
from deleatur.engine.jobs import approve_job, read_plan
from deleatur.engine.mapping import attest_map, attested, read_map, write_map
from deleatur.engine.notices.desk import Desk
from deleatur.engine.notices.feedback import import_log
from deleatur.engine.notices.folder import read_ledger
from deleatur.engine.notices.telling import write_letters
from deleatur.testing.workbench import signing_key
from deleatur.trust.keys import public_pem

from .notice_case import Days, quiet, references_in

OWNERS = {"it": signing_key("it", 11), "sales": signing_key("sales", 12)}
CUSTODIANS = {name: (signing_key(name, n), *new_identity()) for n, name in ((21, "records"), (22, "board"))}
COPIES = {"vault": ("disk", "office"), "stick": ("flash", "office"), "mine": ("tape", "salt-mine")}
PEOPLE = 6
DAYS = 30  # that the policies give people
DECLARED = """
schema = "deleatur/declared/v1"
people = {{ count = {people}, owner = "it" }}
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
jurisdiction = [{{ code = "{law}", reason = "seat" }}]
[[declared]]
id = "mailbox"
what = "mailbox of sales"
owner = "sales"
evidence = "evidence.pdf"
level = "sensitive"
"""
MATTERS = """
schema = "deleatur/policy/v1"
id = "matters"
version = "1"
title = "When a matter of the shop is open"
jurisdiction = "any"
date = "2026-11-22"
[[matter]]
id = "open-order"
matter = "open-order"
department = "sales"
place = "{url}"
table = "orders"
where = [{{ column = "status", operator = "=", value = "open" }}]
holds = [{{ table = "customers", column = "id", by = "customer_id" }}]
"""
JOB = """
schema = "deleatur/job/v1"
name = "close"
reason = "retention-expired"
authority = "a test"
requested_by = "tester"
[datamap]
file = "../datamap.toml"
[notice]
folder = "../notice"
cut_off = "2026-12-22"
mail_from = "privacy@shop.example"
[[notice.letter]]
language = "en"
sender = "Shop Ltd"
reason = "our shop closes at the end of the year"
erased = "your account"
method = "the records are overwritten where they are stored, and the result is read back"
export = "ask for it by e-mail"
contact = "privacy@shop.example"
[[notice.recipients]]
target = "crm"
table = "customers"
subject = "id"
name = "name"
phone = "mobile"
[custody]
retain_until = "2036-12-31"
laws = ["DE"]
{custodians}{copies}
[[target]]
id = "crm"
url = "sqlite:../crm.sqlite"
[[target.select]]
table = "customers"
[[target.hold]]
id = "wrote-back"
reason = "a matter is open, or no letter arrived"
table = "customers"
where = [{{ column = "id", operator = "in", values_from = "../notice/held.txt" }}]
[[target.archive]]
table = "customers"
[target.archive.columns]
id = {{ rule = "keyed-hash" }}
name = {{ rule = "drop" }}
mobile = {{ rule = "mask" }}
since = {{ rule = "keep" }}
"""


class Company:
    """One company, one job."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.bench = Days(folder)
        self.database = folder / "crm.sqlite"
        self.media = {name: folder / "media" / name for name in COPIES}
        for path in self.media.values():
            path.mkdir(parents=True)
        for module in (handing, keeping):
            patch.setattr(module, "disks_of", self._disks_of)
        patch.setattr(notice_gate, "uptime", self.bench.uptime)
        self.sql(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, mobile TEXT, since TEXT)",
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, status TEXT)",
            *(
                f"INSERT INTO customers VALUES ({n}, 'Canary Walburga {n}', '+49 160 55501{n:02}',"
                f" '2024-05-0{n}')"
                for n in range(1, PEOPLE + 1)
            ),
            *(f"INSERT INTO orders VALUES ({n}, {n}, 'closed')" for n in range(1, PEOPLE + 1)),
        )
        (folder / "evidence.pdf").write_bytes(b"signed by sales")
        for name, key in OWNERS.items():
            (folder / f"{name}.pub").write_bytes(public_pem(key.public))
        policy = folder / "matters.toml"
        policy.write_text(MATTERS.format(url=f"sqlite://{self.database}"))
        self.bench.holds = HoldSources(policies=(policy,))
        self.directory = self.job()

    def job(self, name: str = "job") -> JobDirectory:
        """Make the job, from the start."""
        custodians = "".join(
            f'[[custody.custodian]]\nname = "{name}"\nrecipient = "{recipient}"\nkey = "{name}.pub"\n'
            for name, (_, _, recipient) in CUSTODIANS.items()
        )
        copies = "".join(
            f'[[custody.copy]]\nid = "{name}"\nurl = "file://{self.media[name]}"\nmedium = "{medium}"\n'
            f'site = "{site}"\nlaw = "DE"\n'
            for name, (medium, site) in COPIES.items()
        )
        made = self.bench.job(JOB.format(custodians=custodians, copies=copies), name)
        for custodian, (key, _, _) in CUSTODIANS.items():
            (made.path / f"{custodian}.pub").write_bytes(public_pem(key.public))
        return made

    def _disks_of(self, path: Path) -> tuple[str, ...]:
        """Tell the disks that this world has, in place of the one disk of the test machine."""
        return (f"SERIAL-{path.name}",)

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.database)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    def whole(self) -> bool:
        """Say whether every customer is still there."""
        with closing(sqlite3.connect(self.database)) as database:
            rows = database.execute("SELECT name FROM customers").fetchall()
        return [name for (name,) in rows] == [f"Canary Walburga {n}" for n in range(1, PEOPLE + 1)]

    # the map

    @property
    def map(self) -> Path:
        return self.folder / "datamap.toml"

    def discover(self, *, people: int = PEOPLE, law: str = "DE") -> None:
        self.map.unlink(missing_ok=True)
        shutil.rmtree(f"{self.map}.attested", ignore_errors=True)
        declaration = decode_declaration(DECLARED.format(people=people, law=law).encode())
        request = Request((), date(2026, 11, 22), "2026-11-22T07:00:00Z", declaration, self.folder)
        write_map(self.map, discover(request, self.bench.registry))

    def attest(self, *owners: str) -> None:
        done = attested(self.map, read_map(self.map))
        for owner in owners or OWNERS:
            if owner not in done:
                attest_map(self.map, owner, OWNERS[owner], self.bench.clock)

    def withdraw(self, owner: str) -> None:
        for envelope in Path(f"{self.map}.attested").glob(f"{owner}-*"):
            envelope.unlink()

    # the notice

    def desk(self) -> Desk:
        return Desk(self.directory, self.bench.registry, self.bench.clock, self.bench.uptime)

    def tell(self) -> None:
        """Write to everybody by text message; the log says that all arrived."""
        ((path, _),) = write_letters(self.desk(), self.bench.agent, self.folder / "out", quiet)
        log = self.folder / "log.csv"
        references = references_in(path)
        log.write_text("reference,status\n" + "".join(f"{r},delivered\n" for r in references))
        import_log(self.desk(), self.bench.agent, [log])
        path.unlink()

    @property
    def told_at(self) -> datetime:
        return datetime.fromisoformat(str(read_ledger(self.desk().folder).standing.last_told))

    def until_day(self, number: int, **span: float) -> None:
        """Let days pass, to day `number` after the notice."""
        moment = self.told_at + timedelta(days=number, **span)
        self.bench.later(seconds=(moment - self.bench.now).total_seconds())

    # approvals, copies, receipts

    def plan(self) -> None:
        self.bench.plan(self.directory)

    def approve(self, *names: str) -> None:
        for key in self.bench.approvers:
            if not names or key.public.name in names:
                approve_job(self.directory, key, self.bench.clock, digest=read_plan(self.directory).digest)

    def copy(self, *names: str) -> None:
        copy_archives(self.directory, self.bench.agent, self.bench.clock, names)

    def receive(self, *names: str) -> None:
        sealed = next(self.directory.archive.glob("*.tar.age"))
        for name in names or CUSTODIANS:
            key, identity, _ = CUSTODIANS[name]
            import_receipt(self.directory, make_receipt(sealed, identity, name, key, self.bench.clock))

    def run(self) -> None:
        self.bench.run(self.directory)
