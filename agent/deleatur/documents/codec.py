"""Strict decoding and canonical encoding of all documents.

What people or other machines wrote is decoded here and nowhere else: unknown key, missing key,
wrong type, duplicate key, a number JSON does not know, a document over its limit: `Malformed`,
with the kind of failure and the place.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from deleatur.errors import Malformed

T = TypeVar("T")

MAX_JOB = 1 << 20  # bytes; a job names places, it does not carry data
MAX_PLAN = 256 << 20  # bytes; about a million units
MAX_LINE = 1 << 20  # bytes of one journal line
MAX_DEPTH = 40  # nesting; deeper is an attack, no document of ours passes 12


def read_limited(path: Path, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes, without reading more of a larger one.

    Raises:
        Malformed: the file is larger than `limit`.
    """
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise Malformed(f"{path} is larger than {limit} bytes", kind="too-large")
    return content


def decode_toml(content: bytes, kind: type[T]) -> T:
    """Decode a TOML document that a person wrote.

    Raises:
        Malformed: not UTF-8, not TOML, or not of `kind`.
    """
    try:
        tree = tomllib.loads(_text(content))
    except tomllib.TOMLDecodeError as error:
        failure = "duplicate-key" if "overwrite" in str(error) or "Cannot declare" in str(error) else "syntax"
        raise Malformed(f"not TOML: {error}", kind=failure) from None
    except RecursionError:
        raise Malformed("nested too deeply", kind="too-deep") from None
    return _convert(tree, kind)


def decode_json(content: bytes, kind: type[T]) -> T:
    """Decode a JSON document, refusing duplicate keys, NaN and Infinity.

    Raises:
        Malformed: not UTF-8, not JSON, or not of `kind`.
    """
    try:
        tree = json.loads(_text(content), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg}", kind="syntax", where=f"byte {error.pos}") from None
    except RecursionError:
        raise Malformed("nested too deeply", kind="too-deep") from None
    return _convert(tree, kind)


def encode_json(document: Any) -> bytes:
    """Encode a document the one way it is written: UTF-8, keys in field order, one trailing newline."""
    return msgspec.json.encode(document) + b"\n"


def _text(content: bytes) -> str:
    if content.startswith(b"\xef\xbb\xbf"):
        raise Malformed("starts with a byte order mark", kind="encoding", where="byte 0")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8", kind="encoding", where=f"byte {error.start}") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        seen: set[str] = set()
        double = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        raise Malformed(f"key {double[:80]!r} stands twice", kind="duplicate-key")
    return tree


def _no_constant(name: str) -> Any:
    raise Malformed(f"{name} is not a number", kind="syntax")


_KINDS = (
    ("unknown field", "unknown-key"),
    ("missing required field", "missing-key"),
    ("Invalid enum value", "bad-value"),
    ("Invalid value", "bad-value"),
    ("matching regex", "bad-value"),
    ("of length", "bad-value"),
    (">=", "bad-value"),
    ("<=", "bad-value"),
)


def _convert(tree: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `")
        failure = next((name for mark, name in _KINDS if mark in text), "wrong-type")
        raise Malformed(re.sub(r"\s+", " ", text), kind=failure, where=where.rstrip("`") or "$") from None
    except (RecursionError, OverflowError):
        raise Malformed("nested too deeply or a number too large", kind="too-deep") from None
