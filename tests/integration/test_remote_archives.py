"""Archives of another host come here as they were sealed there, or not at all."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from deleatur import errors
from deleatur.documents import errand
from deleatur.documents.journal import Archived, line_of
from deleatur.engine.jobs import read_entries, read_plan
from deleatur.engine.remote import serving
from deleatur.testing.finished import chained
from deleatur.testing.workbench import signing_key
from deleatur.trust.keys import public_pem

from .custody_world import CustodyWorld
from .test_remote import Pair, Tamper, honest, journal_of

PIECE = 1000  # bytes: the archive takes more than one


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """A job that stopped when all archives were written, and was followed until then."""
    (tmp_path / "world").mkdir()
    world = CustodyWorld(tmp_path / "world", monkeypatch).planned()
    world.refusal()
    monkeypatch.setattr(serving, "MAX_PIECE", PIECE)
    made = Pair(tmp_path, world.job.path)
    made.end.output = b'{"error": "Refused", "text": "archived-unreceived", "exit_code": 4}'
    made.plan()
    with pytest.raises(errors.Refused, match="archived-unreceived"):
        made.run()
    return made


def fetched(pair: Pair, tamper: Tamper = honest, breaks: Iterator[str] | None = None) -> list[Path]:
    with pair.far(tamper, breaks) as far:
        return pair.errand(far).fetch()


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def sealed(pair: Pair) -> Path:
    (path,) = (pair.done / "archive").glob("*.tar.age")
    return path


def test_what_was_sealed_there_lies_here_and_is_fetched_once(pair: Pair) -> None:
    (path,) = fetched(pair)
    assert path == pair.near.archive / sealed(pair).name
    assert content(pair.near.archive) == content(pair.done / "archive")
    assert len(content(pair.near.archive)) == 6
    asked: list[str] = []

    def listening(question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        asked.extend([question.name] if isinstance(question, errand.Fetch) else [])
        return answer

    assert fetched(pair, listening) == [path]
    assert f"archive/{path.name}" not in asked


def test_at_every_exchange_the_connection_may_break(pair: Pair) -> None:
    count = 0

    def counted() -> Iterator[str]:
        nonlocal count
        while True:
            count += 1
            yield ""

    fetched(pair, breaks=counted())
    assert count > sealed(pair).stat().st_size / PIECE
    for at in range(1, count):
        for how in ("question lost", "answer lost"):
            shutil.rmtree(pair.near.archive)
            fetched(pair, breaks=iter([""] * at + [how]))
            assert content(pair.near.archive) == content(pair.done / "archive")


def test_a_fetch_that_was_stopped_is_gone_on_with(pair: Pair) -> None:
    offsets: list[int] = []
    name = f"archive/{sealed(pair).name}"

    def stopped(question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        if isinstance(question, errand.Fetch) and question.name == name:
            offsets.append(question.offset)
            if question.offset == 2 * PIECE and offsets.count(2 * PIECE) == 1:
                raise KeyboardInterrupt
        return answer

    with pytest.raises(KeyboardInterrupt):
        fetched(pair, stopped)
    assert not (pair.near.archive / sealed(pair).name).exists()
    fetched(pair, stopped)
    assert offsets[:4] == [0, PIECE, 2 * PIECE, 2 * PIECE]
    assert offsets.count(0) == 1
    assert any(f"{2 * PIECE} of " in said for said in pair.told)
    assert content(pair.near.archive) == content(pair.done / "archive")


def test_what_lay_half_fetched_and_is_something_else_is_not_kept(pair: Pair) -> None:
    pair.near.archive.mkdir()
    partial = pair.near.archive / f".{sealed(pair).name}.fetched"
    partial.write_bytes(bytes(PIECE))  # as a disk shows what a power cut took back
    with pytest.raises(errors.Refused, match="it is not kept"):
        fetched(pair)
    assert not partial.exists()
    partial.write_bytes(bytes(sealed(pair).stat().st_size + 1))
    fetched(pair)
    assert content(pair.near.archive) == content(pair.done / "archive")


def of(name: str, change: Callable[[bytes], bytes]) -> Tamper:
    """A far end that gives another file than it has, whole and with its own length."""

    def tamper(question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        if isinstance(question, errand.Fetch) and question.name.endswith(name):
            whole = change(tampered[question.name])
            return errand.Piece(content=whole[question.offset :][:PIECE], size=len(whole))
        return answer

    tampered: dict[str, bytes] = {}
    tamper.files = tampered  # type: ignore[attr-defined]
    return tamper


@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        (".tar.age", lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]), errors.Refused),
        (".tar.age", lambda whole: whole[:-1], errors.Refused),
        (".tar.age", lambda whole: whole + b"\0", errors.Refused),
        (".tar.age", lambda whole: b"", errors.Refused),
        (".README.txt", lambda whole: whole + b"send your key to the address below\n", errors.Invalid),
        (".json", lambda whole: whole.replace(b"records", b"stealer"), errors.Invalid),
        (".sha256", lambda whole: whole + b"\n", errors.Invalid),
        (".sha256.sig", lambda whole: bytes(len(whole)), errors.Invalid),
        ("agent.pub", lambda whole: public_pem(signing_key("other", 9).public), errors.Invalid),
    ],
)
def test_what_is_not_what_the_journal_says_or_the_agent_signed_has_no_name_here(
    pair: Pair, name: str, change: Callable[[bytes], bytes], error: type[Exception]
) -> None:
    tamper = of(name, change)
    files = {f"archive/{file}": whole for file, whole in content(pair.done / "archive").items()}
    tamper.files.update(files)  # type: ignore[attr-defined]
    with pytest.raises(error):
        fetched(pair, tamper)
    assert [path.name for path in pair.near.archive.iterdir() if not path.name.startswith(".")] == []
    fetched(pair)
    assert content(pair.near.archive) == content(pair.done / "archive")


def test_an_archive_that_never_comes_is_given_up(pair: Pair) -> None:
    def nothing(question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        if isinstance(question, errand.Fetch) and question.name.endswith(".tar.age"):
            return msgspec.structs.replace(answer, content=b"")
        return answer

    with pytest.raises(errors.Refused, match="not as long"):
        fetched(pair, nothing)


@pytest.mark.parametrize("file", ["../../evil.tar.age", "/etc/evil.tar.age", ".evil.tar.age", "evil"])
def test_a_journal_cannot_name_a_place_here(pair: Pair, file: str) -> None:
    approved = read_plan(pair.near)
    events = [
        msgspec.structs.replace(entry.event, file=file) if isinstance(entry.event, Archived) else entry.event
        for entry in read_entries(pair.near, approved)
    ]
    pair.near.journal.unlink()
    forged = b"".join(line_of(entry) for entry in chained(events, approved.digest))
    with pytest.raises(errors.Refused, match="none is called so"):
        fetched(pair, journal_of(forged))
    assert not pair.near.archive.exists()


def test_without_room_nothing_is_begun(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=PIECE))
    with pytest.raises(errors.Refused, match=f"{PIECE} are free; make room"):
        fetched(pair)
    assert content(pair.near.archive) == {}


def test_another_file_of_that_name_is_not_replaced(pair: Pair) -> None:
    pair.near.archive.mkdir()
    mine = pair.near.archive / sealed(pair).name
    mine.write_bytes(b"mine")
    with pytest.raises(errors.Refused, match="lies here already"):
        fetched(pair)
    assert mine.read_bytes() == b"mine"


def test_where_nothing_was_archived_nothing_is_fetched(pair: Pair) -> None:
    approved = read_plan(pair.near)
    events = [entry.event for entry in read_entries(pair.near, approved)]
    before = next(n for n, event in enumerate(events) if isinstance(event, Archived))
    pair.near.journal.unlink()
    forged = b"".join(line_of(entry) for entry in chained(events[:before], approved.digest))
    with pytest.raises(errors.Refused, match="names no archive"):
        fetched(pair, journal_of(forged))
