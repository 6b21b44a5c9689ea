"""Talk to an S3 server: who we are there, at which pace we ask, and its errors in our words.

Rules kept: no credential in a document or a message; the server's own messages quote keys, so
only their codes are passed on; an answer of another kind than was asked for is no answer; no setting
of the environment leads the job to another server than its URL names.
"""

import base64
import hashlib
import re
import threading
import time
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from deleatur.api import (
    Failed,
    Refused,
    Transient,
    Unsupported,
    client_options,
    on_this_host,
    tls_failure,
)
from deleatur_plugins.s3.address import OPTIONS, Address
from deleatur_plugins.s3.answers import CutOff, Document, NotTaken, Row, TooSlow, taken
from deleatur_plugins.s3.pacing import Pace

WORKERS = 8  # requests at a time; more gain nothing in one process
_CONNECT, _PATIENCE = 10, 60  # seconds
_ATTEMPTS = 8  # of one request
_FIRST_WAIT = 0.2  # seconds before the second attempt; before each further one twice as long
_LEAST_KEYS, _LEAST_QUESTIONS = 100.0, 5.0  # a second: slower than that no refusal makes us
_PAGE, _SMALLER = 1000, 250  # versions in a request; the first is the most that the interface allows
_NAMES = "http://s3.amazonaws.com/doc/2006-03-01/"
# Read here: botocore takes ten times as long for an entry, and reads each page twice.
_PAGES = frozenset({"DeleteObjects", "ListObjectVersions"})
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}", re.ASCII)
_ROOT = re.compile(rb"<(?:[A-Za-z0-9]+:)?([A-Za-z]+)[\s>/]")
_PLACEHOLDER = {"Objects": [{"Key": "-"}]}  # of a batch; what is sent in its place we write ourselves
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
    "GetObjectTagging": b"Tagging",
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
UPLOAD_ENDED = frozenset({"NoSuchUpload", "NoSuchKey"})  # the second is the word of Ceph's gateway
_BUSY = frozenset(
    {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "TooManyRequests", "Throttling",
     "ThrottlingException", "RequestLimitExceeded", "OperationAborted", "429", "500", "502", "503", "504"}
)  # fmt: skip


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


