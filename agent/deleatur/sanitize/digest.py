"""Keyed digests: the only form in which anything derived from data may be written down.

A plain hash of a phone number is a phone number: 10^9 candidates are hashed in under an hour.
The key is made for one job and destroyed when the job ends.
"""

import hashlib
import hmac
from collections.abc import Iterable


def keyed_digest(key: bytes, *parts: bytes) -> str:
    """Return HMAC-SHA-256 (hex) over the length-prefixed parts."""
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        mac.update(len(part).to_bytes(8, "big") + part)
    return mac.hexdigest()


def keyed_digest_of_set(key: bytes, items: Iterable[bytes]) -> str:
    """Return a keyed digest that does not depend on the order of `items`.

    The digests are sorted, so memory is 32 bytes an item.
    """
    digests = sorted(hmac.digest(key, item, "sha256") for item in items)
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for digest in digests:
        mac.update(digest)
    return mac.hexdigest()
