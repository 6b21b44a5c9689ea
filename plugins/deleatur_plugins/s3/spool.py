"""Keep a long list of entries on the disk, in a file without a name and under a key without a copy.

Rules kept: names of objects may name people, so that nothing of them is written in clear, and nothing is
left when the process ends; memory is the same for a thousand entries and for a billion.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Self

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from deleatur_plugins.s3.listing import Entry

_TOGETHER = 1000  # entries under one nonce
_LENGTH = 8  # bytes
_DECODER = msgspec.msgpack.Decoder(list[Entry])


class Spool:
    """Entries in the order in which they were added."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="deleatur-")  # noqa: SIM115 - closed with the spool
        self._cipher = ChaCha20Poly1305(ChaCha20Poly1305.generate_key())
        self._last: list[Entry] = []
        self._written = 0  # groups; each one's number is its nonce, as the key is of this spool only
        self._end = 0  # bytes
        self._count = 0

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        """Return a spool of these entries."""
        spool = cls()
        for entry in entries:
            spool.add(entry)
        return spool

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def add(self, entry: Entry) -> None:
        """Put one entry at the end."""
        self._last.append(entry)
        self._count += 1
        if len(self._last) == _TOGETHER:
            sealed = self._cipher.encrypt(_nonce(self._written), msgspec.msgpack.encode(self._last), None)
            written = len(sealed).to_bytes(_LENGTH, "big") + sealed
            os.pwrite(self._file.fileno(), written, self._end)
            self._end += len(written)
            self._written += 1
            self._last = []

    def __iter__(self) -> Iterator[Entry]:
        place = 0
        for number in range(self._written):
            size = int.from_bytes(os.pread(self._file.fileno(), _LENGTH, place), "big")
            sealed = os.pread(self._file.fileno(), size, place + _LENGTH)
            yield from _DECODER.decode(self._cipher.decrypt(_nonce(number), sealed, None))
            place += _LENGTH + size
        yield from self._last


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
