"""Which holds are open, and what of a job they concern. Pure.

Rules kept: in doubt a hold concerns: a place holds what lies in it and what it lies in, whatever
the scheme, user or port of the URL; a line that cannot follow from those before breaks the register.
"""

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, quote, unquote, urlsplit

from deleatur.documents.hold import BY_TWO, Begun, Hold, Line, Placed, Released, Scope
from deleatur.documents.job import Target
from deleatur.documents.plan import PublicKey
from deleatur.errors import Malformed
from deleatur.network import on_this_host

_NUMBERED = re.compile(r"(.+)\.([0-9]{1,6})")  # how `deleatur cycle` names the job after the first


@dataclass(frozen=True)
class Standing:
    """A hold of the register, and how far it is."""

    hold: Hold
    values: str  # keyed digest of its values files
    placed_at: str
    placed_by: PublicKey
    released_by: tuple[PublicKey, ...] = ()  # distinct keys whose release counts
    released_at: str = ""  # "": it is open

    @property
    def open(self) -> bool:
        """Whether it still holds."""
        return not self.released_at

    @property
    def needed(self) -> int:
        """How many distinct keys release it."""
        return 2 if self.hold.matter in BY_TWO else 1


def standing(lines: Sequence[Line], former: Iterable[PublicKey]) -> tuple[Standing, ...]:
    """Return every hold that was ever placed, in order; releases by `former` keys do not count.

    Raises:
        Malformed: a line that cannot follow from those before.
    """
    gone = {key.spki for key in former}
    known: dict[str, Standing] = {}
    for number, line in enumerate(lines):
        match line.act:
            case Begun() if number == 0:
                continue
            case Placed(hold=hold, values=values) if number and hold.id not in known:
                known[hold.id] = Standing(hold, values, line.at, line.by)
            case Released(hold=name) if name in known:
                known[name] = _released(known[name], line, counts=line.by.spki not in gone)
            case _:
                raise Malformed(
                    "this act cannot follow from those before",
                    kind="broken-chain",
                    where=f"line {number + 1}",
                )
    return tuple(known.values())


def _released(stood: Standing, line: Line, *, counts: bool) -> Standing:
    if not counts or line.by.spki in {key.spki for key in stood.released_by}:
        return stood
    by = (*stood.released_by, line.by)
    at = stood.released_at or (line.at if len(by) >= stood.needed else "")
    return replace(stood, released_by=by, released_at=at)


def concerns(scope: Scope, resolved: str | None, job: str, url: str, path: str) -> bool:
    """Say whether a hold is about a target of a job.

    Args:
        scope: of the hold.
        resolved: its place with all links resolved, where it is a local one.
        job: the name of the job.
        url: of the target, absolute.
        path: of the target as its identity has it, with links resolved; "" if it has none.
    """
    if scope.job is not None:
        (held, first), (name, number) = _numbered(scope.job), _numbered(job)
        return name == held and number >= first
    if scope.place is None:
        return True
    return concerns_place(scope.place, resolved, url, path)


def _numbered(job: str) -> tuple[str, int]:
    """Return the name and number of a job in the row of those that go on with one another."""
    found = _NUMBERED.fullmatch(job)
    return (found[1], int(found[2])) if found else (job, 1)


def concerns_place(place: str, resolved: str | None, url: str, path: str) -> bool:
    """Say whether a place is that of a target, lies in it, or has it inside."""
    held = [place, *([resolved] if resolved is not None else [])]
    targets = [url, *([url_of(path)] if path.startswith("/") else [])]
    return any(_overlap(_place(one), _place(other)) for one in held for other in targets)


def url_of(path: str) -> str:
    """Return the URL of an absolute path: a `%` or `#` in the name of a file is part of that name."""
    return f"file://{quote(path, errors='surrogateescape')}"


def is_local(url: str) -> bool:
    """Say whether a URL names a path of this host."""
    return _place(url)[0] == ""


def path_of(url: str) -> str:
    """Return the path of a URL, unquoted and without `.` and `..`."""
    return _place(url)[1]


def _place(url: str) -> tuple[str, str]:
    """Return host and path of a URL; what cannot be parsed lies everywhere on this host."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").casefold()
    except ValueError:
        return "", "/"
    return "" if on_this_host(host) else host, _normal(parts)


def _normal(parts: SplitResult) -> str:
    path = posixpath.normpath("/" + unquote(parts.path, errors="surrogateescape"))
    return "/" + path.lstrip("/")


def _overlap(one: tuple[str, str], other: tuple[str, str]) -> bool:
    if one[0] != other[0]:
        return False
    above, below = sorted((one[1], other[1]), key=len)
    return above in (below, "/") or below.startswith(above + "/")


def held_tables(scope: Scope, target: Target) -> tuple[str, ...]:
    """Return the selected tables that a hold on rows is about, as the target spells them.

    Letters may be large or small, and a schema may stand before the name.
    """
    if scope.table is None:
        return ()
    wanted = _bare(scope.table)
    return tuple(dict.fromkeys(s.table for s in target.select if _bare(s.table) == wanted))


def same_table(one: str, other: str) -> bool:
    """Say whether two names may mean one table."""
    return _bare(one) == _bare(other)


def _bare(table: str) -> str:
    return table.rpartition(".")[2].casefold()