class Session:
    """One client; every question is asked by name, and answered with what the server says."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client = _client(address)
        self._by_md5 = False
        self._batch = threading.local()
        self._keys, self._questions = Pace(_LEAST_KEYS), Pace(_LEAST_QUESTIONS)
        events = self._client.meta.events
        events.register("before-send.s3", self._send)
        events.register("before-call.s3.DeleteObjects", self._put_batch)

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

    @property
    def batch_size(self) -> int:
        """How many versions go into one request: what may go in a twentieth of a second, within bounds."""
        return max(_SMALLER, min(_PAGE, int(self._keys.rate / 20)))

    def ask(self, question: str, **said: Any) -> dict[str, Any]:
        """Ask a question of the target's bucket, or of the `Bucket` that is said.

        Raises:
            Denied, Transient, Refused: as the server says.
            NoAnswer: anything else; its `code` may be one that the caller knows.
        """
        return self.ask_server(question, **{"Bucket": self.address.bucket, **said})

    def ask_server(self, question: str, **said: Any) -> dict[str, Any]:
        """Ask a question that is of no bucket. Raises: as `ask`."""
        return self._again(question, said, self._questions, 1)

    def delete_batch(self, bucket: str, names: Sequence[tuple[str, str]], **how: bool) -> list[Row]:
        """Ask for the deletion of versions by key and id; return what the server says. Raises: as `ask`."""
        self._batch.body = batch_of(names)
        said = {"Bucket": bucket, "Delete": _PLACEHOLDER, **how}
        rows: list[Row] = self._again("DeleteObjects", said, self._keys, len(names))["rows"]
        if any(kind == "Error" and is_busy(told.get("Code", "")) for kind, told in rows):
            self._keys.refused(self._batch.sent)
        return rows

    def _again(self, question: str, said: dict[str, Any], pace: Pace, cost: int) -> dict[str, Any]:
        """Ask until there is an answer, at the pace that the server takes."""
        for attempt in range(_ATTEMPTS):
            self._batch.sent = sent = pace.take(cost)
            try:
                return self._asked(question, said)
            except _Later as error:
                if error.busy:
                    pace.refused(sent)
                if attempt == _ATTEMPTS - 1:
                    raise error.reason from None
            time.sleep(_FIRST_WAIT * 2**attempt)
        raise AssertionError("unreachable")

    def _asked(self, question: str, said: dict[str, Any]) -> dict[str, Any]:
        from botocore import exceptions as errors
        from botocore.parsers import ResponseParserError

        method = getattr(self._client, _snake(question))
        try:
            self._batch.page = {}
            if "Body" in said and not isinstance(said["Body"], bytes):
                said["Body"].seek(0)  # an earlier attempt may have read it
            answer: dict[str, Any] = {**method(**said), **self._batch.page}
        except errors.ClientError as error:
            code = _code(error)
            told = _translated(question, code)
            raise _Later(told, busy=True) if is_busy(code) else told from None
        except TooSlow:
            raise Transient(f"{question}: the answer does not end in time; try again") from None
        except CutOff:
            raise _Later(Transient(f"{question}: the answer was cut off; try again")) from None
        except NotTaken as error:
            raise NoAnswer(question, error.code) from None
        except errors.NoCredentialsError:
            raise Refused(f"there are no credentials; name an option file in {OPTIONS}") from None
        except errors.SSLError as error:
            why = (
                tls_failure(error.__cause__ or error.__context__) or "the server's certificate is not trusted"
            )
            raise Refused(f"{question}: TLS fails: {why}") from None
        except (errors.HTTPClientError, errors.ConnectionError) as error:
            words = f"{question}: not reachable ({type(error).__name__}); try again"
            raise _Later(Transient(words)) from None
        except (errors.BotoCoreError, ResponseParserError, ValueError) as error:  # whose texts may quote keys
            raise NoAnswer(question, type(error).__name__) from None
        return answer

    def _send(self, request: Any, event_name: str, **_: Any) -> Any:
        """Send in botocore's place, which would take in whatever comes; read pages of entries here.

        Raises:
            NotTaken: the answer is not what was asked for, or cannot be taken in.
        """
        response = taken(self._client._endpoint.http_session.send, request)
        question = event_name.rpartition(".")[2]
        wanted = _ROOTS.get(question)
        if wanted is None or response.status_code >= 300:
            return response
        found = _ROOT.search(response.content)
        root = found.group(1) if found else b""
        if root not in (wanted, b"Error"):  # botocore takes an error with a good status for what it is
            raise NotTaken("AnswersSomethingElse")
        if question in _PAGES and root == wanted:
            document = Document(response.content, _PAGE)
            if document.root.encode() != wanted:
                raise NotTaken("AnswersSomethingElse")
            self._batch.page = {"said": document.said, "rows": document.rows}
            response._content = b"<%s/>" % wanted  # nothing is left for botocore
        return response

    def _put_batch(self, params: dict[str, Any], **_: Any) -> None:
        """Put our own list into a request, and Content-MD5 in place of the client's checksum where wanted."""
        params["body"] = self._batch.body
        if not self._by_md5:
            return
        headers = params["headers"]
        for name in [n for n in headers if n.lower().startswith(("x-amz-checksum", "x-amz-sdk-checksum"))]:
            del headers[name]
        digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
        headers["Content-MD5"] = base64.b64encode(digest).decode()


class _Later(Exception):
    """The same may go well later; `reason` is what to say if it never does."""

    def __init__(self, reason: Exception, *, busy: bool = False) -> None:
        super().__init__()
        self.reason = reason
        self.busy = busy


def batch_of(names: Sequence[tuple[str, str]]) -> bytes:
    """Return the document that asks for the deletion of these versions."""
    objects = "".join(
        f"<Object><Key>{escape(key)}</Key><VersionId>{escape(id_)}</VersionId></Object>" for key, id_ in names
    )
    return f'<Delete xmlns="{_NAMES}">{objects}<Quiet>false</Quiet></Delete>'.encode()


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
        retries={"mode": "standard", "total_max_attempts": 1},  # we ask again ourselves, at our own pace
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
