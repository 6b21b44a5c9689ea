"""Needles: what is searched for, what is left out, and that nothing of it shows."""

import base64
import math
import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.sanitize.needles import (
    MAX_WHOLE,
    MIN_DISTINCT,
    MIN_LENGTH,
    PIECE,
    WINDOW,
    NeedleSet,
    is_fine,
    is_large,
)

KEY = b"k" * 32


def digits(raw: bytes) -> set[bytes]:
    """The hexadecimal digits, and of base64 at each offset what does not depend on its neighbours."""
    found = {raw.hex().encode(), raw.hex().upper().encode()}
    for before in range(3):
        first, last = (base64.b64encode(byte * before + raw + byte * 2) for byte in (b"\0", b"\xff"))
        same = [a if a == b else 0 for a, b in zip(first, last, strict=True)]
        found.add(bytes(max(bytes(same).split(b"\0"), key=len)))
    return found


def test_a_text_is_searched_in_every_set_of_characters() -> None:
    name = "李小龙 Lee"
    found = NeedleSet.of([name.encode()])
    texts = {name.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be", "gb18030")}
    assert set(found.needles) == texts | digits(name.encode())
    assert found.owners == (frozenset({0}),) * 9
    assert (found.values, found.short) == (1, 0)


def test_latin_text_has_one_needle_for_both_orders() -> None:
    name = "Jörg Weiß"
    found = NeedleSet.of([name.encode()])
    shared = name.encode("utf-16-le")[:-1]
    texts = {name.encode(), shared, name.encode("cp1252"), name.encode("gb18030")}
    assert set(found.needles) == texts | digits(name.encode())
    assert shared in name.encode("utf-16-be")


def test_a_chinese_name_of_two_characters_is_long_enough_in_utf_8_only() -> None:
    name = "张伟".encode()
    assert set(NeedleSet.of([name]).needles) == {name} | digits(name)


@given(st.binary(min_size=6, max_size=40), st.binary(max_size=9), st.binary(max_size=9))
def test_base64_of_anything_around_a_value_holds_one_of_its_needles(
    value: bytes, before: bytes, behind: bytes
) -> None:
    value = b"\xff!a?" + value
    needles = NeedleSet.of([value]).needles
    assert sum(needle in base64.b64encode(before + value + behind) for needle in needles) >= 1
    assert sum(needle in (before + value + behind).hex().encode() for needle in needles) >= 1


@given(st.integers(-(1 << 63), (1 << 64) - 1))
def test_a_large_number_in_digits_is_searched_in_the_bytes_of_a_store(number: int) -> None:
    needles = set(NeedleSet.of([str(number).encode()]).needles)
    signed, whole = number < 1 << 63, number >= 0
    forms = {struct.pack("<q", number), struct.pack(">Q", number + (1 << 63))} if signed else set()
    forms |= {struct.pack("<Q", number), struct.pack(">Q", number)} if whole else {struct.pack(">q", number)}
    if is_large(number) and len(set(str(number))) >= MIN_DISTINCT:  # else its digits are too plain
        assert forms <= needles
    elif abs(number) < 1 << 40:
        assert not forms & needles


@given(st.uuids())
def test_a_uuid_is_searched_in_its_sixteen_bytes(value: uuid.UUID) -> None:
    raw = value.bytes
    turned = raw[10:] + raw[8:10] + raw[6:8] + raw[4:6] + raw[:4]  # as MariaDB has versions 1 to 5 in tables
    duck = bytes([*raw[:0:-1], raw[0] ^ 0x80])  # DuckDB
    for text in (str(value), str(value).upper()):
        assert {raw, turned, duck} <= set(NeedleSet.of([text.encode()]).needles)


@pytest.mark.parametrize(
    ("number", "fine"),
    [
        (19.99, False),  # a price: a token that stands everywhere
        (52.520007, False),
        (1e-7, True),
        (0.1, False),
        (1 / 3, False),  # 0x55 thirteen times over
        (13.404953999, True),
        (7e12, False),
        (0.5 + (1 << 30), False),  # seven digits, but three bytes say it
        (float("inf"), False),
        (-math.pi, True),
    ],
)
def test_a_float_says_enough_by_its_digits_and_by_its_bytes(number: float, *, fine: bool) -> None:
    assert is_fine(number) is fine
    assert not fine or NeedleSet.of([struct.pack(">d", number)]).short == 0


@pytest.mark.parametrize("number", [0, 4711, (1 << 40) - 1, 1 << 40, (1 << 40) + 7, -(1 << 62), 1 << 64])
def test_a_number_that_is_small_or_plain_says_too_little(number: int) -> None:
    assert not is_large(number) or number == 1 << 64  # which no eight bytes hold: its digits are searched


def test_bytes_that_are_no_text_are_searched_as_they_are() -> None:
    blob = b"\x89PNG\r\n\x1a\n\xff\xfe"
    assert set(NeedleSet.of([blob]).needles) == {blob} | digits(blob)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Anna",
        b"abcde",
        b"        ",
        bytes(4096),
        b"-----------------",
        b"ababababab",
        b"1970-01-01",
        b"2026-11-22 05:38:08",
        b"2026-11-22T05:38:08.123Z",
        b"123456",
        b"-1234.56",
        b"  12345  ",
    ],
)
def test_what_means_nothing_is_left_out_and_counted(value: bytes) -> None:
    found = NeedleSet.of([value, b"Anna Berg"])
    assert found.short == 1
    assert found.values == 1
    assert b"Anna Berg" in found.needles


