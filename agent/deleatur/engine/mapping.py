"""Keep a data map and its attestations: read, write, attest, and ask whether a plan may rest on it."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from deleatur.documents.codec import read_limited
from deleatur.documents.datamap import MAX_DATAMAP, DataMap, decode_datamap, encode_datamap
from deleatur.errors import Refused
from deleatur.judge.datamap import gate
from deleatur.trust.attestation import MAX_ATTESTATIONS, attest, attested_owners
from deleatur.trust.dsse import MAX_ENVELOPE
from deleatur.trust.keys import SigningKey

SUFFIX = ".attested"  # of the folder beside the map that holds the attestations


def read_map(path: Path) -> DataMap:
    """Read a data map.

    Raises:
        Refused: it is not there.
        Malformed: it does not follow docs/spec/datamap.md.
    """
    try:
        return decode_datamap(read_limited(path, MAX_DATAMAP))
    except FileNotFoundError:
        raise Refused(f"there is no data map at {path}; make one with `deleatur discover`") from None


def write_map(path: Path, datamap: DataMap) -> None:
    """Write a data map, once.

    Raises:
        Refused: something stands there already: an older map is kept, to be compared.
    """
    write_new(path, encode_datamap(datamap))


def write_new(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, and flush it.

    Raises:
        Refused: something stands there already.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Refused(f"{path} is there already; choose another name, nothing is overwritten") from None
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def attest_map(path: Path, owner: str, key: SigningKey, clock: Callable[[], datetime]) -> Path:
    """Sign the part of `owner` and put the envelope beside the map; return its path.

    Raises:
        Refused: as `attest` does, or their part is attested already.
    """
    datamap = read_map(path)
    if owner in attested(path, datamap):
        raise Refused(f"{owner} has attested this map already")
    envelope = attest(datamap, owner, key, f"{clock():%Y-%m-%dT%H:%M:%SZ}")
    folder = path.with_name(path.name + SUFFIX)
    folder.mkdir(exist_ok=True)
    number = 1
    while os.path.lexists(target := folder / f"{owner}-{number}.dsse.json"):
        number += 1
    write_new(target, envelope)
    return target


def attested(path: Path, datamap: DataMap) -> frozenset[str]:
    """Return the owners whose attestation of the map as it stands lies beside it and holds."""
    folder = path.with_name(path.name + SUFFIX)
    if not folder.is_dir():
        return frozenset()
    files = sorted(folder.glob("*.dsse.json"))[: MAX_ATTESTATIONS + 1]
    return attested_owners(datamap, [read_limited(file, MAX_ENVELOPE) for file in files])


def require_closed(path: Path) -> DataMap:
    """Return a map on which a plan may rest.

    Raises:
        Refused: it is open; everything that is open in one line.
    """
    datamap = read_map(path)
    gate(datamap, attested(path, datamap))
    return datamap
