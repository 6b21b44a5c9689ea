"""The engine of windows, and the beginnings that Aho and Corasick go by: a naive count, and rogues."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deleatur.errors import Failed
from deleatur.sanitize import engines
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


@pytest.mark.parametrize("engine", [Windows, AhoCorasick])
@example([b"abababababababababababab", b"ababababababababab", b"babababab"], [0, 0, 1, 2], b"ba", 20)
@given(wanted_ones, st.lists(st.integers(0, 8), max_size=8), st.binary(max_size=20), st.integers(0, 40))
def test_what_a_naive_search_finds_is_found_once_and_nothing_else(
    engine: type[Windows] | type[AhoCorasick],
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
        patch.setattr(engines, "_FOR_HYPERSCAN", 0)
        engines._built.clear()
        scanner = Scanner(needles)
        assert [engine.name for engine in scanner.engines] == ["aho-corasick", "windows"]
        hits = scanner.search(haystack[a:b] for a, b in pairwise([0, *cuts, len(haystack)]))
    assert (hits.count, hits.disputed) == (len(naive(sorted(wanted), haystack)), 0)


@pytest.mark.parametrize("length", [1, 5, 6, 7, 8, 10, 11, 22, 23, 64, 128])
def test_a_needle_is_found_wherever_it_lies(length: int) -> None:
    needle = bytes(range(1, length + 1))
    engine = Windows([needle])
    for before in range(17):
        for behind in range(17):
            assert engine.find(bytes(before) + needle + bytes(behind)) == [(0, before + length)]


def test_thousands_of_needles_that_begin_and_end_alike_are_told_apart() -> None:
    needles = NeedleSet.of(VALUES[::2]).needles  # beside those that stay
    found = [AhoCorasick(needles).find(b"\n".join(VALUES)), Windows(needles).find(b"\n".join(VALUES))]
    assert len(found[0]) == len(VALUES) // 2
    assert set(found[0]) == set(found[1]) == naive(list(needles), b"\n".join(VALUES))


def test_zeros_do_not_fill_memory_with_windows_of_needles_that_are_mostly_zeros() -> None:
    wanted = [b"\1\2\3" + bytes(length) + b"\4" for length in range(24, 100)]
    assert Windows(wanted).find(bytes(1 << 20)) == []
    assert Windows(wanted).find(bytes(1 << 20) + wanted[7]) == [(7, (1 << 20) + len(wanted[7]))]


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_window_that_was_dropped_is_noticed_in_the_trial(level: int) -> None:
    wanted = [b"K12345", b"L1234567", b"Anna Berg-Tal", b"https://shop.example/customers/profile/00017/"]
    bent = Windows(wanted)
    try_out(bent, wanted)
    whole = bent.levels[level]._entries
    for dropped in range(len(whole)):
        bent.levels[level]._entries = whole.copy()
        bent.levels[level]._entries[dropped] ^= np.uint64(1) << np.uint64(40)
        with pytest.raises(Failed, match="the search engine windows"):
            try_out(bent, wanted)


@pytest.mark.parametrize("table", ["_first", "_second", "_third"])
def test_a_table_without_one_of_its_bits_is_noticed_in_the_trial(table: str) -> None:
    wanted = list(NeedleSet.of(VALUES[:9]).needles)
    bent = Windows(wanted)
    for level in bent.levels:
        bits = getattr(level, table)._bytes
        for at in np.flatnonzero(bits)[::7]:
            kept = bits[at]
            bits[at] &= bits[at] - 1
            with pytest.raises(Failed, match="the search engine windows"):
                try_out(bent, wanted)
            bits[at] = kept
    try_out(bent, wanted)


def test_an_engine_that_reads_only_every_other_lane_is_noticed_in_the_trial() -> None:
    wanted = list(NeedleSet.of(VALUES[:50]).needles)
    bent = Windows(wanted)
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
