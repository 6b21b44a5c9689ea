"""Foreign keys as a graph: in which order tables lose their rows.

Pure. Names are whatever the caller uses for a table, compared letter by letter; the same graph gives
the same order on every run, so that a plan and its resumed erase agree.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

OnDelete = Literal["no-action", "restrict", "cascade", "set-null", "set-default"]


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """Rows of `table` refer by `columns` to the `referred` columns of rows of `refers_to`."""

    name: str
    table: str
    columns: tuple[str, ...]
    refers_to: str
    referred: tuple[str, ...]
    on_delete: OnDelete = "no-action"
    nullable: bool = False  # one of `columns` may be NULL, so that the reference can be taken away first
    deferrable: bool = False  # the store can check it at the end of the transaction


@dataclass(frozen=True)
class Stage:
    """Tables whose rows can go once those of the stages before are gone."""

    tables: tuple[str, ...]  # one; several if they refer to each other in a circle
    within: tuple[ForeignKey, ...]  # keys from the stage into itself: between two tables, or in one

    @property
    def circular(self) -> bool:
        """Say whether no order of single tables would do: several refer to each other in a circle."""
        return len(self.tables) > 1


def deletion_order(tables: Collection[str], keys: Sequence[ForeignKey]) -> tuple[Stage, ...]:
    """Return `tables` in stages: who refers comes before who is referred to.

    Keys from or to other tables decide nothing here: what they forbid, rows must be asked for.
    """
    wanted = frozenset(tables)
    inside = [key for key in keys if {key.table, key.refers_to} <= wanted]
    referring: dict[str, list[str]] = {table: [] for table in sorted(tables)}
    for key in sorted(inside, key=lambda key: (key.refers_to, key.table)):
        referring[key.refers_to].append(key.table)
    return tuple(
        Stage(
            tables=tuple(sorted(circle)),
            within=tuple(k for k in inside if k.table in circle and k.refers_to in circle),
        )
        for circle in _circles(referring)
    )


def _circles(graph: Mapping[str, Sequence[str]]) -> Iterator[frozenset[str]]:
    """Yield the strongly connected components, each after all those that it leads to.

    R. Tarjan, Depth-first search and linear graph algorithms, SIAM J. Comput. 1(2), 1972; without
    recursion, as a schema may be deeper than the interpreter's stack.
    """
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: dict[str, None] = {}
    for root in graph:
        path = [(root, iter(graph[root]))] if root not in number else []
        if path:
            number[root] = lowest[root] = len(number)
            open_[root] = None
        while path:
            node, ahead = path[-1]
            following = next(ahead, None)
            if following is None:
                path.pop()
                if path:
                    before = path[-1][0]
                    lowest[before] = min(lowest[before], lowest[node])
                if lowest[node] == number[node]:
                    yield _closed(node, open_)
            elif following not in number:
                number[following] = lowest[following] = len(number)
                open_[following] = None
                path.append((following, iter(graph[following])))
            elif following in open_:
                lowest[node] = min(lowest[node], number[following])


def _closed(node: str, open_: dict[str, None]) -> frozenset[str]:
    """Take one component from the end of the open nodes, back to its first node."""
    circle = set()
    while node not in circle:
        circle.add(open_.popitem()[0])
    return frozenset(circle)
