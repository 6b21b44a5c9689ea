"""The two search engines: each against a naive count, against the other, and against rogues."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deleatur.documents.place import Surface
from deleatur.engine.selftest import selftest
from deleatur.errors import Failed
from deleatur.sanitize import encodings, engines, needles, scan
from deleatur.sanitize.engines import AhoCorasick, Engine, Hyperscan, Match, Part, try_out
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.sanitize.windows import Windows

Built = type[AhoCorasick] | type[Hyperscan] | type[Windows]
ENGINES: list[Built] = [AhoCorasick, Hyperscan, Windows]
NAMES = [b"Anna Berg", b"Berta Tal", b"Carl Feld"]


@pytest.fixture(autouse=True)
def built_anew() -> None:
    engines._built.clear()


cut_at_nul = st.binary(min_size=1, max_size=6).map(lambda b: bytes(x % 3 for x in b))  # full of NUL


def naive(wanted: Sequence[bytes], haystack: bytes) -> set[Match]:
    return {
        (number, at + len(needle))
        for number, needle in enumerate(wanted)
        for at in range(len(haystack))
        if haystack.startswith(needle, at)
    }


@pytest.mark.parametrize("tabled", [0, engines._TABLED])
@pytest.mark.parametrize("engine", ENGINES)
@given(st.lists(cut_at_nul, min_size=1, max_size=6, unique=True), st.data())
def test_an_engine_finds_what_a_naive_search_finds(
    engine: Built, tabled: int, wanted: list[bytes], data: st.DataObject
) -> None:
    haystack = b"".join(data.draw(st.lists(st.sampled_from([*wanted, b"\0\0", b"\xff"]), max_size=9)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_TABLED", tabled)
        found = engine(wanted).find(haystack)
    assert len(found) == len(set(found))
    assert set(found) == naive(wanted, haystack)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_byte_value_is_only_itself(engine: Built) -> None:
    wanted = [bytes([value]) * 2 for value in range(256)]
    assert set(engine(wanted).find(b"".join(wanted))) == {(n, 2 * n + 2) for n in range(256)}


def test_parts_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [f"value {number:04d} of a certain length\0".encode() for number in range(300)]
    haystack = b"".join(wanted[::3])
    whole = set(AhoCorasick(wanted).find(haystack))
    monkeypatch.setattr(engines, "_AHO_CORASICK_PART", 7)
    parts = AhoCorasick(wanted)
    assert len(parts.parts) == 43
    assert set(parts.find(memoryview(haystack))) == whole == naive(wanted, haystack)


@pytest.mark.parametrize(
    ("few", "here", "first"),
    [(3, True, "hyperscan"), (2, True, "aho-corasick"), (3, False, "aho-corasick")],
)
def test_hyperscan_searches_for_few_where_it_is_and_aho_corasick_otherwise(
    few: int, here: bool, first: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engines, "FEW", few)
    monkeypatch.setattr(engines, "hyperscan_is_here", lambda: here)
    surface = Surface(name="here", reach="scannable", paths=(str(tmp_path),))
    needles = NeedleSet(tuple(NAMES), tuple(frozenset({n}) for n in range(3)), frozenset(range(3)), 0)
    assert Scanner(needles).scan_surface(surface, lambda _: None).scan.scanners == (first, "windows")


class Bent:
    """A part of an engine with one thing bent."""

    def __init__(self, wanted: Sequence[bytes]) -> None:
        self.numbers = range(len(wanted))
        self.honest = AhoCorasick(wanted)

    def find(self, content: bytes | memoryview) -> list[Match]:
        return self.honest.find(content)


class CutsAtNul(Bent):
    """Takes a needle for its part before the first NUL, as an engine's literal mode once did."""

    def __init__(self, wanted: Sequence[bytes]) -> None:
        super().__init__([needle.split(b"\0")[0] or b"\0" for needle in wanted])


