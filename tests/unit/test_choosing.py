"""What goes and what stays of a table, whatever its conditions say of a row, NULL included."""

import sqlite3
from collections.abc import Sequence
from itertools import product

import pytest

from deleatur.documents.job import Condition, HeldRows, Selection, Target
from deleatur.errors import Refused
from deleatur.judge.choosing import chosen_rows, refuse_forgotten_columns


def _told(table: str, where: Sequence[Condition]) -> tuple[str, str]:
    return table.lower(), " AND ".join(f"{one.column} = 1" for one in where) or "1"


def _where(column: str) -> tuple[Condition, ...]:
    return (Condition(column=column, operator="=", value=1),)


def _target(*, holds: tuple[HeldRows, ...]) -> Target:
    return Target(
        id="shop",
        url="memory:shop",
        select=(Selection(table="People", where=_where("a")), Selection(table="people", where=_where("b"))),
        hold=holds,
    )


def test_a_row_goes_that_one_selection_is_true_for_and_no_hold() -> None:
    target = _target(holds=(HeldRows(id="court", table="PEOPLE", where=_where("c"), reason="a case"),))
    (chosen,) = chosen_rows(target, _told)
    assert chosen.table == "people"
    with sqlite3.connect(":memory:") as connection:
        for a, b, c in product((None, 0, 1), repeat=3):
            query = f"SELECT {chosen.clause}, {chosen.held[0][1]} FROM (SELECT ? AS a, ? AS b, ? AS c)"
            goes, held = connection.execute(query, (a, b, c)).fetchone()
            selected = 1 in (a, b)
            assert (goes, held) == (selected and c != 1, selected and c == 1), (a, b, c)


def test_a_hold_on_which_nothing_depends_is_refused() -> None:
    target = _target(holds=(HeldRows(id="court", table="orders", where=(), reason="a case"),))
    with pytest.raises(Refused, match="hold 'court' names 'orders', from which nothing is selected"):
        list(chosen_rows(target, _told))


def test_an_archive_forgets_no_column() -> None:
    refuse_forgotten_columns("people", ["id", "name"], ["name", "id"])
    with pytest.raises(Refused, match="the archive of 'people' has no rule for name"):
        refuse_forgotten_columns("people", ["id", "name"], ["id"])
