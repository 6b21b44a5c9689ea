"""Talk to an S3 server: where it is, who we are there, and its errors in our words.

Rules kept: no credential in a URL, a document or a message; the server's own messages quote keys, so
only their codes are passed on; an answer of another kind than was asked for is no answer; no setting
of the environment leads the job to another server than its URL names.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from deleatur.api import (
    Failed,
    Refused,
    Transient,
    Unsupported,
    client_options,
    on_this_host,
    tls_failure,
)

OPTIONS = "DELEATUR_S3_OPTIONS"  # environment: an option file with a [client] group
WORKERS = 8  # requests at a time; more gain nothing in one process
_CONNECT, _PATIENCE = 10, 60  # seconds
_ATTEMPTS = 8  # of one request, slower each time when the server says that it is busy
_SHAPE = (
    "write the URL as s3://BUCKET/PREFIX/?endpoint=https://HOST&region=REGION&scratch=BUCKET; "
    "a prefix ends with /, and what is not needed is left out"
)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}", re.ASCII)
_ROOT = re.compile(rb"<(?:[A-Za-z0-9]+:)?([A-Za-z]+)[\s>/]")
_ROOTS = {  # of the document that answers each question; another one is another question's answer
    "DeleteObjects": b"DeleteResult",
    "GetBucketAcl": b"AccessControlPolicy",
    "GetBucketEncryption": b"ServerSideEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": b"LifecycleConfiguration",
    "GetBucketLocation": b"LocationConstraint",
    "GetBucketLogging": b"BucketLoggingStatus",
    "GetBucketReplication": b"ReplicationConfiguration",
    "GetBucketVersioning": b"VersioningConfiguration",
    "GetObjectLegalHold": b"LegalHold",
    "GetObjectLockConfiguration": b"ObjectLockConfiguration",
    "GetObjectRetention": b"Retention",
    "ListBucketInventoryConfigurations": b"ListInventoryConfigurationsResult",
    "ListBuckets": b"ListAllMyBucketsResult",
    "ListMultipartUploads": b"ListMultipartUploadsResult",
    "ListObjectVersions": b"ListVersionsResult",
    "ListParts": b"ListPartsResult",
}
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "AccessDeniedException", "Forbidden", "403"})
_WHO = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
)
_BUSY = frozenset(
    {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "TooManyRequests", "Throttling",
     "ThrottlingException", "RequestLimitExceeded", "OperationAborted", "429", "500", "502", "503", "504"}
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a target is."""

    bucket: str
    prefix: str  # "" for the whole bucket, else it ends with "/"
    endpoint: str  # "" for Amazon's own
    region: str  # "" for the one that the surroundings name
    scratch: str  # bucket in which the server is tried; "": none was named

    @property
    def server(self) -> str:
        """The name of the server in an identity."""
        return self.endpoint or "amazonaws.com"


def address_of(url: str) -> Address:
    """Read `s3://BUCKET/PREFIX/?endpoint=…&region=…&scratch=…`.

    Raises:
        Refused: the URL says more, or less, or would send keys over a network in clear.
    """
    parts = _split(url)
    if "@" in parts.netloc:
        raise Refused(f"the URL names a user; put keys into the file that {OPTIONS} names")
    said = parse_qsl(parts.query, keep_blank_values=True)
    asked = dict(said)
    prefix = unquote(parts.path).removeprefix("/")
    scratch, region = asked.get("scratch", ""), asked.get("region", "")
    shaped = (
        _BUCKET.fullmatch(parts.netloc)
        and not parts.fragment
        and (not prefix or prefix.endswith("/"))
        and asked.keys() <= {"endpoint", "region", "scratch"}
        and len(asked) == len(said)
        and all(asked.values())
        and _BUCKET.fullmatch(scratch or parts.netloc)
        and _REGION.fullmatch(region or "none")
    )
    if not shaped:
        raise Refused(_SHAPE)
    endpoint = asked.get("endpoint", "")
    if endpoint:
        _check_endpoint(endpoint)
    return Address(bucket=parts.netloc, prefix=prefix, endpoint=endpoint, region=region, scratch=scratch)


