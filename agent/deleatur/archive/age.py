"""Identities and recipients of age (C2SP age v1), by pyrage, imported when a job really archives."""

from typing import Any

from deleatur.documents.job import Custodian
from deleatur.errors import Refused, Unsupported


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
    """Return the custodian's recipient as pyrage takes it.

    Raises:
        Refused: it is no X25519 recipient, or its checksum (Bech32) is wrong.
    """
    try:
        return pyrage().x25519.Recipient.from_str(custodian.recipient)
    except pyrage().RecipientError:
        raise Refused(
            f"custodian {custodian.name}: the recipient is not an age X25519 recipient, or was mistyped; "
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
