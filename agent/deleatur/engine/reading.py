"""Read the files that a job rests on: plain files only, through no link, and never without a limit.

Whoever can write into the job's directory must not be able to make the agent hang on a pipe, read
another file in place of a document, or fill the memory.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from deleatur.documents.codec import MAX_LINE
from deleatur.errors import Malformed, Refused

MAX_JOURNAL = 4 << 30  # bytes; ten million cursors
_CHUNK = 1 << 20  # bytes


def read_plain(path: Path, limit: int) -> bytes:
    """Return the content of a plain file of at most `limit` bytes.

    Raises:
        FileNotFoundError: it is not there.
        Refused: it is a link, a pipe, a device or a directory.
        Malformed: it is larger than `limit`.
    """
    with opened(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise _too_large(path, limit)
        content = bytearray()
        while len(content) <= limit and (part := file.read(_CHUNK)):
            content += part
    if len(content) > limit:
        raise _too_large(path, limit)
    return bytes(content)


def read_journal(path: Path) -> bytes:
    """Return a journal, giving up at the first line that is longer than any entry may be.

    Raises:
        FileNotFoundError: it is not there.
        Refused: it is a link, a pipe, a device or a directory.
        Malformed: it, or a line of it, is too large; no crash leaves so much behind.
    """
    parts: list[bytes] = []
    unbroken = total = 0
    with opened(path) as file:
        while part := file.read(_CHUNK):
            unbroken = len(part) - part.rfind(b"\n") - 1 + (unbroken if b"\n" not in part else 0)
            total += len(part)
            if total > MAX_JOURNAL:
                raise _too_large(path, MAX_JOURNAL)
            if unbroken > MAX_LINE:
                raise Malformed(
                    f"{path.name} has a line of more than {MAX_LINE} bytes",
                    kind="broken-chain",
                    where=f"byte {total - unbroken}",
                )
            parts.append(part)
    return b"".join(parts)


@contextmanager
def decoding(document: str) -> Iterator[None]:
    """Name the document in the error of whatever is decoded inside.

    Raises:
        Malformed: as it was raised inside, with the document's name before it.
    """
    try:
        yield
    except Malformed as error:
        raise Malformed(f"{document}: {error.what}", kind=error.kind, where=error.where) from None


@contextmanager
def opened(path: Path) -> Iterator[IO[Any]]:
    """Open a plain file for unbuffered reading, through no link.

    Raises:
        FileNotFoundError: it is not there.
        Refused: it is a link, a pipe, a device or a directory.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):
            raise _not_plain(path) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _not_plain(path)
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _not_plain(path: Path) -> Refused:
    return Refused(f"{path} is a link or another thing than a plain file; look and remove it")


def _too_large(path: Path, limit: int) -> Malformed:
    return Malformed(f"{path.name} is larger than {limit} bytes", kind="too-large")
