"""The verdict: what was found decides first, every doubt second, and only then is it clean."""

import itertools

import pytest
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from deleatur.documents.journal import Controlled, SurfaceScan, Verdict, WordScan
from deleatur.documents.place import Surface
from deleatur.judge.evidence import verdict

TWO = ("aho-corasick", "hyperscan")
SEEN = SurfaceScan(name="file", size=4096, hits=1000, seen=1000, scanners=TWO)
SURFACES = (
    Surface(name="file", reach="scannable"),
    Surface(name="block device below", reach="scannable", paths=("/dev/loop7",)),
    Surface(name="log", reach="scannable", control="none"),
)
NOTHING = SurfaceScan(name="file", size=4096, hits=0, seen=0, scanners=TWO)


def control(values: int = 1000, seen: int = 1000, *surfaces: SurfaceScan) -> Controlled:
    return Controlled(
        target="t",
        places=values,
        values=values,
        shared=0,
        short=0,
        seen=seen,
        set_digest="00",
        surfaces=surfaces or (SEEN,),
        keep_digest="",
    )


def judge(
    controlled: Controlled | None,
    *scans: SurfaceScan,
    sampled: bool = True,
    values: int = 1000,
    present: int = 0,
    remaining: int = 0,
    words: WordScan | UnsetType = UNSET,
) -> tuple[Verdict, str]:
    return verdict(
        SURFACES,
        controlled,
        scans,
        sampled=sampled,
        values=values,
        present=present,
        remaining=remaining,
        words=words,
    )


def scan(name: str, seen: int = 0, size: int = 4096) -> SurfaceScan:
    live = int(name == DEVICE)
    return SurfaceScan(name=name, size=size, hits=seen, seen=seen, scanners=TWO, live=live)


def test_nothing_found_by_a_scanner_that_could_see_is_clean() -> None:
    assert judge(control(), NOTHING) == ("CLEAN", "")


@pytest.mark.parametrize(
    ("seen", "expected"), [(1000, "CLEAN"), (999, "CLEAN"), (998, "INCONCLUSIVE"), (0, "INCONCLUSIVE")]
)
def test_999_of_1000_must_have_been_seen_before(seen: int, expected: str) -> None:
    assert judge(control(1000, seen), NOTHING)[0] == expected


def test_one_unseen_value_of_few_is_too_many() -> None:
    ruling, reason = judge(control(10, 9), NOTHING, values=10)
    assert (ruling, reason) == ("INCONCLUSIVE", "the control saw only 9 of 10 values before the erase")


def test_every_doubt_alone_is_enough_and_is_named() -> None:
    log = SurfaceScan(name="log", size=0, hits=0, seen=0, scanners=TWO)
    broken = SurfaceScan(name="file", size=4096, hits=0, seen=0, unreadable=512, scanners=TWO)
    alone = SurfaceScan(name="file", size=4096, hits=0, seen=0, scanners=TWO[:1])
    twice = SurfaceScan(name="file", size=4096, hits=0, seen=0, scanners=TWO[:1] * 2)
    blind = SurfaceScan(name="file", size=4096, hits=1000, seen=1000, disputed=7, scanners=TWO)
    doubts = {
        "no positive control": judge(None, NOTHING),
        "long and varied enough": judge(control(0, 0), NOTHING, values=0),
        "lost with the key": judge(control(), NOTHING, sampled=False, values=0),
        "only 999 of the 1000": judge(control(), NOTHING, values=999),
        "not scanned after the erase: log": judge(control(1000, 1000, SEEN, log), NOTHING),
        "512 bytes of file could not be read": judge(control(), broken),
        "not searched by two scanners: file": judge(control(), alone),
        "not searched by two scanners": judge(control(), twice),
        "two scanners: file": judge(control(1000, 1000, alone), NOTHING),
        "disagree on 7 of 1000 occurrences in file": judge(control(1000, 1000, blind), NOTHING),
    }
    for words, (ruling, reason) in doubts.items():
        assert ruling == "INCONCLUSIVE"
        assert words in reason


def test_several_doubts_are_all_named() -> None:
    broken = SurfaceScan(name="file", size=0, hits=0, seen=0, unreadable=1, scanners=TWO)
    _, reason = judge(control(1000, 5), broken, values=3)
    assert reason.count(";") == 2


DEVICE, LOG = "block device below", "log"


@pytest.mark.parametrize(
    ("seen", "expected"), [(1000, "CLEAN"), (999, "CLEAN"), (998, "INCONCLUSIVE"), (0, "INCONCLUSIVE")]
)
def test_each_surface_must_show_the_values_whatever_the_others_showed(seen: int, expected: str) -> None:
    ruling, reason = judge(control(1000, 1000, SEEN, scan(DEVICE, seen)), NOTHING, scan(DEVICE))
    assert ruling == expected
    if expected != "CLEAN":
        assert reason == f"the control saw only {seen} of 1000 values in {DEVICE} before the erase"


def test_two_surfaces_that_saw_half_each_saw_too_little() -> None:
    _, reason = judge(control(1000, 1000, scan("file", 500), scan(DEVICE, 500)), NOTHING, scan(DEVICE))
    assert "in file" in reason
    assert f"in {DEVICE}" in reason


