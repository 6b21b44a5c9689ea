"""What forbids to erase here and now, each reason named before anything changes.

Rules kept: whatever could keep deleted rows, bring them back or carry them elsewhere is named by its
process id, slot, trigger or relation; a right that is missing is named as the GRANT to run.
"""

# ruff: noqa: S608 - the names in an SQL text come from the catalogs and are quoted, values are bound

from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from deleatur.api import Refused, Target
from deleatur_plugins.postgresql.connecting import Connector
from deleatur_plugins.postgresql.content import Choice, Content, selected_tables
from deleatur_plugins.postgresql.objects import undecided
from deleatur_plugins.postgresql.schema import Schema, Table, plain, quoted
from deleatur_plugins.postgresql.selecting import read_by_conditions
from deleatur_plugins.postgresql.server import Server, server_of
from deleatur_plugins.postgresql.swapping import other_swaps

if TYPE_CHECKING:
    import psycopg

_SWAPS = "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'deleatur-%%' AND gid <> %s"
# What keeps deleted rows for somebody, brings them again or carries them elsewhere: a sentence, and the
# query for what it names.
_KEEPERS = (
    (
        "process {} has a transaction open ({}) and may still see the rows; end it",
        """SELECT pid, coalesce(state, backend_type) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND NOT pid = ANY (%(ours)s)
        -- a writer from any database, as every snapshot goes back to the oldest writer of all
        AND (backend_xid IS NOT NULL OR datname = current_database() AND backend_xmin IS NOT NULL)
        AND (state LIKE 'idle in transaction%%' AND clock_timestamp() - state_change > interval '1 s'
             OR clock_timestamp() - xact_start > interval '60 s') ORDER BY pid""",
    ),
    (
        "the prepared transaction {!r} may still see the rows; commit it or roll it back",
        # from any database, as every snapshot goes back to the oldest writer of all
        """SELECT gid FROM pg_prepared_xacts WHERE gid NOT LIKE 'deleatur-%%'
        AND (database = current_database() OR clock_timestamp() - prepared > interval '1 s') ORDER BY gid""",
    ),
    (
        "vacuum_defer_cleanup_age is {}, so the server keeps deleted rows for nobody; set it to 0",
        """SELECT age FROM current_setting('vacuum_defer_cleanup_age', true) AS age
        WHERE age <> '0'""",  # until PostgreSQL 15
    ),
    (
        "the replication slot {!r} keeps the log with the rows; drop it, and erase behind it apart",
        "SELECT slot_name FROM pg_replication_slots ORDER BY slot_name",
    ),
    (
        "process {} sends the log to the standby or copy {!r}; detach it, and erase there apart",
        "SELECT pid, application_name FROM pg_stat_replication ORDER BY pid",
    ),
    (
        "the log is archived (archive_mode = {}), so copies lie there; switch it off, and erase there apart",
        "SELECT current_setting('archive_mode') WHERE current_setting('archive_mode') <> 'off'",
    ),
    (
        "the subscription {!r} may bring the rows again; disable and drop it",
        """SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid
        WHERE d.datname = current_database() ORDER BY subname""",
    ),
    (
        "{} keeps the texts of statements, and cannot be reset from here; CREATE EXTENSION {}",
        """SELECT 'pg_stat_statements', 'pg_stat_statements'
        WHERE current_setting('shared_preload_libraries') LIKE '%%pg_stat_statements%%'
        AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')""",
    ),
)
_LOCKING = "UPDATE, DELETE, TRUNCATE"  # any of them lets a user keep writers out of a table
_ACTING = (
    (
        "the trigger {!r} acts when rows of {!r} are deleted and may copy them; drop or disable it",
        """SELECT 0, tgname FROM pg_trigger
        WHERE tgrelid = %s AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 8 <> 0 ORDER BY tgname""",
    ),
    (
        "the rule {!r} replaces deletions from {!r}; drop it",
        "SELECT 0, rulename FROM pg_rewrite WHERE ev_class = %s AND ev_type = '4' ORDER BY rulename",
    ),
    (
        "the materialized view {!r} holds copies of rows of {!r}; select it too, and refresh it afterwards",
        """WITH RECURSIVE made (view) AS (
          SELECT r.ev_class FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
          WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = %s AND r.ev_class <> d.refobjid
          UNION SELECT r.ev_class FROM made JOIN pg_depend d ON d.refobjid = made.view
          JOIN pg_rewrite r ON r.oid = d.objid
          WHERE d.classid = 'pg_rewrite'::regclass AND r.ev_class <> d.refobjid)
        SELECT oid, relname FROM made JOIN pg_class ON oid = view
        WHERE relkind = 'm' AND relispopulated ORDER BY relname""",
    ),
)


