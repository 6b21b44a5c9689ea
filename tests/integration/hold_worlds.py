"""A CRM with open matters, and holds to put on it: what the tests of holds and of cycles work on."""

import sqlite3
from contextlib import closing
from pathlib import Path

from deleatur.documents.codec import decode_toml
from deleatur.documents.hold import Hold as LegalHold
from deleatur.engine.holding import HoldSources
from deleatur.testing.workbench import Workbench, signing_key
from deleatur_plugins.sqlite import SqliteBackend

LEGAL = signing_key("legal", 80)
HEAD = """
schema = "deleatur/job/v1"
name = "walk"
reason = "other"
authority = "a test"
requested_by = "tester"
"""


def legal_hold(name: str, scope: str, matter: str = "dispute") -> LegalHold:
    text = f"""
schema = "deleatur/hold/v1"
id = "{name}"
matter = "{matter}"
authority = "legal department"
case = "3 O 17/26"
since = "2026-11-01"
[scope]
{scope}
"""
    return decode_toml(text.encode(), LegalHold)


CRM = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, phone TEXT);
CREATE TABLE chat (id INTEGER PRIMARY KEY, customer_id INTEGER, body TEXT);
CREATE TABLE session (id INTEGER PRIMARY KEY, token TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, signed_on TEXT, accepted_on TEXT);
CREATE TABLE invoice (id INTEGER PRIMARY KEY, customer_id INTEGER, open_cents INTEGER);
CREATE TABLE dispute (customer_id INTEGER, closed_on TEXT);
"""
POLICY = """
schema = "deleatur/policy/v1"
id = "acme-matters"
version = "1"
title = "When a matter of the shop is open"
jurisdiction = "DE"
date = "2026-11-22"

[[matter]]
id = "not-signed"
matter = "open-order"
department = "sales"
place = "URL"
table = "orders"
where = [{ column = "signed_on", operator = "is-null" }]
spares = ["session"]
[[matter.holds]]
table = "customer"
column = "id"
by = "customer_id"
[[matter.holds]]
table = "chat"
column = "customer_id"
by = "customer_id"

[[matter]]
id = "not-accepted"
matter = "open-order"
department = "after-sales"
place = "URL"
table = "orders"
where = [{ column = "accepted_on", operator = "is-null" }]
spares = ["session"]
[[matter.holds]]
table = "customer"
column = "id"
by = "customer_id"
[[matter.holds]]
table = "chat"
column = "customer_id"
by = "customer_id"

[[matter]]
id = "unpaid"
matter = "unpaid-receivable"
department = "finance"
place = "URL"
table = "invoice"
where = [{ column = "open_cents", operator = ">", value = 0 }]
holds = [{ table = "customer", column = "id", by = "customer_id" }]
spares = ["chat", "session"]
"""


class Crm:
    """A CRM of six customers: 2 signed and did not accept, 3 did not sign, 4 owes, the others are free."""

    def __init__(self, folder: Path, backend: type[SqliteBackend] = SqliteBackend) -> None:
        self.path = folder / "crm.sqlite"
        with closing(sqlite3.connect(self.path)) as database:
            database.executescript(CRM)
            for n in range(1, 7):
                database.execute(
                    "INSERT INTO customer VALUES (?, ?, ?)", (n, f"Ottilie Canary-{n}", f"+49 30 000{n:04}")
                )
                database.execute(
                    "INSERT INTO chat VALUES (?, ?, ?)", (n, n, f"a long chat of customer Canary-{n}")
                )
                database.execute("INSERT INTO session VALUES (?, ?)", (n, f"token-{n}-of-some-length"))
                days = {2: ("2026-01-01", None), 3: (None, None)}.get(n, ("2026-01-01", "2026-02-01"))
                database.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", (n, n, *days))
                database.execute("INSERT INTO invoice VALUES (?, ?, ?)", (n, n, 4200 if n == 4 else 0))
            database.commit()
        self.url = f"sqlite://{self.path}"
        self.bench = Workbench(folder, {"sqlite": backend})
        self.policy = folder / "policy.toml"
        self.policy.write_text(POLICY.replace("URL", self.url))
        self.bench.holds = HoldSources(policies=(self.policy,))
        tables = "".join(f'[[target.select]]\ntable = "{t}"\n' for t in ("customer", "chat", "session"))
        self.text = f'{HEAD}[[target]]\nid = "crm"\nurl = "{self.url}"\n{tables}'

    def ids(self, table: str) -> list[int]:
        with closing(sqlite3.connect(self.path)) as database:
            return [n for (n,) in database.execute(f"SELECT id FROM {table} ORDER BY id")]

    def change(self, statement: str) -> None:
        with closing(sqlite3.connect(self.path)) as database:
            database.execute(statement)
            database.commit()
