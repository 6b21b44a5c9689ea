"""Patterns over a unit: the same bytes by every way, and no byte that differs is passed over."""

import ctypes
import mmap
import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.documents.place import Pattern
from deleatur.sanitize.buffers import buffers_of, zeros_of
from deleatur.sanitize.device import PIECE, Medium, compare_device, overwrite_device, pieces_of
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.patterns import ROOM, laid, same

SECTOR = 512
PATTERNS = {
    "keystream": Pattern(kind="aes-256-ctr", key="5a" * 32),
    "zeros": Pattern(kind="bytes", cycle="00"),
    "ones": Pattern(kind="bytes", cycle="ff"),
    "three bytes": Pattern(kind="bytes", cycle="924924"),
}
patterns = st.sampled_from(list(PATTERNS.values()))
offsets = st.integers(0, 3 * ROOM) | st.integers(2**63, 2**63 + 99)
lengths = st.integers(1, 5000)


@contextmanager
def file_of(folder, size):
    """Open a file of `size` bytes that stands for a device."""
    fd = os.open(folder / "device", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(fd, size)
        yield Medium(fd, size, SECTOR)
    finally:
        os.close(fd)


@given(pattern=patterns, offset=offsets, length=lengths)
def test_every_way_gives_the_same_bytes(pattern, offset, length):
    laid_out = laid(pattern)
    expected = laid_out.read("unit", offset, length)
    assert bytes(laid_out.lay("unit", offset, memoryview(bytearray(length)))) == expected
    half = length // 2
    parts = laid_out.read("unit", offset, half) + laid_out.read("unit", offset + half, length - half)
    assert parts == expected
    one, other = laid_out.beside("unit", offset, memoryview(bytearray(expected)))
    assert same(one, other)


@given(pattern=patterns, offset=offsets, length=lengths, position=st.integers(0), flip=st.integers(1, 255))
def test_one_changed_bit_is_seen_where_it_is(pattern, offset, length, position, flip):
    laid_out = laid(pattern)
    read = bytearray(laid_out.read("unit", offset, length))
    read[position % length] ^= flip
    one, other = laid_out.beside("unit", offset, memoryview(read))
    assert not same(one, other)
    assert [n for n in range(length) if one[n] != other[n]] == [position % length]


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_what_is_larger_than_any_buffer_is_compared_to_its_end(pattern):
    laid_out, length = laid(pattern), ROOM + SECTOR
    read = bytearray(laid_out.read("unit", 0, length))
    read[-1] ^= 1
    assert not same(*laid_out.beside("unit", 0, memoryview(read)))


@given(offset=offsets, length=lengths)
def test_taking_the_stream_off_twice_gives_back_what_was_read(offset, length):
    stream, read = Keystream("5a" * 32), bytearray(os.urandom(length))
    room = memoryview(bytearray(read))
    stream.take_off("unit", offset, room)
    stream.take_off("unit", offset, room)
    assert room == read


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_a_device_is_written_to_its_last_byte_and_a_wrong_sector_is_named(tmp_path, pattern):
    size = 2 * PIECE + 3 * SECTOR
    with file_of(tmp_path, size) as medium:
        assert [w.position for w in overwrite_device(medium, laid(pattern), "device")] == [size]
        assert (tmp_path / "device").read_bytes() == laid(pattern).read("device", 0, size)
        wrong = [SECTOR, PIECE - 1, size - 1]  # bytes
        for at in wrong:
            was = os.pread(medium.fd, 1, at)
            os.pwrite(medium.fd, bytes([was[0] ^ 1]), at)
        found = list(compare_device(medium, laid(pattern), "device", pieces_of(size)))
    assert [f.length for f in found] == [PIECE, PIECE, 3 * SECTOR]
    assert [r for f in found for r in f.differ] == [
        (at - at % SECTOR, at - at % SECTOR + SECTOR) for at in wrong
    ]


def test_after_a_stop_the_request_that_holds_it_is_written_again(tmp_path):
    size, after = 2 * PIECE, PIECE + 5 * SECTOR
    with file_of(tmp_path, size) as medium:
        list(overwrite_device(medium, laid(PATTERNS["ones"]), "device", after))
    written = (tmp_path / "device").read_bytes()
    assert written[after:] == b"\xff" * (size - after)
    assert not any(written[:PIECE])


def test_buffers_are_aligned_apart_and_of_their_length():
    buffers = buffers_of(3, mmap.PAGESIZE + 1)
    for number, buffer in enumerate(buffers):
        buffer[:] = bytes([number + 1]) * len(buffer)
    assert [set(buffer) for buffer in buffers] == [{1}, {2}, {3}]
    assert {len(buffer) for buffer in buffers} == {mmap.PAGESIZE + 1}


def test_no_child_gets_a_buffer():
    (buffer,) = buffers_of(1, 1 << 20)
    address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    inside, flags = False, list[str]()
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if mapping := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            low, high = (int(bound, 16) for bound in mapping.groups())
            inside = low <= address < high
        elif inside and line.startswith("VmFlags:"):
            flags = line.split()
    assert "dc" in flags  # MADV_DONTFORK; Documentation/filesystems/proc.rst


def test_zeros_take_no_memory():
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before, zeros = resident(), zeros_of(64 << 20)
    assert same(zeros[: 32 << 20], zeros[32 << 20 :])
    assert resident() - before < 16 << 20
