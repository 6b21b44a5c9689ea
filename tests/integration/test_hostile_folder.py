"""Links, garbage, full disks and swapped files in the folders of a job: refused by name, nothing lost."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ..small_disk import WITHOUT_JOURNAL, small_disk
from .hostile import Agent, content_of, file_target, wrapped


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    return Agent(tmp_path_factory.mktemp("hostile") / "agent")


@pytest.fixture(scope="module")
def approved(agent: Agent) -> Path:
    """An approved job on a folder; tests change copies of it, and nobody may run it."""
    goal = agent.folder / "goal"
    goal.mkdir()
    (goal / "file").write_text("precious")
    return agent.planned("approved", file_target(goal))


@pytest.fixture(scope="module")
def certified(agent: Agent) -> Path:
    """A job that has been run to its certificate."""
    goal = agent.folder / "done"
    goal.mkdir()
    (goal / "file").write_text("precious")
    job = agent.planned("certified", file_target(goal))
    assert agent.fork("run", job, "--json").code == 0
    return job


# --- what lies in place of a job's files ------------------------------------------------------------

NAMES = (
    "job.toml",
    "plan.json",
    "journal.jsonl",
    "approvals",
    "spool.bin",
    "digest.key",
    "certificate",
    "archive",
)


def to_a_file(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "file")


def to_a_folder(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def to_nothing(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "nothing")


def a_pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("put", [to_a_file, to_a_folder, to_nothing, a_pipe])
def test_nothing_is_read_or_written_through_what_lies_in_place_of_a_file(
    agent: Agent, approved: Path, tmp_path: Path, name: str, put: Callable[[Path, Path], None]
) -> None:
    outside, job = tmp_path / "outside", tmp_path / "job"
    outside.mkdir()
    (outside / "file").write_text("precious")
    shutil.copytree(approved, job)
    place = job / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    put(place, outside)
    before = content_of(outside), content_of(agent.folder / "goal")
    for command in ("plan", "run", "resume", "status"):
        ended = agent.fork(command, job, "--json")
        answer = ended.json()
        if command == "run":
            assert ended.code == 4, ended
            assert name in answer["text"] or "begun already" in answer["text"], answer
        assert ended.code in ((0, 4) if command == "status" else (4,)), (command, ended)
    assert (content_of(outside), content_of(agent.folder / "goal")) == before


def test_a_target_swapped_for_a_link_after_the_plan_is_refused(agent: Agent, tmp_path: Path) -> None:
    goal, other = tmp_path / "goal", tmp_path / "other"
    for folder in (goal, other):
        folder.mkdir()
        (folder / "file").write_text("precious")
    job = agent.planned(str(tmp_path / "job"), file_target(goal))
    goal.rename(tmp_path / "moved")
    goal.symlink_to(other)
    assert agent.fork("run", job, "--json").code == 4
    goal.unlink()
    other.rename(goal)
    assert agent.fork("resume", job, "--json").code == 4
    assert (goal / "file").read_text() == "precious"
    assert (tmp_path / "moved/file").read_text() == "precious"


def test_links_raced_into_a_tree_are_never_followed(agent: Agent, tmp_path: Path) -> None:
    goal, other = tmp_path / "goal", tmp_path / "other"
    for folder in (goal, other):
        folder.mkdir()
    for number in range(40):
        (goal / f"{number}").mkdir()
        for folder in (goal / f"{number}", other):
            (folder / "file").write_text("precious")
    job = agent.planned(str(tmp_path / "job"), file_target(goal))
    process = agent.start("run", job, "--json")
    turns = 0
    while process.poll() is None:  # swap a folder for a link and back, as fast as it goes
        place, aside = goal / f"{turns % 40}", tmp_path / "aside"
        turns += 1
        try:
            place.rename(aside)
            place.symlink_to(other)
            place.unlink()
            aside.rename(place)
        except OSError:  # removed or renamed by the job
            continue
    process.communicate()
    assert process.returncode in (0, 2, 4)
    assert turns > 10
    assert (other / "file").read_text() == "precious"


# --- the job's directory ----------------------------------------------------------------------------


def test_a_job_directory_that_is_none_is_refused(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path in ("file", "pipe", "loop", "nothing", "file/below", "x" * 300):
        for command in ("plan", "run", "resume", "status"):
            ended = agent.fork(command, tmp_path / path, "--json")
            assert ended.code in (2, 4), (path, command, ended)
            ended.json()


def test_odd_bytes_in_the_name_of_a_job_directory_work_and_never_reach_the_terminal(agent: Agent) -> None:
    goal = agent.folder / "odd"
    goal.write_text("precious")
    name = b"job \xff\n\x1b[31m\xe2\x80\xae"
    job = os.fsencode(agent.folder) + b"/" + name
    os.mkdir(job)
    with open(job + b"/job.toml", "w") as file:
        file.write((agent.job("odd-text", file_target(goal)) / "job.toml").read_text())
    for command in ("plan", "status"):
        assert agent.run(command, job).code == 0
        agent.run(command, job, "--json").json()
    digest = agent.run("status", job, "--json").json()["plan"]
    for who in ("alice", "bob"):
        ended = agent.run("approve", job, "--key", f"keys/{who}.key", "--digest", digest)
        assert ended.code == 0
        assert r"\udcff\n\x1b[31m\u202e" in ended.out
    ended = agent.run("run", job)
    assert (ended.code, goal.exists()) == (0, False)
    assert agent.run("verify", job + b"/certificate", "--key", "keys/agent.pub").code == 0


def test_odd_names_inside_a_target_are_erased_and_never_printed(agent: Agent, tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.mkdir()
    odd = [b"\xff\xfe", b"two\nlines", b"\x1b]0;title\x07", b"\xe2\x80\xaetxt.exe", b"-rf", b" ", b"a" * 255]
    for name in odd:
        with open(os.fsencode(goal) + b"/" + name, "wb") as file:
            file.write(b"precious")
    job = agent.planned(str(tmp_path / "job"), file_target(goal))
    ended = agent.run("run", job)
    assert (ended.code, goal.exists()) == (0, False), ended
    written = b"".join(content_of(job).values()) + os.fsencode(ended.out + ended.err)
    assert [name for name in odd if len(name) > 2 and name in written] == []


@pytest.fixture
def small() -> Iterator[Path]:
    """A file system of 8 MiB."""
    with small_disk(8, WITHOUT_JOURNAL) as (mount, _):
        yield mount


def fill(place: Path) -> None:
    """Leave no block free, not even those that are kept for root."""
    with (place / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            try:
                while file.write(bytes(size)):
                    continue
            except OSError:
                continue


@pytest.mark.root
def test_a_full_file_system_loses_nothing(agent: Agent, small: Path, tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.write_text("precious")
    job = agent.job(str(small / "job"), file_target(goal))
    fill(small)
    assert agent.fork("plan", job, "--json").code == 2
    assert not (job / "plan.json").exists()
    (small / "ballast").unlink()
    assert agent.fork("plan", job, "--json").code == 0
    digest = agent.fork("status", job, "--json").json()["plan"]
    fill(small)
    assert agent.fork("approve", job, "--key", "keys/alice.key", "--digest", digest).code == 2
    (small / "ballast").unlink()
    for who in ("alice", "bob"):
        assert agent.fork("approve", job, "--key", f"keys/{who}.key", "--digest", digest).code == 0
    fill(small)
    ended = agent.fork("run", job)
    assert (ended.code, goal.read_text()) == (2, "precious"), ended
    (small / "ballast").unlink()
    assert agent.fork("resume", job).code == 0
    assert not goal.exists()
    assert agent.fork("verify", job / "certificate", "--key", "keys/agent.pub").code == 0


@pytest.mark.root
def test_a_read_only_file_system_is_named(agent: Agent, approved: Path, small: Path) -> None:
    shutil.copytree(approved, small / "job")
    (small / "new").mkdir()
    shutil.copy(approved / "job.toml", small / "new")
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    for command, job in (("plan", "new"), ("run", "job")):
        ended = agent.fork(command, small / job)
        assert ended.code == 2, ended
        assert "read-only file system" in ended.err.lower(), ended
    assert agent.fork("status", small / "job").code == 0
    assert (agent.folder / "goal/file").read_text() == "precious"


# --- two at once ------------------------------------------------------------------------------------


def test_two_jobs_on_one_target_end_in_one_certificate(agent: Agent, tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.mkdir()
    for number in range(30):
        (goal / f"{number}").write_bytes(os.urandom(200_000))
    jobs = [agent.planned(str(tmp_path / name), file_target(goal)) for name in ("one", "two")]
    running = [agent.start("run", job, "--json") for job in jobs]
    codes = [process.wait(60) for process in running]
    for process in running:
        process.communicate()
    codes = [code or agent.fork("resume", job).code for code, job in zip(codes, jobs, strict=True)]
    certificates = [job for job in jobs if (job / "certificate").exists()]
    assert len(certificates) <= 1, codes
    assert sorted(codes)[1] in (2, 4, 7), codes
    for job in certificates:
        assert agent.fork("verify", job / "certificate", "--key", "keys/agent.pub").code == 0
        assert not goal.exists()


def test_one_job_run_twice_at_once_is_refused_once(agent: Agent, tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.write_bytes(os.urandom(30 << 20))
    job = agent.planned(str(tmp_path / "job"), file_target(goal))
    running = [agent.start("run", job, "--json") for _ in range(2)]
    for process in running:
        process.communicate()
    assert sorted(process.returncode for process in running) == [0, 4]
    assert not goal.exists()


# --- keys and passphrases ---------------------------------------------------------------------------


def key_files(folder: Path) -> dict[str, tuple[Path, int]]:
    """Write files that are no private key of ours; return them with the exit code of each."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    clear = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    stranger = wrapped(Ed25519PrivateKey.generate())
    contents = {
        "rsa": (wrapped(private), 8),
        "public": (private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 8),
        "clear": (clear, 8),
        "stranger": (stranger, 4),
        "damaged": (stranger[:80] + b"AAAA" + stranger[84:], 4),
        "cut": (stranger[:100], 4),
        "empty": (b"", 8),
        "noise": (os.urandom(1000), 8),
        "huge": (stranger + bytes(20_000), 8),
    }
    for name, (content, _) in contents.items():
        (folder / f"{name}.key").write_bytes(content)
    return {name: (folder / f"{name}.key", code) for name, (_, code) in contents.items()}


