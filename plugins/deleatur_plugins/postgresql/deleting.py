"""Delete the selected rows: in one transaction, by one statement, and exactly those of the plan.

Rules kept: the rows are counted and digested again in the transaction that deletes them, behind locks
that let nobody write; a number that differs rolls everything back.
"""

# ruff: noqa: S608 - the names in an SQL text come from the catalogs and are quoted, values are bound

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from deleatur.api import Failed, Refused, Secrets, Target, Unit, deletion_order
from deleatur_plugins.postgresql.blockers import blockers_of
from deleatur_plugins.postgresql.connecting import Connector, stay_in_memory, translated
from deleatur_plugins.postgresql.content import Choice, Content, selected_tables
from deleatur_plugins.postgresql.objects import pages_of, pointing_tables, unlink
from deleatur_plugins.postgresql.schema import Schema, read_schema
from deleatur_plugins.postgresql.selecting import read_by_conditions
from deleatur_plugins.postgresql.waiting import Wait

if TYPE_CHECKING:
    import psycopg

_NOTED = 64  # bytes of the server's memory for each deleted row; 56 were measured


def delete(
    connector: Connector,
    target: Target,
    secrets: Secrets,
    note: "Callable[[psycopg.Connection[Any]], None] | None" = None,
) -> tuple[int, int]:
    """Delete the selected rows minus the held ones; return how many, and how long others waited (ms).

    None left: 0. Nobody writes meanwhile to the selected tables, nor to those that conditions read.
    `note` is called when nobody writes any more and nothing is deleted yet.

    All tables are emptied by one statement, so that every condition sees the rows as they were
    approved and every foreign key is checked when all of them are gone, circles included.

    Raises:
        Refused: something forbids it, or the rows are not those of the plan.
        Failed: where others write, so that nobody could tell later: a row that stays would be harmed.
        Transient: somebody holds a lock, or it would take longer than the plan announced.
    """
    with connector.connected() as connection, translated("deleting"):
        before = read_schema(connection)
        wait = Wait(secrets)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        for name, mode in _locks(before, target):
            connection.execute(f"LOCK TABLE ONLY {name} IN {mode} MODE".encode(), ())
        # no query came before the locks, so the transaction sees what the last writer left
        with wait.bounding(connection):
            if note:
                note(connection)
            stay_in_memory(connection)
            content = Content(connection, read_schema(connection), target, secrets, wait.check)
            if content.rows:  # else they went before this job was killed
                _compare_with_plan(content, secrets)
                blockers = blockers_of(connection, connector, content)
                if blockers:
                    raise Refused("; ".join(blockers))
                staying = content.staying() if target.others_write else []
                _delete(connection, content)
                _refuse_left_rows(Content(connection, read_schema(connection), target, secrets, wait.check))
                if staying and content.left() != staying:  # nobody else could write: it was our doing
                    raise Failed("rows that stay would not be what they were; nothing was deleted")
        connection.execute("COMMIT")
        return content.rows, wait.milliseconds


def _locks(schema: Schema, target: Target) -> list[tuple[str, str]]:
    """Return which tables are locked how: in one order for all, so that two jobs never wait in a circle."""
    read = {
        table.qualified
        for name in read_by_conditions(target)
        for table in schema.family(name)
        if table.kind in ("table", "partitioned table")
    }
    chosen = {t.qualified for t in selected_tables(schema, target) if t.kind == "table"}
    if pages := pages_of(selected_tables(schema, target)):  # nobody else may come to point to what goes
        read |= {table.qualified for table in pointing_tables(schema) if table.kind == "table"}
        chosen |= {table.qualified for table in pages}
    modes = dict.fromkeys(read, "SHARE") | dict.fromkeys(chosen, "SHARE ROW EXCLUSIVE")
    return sorted(modes.items())


def _delete(connection: "psycopg.Connection[Any]", content: Content) -> None:
    chosen = {choice.table.name: choice for choice in content.choices if choice.table.kind == "table"}
    stages = deletion_order(tuple(chosen), content.schema.keys)
    choices = [chosen[name] for stage in stages for name in stage.tables]
    if choices:
        _delete_rows(connection, choices)
    unlink(connection, content.objects.going)
    for choice in content.choices:
        if choice.table.kind == "materialized view":
            connection.execute(
                f"REFRESH MATERIALIZED VIEW {choice.table.qualified} WITH NO DATA".encode(), ()
            )


def _delete_rows(connection: "psycopg.Connection[Any]", choices: list[Choice]) -> None:
    parts = [
        f"d{n} AS (DELETE FROM {c.table.sql} AS t0 WHERE {c.query.clause} RETURNING 1)"
        for n, c in enumerate(choices)
    ]
    # each row that goes is noted in memory as well, until all of them are counted
    stay_in_memory(connection, more=_NOTED * sum(choice.rows for choice in choices))
    counts = ", ".join(f"(SELECT count(*) FROM d{n})" for n in range(len(parts)))
    bound = [value for choice in choices for value in choice.query.bound]
    row = connection.execute(f"WITH {', '.join(parts)} SELECT {counts}".encode(), bound).fetchone()
    wrong = [c.table.name for c, rows in zip(choices, row or (), strict=True) if rows != c.rows]
    if wrong:
        raise Refused(f"from {', '.join(map(repr, wrong))} other rows would go than were counted; plan again")


def _refuse_left_rows(content: Content) -> None:
    """A selection by other tables may find further rows once theirs are gone."""
    left = [choice.table.name for choice in content.choices if choice.rows]
    if left:
        raise Refused(
            f"after the deletion the selection still finds rows in {', '.join(map(repr, left))}: it depends "
            "on rows that go; name the rows directly"
        )


def _compare_with_plan(content: Content, secrets: Secrets) -> None:
    """Compare the rows with those that were approved, as far as the engine says which they are."""
    approved = secrets.get("approved-units")
    if approved is None:
        return
    tree = json.loads(approved)
    for key, name, now in (("units", "selected", content.units()), ("held", "held", tuple(content.held))):
        if {_triple(u) for u in now} != {(u["name"], u["size"], u["digest"]) for u in tree[key]}:
            raise Refused(f"the {name} rows changed since the plan; plan again")


def _triple(unit: Unit) -> tuple[str, int, str]:
    return unit.name, unit.size, unit.digest
