"""The words of texts as a full-text index of a database divides and folds them, by SQLite's own tokenizers.

Rules kept: texts are divided in a database that lies in memory only, a number of them at a time; a word is
named as its index stores it; what an index would hold is told by its declaration, what it holds by itself.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any

from deleatur_plugins.sqlite.connecting import Text, text_for
from deleatur_plugins.sqlite.schema import Schema, Table, quoted

_AT_ONCE = 10_000  # texts; bounds memory
_ARGUMENT = re.compile(r"""(?:'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[^,'"`\[])+""")
_COMMENT = re.compile(r"--|/\*")
_MAIN = b"0"  # before each word of FTS5 that is none of its prefix indexes (FTS5_MAIN_PREFIX, fts5_index.c)


class Index:
    """One full-text index, and where what it indexes lies."""

    def __init__(self, table: Table, source: Table) -> None:
        self._table = table
        self.source = source
        self.columns = table.columns
        self._of_fts5 = table.module == "fts5"
        arguments = _ARGUMENT.findall(table.arguments.strip()[1:-1])
        self._tokenizer = "".join(f", {a}" for a in arguments if _is_tokenizer(a, of_fts5=self._of_fts5))
        lengths = (a.partition("=")[2] for a in arguments if re.match(r"\s*prefix\s*=", a, re.IGNORECASE))
        self._prefixes = tuple(int(n) for n in re.findall(r"\d+", " ".join(lengths)))

    def words(self, values: Iterable[Any]) -> Iterator[bytes]:
        """Yield the words of values, as SQLite divides and folds them for this index."""
        how = "fts5(text, content='', detail=none" if self._of_fts5 else 'fts4(text, content=""'
        told = "fts5vocab(main, texts, row)" if self._of_fts5 else "fts4aux(main, texts)"
        each = iter(values)
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
            memory.text_factory = Text
            memory.execute("PRAGMA temp_store=MEMORY")
            while some := list(islice(each, _AT_ONCE)):
                memory.execute(f"CREATE VIRTUAL TABLE texts USING {how}{self._tokenizer})")
                memory.execute(f"CREATE VIRTUAL TABLE temp.told USING {told}")
                memory.execute("BEGIN")
                memory.executemany(
                    "INSERT INTO texts (rowid, text) VALUES (?, CAST(? AS TEXT))", enumerate(some, 1)
                )
                memory.execute("COMMIT")
                yield from (bytes(term) for (term,) in memory.execute("SELECT DISTINCT term FROM told"))
                memory.execute("DROP TABLE temp.told")
                memory.execute("DROP TABLE texts")

    def stored(self, word: bytes) -> bytes:
        """Return a word as a leaf of the index has it."""
        return _MAIN + word if self._of_fts5 else word

    def stored_with_prefixes(self, word: bytes) -> Iterator[bytes]:
        """Yield a word and all that the index stores because of it.

        FTS5 tells prefixes apart; FTS3 and FTS4 do not, and count them in bytes (fts3_write.c,
        fts3PendingTermsAdd).
        """
        yield self.stored(word)
        for length in () if self._of_fts5 else self._prefixes:
            yield word[:length]

    def held(self, connection: sqlite3.Connection, words: Iterable[bytes]) -> Iterator[bytes]:
        """Yield those words that the index holds now, as SQLite says."""
        text = text_for(connection)
        module = "fts5vocab(main, {}, row)" if self._of_fts5 else "fts4aux(main, {})"
        connection.execute("DROP TABLE IF EXISTS temp.deleatur_words")
        connection.execute(
            f"CREATE VIRTUAL TABLE temp.deleatur_words USING {module.format(quoted(self._table.name))}"
        )
        for word in words:
            if connection.execute(
                "SELECT 1 FROM temp.deleatur_words WHERE term = CAST(? AS TEXT) LIMIT 1", (text(word),)
            ).fetchone():
                yield word
        connection.execute("DROP TABLE temp.deleatur_words")


def indexes_of(schema: Schema) -> tuple[Index, ...] | None:
    """Return the full-text indexes of a database; None where nobody can tell which words one may have.

    So it is with the rows of a view, and with a declaration that has comments in it.
    """
    plain = {t.name.lower(): t for t in schema.tables.values() if t.kind == "table"}
    found = []
    for table in schema.tables.values():
        if table.kind == "full-text":
            source = table if table.content is None else plain.get(table.content.lower())
            if source is None or _COMMENT.search(table.arguments):
                return None
            found.append(Index(table, source))
    return tuple(found)


def _is_tokenizer(argument: str, *, of_fts5: bool) -> bool:
    """Say whether an argument names the tokenizer: FTS5 takes a part of that word too, FTS3 needs no sign."""
    key, sign, _ = argument.strip().partition("=")
    if of_fts5:
        return bool(sign and key.strip()) and "tokenize".startswith(key.strip().lower())
    return re.match(r"\s*tokenize(?![0-9a-z_$])", argument, re.IGNORECASE) is not None
