"""Read the operator's list of devices that no job may erase (docs/reference/devices.md)."""

import os
from pathlib import Path

import msgspec

from deleatur.devices.places import Places
from deleatur.documents.codec import MAX_JOB, decode_toml, read_limited
from deleatur.documents.device import NeverErase
from deleatur.errors import Malformed

LIST = "deleatur/never-erase.toml"  # below /etc


def never_erase(places: Places) -> NeverErase | None:
    """Return the list, each of its paths also as the node that it leads to now; None: there is no list.

    Raises:
        Malformed: it does not follow its specification; nothing is erased until it does.
        OSError: it may not be read.
    """
    path = places.etc / LIST
    try:
        found = decode_toml(read_limited(path, MAX_JOB), NeverErase)
    except FileNotFoundError:
        return None
    except Malformed as error:
        raise Malformed(f"{path}: {error.what}", kind=error.kind, where=error.where) from None
    real = (_node(places, named) for named in found.paths)
    return msgspec.structs.replace(found, paths=tuple(dict.fromkeys((*found.paths, *real))))


def _node(places: Places, named: str) -> str:
    inside = places.dev / Path(named).relative_to("/dev") if named.startswith("/dev/") else Path(named)
    return str(Path("/dev") / os.path.relpath(os.path.realpath(inside), os.path.realpath(places.dev)))
