"""Identities and recipients of age (C2SP age v1), by pyrage, imported when a job really archives."""

from typing import Any

from deleatur.documents.job import Custodian
from deleatur.errors import Refused, Unsupported

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"  # BIP 173


def pyrage() -> Any:
    """Return the module `pyrage`.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        import pyrage as module
    except ImportError:
        raise Unsupported("archives need pyrage: install deleatur[archive]") from None
    return module


def new_identity() -> tuple[str, str]:
    """Make an X25519 identity; return it (a secret, for the custodian alone) and its recipient."""
    identity = pyrage().x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def recipient_of(custodian: Custodian) -> Any:
    """Return a custodian's recipient as pyrage takes it.

    Raises:
        Refused: it is no X25519 recipient, or its checksum (Bech32) is wrong.
    """
    try:
        return recipient_in(custodian.recipient)
    except Refused as error:
        raise Refused(f"custodian {custodian.name}: {error}") from None


def recipient_in(text: str) -> Any:
    """Return a recipient as pyrage takes it.

    Raises:
        Refused: it is no X25519 recipient, or its checksum (Bech32) is wrong.
    """
    try:
        return pyrage().x25519.Recipient.from_str(text)
    except pyrage().RecipientError:
        raise Refused(
            "the recipient is not an age X25519 recipient, or was mistyped; "
            "copy the age1… line that `age-keygen -y` prints"
        ) from None


def identity_of(text: str) -> Any:
    """Return an identity as pyrage takes it, also from a key file with comments.

    Raises:
        Refused: there is no X25519 identity in the text.
    """
    lines = [line.strip() for line in text.splitlines()]
    found = next((line for line in lines if line.startswith("AGE-SECRET-KEY-1")), "")
    try:
        return pyrage().x25519.Identity.from_str(found)
    except pyrage().IdentityError:
        raise Refused("this is no age X25519 identity; give the file that holds AGE-SECRET-KEY-1…") from None


def recipient_text(identity: str) -> str:
    """Return the recipient (`age1…`) of an identity.

    Raises:
        Refused: there is no X25519 identity in the text.
    """
    return str(identity_of(identity).to_public())


def identity_text(secret: bytes) -> str:
    """Return the identity (`AGE-SECRET-KEY-1…`) of 32 bytes: Bech32 in capitals (C2SP age v1)."""
    return bech32("age-secret-key-", secret).upper()


def bech32(prefix: str, content: bytes) -> str:
    """Encode bytes as BIP 173 says, without its limit of 90 characters, as age does."""
    count = -(-len(content) * 8 // 5)
    number = int.from_bytes(content, "big") << count * 5 - len(content) * 8
    digits = [number >> 5 * (count - 1 - n) & 31 for n in range(count)]
    head = [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix)]
    check = _polymod([*head, *digits, 0, 0, 0, 0, 0, 0]) ^ 1
    digits += [check >> 5 * (5 - n) & 31 for n in range(6)]
    return f"{prefix}1{''.join(_BECH32[digit] for digit in digits)}"


def _polymod(digits: list[int]) -> int:
    """Return the checksum of BIP 173, a BCH code over GF(32)."""
    check = 1
    for digit in digits:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ digit
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check
