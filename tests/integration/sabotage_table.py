"""The sabotage table: each way to cheat, when, on which backend, and what must come of it.

`test_sabotage.py` plays every cell; docs/explanation/sabotage.md shows the same table.
"""

from collections.abc import Iterator

from .sabotage_cheats import Cheat, Ends
from .sabotage_devices import DEVICE
from .sabotage_inside import AGREED, JOURNAL, KEPT
from .sabotage_outside import ARCHIVE, PLUGIN, STORAGE, TARGET

TABLE: dict[str, tuple[Cheat, ...]] = {
    "The plugin lies": PLUGIN,
    "The storage is played with": STORAGE,
    "Another block device is read": DEVICE,
    "The target is swapped": TARGET,
    "The archive is cheated": ARCHIVE,
    "What was agreed is changed": AGREED,
    "What the job keeps is changed": KEPT,
    "The journal is changed or forged": JOURNAL,
}


def cells() -> Iterator[tuple[Cheat, str, Ends]]:
    """Yield every cell: a cheat, a backend, and how it must end."""
    for cheats in TABLE.values():
        for cheat in cheats:
            for backend, ends in cheat.ends.items():
                yield cheat, backend, ends