def blockers_of(
    connection: "psycopg.Connection[Any]", connector: Connector, content: Content
) -> tuple[str, ...]:
    """Return each reason that alone forbids to erase here and now."""
    found = list(keepers(connection, connector))
    going = {choice.table.oid for choice in content.choices}  # copies that go too are in nobody's way
    for choice in content.choices:
        for sentence, query in _ACTING:
            names = connection.execute(query.encode(), (choice.table.oid,)).fetchall()
            found += [
                sentence.format(name, choice.table.name) for oid, name in names if int(oid) not in going
            ]
    found += undecided(connection, content.schema, content.choices, content.objects)
    found += _referring(connection, content)
    return tuple(found)


def keepers(connection: "psycopg.Connection[Any]", connector: Connector) -> Iterator[str]:
    """Yield what would keep deleted rows, or carries them elsewhere."""
    bound = {"ours": sorted(connector.ours)}
    for sentence, query in _KEEPERS:
        for row in connection.execute(query.encode(), bound).fetchall():
            yield sentence.format(*row)
    yield from _unfinished(connection, connector)


def refuse_other_swaps(connection: "psycopg.Connection[Any]", connector: Connector) -> None:
    """Begin nothing on a server where another job waits for its end: that job could not end any more.

    Raises:
        Refused: the swap of another job is not committed, or its old files are not overwritten.
    """
    found = list(_unfinished(connection, connector))
    if found:
        raise Refused("; ".join(found))


def _unfinished(connection: "psycopg.Connection[Any]", connector: Connector) -> Iterator[str]:
    server = server_of(connection)
    names = {str(gid) for (gid,) in connection.execute(_SWAPS, (connector.prepared,)).fetchall()}
    if isinstance(server, Server):
        names |= {*other_swaps(server, connector.prepared)}
    for name in sorted(names):
        yield f"the swap {name!r} of another job on this server is not finished; resume that job"


def refuse_missing_rights(connection: "psycopg.Connection[Any]", schema: Schema, target: Target) -> None:
    """Ask the catalogs for the rights that the job needs, before any row is read.

    Raises:
        Refused: some are missing; all of them as the least GRANTs to run. Or rows are hidden.
    """
    wanted = {schema.table(name).name: ("SELECT", _LOCKING) for name in read_by_conditions(target)}
    wanted |= {table.name: ("SELECT", "DELETE") for table in selected_tables(schema, target)}
    lacking = list(_lacking(connection, schema, wanted))
    if lacking:
        raise Refused(f"this user lacks rights; run: {'; '.join(lacking)}")
    hiding = [repr(name) for name, table in sorted(schema.tables.items()) if table.hides_rows]
    if hiding:
        raise Refused(
            f"row level security hides rows of {', '.join(hiding)} from this user; use one with BYPASSRLS"
        )


