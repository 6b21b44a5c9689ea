"""Strict decoding and canonical encoding of all documents (docs/spec/encoding.md).

What people or other machines wrote is decoded here and nowhere else. A fault is `Malformed`, with
its kind and its place. Keys may be named (cut and made printable), values never: a value may be
what is being erased.
"""

import json
import math
import re
import tomllib
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from deleatur.documents.place import MAX_INTEGER
from deleatur.errors import Malformed

T = TypeVar("T")

MAX_JOB = 1 << 20  # bytes; a job names places, it does not carry data
MAX_PLAN = 256 << 20  # bytes; about a million units
MAX_JSON = 16 << 20  # bytes; what the careful decoder takes: it needs up to 30 times as much memory
MAX_LINE = 1 << 20  # bytes of one journal line, its newline included
MAX_DEPTH = 40  # nesting; deeper is an attack, no document of ours passes 12
_CHUNK = 1 << 20  # bytes
_SHOWN = 80  # characters of a key that a message may show


def read_limited(path: Path, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes, without reading more of a larger one.

    Raises:
        Malformed: the file is larger than `limit`.
    """
    parts: list[bytes] = []
    left = limit + 1  # one byte more tells "larger"
    with path.open("rb") as file:
        while left and (part := file.read(min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
    if not left:
        raise Malformed(f"{_shown(str(path))} is larger than {limit} bytes", kind="too-large")
    return b"".join(parts)


def decode_toml(content: bytes, kind: type[T], *, limit: int = MAX_JOB) -> T:
    """Decode a TOML document that a person wrote, of at most `limit` bytes.

    Raises:
        Malformed: not UTF-8, not TOML, or not of `kind`.
    """
    text = _text(content, limit)
    _refuse_deep(_TOML_QUOTED.sub("s", text))
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _of_toml(str(error)) from None
    except ValueError:  # int() of more than 4300 digits
        raise Malformed("a number is too large", kind="number") from None
    return _convert(tree, kind)


def decode_json(content: bytes, kind: type[T], *, limit: int = MAX_JSON) -> T:
    """Decode a JSON document of at most `limit` bytes, refusing duplicate keys, NaN and Infinity.

    Raises:
        Malformed: not UTF-8, not JSON, or not of `kind`.
    """
    text = _text(content, limit)
    _refuse_deep(_JSON_QUOTED.sub("s", text))
    try:
        tree = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise Malformed(
            f"not JSON: {_syntax(error.msg)}", kind="syntax", where=f"character {error.pos}"
        ) from None
    except ValueError:  # int() of more than 4300 digits
        raise Malformed("a number is too large", kind="number") from None
    return _convert(tree, kind)


def decode_canonical(content: bytes, kind: type[T], *, limit: int = MAX_PLAN) -> T:
    """Decode a JSON document that only deleatur writes: exactly the bytes of `encode_json`.

    Bytes that come out again unchanged hold no duplicate, no unknown key and no second spelling, so
    the slow and careful decoder is needed only to name the fault.

    Raises:
        Malformed: as `decode_json`; `not-canonical` if the same document was written another way, or
            if it is too large to look for the fault.
    """
    if len(content) > limit:
        raise _too_large(limit)
    if (document := _unchanged(content, kind)) is not None:
        return document
    if len(content) <= MAX_JSON:
        decode_json(content, kind)
    raise Malformed("not written the one canonical way; was it edited?", kind="not-canonical")


def encode_json(document: Any) -> bytes:
    """Encode a document the one way it is written: UTF-8, keys in field order, one trailing newline.

    Raises:
        Malformed: a text that is not Unicode, such as an undecodable file name.
    """
    try:
        return msgspec.json.encode(document) + b"\n"
    except UnicodeEncodeError:
        raise Malformed("a text holds a lone surrogate; escape it first", kind="encoding") from None


def _unchanged(content: bytes, kind: type[T]) -> T | None:
    try:
        document = msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # the careful decoder says why
    return document if encode_json(document) == content else None


def _too_large(limit: int) -> Malformed:
    return Malformed(f"larger than {limit} bytes", kind="too-large")


def _text(content: bytes, limit: int) -> str:
    if len(content) > limit:
        raise _too_large(limit)
    if content.startswith(b"\xef\xbb\xbf"):
        raise Malformed(
            "starts with a byte order mark; save it as plain UTF-8", kind="encoding", where="byte 0"
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8", kind="encoding", where=f"byte {error.start}") from None


# What stands in quotes (and in comments) says nothing about nesting. Both patterns match an
# unterminated text to its end and never go back, so each character is looked at once.
_JSON_QUOTED = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_TOML_QUOTED = re.compile(
    r'"""[^"\\]*+(?:(?:\\.?|"(?!""))[^"\\]*+)*+(?:"{3,5}|\Z)'
    r"|'''[^']*+(?:'(?!'')[^']*+)*+(?:'{3,5}|\Z)"
    r'|"[^"\\\n]*+(?:\\[^\n]?[^"\\\n]*+)*+(?:"|(?=\n)|\Z)'
    r"|'[^'\n]*+(?:'|(?=\n)|\Z)"
    r"|#[^\n]*+",
    re.DOTALL,
)
_NOT_STRUCTURE = re.compile(r"[^][{}.,=\n]+")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


