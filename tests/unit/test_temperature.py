"""What drives say of their temperature, byte by byte. Offsets: SPC-4 §7.3.21, ACS-3 §A.5.7."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.devices.temperature import log_sense, of_log_page, of_statistics, read_statistics
from deleatur.errors import Malformed
from deleatur.sanitize.heat import Heat

# As `smartctl -x` shows them of a SATA SSD: temperature now, and specified maximum.
STATISTICS = {0x08: 40, 0x58: 70}


def statistics(values: dict[int, int], flags: int = 0xC0, page: int = 5) -> bytes:
    content = bytearray(512)
    content[0], content[2] = 1, page
    for at, value in values.items():
        content[at : at + 1] = value.to_bytes(1, signed=True)
        content[at + 7] = flags
    return bytes(content)


def log_page(*parameters: tuple[int, bytes], page: int = 0x0D) -> bytes:
    body = b"".join(code.to_bytes(2) + bytes([3, len(data)]) + data for code, data in parameters)
    return bytes([page, 0]) + len(body).to_bytes(2) + body


def test_commands_are_those_of_the_standards():
    assert log_sense().block.hex() == "4d004d0000000000ff00"
    assert read_statistics().wrapped().block.hex() == "85090e00000001000400050000402f00"


def test_an_ssd_says_both():
    said = of_statistics(statistics(STATISTICS))
    assert (said.celsius, said.highest, said.heat) == (40, 70, Heat.cool)


@pytest.mark.parametrize(
    ("celsius", "heat"), [(69, Heat.cool), (70, Heat.hot), (71, Heat.hot), (-5, Heat.cool)]
)
def test_its_own_maximum_decides(celsius, heat):
    assert of_statistics(statistics({0x08: celsius, 0x58: 70})).heat is heat


@pytest.mark.parametrize("flags", [0x00, 0x40, 0x80])
def test_what_is_not_supported_or_not_valid_is_not_known(flags):
    assert of_statistics(statistics(STATISTICS, flags)) is None


def test_a_scsi_drive_says_both():
    said = of_log_page(log_page((0, bytes([0, 64])), (1, bytes([0, 65]))))
    assert (said.celsius, said.highest, said.heat) == (64, 65, Heat.cool)
    assert of_log_page(log_page((1, bytes([0, 65])), (0, bytes([0, 65])))).heat is Heat.hot


@pytest.mark.parametrize(
    "parameters",
    [
        (),
        ((0, b"\0\x40"),),
        ((1, b"\0\x40"),),
        ((0, b"\0\xff"), (1, b"\0\x40")),
        ((0, b"\0\x40"), (1, b"\0\xff")),
    ],
)
def test_a_scsi_drive_that_lacks_one_is_not_known(parameters):
    assert of_log_page(log_page(*parameters)) is None


@pytest.mark.parametrize(
    "content", [b"", log_page(page=0x0E), log_page((0, b"\0\x40"))[:-1], bytes([0x0D, 1, 0, 0])]
)
def test_another_page_or_a_torn_one_is_an_error(content):
    with pytest.raises(Malformed):
        of_log_page(content)


@pytest.mark.parametrize("content", [b"", statistics(STATISTICS)[:-1], statistics(STATISTICS, page=4)])
def test_another_page_of_statistics_or_a_torn_one_is_an_error(content):
    with pytest.raises(Malformed):
        of_statistics(content)


@given(st.binary(max_size=600))
def test_hostile_answers_are_read_or_refused_in_words(content):
    for decode in (of_log_page, of_statistics):
        with suppress(Malformed):
            decode(content)
