"""Last four digits stand in a part of their own, for custodians of its own, and nowhere in the main part."""

import io
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deleatur.archive import new_identity, open_archive, package, write_archive, writing
from deleatur.archive.bag import read_bag
from deleatur.archive.last_four import ROW, rules_of
from deleatur.archive.opening import drain, unsealed
from deleatur.archive.writing import Writing
from deleatur.documents.job import ArchivedTable, Custodian, Custody, Rule
from deleatur.documents.journal import Archived
from deleatur.documents.place import ArchivePart
from deleatur.engine import archiving
from deleatur.engine.handing import import_receipt, kept, make_receipt
from deleatur.errors import Failed, Refused
from deleatur.testing.keepers import SECOND
from deleatur.testing.workbench import signing_key
from deleatur.trust.keys import public_pem
from deleatur.trust.verification import verify

from .custody_world import IDENTITY, JOB, RECIPIENT, ROWS, CustodyWorld
from .test_archive import planned

SAFE, SAFE_RECIPIENT = new_identity()
AUDIT, AUDIT_RECIPIENT = new_identity()
KEY = bytes(range(32))
APART = "".join(
    f'[[custody.custodian]]\nname = "{name}"\nrecipient = "{recipient}"\nkey = "{name}.pub"\n'
    'part = "last-four"\n'
    for name, recipient in (("safe", SAFE_RECIPIENT), ("audit", AUDIT_RECIPIENT))
)
TEXT = JOB.replace("{copies}", APART + "{copies}").replace(
    'phone = {{ rule = "keyed-hash" }}\n',
    'phone = {{ rule = "keyed-hash" }}\ncard = {{ rule = "keep-last-4" }}\n',
)
RULES = {
    "number": Rule(rule="keep"),
    "note": Rule(rule="keep"),
    "card": Rule(rule="keep-last-4"),
    "total": Rule(rule="keep"),
}
MAIN, OTHER = "close-shop-crm.tar.age", "close-shop-crm+last-four.tar.age"
CUSTODY = Custody(
    retain_until="2036-12-31",
    custodian=(
        Custodian(name="records", recipient=RECIPIENT),
        Custodian(name="board", recipient=SECOND),
        Custodian(name="safe", recipient=SAFE_RECIPIENT, part="last-four"),
        Custodian(name="audit", recipient=AUDIT_RECIPIENT, part="last-four"),
    ),
)


def card(n: int) -> str:
    return f"4{n * 7919 % 10**11:011}{n * 617 % 10000:04}"


def orders(endings: list[str]) -> list[dict[str, Any]]:
    return [
        {"number": f"R-{n}", "note": "paid in full", "card": f"4{n:011}{ending}", "total": 100 * n}
        for n, ending in enumerate(endings)
    ]


def write(
    folder: Path,
    rows: list[dict[str, Any]],
    part: ArchivePart = "main",
    readings: dict[str, int] | None = None,
    earlier: Archived | None = None,
) -> Archived:
    return write_archive(
        folder,
        planned({"orders": RULES}),
        {"orders": partial(iter, rows)},
        CUSTODY,
        job="close-shop",
        plan_digest="ab" * 32,
        key=KEY,
        challenge=bytes(32),
        part=part,
        readings=readings,
        earlier=earlier,
    )


def plain_main(rows: list[dict[str, Any]]) -> bytes:
    """Return the plain bytes of the main package, before they are sealed."""
    made = Writing(
        "b",
        {"orders": ArchivedTable(table="orders", columns=RULES)},
        {"orders": partial(iter, rows)},
        KEY,
    )
    made.learn()
    return b"".join(made.blocks({"README.txt": b"read me\n"}, ""))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(*[st.from_regex(r"[0-9]{4}", fullmatch=True)] * 2), min_size=1, max_size=9))
def test_no_byte_of_the_main_part_depends_on_the_last_four(pairs: list[tuple[str, str]]) -> None:
    """Two companies whose records differ in the last four digits only have one and the same main part."""
    one, other = (plain_main(orders([pair[n] for pair in pairs])) for n in (0, 1))
    assert one == other
    tables = read_bag(io.BytesIO(one))[1]
    assert b"card" not in tables["data/tables/orders/part-00001.csv"]


