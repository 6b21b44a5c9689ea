"""How a vector is made: a sound document with one thing changed."""

from collections.abc import Iterator

from deleatur.testing.vectors import vector_text

Made = Iterator[tuple[str, bytes]]


def bad(
    name: str,
    kind: str,
    where: str,
    comment: str,
    document: bytes,
    *,
    plan: str = "",
    compressed: bool = False,
) -> tuple[str, bytes]:
    """Return a vector that must be refused; its decoder is named by the first part of `name`."""
    header = {"decoder": name.partition("/")[0], "expect": "malformed", "kind": kind, "where": where}
    header |= {"plan": plan} if plan else {}
    header |= {"compressed": "zlib"} if compressed or len(document) > 1 << 16 else {}
    return name, vector_text(header | {"comment": comment}, document)


def swap(text: bytes, old: bytes, new: bytes) -> bytes:
    """Replace what stands exactly once in `text`."""
    if text.count(old) != 1:
        raise ValueError(f"{old!r} stands {text.count(old)} times, not once")
    return text.replace(old, new)
