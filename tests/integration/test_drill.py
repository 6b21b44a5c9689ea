"""Each custodian opens each archive once a year; who has not is shown, and nobody's word replaces theirs."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from deleatur.cli.group import deleatur
from deleatur.engine.drilling import import_drill, make_drill, standings
from deleatur.engine.keeping import put_envelope
from deleatur.errors import Refused
from deleatur.testing.workbench import signing_key
from deleatur.trust.drill import drill_in, sign_drill

from .custody_world import BOARD, IDENTITY, CustodyWorld
from .test_succession import CLARA, NEW_IDENTITY, accept, handed, take_over

CREATED = date(2026, 1, 1)


def finished(folder: Path, patch: pytest.MonkeyPatch) -> CustodyWorld:
    world = CustodyWorld(folder, patch).planned()
    world.refusal()
    world.copy()
    world.receive()
    world.bench.run(world.job)
    return world


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustodyWorld]:
    with pytest.MonkeyPatch.context() as patch:
        yield finished(tmp_path_factory.mktemp("kept"), patch)


@pytest.fixture
def world(kept: CustodyWorld) -> Iterator[CustodyWorld]:
    """A certified job whose archive lies in three copies, without any drill."""
    yield kept
    shutil.rmtree(kept.job.path / "custody" / "drills", ignore_errors=True)


def ticks(*times: float) -> Callable[[], float]:
    return iter(times).__next__


def begun(world: CustodyWorld) -> date:
    """The last day of the first year."""
    return standings(world.job, world.bench.agent.public, CREATED)[0].due


def drilled(world: CustodyWorld, day: date, took: float = 754) -> bytes:
    times = ticks(100, 100 + took)
    made, _ = make_drill(world.sealed, IDENTITY, "records", world.records, clock=on(day), tick=times)
    return made


def on(day: date) -> Callable[[], datetime]:
    return lambda: datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def test_a_timed_opening_is_recorded_and_counts_for_a_year(world: CustodyWorld) -> None:
    agent = world.bench.agent.public
    first = begun(world)
    assert not any(one.overdue for one in standings(world.job, agent, first))
    later = first.replace(year=first.year + 1)
    assert all(one.overdue for one in standings(world.job, agent, later))
    taken = import_drill(world.job, drilled(world, first), agent, on(first))
    assert (taken.day, taken.seconds) == (first, 754)
    records, board = standings(world.job, agent, later)
    assert (records.custodian, records.overdue, records.due) == ("records", False, later)
    assert (board.custodian, board.overdue, board.last) == ("board", True, None)


def test_a_drill_takes_a_custodian_who_opens_it(world: CustodyWorld) -> None:
    with pytest.raises(Refused, match="does not open"):
        make_drill(world.sealed, NEW_IDENTITY, "records", world.records, clock=on(CREATED), tick=ticks(0, 1))
    torn = world.folder / world.sealed.name
    torn.write_bytes(world.sealed.read_bytes()[:-1])
    with pytest.raises(Refused, match="does not open"):
        make_drill(torn, IDENTITY, "records", world.records, clock=on(CREATED), tick=ticks(0, 1))


def test_words_that_do_not_count_are_refused_and_not_shown(world: CustodyWorld) -> None:
    agent, first = world.bench.agent.public, begun(world)
    sound = drilled(world, first)
    file, sha256, said = drill_in(sound, world.records.public)
    stranger = signing_key("records", 77)
    rogues = [
        sign_drill(file, sha256, said, stranger),
        sign_drill(file, "0" * 64, said, world.records),
        sign_drill("other.tar.age", sha256, said, world.records),
        sign_drill(file, sha256, said, world.board),
        world.receipt(world.records),
    ]
    for rogue in rogues:
        with pytest.raises(Refused, match="no custodian of today"):
            import_drill(world.job, rogue, agent, on(first))
        put_envelope(world.job.path, "drills", rogue)
    with pytest.raises(Refused, match="lies ahead"):
        import_drill(world.job, sound, agent, on(CREATED))
    assert all(one.last is None for one in standings(world.job, agent, first))


def test_who_follows_a_custodian_has_a_year_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = finished(tmp_path, monkeypatch)
    agent, first = world.bench.agent, begun(world)
    import_drill(world.job, drilled(world, first), agent.public, on(first))
    path, archive = handed(world)
    accept(path, archive, NEW_IDENTITY, CLARA)
    take_over(world.job, path, archive, agent)
    found = standings(world.job, agent.public, first)
    assert {one.custodian: one.last for one in found} == {"board": None, "clara": None}


def test_the_command_line_opens_imports_and_shows(world: CustodyWorld, tmp_path: Path) -> None:
    run = CliRunner().invoke
    home = tmp_path / "agent"
    phrase = tmp_path / "phrase"
    phrase.write_text("a passphrase for tests\n")
    phrase.chmod(0o600)
    with_phrase = ["--passphrase-file", str(phrase)]
    assert run(deleatur, ["init", str(home), *with_phrase]).exit_code == 0
    shares = [tmp_path / f"s{n}" for n in (1, 2)]
    for path, words in zip(shares, BOARD.shares, strict=False):
        path.write_text(words)
    key = home / "keys" / "agent.key"
    out = tmp_path / "drill.json"
    asked = ["drill", "open", str(world.sealed), "--custodian", "board"]
    asked += ["--key", str(key), "--out", str(out)]
    asked += [word for path in shares for word in ("--share", str(path))]
    asked += with_phrase
    told = run(deleatur, [*asked, "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["size"] == world.sealed.stat().st_size
    assert isinstance(run(deleatur, asked).exception, Refused)
    settings = ["--settings", str(home / "deleatur.toml")]
    taken = run(deleatur, ["drill", "import", str(world.job.path), str(out), *settings])
    assert isinstance(taken.exception, Refused)
    shown = run(deleatur, ["drill", "show", str(world.job.path), "--json", *settings])
    assert {row["custodian"] for row in json.loads(shown.stdout)["drills"]} == {"records", "board"}
