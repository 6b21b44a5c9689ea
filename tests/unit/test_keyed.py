"""Rules with a key: the vectors of RFC 4493 and NIST SP 800-38G, and what rows, joins and intervals keep."""

import datetime
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from deleatur.desensitize import formats, keyed
from deleatur.desensitize.cmac import Cmac, hexadecimal
from deleatur.desensitize.ff1 import Ff1
from deleatur.desensitize.rules import apply_rules
from deleatur.desensitize.values import UnfitError
from deleatur.documents.job import Rule
from deleatur.errors import Refused

KEY = bytes(range(32))
RFC_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")  # RFC 4493 §4
RFC_MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
RFC_TAGS = {
    0: "bb1d6929e95937287fa37d129b756746",
    16: "070a16b46b4d4144f79bdd9dd04a287c",
    40: "dfa66747de9ae63030ca32611497c827",
    64: "51f0bebf7e3b9d92fc49741779363cfe",
}
NIST_KEY = "2b7e151628aed2a6abf7158809cf4f3c"
NIST_KEYS = (NIST_KEY, NIST_KEY + "ef4359d8d580aa4f", NIST_KEY + "ef4359d8d580aa4f7f036d6f04fc6a94")
NIST_SAMPLES = [  # csrc.nist.gov, FF1samples.pdf: nine samples, six of them of radix 10
    (10, "0123456789", "", ("2433477484", "2830668132", "6657667009")),
    (10, "0123456789", "39383736353433323130", ("6124200773", "2496655549", "1001623463")),
    (
        36,
        "0123456789abcdefghi",
        "3737373770717273373737",
        ("a9tv40mll9kdu509eum", "xbj3kv35jrawxv32ysr", "xs8a0azh2avyalyzuwd"),
    ),
]
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def test_tags_are_those_of_rfc_4493() -> None:
    tags = Cmac(RFC_KEY).tags(pa.array([RFC_MESSAGE[:length] for length in RFC_TAGS]))
    assert hexadecimal(tags).to_pylist() == list(RFC_TAGS.values())


@given(
    st.lists(st.one_of(st.none(), st.binary(max_size=70)), max_size=20),
    st.integers(0, 3),
    st.sampled_from([16, 24, 32]),
)
def test_tags_are_those_of_another_implementation(
    messages: list[bytes | None], skipped: int, size: int
) -> None:
    for type_ in (pa.binary(), pa.large_binary()):
        tags = Cmac(KEY[:size]).tags(pa.array(messages, type_)[skipped:])
        assert len(tags) == len(messages[skipped:])
        for message, tag in zip(messages[skipped:], tags, strict=True):
            mac = CMAC(AES(KEY[:size]))
            mac.update(message or b"")
            assert tag.tobytes() == mac.finalize()


@pytest.mark.parametrize(("radix", "plain", "tweak", "outputs"), NIST_SAMPLES)
def test_ff1_gives_the_samples_of_nist(radix: int, plain: str, tweak: str, outputs: tuple[str, ...]) -> None:
    numerals = np.array([[ALPHABET.index(c) for c in plain]], np.uint8)
    for key, output in zip(NIST_KEYS, outputs, strict=True):
        cipher = Ff1(bytes.fromhex(key), radix, bytes.fromhex(tweak))
        encrypted = cipher.encrypt(numerals)
        assert "".join(ALPHABET[n] for n in encrypted[0]) == output
        assert cipher.decrypt(encrypted).tolist() == numerals.tolist()


