"""The order in which tables lose their rows, against a brute-force look at random graphs."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deleatur.api import ForeignKey, deletion_order

NAMES = [f"t{n}" for n in range(8)]


def a_key(table: str, refers_to: str, on_delete: str = "no-action", name: str = "k") -> ForeignKey:
    return ForeignKey(
        name=name, table=table, columns=("p",), refers_to=refers_to, referred=("id",), on_delete=on_delete
    )


keys_strategy = st.lists(
    st.builds(
        a_key,
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.sampled_from(["no-action", "restrict", "cascade", "set-null", "set-default"]),
        st.sampled_from("abc"),
    ),
    max_size=20,
)
tables_strategy = st.sets(st.sampled_from(NAMES))


def reaches(start: str, keys: list[ForeignKey]) -> set[str]:
    """Every table that `start` refers to, over any number of keys."""
    found: set[str] = set()
    grown = True
    while grown:
        more = {k.refers_to for k in keys if k.table == start or k.table in found} - found
        grown = bool(more)
        found |= more
    return found


@given(tables_strategy, keys_strategy)
def test_who_refers_goes_first(tables: set[str], keys: list[ForeignKey]) -> None:
    order = deletion_order(tables, keys)
    flat = [table for stage in order for table in stage.tables]
    assert sorted(flat) == sorted(tables), "every table once"
    stage_of = {table: n for n, stage in enumerate(order) for table in stage.tables}
    inside = [k for k in keys if k.table in tables and k.refers_to in tables]
    assert all(stage_of[k.table] <= stage_of[k.refers_to] for k in inside)
    for one in tables:
        for other in tables - {one}:
            circular = other in reaches(one, inside) and one in reaches(other, inside)
            assert (stage_of[one] == stage_of[other]) == circular, "one stage is one circle, never more"
    for stage in order:
        assert set(stage.within) == {k for k in inside if {k.table, k.refers_to} <= set(stage.tables)}
        assert stage.circular == (len(stage.tables) > 1)


@given(tables_strategy, keys_strategy)
def test_the_order_does_not_depend_on_the_order_of_the_keys(tables: set[str], keys: list[ForeignKey]) -> None:
    forward = [stage.tables for stage in deletion_order(tables, keys)]
    backward = [stage.tables for stage in deletion_order(tables, keys[::-1])]
    assert forward == backward


def test_a_deep_schema_does_not_meet_the_interpreters_stack() -> None:
    names = [f"t{n:05}" for n in range(5000)]
    keys = [a_key(child, parent) for parent, child in pairwise(names)]
    order = deletion_order(names, [*keys, a_key("t00000", "t04999")])
    assert len(order) == 1
    assert order[0].circular
    assert [s.tables for s in deletion_order(names, keys)] == [(n,) for n in reversed(names)]


def test_a_table_that_refers_to_itself_is_no_circle_of_tables() -> None:
    (stage,) = deletion_order({"t1"}, [a_key("t1", "t1")])
    assert not stage.circular
    assert [k.table for k in stage.within] == ["t1"]