def test_both_parts_match_by_row_and_each_opens_for_its_own_custodians_only(tmp_path: Path) -> None:
    rows = orders(["0042", "1111", "0042"])
    readings: dict[str, int] = {}
    main, apart = (write(tmp_path, rows, part, readings) for part in ("main", "last-four"))
    assert [(a.file, a.part, a.package) for a in (main, apart)] == [
        (MAIN, "main", "crm"),
        (OTHER, "last-four", "crm+last-four"),
    ]
    assert main.recipients == (RECIPIENT, SECOND)
    assert apart.recipients == (SAFE_RECIPIENT, AUDIT_RECIPIENT)
    for file, stranger in ((MAIN, SAFE), (OTHER, IDENTITY)):
        with pytest.raises(Refused, match="does not open"):
            open_archive(tmp_path / file, stranger)
    theirs = open_archive(tmp_path / OTHER, SAFE)
    assert theirs.tables["orders"].column_names == ["card", ROW]
    ours = open_archive(tmp_path / MAIN, IDENTITY).tables["orders"].to_pylist()
    endings = {row[ROW]: row["card"] for row in theirs.tables["orders"].to_pylist()}
    assert [endings[row[ROW]] for row in ours] == ["****0042", "****1111", "****0042"]
    assert len(endings) == 3
    assert ours[0].keys() == {"number", "note", "total", ROW}
    assert (
        b"keep-last-4, in the last-four part"
        in open_archive(tmp_path / MAIN, IDENTITY).members["data/rules.json"]
    )


def test_a_writer_that_puts_them_back_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "rules_of", lambda rules, _: dict(rules))
    with pytest.raises(Refused, match=r"column orders.card would carry the last four digits of card"):
        write(tmp_path, orders(["4711"]))
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "tail",
    [
        lambda ending: ending,
        lambda ending: int(f"1{ending}"),
        lambda ending: f"card …{ending}".encode(),
        lambda ending: f"ends in {ending}, thanks",
    ],
)
def test_a_kept_column_with_the_digits_of_its_own_row_is_refused(tmp_path: Path, tail: Any) -> None:
    endings = [f"{n * 617 % 10000:04}" for n in range(1, 200)]
    rows = [row | {"note": tail(ending)} for row, ending in zip(orders(endings), endings, strict=True)]
    with pytest.raises(Refused, match=r"orders.note would carry the last four digits of card"):
        write(tmp_path, rows)


def test_digits_that_meet_by_chance_are_no_leak(tmp_path: Path) -> None:
    rows = orders([f"{n:04}" for n in range(300)])
    rows[7]["note"] = "0007 times"
    assert write(tmp_path, rows).tables[0].rows == 300


def test_records_that_change_between_the_parts_are_refused(tmp_path: Path) -> None:
    rows, readings = orders(["1234", "5678"]), {}
    write(tmp_path, rows, "main", readings)
    changed = [rows[0], rows[1] | {"total": 5}]  # not even the card
    with pytest.raises(Failed, match="changed between its parts"):
        write(tmp_path, changed, "last-four", readings)
    assert [path.name for path in tmp_path.iterdir()] == [MAIN]


def test_a_part_for_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nobody could open it"):
        write_archive(
            tmp_path,
            planned({"orders": RULES}),
            {"orders": partial(iter, orders(["1234"]))},
            CUSTODY.of("main"),
            job="close-shop",
            plan_digest="ab" * 32,
            key=KEY,
            challenge=bytes(32),
            part="last-four",
        )


def test_a_column_of_the_name_of_the_row_is_refused(tmp_path: Path) -> None:
    table = ArchivedTable(table="t", columns={ROW: Rule(rule="keep"), "card": Rule(rule="keep-last-4")})
    assert rules_of(table.columns, "main")[ROW].rule == "keep"
    made = Writing("b", {"t": table}, {"t": lambda: iter([{ROW: 1, "card": "4000000000001234"}])}, KEY)
    made.learn()
    with pytest.raises(Refused, match="needs the column name last-four-row"):
        b"".join(made.blocks({}, ""))


