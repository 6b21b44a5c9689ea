"""Random databases with foreign keys, and what an erase of some rows must do to them: an oracle in Python.

A world is drawn without a database: tables, keys of one or two columns between them, in circles and to
themselves, with every action on deletion, rows, selections and holds. The oracle knows from it which rows
go, whether rows that stay would dangle, and whether the selection would find more rows afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from hypothesis import strategies as st
from msgspec import json

from deleatur.api import Backend, Condition, HeldRows, Selection, Step, Target, Unit, Within
from deleatur.errors import Refused

Action = Literal["NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"]
Row = dict[str, Any]
Rows = dict[str, list[Row]]
NOWHERE = 90  # values from here on are nobody's key
SECRETS = {"digest-key": bytes(range(32))}


@dataclass(frozen=True, kw_only=True)
class Features:
    """What an engine can declare."""

    actions: tuple[Action, ...] = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL")
    circles: bool = True
    deferrable: bool = False
    partitions: bool = False
    without_rowid: bool = False
    dangling: bool = True  # rows may refer to nothing already


@dataclass(frozen=True, kw_only=True)
class Key:
    """A foreign key."""

    number: int
    table: str
    columns: tuple[str, ...]
    refers_to: str
    referred: tuple[str, ...]
    action: Action
    nullable: bool
    deferrable: bool
    dangling: bool

    @property
    def sql(self) -> str:
        """Its declaration."""
        here, there = ", ".join(self.columns), ", ".join(self.referred)
        return (
            f"FOREIGN KEY ({here}) REFERENCES {self.refers_to} ({there})"
            f"{f' ON DELETE {self.action}' if self.action != 'NO ACTION' else ''}"
            f"{' DEFERRABLE INITIALLY DEFERRED' if self.deferrable else ''}"
        )


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: `n` tells its rows apart, `mark` is what selections and holds ask for."""

    name: str
    key: tuple[str, ...]  # of one column or two
    divided: bool = False  # into partitions, or without rowid
    more: tuple[Key, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns, all of numbers."""
        return ("n", "id", "part", "code", "mark", *(c for key in self.more for c in key.columns))

    def sql(self, *keys: str, code: str = "UNIQUE (code)") -> str:
        """Its declaration, but for what an engine puts behind it."""
        forced = {c for key in self.more if not key.nullable for c in key.columns}
        columns = [f"{c} integer{' NOT NULL' if c in forced else ''} DEFAULT 1" for c in self.columns]
        parts = [*columns, f"PRIMARY KEY ({', '.join(self.key)})", *([code] if code else []), *keys]
        return f"CREATE TABLE {self.name} ({', '.join(parts)})"


@dataclass(frozen=True)
class World:
    """Tables, their rows, and what a job asks for."""

    tables: tuple[Table, ...]
    rows: Rows
    select: tuple[Selection, ...]
    hold: tuple[HeldRows, ...] = ()

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every foreign key."""
        return tuple(key for table in self.tables for key in table.more)

    # --- the oracle

    def selected(self, rows: Rows, table: str) -> list[int]:
        """Return the numbers of the rows of `table` that a selection finds."""
        wheres = [s.where for s in self.select if s.table == table]
        return [r["n"] for r in rows[table] if any(_meets(r, where, rows) for where in wheres)]

    def held(self, rows: Rows, table: str) -> list[int]:
        """Return the numbers of the rows of `table` that are held."""
        wheres = [h.where for h in self.hold if h.table == table]
        return [r["n"] for r in rows[table] if any(_meets(r, where, rows) for where in wheres)]

    def kept_back(self, rows: Rows) -> dict[str, int]:
        """Return how many selected rows each hold keeps back, if any, as a look names it."""
        found = {
            f"{hold.id} table {hold.table}": sum(
                row["n"] in self.selected(rows, hold.table)
                for row in rows[hold.table]
                if _meets(row, hold.where, rows)
            )
            for hold in self.hold
        }
        return {name: count for name, count in found.items() if count}

    def going(self, rows: Rows) -> dict[str, set[int]]:
        """Return the numbers of the rows that must go, by table."""
        return {t.name: set(self.selected(rows, t.name)) - set(self.held(rows, t.name)) for t in self.tables}

    def left(self, going: Mapping[str, set[int]]) -> Rows:
        """Return the rows that must stay."""
        return {name: [r for r in rows if r["n"] not in going[name]] for name, rows in self.rows.items()}

    def dangling(self, rows: Rows) -> set[tuple[str, int, int]]:
        """Return table and number of every row, and the key, by which it refers to no row."""
        return {
            (key.table, row["n"], key.number)
            for key in self.keys
            for row in rows[key.table]
            if (told := _values(row, key.columns)) is not None
            and all(_values(parent, key.referred) != told for parent in rows[key.refers_to])
        }


def _values(row: Row, columns: Sequence[str]) -> tuple[int, ...] | None:
    """Return what a key of a row says; None when a part of it is NULL."""
    values = tuple(row[c] for c in columns)
    return None if None in values else values


def _meets(row: Row, where: Sequence[Condition], rows: Rows) -> bool:
    return all(_meets_one(row[condition.column], condition, rows) for condition in where)


def _meets_one(value: int | None, condition: Condition, rows: Rows) -> bool:
    """Judge as SQL does: what is not known is not so."""
    if condition.operator in ("is-null", "not-null"):
        return (value is None) == (condition.operator == "is-null")
    if condition.within is None:
        return value is not None and value in (condition.values or ())
    inner = condition.within
    found = {r[inner.column] for r in rows[inner.table] if _meets(r, inner.where, rows)} - {None}
    if condition.operator == "within":
        return value is not None and value in found
    return not found or (value is not None and value not in found)


# --- what is drawn


@st.composite
def worlds(draw: st.DrawFn, features: Features) -> World:
    """Draw a world that an engine with these features can hold."""
    named = [f"t{n}" for n in range(draw(st.integers(1, 4)))]
    kinds = [draw(st.sampled_from(["plain", "wide", "divided"])) for _ in named]
    tables = [
        Table(name=name, key=("id",) if kind == "plain" else ("id", "part"), divided=kind == "divided")
        for name, kind in zip(named, kinds, strict=True)
    ]
    counts = {name: draw(st.integers(0, 6)) for name in named}
    keys = [_key(draw, n, tables, counts, features) for n in range(draw(st.integers(0, 6)))]
    tables = [
        Table(
            name=t.name, key=t.key, divided=t.divided, more=tuple(k for k in keys if k and k.table == t.name)
        )
        for t in tables
    ]
    world = World(tuple(tables), _rows(draw, tables, counts, features), ())
    closed = draw(st.sampled_from([True, True, False]))
    select = tuple(_closed(draw, world) if closed else _selections(draw, world))
    if not select:
        select = (Selection(table=named[0]),)
    holds = draw(st.lists(st.sampled_from(sorted({s.table for s in select})), max_size=2))
    hold = tuple(
        HeldRows(id=f"h{n}", reason="a claim", table=name, where=(_condition(draw, world, name),))
        for n, name in enumerate(holds)
    )
    return World(world.tables, world.rows, select, hold)


def _key(
    draw: st.DrawFn, number: int, tables: Sequence[Table], counts: Mapping[str, int], features: Features
) -> Key | None:
    child = draw(st.sampled_from(range(len(tables))))
    parents = range(len(tables)) if features.circles else range(child + 1)
    parent = tables[draw(st.sampled_from(parents))]
    bare = features.partitions and parent.divided  # a unique key of it must have `part`
    referred = parent.key if bare else draw(st.sampled_from([parent.key, ("code",)]))
    here = features.circles or parent.name != tables[child].name  # else the first row has nobody to name
    forced = bool(here and counts[parent.name] and draw(st.booleans()))
    action = draw(st.sampled_from(features.actions))
    divided = features.partitions and (parent.divided or tables[child].divided)
    return Key(
        number=number,
        table=tables[child].name,
        columns=tuple(f"k{number}{c}" for c in "ab"[: len(referred)]),
        refers_to=parent.name,
        referred=referred,
        action="CASCADE" if forced and action == "SET NULL" and "CASCADE" in features.actions else action,
        nullable=not forced,
        deferrable=features.deferrable and draw(st.booleans()),
        dangling=features.dangling and not divided and draw(st.sampled_from([False, False, True])),
    )


def _rows(draw: st.DrawFn, tables: Sequence[Table], counts: Mapping[str, int], features: Features) -> Rows:
    rows: Rows = {
        t.name: [
            {
                "n": n,
                "id": n // 2 if len(t.key) == 2 else n,
                "part": n % 2,
                "code": n * 3 % 7,
                "mark": draw(st.integers(0, 2)),
            }
            for n in range(counts[t.name])
        ]
        for t in tables
    }
    for key in (key for table in tables for key in table.more):
        for row in rows[key.table]:
            earlier = not features.circles and key.refers_to == key.table
            parents = rows[key.refers_to][: row["n"]] if earlier else rows[key.refers_to]
            ways = ["row"] * bool(parents) * 3 + ["null"] * key.nullable + ["nowhere"] * key.dangling
            told: list[int | None] = [None] * len(key.columns)
            way = draw(st.sampled_from(ways))
            if way == "row":
                parent = draw(st.sampled_from(parents))
                told = [parent[c] for c in key.referred]
            elif way == "nowhere":
                told = [NOWHERE] * len(key.columns)
            elif len(told) == 2 and draw(st.booleans()):
                told = [NOWHERE, None]  # a part of it says nothing, so all of it refers to nothing
            row |= dict(zip(key.columns, told, strict=True))
    return rows


def _closed(draw: st.DrawFn, world: World) -> tuple[Selection, ...]:
    """Select some rows, and all that refer to them."""
    marks = draw(st.sets(st.integers(0, 2), min_size=1, max_size=2))
    going = {t: {r["n"] for r in rows if r["mark"] in marks} for t, rows in world.rows.items()}
    before = world.dangling(world.rows)
    while more := world.dangling(world.left(going)) - before:
        for table, number, _ in more:
            going[table].add(number)
    return tuple(
        Selection(table=name, where=(Condition(column="n", operator="in", values=tuple(sorted(numbers))),))
        for name, numbers in going.items()
        if numbers
    )


def _selections(draw: st.DrawFn, world: World) -> Iterator[Selection]:
    for table in world.tables:
        for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
            some = draw(st.sampled_from([True, True, True, False]))
            yield Selection(table=table.name, where=(_condition(draw, world, table.name),) if some else ())


def _condition(draw: st.DrawFn, world: World, name: str, depth: int = 0) -> Condition:
    (table,) = (t for t in world.tables if t.name == name)
    marks = Condition(
        column="mark", operator="in", values=tuple(draw(st.sets(st.integers(0, 2), min_size=1)))
    )
    kinds = ["marks", "marks", *(["null", "within"] if table.more and not depth else [])]
    kind = draw(st.sampled_from(kinds))
    if kind == "marks":
        return marks
    key = draw(st.sampled_from(table.more))
    if kind == "null":
        return Condition(column=key.columns[0], operator=draw(st.sampled_from(["is-null", "not-null"])))
    within = Within(
        table=key.refers_to,
        column=key.referred[0],
        where=(_condition(draw, world, key.refers_to, 1),),
    )
    return Condition(
        column=key.columns[0],
        operator=draw(st.sampled_from(["within", "within", "not-within"])),
        within=within,
    )


# --- the property


class Engine(Protocol):
    """One engine's database, for one world."""

    backend: type[Backend]
    step: Step
    names_orphans: bool  # the look names them already

    def target(self, world: World) -> Target:
        """Return the target of the world's job."""

    def rows(self, world: World) -> Rows:
        """Return every row that is there."""


@dataclass
class Tally:
    """How many worlds ended how: a property that never erases shows nothing."""

    erased: int = 0
    refused: int = 0


def judge(world: World, engine: Any, tally: Tally) -> None:
    """Erase, and compare with the oracle: all of the plan and nothing else, or nothing and a reason."""
    before = engine.rows(world)
    assert before == world.rows, "the database is the world"
    going = world.going(before)
    target = engine.target(world)
    with closing(engine.backend.open(target, SECRETS)) as backend:
        look = backend.inspect()
    expected = {name: len(numbers) for name, numbers in going.items() if numbers}
    assert _by_table(look.units, "table ") == expected, "planned units are the rows that must go"
    assert look.size == sum(expected.values())
    assert _by_table(look.held, "hold ") == world.kept_back(before)
    left = world.left(going)
    orphans = world.dangling(left) - world.dangling(before)
    found_again = any(set(world.selected(left, t)) - set(world.held(left, t)) for t in left)
    if engine.names_orphans:
        assert any("refer" in b for b in look.blockers) == bool(orphans), look.blockers
    assert not [b for b in look.blockers if "refer" not in b]
    secrets = SECRETS | {"approved-units": json.encode({"units": look.units, "held": look.held})}
    refusal = ""
    with closing(engine.backend.open(target, secrets)) as backend:
        try:
            cursors = list(backend.erase(engine.step, None))
        except Refused as error:
            refusal = str(error)
    if refusal:
        assert orphans or found_again, f"refused without a reason: {refusal}"
        assert engine.rows(world) == before, "a refusal changes nothing"
        assert "refer" in refusal or (found_again and "selection still finds" in refusal)
        tally.refused += 1
        return
    assert not orphans, "rows that stay would dangle, and nobody said so"
    assert not found_again, "the selection still finds rows, and nobody said so"
    assert engine.rows(world) == left, "all of the plan, and nothing else"
    assert cursors[-1].done == look.size
    assert world.dangling(engine.rows(world)) <= world.dangling(before)
    with closing(engine.backend.open(target, SECRETS)) as backend:
        assert backend.inspect().size == 0
    tally.erased += 1


def _by_table(units: Sequence[Unit], begins: str) -> dict[str, int]:
    """Add up the units of each table; a partition `t1_p0` belongs to `t1`."""
    found: dict[str, int] = {}
    for unit in units:
        name = unit.name.removeprefix(begins).partition("_")[0]
        found[name] = found.get(name, 0) + unit.size
    return found


def inserts(world: World) -> Iterator[str]:
    """Yield an INSERT for each row, in the order of the tables."""
    for table in world.tables:
        for row in world.rows[table.name]:
            told = ", ".join("NULL" if row[c] is None else str(row[c]) for c in table.columns)
            yield f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({told})"
