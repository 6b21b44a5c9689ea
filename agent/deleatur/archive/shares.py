"""One age identity in the hands of several: shares of SLIP-39 as words, of which k together open.

Rules: the identity exists in memory only, while it is made or joined; fewer shares than needed say
nothing about it; a mistyped word is refused by its share's checksum, never taken for another key.
"""

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from deleatur.archive.age import identity_text, recipient_text
from deleatur.errors import Refused, Unsupported

MOST = 16  # shares: SLIP-39 gives a member's index four bits
_SIZE = 32  # bytes of an X25519 identity


class Shared(NamedTuple):
    """A recipient whose identity nobody has alone."""

    recipient: str
    shares: tuple[str, ...]  # 33 words each, one for each holder


def new_shares(needed: int, of: int) -> Shared:
    """Make an identity and return its recipient and its shares; the identity itself is forgotten.

    Raises:
        Refused: one share alone would open, or there are more than 16.
        Unsupported: shamir-mnemonic or pyrage is not installed.
    """
    if not 2 <= needed <= of <= MOST:
        raise Refused(f"{needed} of {of} shares: 2 to {MOST} people are needed, and no more than there are")
    secret = secrets.token_bytes(_SIZE)
    shares = _slip39().generate_mnemonics(1, [(needed, of)], secret)[0]
    recipient = recipient_text(identity_text(secret))
    made = Shared(recipient, tuple(shares))
    if recipient_text(join_shares(made.shares[-needed:])) != recipient:
        raise Refused("the shares that were made do not join again; check the machine")
    return made


def join_shares(shares: Sequence[str]) -> str:
    """Return the identity (a secret) that the shares are of.

    Raises:
        Refused: a word is wrong, a share is missing, stands twice or is of another identity.
        Unsupported: shamir-mnemonic is not installed.
    """
    slip39 = _slip39()
    for number, share in enumerate(shares, 1):
        try:
            slip39.Share.from_mnemonic(" ".join(share.lower().split()))
        except slip39.MnemonicError:
            raise Refused(f"share {number} is not as it was written down: compare its words") from None
    try:
        secret = slip39.combine_mnemonics([" ".join(share.lower().split()) for share in shares])
    except slip39.MnemonicError:
        raise Refused(
            f"{len(shares)} shares do not open: too few or too many, the same twice, or of another identity"
        ) from None
    if len(secret) != _SIZE:
        raise Refused("the shares are of something else than an age identity")
    return identity_text(secret)


def _slip39() -> Any:
    try:
        import shamir_mnemonic as module
    except ImportError:
        raise Unsupported("shares need shamir-mnemonic: install deleatur[archive]") from None
    return module
