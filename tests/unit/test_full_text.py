"""Words of full-text indexes are put together wherever a leaf lies, and cost no more than its bytes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.sanitize import full_text
from deleatur.sanitize.decoders import Expander
from deleatur.sanitize.full_text import BETWEEN, words_of_indexes
from deleatur.sanitize.surface import Gap, Piece

MODULES = ("fts3", "fts4", "fts5")
HEAD = "accountofacustomer"
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=30)
lines = st.lists(words, min_size=1, max_size=8).map(" ".join)


def indexed(path: Path, module: str, texts: list[str], *, merged: bool) -> set[bytes]:
    """Make a database with an index of words; return its words as SQLite itself tells them."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE VIRTUAL TABLE texts USING {module}(text)")
        for text in texts:
            database.execute("INSERT INTO texts (text) VALUES (?)", (text,))
            database.commit()  # a segment each
        if merged:
            database.execute("INSERT INTO texts (texts) VALUES ('optimize')")
            database.commit()
        if module == "fts5":
            database.execute("CREATE VIRTUAL TABLE temp.told USING fts5vocab(main, texts, row)")
        else:
            database.execute("CREATE VIRTUAL TABLE temp.told USING fts4aux(main, texts)")
        return {term.encode() for (term,) in database.execute("SELECT term FROM told")}


def shown(content: bytes) -> set[bytes]:
    """All words that are put together; those of FTS5 begin with the number of their index."""
    found = [plain for _, plain in words_of_indexes(content, 0, len(content))]
    assert None not in found, "the control: so honest a file is not too much"
    return {word for plain in found if plain for word in plain.split(BETWEEN)}


@pytest.mark.parametrize("module", MODULES)
@settings(max_examples=15, deadline=None)
@given(texts=st.lists(lines, max_size=12), merged=st.booleans())
def test_every_word_that_sqlite_tells_is_put_together(
    tmp_path_factory: pytest.TempPathFactory, module: str, texts: list[str], merged: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / f"words-{module}.sqlite"
    told = indexed(path, module, texts, merged=merged)
    found = shown(path.read_bytes())
    assert {b"0" + word if module == "fts5" else word for word in told} <= found


@pytest.mark.parametrize(("module", "least"), [("fts3", 0.7), ("fts4", 0.7), ("fts5", 1.0)])
def test_words_of_a_large_index_are_put_together_but_where_a_block_goes_on_in_another_page(
    tmp_path: Path, module: str, least: float
) -> None:
    """As much as the documentation says: a block of FTS3 and FTS4 may be a few bytes too long for a page."""
    values = [f"{HEAD}{n * n:032x}" for n in range(3000)]
    path = tmp_path / "words.sqlite"
    indexed(path, module, [" ".join(values)], merged=True)
    with closing(sqlite3.connect(path)) as database:
        content = "texts_content"
        database.execute(f"DELETE FROM {content}")  # only the index has them now
        database.commit()
        database.execute("VACUUM")
    raw = path.read_bytes()
    assert sum(value.encode() in raw for value in values) < 200
    found = b"".join(sorted(shown(raw)))
    assert sum(value.encode() in found for value in values) >= least * len(values)
    assert sum(value.upper().encode() in found for value in values) >= least * len(values)


def pieces(content: bytes) -> Iterator[Piece | Gap]:
    expander = Expander(("full-text",))
    yield from expander.feed(Piece("f", 0, content))
    yield from expander.end()


def record(leaf: bytes) -> bytes:
    """The row of a block of between 58 and 8,185 bytes."""
    kind = 12 + 2 * len(leaf)
    return b"\4\0" + bytes([kind >> 7 | 0x80, kind & 0x7F]) + leaf


def test_a_leaf_that_says_a_long_word_over_and_over_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_text, "MOST", 1 << 16)
    long = b"\0\x40" + b"w" * 64 + b"\0"  # a leaf, a word of 64 bytes, no rows
    again = b"\x40\1x\0"  # all of it, and one letter more
    assert not any(isinstance(part, Gap) for part in pieces(record(long + again * 900)))
    assert any(isinstance(part, Gap) for part in pieces(record(long + again * 1100)))


def test_leaves_in_leaves_are_not_read_over_and_over() -> None:
    """Each word seems to be the record of a leaf that holds all words behind it."""
    content = record(b"\0\4\4\0\xfe\x40\0" + b"\1\4\4\0\xfe\x40\0" * 1100)
    assert any(isinstance(part, Gap) for part in pieces(content * 8))
