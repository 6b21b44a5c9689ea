"""The hold register: whoever acts signs, nothing disappears from it, and in doubt everything is held."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.documents.gates import HoldGate, KnownRegister
from deleatur.documents.hold import Begun, Hold, MatterKind, Placed, Released, Scope
from deleatur.documents.job import Condition, Selection, Target
from deleatur.documents.journal import Passed
from deleatur.engine.holding import resolved_place
from deleatur.engine.register import HoldRegister
from deleatur.errors import Malformed, Refused
from deleatur.judge.history import history
from deleatur.judge.holds import concerns, held_tables
from deleatur.testing.faults import kill_points, list_calls, run_killed_at
from deleatur.testing.finished import FinishedJob, finished, known_key
from deleatur.trust.register import read_register, sign_line

LEGAL, COURT_CLERK, FINANCE = (known_key(n, k) for k, n in enumerate(("legal", "clerk", "finance"), 70))
STRANGER = known_key("legal", 99)
KEYS = tuple(key.public for key in (LEGAL, COURT_CLERK, FINANCE))
SECRET = "ottilie.canary@example.org"


def clock() -> datetime:
    return datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def a_hold(name: str, scope: Scope | None = None, matter: MatterKind = "dispute") -> Hold:
    return Hold(
        schema="deleatur/hold/v1",
        id=name,
        matter=matter,
        authority="legal department",
        case="3 O 17/26",
        since="2026-11-01",
        scope=scope or Scope(),
    )


@pytest.fixture
def register(tmp_path: Path) -> HoldRegister:
    made = HoldRegister(tmp_path / "holds.jsonl", KEYS)
    made.begin(LEGAL, clock)
    return made


def open_of(register: HoldRegister) -> list[str]:
    return [s.hold.id for s in register.read().open]


def test_a_hold_is_open_from_its_placing_to_its_release(register: HoldRegister) -> None:
    assert open_of(register) == []
    register.place(a_hold("a"), LEGAL, clock)
    register.place(a_hold("b"), FINANCE, clock)
    assert open_of(register) == ["a", "b"]
    stood = register.release("a", "settled", FINANCE, clock)
    assert (stood.open, [k.name for k in stood.released_by]) == (False, ["finance"])
    assert open_of(register) == ["b"]
    assert len(register.read().lines) == 4


def test_a_court_order_needs_two_keys_and_one_key_twice_is_one(register: HoldRegister) -> None:
    register.place(a_hold("order", matter="court-order"), LEGAL, clock)
    assert register.release("order", "the court lifted it", LEGAL, clock).open
    with pytest.raises(Refused, match="another key must release it too"):
        register.release("order", "once more", LEGAL, clock)
    assert open_of(register) == ["order"]
    assert not register.release("order", "seen, lifted", COURT_CLERK, clock).open


def test_what_somebody_released_who_left_does_not_count_any_more_and_what_they_placed_does(
    register: HoldRegister,
) -> None:
    register.place(a_hold("a"), FINANCE, clock)
    register.place(a_hold("b"), LEGAL, clock)
    register.release("b", "settled", FINANCE, clock)
    later = HoldRegister(register.path, KEYS[:2], former=KEYS[2:])
    assert [s.hold.id for s in later.read().open] == ["a", "b"]
    with pytest.raises(Refused, match="may not sign"):
        later.release("a", "settled", FINANCE, clock)
    later.release("b", "settled, by legal", LEGAL, clock)
    assert open_of(later) == ["a"]


def test_a_stranger_can_neither_place_nor_release_nor_write_a_line(register: HoldRegister) -> None:
    register.place(a_hold("a"), LEGAL, clock)
    for act in (
        lambda: register.place(a_hold("b"), STRANGER, clock),
        lambda: register.release("a", "settled", STRANGER, clock),
    ):
        with pytest.raises(Refused, match="may not sign in this register"):
            act()
    forged = sign_line(
        register.read(), Released(hold="a", reason="settled"), STRANGER, "2026-11-22T09:00:00.000Z"
    )
    with register.path.open("ab") as file:
        file.write(forged)
    with pytest.raises(Refused, match=r"not one of this register's.*counts as a hold on everything"):
        register.read()


def test_a_line_under_a_known_name_with_another_signature_breaks_the_register(register: HoldRegister) -> None:
    line = sign_line(
        register.read(), Placed(hold=a_hold("a"), values=""), STRANGER, "2026-11-22T09:00:00.000Z"
    )
    honest = sign_line(
        register.read(), Placed(hold=a_hold("a"), values=""), LEGAL, "2026-11-22T09:00:00.000Z"
    )
    mixed = honest[: honest.index(b'"sig":')] + line[line.index(b'"sig":') :]
    with register.path.open("ab") as file:
        file.write(mixed)
    with pytest.raises(Refused, match="counts as a hold on everything"):
        register.read()


def test_acts_that_cannot_follow_are_refused_and_break_a_register_that_has_them(
    register: HoldRegister,
) -> None:
    register.place(a_hold("a"), LEGAL, clock)
    with pytest.raises(Refused, match="a hold called a stands"):
        register.place(a_hold("a"), LEGAL, clock)
    with pytest.raises(Refused, match="no hold is called b"):
        register.release("b", "settled", LEGAL, clock)
    with pytest.raises(Refused, match="has begun already"):
        register.begin(LEGAL, clock)
    twice = sign_line(register.read(), Placed(hold=a_hold("a"), values=""), LEGAL, "2026-11-22T09:00:00.000Z")
    content = register.path.read_bytes() + twice
    with pytest.raises(Malformed) as caught:
        read_register(content, KEYS)
    assert (caught.value.kind, caught.value.where) == ("broken-chain", "line 3")


@pytest.mark.parametrize("loss", ["missing", "empty", "no-permission", "link"])
def test_a_register_that_cannot_be_read_holds_everything(register: HoldRegister, loss: str) -> None:
    content = register.path.read_bytes()
    register.path.unlink()
    if loss == "empty":
        register.path.write_bytes(b"")
    elif loss == "no-permission":
        register.path.mkdir()
    elif loss == "link":
        (register.path.parent / "elsewhere").write_bytes(content)
        register.path.symlink_to("elsewhere")
    with pytest.raises(Refused):
        register.read()


@given(st.data())
def test_no_change_of_a_byte_goes_unnoticed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(SIGNED) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda b: b != SIGNED[at]))
    changed = SIGNED[:at] + bytes([other]) + SIGNED[at + 1 :]
    try:
        read = read_register(changed, KEYS)
    except Malformed:
        return
    assert at == len(SIGNED) - 1  # only the last newline may go: then the last line never happened
    assert len(read.lines) == 2


def test_a_changed_key_id_of_the_last_line_does_not_go_unnoticed() -> None:
    at = SIGNED.rindex(b"SHA256:") + 20
    other = b"A" if SIGNED[at : at + 1] != b"A" else b"B"
    with pytest.raises(Malformed, match="not signed by the key of legal"):
        read_register(SIGNED[:at] + other + SIGNED[at + 1 :], KEYS)


def _signed() -> bytes:
    content = b""
    for act in (Placed(hold=a_hold("a"), values=""), Released(hold="a", reason="settled")):
        if not content:
            content = BEGUN
        content += sign_line(read_register(content, KEYS), act, LEGAL, "2026-11-22T09:00:00.000Z")
    return content


def _begun() -> bytes:
    act = Begun(schema="deleatur/holds/v1", id="0" * 32)
    return sign_line(read_register(b"", KEYS), act, LEGAL, "2026-11-22T09:00:00.000Z")


BEGUN = _begun()
SIGNED = _signed()


def test_lines_dropped_swapped_or_of_another_register_are_noticed() -> None:
    first, second, third = SIGNED.splitlines(keepends=True)
    for broken in (second + third, first + third, first + third + second, first + second + second, third):
        with pytest.raises(Malformed) as caught:
            read_register(broken, KEYS)
        assert caught.value.kind == "broken-chain"


def acts(folder: Path) -> None:
    register = HoldRegister(folder / "holds.jsonl", KEYS)
    register.begin(LEGAL, clock)
    register.place(a_hold("a"), LEGAL, clock)
    register.release("a", "settled", LEGAL, clock)


def test_killed_at_every_write_the_register_is_what_it_was_or_what_it_became(tmp_path: Path) -> None:
    (tmp_path / "counted").mkdir()
    calls = list_calls(lambda: acts(tmp_path / "counted"))
    assert calls
    for number, (n, moment) in enumerate(kill_points(calls, len(calls) * 3)):
        folder = tmp_path / f"k{number}"
        folder.mkdir()
        assert run_killed_at(lambda folder=folder: acts(folder), n, moment).killed
        finish(HoldRegister(folder / "holds.jsonl", KEYS))
        shutil.rmtree(folder)


def finish(register: HoldRegister) -> None:
    """Do again what has no line: each act either happened whole or not at all."""
    if not register.key_file.exists():
        register.begin(LEGAL, clock)
    if not register.read().holds:
        register.place(a_hold("a"), LEGAL, clock)
    if register.read().open:
        register.release("a", "settled", LEGAL, clock)
    assert [len(register.read().lines), open_of(register)] == [3, []]


@pytest.mark.parametrize("left", [None, b"", b"{"])
def test_a_lost_register_is_a_hold_and_none_begins_in_its_place(
    register: HoldRegister, left: bytes | None
) -> None:
    register.place(a_hold("a"), LEGAL, clock)
    if left is None:
        register.path.unlink()
    else:
        register.path.write_bytes(left)
    with pytest.raises(Refused, match="which counts as a hold on everything"):
        register.begin(LEGAL, clock)
    with pytest.raises(Refused, match="which counts as a hold on everything"):
        register.read()
    assert register.path.exists() is (left is not None)


def test_a_register_whose_key_was_lost_does_not_get_another_one(register: HoldRegister) -> None:
    with pytest.raises(Refused, match="has begun already"):
        register.begin(LEGAL, clock)
    register.place(a_hold("a"), LEGAL, clock)
    register.key_file.unlink()
    with pytest.raises(Refused, match=r"key is missing or damaged \(restore it\), which counts as a hold"):
        register.begin(LEGAL, clock)
    assert not register.key_file.exists()


def test_a_torn_last_line_never_happened_and_is_cut_off_by_the_next(register: HoldRegister) -> None:
    sound = register.path.read_bytes()
    register.place(a_hold("a"), LEGAL, clock)
    whole = register.path.read_bytes()
    for length in range(len(sound), len(whole), 97):
        register.path.write_bytes(whole[:length])
        assert open_of(register) == []
        register.place(a_hold("b"), LEGAL, clock)
        assert open_of(register) == ["b"]


@pytest.fixture
def by_file(register: HoldRegister) -> HoldRegister:
    (register.path.parent / "people.txt").write_text(f"{SECRET}\n")
    where = (Condition(column="email", operator="in", values_from="people.txt"),)
    register.place(
        a_hold("people", Scope(place="sqlite:///srv/crm", table="customer", where=where)), LEGAL, clock
    )
    return register


def test_people_are_named_by_a_values_file_that_the_register_knows_by_a_keyed_digest(
    by_file: HoldRegister,
) -> None:
    assert SECRET.encode() not in by_file.path.read_bytes()
    assert len(by_file.read().open[0].values) == 64
    (by_file.path.parent / "people.txt").write_text("")
    with pytest.raises(Refused, match="a values file of the hold people is not what it was"):
        by_file.read()
    (by_file.path.parent / "people.txt").unlink()
    with pytest.raises(Refused, match="is missing"):
        by_file.read()


def test_without_its_key_the_register_holds_everything(by_file: HoldRegister) -> None:
    by_file.key_file.write_bytes(b"short")
    with pytest.raises(Refused, match=r"holds\.jsonl\.key is missing or damaged"):
        by_file.read()


def test_two_writers_at_once_do_not_lose_a_hold(register: HoldRegister) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: register.place(a_hold(f"h{n}"), LEGAL, clock), range(8)))
    assert sorted(open_of(register)) == [f"h{n}" for n in range(8)]


CRM = "sqlite:///srv/shop/crm.sqlite"


@pytest.mark.parametrize(
    ("place", "url", "path", "expected"),
    [
        (CRM, CRM, "", True),
        ("file:///srv/shop", CRM, "", True),
        (CRM, "file:///srv/shop", "", True),
        (CRM, "file:///srv/shop2", "", False),
        ("file:///srv/shop/", "sqlite:///srv//shop/./crm.sqlite", "", True),
        ("file:///srv/sh%6Fp", CRM, "", True),
        ("file:///data/crm.sqlite", "sqlite:///link", "/data/crm.sqlite", True),
        ("file:///", CRM, "", True),
        ("postgresql://db/shop", "postgresql://app@DB:5433/shop?sslmode=require", "", True),
        ("postgresql://db/shop", "postgresql://db/other", "", False),
        ("postgresql://db", "postgresql://db/other", "", True),
        ("postgresql://db/shop", "mariadb://other/shop", "", False),
        ("sqlite://localhost/srv/shop/crm.sqlite", CRM, "", True),
        ("postgresql://127.0.0.1/shop", "postgresql://app@localhost:5433/shop", "", True),
        ("postgresql:///shop", "postgresql://[::1]/shop", "", True),
        ("file:///srv/a%23b", "sqlite:///link", "/srv/a#b/crm.sqlite", True),
        ("http://[broken", CRM, "", True),
    ],
)
def test_a_place_holds_what_lies_in_it_and_what_it_lies_in(
    place: str, url: str, path: str, *, expected: bool
) -> None:
    assert concerns(Scope(place=place), None, "job", url, path) is expected


def test_a_job_is_held_by_its_name_and_an_empty_scope_holds_everything() -> None:
    assert concerns(Scope(job="a"), None, "a", CRM, "")
    assert not concerns(Scope(job="a"), None, "b", CRM, "")
    assert concerns(Scope(), None, "b", CRM, "")


@pytest.mark.parametrize(
    ("held", "job", "expected"),
    [
        ("shop", "shop.2", True),
        ("shop.2", "shop.3", True),
        ("shop.2", "shop", False),
        ("shop", "shop.b", False),
        ("shop", "shopping", False),
    ],
)
def test_a_hold_on_a_job_holds_those_that_go_on_with_it(held: str, job: str, *, expected: bool) -> None:
    assert concerns(Scope(job=held), None, job, CRM, "") is expected


def test_a_link_to_a_place_is_that_place(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    hold = a_hold("a", Scope(place=f"file://{tmp_path}/link/crm.sqlite"))
    url = f"sqlite://{tmp_path}/real/crm.sqlite"
    assert not concerns(hold.scope, None, "j", url, "")
    assert concerns(hold.scope, resolved_place(hold.scope.place or ""), "j", url, "")


def test_a_link_to_a_place_with_an_odd_name_is_that_place(tmp_path: Path) -> None:
    (tmp_path / "re#al%41").mkdir()
    (tmp_path / "link").symlink_to("re#al%41")
    url = f"sqlite://{tmp_path}/re%23al%2541/crm.sqlite"
    place = f"file://{tmp_path}/link/crm.sqlite"
    assert concerns(Scope(place=place), resolved_place(place), "j", url, "")


@pytest.mark.parametrize(
    "content",
    ["", "Ottilie \n", " Ottilie\n", "Ottilie\u200b\n", "Ottilie\n\nWillibald\n", "\ufeff\ufeffO\n"],
)
def test_a_values_file_that_would_hold_nobody_is_refused(register: HoldRegister, content: str) -> None:
    (register.path.parent / "people.txt").write_text(content, encoding="utf-8")
    where = (Condition(column="name", operator="in", values_from="people.txt"),)
    with pytest.raises(Refused, match=r"people\.txt"):
        register.place(a_hold("a", Scope(place=CRM, table="customer", where=where)), LEGAL, clock)
    assert register.read().holds == ()


def test_a_table_is_found_in_any_spelling_and_given_as_the_target_has_it() -> None:
    target = Target(id="t", url=CRM, select=(Selection(table="public.Customer"), Selection(table="chat")))
    assert held_tables(Scope(place=CRM, table="customer"), target) == ("public.Customer",)
    assert held_tables(Scope(place=CRM, table="orders"), target) == ()


GATE = HoldGate(
    register=KnownRegister(file="/etc/holds.jsonl", head="5e" * 32, entries=3, holds=()),
    policies=(),
    matters=0,
)


def asked(*entries: int) -> FinishedJob:
    """Return a finished job whose register had so many entries each time that it was asked."""
    job = finished(gates=(GATE,))
    at = next(n for n, event in enumerate(job.events) if isinstance(event, Passed))
    passes = [
        Passed(gate="holds", digest="5e" * 32, counts=(("entries", n), ("open", 0), ("matters", 0)))
        for n in entries
    ]
    return job.with_events([*job.events[:at], *passes, *job.events[at + 1 :]])


def test_no_certificate_rests_on_a_register_that_became_shorter() -> None:
    for job in (asked(3, 3), asked(3, 5)):
        told = history(job.plan, hashlib.sha256(job.plan_bytes).hexdigest(), job.entries)
        assert told.passed["holds"][0].digest == "5e" * 32
    job = asked(5, 4)
    with pytest.raises(Refused, match="holds: rests on less than it did before"):
        history(job.plan, hashlib.sha256(job.plan_bytes).hexdigest(), job.entries)
