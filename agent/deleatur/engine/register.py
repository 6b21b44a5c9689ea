"""Keep the hold register: begin it, add a signed line, read it whole and verified.

Rules kept: only whole lines count, and a line counts when it is on disk; a register that is
missing, torn in its middle, or signed by a stranger counts as a hold on everything.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deleatur.documents.hold import AnyAct, Begun, Hold, Placed, Released, values_files
from deleatur.documents.plan import PublicKey
from deleatur.engine.chronicle import Clock, instant
from deleatur.engine.directory import sync_directory, write_all
from deleatur.engine.lines import DurableLines, alone
from deleatur.engine.reading import decoding, read_plain
from deleatur.errors import Malformed, Refused
from deleatur.judge.fingerprint import spki_bytes
from deleatur.judge.holds import Standing
from deleatur.judge.selecting import listed_values
from deleatur.sanitize.digest import keyed_digest
from deleatur.trust.keys import SigningKey
from deleatur.trust.register import Register, read_register, sign_line

MAX_REGISTER = 64 << 20  # bytes; some fifty thousand acts
MAX_VALUES = 256 << 20  # bytes of one values file, as of a job's
_KEY_SIZE = 32  # bytes


@dataclass(frozen=True)
class HoldRegister:
    """Where the register lies, and whose lines count in it."""

    path: Path
    keys: tuple[PublicKey, ...]
    former: tuple[PublicKey, ...] = ()

    @property
    def key_file(self) -> Path:
        """Where the key of the values files' digests lies."""
        return self.path.with_name(f"{self.path.name}.key")

    def begin(self, key: SigningKey, clock: Clock) -> None:
        """Make the register, with nothing on hold; one that was cut short is finished.

        The key is written last. Where it lies and the register does not, or is empty, a register was
        lost with all its holds, and none begins in its place.

        Raises:
            Refused: it has begun already or was lost, or the key may not sign in it.
        """
        self._require_known(key)
        if self.key_file.exists():
            self._chained(self.content())
            raise Refused(f"{self.path} has begun already; place holds in it")
        with self._appending() as lines, alone(self.path):
            register = read_register(self.content(), self.keys, self.former)
            if len(register.lines) > 1:
                raise _counts_as_hold(f"{self.key_file.name} is missing or damaged (restore it)")
            if not register.lines:
                act = Begun(schema="deleatur/holds/v1", id=secrets.token_hex(16))
                lines.cut(register.sound)
                lines.append(sign_line(register, act, key, instant(clock)))
            if not self.key_file.exists():
                _write_new(self.key_file, secrets.token_bytes(_KEY_SIZE))

    def place(self, hold: Hold, key: SigningKey, clock: Clock) -> Standing:
        """Add a hold; it counts when this returns.

        Raises:
            Refused: a hold of this id was placed before, a values file is missing or would hold nobody,
                or the key may not sign in this register.
        """
        values = self._values_digest(hold)
        for name in values_files(hold.scope):
            _require_values(name, read_plain(self.path.parent / name, MAX_VALUES))
        register = self._act(Placed(hold=hold, values=values), key, clock)
        return next(s for s in register.holds if s.hold.id == hold.id)

    def release(self, name: str, reason: str, key: SigningKey, clock: Clock) -> Standing:
        """Add a key's release of a hold; one of two keys needs a second release.

        Raises:
            Refused: there is no such hold, it is released, or the key may not sign or has done so.
        """
        register = self._act(Released(hold=name, reason=reason), key, clock)
        return next(s for s in register.holds if s.hold.id == name)

    def read(self) -> Register:
        """Return the register, verified, with every values file that an open hold rests on.

        Raises:
            Refused: it is missing, broken, or signed by a stranger, or a values file is missing or
                changed: each counts as a hold on everything.
        """
        return self.verified(self.content())

    def content(self) -> bytes:
        """Return the bytes of the register.

        Raises:
            Refused: they cannot be had.
        """
        try:
            return read_plain(self.path, MAX_REGISTER)
        except FileNotFoundError:
            raise _counts_as_hold(f"the hold register {self.path} is missing (restore it)") from None
        except Malformed as error:
            raise _counts_as_hold(f"the hold register cannot be read: {error}") from None
        except OSError as error:
            raise _counts_as_hold(f"the hold register cannot be read: {error.strerror}") from None

    def verified(self, content: bytes) -> Register:
        """Return the register that these bytes are; each values file must be what it was.

        Raises:
            Refused: as `read` does.
        """
        register = self._chained(content)
        for stood in register.open:
            if self._values_digest(stood.hold) != stood.values:
                raise _counts_as_hold(f"a values file of the hold {stood.hold.id} is not what it was")
        return register

    def _chained(self, content: bytes) -> Register:
        try:
            with decoding(self.path.name):
                register = read_register(content, self.keys, self.former)
        except Malformed as error:
            raise _counts_as_hold(f"the hold register does not hold together: {error}") from None
        if not register.lines:
            raise _counts_as_hold(f"the hold register {self.path} is empty")
        return register

    def _act(self, act: AnyAct, key: SigningKey, clock: Clock) -> Register:
        self._require_known(key)
        with self._locked():
            register = self._chained(self.content())
            _require_possible(register, act, key)
            self._append(register, sign_line(register, act, key, instant(clock)))
            return self._chained(self.content())

    def _require_known(self, key: SigningKey) -> None:
        if spki_bytes(key.public) not in {spki_bytes(known) for known in self.keys}:
            raise Refused(f"{key.key_id} may not sign in this register; add its public half to holds.keys")

    def _values_digest(self, hold: Hold) -> str:
        names = values_files(hold.scope)
        if not names:
            return ""
        parts: list[bytes] = []
        for name in names:
            try:
                parts += [name.encode(), read_plain(self.path.parent / name, MAX_VALUES)]
            except FileNotFoundError:
                raise _counts_as_hold(f"a values file of the hold {hold.id} is missing") from None
        return keyed_digest(self._key(), *parts)

    def _key(self) -> bytes:
        try:
            key = read_plain(self.key_file, _KEY_SIZE)
        except FileNotFoundError:
            key = b""
        if len(key) != _KEY_SIZE:
            raise _counts_as_hold(f"{self.key_file.name} is missing or damaged")
        return key

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one writer work at a time, in a register that has begun."""
        if not self.key_file.exists():
            raise Refused(f"{self.path} has not begun; `deleatur hold begin` makes it")
        with alone(self.key_file):
            yield

    def _append(self, register: Register, line: bytes) -> None:
        with self._appending() as lines:
            lines.cut(register.sound)
            lines.append(line)

    def _appending(self) -> closing[DurableLines]:
        return closing(DurableLines(self.path))


def _require_possible(register: Register, act: AnyAct, key: SigningKey) -> None:
    known = {s.hold.id: s for s in register.holds}
    match act:
        case Placed(hold=hold) if hold.id in known:
            raise Refused(f"a hold called {hold.id} stands in the register; give the new one another id")
        case Released(hold=name) if name not in known:
            raise Refused(f"no hold is called {name}; see `deleatur hold list`")
        case Released(hold=name) if not known[name].open:
            raise Refused(f"the hold {name} is released already")
        case Released(hold=name) if key.public.spki in {k.spki for k in known[name].released_by}:
            raise Refused(f"{key.key_id} has released {name} already; another key must release it too")


def _require_values(name: str, content: bytes) -> None:
    """See that each line of a values file can be met: what nobody sees in it would hold nobody.

    Raises:
        Refused: there is no line, or one with white space around it or a mark that is not shown.
    """
    lines = [*listed_values({f"values:{name}": content}, name)]
    if not lines:
        raise Refused(f"{name[:80]!r} has no line, so nobody would be on hold; write one value a line")
    for number, line in enumerate(lines, 1):
        if line != line.strip() or not line.isprintable():
            raise Refused(
                f"line {number} of {name[:80]!r} has white space around it or a mark that is not shown, "
                "and would hold nobody; write the value alone"
            )


def _write_new(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)


def _counts_as_hold(what: str) -> Refused:
    return Refused(f"{what}, which counts as a hold on everything")
