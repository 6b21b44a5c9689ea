"""BagIt 1.0 bags (RFC 8493) in a tar, in memory: the same members always give the same bytes."""

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping

from deleatur.errors import Failed, Refused

MAX_BAG = 512 << 20  # bytes of payload, built and compared in memory: plain records never touch the disk

_BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"  # RFC 8493 §2.1.1
_LINE = re.compile(rb"([0-9a-f]{64})  (\S.*)")
_TAG_MANIFEST = "tagmanifest-sha256.txt"
_MANIFEST = "manifest-sha256.txt"


def make_bag(name: str, payload: Mapping[str, bytes], tags: Mapping[str, bytes], info: str) -> bytes:
    """Return the tar of the bag `name`; payload paths begin with `data/`.

    Raises:
        Refused: the bag would be larger than `MAX_BAG`.
    """
    size = sum(map(len, payload.values()))
    if size > MAX_BAG:
        raise Refused(f"archive {name}: {size} bytes are over the limit of {MAX_BAG}; split the job")
    text = f"{info}Payload-Oxum: {size}.{len(payload)}\n"
    members = {
        "bagit.txt": _BAGIT,
        "bag-info.txt": text.encode(),
        _MANIFEST: _manifest(payload),
        **tags,
    }
    members[_TAG_MANIFEST] = _manifest(members)
    return _tar(name, {**members, **payload})


def read_bag(tar: bytes) -> tuple[str, dict[str, bytes]]:
    """Return a bag's name and its members by path, after checking both manifests.

    Raises:
        Failed: not a bag, a member is missing, unlisted, changed, or no plain file.
    """
    members: dict[str, bytes] = {}
    names = set()
    try:
        with tarfile.open(fileobj=io.BytesIO(tar)) as file:
            for member in file:
                name, _, path = member.name.partition("/")
                content = file.extractfile(member) if member.isfile() else None
                if content is None or not path or path in members or ".." in path.split("/"):
                    raise Failed("archive: the tar holds something other than the plain files of one bag")
                names.add(name)
                members[path] = content.read()
    except tarfile.TarError as error:
        raise Failed(f"archive: not a tar file: {error}") from None
    if len(names) != 1 or members.get("bagit.txt") != _BAGIT:
        raise Failed("archive: not one BagIt 1.0 bag")
    payload = {path for path in members if path.startswith("data/")}
    _check_manifest(members, _MANIFEST, payload)
    _check_manifest(members, _TAG_MANIFEST, members.keys() - payload - {_TAG_MANIFEST})
    return names.pop(), members


def _check_manifest(members: Mapping[str, bytes], manifest: str, expected: set[str]) -> None:
    listed = set()
    for line in members.get(manifest, b"").splitlines():
        found = _LINE.fullmatch(line)
        path = found[2].decode(errors="replace") if found else ""
        if not found or path not in members:
            raise Failed(f"archive: {manifest} lists a member that is missing")
        if hashlib.sha256(members[path]).hexdigest().encode() != found[1]:
            raise Failed(f"archive: {path} does not have the digest that {manifest} gives it")
        listed.add(path)
    if listed != expected:
        raise Failed(f"archive: {manifest} is missing or leaves a member out")


def _manifest(members: Mapping[str, bytes]) -> bytes:
    lines = (f"{hashlib.sha256(members[path]).hexdigest()}  {path}\n" for path in sorted(members))
    return "".join(lines).encode()


def _tar(name: str, members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as file:
        for path in sorted(members):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(members[path])
            member.mode = 0o600
            file.addfile(member, io.BytesIO(members[path]))
    return out.getvalue()
