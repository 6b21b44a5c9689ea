"""Encode a document as TOML 1.0, the same bytes for the same document. Pure.

What has its default empty value is left out: a reader puts it back.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def encode_toml(document: msgspec.Struct) -> str:
    """Return the document's text: keys in field order, tables after plain values."""
    return "\n".join(_table(msgspec.to_builtins(document), ())) + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    kept = {key: value for key, value in table.items() if value not in (None, "", (), [], {})}
    inner = {key: value for key, value in kept.items() if isinstance(value, dict) or _is_tables(value)}
    for key, value in kept.items():
        if key not in inner:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in inner.items():
        name = (*path, _key(key))
        for each in [value] if isinstance(value, dict) else value:
            yield ""
            yield f"[{'.'.join(name)}]" if isinstance(value, dict) else f"[[{'.'.join(name)}]]"
            yield from _table(each, name)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(each, dict) for each in value)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)
        case str():
            return _text(value)
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
    raise TypeError(type(value).__name__)


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "a").replace("-", "a").isalnum()
    return key if plain else _text(key)


def _text(text: str) -> str:
    """Quote a text; control characters as escapes (TOML 1.0, "String")."""
    return '"' + "".join(_SHORT.get(c) or (c if c.isprintable() else _escaped(c)) for c in text) + '"'


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04X}" if number < 1 << 16 else f"\\U{number:08X}"
