"""What databases share of reading conditions: one thing said, no value told, each line of a file once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.api import Condition, Refused, Within, inner_of, listed_values, refuse_ambiguous, without_values

SECRET = "Mallory Secret"
WITHIN = Within(table="t", column="c", where=(Condition(column="x", operator="=", value=SECRET),))
PARTS = {"value": SECRET, "values": (SECRET,), "values_from": "people.txt", "within": WITHIN}
MEANT = {"in": ({"values"}, {"values_from"}), "is-null": (set(),), "not-null": (set(),)}
MEANT |= {"within": ({"within"},), "not-within": ({"within"},)}
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", *MEANT)


@given(st.sampled_from(OPERATORS), st.sets(st.sampled_from(sorted(PARTS))))
def test_a_condition_says_one_thing_or_is_refused(operator: str, given_parts: set[str]) -> None:
    condition = Condition(column="name", operator=operator, **{p: PARTS[p] for p in given_parts})
    if given_parts in MEANT.get(operator, ({"value"},)):
        refuse_ambiguous("person", condition)
    else:
        with pytest.raises(Refused, match=r"person\.name needs") as caught:
            refuse_ambiguous("person", condition)
        assert SECRET not in str(caught.value)
    assert SECRET not in without_values((condition,))


def test_the_text_without_values_tells_conditions_apart() -> None:
    one = Condition(column="a", operator="=", value=1)
    nested = Condition(column="b", operator="within", within=WITHIN)
    texts = {without_values(w) for w in ((), (one,), (nested,), (one, nested), (nested, one))}
    assert len(texts) == 5


@given(st.lists(st.text().filter(lambda t: t and not set("\n\r") & set(t)), min_size=1))
def test_each_line_is_a_value(lines: list[str]) -> None:
    for end in ("\n", "\r\n"):
        for last in ("", end):
            content = (end.join(lines) + last).encode()
            assert list(listed_values({"values:f": b"\xef\xbb\xbf" + content}, "f")) == lines


@pytest.mark.parametrize("content", [b"a\n\nb", b"\n", b"a\r\n\r\n", b"\xff", None])
def test_a_file_with_an_empty_line_or_no_text_is_refused(content: bytes | None) -> None:
    known = {} if content is None else {"values:f": content}
    with pytest.raises(Refused):
        list(listed_values(known, "f"))


def test_tables_within_tables_have_an_end() -> None:
    condition = Condition(column="a", operator="within", within=WITHIN)
    assert inner_of("person", condition, 0) == inner_of("person", condition, 6) == WITHIN
    with pytest.raises(Refused, match="nests more than 8"):
        inner_of("person", condition, 7)