@pytest.mark.parametrize("value", [b"+49 30 1234567", b"4929876543210987", b"1990-01-01 Berg", b"1234567"])
def test_numbers_that_can_name_a_person_are_kept(value: bytes) -> None:
    assert value in NeedleSet.of([value]).needles


def test_the_same_value_twice_is_one_value() -> None:
    found = NeedleSet.of([b"Anna Berg", b"Anna Berg", b"x"])
    assert (found.values, found.short) == (1, 1)


def test_two_values_may_share_a_needle() -> None:
    head = bytes(range(32, 32 + WINDOW))
    first = head + bytes(PIECE - WINDOW) + b"first".ljust(PIECE, b"\0")
    second = head + bytes(PIECE - WINDOW) + b"secnd".ljust(PIECE, b"\0")
    found = NeedleSet.of([first, second])
    assert found.owners[found.needles.index(head)] == {0, 1}


def test_values_left_out_keep_the_numbers_of_the_others() -> None:
    found = NeedleSet.of([b"Anna Berg", b"Berta Tal", b"Carl Feld"])
    rest = found.without({1})
    assert rest.members == {0, 2}
    assert rest.values == 2
    assert b"Berta Tal" not in rest.needles
    assert {b"Anna Berg", b"Carl Feld"} <= set(rest.needles)


def test_a_value_whose_needles_all_went_with_another_is_not_counted_as_searched() -> None:
    value = bytes(range(32, 32 + 40)).ljust(PIECE, b"\0")
    found = NeedleSet.of([value, value + bytes(PIECE)])
    assert found.needles == NeedleSet.of([value]).needles
    assert found.without({0}).values == 0


def test_the_digest_says_same_set_and_nothing_else() -> None:
    one = NeedleSet.of([b"Anna Berg", b"Berta Tal"])
    assert one.digest(KEY) == NeedleSet.of([b"Berta Tal", b"Anna Berg"]).digest(KEY)
    assert one.digest(KEY) != one.digest(b"other" + KEY[5:])
    assert one.digest(KEY) != one.without({0}).digest(KEY)


def test_a_printed_set_shows_no_value() -> None:
    shown = f"{NeedleSet.of([b'Anna Berg'])!r} {NeedleSet.of([b'Anna Berg'])}"
    assert "Anna" not in shown
    assert "1 values" in shown


@given(st.binary(min_size=MAX_WHOLE + 1, max_size=5 * PIECE))
def test_windows_of_file_content_lie_inside_one_block_of_the_file(content: bytes) -> None:
    content = b"\xff" + content  # no text
    windows = [needle for needle in NeedleSet.of([content]).needles if needle in content]
    assert len(windows) <= 3
    for needle in windows:
        assert len(needle) == WINDOW
        places = [at for at in range(len(content)) if content.startswith(needle, at)]
        assert any(at // PIECE == (at + WINDOW - 1) // PIECE for at in places)


@given(st.text(min_size=0, max_size=400))
def test_every_needle_of_a_text_stands_in_one_of_its_encodings(text: str) -> None:
    raw = text.encode("utf-8")
    forms = [text.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be", "gb18030")]
    forms += [text.encode("cp1252", "ignore"), raw.hex().encode(), raw.hex().upper().encode()]
    forms += [base64.b64encode(b"-" * before + raw) for before in range(3)]
    found = NeedleSet.of([raw])
    assert found.values + found.short == 1
    for needle in found.needles:
        assert any(needle in form for form in forms)
        assert MIN_LENGTH <= len(needle) <= 2 * MAX_WHOLE


def test_padding_inside_a_file_does_not_hide_its_content() -> None:
    content = bytearray(b"\0" * 4096)
    content[4096 - 100 : 4096 - 60] = bytes(range(40, 80))
    found = NeedleSet.of([bytes(content)])
    assert found.values == 1
    assert all(needle.strip(b"\0") for needle in found.needles if needle in content)


def test_a_short_rest_after_the_last_block_does_not_bring_a_window_across_its_border() -> None:
    content = b"\xff" + bytes(range(1, 10)) + bytes(PIECE - 30) + bytes(range(100, 130))
    assert PIECE < len(content) < PIECE + WINDOW
    windows = [needle for needle in NeedleSet.of([content]).needles if needle in content]
    assert windows
    assert all(content.index(needle) + WINDOW <= PIECE for needle in windows)
