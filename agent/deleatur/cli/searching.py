"""What `export` and `draft` share: whose records, by which columns, and what a person must decide.

Rule kept: identifiers come from a file or are typed; they stand in no argument and no message.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deleatur.cli.output import note, prompt
from deleatur.errors import Refused

if TYPE_CHECKING:
    from deleatur.documents.datamap import DataMap
    from deleatur.engine.opening import Registry
    from deleatur.engine.subjects import Aside, Found

_new = click.Path(path_type=Path, dir_okay=False)
_known = click.Path(path_type=Path, dir_okay=False, exists=True)
_OPTIONS = (
    click.option("--of", "of", type=_known, help="The person's identifiers, a line each (default: ask)."),
    click.option(
        "--link",
        "links",
        multiple=True,
        metavar="COLUMN=COLUMN",
        help="A column that points to another one, as erp/bookings.order_no=crm/orders.id.",
    ),
    click.option(
        "--apart",
        multiple=True,
        metavar="COLUMN",
        help="A column that is about somebody else, as crm/orders.clerk_id.",
    ),
    click.option("--undecided", type=_new, help="Where to write the records that a person must decide on."),
    click.option("--decided", type=_known, help="That file again, filled in."),
)


def subject_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say whose records are meant."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def search(
    datamap: "DataMap",
    registry: "Registry",
    *,
    of: Path | None,
    links: Sequence[str],
    apart: Sequence[str],
    undecided: Path | None,
    decided: Path | None,
) -> "Found":
    """Return the records of one person.

    Raises:
        Refused: nothing was found, or a person must decide first.
    """
    from deleatur.documents.codec import read_limited
    from deleatur.engine.deciding import read_decided, write_undecided
    from deleatur.engine.subjects import Search, find_subject
    from deleatur.judge.identifiers import MOST, read_identifiers

    given = read_identifiers(read_limited(of, MOST) if of else _typed())
    known = read_decided(decided) if decided else {}
    found = find_subject(Search(datamap, given, links_of(links), apart, known), registry, _tell)
    for aside, count in _counted(found.others):
        note(f"not theirs: {aside}: {count}")
    if found.undecided:
        if undecided:
            write_undecided(undecided, found.undecided)
            note(
                f"written, in clear: {undecided}; fill in `theirs` or `not theirs`, then give it as --decided"
            )
        raise Refused(_explain(found.undecided))
    if not found.parts:
        raise Refused("no store holds a record of this person; check the identifiers, one a line")
    return found


def _explain(undecided: "Sequence[Aside]") -> str:
    listed = "; ".join(f"{count} in {where}" for where, count in _counted(undecided)[:5])
    return (
        f"{len(undecided)} records may be theirs or somebody else's: {listed}; give more identifiers, or a "
        "person-name or date-of-birth, or decide each (--undecided FILE)"
    )


def _counted(asides: "Sequence[Aside]") -> list[tuple[str, int]]:
    return Counter(f"{a.place}/{a.table.name} ({a.reason})" for a in asides).most_common()


def links_of(given: Sequence[str]) -> dict[str, str]:
    """Return the columns that point, and where to.

    Raises:
        Refused: a link is not written as COLUMN=COLUMN.
    """
    pairs = [link.partition("=")[::2] for link in given]
    if any(not here or not there for here, there in pairs):
        raise Refused("write a link as place/table.column=place/table.column")
    return dict(pairs)


def _typed() -> bytes:
    prompt("Identifiers of the person, a line each as `type: value`; an empty line ends:\n")
    lines: list[str] = []
    while line := sys.stdin.readline(4096).strip():
        lines.append(line)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _tell(place: str, records: int) -> None:
    if not records % 1_000_000:
        note(f"{place}: {records} records")
