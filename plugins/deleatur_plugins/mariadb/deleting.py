"""Delete the selected rows in one transaction: exactly those of the plan, or none.

Rules kept: rows are locked before they are compared with the plan, and no other row stays locked; the
server's cascades do not run, because whatever refers to rows that go must be selected itself; who
asked for fewer gets nothing.
"""

import json

from deleatur.api import Refused, Secrets, Target, Unit, deletion_order
from deleatur_plugins.mariadb.connecting import Session
from deleatur_plugins.mariadb.content import Content
from deleatur_plugins.mariadb.schema import read_schema


def delete_rows(session: Session, target: Target, secrets: Secrets) -> int:
    """Delete and commit; return how many rows there were, 0 when they are gone already.

    Raises:
        Refused: the rows are not those of the plan, or others depend on them. Nothing was deleted.
    """
    session.run("SET SESSION foreign_key_checks=OFF")
    # otherwise each row that a locking statement looks at stays locked, and the gaps between them
    session.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    session.run("START TRANSACTION")
    try:
        rows = _delete(session, target, secrets)
        session.run("COMMIT")
    finally:
        session.run("ROLLBACK")
        session.run("SET SESSION foreign_key_checks=ON")
    return rows


def _delete(session: Session, target: Target, secrets: Secrets) -> int:
    schema = read_schema(session)
    content = Content(session, schema, target, secrets)
    going = content.locked()
    if not going:
        return 0
    _compare_with_plan(secrets, tuple(rows.unit for rows in going.values()), content.held())
    if tables := content.referring_to(going):
        raise Refused(
            f"rows of {', '.join(map(repr, tables))} refer to rows that would go; select those rows too"
        )
    rows = 0
    keys = {
        name: going[name].keys if name in going else []
        for name in sorted(c.table.name for c in content.choices)
    }
    for stage in deletion_order(keys, schema.keys):
        for name in stage.tables:
            deleted = content.delete(schema.table(name), keys[name])
            if deleted != len(keys[name]):
                raise Refused(
                    f"{len(keys[name])} rows of {name!r} were to go and {deleted} went; nothing was changed"
                )
            rows += deleted
    if left := content.units():
        raise Refused(
            f"after the deletion the selection still finds rows in {', '.join(u.name for u in left)}: they "
            "came just now, or it depends on rows that go; plan again, or name the rows directly"
        )
    return rows


def _compare_with_plan(secrets: Secrets, units: tuple[Unit, ...], held: tuple[Unit, ...]) -> None:
    """Compare the rows with those that were approved, as far as the engine says which they are."""
    approved = secrets.get("approved-units")
    if approved is None:
        return
    tree = json.loads(approved)
    for key, name, now in (("units", "selected", units), ("held", "held", held)):
        if {(u.name, u.size, u.digest) for u in now} != {
            (u["name"], u["size"], u["digest"]) for u in tree[key]
        }:
            raise Refused(f"the {name} rows changed since the plan; plan again")
