"""For arbitrary small databases and predicates exactly the selected rows minus the held ones go."""

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.api import Condition, HeldRows, Selection, Target, Within
from deleatur_plugins.sqlite import SqliteBackend

from .sqlite_shop import SECRETS, erase, url

NAMES = st.sampled_from(["a", "A b", 'q"uote', "select", "ß", "x'); --", "t0", "value", "id", "rowid"])
VALUES = st.one_of(
    st.none(), st.integers(-3, 3), st.floats(-2, 2), st.text(max_size=4), st.binary(max_size=4), st.just("1")
)
ASKED = st.one_of(st.integers(-3, 3), st.floats(-2, 2), st.text(max_size=4), st.booleans())
COLUMNS = ("c0", 'c"1', "c 2")
PLAIN = ("=", "!=", "<", "<=", ">", ">=")


@st.composite
def conditions(draw: st.DrawFn, depth: int = 1) -> Condition:
    column = draw(st.sampled_from(COLUMNS))
    kinds = [*PLAIN, "in", "is-null", "not-null", *(("within", "not-within") if depth else ())]
    operator = draw(st.sampled_from(kinds))
    if operator in PLAIN:
        return Condition(column=column, operator=operator, value=draw(ASKED))
    if operator == "in":
        return Condition(column=column, operator=operator, values=tuple(draw(st.lists(ASKED, max_size=3))))
    if operator in ("is-null", "not-null"):
        return Condition(column=column, operator=operator)
    inner = draw(st.lists(conditions(depth - 1), max_size=1))
    within = Within(table="other", column=draw(st.sampled_from(COLUMNS)), where=tuple(inner))
    return Condition(column=column, operator=operator, within=within)


WHERE = st.lists(conditions(), max_size=2).map(tuple)
ROWS = st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=12)
AFFINITY = st.sampled_from(["", "TEXT", "INTEGER", "TEXT COLLATE NOCASE", "NUMERIC"])


def forms(value: object) -> list[object]:
    """Return a value in all forms in which a column without a type may hold it: 7, the text 7, its bytes."""
    text = str(int(value)) if isinstance(value, int) else value
    if not isinstance(text, str):
        return [value]
    number = [int(text)] if re.fullmatch("0|-?[1-9][0-9]{0,17}", text) else []
    return [*number, text, text.encode()]


def literally(condition: Condition, parameters: list[object], alias: str = "t") -> str:
    """Write the condition again, in SQL of this test's own: the oracle."""
    column = f'{alias}."{condition.column.replace(chr(34), chr(34) * 2)}"'
    if condition.operator in ("=", "!=", "in"):
        asked = (condition.value,) if condition.operator != "in" else condition.values or ()
        told = [form for value in asked for form in forms(value)]
        parameters.extend(told)
        word = " AND " if condition.operator == "!=" else " OR "
        sign = "!=" if condition.operator == "!=" else "="
        return f"({word.join([f'{column} {sign} +?'] * len(told)) or '0'})"
    if condition.operator in PLAIN:
        parameters.append(condition.value)
        return f"{column} {condition.operator} ?"
    if condition.within is None:
        return f"{column} {'IS' if condition.operator == 'is-null' else 'IS NOT'} NULL"
    inner = condition.within
    source = f'u."{inner.column.replace(chr(34), chr(34) * 2)}"'
    where = " AND ".join(["1", *(literally(c, parameters, "u") for c in inner.where)])
    same = f"({' OR '.join(f'{column} = {form}' for form in forms_in_sql(source))})"
    exists = f"EXISTS (SELECT 1 FROM other AS u WHERE {same} AND {where})"
    if condition.operator == "within":
        return exists
    empty = f"NOT EXISTS (SELECT 1 FROM other AS u WHERE {source} IS NOT NULL AND {where})"
    return f"({column} IS NOT NULL AND NOT {exists} OR {empty})"


def forms_in_sql(source: str) -> list[str]:
    """Return what `forms` does, of another column; a unary plus takes the type of a cast away."""
    text = f"CAST({source} AS TEXT)"
    number = f"CAST({text} AS INTEGER)"
    whole = f"CASE WHEN CAST({number} AS TEXT) = {text} THEN +{number} END"
    return [source, f"+{text}", f"+CAST({text} AS BLOB)", whole]


def chosen(database: sqlite3.Connection, table: str, where: tuple[Condition, ...]) -> set[int]:
    """Return the row numbers that the oracle selects."""
    found = set()
    for (row,) in database.execute(f"SELECT {ROWID} FROM {table}").fetchall():
        keep = True
        for condition in where:
            parameters: list[object] = []
            text = literally(condition, parameters)
            if condition.operator == "not-within":
                parameters = parameters * 2
            keep &= bool(
                database.execute(
                    f"SELECT count(*) FROM {table} AS t WHERE {ROWID} = ? AND ({text})", (row, *parameters)
                ).fetchone()[0]
            )
        if keep:
            found.add(row)
    return found


ROWID = "_rowid_"


@settings(max_examples=40, deadline=None)
@given(
    name=NAMES,
    affinities=st.tuples(AFFINITY, AFFINITY, AFFINITY),
    rows=ROWS,
    others=ROWS,
    where=WHERE,
    hold=WHERE,
    mode=st.sampled_from(["DELETE", "WAL"]),
)
def test_exactly_the_selected_rows_go(name, affinities, rows, others, where, hold, mode) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "any.db"
        table = '"' + name.replace('"', '""') + '"'
        columns = ", ".join(
            f'"{c.replace(chr(34), chr(34) * 2)}" {a}' for c, a in zip(COLUMNS, affinities, strict=True)
        )
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous=OFF")
            database.execute(f"PRAGMA journal_mode={mode}")
            database.execute(f"CREATE TABLE {table} ({columns})")
            database.execute(f"CREATE TABLE other ({columns})")
            database.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)
            database.executemany("INSERT INTO other VALUES (?, ?, ?)", others)
            going = chosen(database, table, where) - chosen(database, table, hold)
            before = database.execute(f"SELECT {ROWID}, * FROM {table} ORDER BY 1").fetchall()
            besides = database.execute(f"SELECT {ROWID}, * FROM other ORDER BY 1").fetchall()
        wanted = Target(
            id="t",
            url=url(path),
            select=(Selection(table=name, where=where),),
            hold=(HeldRows(id="h", reason="r", table=name, where=hold),),
        )
        look = SqliteBackend.open(wanted, SECRETS).inspect()
        assert look.size == len(going)
        list(erase(wanted))
        with closing(sqlite3.connect(path)) as database:
            after = database.execute(f"SELECT {ROWID}, * FROM {table} ORDER BY 1").fetchall()
            assert after == [row for row in before if row[0] not in going]
            assert database.execute(f"SELECT {ROWID}, * FROM other ORDER BY 1").fetchall() == besides
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
