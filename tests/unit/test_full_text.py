"""Words of full-text indexes are put together wherever a leaf lies, and cost no more than its bytes."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.documents.place import Surface
from deleatur.sanitize import full_text
from deleatur.sanitize.decoders import Expander
from deleatur.sanitize.full_text import BETWEEN, words_of_indexes
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.sanitize.surface import Gap, Piece

MODULES = ("fts3", "fts4", "fts5")
HEAD = "accountofacustomer"
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=30)
lines = st.lists(words, min_size=1, max_size=8).map(" ".join)


def indexed(path: Path, module: str, texts: list[str], *, merged: bool, page: int = 4096) -> set[bytes]:
    """Make a database with an index of words; return its words as SQLite itself tells them."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA page_size = {page}")
        database.execute(f"CREATE VIRTUAL TABLE texts USING {module}(text)")
        for number, text in enumerate(texts):
            database.execute("INSERT INTO texts (text) VALUES (?)", (text,))
            if number < 20:
                database.commit()  # a segment each
        database.commit()
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
    found = [plain for _, plain in words_of_indexes(content, 0, len(content), 0)]
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


@pytest.mark.parametrize("page", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("module", MODULES)
def test_words_of_a_large_index_are_put_together_also_where_a_block_goes_on_in_other_pages(
    tmp_path: Path, module: str, page: int
) -> None:
    values = [f"{HEAD}{n * n:032x}" for n in range(3000)]
    path = tmp_path / "words.sqlite"
    indexed(path, module, [" ".join(values), *(f"often {n}" for n in range(20000))], merged=True, page=page)
    with closing(sqlite3.connect(path)) as database:
        content = "texts_content"
        database.execute(f"DELETE FROM {content}")  # only the index has them now
        database.commit()
        database.execute("VACUUM")
    raw = path.read_bytes()
    assert sum(value.encode() in raw for value in values) < 300
    found = shown(raw)
    first = b"0" if module == "fts5" else b""
    assert {first + value.encode() for value in [*values, "often"]} <= found
    capitals = b"".join(sorted(found))
    assert all(value.upper().encode() in capitals for value in values)
    if page == 512:
        elsewhere = b"".join(sorted(shown(raw[1:])))  # no page is where its number says
        assert not all(value.encode() in elsewhere for value in values)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("page", [16384, 32768, 65536])
def test_words_of_an_index_that_is_one_long_leaf_are_put_together(
    tmp_path: Path, module: str, page: int
) -> None:
    """Such a leaf lies in the record of its segment, not in a block."""
    lines = [f"{HEAD}{number:05}" + "x" * (number % 7) for number in range(1200)]
    told = indexed(tmp_path / "long.sqlite", module, lines, merged=True, page=page)
    found = shown((tmp_path / "long.sqlite").read_bytes())
    assert {b"0" + word if module == "fts5" else word for word in told} <= found


def test_parts_of_words_above_the_leaves_are_no_words(tmp_path: Path) -> None:
    """A node of FTS3 has of each word only what tells it from the one before."""
    path = tmp_path / "words.sqlite"
    told = indexed(path, "fts4", [f"{n * 7919:x}{n:05d}ending" for n in range(20000)], merged=True)
    assert {word for word in shown(path.read_bytes()) if len(word) > 3 and word.isalnum()} <= told


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


def test_words_are_searched_in_files_and_not_on_a_device_where_others_have_words_too(tmp_path: Path) -> None:
    """Whole words as they are stored: no part of one, no beginning, nothing in capitals, and no value."""
    path = tmp_path / "words.sqlite"
    indexed(path, "fts5", ["Anna Quandtner", "Quandt", "other QUANDTNERS"], merged=False)
    wanted = NeedleSet.of_words([b"0quandtner", b"0QUANDT", b"0anna", b"quandt", b"0q", b"0" * 65])
    assert len(wanted.needles) == 4
    scanner = Scanner(NeedleSet.of([b"quandtners"]), wanted)
    for name, count in (("database files", 2), ("block device below", 0)):
        surface = Surface(name=name, reach="scannable", paths=(str(path),), decoders=("full-text",))
        found = scanner.scan_surface(surface, lambda _: None)
        assert (found.words.count, found.words.disputed) == (count, 0)
        assert {wanted.needles[n].strip(BETWEEN) for n in found.words.seen} == {
            *([b"0anna", b"0quandtner"] if count else ())
        }
        assert found.scan.hits == 2, "values have counts of their own: small letters and capitals"
        assert len(found.places) == 2 + count


def test_pages_that_lead_to_one_another_for_ever_are_not_followed_over_and_over() -> None:
    """Each page begins with the number of the next one, and is full of beginnings of long records."""
    page = b"\5\0\xff\xff\x7e" * 101 + b"\0\0\0"
    content = b"".join((n % 4000 + 1).to_bytes(4, "big") + page for n in range(1, 4001))
    assert any(isinstance(part, Gap) for part in pieces(content))
    assert not any(isinstance(part, Gap) for part in pieces(bytes(1 << 20)))


def test_large_values_of_ordinary_tables_are_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "pictures.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE pictures (id INTEGER PRIMARY KEY, picture BLOB)")
        drawn = random.Random(1)
        database.executemany(
            "INSERT INTO pictures (picture) VALUES (?)",
            [(drawn.randbytes(40_000 * n),) for n in range(1, 20)],
        )
        database.commit()
    assert not any(isinstance(part, Gap) for part in pieces(path.read_bytes()))