def _lacking(
    connection: "psycopg.Connection[Any]", schema: Schema, wanted: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    ((user,),) = connection.execute("SELECT quote_ident(current_user)").fetchall()
    for name in sorted({table.schema for table in schema.tables.values()}):
        ((may,),) = connection.execute("SELECT has_schema_privilege(%s, 'USAGE')", (name,)).fetchall()
        if not may:
            yield f"GRANT USAGE ON SCHEMA {plain(name)} TO {user}"
    for name, table in sorted(schema.tables.items()):
        for right in wanted.get(name, ("SELECT",)):
            ((may,),) = connection.execute(
                "SELECT has_table_privilege(%s::oid, %s)", (table.oid, right)
            ).fetchall()
            if not may:
                least = right.partition(",")[0]
                yield f"GRANT {least} ON {plain(table.schema)}.{plain(table.relation)} TO {user}"


def _referring(connection: "psycopg.Connection[Any]", content: Content) -> Iterator[str]:
    """Name rows that are not selected and refer to rows that are: the server would refuse, or change them."""
    chosen = {choice.table.name: choice for choice in content.choices}
    asked = set()
    for key in content.schema.keys:
        # of two partitioned tables the catalogs have the keys to and from the whole, not between their parts
        for name, refers_to in product(
            _leaves(content.schema, key.table), _leaves(content.schema, key.refers_to)
        ):
            pair = (name, refers_to, key.columns, key.referred)
            if refers_to not in chosen or pair in asked:
                continue
            asked.add(pair)
            also = chosen.get(name)
            child = also.table if also else content.schema.tables[name]
            rows = _left_behind(connection, key.columns, key.referred, child, chosen[refers_to], also)
            if rows:
                acts = key.on_delete not in ("no-action", "restrict")
                effect = f"ON DELETE {key.on_delete} would act on them" if acts else "they would dangle"
                yield (
                    f"{rows} rows of {name!r} refer by {key.name!r} to rows that would go, and {effect}; "
                    "select those rows too"
                )


def _leaves(schema: Schema, name: str) -> list[str]:
    """Return the tables that the rows of a table with a foreign key stand in: itself, or its partitions."""
    if schema.tables[name].kind != "partitioned table":
        return [name]  # a key says nothing of heirs
    return [table.name for table in schema.family(name) if table.kind == "table"]


def _left_behind(
    connection: "psycopg.Connection[Any]",
    columns: tuple[str, ...],
    referred: tuple[str, ...],
    child: Any,
    parent: Choice,
    also: Choice | None,
) -> int:
    by = _collations(connection, parent.table)
    pairs = zip(columns, referred, strict=True)
    same = " AND ".join(f"p.{quoted(r)} = c.{quoted(c)}{by.get(r, '')}" for c, r in pairs)
    bound = list(parent.query.bound)
    stays = ""
    if also is not None:
        keys = ", ".join(f"t0.{quoted(c)}" for c in child.key)
        mine = ", ".join(f"c.{quoted(c)}" for c in child.key)
        stays = f" AND ({mine}) NOT IN (SELECT {keys} FROM {child.sql} AS t0 WHERE {also.query.clause})"
        bound += also.query.bound
    found = connection.execute(
        f"SELECT count(*) FROM {child.sql} AS c WHERE EXISTS (SELECT FROM "
        f"(SELECT t0.* FROM {parent.table.sql} AS t0 WHERE {parent.query.clause}) AS p "
        f"WHERE {same}){stays}".encode(),
        bound,
    ).fetchone()
    return int(found[0]) if found else 0


def _collations(connection: "psycopg.Connection[Any]", table: Table) -> dict[str, str]:
    """Return, for each column of texts, the words that compare by its collation, as a key to it does."""
    found = connection.execute(
        "SELECT a.attname, n.nspname, c.collname FROM pg_attribute a JOIN pg_collation c "
        "ON c.oid = a.attcollation JOIN pg_namespace n ON n.oid = c.collnamespace WHERE a.attrelid = %s",
        (table.oid,),
    )
    return {column: f" COLLATE {quoted(schema)}.{quoted(name)}" for column, schema, name in found}
