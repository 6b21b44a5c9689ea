"""Decoders: compressed values are found wherever they lie, once, and never at the price of the machine."""

import bz2
import gzip
import lzma
import random
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.documents.place import Surface
from deleatur.engine.selftest import selftest
from deleatur.errors import Failed, Unsupported
from deleatur.sanitize import decoders, streams
from deleatur.sanitize.decoders import DECODERS, NAMES, REACH, Expander
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.sanitize.streams import STREAMS
from deleatur.sanitize.surface import Gap, Piece

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"Anna Berg lives here. " * 20  # 440 bytes
PGLZ = b"\0Anna Ber" + b"\0g lives " + b"\xc0here. \x0f\x16\xff" + b"\x0f\x16\x7f"  # 22 literals, 273 + 145
LZF = b"\x15Anna Berg lives here. " + b"\xe0\xff\x15" + b"\xe0\x97\x15"


def inline(stream: bytes, size: int, method: int = 0) -> bytes:
    return (
        ((len(stream) + 8) << 2 | 2).to_bytes(4, "little")
        + (size | method << 30).to_bytes(4, "little")
        + stream
    )


def in_rdb(stream: bytes, size: int) -> bytes:
    def length(n: int) -> bytes:
        return bytes([n]) if n < 64 else (n | 0x4000).to_bytes(2, "big")

    return b"\xc3" + length(len(stream)) + length(size) + stream


PAGE = b"sum:number and neighbour"  # the head of a page, which its compressed form holds again
SYMBOLS = (b"here. ", b"Anna Ber", b"g lives ")  # ordered as a table is: by length, from two bytes on


def table_of(symbols: tuple[bytes, ...], terminated: int = 0) -> bytes:
    """The table of symbols as DuckDB writes it; the first one of a terminated table is not stored."""
    counts = [sum(len(symbol) == length for symbol in symbols) for length in range(1, 9)]
    counts[0] += terminated
    word = (20190218 << 32 | 7 << 24 | 9 << 16 | sum(counts) << 8 | 1).to_bytes(8, "little")
    return word + bytes([terminated, *counts]) + b"".join(symbols)


def varint(number: int) -> bytes:
    """A varint of SQLite of one or two bytes, high bits first."""
    return bytes([number]) if number < 128 else bytes([number >> 7 | 0x80, number & 0x7F])


def little(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 0x7F | 0x80, number >> 7])


def leaf_of_fts3(words: Sequence[bytes]) -> bytes:
    """The record of a leaf: a word that goes on from the one before says only how, and no rows."""
    entries, last = [b"\0"], b""
    for number, word in enumerate(words):
        kept = len(last) if word.startswith(last) else 0
        entries += [little(kept)] if number else []
        entries += [little(len(word) - kept), word[kept:], b"\0"]
        last = word
    leaf = b"".join(entries)
    head = b"\0" + varint(12 + 2 * len(leaf))
    return bytes([1 + len(head)]) + head + leaf


CASES = {
    "full-text": leaf_of_fts3([TEXT[: 22 * n] for n in range(1, 21)]),
    "duckdb": table_of(SYMBOLS, terminated=1) + b"\2\3\1" * 20,
    "innodb": PAGE + b"\x80\1" + b"\xff\x1f" + PAGE + TEXT[:22] + b"\x16\0\xff\x90",
    "postgresql": inline(PGLZ, len(TEXT)),
    "redis": in_rdb(LZF, len(TEXT)),
    "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "zlib": zlib.compress(TEXT),
    "zstd": zstd.compress(TEXT),
}


def expanded(name: str, content: bytes, cuts: tuple[int, ...] = ()) -> list[Piece | Gap]:
    def found() -> Iterator[Piece | Gap]:
        expander = Expander((name,))
        for start, end in pairwise((0, *cuts, len(content))):
            yield from expander.feed(Piece("f", start, content[start:end]))
        yield from expander.end()

    return list(found())


def whole(found: list[Piece | Gap]) -> list[str]:
    """Where the whole text was found."""
    assert not any(isinstance(part, Gap) for part in found)
    return [part.where for part in found if isinstance(part, Piece) and TEXT in bytes(part.content)]


