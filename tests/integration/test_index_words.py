"""Words that only a full-text index still holds are residue in whatever letters; theirs who stay are not."""

import errno
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import UNSET

from deleatur.documents.certificate import Words
from deleatur.engine import looking
from deleatur.engine.directory import JobDirectory
from deleatur.errors import Failed, Residue
from deleatur.sanitize import full_text
from deleatur.testing.faulty import raising
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.sqlite import rebuild

JOB = """
schema = "deleatur/job/v1"
name = "words"
reason = "other"
authority = "a test"
requested_by = "tester"
[verification]
device = false
[[target]]
id = "people"
url = "sqlite:../people.sqlite"
[[target.select]]
table = "people"
where = [{ column = "leaves", operator = "in", values = ["yes"] }]
"""
STAY = [
    ("Anna Berg", "anna.berg@example.org"),
    ("Karl Weiß", "karl@example.org"),
    ("李 小龙", "li@example.org"),
    ("Jürgen Straße", "jürgen@example.com"),
] * 50
GO = {
    "mixed case": ("CustomerAccountMustermann", None),
    "signs over letters": ("kündenkontöMüller", None),
    "mail address": (None, "anna.quandtner@example.org"),
    "name and surname": ("Anna Quandtner", None),
    "Chinese": ("李 明月华", None),
}
DECLARED = {
    "fts3": "fts3 (leaves, name, mail)",  # it can only have content of its own
    "fts4": """fts4 (name, mail, content='people', tokenize=unicode61 "remove_diacritics=2")""",
    "fts5": "fts5 (name, mail, content='people', tokenize='unicode61 remove_diacritics 1')",
    "fts4 with prefixes": """fts4 (name, mail, content='people', prefix='2,4')""",
    "fts4 of stems": "fts4 (name, mail, content='people', tokenize=porter)",
    "fts5 of stems": "fts5 (name, mail, content='people', tokenize='porter unicode61')",
    "fts5 of three letters": "fts5 (name, mail, content='people', tokenize='trigram')",
}


def people(
    path: Path, declared: str, *gone: tuple[str | None, str | None], pragma: str = "page_size = 4096"
) -> None:
    """Make a database of people, of whom some go, one a namesake of one who stays, with an index of them."""
    own = "content" not in declared
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA secure_delete = ON")
        database.execute(f"PRAGMA {pragma}")
        kind = f"VIRTUAL TABLE people USING {declared}" if own else "TABLE people (leaves, name, mail)"
        database.execute(f"CREATE {kind}")
        rows = [("no", *who) for who in STAY] + [("yes", *who) for who in (*gone, STAY[0])]
        database.executemany("INSERT INTO people VALUES (?, ?, ?)", rows)
        if not own:
            database.execute(f"CREATE VIRTUAL TABLE words USING {declared}")
            database.execute("INSERT INTO words (words) VALUES ('rebuild')")
        database.commit()


def sabotaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave indexes as they are."""
    monkeypatch.setattr(rebuild, "_refresh_full_text", lambda *_: None)
    monkeypatch.setattr(rebuild, "_check_soundness", lambda _: None)  # it has a check of its own


def reasons(folder: Path) -> Sequence[str]:
    (report,) = folder.rglob("residue-*.json")
    return [found["reason"] for found in json.loads(report.read_text())["findings"] if "reason" in found]


def searched(folder: Path) -> tuple[Words, set[str]]:
    """Run a whole job that ends well; return what its certificate says of words, and its limits."""
    bench = Workbench(folder)
    certificate = verify(bench.whole(JOB).certificate, [bench.agent.public], 1, None).certificate
    (found,) = certificate.verification
    assert (found.verdict, found.reason) == ("CLEAN", "")
    assert isinstance(found.words, Words)
    assert (found.words.hits, found.words.disputed) == (0, 0)
    return found.words, {limit.id for limit in certificate.known_limits}


@pytest.mark.parametrize("kind", GO)
@pytest.mark.parametrize("module", ["fts3", "fts4", "fts5"])
def test_an_index_that_is_left_as_it_was_is_residue_in_whatever_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, kind: str
) -> None:
    people(tmp_path / "people.sqlite", DECLARED[module], GO[kind])
    sabotaged(monkeypatch)
    with pytest.raises(Residue):
        Workbench(tmp_path).whole(JOB)
    (reason,) = reasons(tmp_path)
    assert reason.endswith("words of sampled values in indexes of words")
    assert reason.count("occurrences") == 1, "nothing else shows it"


@pytest.mark.parametrize("kind", GO)
@pytest.mark.parametrize("module", ["fts3", "fts4", "fts5"])
def test_an_honest_job_ends_with_a_certificate_that_says_what_was_searched(
    tmp_path: Path, module: str, kind: str
) -> None:
    people(tmp_path / "people.sqlite", DECLARED[module], GO[kind])
    words, limits = searched(tmp_path)
    assert words.count == words.positive_control == words.searched == 1
    assert (words.hits, words.disputed, len(words.scanners)) == (0, 0, 2)
    assert "shared-words-not-searched" in limits
    assert not limits & {"words-seen-in-part", "no-words-searched", "words-not-searched"}


@pytest.mark.parametrize(
    "declared", ["fts4 of stems", "fts5 of stems", "fts5 of three letters", "fts4 with prefixes"]
)
def test_indexes_of_stems_and_of_parts_of_words_are_searched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    """What goes may be what an index of prefixes has of who stays: no residue after an honest run."""
    gone = ("Running Quandtners", "karl") if "prefixes" not in declared else ("jürg Quandtner", "exam")
    for name in ("honest", "sabotaged"):
        (tmp_path / name).mkdir()
        people(tmp_path / name / "people.sqlite", DECLARED[declared], gone)
    words, _ = searched(tmp_path / "honest")
    assert words.count == words.positive_control > 0
    sabotaged(monkeypatch)
    with pytest.raises(Residue):
        Workbench(tmp_path / "sabotaged").whole(JOB)


@pytest.mark.parametrize("pragma", ["encoding = 'UTF-16le'", "encoding = 'UTF-16be'", "page_size = 65536"])
@pytest.mark.parametrize("module", ["fts3", "fts4", "fts5"])
def test_databases_of_utf_16_and_of_large_pages_are_searched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, pragma: str
) -> None:
    """The index of a person's many words is one leaf, of more than 8 KiB."""
    gone = " ".join(f"quandtner{number:04}" for number in range(1500))
    for name in ("honest", "sabotaged"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "people.sqlite"
        people(path, DECLARED[module], ("CustomerAccountMustermann", gone), pragma=pragma)
    words, limits = searched(tmp_path / "honest")
    assert words.count == words.positive_control > 30
    assert not limits & {"words-seen-in-part", "no-words-searched", "words-not-searched"}
    sabotaged(monkeypatch)
    with pytest.raises(Residue):
        Workbench(tmp_path / "sabotaged").whole(JOB)


def test_who_has_only_words_of_others_is_not_searched_and_the_certificate_says_so(tmp_path: Path) -> None:
    people(tmp_path / "people.sqlite", DECLARED["fts5"], ("Karl Berg", "anna.berg@example.com"))
    words, limits = searched(tmp_path)
    assert (words.count, words.searched, words.scanners) == (0, 0, ())
    assert "no-words-searched" in limits


def test_a_search_that_cannot_see_words_says_nothing_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(tmp_path / "people.sqlite", DECLARED["fts5"], GO["mixed case"])
    monkeypatch.setattr(full_text, "BETWEEN", b"-")
    sabotaged(monkeypatch)
    bench = Workbench(tmp_path)
    certificate = verify(bench.whole(JOB).certificate, [bench.agent.public], 1, None).certificate
    (found,) = certificate.verification
    assert found.verdict == "INCONCLUSIVE"
    assert found.reason == "the control saw none of 1 words in indexes of words before the erase"


def stopped_before_verifying(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> JobDirectory:
    """Run a job until its rows are erased, and end there as a failing disk would."""
    directory = bench.job(JOB)
    bench.plan(directory)
    bench.approve(directory)
    with monkeypatch.context() as failing:
        failing.setattr(looking, "verify", lambda *_: raising(OSError(errno.EIO, "a disk that fails"))())
        with pytest.raises(Failed):
            bench.run(directory)
    return directory


def test_a_job_that_is_resumed_after_its_erase_searches_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then no index has the words of rows that are gone: they lie in the spool."""
    people(tmp_path / "people.sqlite", DECLARED["fts5"], GO["name and surname"])
    sabotaged(monkeypatch)
    bench = Workbench(tmp_path)
    directory = stopped_before_verifying(bench, monkeypatch)
    with pytest.raises(Residue):
        bench.run(directory)
    assert reasons(tmp_path) == ["1 occurrences of 1 words of sampled values in indexes of words"]


def test_a_job_whose_control_knew_of_no_words_is_resumed_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is with a job that was begun before there was such a search."""
    people(tmp_path / "people.sqlite", DECLARED["fts5"], GO["name and surname"])
    bench = Workbench(tmp_path)
    with monkeypatch.context() as earlier:
        earlier.setattr(looking, "_has_words", lambda _: False)
        directory = stopped_before_verifying(bench, monkeypatch)
    assert b'"words"' not in directory.journal.read_bytes()
    bench.run(directory)
    certificate = verify(directory.certificate, [bench.agent.public], 1, None).certificate
    (found,) = certificate.verification
    assert (found.verdict, found.words) == ("CLEAN", UNSET)
