"""Read what an operator says of one person: a line each, `type: value` or `place/table.column: value`.

Rule kept: no message quotes a value. Pure.
"""

from deleatur.errors import Malformed
from deleatur.judge.activity import day_of
from deleatur.judge.names import Name, name_of
from deleatur.judge.people import LINKING
from deleatur.judge.roles import CERTAIN, identifiers_in, key_text
from deleatur.judge.subject import LASTING, Given, Identifier, Key

MOST = 1 << 16  # bytes
_NAME, _BORN = "person-name", "date-of-birth"


def read_identifiers(content: bytes) -> Given:
    """Return what is given of the person; lines that are empty or begin with # say nothing.

    Raises:
        Malformed: no UTF-8, a line that is no `type: value`, a value that is not of its type, or
            nothing that leads to a record.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise Malformed("the identifiers are not UTF-8", kind="encoding") from None
    found: dict[str, set[Identifier]] = {}
    names: set[Name] = set()
    born: set[str] = set()
    keys: set[Key] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        kind, separator, value = (part.strip() for part in line.partition(": "))
        day = day_of(value) if kind == _BORN else None
        if kind in LINKING and (each := [*identifiers_in(kind, value)]):
            found.setdefault(kind, set()).update(i for i in each if i[1])
        elif kind == _NAME and (name := name_of([value])):
            names.add(name)
        elif day:
            born.add(day.isoformat())
        elif separator and "/" in kind and "." in kind and key_text(value):
            keys.add((kind, key_text(value)))
        else:
            raise Malformed(_explain(kind), kind="bad-value", where=f"line {number}")
    if not any(found.values()) and not keys:
        raise Malformed(
            f"no identifier is given: write one of {', '.join(LINKING)}, or a column as place/table.column",
            kind="missing-key",
        )
    return Given(
        identifiers=frozenset(i for each in found.values() for i in each),
        certain=frozenset(i for kind in CERTAIN for i in found.get(kind, ())),
        lasting=frozenset((kind, i[1]) for kind in LASTING for i in found.get(kind, ())),
        names=frozenset(names),
        born=frozenset(born),
        keys=frozenset(keys),
    )


def _explain(kind: str) -> str:
    known = (*LINKING, _NAME, _BORN)
    if kind in known:
        return f"the value is no {kind}"
    return f"write `type: value` with one of {', '.join(known)}, or `place/table.column: value`"