def _split(url: str) -> SplitResult:
    """Take a URL apart as it stands; Python would leave out tabs and line ends, and so name another place."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # asked for here, so that a port that is no number is refused, too
    except ValueError:
        raise Refused(_SHAPE) from None
    if any(char in url for char in "\t\r\n"):
        raise Refused(_SHAPE)
    return parts


def _check_endpoint(endpoint: str) -> None:
    parts = _split(endpoint)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path
        or parts.query
        or "@" in parts.netloc
    ):
        raise Refused(_SHAPE)
    if parts.scheme == "http" and not on_this_host(parts.hostname):
        raise Refused("the server is on another host: write https, for no key leaves a host in clear")


class Denied(Refused):
    """The server does not let this user ask; `question` is the name of the call."""

    def __init__(self, question: str) -> None:
        super().__init__(f"access denied to {question}; see docs/howto/erase-from-s3.md for the rights")
        self.question = question


class NoAnswer(Failed):
    """The server said something, but not what was asked for; `code` is its word for it."""

    def __init__(self, question: str, code: str) -> None:
        super().__init__(f"{question}: {code}; the server's text is not passed on, as it may quote keys")
        self.question = question
        self.code = code


class _OtherKind(Exception):
    """An answer of another kind."""


class Session:
    """One client; every question is asked by name, and answered with what the server says."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client = _client(address)
        self._by_md5 = False
        events = self._client.meta.events
        events.register("before-parse.s3", _check_kind)
        events.register("before-call.s3.DeleteObjects", self._checksum)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def use_md5(self) -> None:
        """Send the digest of a batch as Content-MD5, for servers that know no other."""
        self._by_md5 = True

    @property
    def region(self) -> str:
        """The region in which is asked."""
        return str(self._client.meta.region_name)

    def ask(self, question: str, **said: Any) -> dict[str, Any]:
        """Ask a question of the target's bucket, or of the `Bucket` that is said.

        Raises:
            Denied, Transient, Refused: as the server says.
            NoAnswer: anything else; its `code` may be one that the caller knows.
        """
        return self.ask_server(question, **{"Bucket": self.address.bucket, **said})

    def ask_server(self, question: str, **said: Any) -> dict[str, Any]:
        """Ask a question that is of no bucket. Raises: as `ask`."""
        from botocore import exceptions as errors
        from botocore.parsers import ResponseParserError

        method = getattr(self._client, _snake(question))
        try:
            answer: dict[str, Any] = method(**said)
        except errors.ClientError as error:
            raise _translated(question, _code(error)) from None
        except _OtherKind:
            raise NoAnswer(question, "AnswersSomethingElse") from None
        except errors.NoCredentialsError:
            raise Refused(f"there are no credentials; name an option file in {OPTIONS}") from None
        except errors.SSLError as error:
            why = (
                tls_failure(error.__cause__ or error.__context__) or "the server's certificate is not trusted"
            )
            raise Refused(f"{question}: TLS fails: {why}") from None
        except (errors.HTTPClientError, errors.ConnectionError) as error:
            raise Transient(f"{question}: not reachable ({type(error).__name__}); try again") from None
        except (errors.BotoCoreError, ResponseParserError, ValueError) as error:  # whose texts may quote keys
            raise NoAnswer(question, type(error).__name__) from None
        return answer

    def _checksum(self, params: dict[str, Any], **_: Any) -> None:
        """Put Content-MD5 in place of the checksum that the client chose, where the server wants that."""
        if not self._by_md5:
            return
        import base64
        import hashlib

        headers = params["headers"]
        for name in [n for n in headers if n.lower().startswith(("x-amz-checksum", "x-amz-sdk-checksum"))]:
            del headers[name]
        digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
        headers["Content-MD5"] = base64.b64encode(digest).decode()


def _check_kind(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Look whether a document answers what was asked: many servers answer a question that they do not
    know as if only its bucket had been named.
    """
    wanted, body = _ROOTS.get(operation_model.name), response_dict.get("body")
    if wanted is None or response_dict["status_code"] >= 300 or not isinstance(body, bytes):
        return
    found = _ROOT.search(body)
    if found is None or found.group(1) != wanted:
        raise _OtherKind


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _code(error: Any) -> str:
    """Return the server's word for an error, or the number of its status."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    return code if _CODE.fullmatch(code) else status or "unknown"


def _translated(question: str, code: str) -> Exception:
    if code in _DENIED:
        return Denied(question)
    if code in _WHO:
        return Refused(
            f"{question}: the server does not take these credentials ({code}); renew them and resume"
        )
    if code == "NoSuchBucket":
        # no Gone: what became of its versions nobody says, and the name may be somebody else's tomorrow
        return Refused("the bucket is not there, and nobody says what became of it; find out, and plan again")
    if code == "RequestTimeTooSkewed":
        return Refused(f"{question}: the clock of this host is wrong; set it and resume")
    if is_busy(code):
        return Transient(f"{question}: the server is busy ({code}); try again")
    return NoAnswer(question, code)


def is_busy(code: str) -> bool:
    """Say whether a code means that the same may go well later."""
    return code in _BUSY


def is_denial(code: str) -> bool:
    """Say whether a code means that this user may not."""
    return code in _DENIED


def _client(address: Address) -> Any:
    """Make a client that goes where the URL says, and nowhere else."""
    try:
        import boto3
        import botocore.session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise Unsupported("s3: targets need boto3: install deleatur[s3]") from None
    given = _options()
    keys = {
        "aws_access_key_id": given.get("access-key"),
        "aws_secret_access_key": given.get("secret-key"),
        "aws_session_token": given.get("session-token"),
    }
    config = Config(
        connect_timeout=_CONNECT,
        read_timeout=_PATIENCE,
        max_pool_connections=WORKERS,
        retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
        ignore_configured_endpoint_urls=True,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4",
        proxies=_proxies(address),
        s3={"addressing_style": "path" if address.endpoint else "auto"},
    )
    region = address.region or ("us-east-1" if address.endpoint else None)
    try:
        below = botocore.session.Session(profile=given.get("profile"))
        below.register_component("data_loader", _models())
        session = boto3.session.Session(botocore_session=below, region_name=region, **keys)
        return session.client("s3", endpoint_url=address.endpoint or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise Refused(f"no client can be made ({type(error).__name__}); look at {OPTIONS}") from None


def _proxies(address: Address) -> dict[str, str] | None:
    """Return no proxies for a server on this host, whatever the environment names; None: as it says."""
    host = urlsplit(address.endpoint).hostname
    return {} if host and on_this_host(host) else None


@cache
def _models() -> Any:
    """Return the descriptions of the interface, which are the same for every client and slow to read."""
    from botocore.loaders import create_loader

    return create_loader()


def _options() -> dict[str, str]:
    """Read the option file that the environment names.

    Raises:
        Refused: as `client_options`; or it says something else.
    """
    found = client_options(OPTIONS)
    where = f"the option file that {OPTIONS} names"
    keys = {"access-key", "secret-key"}
    if not all(found.values()):  # an empty one would let the surroundings say who we are
        raise Refused(f"{where} has a name without a value")
    if found and found.keys() != {"profile"} and not keys <= found.keys() <= keys | {"session-token"}:
        raise Refused(f"{where} names either profile, or access-key and secret-key (and session-token)")
    return found
