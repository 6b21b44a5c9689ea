"""Take a server's answers in: bounded in bytes and in time, and read without building what they describe.

Rules kept: an answer that is too large, too slow, cut off, or that declares names of its own is no answer
and is named; of an answer no more is held than its bound; what is not a page of entries is left to botocore.
"""

import re
import time
from collections.abc import Callable
from typing import Any
from xml.parsers import expat

MOST = 16 << 20  # bytes of one answer; a page of 1,000 keys of 1,024 bytes, each encoded, has some 4 MiB
EXCERPT = 4096  # bytes read of one object: what the core keeps of a sampled place
DEADLINE = 120.0  # seconds from the question to the last byte of its answer
_PIECE = 1 << 16  # bytes
_ELEMENTS = 32  # of one entry; a version of Amazon S3 has thirteen
_DEEP = 8  # elements inside one another; a listing has four
_RANGE = re.compile(rb"bytes=([0-9]{1,18})-([0-9]{1,18})")
_DECLARES = (b"\0", b"<!DOCTYPE", b"<!ENTITY")  # no answer of the interface needs these

Row = tuple[str, dict[str, str]]  # of an entry, the name of its element and what stands in it


class NotTaken(Exception):
    """An answer that is not taken in; `code` is our word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CutOff(NotTaken):
    """The connection ended before the answer did; another time it may be whole."""


class TooSlow(NotTaken):
    """The answer did not end in time."""


def taken(send: Callable[[Any], Any], request: Any) -> Any:
    """Send a request of botocore's; return its response with the content bounded.

    Of an object those bytes are taken that were asked for, or else its first ones, and the rest is not
    waited for.

    Raises:
        NotTaken: the answer is too large, too slow, cut off, or declares names of its own.
    """
    until = time.monotonic() + DEADLINE
    excerpt, request.stream_output = request.stream_output, True
    response = send(request)
    whole = False
    try:
        of_object = excerpt and response.status_code < 300
        wanted = min(_asked_for(request), MOST) if of_object else MOST + 1
        content = _bounded(response.raw, wanted, until)
        announced = response.headers.get("content-length") if request.method != "HEAD" else None
        enough = of_object and len(content) >= wanted
        if announced and announced.isdigit() and not enough and len(content) < min(int(announced), MOST):
            raise CutOff("AnswerCutOff")
        whole = not enough
    finally:
        if not whole:
            response.raw.close()
    if not of_object:
        _check(content)
    response._content = content
    response.raw = _Kept(content)
    return response


def _asked_for(request: Any) -> int:
    """Return how many bytes of an object a request names."""
    named = request.headers.get("Range", b"")
    found = _RANGE.fullmatch(named if isinstance(named, bytes) else str(named).encode())
    return int(found.group(2)) - int(found.group(1)) + 1 if found else EXCERPT


def _bounded(raw: Any, most: int, until: float) -> bytes:
    parts: list[bytes] = []
    while most > 0 and (part := raw.read1(min(most, _PIECE), decode_content=False)):
        parts.append(part)
        most -= len(part)
        if time.monotonic() > until:
            raise TooSlow("AnswerTooSlow")
    return b"".join(parts)


def _check(content: bytes) -> None:
    if len(content) > MOST:
        raise NotTaken("AnswerTooLarge")
    if any(word in content for word in _DECLARES):
        raise NotTaken("AnswerDeclaresNames")


class _Kept:
    """Content that was taken in, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def read(self, amt: int | None = None) -> bytes:
        """Return the next bytes."""
        size = len(self._left) if amt is None else amt
        part, self._left = self._left[:size], self._left[size:]
        return part

    def close(self) -> None:
        """Forget what is left."""
        self._left = b""


class Document:
    """One page of entries: `root` is its name, `said` what it says of itself, `rows` its entries."""

    def __init__(self, body: bytes, most: int) -> None:
        """Read it.

        Raises:
            NotTaken: it is no document, or has more in it than `most` entries could need.
        """
        self.root = ""
        self.said: dict[str, str] = {}
        self.rows: list[Row] = []
        self._row: dict[str, str] = {}
        self._left = _ELEMENTS * (most + 1)
        self._depth = 0
        self._texts: list[str] = []
        parser = expat.ParserCreate("utf-8")  # whatever the document says of itself
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._texts.append
        try:
            parser.Parse(body, True)
        except expat.ExpatError:
            raise NotTaken("AnswerNotReadable") from None

    def _begin(self, name: str, _: dict[str, str]) -> None:
        self._depth += 1
        self._left -= 1
        if self._left < 0 or self._depth > _DEEP:
            raise NotTaken("AnswerTooLarge")
        self._texts.clear()
        if self._depth == 2:
            self._row = {}
        elif self._depth == 1:
            self.root = name.rpartition(":")[2]

    def _end(self, name: str) -> None:
        depth, self._depth = self._depth, self._depth - 1
        if depth == 3:
            self._row[name.rpartition(":")[2]] = "".join(self._texts)
        elif depth == 2:
            plain = name.rpartition(":")[2]
            if self._row:
                self.rows.append((plain, self._row))
            else:
                self.said[plain] = "".join(self._texts)