def _refuse_deep(unquoted: str) -> None:
    """Refuse brackets or dotted keys nested beyond `MAX_DEPTH`, before a parser meets them.

    `tomllib` needs time and memory in the square of a dotted key's length.
    """
    structure = _NOT_STRUCTURE.sub("", unquoted)
    depth = max(accumulate((_STEPS.get(c, 0) for c in structure), initial=0))
    if depth > MAX_DEPTH or "." * MAX_DEPTH in structure:
        raise Malformed(f"nested more than {MAX_DEPTH} deep", kind="too-deep")


class _Twice:
    """Stands in the tree for an object in which a key stands twice."""

    def __init__(self, key: str) -> None:
        self.key = key


def _object(pairs: list[tuple[str, Any]]) -> Any:
    tree = dict(pairs)
    if len(tree) == len(pairs):
        return tree
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    return _Twice(key)


def _constant(name: str) -> float:
    return math.inf if name != "NaN" else math.nan


def _of_toml(message: str) -> Malformed:
    text, _, where = message.partition(" (at ")
    where = where.rstrip(")") or "$"
    if text.startswith(_TOML_DOUBLES):
        return Malformed("a key or table stands twice", kind="duplicate-key", where=where)
    return Malformed(f"not TOML: {_syntax(text)}", kind="syntax", where=where)


_TOML_DOUBLES = (  # messages of tomllib in Python 3.11 to 3.14
    "Cannot declare",
    "Cannot overwrite",
    "Cannot mutate",
    "Cannot redefine",
    "Duplicate inline table key",
)


def _syntax(message: str) -> str:
    """Return a parser's message without the character that it quotes, which may be of a value."""
    if " character " in message:
        return message.partition(" character ")[0] + " character"
    return message.removesuffix(" at").removesuffix(" starting")


_PLACES = (
    (re.compile(r"Object contains unknown field `(.*)`", re.DOTALL), "unknown-key", "no key is called {}"),
    (re.compile(r"Object missing required field `(.*)`"), "missing-key", "key {} is missing"),
    (re.compile(r"Invalid (?:enum )?value .*", re.DOTALL), "bad-value", "not one of the allowed values"),
    (re.compile(r"Expected `(\w+)` matching regex .*"), "bad-value", "not of the form that this key has"),
    (re.compile(r"(Expected `\w+` (?:of length|[<>]=?) .*)"), "bad-value", "{}"),
    (re.compile(r"(Expected `.*`, got `\w+`)"), "wrong-type", "{}"),
)  # messages of msgspec 0.22, kept by tests/unit/test_documents_codec.py


def _convert(tree: Any, kind: type[T]) -> T:
    _inspect(tree)
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).rpartition(" - at ")
        if not text:
            text, where = where, "$"
        for pattern, failure, words in _PLACES:
            if found := pattern.fullmatch(text):
                what = words.format(*(_shown(group) for group in found.groups()))
                raise Malformed(what, kind=failure, where=where.strip("`")) from None
        raise Malformed(
            "not of the form that this document has", kind="bad-value", where=where.strip("`")
        ) from None


def _inspect(tree: Any) -> None:
    """Refuse what a type cannot express: doubled keys, odd numbers, text that is not Unicode."""
    path: list[str | int] = []
    open_: list[Iterator[tuple[str | int, Any]]] = []
    node = tree
    while True:
        if fault := _fault(node):
            raise Malformed(fault[1], kind=fault[0], where=_place(path))
        if isinstance(node, dict | list):
            if len(open_) == MAX_DEPTH:
                raise Malformed(f"nested more than {MAX_DEPTH} deep", kind="too-deep", where=_place(path))
            open_.append(iter(node.items() if isinstance(node, dict) else enumerate(node)))
            path.append("")
        while open_:
            following = next(open_[-1], None)
            if following is not None:
                break
            open_.pop()
            path.pop()
        else:
            return
        path[-1], node = following


def _fault(node: Any) -> tuple[str, str] | None:
    """Return the kind and the words of what is wrong with one node, its children left aside."""
    match node:
        case str():
            return _fault_of_text(node)
        case bool():
            return None
        case int() if abs(node) > MAX_INTEGER:
            return "number", "an integer beyond 2^53 - 1; write it as text"
        case float() if not math.isfinite(node):
            return "number", "NaN and Infinity are not numbers"
        case _Twice():
            return "duplicate-key", f"key {_shown(node.key)} stands twice"
        case dict():
            return next(filter(None, map(_fault_of_text, node)), None)
    return None


def _fault_of_text(text: str) -> tuple[str, str] | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "encoding", "a text holds a lone surrogate"
    return None


def _place(path: list[str | int]) -> str:
    return "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{_shown(p)}" for p in path)


def _shown(key: str) -> str:
    """Return a key for a message: cut, and without characters that could forge a line or hide one."""
    cut = key if len(key) <= _SHOWN else key[: _SHOWN - 1] + "…"
    return "".join(c if c.isprintable() else "?" for c in cut)