def ff1_by_the_book(key: bytes, radix: int, tweak: bytes, numerals: list[int]) -> list[int]:
    """Encrypt as SP 800-38G algorithm 7 says it, step by step, with whole numbers of any size."""
    n, u = len(numerals), len(numerals) // 2
    v = n - u

    def number(digits: list[int]) -> int:
        result = 0
        for digit in digits:
            result = result * radix + digit
        return result

    def prf(message: bytes) -> bytes:
        mac = bytes(16)
        for at in range(0, len(message), 16):
            block = bytes(x ^ y for x, y in zip(mac, message[at : at + 16], strict=True))
            mac = AES_ONE(key, block)
        return mac

    a, b = number(numerals[:u]), number(numerals[u:])
    width = ((radix**v - 1).bit_length() + 7) // 8
    d = 4 * -(-width // 4) + 4
    p = (
        bytes((1, 2, 1))
        + radix.to_bytes(3, "big")
        + bytes((10, u % 256))
        + n.to_bytes(4, "big")
        + len(tweak).to_bytes(4, "big")
    )
    for i in range(10):
        q = tweak + bytes((-len(tweak) - width - 1) % 16) + bytes((i,)) + b.to_bytes(width, "big")
        y = int.from_bytes(prf(p + q)[:d], "big")
        a, b = b, (a + y) % radix ** (v if i % 2 else u)
    digits = []
    for half, size in ((a, u), (b, v)):
        part = []
        for _ in range(size):
            half, digit = divmod(half, radix)
            part.append(digit)
        digits += reversed(part)
    return digits


def AES_ONE(key: bytes, block: bytes) -> bytes:  # noqa: N802
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    return Cipher(AES(key), modes.ECB()).encryptor().update(block)


@given(
    st.sampled_from([2, 10, 26, 36, 62, 100, 256]), st.binary(max_size=40), st.integers(0, 2**32), st.data()
)
def test_ff1_is_what_the_standard_says_step_by_step(radix: int, tweak: bytes, seed: int, data: Any) -> None:
    cipher = Ff1(KEY, radix, tweak)
    length = data.draw(st.integers(cipher.shortest(), cipher.longest()))
    drawn = random.Random(seed)
    rows = [[drawn.randrange(radix) for _ in range(length)] for _ in range(3)] + [[radix - 1] * length]
    encrypted = cipher.encrypt(np.array(rows, np.uint8))
    assert encrypted.tolist() == [ff1_by_the_book(KEY, radix, tweak, row) for row in rows]
    assert cipher.decrypt(encrypted).tolist() == rows


def test_ff1_refuses_domains_below_a_million() -> None:
    assert (Ff1(KEY, 10).shortest(), Ff1(KEY, 36).shortest(), Ff1(KEY, 2).shortest()) == (6, 4, 20)
    with pytest.raises(ValueError, match="takes 6 to 32"):
        Ff1(KEY, 10).encrypt(np.zeros((1, 5), np.uint8))


def one(value: Any, form: Any) -> Any:
    table = pa.table({"c": pa.array([value])})
    return apply_rules(table, {"c": Rule(rule="format-preserving", form=form)}, KEY).column("c")[0].as_py()


@given(
    st.from_regex(r"\+?[0-9][0-9 /-]{5,18}[0-9]", fullmatch=True).filter(
        lambda t: sum(map(str.isdigit, t)) >= 6
    )
)
def test_separators_and_length_stay_and_digits_change(text: str) -> None:
    result = one(text, "digits")
    assert [c if not c.isdigit() else "0" for c in result] == [c if not c.isdigit() else "0" for c in text]


@given(st.integers(10**14, 10**15 - 1), st.integers(1, 9))
def test_a_valid_card_gives_a_valid_card_and_an_invalid_one_stays_invalid(body: int, error: int) -> None:
    def luhn(card: str) -> int:
        doubled = (int(c) * (1 + i % 2) for i, c in enumerate(reversed(card)))
        return sum(n - 9 * (n > 9) for n in doubled) % 10

    right = next(f"{body}{d}" for d in range(10) if luhn(f"{body}{d}") == 0)
    wrong = right[:-1] + str((int(right[-1]) + error) % 10)
    results = {one(card, "bank-card") for card in (right, wrong)}
    assert sorted(luhn(card) == 0 for card in results) == [False, True]


@given(st.integers(0, 10**17 - 1))
def test_a_valid_resident_id_gives_a_valid_one(body: int) -> None:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

    def check(digits: str) -> str:
        return "10X98765432"[sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11]

    text = f"{body:017d}"
    result = one(text + check(text).lower(), "resident-id")
    assert result == result[:17] + check(result[:17])


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("12345", "digits"),
        ("1" * 33, "digits"),
        ("abcdef123456", "digits"),
        ("１２３４５６７", "digits"),
        ("12345X", "bank-card"),
        ("1101011990010177", "resident-id"),
        ("X1010119900101777X", "resident-id"),
        ("äöüabc", "letters"),
        ("abcd", "capitals"),
    ],
)
def test_what_has_not_the_form_is_refused_without_the_value(value: str, form: Any) -> None:
    with pytest.raises(Refused, match=r"column c: format-preserving met ") as refusal:
        one(value, form)
    assert value not in str(refusal.value)


