"""The near end of the conversation: ask, connect again when the line breaks, and believe nothing.

Rule: before anything is asked on a connection, the code at its other end must be the same as here.
"""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, TypeVar

from deleatur import errors
from deleatur.documents import errand
from deleatur.documents.codec import encode_json
from deleatur.engine.remote.serving import software
from deleatur.errors import DeleaturError, Failed, Malformed, Refused, Transient

WAITS: Sequence[float] = (1, 2, 4, 8, 16, *[30] * 20)  # seconds between tries: some ten minutes
_LONGEST = 1000  # characters of another host's text that are shown
_KINDS = ("Failed", "Refused", "Gone", "Unsupported", "Transient", "Residue", "Invalid", "Interrupted")
A = TypeVar("A", bound=errand.Answer)


class Disconnected(Transient):
    """The connection broke, or there was none; what was begun there goes on."""


class Line(Protocol):
    """One open connection to a far end."""

    def exchange(self, question: bytes) -> bytes:
        """Send one line and return the line that answers it; raise Disconnected if the connection breaks."""

    def close(self) -> None:
        """Hang up."""


class Far:
    """A far end that may be asked, over one connection after another."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], Line],
        told: Callable[[str], None],
        waits: Sequence[float] = WAITS,
    ) -> None:
        self.name = name
        self._connect = connect
        self._told = told
        self._waits = waits
        self._line: Line | None = None

    def __enter__(self) -> "Far":
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def look(self) -> errand.Standing:
        """Ask how far the job is."""
        return self._ask(errand.Look(), errand.Standing)

    def give(self, name: str, content: bytes) -> errand.Standing:
        """Hand over a document."""
        return self._ask(errand.Give(name=name, content=content), errand.Standing)

    def start(self, work: errand.Work, number: str, passphrase: bytes) -> errand.Standing:
        """Begin work."""
        return self._ask(errand.Start(work=work, number=number, passphrase=passphrase), errand.Standing)

    def piece(self, name: str, offset: int) -> errand.Piece:
        """Fetch a piece of a document."""
        return self._ask(errand.Fetch(name=name, offset=offset), errand.Piece)

    def whole(self, name: str, limit: int) -> bytes:
        """Fetch a document of at most `limit` bytes.

        Raises:
            Failed: it is longer, or ended before its own length.
        """
        content = bytearray()
        while True:
            piece = self.piece(name, len(content))
            content += piece.content
            if piece.size > limit or len(content) > piece.size:
                raise Failed(f"{self.name} gives more of {name} than it can hold; it is not taken")
            if len(content) == piece.size:
                return bytes(content)
            if not piece.content:
                raise Failed(
                    f"{self.name} gives {len(content)} of {piece.size} bytes of {name}; it is not taken"
                )

    def _ask(self, question: errand.AnyQuestion, kind: type[A]) -> A:
        while True:
            try:
                return self._exchange(question, kind)
            except Disconnected as lost:
                self._open_again(lost)

    def _exchange(self, question: errand.AnyQuestion, kind: type[A]) -> A:
        if self._line is None:
            raise Disconnected(f"no connection to {self.name}")
        try:
            answer = errand.decode_answer(self._line.exchange(encode_json(question)))
        except Malformed:
            raise Refused(f"{self.name} answers what no deleatur of this version says; look at it") from None
        if isinstance(answer, errand.Objection):
            raise error_of(self.name, answer.error, answer.text)
        if not isinstance(answer, kind):
            raise Refused(f"{self.name} answers another question than was asked; look at it")
        return answer

    def _open(self) -> None:
        """Connect and ask which code is there.

        Raises:
            Refused: another than here.
        """
        self._line = self._connect()
        try:
            there = self._exchange(errand.Hello(), errand.Welcome)
            here = software()
            if there.version != here.version:
                raise Refused(
                    f"deleatur on {self.name} is {there.version[:40]!r}, here it is {here.version!r}; "
                    "install the same there"
                )
            if there.digests != here.digests:
                raise Refused(f"deleatur on {self.name} has other files than here; install the same there")
        except DeleaturError:
            self._close()
            raise

    def _open_again(self, lost: Disconnected) -> None:
        self._close()
        for wait in self._waits:
            self._told(f"{lost}; the work there goes on; trying again in {wait:g} s")
            time.sleep(wait)
            try:
                self._open()
            except Disconnected as error:
                lost = error
            else:
                self._told(f"connected to {self.name} again")
                return
        raise Transient(f"{lost}; what was begun on {self.name} goes on: `deleatur remote follow` later")

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def error_of(host: str, name: str, text: str) -> DeleaturError:
    """Return the error that ended something on another host, with its exit code."""
    shown = f"on {host}: {text[:_LONGEST]}"
    if name == "Malformed":
        what, _, where = shown.removesuffix(")").rpartition(" (at ")
        return Malformed(what or shown, kind="on-another-host", where=where if what else "$")
    error: DeleaturError = getattr(errors, name)(shown) if name in _KINDS else Failed(shown)
    return error
