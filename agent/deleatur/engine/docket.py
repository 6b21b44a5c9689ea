"""Keep the docket: begin it, add a signed line, read it whole and verified.

Rules kept: only whole lines count, and a line counts when it is on disk; a docket that is missing or
broken is an error and never an empty one.
"""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deleatur.documents.codec import MAX_JOB
from deleatur.documents.docket import AnyAct, Begun, Calendar, decode_calendar
from deleatur.documents.plan import PublicKey
from deleatur.engine.chronicle import Clock, instant
from deleatur.engine.lines import DurableLines, alone
from deleatur.engine.reading import decoding, read_plain
from deleatur.errors import Refused
from deleatur.judge.docket import Standing, judged, require_possible
from deleatur.judge.fingerprint import spki_bytes
from deleatur.trust.docket import Docket, read_docket, sign_docket_line
from deleatur.trust.keys import SigningKey

MAX_DOCKET = 64 << 20  # bytes; some fifty thousand acts


@dataclass(frozen=True)
class DocketFile:
    """Where the docket lies, whose lines count in it, and the calendar that its days are counted by."""

    path: Path
    keys: tuple[PublicKey, ...]
    calendar: Path

    def begin(self, key: SigningKey, clock: Clock) -> None:
        """Make the docket, with no matter in it.

        Raises:
            Refused: it has begun already, or the key may not sign in it.
        """
        self._require_known(key)
        if self.path.exists() and b"\n" in self._content():
            raise Refused(f"{self.path} has begun already; open matters in it")
        with closing(DurableLines(self.path)) as lines, self._locked():
            if b"\n" in self._content():
                raise Refused(f"{self.path} has begun already; open matters in it")
            act = Begun(schema="deleatur/docket/v1", id=secrets.token_hex(16))
            lines.cut(0)
            lines.append(sign_docket_line(read_docket(b"", self.keys), act, key, instant(clock)))

    def add(self, act: AnyAct, key: SigningKey, clock: Clock) -> None:
        """Add an act; it counts when this returns.

        Raises:
            Refused: it cannot follow, the key may not sign, or the clock is behind the last line.
            Malformed: the docket is broken.
        """
        self._require_known(key)
        with self._locked():
            docket = self.read()
            at = instant(clock)
            if at < docket.lines[-1].at:
                raise Refused(f"this clock is behind the last line ({docket.lines[-1].at}); set it right")
            require_possible(docket.matters, act, key.public.spki, at)
            line = sign_docket_line(docket, act, key, at)
            with closing(DurableLines(self.path)) as lines:
                lines.cut(docket.sound)
                lines.append(line)

    def read(self) -> Docket:
        """Return the docket, verified.

        Raises:
            Refused: it has not begun, or cannot be read.
            Malformed: it is broken, or signed by a stranger.
        """
        with decoding(self.path.name):
            docket = read_docket(self._content(), self.keys)
        if not docket.lines:
            raise Refused(f"{self.path} is empty; `deleatur docket begin` begins it")
        return docket

    def standings(self, clock: Clock) -> tuple[Standing, ...]:
        """Return every matter with its deadlines as of now.

        Raises:
            Refused, Malformed: as `read`; or the calendar is missing, broken, or does not reach far enough.
        """
        return judged(self.read().matters, self._calendar(), clock())

    def _calendar(self) -> Calendar:
        try:
            content = read_plain(self.calendar, MAX_JOB)
        except FileNotFoundError:
            raise Refused(f"the calendar {self.calendar} is not there; write one") from None
        with decoding(self.calendar.name):
            return decode_calendar(content)

    def _content(self) -> bytes:
        try:
            return read_plain(self.path, MAX_DOCKET)
        except FileNotFoundError:
            raise _missing(self.path) from None

    def _require_known(self, key: SigningKey) -> None:
        if spki_bytes(key.public) not in {spki_bytes(known) for known in self.keys}:
            raise Refused(f"{key.key_id} may not sign in this docket; add its public half to docket.keys")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one writer work at a time."""
        if not self.path.exists():
            raise _missing(self.path)
        with alone(self.path):
            yield


def _missing(path: Path) -> Refused:
    return Refused(f"{path} is not there; `deleatur docket begin` makes it, or restore it")
