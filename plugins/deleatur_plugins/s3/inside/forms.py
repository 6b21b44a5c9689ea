"""Which form an object has, by its name, and what is done with its rows. Pure.

Bytes of one object in, bytes of the new object out: nothing here reads a clock, a server or a disk.
Rules kept: a form is read off the name and confirmed by the content; what does not fit is refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from deleatur.api import Refused
from deleatur_plugins.s3.inside import columnar, delimited, lines
from deleatur_plugins.s3.inside.packing import packed, unpacked
from deleatur_plugins.s3.inside.row import Row
from deleatur_plugins.s3.inside.rules import Rule

_NAME = re.compile(r".*\.(csv|tsv|jsonl|ndjson|parquet)(?:\.(gz|zst))?", re.ASCII | re.DOTALL)
DELIMITERS = {"comma": b",", "semicolon": b";", "tab": b"\t", "bar": b"|"}


@dataclass(frozen=True)
class Form:
    """How the rows of one object are written."""

    kind: str  # csv, jsonl or parquet
    pack: str = ""  # gz or zst
    delimiter: bytes = b","

    def rows(self, source: BinaryIO, rule: Rule) -> Iterator[Row]:
        """Yield every row with its verdict, in order. Raises Refused: it is not of this form."""
        if self.kind == "parquet":
            return columnar.rows(source, rule)
        stream = unpacked(source, self.pack)
        if self.kind == "csv":
            return delimited.rows(stream, rule, self.delimiter)
        return lines.rows(stream, rule)

    def verdicts(self, source: BinaryIO, rule: Rule) -> Iterator[str]:
        """Yield the verdict of every row, in order; looks at nothing else where the format allows."""
        if self.kind == "parquet":
            return columnar.verdicts(source, rule)
        return (row.verdict for row in self.rows(source, rule))

    def rewritten(self, source: BinaryIO, rule: Rule) -> Iterator[bytes]:
        """Yield the bytes of the object without the rows that go; the same ones each time."""
        if self.kind == "parquet":
            return columnar.rewritten(source, rule)
        stream = unpacked(source, self.pack)
        if self.kind == "csv":
            return packed(delimited.rewritten(stream, rule, self.delimiter), self.pack)
        return packed(lines.rewritten(stream, rule), self.pack)


def form_of(name: str, delimiter: str = "") -> Form:
    """Return the form of an object by its name.

    Args:
        name: of the object.
        delimiter: of CSV files, by its name; "": a comma, and a tab in TSV files.

    Raises:
        Refused: the name ends like none of the forms.
    """
    found = _NAME.fullmatch(name)
    if found is None or (found.group(1) == "parquet" and found.group(2)):
        raise Refused(
            "its name ends with none of .csv .tsv .jsonl .ndjson (each also with .gz or .zst) and .parquet"
        )
    kind, pack = found.group(1), found.group(2) or ""
    if kind in ("csv", "tsv"):
        own = b"\t" if kind == "tsv" else b","
        return Form("csv", pack, DELIMITERS[delimiter] if delimiter else own)
    return Form("parquet" if kind == "parquet" else "jsonl", pack)
