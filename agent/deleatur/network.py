"""The way to a server: whether it leaves this host, and how it is encrypted if it does."""

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from deleatur.errors import Refused

if TYPE_CHECKING:
    import ssl

_OWN_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")


def on_this_host(host: str) -> bool:
    """Say whether a name or an address leads back to this host, whoever asks (RFC 6890 §2.2)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".") in _OWN_NAMES


def server_named(parts: SplitResult, port: int, options: str) -> tuple[str, int]:
    """Return the host that a URL names, "" for none, and its port or else `port`.

    Raises:
        Refused: it names a user, which belongs into the file that the variable `options` names, or a port
            that is no number.
    """
    if "@" in parts.netloc:
        raise Refused(f"the URL names a user; put user and password into the file that {options} names")
    try:
        return parts.hostname or "", parts.port or port
    except ValueError:
        raise Refused("the URL has a port that is no number") from None


def tls_context(authority: Path | None = None) -> "ssl.SSLContext":
    """Return what asks for TLS 1.2 or later and for a certificate with the server's name (RFC 9325 §3.1.1).

    The authorities are those of the system, or of the file that OpenSSL's SSL_CERT_FILE names, and
    `authority`.

    Raises:
        OSError: `authority` cannot be read, or holds no certificate.
    """
    import ssl

    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authority is not None:
        context.load_verify_locations(authority)
    return context


def tls_failure(error: BaseException | None) -> str:
    """Return in a few words why TLS failed, "" when `error` is nothing of TLS."""
    import ssl

    if not isinstance(error, ssl.SSLError):
        return ""
    return getattr(error, "verify_message", "") or getattr(error, "reason", "") or "no common version"