class Apart(CustodyWorld):
    """The small shop with cards, whose last four digits two more custodians keep."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch, job=TEXT)
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("ALTER TABLE invoices ADD card TEXT")
            connection.executemany(
                "UPDATE invoices SET card = ? WHERE id = ?", [(card(n), n) for n in range(1, ROWS + 1)]
            )
        self.safe, self.audit = signing_key("safe", 13), signing_key("audit", 14)
        for key in (self.safe, self.audit):
            (self.job.path / f"{key.public.name}.pub").write_bytes(public_pem(key.public))

    def receive_all(self) -> None:
        self.receive()
        for key, identity in ((self.safe, SAFE), (self.audit, AUDIT)):
            import_receipt(self.job, self.receipt(key, identity, self.job.archive / OTHER))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apart:
    made = Apart(tmp_path, monkeypatch)
    made.planned()
    return made


def test_the_whole_way_each_part_is_copied_received_and_certified(world: Apart) -> None:
    first = world.refusal()
    for file, custodian in ((MAIN, "records"), (MAIN, "board"), (OTHER, "safe"), (OTHER, "audit")):
        assert f"{file}: no receipt of {custodian}" in first
    assert first.count("no receipt of") == 4
    written = kept(world.job).archived
    world.copy()
    assert all((medium / name).is_file() for medium in world.media.values() for name in (MAIN, OTHER))
    world.receive()
    told = world.refusal()
    assert told == f"archived-unreceived: {OTHER}: no receipt of safe; {OTHER}: no receipt of audit"
    with pytest.raises(Refused, match="does not open"):  # who keeps the main part cannot receive the other
        make_receipt(world.job.archive / OTHER, IDENTITY, "safe", world.safe, world.bench.clock)
    world.receive_all()
    assert kept(world.job).archived == written  # both were kept over three runs
    world.bench.run(world.job)
    assert world.rows() == 0
    checked = verify(world.job.certificate, trusted=[world.bench.agent.public], threshold=1, about=None)
    told_of = [(a.part, a.file, [c.name for c in a.custodians]) for a in checked.certificate.archives]
    assert told_of == [("main", MAIN, ["records", "board"]), ("last-four", OTHER, ["safe", "audit"])]
    endings = open_archive(world.job.archive / OTHER, AUDIT).tables["invoices"]["card"].to_pylist()
    assert endings == [f"****{card(n)[-4:]}" for n in range(1, ROWS + 1)]


def test_a_receipt_by_a_custodian_of_the_other_part_does_not_count(world: Apart) -> None:
    world.refusal()
    stolen = make_receipt(world.job.archive / OTHER, SAFE, "records", world.records, world.bench.clock)
    with pytest.raises(Refused, match="is not taken"):
        import_receipt(world.job, stolen)


class _KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_killed_before_between_and_after_the_parts(
    world: Apart, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """After any kill the next run has two parts of one reading, and keeps what it journalled."""
    calls = {"left": stop}

    def dying(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            result = real(*arguments, **named)
            calls["left"] -= 1
            if not calls["left"]:
                raise _KilledError
            return result

        return call

    with monkeypatch.context() as patch:
        for name in ("write_archive", "write_beside"):
            patch.setattr(archiving, name, dying(getattr(archiving, name)))
        with pytest.raises(_KilledError):
            world.bench.run(world.job)
    journalled = [a.sha256 for a in kept(world.job).archived] if stop == 4 else []
    world.refusal()
    main, apart = kept(world.job).archived
    assert (main.part, apart.part) == ("main", "last-four")
    assert journalled in ([], [main.sha256])  # the journalled part is the one that was kept
    ours = open_archive(world.job.archive / main.file, IDENTITY).tables["invoices"]
    theirs = open_archive(world.job.archive / apart.file, SAFE).tables["invoices"]
    assert ours[ROW].to_pylist() == theirs[ROW].to_pylist()
    assert {p.name for p in world.job.archive.glob("*.tar.age")} == {MAIN, OTHER}
    assert not [*world.job.archive.glob(".*partial")]


def test_no_last_four_in_any_byte_of_the_opened_main_part(world: Apart) -> None:
    world.refusal()
    with unsealed(world.job.archive / MAIN, package.identity_of(IDENTITY)) as plain:
        content = plain.read()
        drain(plain)
    assert b"****" not in content
    assert not [n for n in range(1, ROWS + 1) if card(n).encode() in content]
