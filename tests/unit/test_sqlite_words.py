"""Words are those of the index itself, for every tokenizer, and those that it has of rows that stay too."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.sanitize.full_text import BETWEEN, words_of_indexes
from deleatur_plugins.sqlite.connecting import connect
from deleatur_plugins.sqlite.schema import read_schema
from deleatur_plugins.sqlite.words import Index, indexes_of

HARD = [
    "Straße STRASSE ﬁn ǅ ǆ",
    "İstanbul ISTANBUL ıstanbul istanbul",
    "müller mu\u0308ller MÜLLER Mu\u0308LLER",
    "欧阳 明月华 東京都 とうきょう 서울",
    "Ἀθῆναι ΑΘΗΝΑΙ Σίσυφος ΣΊΣΥΦΟΣ",
    "e\u0301\u0323 é\u0323 Việt Nam",
    "anna.quandtner+list@example.org",
    "O'Neill-Smith d’Arc l·l",
    "\u200bzero\u200dwidth soft\u00adhyphen",
    "😀emoji mid😀dle १२३ ١٢٣ ½ x²",
    "running runner ran relational",
    "under_score tab\tnew\nline nul-less",
]
DECLARED = [
    "fts3 (text)",
    "fts3 (text, tokenize=porter)",
    "fts4 (text, tokenize=simple)",
    'fts4 (text, tokenize=unicode61 "remove_diacritics=0")',
    'fts4 (text, tokenize=unicode61 "remove_diacritics=2" "tokenchars=.@" "separators=x")',
    "FTS4 (text, prefix='2,3', TOKENIZE porter, matchinfo=fts3)",
    "fts5 (text)",
    "fts5 (text, tokenize = 'ascii')",
    "fts5 (text, prefix='2 3', tokenize = 'unicode61 remove_diacritics 0')",
    """fts5 (text, tokenize = "unicode61 remove_diacritics 2 tokenchars '.@,'", detail=none)""",
    "fts5 (text, tok = 'porter unicode61')",
    "fts5 (text, tokenize = 'trigram case_sensitive 1')",
    'Fts5("text", tokenize=trigram)',
]


def database(path: Path, declared: str) -> Path:
    with closing(sqlite3.connect(path)) as made:
        made.execute(f'CREATE VIRTUAL TABLE "te (x, y)" USING {declared}')
        made.executemany('INSERT INTO "te (x, y)" (text) VALUES (?)', [(text,) for text in HARD])
        made.commit()
    return path


def only_index(connection: sqlite3.Connection) -> Index:
    (index,) = indexes_of(read_schema(connection)) or ()
    return index


@pytest.mark.parametrize("declared", DECLARED)
def test_words_are_those_that_the_index_itself_stores(tmp_path: Path, declared: str) -> None:
    path = database(tmp_path / "hard.sqlite", declared)
    with closing(connect(path, "mode=ro")) as connection:
        index = only_index(connection)
        divided = {*index.words([text.encode() for text in HARD])}
        assert {*index.held(connection, sorted(divided))} == divided, "each is a word of the index"
        assert not [*index.held(connection, [b"nobody", b"anna.", b"\xff"])]
        stays = {word for each in divided for word in index.stored_with_prefixes(each)}
    raw = path.read_bytes()
    shown = {
        word for _, plain in words_of_indexes(raw, 0, len(raw), 0) for word in (plain or b"").split(BETWEEN)
    }
    assert {index.stored(word) for word in divided} <= shown, "and stands in its leaves so"
    marked = {b"1", b"2"} if "prefix" in declared and "fts5" in declared else set()
    strange = {word for word in shown - stays - {b""} if word[:1] not in marked}
    assert not {word for word in strange if len(word) >= 4 and word.isalnum()}


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("module", ["fts3", "fts4", "fts5"])
def test_an_index_in_a_database_of_utf_16_tells_its_words_too(
    tmp_path: Path, module: str, encoding: str
) -> None:
    path = tmp_path / "wide.sqlite"
    with closing(sqlite3.connect(path)) as made:
        made.execute(f"PRAGMA encoding = '{encoding}'")
        made.execute(f"CREATE VIRTUAL TABLE people USING {module} (name)")
        made.execute("INSERT INTO people (name) VALUES ('Müllers odd four 明月华')")
        made.commit()
    with closing(connect(path, "mode=ro")) as connection:
        index = only_index(connection)
        words = {*index.words(["Müllers odd four 明月华".encode()])}
        assert len(words) == 4
        assert {*index.held(connection, sorted({*words, b"nobody", b"\xff"}))} == words


def test_many_texts_are_divided_as_few_are(tmp_path: Path) -> None:
    with closing(connect(database(tmp_path / "hard.sqlite", DECLARED[6]), "mode=ro")) as connection:
        index = only_index(connection)
        many = index.words(f"Wörd{n} again".encode() for n in range(25_000))
        assert {*many} == {b"again", *(f"word{n}".encode() for n in range(25_000))}
        assert [*index.words([None, 12345, b""])] == [b"12345"]


@pytest.mark.parametrize(
    "declared",
    [
        "CREATE VIRTUAL TABLE texts USING fts5(name, content='shown')",
        "CREATE VIRTUAL TABLE texts USING fts5(name, /* tokenize=porter, */ content='people')",
        "CREATE VIRTUAL TABLE texts USING fts4(name, content='')",
    ],
)
def test_where_nobody_can_tell_whose_words_an_index_has_none_are_told(tmp_path: Path, declared: str) -> None:
    path = tmp_path / "shown.sqlite"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
        made.execute("CREATE VIEW shown AS SELECT id AS rowid, name || 'x' AS name FROM people")
        made.execute(declared)
        made.commit()
    with closing(connect(path, "mode=ro")) as connection:
        assert indexes_of(read_schema(connection)) is None