def test_a_wrong_key_is_named_and_approves_nothing(agent: Agent, approved: Path, tmp_path: Path) -> None:
    digest = agent.fork("status", approved, "--json").json()["plan"]
    job = tmp_path / "job"
    shutil.copytree(approved, job)
    shutil.rmtree(job / "approvals")
    for name, (path, code) in key_files(tmp_path).items():
        ended = agent.fork("approve", job, "--key", path, "--digest", digest, "--json")
        assert ended.code == code, (name, ended)
        ended.json()
    for path, code in (("keys/alice.pub", 8), ("keys/nobody.key", 4), ("keys/agent.key", 4)):
        assert agent.fork("approve", job, "--key", path, "--digest", digest, "--json").code == code
    assert not (job / "approvals").exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\nx", b"wrong\n", b"x" * 5000, b"\xff\xfe\n", b" \n"])
def test_a_wrong_passphrase_is_refused(agent: Agent, approved: Path, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    digest = agent.fork("status", approved, "--json").json()["plan"]
    ended = agent.fork(
        *("approve", approved, "--key", "keys/alice.key", "--digest", digest, "--json"),
        *("--passphrase-file", file),
    )
    assert ended.code == 4, ended
    assert "passphrase" in ended.json()["text"]


# --- certificates -----------------------------------------------------------------------------------


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def damages() -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Yield ways to damage a certificate's folder, by name."""
    for name in ("certificate.dsse.json", "evidence.sha256", "plan.json", "journal.jsonl", "targets/t1.txt"):
        yield f"no {name}", lambda f, n=name: (f / n).unlink()
        yield f"cut {name}", lambda f, n=name: os.truncate(f / n, (f / n).stat().st_size - 2)
        yield f"half {name}", lambda f, n=name: os.truncate(f / n, (f / n).stat().st_size // 2)
        yield f"empty {name}", lambda f, n=name: os.truncate(f / n, 0)
        yield f"longer {name}", lambda f, n=name: os.truncate(f / n, (f / n).stat().st_size + 1)
        yield f"link {name}", lambda f, n=name: swap(f / n, lambda p, c: p.symlink_to(f.parent / "copy"))
        yield f"pipe {name}", lambda f, n=name: swap(f / n, lambda p, c: os.mkfifo(p))
        yield f"folder {name}", lambda f, n=name: swap(f / n, lambda p, c: p.mkdir())
        yield f"noise {name}", lambda f, n=name: (f / n).write_bytes(os.urandom(500))
    for number, line in enumerate(("../../job.toml", "/etc/passwd", "targets/../plan.json", "keys/.pub", "")):
        text = f"{'0' * 64}  {line}\n"
        yield f"line {number}", lambda f, t=text: append(f / "evidence.sha256", t)
    yield "approvals gone", lambda f: shutil.rmtree(f / "approvals")
    yield "targets a link", lambda f: swap_folder(f / "targets")
    yield "everything gone", remove


def swap(path: Path, make: Callable[[Path, bytes], object]) -> None:
    """Put something else in a file's place, with the true content beside the folder."""
    content = path.read_bytes()
    (path.parents[len(path.parts) - len(path.parent.parts)] / "copy").write_bytes(content)
    path.unlink()
    make(path, content)


def swap_folder(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


DAMAGES = dict(damages())


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_certificate_does_not_verify(
    agent: Agent, certified: Path, tmp_path: Path, how: str
) -> None:
    folder = tmp_path / "certificate"
    shutil.copytree(certified / "certificate", folder)
    DAMAGES[how](folder)
    ended = agent.fork("verify", folder, "--key", "keys/agent.pub", "--json")
    assert ended.code == 8, (how, ended)
    ended.json()
    assert agent.fork("show", folder, "--json").code in (0, 8)


def test_what_is_no_certificate_does_not_verify(agent: Agent, certified: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 30)
    garbage = ["pipe", "empty", "huge", "nothing", "/dev/null", "/dev/zero", "/etc/passwd", "/", certified]
    for path in (*garbage, certified / "plan.json", certified / "approvals", "x" * 300):
        for command in (["verify", "--key", "keys/agent.pub"], ["show"]):
            ended = agent.fork(*command, tmp_path / path, "--json")
            assert ended.code in (2, 8), (path, ended)
            ended.json()


def test_a_certificate_signed_by_others_or_too_few_does_not_verify(agent: Agent, certified: Path) -> None:
    certificate = certified / "certificate"
    for options, code in (
        (("--key", "keys/alice.pub"), 8),
        (("--key", "keys/agent.pub", "--key", "keys/bob.pub"), 8),
        (("--key", "keys/agent.pub", "--key", "keys/agent.pub"), 4),
        (("--key", "keys/agent.pub", "--threshold", "2"), 4),
        (("--key", "keys/agent.pub", "--threshold", "0"), 2),
        (("--key", "keys/agent.key"), 8),
        (("--key", "keys/agent.pub", "--about", "deleatur.toml"), 8),
        (("--key", "keys/agent.pub"), 0),
    ):
        ended = agent.fork("verify", certificate, *options, "--json")
        assert ended.code == code, (options, ended)
        ended.json()
