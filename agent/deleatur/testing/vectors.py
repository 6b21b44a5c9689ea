"""Read and write test vectors: one document a file, with a header that says what must come of it.

Anyone who writes a decoder of our documents can run the same files (docs/spec/vectors.md).
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_HEADERS = frozenset(
    {"decoder", "expect", "kind", "where", "comment", "compressed", "plan", "entries", "sound"}
)


@dataclass(frozen=True)
class Vector:
    """One vector: its file name without suffix, its header, and the document's bytes."""

    name: str
    header: Mapping[str, str]
    document: bytes


def read_vector(path: Path) -> Vector:
    """Read one `.vector` file.

    Raises:
        ValueError: the file is not a vector.
    """
    head, blank, body = path.read_bytes().partition(b"\n\n")
    lines = head.decode("utf-8").split("\n")
    header = dict(line.split(": ", 1) for line in lines)
    if not blank or len(header) != len(lines) or not header.keys() <= _HEADERS:
        raise ValueError(f"{path} is not a vector: see docs/spec/vectors.md")
    if header.get("compressed") == "zlib":
        body = zlib.decompress(body)
    return Vector(path.stem, header, body)


def read_vectors(folder: Path) -> Iterator[Vector]:
    """Yield the vectors of a folder in the order of their names."""
    for path in sorted(folder.glob("*.vector")):
        yield read_vector(path)


def vector_text(header: Mapping[str, str], document: bytes) -> bytes:
    """Return the bytes of a `.vector` file."""
    lines = "".join(f"{key}: {value}\n" for key, value in header.items())
    body = zlib.compress(document, 9) if header.get("compressed") == "zlib" else document
    return lines.encode("utf-8") + b"\n" + body
