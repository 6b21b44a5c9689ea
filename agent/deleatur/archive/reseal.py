"""Seal an archive anew for other recipients: decrypted and encrypted in one stream, nothing plain stored."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from deleatur.archive.age import identity_of, recipient_in
from deleatur.archive.opening import unsealed
from deleatur.archive.seal import Sealed, seal

_BLOCK = 1 << 20  # bytes


def reseal(archive: Path, identity: str, recipients: Sequence[str], out: Path) -> Sealed:
    """Open `archive` and put it at `out`, sealed for `recipients` only; its contents stay byte by byte.

    Raises:
        Refused: the identity does not open it, it was changed or cut short, or a recipient is none.
        Failed: the disk is full, or what was read back is not what was written.
    """
    to = [recipient_in(text) for text in recipients]
    return seal(_plain(archive, identity), out, to)


def _plain(archive: Path, identity: str) -> Iterator[bytes]:
    with unsealed(archive, identity_of(identity)) as plain:
        while block := plain.read(_BLOCK):
            yield block
