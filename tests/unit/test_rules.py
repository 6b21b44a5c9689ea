"""Desensitizing rules: what they let through, what they refuse, and that they say so by column."""

import datetime
import decimal
import hmac
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from deleatur.desensitize.rules import FITS, apply_rules, apply_rules_to_stream, rule_in_words
from deleatur.desensitize.values import plain
from deleatur.documents.job import Rule
from deleatur.errors import Refused

KEY = bytes(range(32))
RULES = [
    Rule(rule="null"),
    Rule(rule="mask"),
    Rule(rule="keep-last-4"),
    Rule(rule="keyed-hash"),
    Rule(rule="format-preserving", form="digits"),
    Rule(rule="date-shift", by="c"),
    *(
        Rule(rule="generalise", to=to)
        for to in (
            "year",
            "month",
            "five-years",
            "decade",
            "first-letter",
            "first-2",
            "first-3",
            "tens",
            "thousands",
        )
    ),
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LOOKALIKES = st.text("x0*#-_ .…", min_size=1, max_size=40)  # values that look like their own mask
DATES = st.dates().map(str)
NUMBERS = st.integers(-(10**17), 10**17).map(str)
CONTROLS = st.from_regex(r"[e\u0301\u0308\u200d👩👧王]{6,12}", fullmatch=True)


def one(value: Any, rule: Rule, type_: pa.DataType | None = None, key: bytes = KEY) -> Any:
    return apply_rules(pa.table({"c": pa.array([value], type_)}), {"c": rule}, key).column("c")[0].as_py()


def applied(values: list[Any], rule: Rule, type_: pa.DataType | None = None) -> list[Any] | None:
    """Return the column after the rule, or None if the rule refuses it."""
    try:
        return apply_rules(pa.table({"c": pa.array(values, type_)}), {"c": rule}, KEY).column("c").to_pylist()
    except Refused:
        return None


@given(st.sampled_from(RULES), st.one_of(TEXT, LOOKALIKES, DATES, NUMBERS, CONTROLS))
def test_no_rule_but_keep_lets_a_whole_text_through(rule: Rule, value: str) -> None:
    result = applied([value], rule)
    if rule.to == "tens" and result == [int(value) if value.removeprefix("-").isdecimal() else None]:
        return  # what all ten are rounded down to
    if result is not None and result[0] is not None and len(value) >= 6:
        assert value not in str(result[0])


@given(
    st.sampled_from(RULES),
    st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.dates(),
        st.datetimes(),
        st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9),
        st.binary(max_size=40),
    ),
)
def test_no_rule_but_keep_lets_any_other_value_through(rule: Rule, value: Any) -> None:
    result = applied([value], rule)
    if result is None or result[0] is None:
        return
    if rule.to == "tens" and result[0] == value:  # what all ten are rounded down to
        assert value % 10 == 0
        return
    if isinstance(value, bytes):
        assert len(value) < 6 or value not in str(result[0]).encode()
    else:
        assert len(plain(value)) < 6 or plain(value) not in str(result[0])


@given(st.sampled_from([*RULES, Rule(rule="keep")]), st.lists(st.one_of(st.none(), TEXT, DATES), max_size=12))
def test_null_stays_null_rows_stay_and_the_same_input_gives_the_same_output(
    rule: Rule, values: list[str | None]
) -> None:
    result = applied(values, rule, pa.string())
    assert result == applied(values, rule, pa.string())
    if result is not None:
        assert len(result) == len(values)
        assert all(r is None for r, v in zip(result, values, strict=True) if v is None)
        alone = [applied([v], rule, pa.string()) for v in values]
        assert result == [row[0] for row in alone if row is not None]  # a row does not depend on others


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("+86 139-1234-5678", "+00 000-0000-0000"),
        ("anna.schmidt@example.de", "xxxx.xxxxxxx@xxxxxxx.xx"),
        ("王小明", "xxx"),
        ("Mu\u0308ller", "xxxxxx"),
        ("👨‍👩‍👧 ok", "***** xx"),
        ("", ""),
        ("000-000", "#######"),
        ("##-##", "**-**"),
        ("#####", "*****"),
        ("a" * 33, "[up to 64 characters]"),
        ("a" * 64, "[up to 64 characters]"),
        (b"12345", "[up to 8 bytes]"),
        (-120.5, "-000.0"),
        (1234567, "0000000"),
        (datetime.date(1990, 5, 17), "0000-00-00"),
    ],
)
def test_mask_keeps_the_shape_only(value: Any, expected: str) -> None:
    assert one(value, Rule(rule="mask")) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("6222 0200 0000 1234", "****1234"),
        ("6222020000001234567", "****4567"),
        (12345678, "****5678"),
        ("1234567", "****"),
        ("****1234", "****"),
        ("", "****"),
        ("北京市海淀区中关村大街", "****关村大街"),
    ],
)
def test_keep_last_4_shows_four_of_at_least_eight(value: Any, expected: str) -> None:
    assert one(value, Rule(rule="keep-last-4")) == expected


