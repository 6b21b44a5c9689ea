"""What the user of the job may do on the server, and the least that is missing, as GRANT statements."""

import re
from dataclasses import dataclass

from deleatur_plugins.mariadb.connecting import Session, quoted

WORK = "deleatur_work"  # a database of our own for the length of an erase; it holds filler only
_GLOBAL = "*.*"
_GRANT = re.compile(r"^GRANT (.+?) ON (.+?) TO ")
_ALL = "ALL PRIVILEGES"


@dataclass(frozen=True)
class Need:
    """Privileges on one scope."""

    scope: str
    privileges: tuple[str, ...]


def for_rows(database: str) -> tuple[Need, ...]:
    """Return what deleting rows and looking at them needs."""
    return (Need(f"{quoted(database)}.*", ("SELECT", "DELETE")),)


def for_files(database: str) -> tuple[Need, ...]:
    """Return what the whole way needs, in which the server writes its files anew."""
    return (
        Need(
            _GLOBAL,
            (
                *("RELOAD", "PROCESS", "SUPER", "BINLOG ADMIN", "BINLOG MONITOR", "SLAVE MONITOR"),
                "REPLICATION MASTER ADMIN",
            ),
        ),
        Need(f"{quoted(database)}.*", ("SELECT", "INSERT", "DELETE", "CREATE", "ALTER")),
        Need("`mysql`.`column_stats`", ("SELECT", "INSERT", "DELETE", "CREATE", "ALTER", "DROP")),
        Need(f"{quoted(WORK)}.*", ("SELECT", "INSERT", "UPDATE", "CREATE", "DROP")),
    )  # fmt: skip


def for_all() -> tuple[Need, ...]:
    """Return what moving the whole server needs: to read all, users included, and to stop it."""
    return (Need(_GLOBAL, (_ALL,)),)


def missing(session: Session, needs: tuple[Need, ...]) -> tuple[str, ...]:
    """Return the GRANT statements that the user lacks; none if it may do everything."""
    granted = _granted(session)
    user = session.text("SELECT CURRENT_USER()").replace("@", "'@'", 1)
    lines = []
    for need in needs:
        scopes = (_GLOBAL, need.scope, need.scope.split(".")[0] + ".*")
        have = frozenset().union(*(granted.get(scope, frozenset()) for scope in scopes))
        lacking = [] if _ALL in have else [p for p in need.privileges if p not in have]
        if lacking:
            lines.append(f"GRANT {', '.join(lacking)} ON {need.scope} TO '{user}'")
    return tuple(lines)


def _granted(session: Session) -> dict[str, frozenset[str]]:
    """Read SHOW GRANTS, roles that are active included."""
    found: dict[str, frozenset[str]] = {}
    for (line,) in session.texts("SHOW GRANTS"):
        match = _GRANT.match(line)
        if match:
            scope = match.group(2).replace("\\_", "_").replace("\\%", "%")
            names = frozenset(part.strip() for part in match.group(1).split(","))
            found[scope] = found.get(scope, frozenset()) | names
    return found
