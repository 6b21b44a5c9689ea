"""Read policies: the packs that ship inside the wheel, and the operator's own files."""

from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

import msgspec

from deleatur.documents.codec import decode_toml
from deleatur.documents.datamap import MAX_DATAMAP, DataMap, decode_datamap
from deleatur.documents.decode import decode_job
from deleatur.documents.job import Job
from deleatur.documents.policy import Pack
from deleatur.documents.policy_rules import decode_policy
from deleatur.engine.reading import decoding, read_plain
from deleatur.errors import Malformed, Refused


class _Schema(msgspec.Struct):
    """The one key that every document has."""

    schema: str


def shipped_names() -> tuple[str, ...]:
    """Return the names of the packs inside the wheel."""
    files = resources.files("deleatur").joinpath("policy").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def shipped(names: Iterable[str] = ()) -> tuple[Pack, ...]:
    """Return the packs of these names, or all that ship.

    Raises:
        Refused: no pack is called so.
    """
    known = shipped_names()
    wanted = tuple(names) or known
    if missing := [name for name in wanted if name not in known]:
        raise Refused(f"no pack is called {', '.join(missing)}; there are: {', '.join(known)}")
    folder = resources.files("deleatur").joinpath("policy")
    packs = []
    for name in wanted:
        with decoding(f"pack {name}"):
            packs.append(decode_policy(folder.joinpath(f"{name}.toml").read_bytes()))
    return tuple(packs)


def read_document(path: Path) -> Pack | Job | DataMap:
    """Read a policy, a job or a data map; its `schema` says which.

    Raises:
        Refused: it is not there, or no plain file.
        Malformed: it is none of them, or not as its page says.
    """
    try:
        content = read_plain(path, MAX_DATAMAP)
    except FileNotFoundError:
        raise Refused(f"{path} is not there") from None
    with decoding(str(path)):
        match decode_toml(content, _Schema, limit=MAX_DATAMAP).schema:
            case "deleatur/policy/v1":
                return decode_policy(content)
            case "deleatur/job/v1":
                return decode_job(content)
            case "deleatur/datamap/v1":
                return decode_datamap(content)
        raise Malformed(
            "neither a policy nor a job nor a data map; name the files one by one",
            kind="bad-value",
            where="$.schema",
        )


def read_policy(path: Path) -> Pack:
    """Read a policy.

    Raises:
        Refused: it is not there, no plain file, or another document.
        Malformed: it is not as its page says.
    """
    document = read_document(path)
    if not isinstance(document, Pack):
        raise Refused(f"{path} is no policy; name policies only in packs")
    return document


def files_of(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield each file; for a folder every `.toml` file in it, in the order of names.

    Raises:
        Refused: a folder without such a file.
    """
    for path in paths:
        if path.is_dir():
            found = sorted(path.glob("*.toml"))
            if not found:
                raise Refused(f"{path} holds no .toml file")
            yield from found
        else:
            yield path
