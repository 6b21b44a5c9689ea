"""A random walk over the life of a job: whatever is done in whatever order, no closed gate is passed.

The machine does what people do: attest and withdraw, tell, plan, approve, wait, open and close
orders, copy, spoil, lose and receive archives, and run. It knows by itself which gates are closed.
"""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from deleatur.errors import DeleaturError, Refused

from .gate_company import COPIES, CUSTODIANS, OWNERS, PEOPLE, Company

ORDER = 3  # the one order that is opened and closed


class Walk(RuleBasedStateMachine):
    """One company from its map to whatever the walk makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="gates-"))
        self.patch = pytest.MonkeyPatch()
        self.company = Company(self.folder, self.patch)
        self.company.discover()
        self.attested: set[str] = set()
        self.told = self.planned = self.certified = False
        self.days = 0
        self.order_open = self.open_when_told = self.open_when_planned = False
        self.approved: set[str] = set()
        self.good: set[str] = set()  # copies that lie there as they were read back
        self.received: set[str] = set()

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.folder)

    @property
    def archived(self) -> bool:
        return any(self.company.directory.archive.glob("*.tar.age"))

    def closed(self) -> list[str]:
        """Name every gate that is closed, by what was done."""
        return [
            *(f"{owner} has not attested" for owner in OWNERS.keys() - self.attested),
            *(["nobody was told"] if not self.told else []),
            *(["day 30 is not over"] if self.days <= 30 else []),
            *(["not planned"] if not self.planned else []),
            *(["an order changed since the plan"] if self.order_open != self.open_when_planned else []),
            *(["fewer than two approved"] if len(self.approved) < 2 else []),
            *(f"no good copy in {name}" for name in COPIES.keys() - self.good),
            *(f"no receipt of {name}" for name in CUSTODIANS.keys() - self.received),
        ]

    def refused(self, act: object) -> None:
        with pytest.raises(DeleaturError) as caught:
            act()  # type: ignore[operator]
        assert isinstance(caught.value, Refused), caught.value
        assert caught.value.exit_code == 4
        assert "\n" not in str(caught.value)
        assert self.company.whole()

    @precondition(lambda self: not self.certified)
    @rule(owner=st.sampled_from(sorted(OWNERS)))
    def attest(self, owner: str) -> None:
        self.company.attest(owner)
        self.attested.add(owner)

    @precondition(lambda self: not self.certified and self.attested)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from(sorted(self.attested)))
        self.company.withdraw(owner)
        self.attested.remove(owner)

    @precondition(lambda self: not self.told and not self.order_open)
    @rule()
    def tell(self) -> None:
        self.company.tell()
        self.told = True

    @precondition(lambda self: self.told and not self.planned)
    @rule()
    def plan(self) -> None:
        if self.attested == OWNERS.keys():
            self.company.plan()
            self.planned, self.open_when_planned = True, self.order_open
        else:
            self.refused(self.company.plan)

    @precondition(lambda self: not self.told)
    @rule()
    def plan_too_early(self) -> None:
        self.refused(self.company.plan)

    @precondition(lambda self: self.planned and len(self.approved) < 2)
    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted({"alice", "bob"} - self.approved)))
        self.company.approve(name)
        self.approved.add(name)

    @precondition(lambda self: self.told and not self.certified)
    @rule(days=st.sampled_from([1, 29, 31]))
    def wait(self, days: int) -> None:
        self.days += days
        self.company.until_day(self.days, hours=4)

    @precondition(lambda self: not self.certified)
    @rule()
    def turn_the_order(self) -> None:
        self.order_open = not self.order_open
        state = "open" if self.order_open else "closed"
        self.company.sql(f"UPDATE orders SET status = '{state}' WHERE id = {ORDER}")

    @precondition(lambda self: self.archived and not self.certified)
    @rule(name=st.sampled_from(sorted(COPIES)))
    def copy(self, name: str) -> None:
        self.company.copy(name)
        self.good.add(name)

    @precondition(lambda self: self.good and not self.certified)
    @rule(data=st.data(), lost=st.booleans())
    def spoil_a_copy(self, data: st.DataObject, lost: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.good)))
        copy = next(self.company.media[name].glob("*.tar.age"))
        if lost:
            copy.unlink()
        else:
            content = bytearray(copy.read_bytes())
            content[-1] ^= 1
            copy.write_bytes(content)
        self.good.remove(name)

    @precondition(lambda self: self.archived and not self.certified and len(self.received) < 2)
    @rule(data=st.data())
    def receive(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(CUSTODIANS.keys() - self.received)))
        self.company.receive(name)
        self.received.add(name)

    @precondition(lambda self: not self.certified)
    @rule()
    def run(self) -> None:
        closed = self.closed()
        if closed:
            self.refused(self.company.run)
        else:
            self.company.run()
            self.certified = True

    @precondition(lambda self: self.certified)
    @rule()
    def run_again(self) -> None:
        """A finished job stays as it is."""
        envelope = self.company.directory.certificate / "certificate.dsse.json"
        before = envelope.read_bytes()
        self.company.run()
        assert envelope.read_bytes() == before

    @initialize(planned=st.sampled_from([True, True, False]), archived=st.booleans())
    def begin(self, planned: bool, archived: bool) -> None:
        """Begin somewhere on the way: from the very start few walks come far."""
        if planned:
            self.come_to_the_plan()
        if planned and archived:
            self.come_to_the_archive()

    def come_to_the_plan(self) -> None:
        for owner in sorted(OWNERS.keys() - self.attested):
            self.attest(owner)
        if not self.told:
            if self.order_open:
                self.turn_the_order()
            self.tell()
        if not self.planned:
            self.plan()

    def come_to_the_archive(self) -> None:
        if self.order_open != self.open_when_planned:
            self.turn_the_order()
        for name in sorted({"alice", "bob"} - self.approved):
            self.company.approve(name)
            self.approved.add(name)
        if self.days <= 30:
            self.days = 31
            self.company.until_day(31, hours=4)
        if not self.archived:
            self.run()

    @precondition(lambda self: not self.certified)
    @rule()
    def put_in_order(self) -> None:
        """Open every gate, so that walks come to the end as well."""
        self.come_to_the_plan()
        self.come_to_the_archive()
        for name in sorted(COPIES.keys() - self.good):
            self.copy(name)
        for name in sorted(CUSTODIANS.keys() - self.received):
            self.company.receive(name)
            self.received.add(name)
        assert self.closed() == []

    @invariant()
    def nothing_is_certified_or_gone_but_by_an_open_run(self) -> None:
        assert self.company.directory.certificate.exists() == self.certified
        assert self.company.whole() == (not self.certified)
        if self.certified:
            with closing(sqlite3.connect(self.company.database)) as database:
                left = [number for (number,) in database.execute("SELECT id FROM customers")]
            assert left == ([ORDER] if self.open_when_planned else [])
            assert len(left) < PEOPLE


BOUNDED = settings(
    deadline=None,
    stateful_step_count=16,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class TestWalk(Walk.TestCase):
    settings = settings(BOUNDED, max_examples=6)


@pytest.mark.campaign
class TestLongWalk(Walk.TestCase):
    settings = settings(BOUNDED, max_examples=120, stateful_step_count=30)