@given(st.sampled_from(sorted(formats.FORMS)), st.lists(st.integers(0, 10**15 - 1), unique=True, max_size=20))
def test_different_values_stay_different_and_a_domain_changes_them(form: str, numbers: list[int]) -> None:
    texts = pa.array([f"{n:018d}" for n in numbers], pa.string())
    here, there = (keyed.format_preserving(texts, KEY, form, domain).to_pylist() for domain in (None, "d"))
    assert len(set(here)) == len(numbers)
    assert not numbers or here != there
    assert all(map(str.isdigit, (t[:17] for t in here))) or form in {"capitals", "letters"}


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1))),
        min_size=1,
    )
)
def test_intervals_of_one_subject_stay_and_no_date_does(rows: list[tuple[int, datetime.date]]) -> None:
    subjects = [n for n, _ in rows]
    dates = [d for _, d in rows]
    shifted = keyed.date_shift(pa.array(dates), pa.array(subjects), KEY).to_pylist()
    as_text = keyed.date_shift(pa.array([str(d) for d in dates]), pa.array([str(n) for n in subjects]), KEY)
    assert as_text.to_pylist() == [str(d) for d in shifted]  # the same subject in an untyped column
    by_subject = {
        n: {(s - d).days for m, d, s in zip(subjects, dates, shifted, strict=True) if m == n}
        for n in subjects
    }
    for days in by_subject.values():
        assert len(days) == 1
        assert 0 < abs(days.pop()) <= keyed.SHIFT_DAYS


def test_subjects_move_by_different_days_and_a_date_needs_a_subject() -> None:
    dates = pa.array([datetime.date(2000, 1, 1)] * 2000)
    shifted = keyed.date_shift(dates, pa.array(range(2000)), KEY).to_pylist()
    days = {(d - datetime.date(2000, 1, 1)).days for d in shifted}
    assert len(days) > 600
    assert (min(days) >= -365, max(days) <= 365, 0 in days) == (True, True, False)
    assert keyed.date_shift(pa.array([None], pa.date32()), pa.array([None], pa.int64()), KEY).to_pylist() == [
        None
    ]
    with pytest.raises(UnfitError, match="without a subject"):
        keyed.date_shift(dates[:1], pa.array([None], pa.int64()), KEY)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1000)), min_size=1, max_size=40),
    st.lists(st.integers(0, 9), unique=True, min_size=1),
)
def test_joins_and_sums_on_tokens_are_those_on_the_raw_keys(
    orders: list[tuple[int, int]], people: list[int]
) -> None:
    raw_people = pa.table({"id": pa.array(people, pa.int64()), "country": [n % 3 for n in people]})
    raw_orders = pa.table({"person": [str(n) for n, _ in orders], "cents": [c for _, c in orders]})
    keep, token = Rule(rule="keep"), Rule(rule="keyed-hash", domain="customer")
    new_people = apply_rules(raw_people, {"id": token, "country": keep}, KEY)
    new_orders = apply_rules(raw_orders, {"person": token, "cents": keep}, KEY)

    def sums(left: pa.Table, right: pa.Table) -> list[tuple[int, int, int]]:
        typed = left.set_column(0, "person", left.column("person").cast(right.column("id").type))
        joined = typed.join(right, keys="person", right_keys="id", join_type="inner")
        grouped = joined.group_by("country").aggregate([("cents", "sum"), ("cents", "count")])
        return sorted((r["country"], r["cents_sum"], r["cents_count"]) for r in grouped.to_pylist())

    assert sums(new_orders, new_people) == sums(raw_orders, raw_people)
