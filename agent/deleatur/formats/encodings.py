"""Find out in which encoding a text is: UTF-8, UTF-16, GB18030 or Windows-1252.

GB18030 and Windows-1252 both accept almost any bytes; they are told apart by how bytes above 127
stand: Chinese text has them in pairs, a western text one by one between letters.
"""

import codecs
import io
import re
from collections.abc import Iterator
from typing import IO

_CHUNK = 1 << 20  # bytes
_LONGEST = 16 << 20  # characters of a line
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_HIGH = re.compile(rb"[\x81-\xfe]([\x40-\xff])", re.DOTALL)
_PAIRED = 0.7  # share of high bytes that stand in pairs; tests/unit/test_formats.py has both sides


def encoding_of(stream: IO[bytes]) -> str:
    """Return Python's name of the encoding; the stream is read whole and set back to its start."""
    first = stream.read(4)
    stream.seek(0)
    for mark, name in _BOMS:
        if first.startswith(mark):
            return name
    name = "utf-8" if _is_utf_8(stream) else _other(stream)
    stream.seek(0)
    return name


def lines_of(stream: IO[bytes], encoding: str, longest: int = _LONGEST) -> Iterator[str]:
    """Yield the lines of a text, whatever ends them, each with one LF; a longer one comes in pieces.

    The stream stays open: who opened it closes it.
    """
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)(errors="replace"), translate=True
    )
    held = ""
    while chunk := stream.read(_CHUNK):
        *lines, held = (held + decoder.decode(chunk)).split("\n")
        yield from (f"{line}\n" for line in lines)
        while len(held) > longest:
            yield held[:longest]
            held = held[longest:]
    held += decoder.decode(b"", final=True)
    if held:
        yield held


def looks_binary(stream: IO[bytes]) -> bool:
    """Say whether the start of the stream is no text in any encoding known here."""
    start = stream.read(4096)
    stream.seek(0)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    return b"\0" in start or sum(b < 32 and b not in b"\t\n\r\f\x1b" for b in start) > len(start) // 100


def _is_utf_8(stream: IO[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := stream.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _other(stream: IO[bytes]) -> str:
    stream.seek(0)
    pairs = high = 0
    decoder = codecs.getincrementaldecoder("gb18030")()
    possible = True
    while chunk := stream.read(_CHUNK):
        found = _HIGH.findall(chunk)
        high += len(found)
        pairs += sum(trail[0] >= 0x80 for trail in found)
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError:
            possible = False
    return "gb18030" if possible and high and pairs >= _PAIRED * high else "cp1252"
