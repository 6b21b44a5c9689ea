"""Know files that belong to a table with a log of its own, which must not be written anew one by one.

Rule kept: a table's log keeps bounds of columns and values of partitions, and says how long each file is:
rows taken out of a file leave their values in the log, and readers with a broken table.
"""

from collections.abc import Iterable, Iterator

from deleatur_plugins.s3.connecting import Session
from deleatur_plugins.s3.listing import listed

_LOGS = (  # format, folder of the log beside the data, how one name in it ends
    ("Delta Lake", "_delta_log/", ""),  # Delta Transaction Log Protocol, "Delta Log Entries"
    ("Apache Hudi", ".hoodie/", ""),  # Hudi technical specification, "Storage Layout"
    ("Apache Iceberg", "metadata/", ".metadata.json"),  # Iceberg table specification, "File System Tables"
)


def formats_of(session: Session, keys: Iterable[str]) -> Iterator[str]:
    """Yield the formats of the tables that any of these objects lies in, by the logs above them."""
    roots = {root for key in keys for root in _above(key)}
    for name, log, end in _LOGS:
        if any(_has(session, f"{root}{log}", end) for root in sorted(roots)):
            yield name


def _above(key: str) -> Iterator[str]:
    """Yield every folder that a key lies in, but those that name a partition: these are no table's root."""
    parts = key.split("/")[:-1]
    for count in range(len(parts) + 1):
        if not (count and "=" in parts[count - 1]):
            yield "".join(f"{part}/" for part in parts[:count])


def _has(session: Session, prefix: str, end: str) -> bool:
    """Say whether anything lies there, old versions and markers included."""
    return any(entry.key.endswith(end) for entry in listed(session, prefix))