def test_a_surface_that_need_not_hold_the_values_lends_no_control_to_others() -> None:
    assert judge(control(1000, 1000, SEEN, scan(LOG)), NOTHING, scan(LOG)) == ("CLEAN", "")
    assert judge(control(1000, 1000, scan(LOG, 1000)), scan(LOG)) == ("CLEAN", "")
    told = judge(control(1000, 1000, scan(LOG, 998)), scan(LOG))
    assert told == ("INCONCLUSIVE", "no surface showed the values before the erase")
    assert judge(control(1000, 1000, scan("file"), scan(LOG, 1000)), NOTHING, scan(LOG))[0] == "INCONCLUSIVE"


def test_a_surface_that_the_plan_does_not_know_gets_no_softer_judgement() -> None:
    assert judge(control(1000, 1000, SEEN, scan("other")), NOTHING, scan("other"))[0] == "INCONCLUSIVE"


def test_a_surface_that_was_scanned_after_the_erase_only_had_no_control() -> None:
    ruling, reason = judge(control(), NOTHING, scan(DEVICE))
    assert (ruling, reason) == (
        "INCONCLUSIVE",
        f"the control saw only 0 of 1000 values in {DEVICE} before the erase",
    )


@pytest.mark.parametrize("size", [0, 4095, 8192])
def test_a_device_that_is_not_as_long_as_it_was_is_another(size: int) -> None:
    controlled = control(1000, 1000, SEEN, scan(DEVICE, 1000))
    ruling, reason = judge(controlled, NOTHING, scan(DEVICE, size=size))
    assert (ruling, reason) == (
        "INCONCLUSIVE",
        f"{DEVICE} had 4096 bytes before the erase and {size} after it",
    )


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_device_that_does_not_show_what_is_written_above_it_is_another(when: str) -> None:
    looks = {"before": scan(DEVICE, 1000), "after": scan(DEVICE)}
    looks[when] = replace(looks[when], live=0)
    ruling, reason = judge(control(1000, 1000, SEEN, looks["before"]), NOTHING, looks["after"])
    assert (ruling, reason) == (
        "INCONCLUSIVE",
        f"{DEVICE} did not show, {when} the erase, what had just been written to the file system above it",
    )


def test_a_file_may_grow_shrink_and_go() -> None:
    assert judge(control(), scan("file", size=0)) == ("CLEAN", "")


def words(seen: int, hits: int = 0, count: int = 100, digest: str = "11", disputed: int = 0) -> WordScan:
    return WordScan(
        count=count, set_digest=digest, hits=hits, seen=seen, disputed=disputed, scanners=TWO if count else ()
    )


def test_words_of_indexes_are_judged_beside_the_values() -> None:
    shown = replace(control(), words=words(60, 90))
    assert judge(shown, NOTHING, words=words(0)) == ("CLEAN", ""), (
        "some of them are enough to see an old index"
    )
    assert judge(shown, NOTHING, words=words(2, 3)) == (
        "RESIDUE",
        "3 occurrences of 2 words of sampled values in indexes of words",
    )
    assert judge(control(), NOTHING) == ("CLEAN", ""), "there is no such index, or nobody knew of it"
    none = words(0, count=0)
    assert judge(replace(control(), words=none), NOTHING, words=none) == ("CLEAN", "")


def test_every_doubt_of_words_alone_is_enough_and_is_named() -> None:
    shown, again = replace(control(), words=words(60, 90)), words(0)
    unseen = replace(control(), words=words(0))
    disputed = replace(control(), words=words(60, 90, disputed=4))
    doubts = {
        "saw none of 100 words": judge(unseen, NOTHING, words=again),
        "not searched again": judge(shown, NOTHING),
        "were not searched again": judge(shown, NOTHING, words=words(0, count=99)),
        "words of indexes were not searched again": judge(shown, NOTHING, words=words(0, digest="12")),
        "by two scanners": judge(shown, NOTHING, words=replace(again, scanners=TWO[:1])),
        "disagree on 4 occurrences of words": judge(disputed, NOTHING, words=again),
    }
    for expected, (ruling, reason) in doubts.items():
        assert ruling == "INCONCLUSIVE"
        assert expected in reason
        assert ";" not in reason


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("controlled", [None, control(), control(0, 0), control(1000, 0)])
def test_what_was_found_is_residue_whatever_else_is_in_doubt(
    controlled: Controlled | None, sampled: bool
) -> None:
    found = SurfaceScan(name="wal", size=10, hits=3, seen=2, unreadable=7)
    assert judge(controlled, NOTHING, found, sampled=sampled) == (
        "RESIDUE",
        "3 occurrences of 2 sampled values in wal",
    )
    assert judge(controlled, NOTHING, present=1, sampled=sampled)[0] == "RESIDUE"
    assert judge(controlled, NOTHING, remaining=1, sampled=sampled)[0] == "RESIDUE"


def test_clean_is_one_corner_of_all_cases() -> None:
    """Of every combination of one good and one bad input each, exactly the all-good one is clean."""
    cases = itertools.product(
        (control(), None, control(1000, 1)),
        (
            NOTHING,
            SurfaceScan(name="file", size=1, hits=1, seen=1),
            SurfaceScan(name="other", size=1, hits=0, seen=0, scanners=TWO),
        ),
        (True, False),
        (1000, 1),
        (0, 1),
        (0, 1),
    )
    rulings = [
        judge(controlled, scan, sampled=sampled, values=values, present=present, remaining=remaining)[0]
        for controlled, scan, sampled, values, present, remaining in cases
    ]
    assert rulings[0] == "CLEAN"
    assert rulings.count("CLEAN") == 1
