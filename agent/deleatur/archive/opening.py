"""Decrypt a sealed archive as a stream: look into it, or seal it anew; nothing plain touches a disk.

The plain bytes go through a pipe inside the process, a block at a time. pyrage loses exceptions that its
writer raises, so none is raised into it.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from deleatur.archive.age import identity_of, pyrage
from deleatur.archive.bag import check_bag
from deleatur.errors import Failed, Refused

CHALLENGE = "challenge.txt"  # a tag file of the bag: 64 hex digits that only who decrypts can know
_BLOCK = 1 << 20  # bytes


class Look(NamedTuple):
    """What only who can open an archive knows of it."""

    contents: str  # SHA-256 (hex) of the plain tar
    challenge: bytes


class Plain(io.RawIOBase):
    """The decrypted bytes, digested as they are read."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "rb")
        self.digest = hashlib.sha256()
        self.size = 0  # bytes

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, and nothing at the end."""
        block = self._file.read(size)
        self.digest.update(block)
        self.size += len(block)
        return block

    def close(self) -> None:
        """Let go of the pipe; whoever still writes into it writes to nobody."""
        self._file.close()
        super().close()


class _Pipe:
    """A file for pyrage to write decrypted bytes to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._closed = False

    def write(self, block: bytes) -> int:
        """Pass a block on; once the reader has gone, drop it."""
        rest = memoryview(block)
        while rest and not self._closed:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BrokenPipeError:
                self._closed = True
        return len(block)

    def flush(self) -> None:
        """There is nothing to flush."""


@contextmanager
def unsealed(path: Path, identity: Any) -> Iterator[Plain]:
    """Give the decrypted bytes of an archive to read; `identity` is one of pyrage.

    Whatever was read counts only when this has ended without an error: age tells a file that was cut
    short by its last block.

    Raises:
        Refused: the identity does not open it, or it was changed or cut short.
    """
    reading, writing = os.pipe()
    failed: list[str] = []

    def decrypt() -> None:
        try:
            with path.open("rb") as file:
                pyrage().decrypt_io(file, _Pipe(writing), [identity])
        except pyrage().DecryptError:
            failed.append("another identity is needed, or it was changed or cut short")
        except OSError as error:
            failed.append(error.strerror or "it was changed or cut short")
        finally:
            os.close(writing)

    thread = Thread(target=decrypt, name="unseal")
    thread.start()
    plain = Plain(reading)
    try:
        yield plain
    finally:
        plain.close()
        thread.join()
        if failed:
            raise Refused(f"archive {path.name} does not open: {failed[0]}") from None


def drain(plain: Plain) -> str:
    """Read what is left and return the SHA-256 (hex) of everything that was read."""
    while plain.read(_BLOCK):
        continue
    return plain.digest.hexdigest()


def look_inside(path: Path, identity: str) -> Look:
    """Decrypt the whole archive, check both manifests, and return what proves that it was opened.

    Raises:
        Refused: the identity does not open it, or it was changed or cut short.
        Failed: what is inside does not follow docs/spec/archive.md.
    """
    with unsealed(path, identity_of(identity)) as plain:
        tags = check_bag(plain)
        contents = drain(plain)
    try:
        challenge = bytes.fromhex(tags[CHALLENGE].decode("ascii"))
    except (KeyError, ValueError):
        raise Failed(f"archive {path.name}: has no {CHALLENGE}, so no receipt can be made of it") from None
    return Look(contents, challenge)
