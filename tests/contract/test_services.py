"""Services that destroy for us: every rogue is caught, and the example keeps every promise."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from deleatur.api import CustodyList, Exhibit, Report
from deleatur.cli.group import deleatur
from deleatur.engine import services as engine
from deleatur.engine.registry import loaded
from deleatur.engine.services import collect_destruction, order_destruction
from deleatur.errors import DeleaturError, Failed, Malformed, Refused, Transient, Unsupported
from deleatur.service import DestructionService
from deleatur.testing.destroyed import ALICE, BOB, SHREDCO
from deleatur.testing.service_contract import EVE, ServiceContract, write_order
from deleatur.testing.service_memory import MemoryService, MemoryYard
from deleatur.testing.service_rogues import BREAKS, LEFT
from deleatur.trust.record import look_at_record, sign_record, verify_record

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "deleatur-shredco"
SUITE = """
from deleatur.testing.service_memory import MemoryServiceContract
from deleatur.testing.service_rogues import BREAKS

class TestMemoryService(MemoryServiceContract):
    pass

for rogue in BREAKS:
    name = "Test" + rogue.__name__
    globals()[name] = type(name, (MemoryServiceContract,), {"service": rogue})
"""
PROMISES = {name for name in vars(ServiceContract) if name.startswith("test_")}


@pytest.fixture(scope="module")
def results(run_inside: Callable[..., Any]) -> Iterator[Any]:
    chosen = [f"Test{rogue.__name__}::{promise}" for rogue, promise in BREAKS.items()]
    yield run_inside(SUITE, "TestMemoryService", *chosen)
    for descriptor in LEFT:
        os.close(descriptor)
    LEFT.clear()


@pytest.mark.parametrize("rogue", BREAKS, ids=lambda r: r.__name__)
def test_the_rogue_is_caught_by_the_promise_it_breaks(results: Any, rogue: type[MemoryService]) -> None:
    name = f"Test{rogue.__name__}::{BREAKS[rogue]}"
    assert results.outcomes[name] == "failed", results.reasons.get(name)
    assert not [w for w in ("NameError", "AttributeError", "TypeError") if w in results.reasons[name]]


def test_the_honest_service_passes_all_and_every_promise_has_a_rogue(results: Any) -> None:
    honest = {
        n.partition("::")[2]: o for n, o in results.outcomes.items() if n.startswith("TestMemoryService:")
    }
    assert honest == dict.fromkeys(PROMISES, "passed")
    assert {*BREAKS.values()} == PROMISES
    assert all((rogue.__doc__ or "").strip().endswith(".") for rogue in BREAKS)


# the example, as a vendor would ship it

LOAD = """
import sys
from deleatur.engine.services import service_class
from deleatur.errors import DeleaturError
try:
    print(service_class("shredco", tuple(sys.argv[1:])).__name__)
except DeleaturError as error:
    print(error)