@pytest.mark.parametrize(
    ("value", "to", "expected"),
    [
        ("2026-03-07", "year", 2026),
        ("2026-03-07T10:00:00Z", "month", "2026-03"),
        ("2026/3/7 10:00", "month", "2026-03"),
        ("2026年3月7日", "month", "2026-03"),
        ("２０２６年３月７日", "year", 2026),
        ("7.3.2026", "month", "2026-03"),
        ("20260307", "decade", 2020),
        (datetime.date(1999, 12, 31), "decade", 1990),
        (datetime.datetime(1999, 12, 31, 23), "year", 1999),
        ("", "year", None),
        ("  ", "decade", None),
        ("Émile", "first-letter", "É"),
        ("E\u0301mile", "first-letter", "É"),
        ("王小明", "first-letter", "王"),
        ("👨‍👩‍👧", "first-letter", "👨"),
        (123456, "thousands", 123),
        (-1, "thousands", -1),
        (999.99, "thousands", 0),
        (1e300, "thousands", Refused),
        (float("inf"), "thousands", Refused),
        (decimal.Decimal("1234567.89"), "thousands", 1234),
        ("12999.50", "thousands", 12),
        ("12.999,50", "thousands", Refused),
        ("03/04/2026", "month", Refused),
        ("2026-02-30", "year", Refused),
        ("2026-03", "month", Refused),
        ("soon", "year", Refused),
        (1700000000, "year", Refused),
        (5, "first-letter", Refused),
        ("1987-03-07", "five-years", 1985),
        (datetime.date(1990, 1, 1), "five-years", 1990),
        ("SW1A 1AA", "first-3", "SW1"),
        ("10115", "first-3", "10"),
        ("王小明", "first-2", "王"),
        ("Al", "first-3", "A"),
        (" ", "first-2", None),
        (37, "tens", 30),
        (-1, "tens", -10),
        (-(2**63), "tens", Refused),
        (39.99, "tens", 30),
        ("99", "tens", 90),
    ],
)
def test_generalise(value: Any, to: Any, expected: Any) -> None:
    if expected is Refused:
        with pytest.raises(Refused, match=rf"column c: generalise to {to} ") as refusal:
            one(value, Rule(rule="generalise", to=to))
        assert str(value) not in str(refusal.value)
    else:
        assert one(value, Rule(rule="generalise", to=to)) == expected


def test_tokens_are_aes_cmac_under_a_key_of_the_job_the_purpose_and_the_domain() -> None:
    for domain, purpose in ((None, b"token/"), ("customer", b"token/customer")):
        mac = CMAC(AES256(hmac.digest(KEY, b"deleatur/archive/v1/" + purpose, "sha256")))
        mac.update("王小明".encode())
        assert one("王小明", Rule(rule="keyed-hash", domain=domain)) == mac.finalize().hex()


def test_tokens_link_rows_inside_the_job_and_nothing_outside() -> None:
    token = one(17, Rule(rule="keyed-hash"))
    assert token == one("17", Rule(rule="keyed-hash")) == one(17.0, Rule(rule="keyed-hash"))
    assert token != one(b"17", Rule(rule="keyed-hash"))
    assert token != one(17, Rule(rule="keyed-hash"), key=bytes(32))


@given(st.lists(TEXT, unique=True, max_size=30))
def test_different_values_have_different_tokens(values: list[str]) -> None:
    tokens = applied(values, Rule(rule="keyed-hash"), pa.string())
    assert tokens is not None
    assert len(set(tokens)) == len(values)


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"a": "keep"}, "column b has no rule"),
        ({"a": "keep", "b": "keep", "c": "drop"}, "column c has a rule and is not in the table"),
        ({"a": "drop", "b": "drop"}, "every column is dropped"),
        ({"a": "generalise", "b": "keep"}, "column a: `to` belongs to generalise"),
    ],
)
def test_silence_and_slips_are_refused(columns: dict[str, Any], what: str) -> None:
    table = pa.table({"a": ["one"], "b": ["two"]})
    with pytest.raises(Refused, match=what):
        apply_rules(table, {name: Rule(rule=rule) for name, rule in columns.items()}, KEY)


