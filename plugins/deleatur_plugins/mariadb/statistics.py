"""Take lowest, highest and frequent values of the rows out of the engine-independent statistics."""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted

from collections.abc import Sequence

from deleatur_plugins.mariadb.connecting import Session, quoted


def forget_statistics(session: Session, tables: Sequence[str]) -> dict[str, list[str]]:
    """Delete what is kept of the tables' columns; return the columns by table, quoted."""
    database = session.literal(session.address.database)
    ours = f"db_name = {database} AND table_name IN ({', '.join(map(session.literal, tables))})"
    columns: dict[str, list[str]] = {}
    for table, column in session.texts(
        f"SELECT table_name, column_name FROM mysql.column_stats WHERE {ours} ORDER BY 1, 2"
    ):
        columns.setdefault(table, []).append(quoted(column))
    session.run(f"DELETE FROM mysql.column_stats WHERE {ours}")
    return columns


def take_statistics(session: Session, columns: dict[str, list[str]]) -> None:
    """Take them again, of the rows that are there now."""
    for table, names in columns.items():
        session.rows(
            f"ANALYZE NO_WRITE_TO_BINLOG TABLE {quoted(table)} "
            f"PERSISTENT FOR COLUMNS ({', '.join(names)}) INDEXES ()"
        )
