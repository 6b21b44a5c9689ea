"""A small shop whose invoices are archived, copied to three media, and received by two custodians."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.archive.age import new_identity
from deleatur.archive.shares import new_shares
from deleatur.documents.journal import Archived
from deleatur.documents.plan import RoleKeys
from deleatur.engine import handing, keeping
from deleatur.engine.directory import JobDirectory
from deleatur.engine.handing import copy_archives, import_receipt, kept, make_receipt
from deleatur.errors import Refused
from deleatur.testing.workbench import Workbench, signing_key
from deleatur.trust.keys import SigningKey, public_pem

IDENTITY, RECIPIENT = new_identity()
BOARD = new_shares(2, 3)
ROWS = 240
COPIES = ("vault", "stick", "mine")
JOB = """\
schema = "deleatur/job/v1"
name = "close-shop"
reason = "retention-expired"
authority = "a test"
requested_by = "tester"
{roles}
[custody]
retain_until = "2036-12-31"
laws = ["{law}"]

[[custody.custodian]]
name = "records"
recipient = "{recipient}"
key = "records.pub"

[[custody.custodian]]
name = "board"
recipient = "{board}"
shares = {{ needed = 2, of = 3 }}
key = "board.pub"
{copies}{transfer}
[[target]]
id = "crm"
url = "sqlite://{database}"

[[target.select]]
table = "invoices"

[[target.archive]]
table = "invoices"

[target.archive.columns]
id = {{ rule = "drop" }}
name = {{ rule = "mask" }}
phone = {{ rule = "keyed-hash" }}
issued_on = {{ rule = "keep" }}
vat_percent = {{ rule = "keep" }}
net_cents = {{ rule = "keep" }}
vat_cents = {{ rule = "keep" }}
"""


TRANSFER = """\
schema = "deleatur/transfer/v1"
id = "transfer-7"
law = "{law}"
to = "{to}"
receiver = "archive house in the salt mine"
purpose = "the third copy of the archives"
ground = "standard contract, filed as number 2026-11"
decided = "2026-11-01"
until = "2027-10-31"
"""


def write_shop(database: Path) -> None:
    """Write invoices of five years at three rates of VAT."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "CREATE TABLE invoices (id INTEGER PRIMARY KEY, name TEXT, phone TEXT, issued_on TEXT,"
            " vat_percent INTEGER, net_cents INTEGER, vat_cents INTEGER)"
        )
        for n in range(ROWS):
            rate, net = (0, 7, 19)[n % 3], 1000 + 37 * n
            row = (
                f"Ottilie Canary-{n:04}",
                f"+49 30 {n:07}",
                f"{2020 + n % 5}-{1 + n % 12:02}-15",
                rate,
                net,
            )
            connection.execute(
                "INSERT INTO invoices (name, phone, issued_on, vat_percent, net_cents, vat_cents)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (*row, net * rate // 100),
            )


class CustodyWorld:
    """One job with copies; `disks` says on which disks each folder lies."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        law: str = "DE",
        mine: str = "DE",
        transfer: bool = False,
        job: str = JOB,
    ) -> None:
        self.folder = folder
        self.database = folder / "crm.sqlite"
        write_shop(self.database)
        self.media = {name: folder / "media" / name for name in COPIES}
        for path in self.media.values():
            path.mkdir(parents=True)
        self.disks = {str(path): (f"SERIAL-{name}",) for name, path in self.media.items()}
        for module in (handing, keeping):
            monkeypatch.setattr(module, "disks_of", self.disks_of)
        self.bench = Workbench(folder)
        self.records, self.board = signing_key("records", 11), signing_key("board", 12)
        text = job.format(
            roles='[policy]\nroles = ["legal", "it", "business"]\n' if transfer else "",
            law=law,
            recipient=RECIPIENT,
            board=BOARD.recipient,
            copies="".join(self._copy(name, mine if name == "mine" else law) for name in COPIES),
            transfer=f'[[custody.transfer]]\nlaw = "{law}"\nto = "{mine}"\nrecord = "t.toml"\n'
            if transfer
            else "",
            database=self.database,
        )
        self.job: JobDirectory = self.bench.job(text)
        (self.job.path / "t.toml").write_text(TRANSFER.format(law=law, to=mine))
        if transfer:
            self.ask_three()
        for key in (self.records, self.board):
            (self.job.path / f"{key.public.name}.pub").write_bytes(public_pem(key.public))

    def ask_three(self) -> None:
        """Let alice approve as legal, bob for it and carol for the business."""
        self.bench.approvers = (*self.bench.approvers, signing_key("carol", 4))
        named = zip(("legal", "it", "business"), self.bench.approvers, strict=True)
        self.bench.roles = tuple(RoleKeys(role=role, keys=(key.public.spki,)) for role, key in named)

    def _copy(self, name: str, law: str) -> str:
        medium = {"vault": "disk", "stick": "flash", "mine": "tape"}[name]
        site = "salt-mine" if name == "mine" else "head-office"
        return (
            f'[[custody.copy]]\nid = "{name}"\nurl = "file://{self.media[name]}"\nmedium = "{medium}"\n'
            f'site = "{site}"\nlaw = "{law}"\n'
        )

    def disks_of(self, path: Path) -> tuple[str, ...]:
        """Tell the media that this world has, in place of the one disk of the test machine."""
        if not path.is_dir():
            raise FileNotFoundError
        return self.disks[str(path)]

    def planned(self) -> "CustodyWorld":
        self.bench.plan(self.job)
        self.bench.approve(self.job)
        return self

    def refusal(self) -> str:
        """Run, and return the one line that stops it."""
        with pytest.raises(Refused) as caught:
            self.bench.run(self.job)
        assert caught.value.exit_code == 4
        assert "\n" not in str(caught.value)
        assert self.rows() == ROWS
        return str(caught.value)

    def rows(self) -> int:
        with closing(sqlite3.connect(self.database)) as connection:
            return int(connection.execute("SELECT count(*) FROM invoices").fetchone()[0])

    def copy(self, *names: str) -> None:
        copy_archives(self.job, self.bench.agent, self.bench.clock, names)

    @property
    def archived(self) -> Archived:
        return kept(self.job).archived[0]

    @property
    def sealed(self) -> Path:
        return self.job.archive / self.archived.file

    def receipt(self, key: SigningKey, identity: str = IDENTITY, archive: Path | None = None) -> bytes:
        return make_receipt(archive or self.sealed, identity, key.public.name, key, self.bench.clock)

    def receive(self) -> None:
        for key in (self.records, self.board):
            import_receipt(self.job, self.receipt(key))
