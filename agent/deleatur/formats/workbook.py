"""Read workbooks (ECMA-376): a zip of XML, streamed, bounded, and without document types.

Rules kept: nothing is unpacked beyond a stated size, a document type is refused before any
entity, sheets are numbered and never named.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import chain, islice
from typing import IO
from xml.parsers import expat

from deleatur.formats.parsed import IsValue, Parsed, Row, Unreadable, column_names, numbered

_LARGEST = 1 << 30  # bytes that one part may have when unpacked
_STRINGS = 256 << 20  # bytes of shared strings that are kept
_MEMBERS = 10_000  # parts of one workbook
_WIDEST = 16_384  # columns, ECMA-376 part 1 §18.3.1.73
_CHUNK = 1 << 16  # bytes
_LOOKED_AT = 50
_DAMAGED = (  # what zipfile raises for damaged and encrypted files; RuntimeError: it needs a password
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
)
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")


def is_workbook(stream: IO[bytes]) -> bool:
    """Say whether the stream is a zip with the parts of a workbook."""
    try:
        with zipfile.ZipFile(stream) as file:
            return "xl/workbook.xml" in file.namelist()
    except _DAMAGED:
        return False
    finally:
        stream.seek(0)


def workbook(stream: IO[bytes], is_value: IsValue) -> Iterator[Parsed]:
    """Yield the sheets of a workbook; dates are the numbers under which they are stored.

    Raises:
        Unreadable: it is damaged, encrypted, or larger unpacked than is read here.
    """
    with zipfile.ZipFile(stream) as file:
        names = file.namelist()
        if len(names) > _MEMBERS:
            raise Unreadable(f"a workbook of more than {_MEMBERS} parts")
        strings = _strings(file) if "xl/sharedStrings.xml" in names else []
        for number, name in enumerate(filter(_SHEET.fullmatch, names), 1):
            rows = _Sheet(strings).rows(_read(file, name, _LARGEST))
            some = list(islice(rows, _LOOKED_AT))
            if not some:
                continue
            header = column_names(some[0], is_value)
            width = max(map(len, some))
            data = chain(some[1:] if header else some, rows)
            columns = (*(header or ()), *numbered(width)[len(header or ()) :])
            yield Parsed(
                kind="xlsx", part=f"sheet {number}", columns=columns, rows=(_fit(r, width) for r in data)
            )


def _read(file: zipfile.ZipFile, name: str, limit: int) -> Iterator[bytes]:
    try:
        with file.open(name) as part:
            size = 0
            while chunk := part.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise Unreadable(f"a part of the workbook has more than {limit >> 20} MiB unpacked")
                yield chunk
    except _DAMAGED:
        raise Unreadable("the workbook is damaged or encrypted") from None


class _Parser:
    """An expat parser whose handlers get names without namespace, and that refuses document types."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = lambda n, a: self.start(n.rpartition(" ")[2], a)
        self._parser.EndElementHandler = lambda n: self.end(n.rpartition(" ")[2])
        self._parser.CharacterDataHandler = self.text

    def feed(self, chunk: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError:
            raise Unreadable("a part of the workbook is no XML") from None

    def _refuse(self, *_: object) -> None:
        raise Unreadable("a part of the workbook declares a document type")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        raise AssertionError(name, attributes)  # each subclass has its own

    def end(self, name: str) -> None:
        raise AssertionError(name)  # each subclass has its own

    def text(self, text: str) -> None:
        raise AssertionError(len(text))  # each subclass has its own


class _Strings(_Parser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.size = 0
        self._inside = 0
        self._parts: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002
        self._inside += name == "t"

    def end(self, name: str) -> None:
        self._inside -= name == "t"
        if name == "si":
            text = "".join(self._parts)
            self._parts = []
            self.size += len(text) + 64
            self.found.append(text)

    def text(self, text: str) -> None:
        if self._inside:
            self._parts.append(text)


def _strings(file: zipfile.ZipFile) -> list[str]:
    parser = _Strings()
    for chunk in _read(file, "xl/sharedStrings.xml", _LARGEST):
        parser.feed(chunk, last=False)
        if parser.size > _STRINGS:
            raise Unreadable(f"a workbook with more than {_STRINGS >> 20} MiB of shared texts")
    return parser.found


class _Sheet(_Parser):
    def __init__(self, strings: list[str]) -> None:
        super().__init__()
        self._strings = strings
        self._ready: list[list[str]] = []
        self._row: list[str] = []
        self._column = 0
        self._kind = ""
        self._inside = False
        self._parts: list[str] = []

    def rows(self, chunks: Iterator[bytes]) -> Iterator[list[str]]:
        for chunk in chunks:
            self.feed(chunk, last=False)
            ready, self._ready = self._ready, []
            yield from ready

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self._row, self._column = [], 0
        elif name == "c":
            self._kind = attributes.get("t", "n")
            self._column = _column(attributes.get("r", "")) or self._column + 1
            self._parts = []
        elif name in ("v", "t"):
            self._inside = True

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._inside = False
        elif name == "c":
            if self._column > _WIDEST:
                raise Unreadable("a cell lies outside of the sheet")
            self._row += [""] * (self._column - 1 - len(self._row))
            self._row.append(self._value("".join(self._parts)))
        elif name == "row" and any(self._row):
            self._ready.append(self._row)

    def text(self, text: str) -> None:
        if self._inside:
            self._parts.append(text)

    def _value(self, text: str) -> str:
        if self._kind != "s":
            return text
        if not text.isdigit() or int(text) >= len(self._strings):
            raise Unreadable("a cell points to a shared text that is not there")
        return self._strings[int(text)]


def _column(reference: str) -> int:
    """Return the column of a cell's reference such as "AB12", from 1; 0 when it has none."""
    number = 0
    for character in reference:
        if not ("A" <= character <= "Z"):
            break
        number = min(number * 26 + ord(character) - 64, _WIDEST + 1)
    return number


def _fit(row: list[str], width: int) -> Row:
    if len(row) > width:
        row = [*row[: width - 1], " ".join(row[width - 1 :])]
    return tuple(row) + ("",) * (width - len(row))
