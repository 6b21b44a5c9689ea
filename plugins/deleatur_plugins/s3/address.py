"""Where a target of the `s3` backend is: what its URL may say. Pure.

Rules kept: a URL names no user and no key; it leads to one place only, whoever reads it.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from deleatur.api import Refused, on_this_host

OPTIONS = "DELEATUR_S3_OPTIONS"  # environment: an option file with a [client] group
_SHAPE = (
    "write the URL as s3://BUCKET/PREFIX/?endpoint=https://HOST&region=REGION&scratch=BUCKET; "
    "a prefix ends with /, and what is not needed is left out"
)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)


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