print("deleatur_shredco" in sys.modules)
"""


def test_the_example_is_built_refused_until_trusted_and_keeps_every_promise(
    new_machine: Callable[[], Any],
) -> None:
    machine = new_machine()
    source = machine.install(EXAMPLE)
    answer = machine.run("-c", LOAD, "deleatur")
    assert answer.returncode == 0, answer.stderr
    refused = answer.stdout.splitlines()
    assert refused[0].startswith("deleatur-shredco 0.1.0 is installed but not trusted")
    assert refused[1] == "False"
    assert machine.run("-c", LOAD, "deleatur-shredco==0.1.0").stdout.split() == ["ShredcoService", "True"]
    assert f"{len(PROMISES) + 4} passed" in machine.tested(source)


# the agent's side


class Vendor:
    """An order in a folder, a yard, and the way between them."""

    def __init__(self, folder: Path) -> None:
        self.yard = MemoryYard()
        self.folder, self.record = folder / "order", folder / "record"
        self.kind: type[DestructionService] = MemoryService
        write_order(self.folder, self.yard.url)

    def change(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    def order(self) -> str:
        return order_destruction(self.folder, lambda _: self.kind, lambda: EVE)

    def collect(self) -> None:
        collect_destruction(self.folder, self.record, lambda _: self.kind)

    def destroyed(self, *lost: str) -> None:
        self.order()
        self.yard.destroy("yard-2026-11-20", lost)

    def left_nothing(self) -> bool:
        return sorted(p.name for p in self.folder.parent.iterdir()) == ["order"]


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    return Vendor(tmp_path)


def test_ordered_destroyed_collected_signed_and_verified(vendor: Vendor) -> None:
    vendor.destroyed("S4X7NF0M")
    vendor.collect()
    for key in (SHREDCO, ALICE, BOB):
        sign_record(vendor.record, key, "2026-11-20T12:00:00Z")
    checked = verify_record(vendor.record, [SHREDCO.public, ALICE.public, BOB.public], 3)
    said = checked.statement.predicate
    assert (said.state, [one.serial for one in said.exceptions]) == ("attested-with-exceptions", ["S4X7NF0M"])
    assert [item.serial for item in said.items] == ["ZC1ABC01", "S4X7NF0M", "BOX-1"]


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("vendors.toml", "2027-04-30", "2026-11-19", "ISO/IEC 27001 of shredco was not valid on 2026-11-20"),
        ("vendors.toml", '"hard-disk", "flash"', '"hard-disk"', "has not flash in its scope"),
        ("vendors.toml", 'id = "shredco"\nservice', 'id = "other"\nservice', "names no service of shredco"),
        ("order.toml", 'taker = "shredco"', 'taker = "depot"', "never handed to shredco: BOX-1, S4X7NF0M"),
        ("order.toml", 'giver = "courier"', 'giver = "nobody"', "the chain of custody is broken"),
    ],
)
def test_nothing_is_sent_to_whom_the_register_does_not_bear(
    vendor: Vendor, name: str, old: str, new: str, told: str
) -> None:
    vendor.change(name, old, new)
    with pytest.raises(Refused, match=told):
        vendor.order()
    assert vendor.yard.books() == []


def test_not_done_is_try_again_and_leaves_nothing(vendor: Vendor) -> None:
    vendor.order()
    with pytest.raises(Transient, match="has not ended the order yard-2026-11-20 yet") as caught:
        vendor.collect()
    assert caught.value.exit_code == 6
    assert vendor.left_nothing()


def test_a_service_that_conceals_a_loss_gives_a_record_that_nobody_can_sign(vendor: Vendor) -> None:
    class Conceals(MemoryService):
        def report(self, number: str) -> Report | None:
            told = super().report(number)
            return told and replace(told, missing=())

    vendor.kind = Conceals
    vendor.destroyed("S4X7NF0M")
    vendor.collect()
    with pytest.raises(Refused, match="neither destroyed nor declared missing: S4X7NF0M"):
        look_at_record(vendor.record, "2026-11-20T12:00:00Z")


class Breaks(MemoryService):
    """Gives half a video, then breaks with a message that quotes a name."""

    def exhibit(self, number: str, file: str) -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("Ottilie Canary")


class LeadsOut(MemoryService):
    """Names a file elsewhere."""

    def report(self, number: str) -> Report | None:
        told = super().report(number)
        return told and replace(told, evidence=(Exhibit(file="../../stolen", kind="photo"),))


class Draws(MemoryService):
    """Gives orders numbers that would paint on a terminal."""

    def order(self, custody: CustodyList) -> str:
        return super().order(custody) and "\x1b[2J"


class Endless(MemoryService):
    """Sends for ever."""

    def exhibit(self, number: str, file: str) -> Iterator[bytes]:
        while True:
            yield b"x" * 100


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        (Breaks, Failed, "the service of shredco broke with RuntimeError; report it"),
        (Draws, Failed, "gives an order a number that cannot be shown"),
        (LeadsOut, Malformed, "what came is no record"),
        (Endless, Failed, "more than 100000 bytes"),
    ],
)
def test_what_a_service_breaks_leaves_no_record(
    vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[DestructionService],
    error: type[DeleaturError],
    told: str,
) -> None:
    monkeypatch.setattr(engine, "MAX_EXHIBIT", 100_000)
    vendor.destroyed()
    vendor.kind = kind
    with pytest.raises(error, match=told) as caught:
        vendor.collect()
    assert "Canary" not in str(caught.value)
    assert vendor.left_nothing()


def test_a_record_that_is_there_is_not_written_over(vendor: Vendor) -> None:
    vendor.destroyed()
    (vendor.folder.parent / ".record.new" / "evidence").mkdir(parents=True)  # of an attempt that was killed
    vendor.collect()
    with pytest.raises(Refused, match="there already"):
        vendor.collect()


def test_a_scheme_that_nobody_claims_is_told(vendor: Vendor) -> None:
    with pytest.raises(Unsupported, match="no installed plugin handles yard"):
        loaded(engine.GROUP, "yard", ("deleatur",), MemoryService)


def test_the_command_line(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = vendor.folder.parent / "deleatur.toml"
    settings.write_text('schema = "deleatur/agent/v1"\n[keys]\nagent = "agent.key"\n')
    monkeypatch.setattr(engine, "service_class", lambda _scheme, _trusted: MemoryService)
    monkeypatch.setattr("deleatur.engine.jobs.now", lambda: datetime(2026, 11, 20, 12, tzinfo=UTC))

    def run(*words: str) -> Result:
        runner = CliRunner(env={"DELEATUR_SETTINGS": str(settings)})
        return runner.invoke(deleatur, ["destruction", *words], standalone_mode=False)

    assert run("order", str(vendor.folder)).output == "ordered: A-0\n"
    waiting = run("collect", str(vendor.folder), str(vendor.record)).exception
    assert isinstance(waiting, Transient)
    vendor.yard.destroy("yard-2026-11-20", [])
    shown = run("collect", str(vendor.folder), str(vendor.record))
    assert "record yard-2026-11-20: attested, A1" in shown.output
    assert "not signed yet by: shredco, alice, bob" in shown.output
