"""The last part of a Parquet file, which says where everything lies: read, changed and written again. Pure.

Parquet writes it in the compact protocol of Thrift. Rules kept: fields that nobody here knows are written
again as they were read; a footer that is cut short or nested beyond reason is refused.
"""

from dataclasses import dataclass, field
from typing import Any

from deleatur.api import Refused

# Types of the compact protocol (Apache Thrift, compact protocol: struct encoding)
_TRUE, _FALSE, _BYTE, _I16, _I32, I64, _DOUBLE, BINARY, LIST, _SET, _MAP, STRUCT, _UUID = range(1, 14)
_DEEPEST = 32


@dataclass
class Struct:
    """Fields by their number: each a type and a value, in the order in which they stood."""

    fields: dict[int, tuple[int, Any]] = field(default_factory=dict)

    def get(self, number: int) -> Any:
        """Return the value of a field; None: it is not there."""
        return self.fields[number][1] if number in self.fields else None

    def put(self, number: int, value: Any) -> None:
        """Change the value of a field that is there."""
        self.fields[number] = (self.fields[number][0], value)


@dataclass
class Several:
    """A list: the type of what is in it, and that."""

    type: int
    items: list[Any]


class _Reader:
    """Reads one struct from bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def _take(self, count: int) -> bytes:
        taken = self._content[self.place : self.place + count]
        if len(taken) != count:
            raise IndexError
        self.place += count
        return taken

    def _number(self) -> int:
        """Read a number of seven bits a byte, the lowest first."""
        result = shift = 0
        while True:
            one = self._take(1)[0]
            result |= (one & 0x7F) << shift
            if one < 0x80:
                return result
            shift += 7
            if shift > 63:
                raise IndexError

    def _signed(self) -> int:
        number = self._number()
        return (number >> 1) ^ -(number & 1)

    def struct(self, depth: int = 0) -> Struct:
        """Read the fields of a struct up to its stop."""
        if depth > _DEEPEST:
            raise IndexError
        found, last = Struct(), 0
        while (head := self._take(1)[0]) != 0:
            kind, step = head & 0x0F, head >> 4
            last = last + step if step else self._signed()
            value = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
            found.fields[last] = (kind, value)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case _ if kind in (_TRUE, _FALSE, _BYTE):
                return self._take(1)
            case _ if kind in (_I16, _I32, I64):
                return self._signed()
            case _ if kind in (_DOUBLE, _UUID):
                return self._take(8 if kind == _DOUBLE else 16)
            case _ if kind == BINARY:
                return self._take(self._number())
            case _ if kind in (LIST, _SET):
                head = self._take(1)[0]
                count = head >> 4 if head >> 4 < 15 else self._number()
                return Several(head & 0x0F, [self._value(head & 0x0F, depth + 1) for _ in range(count)])
            case _ if kind == STRUCT:
                return self.struct(depth + 1)
        raise IndexError  # a map: no footer of Parquet has one


def parsed(content: bytes) -> Struct:
    """Return a footer as a struct.

    Raises:
        Refused: it is none.
    """
    reader = _Reader(content)
    try:
        return reader.struct()
    except (IndexError, RecursionError):
        raise Refused("the footer of the Parquet file cannot be read") from None


def written(struct: Struct) -> bytes:
    """Return a struct as bytes."""
    out, last = bytearray(), 0
    for number, (kind, value) in struct.fields.items():
        shown = (_TRUE if value else _FALSE) if kind in (_TRUE, _FALSE) else kind
        step = number - last
        if 0 < step < 16:
            out.append(step << 4 | shown)
        else:
            out.append(shown)
            out += _zigzag(number)
        last = number
        if kind not in (_TRUE, _FALSE):
            out += _written(kind, value)
    return bytes(out) + b"\0"


def _written(kind: int, value: Any) -> bytes:
    if kind in (_I16, _I32, I64):
        return _zigzag(value)
    if kind == BINARY:
        return _unsigned(len(value)) + bytes(value)
    if kind in (LIST, _SET):
        count = len(value.items)
        head = bytes([min(count, 15) << 4 | value.type]) + (_unsigned(count) if count >= 15 else b"")
        return head + b"".join(_written(value.type, item) for item in value.items)
    if kind == STRUCT:
        return written(value)
    return bytes(value)  # as it was read


def _zigzag(number: int) -> bytes:
    return _unsigned(number << 1 if number >= 0 else (-number << 1) - 1)


def _unsigned(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
