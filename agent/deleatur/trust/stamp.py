"""Time stamps of others (RFC 3161) over a certificate's envelope: asked for, and verified offline.

Rules: a stamp lies beside the certificate and changes nothing in it; the authority is believed because
of the root certificate that the verifier names, never because of one that came with the stamp; the
authority's certificates are judged at the time of the stamp, since they end long before a certificate does.
"""

import hashlib
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from cryptography import x509

from deleatur.errors import Invalid, Malformed, Unsupported

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

MAX_STAMP = 1 << 20  # bytes; one with a chain of three certificates has under 10 kB
MAX_ROOTS = 1 << 20  # bytes of a file of root certificates
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")  # RFC 5754 §2.2


@dataclass(frozen=True)
class Stamp:
    """A stamp that verifies: these bytes were there at that time, says that authority."""

    at: str  # RFC 3339 in UTC, of the authority's clock
    unix: int  # the same in seconds since 1970
    serial: str  # hex, the authority's number of the stamp
    sha256: str  # hex, of what was stamped


def stamp_query(envelope: bytes) -> bytes:
    """Return the query (`application/timestamp-query`) for a stamp over an envelope.

    Without a nonce: an older stamp over the same digest is no worse, and the same envelope asks the same.

    Raises:
        Unsupported: rfc3161-client is not installed.
    """
    client = _client()
    builder = client.TimestampRequestBuilder(hash_algorithm=client.base.HashAlgorithm.SHA256)
    query: bytes = (
        builder.nonce(nonce=False).cert_request(cert_request=True).data(envelope).build().as_bytes()
    )
    return query


def verify_stamp(response: bytes, envelope: bytes, roots: bytes) -> Stamp:
    """Verify an authority's response over an envelope and return the stamp in it.

    Args:
        response: `application/timestamp-reply`, as the authority gave it.
        envelope: the bytes of the certificate's envelope.
        roots: root certificates (PEM) that the verifier trusts.

    Raises:
        Invalid: it is no stamp, over other bytes, altered, or by none of the trusted authorities as they
            were valid at its time.
        Malformed: the root certificates cannot be read.
        Unsupported: rfc3161-client is not installed.
    """
    client = _client()
    try:
        found = client.decode_timestamp_response(response)
        about = found.tst_info.message_imprint
        if about.hash_algorithm != _SHA256:
            raise Invalid("the stamp is over another digest than SHA-256; ask for one over SHA-256")
        if about.message != hashlib.sha256(envelope).digest():
            raise Invalid("the stamp is over other bytes than this certificate's envelope")
        _require_trusted(client, found, envelope, _roots(roots))
        at = found.tst_info.gen_time
        serial = f"{found.tst_info.serial_number:x}"
    except ValueError:
        raise Invalid("not a time stamp response, or one that was refused: ask the authority again") from None
    return Stamp(f"{at:%Y-%m-%dT%H:%M:%SZ}", int(at.timestamp()), serial, about.message.hex())


def _require_trusted(
    client: ModuleType, found: "TimeStampResponse", envelope: bytes, roots: list[x509.Certificate]
) -> None:
    builder = client.VerifierBuilder()
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify_message(found, envelope)
    except client.VerificationError:
        raise Invalid(
            "the stamp was altered, or under the roots that you named its authority has no certificate for "
            "stamps that was valid at its time"
        ) from None


def _roots(content: bytes) -> list[x509.Certificate]:
    try:
        return list(dict.fromkeys(x509.load_pem_x509_certificates(content)))
    except ValueError:
        raise Malformed("no certificates in PEM", kind="bad-value", where="the authority's roots") from None


def _client() -> ModuleType:
    try:
        import rfc3161_client
    except ImportError:
        raise Unsupported("time stamps need rfc3161-client: install deleatur[stamps]") from None
    return rfc3161_client
