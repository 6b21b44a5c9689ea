"""The contract suite: every promise of a backend, as a pytest class that a vendor subclasses.

    class TestAcme(BackendContract):
        backend = AcmeBackend

        @pytest.fixture
        def make_target(self, tmp_path): ...   # a factory: each call plants a fresh target
        @pytest.fixture
        def raw(self): ...                     # a callable: planted -> every byte below the interface

A test that needs more than the two fixtures says which hook to write. Who cannot write it lists
the test in `not_applicable` with a reason: it is then not collected, does not count as passed, and
stands in the badge that each run prints. Nothing is skipped in silence, and what can be seen to
apply cannot be listed. Crashes are real: a forked child, killed by SIGKILL. Needs pytest.
"""

import errno
import inspect as introspection
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
import pytest

from deleatur.api import Backend, Gone, HeldFile, HeldTable, Holding, Unsupported
from deleatur.errors import DeleaturError
from deleatur.judge.sentences import limit_sentence
from deleatur.sanitize.techniques import technique
from deleatur.testing import faults, flushing
from deleatur.testing.trial import SEED, Planted, Trial

__all__ = ["BackendContract", "MakeTarget", "Planted", "Raw", "badge"]

MOST_FAULTS = 60  # per technique: up to here every call is tried, beyond it they are spread evenly
MOST_CURSORS = 60  # a target with more makes the crash tests slow and proves nothing further
FEWEST_PLACES = 4  # with fewer, neither a sample nor a skipped place can be told from the whole
SHORTEST_CANARY = 8  # bytes: shorter ones turn up by chance (2^-64 for each position)

MakeTarget = Callable[[], Planted]
Raw = Callable[[Planted], bytes]
NewTrial = Callable[[], Trial]


_AGAIN = 8  # times: of few places, another draw is the same by chance


