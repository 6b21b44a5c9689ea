"""A process of its own that erases a database and journals each cursor; it is there to be killed.

python sqlite_walk.py DATABASE JOURNAL
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from deleatur.api import Condition, Cursor, Pattern, Selection, Step, Target
from deleatur_plugins.sqlite import SqliteBackend


def main(database: str, journal: str) -> None:
    """Resume from the journal's last line, if there is one."""
    goes = Condition(column="goes", operator="=", value=1)
    target = Target(
        id="t",
        url=Path(database).as_uri().replace("file:", "sqlite:"),
        select=(Selection(table="person", where=(goes,)), Selection(table="own", where=(goes,))),
    )
    step = Step(
        id="s1",
        target="t",
        technique="rewrite-and-shred",
        action="rewrite",
        compare="absence",
        pattern=Pattern(kind="aes-256-ctr", key="5e" * 32),
    )
    with Path(journal).open("a+b", buffering=0) as file:
        file.seek(0)
        lines = file.read().decode().splitlines()
        after = None
        if lines:
            position, _, done = lines[-1].rpartition("|")
            after = Cursor(position=position, done=int(done))
        backend = SqliteBackend.open(target, {"digest-key": bytes(range(32))})
        os.access("/the-erase-begins", os.F_OK)  # a mark in the trace
        for cursor in backend.erase(step, after):
            file.write(f"{cursor.position}|{cursor.done}\n".encode())
            os.fsync(file.fileno())
        os.access("/the-erase-ended", os.F_OK)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
