"""Keyed digests: the only form in which anything derived from data may be written down.

A plain hash of a phone number is a phone number: 10^9 candidates are hashed in under an hour.
The key is made for one job and destroyed when the job ends.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from deleatur.documents.place import Step
from deleatur.errors import Failed
from deleatur.sanitize.keystream import Keystream

_WORD = 32  # bytes
_SUMS = 1 << 8 * _WORD


def digest_key(secrets: Mapping[str, bytes]) -> bytes:
    """Return the job's digest key. Raises Failed when the backend was opened without it."""
    key = secrets.get("digest-key", b"")
    if len(key) != _WORD:
        raise Failed("the backend was opened without the job's digest key of 32 bytes")
    return key


def shredding(step: Step, key: bytes) -> Keystream:
    """Return what a step overwrites files with; as nothing is compared with it, the step may name none."""
    return Keystream(step.pattern.key if step.pattern else keyed_digest(key, b"shred", step.id.encode()))


def keyed_digest(key: bytes, *parts: bytes) -> str:
    """Return HMAC-SHA-256 (hex) over the length-prefixed parts."""
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        mac.update(len(part).to_bytes(8, "big") + part)
    return mac.hexdigest()


def keyed_digest_of_set(key: bytes, items: Iterable[bytes]) -> str:
    """Return a keyed digest that does not depend on the order of `items`; how often each comes counts.

    One keyed digest an item (BLAKE2b, RFC 7693), added modulo 2^256, and HMAC over count and sum: memory
    is the same for one item and for a billion. Without the key nobody can choose items for a sum (Clarke
    et al. 2003, "Incremental Multiset Hash Functions", MSet-Add-Hash); the sum itself is never shown.
    """
    keyed = hashlib.blake2b(key=hashlib.sha256(key).digest(), digest_size=_WORD, person=b"deleatur set")
    total = count = 0
    for item in items:
        one = keyed.copy()
        one.update(item)
        total += int.from_bytes(one.digest(), "big")
        count += 1
    return keyed_digest(key, b"set", count.to_bytes(8, "big"), (total % _SUMS).to_bytes(_WORD, "big"))
