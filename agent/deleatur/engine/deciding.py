"""Hand records that nobody can tell by rule to a person, and read their decision.

The file holds data in clear, for one clerk: it is written once, readable by its owner only.
"""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from deleatur.archive.subject_export import plain
from deleatur.documents.codec import read_limited
from deleatur.engine.mapping import write_new
from deleatur.engine.subjects import Aside
from deleatur.errors import Malformed, Refused

_MOST = 256 << 20  # bytes
_HEADS = ("decision", "why it is asked", "place", "table", "record", "contents")
_WORDS = {"theirs": True, "not theirs": False}


def write_undecided(path: Path, undecided: Sequence[Aside]) -> None:
    """Write the records, one a line, each with an empty decision.

    Raises:
        Refused: something stands there already.
    """
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(_HEADS)
    for aside in undecided:
        names = [field.name for field in aside.table.field]
        contents = json.dumps(
            dict(zip(names, map(plain, aside.row), strict=True)), ensure_ascii=False, sort_keys=False
        )
        writer.writerow(("", aside.reason, aside.place, f"'{aside.table.name}", aside.digest, contents))
    write_new(path, out.getvalue().encode("utf-8-sig", "replace"))


def read_decided(path: Path) -> dict[str, bool]:
    """Return the decisions of a file that `write_undecided` wrote and a person filled in.

    Raises:
        Refused: it is not there.
        Malformed: a decision that is neither `theirs` nor `not theirs`, or two about one record.
    """
    try:
        text = read_limited(path, _MOST).decode("utf-8-sig")
    except FileNotFoundError:
        raise Refused(f"there is no {path}") from None
    except UnicodeDecodeError:
        raise Malformed(f"{path.name} is not UTF-8", kind="encoding") from None
    csv.field_size_limit(_MOST)
    decided: dict[str, bool] = {}
    for number, line in enumerate(csv.DictReader(io.StringIO(text, newline="")), 2):
        word, record = (line.get("decision") or "").strip(), (line.get("record") or "").strip()
        if not word:
            continue
        if word not in _WORDS or len(record) != 64:
            raise Malformed(
                "a decision is `theirs` or `not theirs`", kind="bad-value", where=f"{path.name} line {number}"
            )
        if decided.setdefault(record, _WORDS[word]) != _WORDS[word]:
            raise Malformed(
                "one record is decided twice", kind="contradiction", where=f"{path.name} line {number}"
            )
    return decided
