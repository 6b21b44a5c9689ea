"""The engine of windows, and the beginnings that Aho and Corasick go by: a naive count, and rogues."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deleatur.errors import Failed
from deleatur.sanitize import engines, windows
from deleatur.sanitize.engines import AhoCorasick, Match, engines_for, try_out
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.sanitize.windows import Windows

VALUES = [f"https://shop.example/customers/profile/{number:05d}/".encode() for number in range(300)]


def naive(wanted: list[bytes], haystack: bytes) -> set[Match]:
    """Find by bytes.find alone."""
    found = set()
    for number, needle in enumerate(wanted):
        at = haystack.find(needle)
        while at >= 0:
            found.add((number, at + len(needle)))
            at = haystack.find(needle, at + 1)
    return found


# Of few letters, so that needles overlap, stand in each other, and have windows in common, at every length.
alike = st.binary(min_size=1, max_size=40).map(lambda some: bytes(97 + byte % 2 for byte in some))
apart = st.binary(min_size=6, max_size=80)
wanted_ones = st.lists(alike | apart, min_size=1, max_size=9, unique=True)


def of_many(needles: Sequence[bytes]) -> Windows:
    """Build the engine as if these were many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "FEW", 0)
        return Windows(needles)


@pytest.mark.parametrize("engine", [Windows, of_many, AhoCorasick])
@example([b"abababababababababababab", b"ababababababababab", b"babababab"], [0, 0, 1, 2], b"ba", 20)
@given(wanted_ones, st.lists(st.integers(0, 8), max_size=8), st.binary(max_size=20), st.integers(0, 40))
def test_what_a_naive_search_finds_is_found_once_and_nothing_else(
    engine: Callable[[Sequence[bytes]], Windows | AhoCorasick],
    wanted: list[bytes],
    planted: list[int],
    filler: bytes,
    cut: int,
) -> None:
    haystack = filler.join(wanted[number % len(wanted)] for number in planted)
    haystack = haystack[cut // 2 : len(haystack) - cut % 7]  # pieces of needles on either end
    tried = engine(wanted)
    try_out(tried, wanted)
    for content in (haystack, filler + haystack, memoryview(haystack)):
        found = tried.find(content)
        assert len(found) == len(set(found))
        assert set(found) == naive(wanted, bytes(content))


@given(st.lists(apart, min_size=2, max_size=9, unique=True), st.data())
def test_needles_across_the_borders_of_a_stream_are_found_by_both(
    wanted: list[bytes], data: st.DataObject
) -> None:
    needles = NeedleSet(
        tuple(sorted(wanted)),
        tuple(frozenset({n}) for n in range(len(wanted))),
        frozenset(range(len(wanted))),
        0,
    )
    haystack = b"".join(data.draw(st.lists(st.sampled_from([*wanted, b"x", b"\0" * 9]), max_size=9)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(haystack)), max_size=9)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "FEW", 0)
        patch.setattr(windows, "FEW", 0)
        engines._built.clear()
        scanner = Scanner(needles)
        assert [engine.name for engine in scanner.engines] == ["aho-corasick", "windows"]
        hits = scanner.search(haystack[a:b] for a, b in pairwise([0, *cuts, len(haystack)]))
    assert (hits.count, hits.disputed) == (len(naive(sorted(wanted), haystack)), 0)


@pytest.mark.parametrize("build", [Windows, of_many])
@pytest.mark.parametrize("length", [1, 5, 6, 7, 8, 9, 10, 11, 22, 23, 64, 128])
def test_a_needle_is_found_wherever_it_lies(length: int, build: Callable[[Sequence[bytes]], Windows]) -> None:
    needle = bytes(range(1, length + 1))
    engine = build([needle])
    for before in range(17):
        for behind in range(17):
            assert engine.find(bytes(before) + needle + bytes(behind)) == [(0, before + length)]


