"""Values that are bytes are read in other codes, and not in endlessly many."""

import random

import pytest

from deleatur.archive.spellings import readings

NAME = "Zoë Bergström-李"


@pytest.mark.parametrize("code", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("before", [b"", b"\x00", b"\x01\x00\xff"])
def test_a_name_in_wide_letters_is_read_in_binary_values(code: str, before: bytes) -> None:
    value = before + NAME.encode(code) + b"\x00\xd8\xff"
    assert any(NAME.encode() in reading for reading in readings(value))


def test_a_name_in_wide_letters_is_read_in_code_within_code() -> None:
    value = b"\x00\x9f" + NAME.encode("utf-16-le").hex().encode("utf-16-be") + b"\x00"
    assert any(NAME.encode() in reading for reading in readings(value))


def test_nothing_between_letters_multiplies_the_readings() -> None:
    """Zeros of a wrong reading are wide letters of the next, and so on: 6,775 of this value once."""
    value = b"".join(bytes([n, 0, 0, 0]) for n in random.Random(5).randbytes(1 << 10))
    assert len(readings(value)) < 200