def test_to_without_generalise_and_a_doubled_column_are_refused() -> None:
    for rule, what in (
        (Rule(rule="mask", to="year"), "`to` belongs to generalise"),
        (Rule(rule="mask", domain="d"), "`domain` belongs to keyed-hash, format-preserving, date-shift"),
        (Rule(rule="format-preserving"), "`form` belongs to format-preserving"),
        (Rule(rule="date-shift"), "`by` belongs to date-shift"),
        (Rule(rule="date-shift", by="b"), "names column b, which is not in the table"),
        (Rule(rule="redact", known=("b",)), "names column b, which is not in the table"),
        (Rule(rule="keep", known=("a",)), "`known` belongs to redact"),
    ):
        with pytest.raises(Refused, match=f"column a: {what}"):
            apply_rules(pa.table({"a": ["x"]}), {"a": rule}, KEY)
    double = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"])
    with pytest.raises(Refused, match="column a stands twice"):
        apply_rules(double, {"a": Rule(rule="keep")}, KEY)


MISFITS = {
    pa.bool_(): {"mask", "keep-last-4", "keyed-hash", "format-preserving", "date-shift"},
    pa.binary(): {"keep-last-4", "format-preserving", "date-shift"},
    pa.float64(): {"keep-last-4", "date-shift"},
    pa.date32(): {
        "keep-last-4",
        "generalise to tens",
        "generalise to thousands",
        "generalise to first-letter",
    },
    pa.list_(pa.string()): {"keep", "mask", "null", "keyed-hash", "keep-last-4", "generalise to year"},
}


@pytest.mark.parametrize("type_", MISFITS, ids=str)
def test_a_rule_that_does_not_fit_the_type_is_refused_by_name(type_: pa.DataType) -> None:
    table = pa.table({"c": pa.array([None], type_)})
    for rule in [*RULES, Rule(rule="keep")]:
        if rule_in_words(rule) in MISFITS[type_]:
            with pytest.raises(Refused, match=rf"column c: {rule_in_words(rule)} does not fit"):
                apply_rules(table, {"c": rule}, KEY)


def test_drop_takes_the_column_away_and_null_keeps_its_type() -> None:
    table = pa.table({"a": ["x"], "b": [1.5], "c": [True]})
    rules = {"a": Rule(rule="drop"), "b": Rule(rule="null"), "c": Rule(rule="keep")}
    result = apply_rules(table, rules, KEY)
    assert result.schema == pa.schema({"b": pa.float64(), "c": pa.bool_()})
    assert result.to_pylist() == [{"b": None, "c": True}]


def test_empty_and_chunked_and_all_null_tables_pass_every_rule() -> None:
    chunked = pa.table({"c": pa.chunked_array([["a"], [], ["b", None]])})
    assert apply_rules(chunked, {"c": Rule(rule="mask")}, KEY).column("c").to_pylist() == ["x", "x", None]
    for rule in RULES:
        assert applied([None, None], rule) == [None, None]
        assert applied([], rule, pa.string()) == []


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.one_of(st.none(), TEXT, DATES),
            "number": st.one_of(st.none(), st.integers(-(2**62), 2**62)),
            "subject": st.integers(0, 3),
            "born": st.one_of(st.none(), st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1))),
        }
    ),
    min_size=1,
    max_size=20,
)
SCHEMA = pa.schema({"text": pa.string(), "number": pa.int64(), "subject": pa.int64(), "born": pa.date32()})


@given(ROWS, st.integers(1, 7))
def test_a_stream_of_batches_gives_what_the_whole_table_gives(rows: list[dict[str, Any]], size: int) -> None:
    rules = {
        "text": Rule(rule="mask"),
        "number": Rule(rule="keyed-hash", domain="n"),
        "subject": Rule(rule="keyed-hash"),
        "born": Rule(rule="date-shift", by="subject"),
    }
    table = pa.Table.from_pylist(rows, SCHEMA)
    whole = apply_rules(table, rules, KEY)
    taken = 0

    def batches() -> Any:
        nonlocal taken
        for batch in table.to_batches(max_chunksize=size):
            taken += 1
            yield batch

    parts = []
    for part in apply_rules_to_stream(batches(), rules, KEY):
        parts.append(part)
        assert taken == len(parts)  # no batch is asked for before the one before it was handed on
    assert pa.Table.from_batches(parts, whole.schema).equals(whole.combine_chunks())


def test_every_rule_that_a_job_can_name_has_its_kinds() -> None:
    named = {rule_in_words(rule) for rule in [*RULES, *(Rule(rule=r) for r in ("keep", "drop", "redact"))]}
    assert named == FITS.keys()
