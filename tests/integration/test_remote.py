"""What the near end checks: far ends that lie, break off, or are of another version, each caught."""

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from deleatur import errors
from deleatur.documents import errand
from deleatur.documents.codec import encode_json
from deleatur.documents.errand import decode_question
from deleatur.documents.journal import line_of
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_entries, read_plan
from deleatur.engine.remote import serving
from deleatur.engine.remote.errands import Errand
from deleatur.engine.remote.far import Disconnected, Far
from deleatur.engine.remote.serving import FarEnd
from deleatur.testing.finished import chained
from deleatur.testing.workbench import Workbench, signing_key

from ..small_disk import WITHOUT_JOURNAL, small_disk

JOB = """schema = "deleatur/job/v1"
name = "leavers"
reason = "other"
authority = "decision 7"
requested_by = "operator"
[policy]
approvals = 2
[[target]]
id = "exports"
url = "file://{target}"
"""
Tamper = Callable[[errand.AnyQuestion, errand.AnyAnswer], errand.AnyAnswer]


def honest(_question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
    return answer


class PlayedEnd(FarEnd):
    """A far end whose work is done at once, from a job that was really done; it counts what was begun."""

    def __init__(self, folder: Path, done: Path) -> None:
        super().__init__(folder, None)
        self.done = done
        self.begun: list[str] = []
        self.output = b"{}"

    def _spawn(self, asked: errand.Start, output: int) -> None:
        self.begun.append(asked.work)
        ran = ["journal.jsonl", "certificate", "archive"]
        names = ["plan.json", "plan.dsse.json"] if asked.work == "plan" else ran
        for name in names:
            source, target = self.done / name, self._directory.path / name
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.exists():
                shutil.copy(source, target)
        with open(output, "ab", closefd=False) as file:
            file.write(self.output)


class PlayedLine:
    """A connection without a network, which may break at its nth exchange, and may lie."""

    def __init__(self, end: FarEnd, tamper: Tamper, breaks: Iterator[str]) -> None:
        self.end, self.tamper, self.breaks = end, tamper, breaks

    def exchange(self, question: bytes) -> bytes:
        how = next(self.breaks, "")
        if how == "question lost":
            raise Disconnected("the connection broke")
        asked = decode_question(question)
        answer = encode_json(self.tamper(asked, self.end.answer(asked)))
        if how == "answer lost":
            raise Disconnected("the connection broke")
        return answer

    def close(self) -> None:
        pass


class Pair:
    """A near end and a played far end for the job in `done`."""

    def __init__(self, folder: Path, done: Path) -> None:
        self.near = JobDirectory(folder / "near")
        self.near.path.mkdir(parents=True)
        shutil.copy(done / "job.toml", self.near.job)
        self.done = done
        self.end = PlayedEnd(folder / "far", done)
        self.told: list[str] = []

    def errand(self, far: Far) -> Errand:
        signer = signing_key("agent", 1).public
        return Errand(self.near, far, signer, lambda: b"secret", self.told.append, poll=0)

    def far(self, tamper: Tamper = honest, breaks: Iterator[str] | None = None) -> Far:
        return Far(
            "far", lambda: PlayedLine(self.end, tamper, breaks or iter(())), self.told.append, waits=(0,) * 3
        )

    def plan(self, tamper: Tamper = honest) -> None:
        with self.far(tamper) as far:
            self.errand(far).plan()
        shutil.copytree(self.done / "approvals", self.near.approvals)

    def run(self, tamper: Tamper = honest) -> None:
        with self.far(tamper) as far:
            self.errand(far).run()

    def follow(self, tamper: Tamper = honest) -> None:
        with self.far(tamper) as far:
            self.errand(far).follow()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("done")
    (folder / "exports").mkdir()
    (folder / "exports" / "list.csv").write_text("\n".join(str(n) for n in range(1000)))
    return Workbench(folder).whole(JOB.format(target=folder / "exports")).path


@pytest.fixture
def pair(tmp_path: Path, done: Path) -> Pair:
    return Pair(tmp_path, done)


def test_a_whole_job_ends_with_its_certificate_here(pair: Pair) -> None:
    pair.plan()
    pair.run()
    assert pair.near.journal.read_bytes() == (pair.done / "journal.jsonl").read_bytes()
    names = {p.relative_to(pair.done) for p in (pair.done / "certificate").rglob("*")}
    assert names == {p.relative_to(pair.near.path) for p in pair.near.certificate.rglob("*")}
    assert pair.end.begun == ["plan", "run"]
    pair.follow()  # again: nothing is begun, nothing is replaced
    pair.run()
    assert pair.end.begun == ["plan", "run"]


def test_at_every_exchange_the_connection_may_break(tmp_path: Path, done: Path) -> None:
    def whole(folder: Path, breaks: Iterator[str]) -> Pair:
        pair = Pair(folder, done)
        with pair.far(breaks=breaks) as far:
            pair.errand(far).plan()
            shutil.copytree(done / "approvals", pair.near.approvals)
            pair.errand(far).run()
        assert pair.end.begun == ["plan", "run"]
        assert (pair.near.certificate / "certificate.dsse.json").exists()
        return pair

    count = 0

    def counted() -> Iterator[str]:
        nonlocal count
        while True:
            count += 1
            yield ""

    whole(tmp_path / "unbroken", counted())
    assert count > 15
    for at in range(1, count):  # the first is the greeting of the first connection: that one must stand
        for how in ("question lost", "answer lost"):
            pair = whole(tmp_path / f"{at}-{how[0]}", iter([""] * at + [how]))
            assert any("trying again" in said for said in pair.told)


def test_a_host_that_stays_away_is_given_up_and_the_work_is_said_to_go_on(pair: Pair) -> None:
    pair.plan()

    def breaks() -> Iterator[str]:
        yield ""
        while True:
            yield "question lost"

    with (
        pytest.raises(errors.Transient, match="goes on: `deleatur remote follow`"),
        pair.far(breaks=breaks()) as far,
    ):
        pair.errand(far).run()


def other_past(done: Path) -> bytes:
    """The same plan, another history: every link holds."""
    directory = JobDirectory(done)
    approved = read_plan(directory)
    events = [e.event for e in read_entries(directory, approved)]
    first = msgspec.structs.replace(events[0], selftests=events[0].selftests + 1)
    return b"".join(line_of(e) for e in chained([first, *events[1:]], approved.digest))


def journal_of(content: bytes) -> Tamper:
    def tamper(question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        if isinstance(question, errand.Fetch) and question.name == "journal.jsonl":
            return errand.Piece(content=content[question.offset :], size=len(content))
        return answer

    return tamper


def test_a_rewritten_journal_is_refused_however_it_is_served(pair: Pair) -> None:
    pair.plan()
    true = (pair.done / "journal.jsonl").read_bytes()
    lines = true.splitlines(keepends=True)
    half = b"".join(lines[: len(lines) // 2])
    with pytest.raises(errors.DeleaturError):
        pair.run(journal_of(half))  # the work ended, and its journal does not say so
    assert pair.near.journal.read_bytes() == half
    forged = other_past(pair.done)
    assert forged != true
    assert len(forged.splitlines()) == len(lines)
    shorter = b"".join(lines[:2])
    spliced = half + b"".join(forged.splitlines(keepends=True)[len(lines) // 2 :])
    dropped = half + b"".join(lines[len(lines) // 2 + 1 :])
    for served in (forged, shorter, b"", spliced, dropped, half + b"{}\n"):
        with pytest.raises(errors.Refused, match="showed before"):
            pair.follow(journal_of(served))
        assert pair.near.journal.read_bytes() == half
        assert not pair.near.certificate.exists()
    pair.follow()
    assert pair.near.journal.read_bytes() == true


def test_a_torn_last_line_never_happened(pair: Pair) -> None:
    pair.plan()
    true = (pair.done / "journal.jsonl").read_bytes()
    with pytest.raises(errors.DeleaturError):
        pair.run(journal_of(true[:-20]))
    assert pair.near.journal.read_bytes() == true[: true[:-20].rfind(b"\n") + 1]
    pair.follow()
    assert pair.near.journal.read_bytes() == true


def test_a_certificate_over_another_journal_is_no_certificate_here(pair: Pair) -> None:
    """Signed by the right key, with a past that holds together, and not the one that was followed."""
    pair.plan()
    forged = other_past(pair.done)
    with pytest.raises(errors.Invalid, match="another journal than was followed"):
        pair.run(journal_of(forged))
    assert not pair.near.certificate.exists()


@pytest.mark.parametrize("name", ["plan.json", "journal.jsonl", "certificate.dsse.json", "evidence.sha256"])
def test_a_file_of_a_certificate_that_is_cut_short_leaves_none(pair: Pair, name: str) -> None:
    def cut(question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        if isinstance(question, errand.Fetch) and question.name == f"certificate/{name}":
            return errand.Piece(content=answer.content[:-2], size=answer.size - 2)
        return answer

    pair.plan()
    with pytest.raises(errors.Invalid):
        pair.run(cut)
    assert not pair.near.certificate.exists()
    pair.follow()
    assert pair.near.certificate.exists()


def test_a_fetch_that_ends_early_or_never_is_not_taken(pair: Pair) -> None:
    def early(question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        if isinstance(question, errand.Fetch) and question.name == "plan.json":
            return errand.Piece(content=answer.content[: max(0, 100 - question.offset)], size=answer.size)
        return answer

    def more(question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        return (
            errand.Piece(content=b"x" * 100, size=1 << 40) if isinstance(question, errand.Fetch) else answer
        )

    with pytest.raises(errors.Failed, match="100 of"):
        pair.plan(early)
    with pytest.raises(errors.Failed, match="more of"):
        pair.plan(more)
    assert not pair.near.plan.exists()
    pair.plan()


def test_a_plan_of_another_key_job_or_code_is_refused(pair: Pair, tmp_path: Path) -> None:
    strange = signing_key("agent", 9).public
    with pair.far() as far:
        errand_for = Errand(pair.near, far, strange, lambda: b"", pair.told.append, poll=0)
        with pytest.raises(errors.Refused, match="not `signer`"):
            errand_for.plan()
    text = pair.near.job.read_text()
    other = Workbench(tmp_path / "other")
    (tmp_path / "other" / "exports").mkdir(parents=True)
    (tmp_path / "other" / "exports" / "a").write_text("b" * 1000)
    elsewhere = other.job(text.replace(str(pair.done.parent / "exports"), str(tmp_path / "other/exports")))
    other.plan(elsewhere)
    swapped = {name: (elsewhere.path / name).read_bytes() for name in ("plan.json", "plan.dsse.json")}

    def of_another_job(question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        if isinstance(question, errand.Fetch) and question.name in swapped:
            return errand.Piece(
                content=swapped[question.name][question.offset :], size=len(swapped[question.name])
            )
        return answer

    with pytest.raises(errors.Refused, match=r"job\.toml changed"):
        pair.plan(of_another_job)
    assert not pair.near.plan.exists()


def test_another_plan_there_than_was_approved_here_is_not_run(pair: Pair) -> None:
    pair.plan()

    def other(_question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        return (
            msgspec.structs.replace(answer, plan="0" * 64) if isinstance(answer, errand.Standing) else answer
        )

    with pytest.raises(errors.Refused, match="not the one that is here"):
        pair.run(other)
    assert pair.end.begun == ["plan"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "0.0.9"}, "install the same"),
        ({"digests": ("0" * 64, "1" * 64)}, "other files than here"),
    ],
)
def test_other_code_is_refused_before_anything_is_asked(
    pair: Pair, change: dict[str, object], why: str
) -> None:
    asked: list[errand.AnyQuestion] = []

    def other(question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        asked.append(question)
        return msgspec.structs.replace(answer, **change) if isinstance(answer, errand.Welcome) else answer

    with pytest.raises(errors.Refused, match=why):
        pair.plan(other)
    assert asked == [errand.Hello()]
    assert not pair.end._directory.path.exists()


def test_residue_there_is_residue_here_with_its_report(pair: Pair, tmp_path: Path) -> None:
    found = tmp_path / "found"
    shutil.copytree(pair.done, found)
    shutil.rmtree(found / "certificate")
    lines = (found / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (found / "journal.jsonl").write_bytes(b"".join(lines[:-1]))
    pair.plan()
    pair.end.done = found
    pair.end.output = b'{"error": "Residue", "text": "erased data can still be read", "exit_code": 7}'
    (pair.end._directory.path / "residue-13.json").write_bytes(b"{}\n")
    with pytest.raises(errors.Residue, match="on far: erased data") as caught:
        pair.run()
    assert caught.value.exit_code == 7
    assert (pair.near.path / "residue-13.json").read_bytes() == b"{}\n"
    assert not pair.near.certificate.exists()


@pytest.mark.parametrize(
    ("output", "code"),
    [
        (b"", 6),
        (b'{"error": "Refused", "text": "a hold", "exit_code": 4}', 4),
        (b'{"error": "Malformed", "text": "no key (at $.x)", "exit_code": 3}', 3),
        (b'{"error": "SystemExit", "text": "a name that is none", "exit_code": 0}', 2),
        (b'{"certificate": "x"}', 2),
    ],
)
def test_however_the_work_ends_there_it_has_its_exit_code_here(pair: Pair, output: bytes, code: int) -> None:
    pair.plan()
    pair.end.done = Path("/nonexistent")
    pair.end.output = output
    with pytest.raises(errors.DeleaturError) as caught:
        pair.run()
    assert caught.value.exit_code == code


def test_a_certificate_that_is_only_said_to_be_there_is_none(pair: Pair) -> None:
    def nothing(_question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        return msgspec.structs.replace(answer, files=()) if isinstance(answer, errand.Standing) else answer

    pair.plan()
    with pytest.raises(errors.Failed, match="gives no certificate"):
        pair.run(nothing)


def test_an_answer_to_another_question_and_one_that_is_none_are_refused(pair: Pair) -> None:
    with pytest.raises(errors.Refused, match="another question"):
        pair.plan(lambda _question, _answer: errand.Piece(content=b"", size=0))
    with pytest.raises(errors.Refused, match="no deleatur of this version"):
        pair.plan(lambda _question, _answer: {"answer": "yes"})  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "certificate/../job.toml", "digest.key", "/etc/passwd", "run.out"]
)
def test_no_path_can_be_asked_for_or_offered(pair: Pair, name: str) -> None:
    pair.plan()
    with pytest.raises(errors.Malformed):
        decode_question(encode_json({"ask": "fetch", "name": name, "offset": 0}))
    with pytest.raises(errors.Malformed):
        decode_question(encode_json({"ask": "give", "name": name, "content": b""}))

    def offer(_question: errand.AnyQuestion, answer: errand.AnyAnswer) -> errand.AnyAnswer:
        return (
            msgspec.structs.replace(answer, files=(name,)) if isinstance(answer, errand.Standing) else answer
        )

    with pytest.raises(errors.Refused, match="no deleatur of this version"):
        pair.run(offer)


def test_two_documents_of_one_name_are_refused_there(pair: Pair) -> None:
    pair.plan()
    pair.near.job.write_bytes(pair.near.job.read_bytes() + b"# another\n")
    pair.near.plan.unlink()
    with pytest.raises(errors.Refused, match="stands already"), pair.far() as far:
        pair.errand(far).plan()


def test_a_job_for_another_host_is_not_done_here(pair: Pair, done: Path) -> None:
    pair.plan()
    pair.near.host.write_text("")
    bench = Workbench(pair.near.path.parent / "bench")
    with pytest.raises(errors.Refused, match="on another host"):
        bench.run(pair.near)
    pair.near.plan.unlink()
    with pytest.raises(errors.Refused, match="on another host"):
        bench.plan(pair.near)


def fill(path: Path) -> None:
    """Take all room that a disk has left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 1024)


@pytest.mark.root
def test_a_full_disk_here_loses_nothing(pair: Pair, tmp_path: Path) -> None:
    """The work there is done; the journal is fetched to the end once there is room."""
    pair.plan()
    with small_disk(1, WITHOUT_JOURNAL) as (mount, _):
        near = JobDirectory(mount / "near")
        shutil.copytree(pair.near.path, near.path)
        pair.near = near
        ballast = mount / "ballast"
        fill(ballast)
        with pytest.raises(OSError, match="No space"):
            pair.run()
        assert not near.certificate.exists()
        ballast.unlink()
        pair.follow()
        assert pair.end.begun == ["plan", "run"]
        assert near.journal.read_bytes() == (pair.done / "journal.jsonl").read_bytes()


def test_work_runs_once_and_its_lock_says_so(pair: Pair) -> None:
    pair.plan()
    output = pair.end._directory.output
    with output.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert pair.end.answer(errand.Look()).running
        refused = pair.end.answer(errand.Start(work="run", number="a" * 32, passphrase=b"x"))
        assert isinstance(refused, errand.Objection)
        assert refused.error == "Refused"
    assert not pair.end.answer(errand.Look()).running
    assert pair.end.begun == ["plan"]


def test_a_journal_is_on_the_disk_there_before_it_is_told(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.plan()
    pair.run()
    synced: list[str] = []
    real = serving.os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(serving.os, "fsync", noted)
    pair.end.answer(errand.Fetch(name="journal.jsonl", offset=0))
    assert synced == ["journal.jsonl"]


def test_software_is_that_of_both_packages() -> None:
    code = serving.software()
    assert len(set(code.digests)) == 2
    assert all(len(d) == len(hashlib.sha256().hexdigest()) for d in code.digests)