class MissesOne(Bent):
    """Forgets one of its needles."""

    def find(self, content: bytes | memoryview) -> list[Match]:
        return [match for match in super().find(content) if match[0] != len(self.numbers) // 2]


class SeesTooMuch(Bent):
    """Reports a needle that is not there."""

    def find(self, content: bytes | memoryview) -> list[Match]:
        return [*super().find(content), (0, len(content))]


class SeesNothingLater(Bent):
    """Finds its needles when it is tried, and nothing in bytes that are long enough to be real."""

    def find(self, content: bytes | memoryview) -> list[Match]:
        return super().find(content) if len(content) < 1000 else []


class Crooked(Engine):
    """An engine of bent parts."""

    name = "bent"

    def __init__(self, wanted: Sequence[bytes], part: type[Bent] = Bent) -> None:
        super().__init__([part(wanted)])


class ForgetsAPart(AhoCorasick):
    """Has parts that are each as they must be, and asks the first one only."""

    name = "bent"

    def find(self, content: bytes | memoryview) -> list[Match]:
        return self.parts[0].find(content)


class BuildsTooLittle(AhoCorasick):
    """Has no part for the last needles."""

    name = "bent"

    def __init__(self, wanted: Sequence[bytes]) -> None:
        super().__init__(wanted)
        self.parts = self.parts[:-1]


class MixesParts(AhoCorasick):
    """Its second part gives the numbers of the first."""

    name = "bent"

    def __init__(self, wanted: Sequence[bytes]) -> None:
        super().__init__(wanted)
        self.parts = [self.parts[0], *self.parts[:-1]]


@pytest.mark.parametrize("rogue", [CutsAtNul, MissesOne, SeesTooMuch])
def test_an_engine_that_cannot_see_is_found_out_before_it_is_believed(rogue: type[Bent]) -> None:
    wanted = NeedleSet.of(NAMES).needles
    with pytest.raises(Failed, match="bent does not find what it must"):
        try_out(Crooked(wanted, rogue), wanted)


@pytest.mark.parametrize("rogue", [ForgetsAPart, BuildsTooLittle, MixesParts])
def test_good_parts_do_not_make_a_good_engine(
    rogue: type[AhoCorasick], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_AHO_CORASICK_PART", 7)
    wanted = NeedleSet.of(NAMES).needles
    try_out(AhoCorasick(wanted), wanted)
    with pytest.raises(Failed, match="the search engine bent"):
        try_out(rogue(wanted), wanted)


@pytest.mark.parametrize("at", [0, 1, 10, -1])
def test_one_bent_part_among_good_ones_is_found_out(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf:
        """Hears all of its needles but the second one."""

        def __init__(self, part: Part) -> None:
            self.numbers, self.part = part.numbers, part

        def find(self, content: bytes | memoryview) -> list[Match]:
            return [match for match in self.part.find(content) if match[0] != self.numbers[1]]

    monkeypatch.setattr(engines, "_AHO_CORASICK_PART", 7)
    wanted = [f"value {number:04d}\0".encode() for number in range(84)]
    tried = AhoCorasick(wanted)
    try_out(tried, wanted)
    parts = list(tried.parts)
    parts[at] = Deaf(parts[at])
    tried.parts = parts
    with pytest.raises(Failed, match="does not find what it must"):
        try_out(tried, wanted)


@pytest.mark.parametrize("engine", [Crooked, *ENGINES])
def test_an_honest_engine_passes_the_trial(engine: type[Crooked] | Built) -> None:
    wanted = NeedleSet.of([*NAMES, b"\0\0\0\1\2\3\4\0\0", "李小龙 Lee".encode()]).needles
    try_out(engine(wanted), wanted)


@example(b"a" * 9)
@given(st.binary(min_size=1, max_size=8))
def test_the_trial_takes_needles_that_stand_in_each_other(inner: bytes) -> None:
    wanted = sorted({inner, inner * 2, inner + b"x", b"x" + inner, inner[:1]})
    for engine in ENGINES:
        try_out(engine(wanted), wanted)


def test_what_one_engine_sees_and_the_other_does_not_is_a_hit_and_disputed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x" * 5000 + b"Anna Berg" + b"x" * 5000)
    monkeypatch.setattr(engines, "Hyperscan", lambda wanted: Crooked(wanted, SeesNothingLater))
    surface = Surface(name="here", reach="scannable", paths=(str(file),))
    found = Scanner(NeedleSet.of(NAMES)).scan_surface(surface, lambda _: None)
    assert (found.scan.hits, found.scan.disputed) == (1, 1)
    assert found.scan.scanners == ("bent", "windows")
    assert found.seen == {0}


def _drops_base64(form: bytes) -> list[bytes]:
    return [form.hex().encode(), form.hex().upper().encode()]


def _drops_utf_16(value: bytes) -> list[bytes]:
    return [form for form in encodings.texts_of(value) if form != value.decode().encode("utf-16-be")]


@pytest.mark.parametrize(
    ("room", "name", "bent"),
    [
        (needles, "digits_of", _drops_base64),
        (needles, "texts_of", _drops_utf_16),
        (scan._Search, "_across", lambda search, found, border: set(found) if border is None else set()),
    ],
    ids=["no base64", "no UTF-16", "blind at borders"],
)
def test_a_scanner_that_lost_a_sense_fails_its_own_test(
    room: object, name: str, bent: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    selftest()
    monkeypatch.setattr(room, name, bent)
    with pytest.raises(Failed, match="scanner_sees gave a wrong answer"):
        selftest()
