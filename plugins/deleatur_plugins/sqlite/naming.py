"""Write rows as bytes, and name a row in documents: by its number, or by its primary key where it has none.

Rules kept: a row is encoded in one way, with the bytes of each text contiguous; a key may be somebody's
e-mail, so it is handed out encrypted, the same one always alike.
"""

import base64
import hashlib
import marshal
from collections.abc import Iterable
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from deleatur.api import Failed
from deleatur_plugins.sqlite.connecting import Text
from deleatur_plugins.sqlite.schema import Table

_LETTERS: dict[type, bytes] = {type(None): b"n", Text: b"t", bytes: b"b", int: b"i", float: b"r"}
_PLAIN = 2  # the form of marshal without references between values: the same row, the same bytes


def encoded(row: tuple[Any, ...]) -> bytes:
    """Encode a row in the one way: a letter for each type, then each value with its length before it."""
    return _letters(tuple(map(type, row))) + marshal.dumps(row, _PLAIN)


@cache
def _letters(types: tuple[type, ...]) -> bytes:
    """Return the types of a row: a TEXT and a BLOB of the same bytes are not the same row."""
    return b"".join(_LETTERS[one] for one in types)


def seal(key: bytes, table: Table, row: Iterable[Any]) -> str:
    """Encrypt a primary key, the same one always alike (AES-SIV, RFC 5297)."""
    return base64.urlsafe_b64encode(_siv(key).encrypt(encoded(tuple(row)), _bound(table))).decode()


def values_of(key: bytes, table: Table, name: str) -> tuple[Any, ...]:
    """Return the number or the primary key that a name stands for.

    Raises:
        Failed: the name is none of this job's.
    """
    try:
        if table.rowid:
            return (int(name),)
        content = _siv(key).decrypt(base64.urlsafe_b64decode(name), _bound(table))
    except (InvalidTag, ValueError):
        raise Failed("the place is none of this backend's") from None
    count = len(table.key)
    kinds, values = content[:count], marshal.loads(content[count:])  # noqa: S302 - decrypted with our key
    return tuple(Text(v) if k == ord("t") else v for k, v in zip(kinds, values, strict=True))


def _bound(table: Table) -> list[bytes]:
    return [table.name.encode("utf-8", "surrogateescape")]


def _siv(key: bytes) -> AESSIV:
    return AESSIV(hashlib.blake2b(b"primary keys", key=key).digest())
