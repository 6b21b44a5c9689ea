"""Bytes made to break the decoders: no traceback, no memory or time beyond what they are worth."""

import time
import tracemalloc
from itertools import pairwise

import pytest

from deleatur.sanitize.decoders import Expander
from deleatur.sanitize.surface import Gap, Piece

FULL_CHUNK = ((1996 + 4) << 2).to_bytes(4, "little")
BEGINS_A_STRING = b"\xc3\x80\x00\x7f\xff\x00\x80\x00\x7f\xff\x01"  # 8,388,352 bytes that follow, it says


def expanded(decoder: str, content: bytes) -> list[bytes]:
    expander = Expander((decoder,))
    found = [*expander.feed(Piece("here", 0, content)), *expander.end()]
    assert not any(isinstance(value, Gap) for value in found)
    return [bytes(value.content) for value in found if isinstance(value, Piece)]


def table_of_symbols(counts: tuple[int, ...], symbols: bytes) -> bytes:
    return b"\x01%c\0\0\x0a\x14\x34\x01\x00" % sum(counts) + bytes(counts) + symbols


def chunks_of_many_values(count: int) -> bytes:
    return b"".join(n.to_bytes(4, "big") + bytes(4) + FULL_CHUNK for n in range(1, count + 1))


def chunks_of_one_value(count: int) -> bytes:
    return b"".join(b"here" + n.to_bytes(4, "little") + FULL_CHUNK for n in range(count))


def test_a_table_of_symbols_inside_another_one_hides_nothing_and_breaks_nothing() -> None:
    inner = table_of_symbols((0, 1, 0, 0, 0, 0, 0, 0), b"no").ljust(24, b"-")
    outer = table_of_symbols((0, 0, 0, 0, 0, 0, 0, 4), b"AnnaBerg" + inner)
    found = expanded("duckdb", bytes(64) + outer + b"\0" * 8 + bytes(64))
    assert any(value.startswith(b"AnnaBerg" * 8) for value in found)


def test_time_grows_no_faster_than_the_bytes_that_begin_values() -> None:
    cases = (("postgresql", chunks_of_many_values), ("redis", lambda count: BEGINS_A_STRING * count))
    for decoder, made in cases:
        taken = []
        for count in (10_000, 80_000):
            content, begin = made(count), time.process_time()
            expanded(decoder, content)
            taken.append(time.process_time() - begin)
        for few, many in pairwise(taken):
            assert many < 24 * few + 1, decoder  # eight times the bytes; each against each would be 64 times


@pytest.mark.parametrize(
    ("decoder", "content"),
    [
        ("postgresql", chunks_of_one_value(50_000)),
        ("duckdb", table_of_symbols((1, 0, 0, 0, 0, 0, 0, 0), b"a") * 30_000),
    ],
    ids=("chunks-that-overlap", "tables-side-by-side"),
)
def test_memory_stays_far_below_what_the_bytes_claim(decoder: str, content: bytes) -> None:
    tracemalloc.start()
    try:
        expanded(decoder, content)
        assert tracemalloc.get_traced_memory()[1] < 48 << 20
    finally:
        tracemalloc.stop()