def test_thousands_of_needles_that_begin_and_end_alike_are_told_apart() -> None:
    needles = NeedleSet.of(VALUES[::2]).needles  # beside those that stay
    found = [build(needles).find(b"\n".join(VALUES)) for build in (AhoCorasick, Windows, of_many)]
    assert [len(some) for some in found] == [len(VALUES) // 2] * 3
    assert [set(some) for some in found] == [naive(list(needles), b"\n".join(VALUES))] * 3


def test_zeros_do_not_fill_memory_with_windows_of_needles_that_are_mostly_zeros() -> None:
    wanted = [b"\1\2\3" + bytes(length) + b"\4" for length in range(24, 100)]
    assert Windows(wanted).find(bytes(1 << 20)) == []
    assert Windows(wanted).find(bytes(1 << 20) + wanted[7]) == [(7, (1 << 20) + len(wanted[7]))]


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_window_that_was_dropped_is_noticed_in_the_trial(level: int) -> None:
    wanted = [b"K12345", b"L1234567", b"Anna Berg-Tal", b"https://shop.example/customers/profile/00017/"]
    bent = of_many(wanted)
    try_out(bent, wanted)
    whole = bent.levels[level]._entries
    for dropped in range(len(whole)):
        bent.levels[level]._entries = whole.copy()
        bent.levels[level]._entries[dropped] ^= np.uint64(1) << np.uint64(40)
        with pytest.raises(Failed, match="the search engine windows"):
            try_out(bent, wanted)


@pytest.mark.parametrize(("shortest", "level"), [(6, (6, 1)), (8, (7, 2)), (10, (7, 4))])
def test_few_needles_are_searched_for_in_one_pass_and_no_window_may_miss(
    shortest: int, level: tuple[int, int]
) -> None:
    wanted = [bytes(range(65, 65 + shortest)), b"Anna Berg-Tal", VALUES[0]]
    bent = Windows(wanted)
    try_out(bent, wanted)
    (only,) = bent.levels
    assert (only._width, only._stride) == level
    whole = only._entries
    for dropped in range(len(whole)):
        only._entries = whole.copy()
        only._entries[dropped] ^= np.uint64(1) << np.uint64(40)
        with pytest.raises(Failed, match="the search engine windows"):
            try_out(bent, wanted)


@pytest.mark.parametrize("most_bytes", [19, 0])
@pytest.mark.parametrize("table", ["_first", "_second", "_third"])
def test_a_table_without_one_of_its_marks_is_noticed_in_the_trial(
    table: str, most_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_MOST_BYTES", most_bytes)
    wanted = list(NeedleSet.of(VALUES[:9]).needles)
    bent = Windows(wanted)
    for level in bent.levels:
        marks = getattr(level, table)._marks
        for at in np.flatnonzero(marks)[::7]:
            kept = marks[at]
            marks[at] &= marks[at] - 1
            with pytest.raises(Failed, match="the search engine windows"):
                try_out(bent, wanted)
            marks[at] = kept
    try_out(bent, wanted)


@pytest.mark.parametrize("build", [Windows, of_many])
def test_an_engine_that_reads_only_every_other_lane_is_noticed_in_the_trial(
    build: Callable[[Sequence[bytes]], Windows],
) -> None:
    wanted = list(NeedleSet.of(VALUES[:50]).needles)
    bent = build(wanted)
    bent.levels[-1]._stride *= 2
    with pytest.raises(Failed, match="the search engine windows"):
        try_out(bent, wanted)


def test_an_automaton_that_forgot_the_length_of_one_beginning_is_noticed_in_the_trial() -> None:
    wanted = list(NeedleSet.of(VALUES[:50]).needles)
    bent = AhoCorasick(wanted)
    bent.parts[0]._lengths[-1] = ()  # type: ignore[attr-defined]
    with pytest.raises(Failed, match="the search engine aho-corasick"):
        try_out(bent, wanted)


def test_the_engines_of_one_set_are_kept_and_let_go_before_others_are_built() -> None:
    first, second = tuple(VALUES[:3]), tuple(VALUES[3:6])
    kept = engines_for(first)
    assert engines_for(tuple(VALUES[:3])) is kept
    engines_for(second)
    assert list(engines._built) == [second]
    Scanner(NeedleSet.of(VALUES[:3])).search_apart([b"x"])
    assert not engines._built