class BackendContract:
    """Subclass it as `Test…`, set `backend`, write the fixtures `make_target` and `raw`.

    A good target has two units or more, several cursors, canaries in the first and in the last
    unit, and neighbours that must stay. Keep it small: it is made some hundred times.
    """

    backend: ClassVar[type[Backend]]
    not_applicable: ClassVar[Mapping[str, str]] = {}  # name of a test -> why it cannot be run

    MAY_NOT_APPLY: ClassVar[frozenset[str]] = frozenset(
        {
            "test_a_replaced_target_is_another",
            "test_keystream_reads_back",
            "test_a_missing_key_is_an_error",
            "test_canaries_are_gone_below_the_interface",
            "test_surfaces_hold_the_canaries_before",
            "test_bystanders_are_untouched",
            "test_not_knowing_is_not_gone",
            "test_an_io_error_is_not_swallowed",
            "test_a_kill_at_any_call_is_survived",
            "test_a_cursor_is_flushed",
            "test_records_round_trip",
        }
    )

    def __init_subclass__(cls) -> None:
        for name in cls.not_applicable:
            if name in cls.MAY_NOT_APPLY:
                setattr(cls, name, None)  # pytest collects callables only

    # --- hooks: write them, or list the tests that ask for them

    def replace(self, planted: Planted) -> None:  # noqa: ARG002 - for those who write it
        """Put another storage, of the same kind, at the same URL."""
        pytest.fail("write the hook `replace`, or list test_a_replaced_target_is_another in not_applicable")

    def denied(self, planted: Planted) -> AbstractContextManager[None]:  # noqa: ARG002
        """Make the storage deny access, or time out, inside the returned context."""
        pytest.fail("write the hook `denied`, or list test_not_knowing_is_not_gone in not_applicable")

    def failing(self, n: int) -> AbstractContextManager[list[str]]:
        """Make the `n`-th writing call inside the context fail with EIO; the list names the calls made.

        The default does so for calls that Python makes through `os`. Override it for a network.
        """
        return faults.failing_at(n, errno.EIO)

    @pytest.fixture
    def trial(self, make_target: MakeTarget, raw: Raw) -> NewTrial:
        """Return a factory: each call plants a fresh target for `backend`."""
        return lambda: Trial(self.backend, make_target(), raw)

    # --- looking

    def test_the_target_is_worth_testing(self, trial: NewTrial) -> None:
        """The control of all other tests: there is something to find, and the fixtures find it."""
        one = trial()
        planted, below = one.planted, one.raw()
        assert planted.canaries, "plant canaries"
        short = [c for c in (*planted.canaries, *planted.kept) if len(c) < SHORTEST_CANARY]
        assert not short, f"a canary needs {SHORTEST_CANARY} bytes"
        planted_all = (*planted.canaries, *planted.names, *planted.kept)
        assert all(c in below for c in planted_all), "raw() must see every canary"
        kept = b"\0".join((*one.staying(), *planted.kept))
        assert not [c for c in planted.canaries if c in kept], "a canary also stands in what must stay"
        assert len(one.places()) >= FEWEST_PLACES, f"a target needs {FEWEST_PLACES} places"
        assert one.techniques(), "a target needs a technique that it allows"
        assert self.backend.api == 1, "this suite tests version 1 of the contract"

    def test_offers_are_known(self, trial: NewTrial) -> None:
        """Every technique offered is one that can be planned, every limit a sentence that can be printed."""
        for offer in trial().inspect().offers:
            technique(offer.technique)
            for limit in offer.limits:
                limit_sentence(limit)

    def test_looking_changes_nothing(self, trial: NewTrial) -> None:
        """Opening, inspecting, sampling, probing, showing and reading leave every raw byte as it was."""
        one = trial()
        before = one.raw()
        with one.opened() as backend:
            backend.inspect()
            for place in list(backend.sample(None, SEED)):
                backend.probe(place)
            list(backend.bystanders())
            for table in one.planted.records:
                list(backend.records(table))
            with suppress(Unsupported):  # a storage that shows no contents is declared in a data map
                for holding in backend.contents().holdings:
                    _read_whole(holding)
        assert one.raw() == before, "looking changed the raw bytes"

    def test_close_releases_what_open_took(self, trial: NewTrial) -> None:
        """No file and no connection stays open after `close`: a fresh look must be fresh."""
        one = trial()
        one.seen()  # what is opened once and kept, such as a library, is open now
        before = _descriptors()
        for _ in range(3):
            one.seen()
        assert _descriptors() == before, "something is still open after close()"

    def test_identity_is_stable(self, trial: NewTrial) -> None:
        """One identity at each open, half-way through the erase too."""
        for name in trial().techniques():
            one = trial()
            first = one.identity()
            assert first is not None, "the target is gone before anything was done"
            for step in one.steps(name):
                with one.opened() as backend:
                    for cursor in backend.erase(step, None):
                        assert one.identity() in (first, None), f"another identity at {cursor}"
            assert one.identity() in (first, None), "another identity after the erase"

    def test_another_target_is_another(self, trial: NewTrial) -> None:
        """Targets that exist side by side have different identities."""
        identities = {trial().identity() for _ in range(3)}
        assert len(identities) == 3, "different targets have the same identity"

    def test_a_replaced_target_is_another(self, trial: NewTrial) -> None:
        """Another storage at the same URL is refused, or has another identity."""
        one = trial()
        first = one.identity()
        self.replace(one.planted)
        with suppress(DeleaturError):
            assert one.inspect().identity != first, "the swapped target has the old identity"

    def test_sampling_is_repeatable(self, trial: NewTrial) -> None:
        """Same content and seed: the same places; `count` is kept; the seed does decide."""
        one = trial()
        with one.opened() as backend:
            everything = list(backend.sample(None, SEED))
            half = len(everything) // 2
            some = list(backend.sample(half, SEED))
            answers = {frozenset(backend.sample(half, bytes([n]) * 32)) for n in range(16)}
            assert list(backend.sample(0, SEED)) == [], "asked for no place, got some"
            more = set(backend.sample(len(everything) + 1, SEED))
            assert more == set(everything), "asked for more places than there are, did not get all"
        with one.opened() as backend:
            again = [list(backend.sample(half, SEED)) for _ in range(_AGAIN)]
            assert again == [some] * _AGAIN, "the same seed chose other places"
        assert len(set(everything)) == len(everything), "a place is named twice"
        assert len(set(some)) == half, f"asked for {half} places of {len(everything)}, got {len(set(some))}"
        assert set(some) <= set(everything), "a sample names places that the full list does not"
        assert len(answers) > 1, "sixteen seeds chose the same places"

    def test_sampling_names_only_the_selection(self, trial: NewTrial) -> None:
        """No place shows what must stay."""
        one = trial()
        seen = one.seen()
        assert not [k for k in one.planted.kept if k in seen], "a sampled place shows what must stay"

    def test_probes_see_data_before(self, trial: NewTrial) -> None:
        """The places, taken together, show every canary: else their absence would prove nothing."""
        one = trial()
        seen = one.seen()
        missing = [n for n, c in enumerate(one.planted.canaries) if c not in seen]
        assert not missing, f"the places do not show the canaries number {missing}"

    def test_units_cover_the_places(self, trial: NewTrial) -> None:
        """Every place lies in a unit that the plan lists; no unit with content is without places."""
        one = trial()
        units, sampled = one.inspect().units, {place.unit for place in one.places()}
        names = {unit.name for unit in units}
        assert len(names) == len(units), "two units have one name"
        assert sampled <= names, "there are places outside of the units"
        assert {u.name for u in units if u.size} <= sampled, "there are units that no place looks into"

    def test_surfaces_hold_the_canaries_before(self, trial: NewTrial) -> None:
        """Each surface called scannable shows the canaries, so that a scan of it means something."""
        one = trial()
        surfaces = one.inspect().surfaces
        assert all(s.reason for s in surfaces if s.reach != "scannable"), "say why it is not scannable"
        for name, content in one.scannable().items():
            assert all(c in content for c in one.planted.canaries), f"{name} misses a canary"

    # --- erasing

    def test_erase_is_lazy(self, trial: NewTrial) -> None:
        """Nothing changes before the first `next()`: the journal must say "erasing" first."""
        for name in trial().techniques():
            one = trial()
            before = one.raw()
            with one.opened() as backend:
                cursors = backend.erase(one.steps(name)[0], None)
                assert one.raw() == before, "erase() changed something before the first next()"
                assert iter(cursors) is cursors, "erase() must return an iterator"

    def test_nothing_is_readable_after(self, trial: NewTrial) -> None:
        """Every place is gone, no unit is left and nothing can be sampled, through a fresh open."""
        for name in trial().techniques():
            one = trial()
            places = one.places()
            for step in one.steps(name):
                one.run(step)
            one.assert_gone(name, places)

    def test_keystream_reads_back(self, trial: NewTrial) -> None:
        """After an overwrite each place holds the plan's pattern, to the byte."""
        overwrites = trial().overwrites()
        assert overwrites, "no technique overwrites: list test_keystream_reads_back in not_applicable"
        for overwrite in overwrites:
            one = trial()
            places = one.places()
            for step in one.steps(overwrite.technique):
                one.run(step)
                if step == overwrite:
                    one.assert_reads_back(step, places)
                    break

    def test_a_missing_key_is_an_error(self, trial: NewTrial) -> None:
        """An overwrite without a pattern fails and changes nothing: no key is drawn while erasing."""
        overwrites = trial().overwrites()
        assert overwrites, "no technique overwrites: list test_a_missing_key_is_an_error in not_applicable"
        for overwrite in overwrites:
            one = trial()
            before = one.raw()
            with pytest.raises(DeleaturError):
                one.run(msgspec.structs.replace(overwrite, pattern=None))
            assert one.raw() == before, "an overwrite without a key changed something"

    def test_canaries_are_gone_below_the_interface(self, trial: NewTrial) -> None:
        """No canary is left in the raw bytes, for each technique that claims more than a deletion."""
        names = trial().claiming()
        assert names, "nothing is claimed: list test_canaries_are_gone_below_the_interface in not_applicable"
        for name in names:
            one = trial()
            for step in one.steps(name):
                one.run(step)
            one.assert_clean_below()

    def test_bystanders_are_untouched(self, trial: NewTrial) -> None:
        """What must stay is the same at each cursor and after, for the backend and without it."""
        assert trial().has_bystanders(), "nothing must stay: list test_bystanders_are_untouched"
        for name in trial().techniques():
            one = trial()
            before = one.staying()
            for step in one.steps(name):
                with one.opened() as backend:
                    for cursor in backend.erase(step, None):
                        assert one.staying() == before, f"what must stay changed at {cursor}"
            assert one.staying() == before, "what must stay changed"
            below = one.raw()
            assert all(k in below for k in one.planted.kept), "what must stay is gone below the interface"

    def test_erasing_twice_is_harmless(self, trial: NewTrial) -> None:
        """Each step done twice, then all of them again: no error but `Gone`, and nothing comes back."""
        for name in trial().techniques():
            one = trial()
            places, staying = one.places(), one.staying()
            steps = one.steps(name)
            for step in (*(s for s in steps for _ in range(2)), *steps):
                with suppress(Gone):
                    one.run(step)
            one.assert_ended_well(name, places, staying)

    def test_the_unknown_is_unsupported(self, trial: NewTrial) -> None:
        """A technique or action that is not offered is `Unsupported` and changes nothing: no fallback."""
        one = trial()
        before = one.raw()
        for step in one.foreign_steps():
            with pytest.raises(Unsupported):
                one.run(step)
            assert one.raw() == before, f"{step.technique} {step.action} changed something"

    # --- telling

    def test_cursors_say_where_never_what(self, trial: NewTrial) -> None:
        """Positions are printable ASCII, at most 200 characters, each new; `done` never falls."""
        for name in trial().techniques():
            one = trial()
            for step in one.steps(name):
                cursors = one.run(step)
                assert 0 < len(cursors) <= MOST_CURSORS, f"{len(cursors)} cursors; wanted 1 to {MOST_CURSORS}"
                positions = [c.position for c in cursors]
                assert all(p.isascii() and p.isprintable() for p in positions), "printable ASCII only"
                assert all(0 < len(p) <= 200 for p in positions), "a position has 1 to 200 characters"
                assert len(set(positions)) == len(positions), "a position was yielded twice"
                assert sorted(c.done for c in cursors) == [c.done for c in cursors], "`done` fell"
                one.assert_silent(msgspec.json.encode(cursors), "a cursor")

    def test_what_is_said_is_where_never_what(self, trial: NewTrial) -> None:
        """Inspection, places and errors tell no canary: they end up in documents and logs."""
        one = trial()
        one.assert_silent(msgspec.json.encode(one.inspect()), "the inspection")
        one.assert_silent(msgspec.json.encode(one.places()), "a place")
        without_key = [msgspec.structs.replace(step, pattern=None) for step in one.overwrites()]
        for step in (*one.foreign_steps(), *without_key):
            with pytest.raises(DeleaturError) as caught:
                one.run(step)
            one.assert_silent(str(caught.value).encode(), "an error")
            assert "\n" not in str(caught.value), "an error is one line"

    def test_not_knowing_is_not_gone(self, trial: NewTrial) -> None:
        """When the storage denies access, no answer says that something is not there."""
        one = trial()
        inspection, places = one.inspect(), one.places()
        with self.denied(one.planted):
            for place in places:
                assert one.answers(partial(one.probe, place)) == [], "a probe without access must be an error"
            assert one.answers(one.inspect) in ([], [inspection]), "units vanished"
            assert one.answers(one.places) in ([], [places]), "places vanished"

    def test_records_round_trip(self, trial: NewTrial) -> None:
        """The records to archive come out as they were planted, in every column, each time."""
        one = trial()
        assert one.planted.records, "nothing is archived: list test_records_round_trip in not_applicable"
        with one.opened() as backend:
            for table, expected in one.planted.records.items():
                for _ in range(2):
                    assert list(backend.records(table)) == expected, f"other records of {table}"

    # --- crashing

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_a_crash_at_any_cursor_is_survived(
        self, trial: NewTrial, moment: Literal["before", "after"]
    ) -> None:
        """Die at each cursor, just before or just after the journal has it; resume; all is gone."""
        for name in trial().techniques():
            lines = list(trial().journalled_all(name))
            for n, line in enumerate(lines, start=1):
                if line.endswith(" end"):
                    continue
                one = trial()
                places, staying = one.places(), one.staying()
                died = faults.run_killed_after(partial(one.journalled_all, name), n)
                assert died.killed, f"the step did not come to its cursor number {n}: {died.error}"
                one.resume(name, died.told[: n - 1] if moment == "before" else died.told, places)
                one.assert_ended_well(name, places, staying)

    def test_a_kill_at_any_call_is_survived(self, trial: NewTrial) -> None:
        """Die at each call that changes storage, also between two cursors; resume; all is gone."""
        for name in trial().techniques():
            calls = faults.list_calls(partial(trial().journalled_all, name))
            assert calls, "no call was seen: list test_a_kill_at_any_call_is_survived in not_applicable"
            points, reached = faults.kill_points(calls, MOST_FAULTS), 0
            for n, moment in points:
                one = trial()
                places, staying = one.places(), one.staying()
                died = faults.run_killed_at(partial(one.journalled_all, name), n, moment)
                assert died.killed or not died.error, f"the run ended before its call {n}: {died.error}"
                reached += died.killed
                one.resume(name, died.told, places)
                one.assert_ended_well(name, places, staying)
            assert 2 * reached > len(points), "most runs ended before they came to the call to be killed at"

    def test_an_io_error_is_not_swallowed(self, trial: NewTrial) -> None:
        """Let each writing call fail: the error comes out, and the resumed job ends well."""
        for name in trial().techniques():
            counted = trial()
            with self.failing(1 << 62) as calls:
                list(counted.journalled_all(name))
            assert calls, "no call could fail: write the hook `failing`, or list the test"
            points, reached = faults.spread(len(calls), MOST_FAULTS), 0
            for n in points:
                one = trial()
                places, staying = one.places(), one.staying()
                with self.failing(n) as calls:
                    journal, error = one.journalled_until_error(name)
                failed = len(calls) >= n  # a server writes more at one time than at another
                assert (error is not None) == failed, (
                    f"an I/O error was swallowed, or came by itself: call {n}, {calls[n - 1 :][:1]}"
                )
                reached += failed
                one.assert_silent(str(error).encode(), "an error")
                one.resume(name, journal, places)
                one.assert_ended_well(name, places, staying)
            assert 2 * reached > len(points), "most runs ended before they came to the call to fail at"

    def test_a_cursor_is_flushed(self, trial: NewTrial) -> None:
        """At each cursor nothing waits in the page cache that a power cut would lose."""
        changes = 0
        for name in trial().techniques():
            one = trial()
            for step in one.steps(name):
                with one.opened() as backend, flushing.watched() as ledger:
                    for cursor in backend.erase(step, None):
                        assert not ledger.due(), f"{cursor} promises what is not flushed: {ledger.due()}"
                    assert not ledger.due(), f"the step ended before this was flushed: {ledger.due()}"
                changes += ledger.changes
        assert changes, "no call was seen: list test_a_cursor_is_flushed in not_applicable"

    # --- the badge

    def test_the_badge_is_honest(self, trial: NewTrial, request: pytest.FixtureRequest) -> None:
        """Print which promises are not tested, and let nobody list one that can be seen to apply."""
        _show(badge(type(self)), request.config)
        listed = set(self.not_applicable)
        assert listed <= self.MAY_NOT_APPLY, f"cannot be listed: {sorted(listed - self.MAY_NOT_APPLY)}"
        assert all(reason.strip() for reason in self.not_applicable.values()), "each one needs a reason"
        one = trial()
        applies = {
            "test_bystanders_are_untouched": one.has_bystanders(),
            "test_records_round_trip": bool(one.planted.records),
            "test_keystream_reads_back": bool(one.overwrites()),
            "test_a_missing_key_is_an_error": bool(one.overwrites()),
            "test_canaries_are_gone_below_the_interface": bool(one.claiming()),
        }
        wrong = sorted(name for name in listed if applies.get(name))
        assert not wrong, f"listed although they apply: {wrong}"


def _read_whole(holding: Holding) -> None:
    """Read a table or a file to its end."""
    match holding:
        case HeldTable():
            assert len(list(holding.read())) == holding.rows, (
                "a table shows another number of rows than it has"
            )
        case HeldFile():
            with holding.open() as stream:
                assert len(stream.read()) == holding.size, "a file shows another size than it has"


def badge(suite: type[BackendContract]) -> str:
    """Say, in lines for a README, which promises the suite tests and which it does not, and why."""
    promises = [name for name, test in introspection.getmembers(suite, callable) if name.startswith("test_")]
    lines = [
        f"deleatur contract {suite.backend.api}: {suite.backend.__name__} is tested for"
        f" {len(promises)} promises; {len(suite.not_applicable)} not applicable",
        *(f"  not applicable: {name}: {reason}" for name, reason in sorted(suite.not_applicable.items())),
    ]
    return "\n".join(lines)


def _show(text: str, config: pytest.Config) -> None:
    """Let pytest itself write the text to its terminal, past the capture of the running test."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is not None and capture is not None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(text)


def _descriptors() -> int:
    """Count what this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
