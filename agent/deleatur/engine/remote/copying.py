"""Copy the agent that runs here to another host, or remove the copy: no code comes from anywhere else.

Rules: what is copied is what is installed here, each file as its distribution lists it; it is sent only to
a Python for which it was compiled; it counts there when its digest was compared there.
"""

import hashlib
import re
import shlex
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from inspect import getsource
from io import BytesIO
from pathlib import Path
from typing import IO, Protocol

import msgspec

from deleatur.documents.host import Host
from deleatur.engine.remote import bootstrap
from deleatur.errors import Refused

_OWN = ("deleatur", "deleatur_plugins")  # packages of our distribution, which may be an editable one
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_BLOCK = 1 << 20  # bytes
_LIBRARY = "lib"
_LAUNCHER = """#!{python} -I
import sys
sys.path.insert(0, {library!r})
from deleatur.cli import main
main()
"""


class Answer(msgspec.Struct, frozen=True):
    """What the other host says; other keys are of no interest here."""

    fault: str
    kind: dict[str, str] = {}
    there: str = ""


class Talk(Protocol):
    """One command that runs on another host."""

    def exchange(self, question: bytes) -> bytes:
        """Send something and return the line that answers it."""

    def send(self, part: bytes) -> None:
        """Send something that nothing answers yet."""

    def close(self) -> None:
        """Hang up."""


def command(host: Host, work: str) -> str:
    """Return the command line that has the other host's Python take or remove a copy.

    Raises:
        Refused: host.toml names no Python there, or a program that is no copy.
    """
    if host.python is None:
        raise Refused("host.toml names no `python`; with it the agent is copied to the folder of `program`")
    return " ".join([host.python, "-I", "-c", shlex.quote(getsource(bootstrap)), work, str(_folder(host))])


def _folder(host: Host) -> Path:
    return Path(host.program).parent


def copy_agent(host: Host, talk: Talk, extras: Sequence[str]) -> bool:
    """Copy the agent that runs here; return False if that very copy is there already.

    Raises:
        Refused: another Python or another kind of machine there, or a folder that others could change.
    """
    answer = _answer(host, talk.exchange(b""))
    if answer.kind != bootstrap.kind():
        there, here = (" ".join(kind.values()) for kind in (answer.kind, bootstrap.kind()))
        raise Refused(
            f"{host.address} has {there[:80]}, and the agent here is compiled for {here}; install it there"
        )
    with tempfile.TemporaryFile() as packed:
        _pack(host, packed, extras)
        size = packed.tell()
        packed.seek(0)
        digest = hashlib.file_digest(packed, "sha256").hexdigest()
        if answer.there == digest:
            return False
        talk.send(msgspec.json.encode({"size": size, "sha256": digest}) + b"\n")
        packed.seek(0)
        while block := packed.read(_BLOCK):
            talk.send(block)
        _answer(host, talk.exchange(b""))
    return True


def remove_agent(host: Host, talk: Talk) -> None:
    """Remove the copy that is there.

    Raises:
        Refused: what is there is no copy, or lies where others could change it.
    """
    _answer(host, talk.exchange(b""))
    _answer(host, talk.exchange(b""))


def _answer(host: Host, line: bytes) -> Answer:
    try:
        answer = msgspec.json.decode(line, type=Answer)
    except msgspec.DecodeError:
        raise Refused(
            f"{host.python} on {host.address} answers what no Python of ours says; look at it"
        ) from None
    if answer.fault:
        raise Refused(f"on {host.address}: {answer.fault[:1000]}")
    return answer


def _pack(host: Host, packed: IO[bytes], extras: Sequence[str]) -> None:
    """Write the same bytes for the same files: no times, no owners."""
    launcher = _LAUNCHER.format(python=host.python, library=str(_folder(host) / _LIBRARY)).encode()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, Path(host.program).name, launcher, 0o700)
        for name, path in sorted({*_files(extras)}):
            _add(tar, f"{_LIBRARY}/{name}", path.read_bytes(), 0o600)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, BytesIO(content))


def _files(extras: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file of the agent and of what it needs."""
    for package in _OWN:
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None  # noqa: S101, PT018 - we run from it
        root = Path(spec.origin).parent
        for path in root.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                yield f"{package}/{path.relative_to(root).as_posix()}", path
    for one in _needed("deleatur", frozenset(extras), {}).values():
        own = one.name == "deleatur"
        for listed in one.files or ():
            name = str(listed)
            inside = not name.startswith(("..", "/")) and listed.suffix != ".pyc"
            if inside and (not own or ".dist-info/" in name):
                yield name, Path(str(one.locate_file(listed)))


def _needed(name: str, extras: frozenset[str], found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Return the distribution and all that it needs here, by name.

    Raises:
        Refused: an extra that is not installed here cannot be copied.
    """
    one = distribution(name)
    found.setdefault(name, one)
    if unknown := extras - {*(one.metadata.get_all("Provides-Extra") or ())}:
        raise Refused(f"{name} has no extra {', '.join(sorted(unknown))}")
    for line in one.requires or ():
        requirement, _, marker = line.partition(";")
        asked = _EXTRA.search(marker)
        named = _NAME.match(requirement)
        if named is None or (asked is not None and asked[1] not in extras):
            continue
        inner = frozenset(part.strip() for part in (named[2] or "").split(",") if part.strip())
        if named[1] in found and not inner:
            continue
        try:
            _needed(named[1], inner, found)
        except PackageNotFoundError:
            if asked is not None or not marker:  # other markers: for another system or Python than this one
                raise Refused(f"{named[1]} is not installed here, so it cannot be copied") from None
    return found
