"""Expanding compressed values: against encoders written for the tests, damage, and hostile bytes."""

from collections.abc import Callable, Iterator

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.sanitize.expanding import lz4, lzf, pglz, snappy

Token = bytes | tuple[int, int]  # literal bytes, or (how far back, how many)
plain = st.lists(
    st.sampled_from([b"Anna Berg ", b"a", b"\0", b"street 12, Berlin ", b"xy"]), max_size=40
).map(b"".join)


def tokens(value: bytes, least: int, most: int, far: int) -> Iterator[Token]:
    """Cut a value greedily into literals and copies of what came before; copies may overlap themselves."""
    at, literal = 0, b""
    while at < len(value):
        best = (0, 0)
        for back in range(1, min(at, far) + 1):
            length = 0
            while (
                length < most and at + length < len(value) and value[at + length] == value[at + length - back]
            ):
                length += 1
            if length >= least and length > best[1]:
                best = (back, length)
        if best[1]:
            if literal:
                yield literal
            yield best
            at, literal = at + best[1], b""
        else:
            literal, at = literal + value[at : at + 1], at + 1
    if literal:
        yield literal


def in_pglz(value: bytes) -> bytes:
    items: list[tuple[int, bytes]] = []
    for token in tokens(value, 3, 273, 4095):
        if isinstance(token, bytes):
            items += [(0, bytes([byte])) for byte in token]
            continue
        back, length = token
        short = min(length - 3, 15)
        head = bytes([back >> 4 & 0xF0 | short, back & 0xFF])
        items.append((1, head + (bytes([length - 18]) if short == 15 else b"")))
    groups = [items[at : at + 8] for at in range(0, len(items), 8)]
    control = [sum(bit << n for n, (bit, _) in enumerate(group)) for group in groups]
    return b"".join(
        bytes([bits]) + b"".join(part for _, part in group)
        for bits, group in zip(control, groups, strict=True)
    )


def in_lzf(value: bytes) -> bytes:
    out = b""
    for token in tokens(value, 3, 264, 8192):
        if isinstance(token, bytes):
            runs = [token[at : at + 32] for at in range(0, len(token), 32)]
            out += b"".join(bytes([len(run) - 1]) + run for run in runs)
            continue
        back, length = token[0] - 1, token[1] - 2
        more = bytes([length - 7]) if length >= 7 else b""
        out += bytes([min(length, 7) << 5 | back >> 8]) + more + bytes([back & 255])
    return out


def in_lz4(value: bytes) -> bytes:
    def lengthened(length: int) -> bytes:
        return b"" if length < 15 else b"\xff" * ((length - 15) // 255) + bytes([(length - 15) % 255])

    out, literal = b"", b""
    for token in tokens(value, 4, 4000, 65535):
        if isinstance(token, bytes):
            literal = token
            continue
        back, length = token[0], token[1] - 4
        out += bytes([min(len(literal), 15) << 4 | min(length, 15)]) + lengthened(len(literal)) + literal
        out += back.to_bytes(2, "little") + lengthened(length)
        literal = b""
    return out + bytes([min(len(literal), 15) << 4]) + lengthened(len(literal)) + literal


def in_snappy(value: bytes) -> bytes:
    out = b""
    for token in tokens(value, 4, 64, 70_000):
        if isinstance(token, bytes):
            length = len(token) - 1
            out += (bytes([length << 2]) if length < 60 else b"\xf4" + length.to_bytes(2, "little")) + token
            continue
        back, length = token
        if length < 12 and back < 2048:
            out += bytes([back >> 8 << 5 | length - 4 << 2 | 1, back & 255])
        else:
            out += bytes([length - 1 << 2 | 2]) + back.to_bytes(2, "little")
    return out


FORMATS = [(pglz, in_pglz), (lzf, in_lzf), (lz4, in_lz4), (snappy, in_snappy)]
Expand = Callable[[bytes, int], bytes]
Compress = Callable[[bytes], bytes]


@pytest.mark.parametrize(("expand", "compress"), FORMATS)
@given(plain)
def test_what_was_compressed_is_expanded(expand: Expand, compress: Compress, value: bytes) -> None:
    assert expand(compress(value), len(value)) == value


@pytest.mark.parametrize(("expand", "compress"), FORMATS)
@given(plain, st.data())
def test_a_stream_that_is_cut_gives_what_stands_before(
    expand: Expand, compress: Compress, value: bytes, data: st.DataObject
) -> None:
    stream = compress(value)
    part = expand(stream[: data.draw(st.integers(0, len(stream)))], len(value))
    assert value.startswith(part)
    fewer = data.draw(st.integers(0, len(value)))
    assert expand(stream, fewer) == value[:fewer]


@pytest.mark.parametrize(("expand", "compress"), FORMATS)
def test_half_of_a_stream_gives_about_half_of_the_value(expand: Expand, compress: Compress) -> None:
    value = b"".join(b"customer %05d, " % number for number in range(200))
    stream = compress(value)
    assert len(expand(stream[: len(stream) // 2], len(value))) > len(value) // 4


@pytest.mark.parametrize("expand", [pglz, lzf, lz4, snappy])
@given(st.binary(max_size=300), st.integers(0, 5000))
def test_hostile_bytes_end_and_stay_inside_the_bound(expand: Expand, stream: bytes, size: int) -> None:
    assert len(expand(stream, size)) <= size


@pytest.mark.parametrize(
    ("expand", "bomb"),
    [
        (pglz, b"\xfe\0" + b"\x0f\x01\xff" * 900),
        (lzf, b"\0\0" + b"\xe0\xff\0" * 900),
        (lz4, b"\x1f\0\1\0" + b"\xff" * 9000),
        (snappy, b"\0\0" + b"\xfe\1\0" * 900),
    ],
)
def test_a_bomb_is_stopped_at_the_bound(expand: Expand, bomb: bytes) -> None:
    assert len(expand(bomb, 1 << 40)) > 1000
    assert len(expand(bomb, 1000)) == 1000


def test_bytes_written_by_the_definition() -> None:
    assert pglz(b"\x10abcd\x01\x04!", 9) == b"abcdabcd!"
    assert lzf(b"\x03abcd\x40\x03\x00!", 9) == b"abcdabcd!"
    assert lz4(b"\x40abcd\x04\x00\x10!", 9) == b"abcdabcd!"
    assert snappy(b"\x0cabcd\x01\x04\x00!", 9) == b"abcdabcd!"


@given(st.lists(st.sampled_from([b"Anna Berg ", b"12345", bytes(70), b"xyz"]), max_size=4000).map(b"".join))
def test_what_the_libraries_themselves_wrote_is_expanded(value: bytes) -> None:
    for name, expand in (("snappy", snappy), ("lz4_raw", lz4)):
        coded = pyarrow.Codec(name).compress(value).to_pybytes()
        head = next(n for n in range(1, 6) if coded[n - 1] < 128) if expand is snappy else 0  # its length
        assert expand(coded[head:], len(value)) == value