@pytest.mark.parametrize("name", CASES)
@given(before=st.binary(max_size=40), behind=st.binary(max_size=40))
def test_a_value_is_found_at_every_offset(name: str, before: bytes, behind: bytes) -> None:
    places = whole(expanded(name, before + CASES[name] + behind))
    assert f"f (byte {len(before)}, {name})" in places


def test_a_stream_of_gzip_is_one_of_zlib() -> None:
    assert [part.content for part in expanded("zlib", gzip.compress(TEXT)) if isinstance(part, Piece)] == [
        TEXT
    ]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("at", [REACH - 30, REACH - 1, REACH, REACH + 1, 2 * REACH - 5])
@pytest.mark.parametrize("cut", [REACH, REACH + 17, REACH - 4])
def test_a_value_across_any_border_is_found_once(name: str, at: int, cut: int) -> None:
    content = bytearray(3 * REACH)
    content[at : at + len(CASES[name])] = CASES[name]
    assert whole(expanded(name, bytes(content), (cut, 2 * cut))) == [f"f (byte {at}, {name})"]


def test_the_end_of_one_file_is_no_beginning_of_the_next() -> None:
    value = CASES["zlib"]
    expander = Expander(("zlib",))
    pieces = [Piece("a", 0, value[:9]), Piece("b", 0, value[9:]), Piece("c", 0, value)]
    found = [part for piece in pieces for part in expander.feed(piece)] + list(expander.end())
    assert [part.where for part in found if part.content == TEXT] == ["c (byte 0, zlib)"]
    assert not any(part.where.startswith("b") for part in found)


def test_chunks_in_any_order_are_put_together_and_a_lost_one_cuts() -> None:
    value = b"".join(b"customer %05d, Berlin; " % n for n in range(3000))
    stream = (2 * len(value)).to_bytes(4, "little") + b"".join(
        b"\0" + value[at : at + 8] for at in range(0, len(value), 8)
    )
    chunks = [stream[at : at + 1996] for at in range(0, len(stream), 1996)]

    def tuple_of(number: int) -> bytes:
        header = ((len(chunks[number]) + 4) << 2).to_bytes(4, "little")
        return b"\x07\x40\0\0" + number.to_bytes(4, "little") + header + chunks[number] + b"\xff" * 28

    backwards = b"".join(tuple_of(n) for n in reversed(range(len(chunks))))
    assert value in [part.content for part in expanded("postgresql", b"page" * 9 + backwards)]
    lost = b"".join(tuple_of(n) for n in range(len(chunks)) if n != 5)
    parts = [part.content for part in expanded("postgresql", lost)]
    assert any(value.startswith(part) and len(part) > 8000 for part in map(bytes, parts))


def test_a_last_chunk_with_a_short_header_belongs_to_its_value() -> None:
    value = bytes(range(97, 123)) * 72 + b"Anna Berg"
    stream = (9999).to_bytes(4, "little") + b"".join(
        b"\0" + value[at : at + 8] for at in range(0, len(value), 8)
    )
    first, last = stream[:1996], stream[1996:]
    assert 9 < len(last) < 126
    full = b"id01\0\0\0\0\x40\x1f\0\0" + first
    rest = b"id01\1\0\0\0" + bytes([(len(last) + 1) << 1 | 1]) + last
    found = [part for part in expanded("postgresql", rest + full) if isinstance(part, Piece)]
    assert any(bytes(part.content).endswith(b"Anna Berg") for part in found)


# --- DuckDB: strings and their table of symbols, in any order and at any distance within a block


@given(
    st.lists(st.binary(min_size=1, max_size=8), max_size=60),
    st.lists(st.binary(max_size=40), max_size=20),
    st.booleans(),
    st.booleans(),
    st.integers(0, 300),
)
def test_strings_of_any_bytes_are_expanded_on_either_side_of_their_table(
    symbols: list[bytes], strings: list[bytes], terminated: bool, before: bool, distance: int
) -> None:
    ordered = tuple(sorted(symbols, key=lambda symbol: (len(symbol) == 1, len(symbol))))
    codes = {symbol: code for code, symbol in enumerate(ordered, terminated)}
    table, gap = table_of(ordered, terminated), bytes(distance)
    coded = b"".join(encoded(string, codes) for string in strings)
    content = coded + gap + table if before else table + gap + coded
    found = [bytes(part.content) for part in expanded("duckdb", content) if isinstance(part, Piece)]
    plain = b"".join(strings)
    assert not ordered or len(plain) < 6 or any(plain in part for part in found)


