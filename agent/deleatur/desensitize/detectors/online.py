"""Find what names a person or a machine on the Internet: e-mail addresses and IP addresses."""

import ipaddress
import re
from collections.abc import Iterator

from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span

_LOCAL = (
    r"[A-Za-z0-9!#$%&'*+/=?^_`{"
    r"|}~.äöüÄÖÜßéèàçñ-]"
)  # RFC 5321 § 4.1.2, and letters of RFC 6531 that name Europeans
_LABEL = r"[A-Za-z0-9äöüÄÖÜß](?:[A-Za-z0-9äöüÄÖÜß-]{0,61}[A-Za-z0-9äöüÄÖÜß])?"
_MAIL = re.compile(rf"{_LOCAL}{{1,64}} ?@ ?{_LABEL}(?:\.{_LABEL}){{1,8}}")
_MAIL_CHINESE = re.compile(r"[\w.+-]{1,64}@[\w-]+\.(?:公司|网络|中国|中文网|[\w]+\.(?:公司|网络|中国))")
_MAIL_SPELT = re.compile(
    rf"[A-Za-z0-9._+-]{{1,64}} ?(?:[(\[{{] ?(?:at|ät|AT|艾特) ?[)\]}}]) ?{_LABEL}(?: ?(?:\."
    rf"|[(\[{{] ?(?:dot|punkt|点|DOT) ?[)\]}}]) ?{_LABEL}){{1,8}}"
)
_USER = re.compile(r"://[^\s/]*$")  # what follows is user and password of an address
_IPV4 = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z])(?!\.[0-9])")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])[0-9A-Fa-f:]{2,39}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?![0-9A-Za-z:])")
_VERSION = re.compile(
    r"(?:(?<![A-Za-z])(?:v|ver\.?|version)|版本号?|固件|build|release|§|section|abschnitt|kapitel"
    r"|chapter) ?[:=]? ?v?$",
    re.IGNORECASE,
)


def find(reading: Reading) -> Iterator[Span]:
    """Yield every candidate in a reading."""
    text = reading.text
    if "@" in text:
        for pattern in (_MAIL, _MAIL_CHINESE):
            for found in pattern.finditer(text):
                if not _USER.search(reading.before(found.start(), 80)):
                    yield Span(found.start(), found.end(), "e-mail", None, 0.95)
    if any(mark in text for mark in "([{"):
        for found in _MAIL_SPELT.finditer(text):
            yield Span(found.start(), found.end(), "e-mail", None, 0.8)
    yield from _addresses(reading)


def _addresses(reading: Reading) -> Iterator[Span]:
    for found in _IPV4.finditer(reading.text):
        octets = [int(part) for part in found[0].split(".")]
        if max(octets) <= 255 and not _VERSION.search(reading.before(found.start(), 12)):
            yield Span(found.start(), found.end(), "ip-address", None, 0.9)
    if ":" not in reading.text:
        return
    for found in _IPV6.finditer(reading.text):
        written = found[0]
        if written.count(":") < 2 or not any(c.isdigit() for c in written):
            continue
        try:
            ipaddress.IPv6Address(written)
        except ValueError:
            continue
        yield Span(found.start(), found.end(), "ip-address", None, 0.9)
