"""BagIt 1.0 bags (RFC 8493) in a tar, member by member: the same members always give the same bytes."""

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Set
from typing import IO, Protocol, cast

from deleatur.errors import Failed

_BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"  # RFC 8493 §2.1.1
_LINE = re.compile(rb"([0-9a-f]{64})  (\S.*)")
_TAG_MANIFEST = "tagmanifest-sha256.txt"
_MANIFEST = "manifest-sha256.txt"


class Readable(Protocol):
    """What can be read forwards."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, and nothing at the end."""


class Bag:
    """A bag that is written member by member, so that only one member is in memory."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._payload: dict[str, str] = {}  # path -> SHA-256
        self._size = 0

    def member(self, path: str, content: bytes) -> Iterator[bytes]:
        """Yield the tar blocks of one payload file; its path begins with `data/`."""
        self._payload[path] = hashlib.sha256(content).hexdigest()
        self._size += len(content)
        yield from self._blocks(path, content)

    def end(self, tags: Mapping[str, bytes], info: str) -> Iterator[bytes]:
        """Yield the tar blocks of the tag files and manifests, and the end of the tar."""
        text = f"{info}Payload-Oxum: {self._size}.{len(self._payload)}\n"
        members = {
            "bagit.txt": _BAGIT,
            "bag-info.txt": text.encode(),
            _MANIFEST: _manifest(self._payload),
            **tags,
        }
        digests = {path: hashlib.sha256(content).hexdigest() for path, content in members.items()}
        members[_TAG_MANIFEST] = _manifest(digests)
        for path in sorted(members):
            yield from self._blocks(path, members[path])
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _blocks(self, path: str, content: bytes) -> Iterator[bytes]:
        member = tarfile.TarInfo(f"{self._name}/{path}")
        member.size = len(content)
        member.mode = 0o600
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield content
        yield bytes(-len(content) % tarfile.BLOCKSIZE)


def read_bag(file: Readable) -> tuple[str, dict[str, bytes]]:
    """Return a bag's name and its members by path, after checking both manifests.

    Raises:
        Failed: not a bag, a member is missing, unlisted, changed, or no plain file.
    """
    members: dict[str, bytes] = {}
    return _walk(file, members.__setitem__)[0], members


def check_bag(file: Readable, take: Callable[[str, bytes], None] = lambda *_: None) -> dict[str, bytes]:
    """Read a bag through, one member at a time in memory, check both manifests, and return its tag files.

    `take` is given each member's path and content as it is read, before the manifests were checked.

    Raises:
        Failed: as `read_bag` does.
    """
    return _walk(file, take)[1]


def _walk(file: Readable, take: Callable[[str, bytes], None]) -> tuple[str, dict[str, bytes]]:
    digests: dict[str, str] = {}
    tags: dict[str, bytes] = {}
    names = set()
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", file), mode="r|") as tar:
            for member in tar:
                name, _, path = member.name.partition("/")
                opened = tar.extractfile(member) if member.isfile() else None
                if opened is None or not path or path in digests or ".." in path.split("/"):
                    raise Failed("archive: the tar holds something other than the plain files of one bag")
                names.add(name)
                content = opened.read()
                digests[path] = hashlib.sha256(content).hexdigest()
                if not path.startswith("data/"):
                    tags[path] = content
                take(path, content)
    except tarfile.TarError as error:
        raise Failed(f"archive: not a tar file: {error}") from None
    if len(names) != 1 or tags.get("bagit.txt") != _BAGIT:
        raise Failed("archive: not one BagIt 1.0 bag")
    _check_manifest(digests, tags, _MANIFEST, digests.keys() - tags.keys())
    _check_manifest(digests, tags, _TAG_MANIFEST, tags.keys() - {_TAG_MANIFEST})
    return str(names.pop()), tags


def _check_manifest(
    digests: Mapping[str, str], tags: Mapping[str, bytes], manifest: str, expected: Set[str]
) -> None:
    listed = set()
    for line in tags.get(manifest, b"").splitlines():
        found = _LINE.fullmatch(line)
        path = found[2].decode(errors="replace") if found else ""
        if not found or path not in digests:
            raise Failed(f"archive: {manifest} lists a member that is missing")
        if digests[path].encode() != found[1]:
            raise Failed(f"archive: {path} does not have the digest that {manifest} gives it")
        listed.add(path)
    if listed != expected:
        raise Failed(f"archive: {manifest} is missing or leaves a member out")


def _manifest(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests)).encode()