def encoded(string: bytes, codes: dict[bytes, int]) -> bytes:
    """Encode as FSST does: the longest symbol that fits, or one byte behind the code 255."""
    out = bytearray()
    while string:
        length = next((n for n in range(8, 0, -1) if string[:n] in codes), 0)
        out += bytes([codes[string[:length]]]) if length else b"\xff" + string[:1]
        string = string[length or 1 :]
    return bytes(out)


@pytest.mark.parametrize("border", [0, REACH // 2, REACH])
def test_strings_far_before_their_table_are_expanded_across_a_border(border: int) -> None:
    table, strings = table_of(SYMBOLS), b"\1\2\0" * 20
    content = strings + b"\x80" * (REACH - len(strings)) + table
    assert whole(expanded("duckdb", content, (border, border + 1))) == [f"f (byte {REACH}, duckdb)"]


def test_a_table_whose_counts_do_not_agree_or_that_is_cut_expands_nothing() -> None:
    good, strings = table_of(SYMBOLS), b"\1\2\0" * 20
    assert expanded("duckdb", good + strings)
    for at in (1, 4, 9, 15):
        bad = bytearray(good)
        bad[at] ^= 2
        assert expanded("duckdb", bytes(bad) + strings) == []
    assert expanded("duckdb", good[:-1]) == expanded("duckdb", good[:20]) == []


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def in_dictionary(strings: bytes) -> bytes:
    table = table_of(SYMBOLS)
    padded = strings + bytes(-len(strings) % 8)
    return words(len(strings), 9, 0x00_04_05_01, len(table)) + padded + table


def in_fsst(strings: bytes) -> bytes:
    """As a segment that filled its block has it: without the size of its strings."""
    table, widths = table_of(SYMBOLS), b"\0\1\2\0" * 8
    at = 16 + len(widths)
    return words(0, at + len(table) + 20 + len(strings), 4, at) + widths + table + b"\x80" * 20 + strings


@pytest.mark.parametrize("segment", [in_dictionary, in_fsst])
@given(cut=st.integers(0, 400))
def test_only_the_strings_are_expanded_where_a_header_says_where_they_lie(
    segment: Callable[[bytes], bytes], cut: int
) -> None:
    """What else lies there would become words of the table too, and residue that is none."""
    strings, other = b"\1\2\0" * 20, b"\0\1\2\0" * 30
    content = other + segment(strings) + other
    found = expanded("duckdb", content, (min(cut, len(content)),))
    assert [bytes(part.content) for part in found if isinstance(part, Piece)] == [TEXT]
    at = len(other)
    lost = content[:at] + bytes(16) + content[at + 16 :]
    parts = [bytes(part.content) for part in expanded("duckdb", lost) if isinstance(part, Piece)]
    assert any(TEXT in part for part in parts)
    assert sum(map(len, parts)) > len(TEXT) + 4 * len(other)


def test_a_crowd_of_tables_costs_no_more_than_twice_its_bytes() -> None:
    """Each byte is expanded for the tables next to it only, so tables that anybody wrote are no bomb."""
    table = table_of((b"12345678",))
    content = (table + b"\0" * 100) * 4000
    parts = [part for part in expanded("duckdb", content) if isinstance(part, Piece)]
    assert sum(len(part.content) for part in parts) <= 2 * 8 * len(content)


@pytest.mark.parametrize("name", sorted(NAMES))
@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([*CASES.values(), b"\xc3", b"x\x9c", b"\0\0", b"\x06\0\0\0"]), max_size=30),
    st.data(),
)
def test_hostile_bytes_end_and_raise_nothing(name: str, parts: list[bytes], data: st.DataObject) -> None:
    content = bytearray(b"".join(parts))
    for _ in range(len(content) // 20):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    for part in expanded(name, bytes(content)):
        assert isinstance(part, Piece)
        assert len(part.content) <= decoders.MAX_VALUE + (1 << 20)


MAKERS = {"bzip2": bz2.compress, "xz": lzma.compress, "zlib": zlib.compress, "zstd": zstd.compress}


@cache
def long_value() -> bytes:
    """Text that compresses to more than is read ahead, and a sentence at its very end."""
    words = random.Random(7)
    return b" ".join(b"%d" % words.randrange(10**9) for _ in range(150_000)) + b" Anna Berg lives here."


@cache
def long_stream(name: str) -> bytes:
    return MAKERS[name](long_value())


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("cut", [30_000, 1 << 18, (1 << 20) + 77])
def test_a_stream_is_expanded_to_its_end_however_long_it_is(name: str, cut: int) -> None:
    value, coded = long_value(), long_stream(name)
    assert len(coded) > 2 * REACH
    content = b"--" + coded + b"-" * 10
    found = expanded(name, content, tuple(range(cut, len(content), cut)))
    parts = [bytes(part.content) for part in found if isinstance(part, Piece)]
    assert parts[-1].endswith(b"Anna Berg lives here.")
    assert all(len(part) <= 4 << 20 for part in parts)
    whole = parts[0]
    for part in parts[1:]:
        kept = next(n for n in range(min(255, len(whole)), -1, -1) if whole.endswith(part[:n]))
        assert kept == min(255, len(whole))  # so no border hides a needle
        whole += part[kept:]
    assert whole == value


def test_what_is_larger_than_8_mebibytes_is_searched_to_its_end(tmp_path: Path) -> None:
    value = b"lorem ipsum dolor sit amet " * 600_000 + b"Anna Berg lives here."
    assert len(value) > 15 << 20
    for name, make in MAKERS.items():
        (tmp_path / name).write_bytes(make(value))
        surface = Surface(name="here", reach="scannable", paths=(str(tmp_path / name),), decoders=(name,))
        found = Scanner(NeedleSet.of([b"Berg lives here"])).scan_surface(surface, lambda _: None)
        assert (len(found.seen), found.scan.unreadable) == (1, 0)


@pytest.mark.parametrize(
    ("name", "program"), [("bzip2", "bzip2"), ("xz", "xz"), ("zlib", "gzip"), ("zstd", "zstd")]
)
def test_a_stream_of_the_tool_itself_is_expanded(name: str, program: str) -> None:
    made = subprocess.run([program, "-c"], input=TEXT, capture_output=True, check=True, timeout=60).stdout
    assert whole(expanded(name, b"before" + made + b"behind")) == [f"f (byte 6, {name})"]


@pytest.mark.parametrize("name", MAKERS)
@given(at=st.integers(0, 10**6), data=st.binary(min_size=1, max_size=9))
@settings(max_examples=20, deadline=None)
def test_a_damaged_stream_raises_nothing_and_gives_what_stands_before(
    name: str, at: int, data: bytes
) -> None:
    value, coded = long_value(), bytearray(long_stream(name)[:100_000])
    at %= len(coded)
    coded[at : at + len(data)] = data
    parts = [bytes(part.content) for part in expanded(name, bytes(coded)) if isinstance(part, Piece)]
    assert not parts or name == "bzip2" or at < 1000 or value.startswith(parts[0][:64])


def test_streams_that_never_end_are_bounded_and_said_to_be_cut() -> None:
    """Each begins, goes on through all that follows, and gives something now and then."""
    begun = zlib.compressobj(0)
    head = begun.compress(b"0123456789") + begun.flush(zlib.Z_SYNC_FLUSH)
    content = b"".join(head[:2] + b"\0\xff\xff\0\0" + b"#" * 20 for _ in range(200)) + b"#" * (1 << 17)
    found = expanded("zlib", content)
    assert any(isinstance(part, Gap) for part in found)
    assert sum(len(part.content) for part in found if isinstance(part, Piece)) < 64 << 20


def test_what_only_seems_to_begin_is_read_no_more_than_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a header of gzip with a name that never ends, so it expands to nothing, for long."""
    monkeypatch.setattr(streams, "_IDLE", 1 << 15)
    monkeypatch.setattr(decoders, "MAX_READ", 1 << 20)
    started: list[int] = []
    name, (pattern, inflate) = "zlib", STREAMS["zlib"]
    monkeypatch.setitem(STREAMS, name, (pattern, lambda: (started.append(1), inflate())[1]))
    found = expanded(name, b"\x1f\x8b\x08\x08" * (1 << 16))
    assert any(isinstance(part, Gap) for part in found)
    assert len(started) < 100


def test_a_frame_cut_off_in_zeros_does_not_go_on_for_ever() -> None:
    coded = long_stream("zstd")
    content = b"".join(coded[:200_000] + bytes(3 << 20) for _ in range(12))
    cuts = tuple(range(1 << 20, len(content), 1 << 20))
    assert not any(isinstance(part, Gap) for part in expanded("zstd", content, cuts))


def test_a_bomb_is_a_gap_and_no_clean_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(decoders, "MAX_WINDOW", 1 << 20)
    (tmp_path / "f").write_bytes(zlib.compress(bytes(3 << 20)) + b"Anna Berg")
    surface = Surface(name="here", reach="scannable", paths=(str(tmp_path / "f"),), decoders=("zlib",))
    found = Scanner(NeedleSet.of([b"Anna Berg"])).scan_surface(surface, lambda _: None)
    assert (found.scan.hits, found.scan.unreadable) == (1, (tmp_path / "f").stat().st_size)
    assert "more compressed values" in found.unreadable[0]


def test_damage_inside_a_stream_leaves_what_stands_before() -> None:
    value = b"".join(b"%d Anna %d, " % (n * n, n) for n in range(3000))
    stream = bytearray(zlib.compress(value))
    stream[len(stream) // 2 :] = b"\xff" * (len(stream) - len(stream) // 2)
    found = max(
        (bytes(part.content) for part in expanded("zlib", bytes(stream)) if isinstance(part, Piece)), key=len
    )
    assert len(found) > len(value) // 4
    assert value.startswith(found[: len(value) // 4])


@pytest.mark.parametrize("name", CASES)
def test_a_surface_says_which_are_on_and_they_find_what_a_plain_scan_does_not(
    name: str, tmp_path: Path
) -> None:
    value = b"x" * 50 + CASES[name] + b"y" * 50
    (tmp_path / "f").write_bytes(value)
    needle = b"here. Anna Berg lives here."  # only a copy makes it whole
    for on, seen in (((), 0), ((name,), 1)):
        surface = Surface(name="here", reach="scannable", paths=(str(tmp_path / "f"),), decoders=on)
        found = Scanner(NeedleSet.of([needle])).scan_surface(surface, lambda _: None)
        assert found.scan.decoders == on
        assert len(found.seen) == seen
        assert found.scan.disputed == 0
        assert all(f"(byte 50, {name})" in place.path for place in found.places)


def test_a_decoder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    surface = Surface(name="here", reach="scannable", paths=(str(tmp_path),), decoders=("arj",))
    with pytest.raises(Unsupported, match="there is no decoder 'arj'; a surface may name bzip2, duckdb, "):
        Scanner(NeedleSet.of([b"Anna Berg"])).scan_surface(surface, lambda _: None)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_decoder_that_swallows_fails_its_own_test(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    selftest()
    if name in DECODERS:
        monkeypatch.setitem(DECODERS, name, lambda *_: iter(()))
    else:
        monkeypatch.setitem(STREAMS, name, (re.compile(b"never"), STREAMS[name][1]))
    with pytest.raises(Failed, match="decoders_see gave a wrong answer"):
        selftest()


def test_a_value_in_one_chunk_is_found_by_its_number_and_header() -> None:
    stream = len(TEXT).to_bytes(4, "little") + PGLZ + bytes(300)  # one chunk, its end is of no value
    chunk = b"id01" + bytes(4) + ((len(stream) + 4) << 2).to_bytes(4, "little") + stream
    found = expanded(
        "postgresql", b"-" * 7 + chunk.replace(len(TEXT).to_bytes(4, "little"), b"\xd0\7\0\0", 1)
    )
    assert any(bytes(part.content).startswith(TEXT) for part in found if isinstance(part, Piece))
