"""The spool: killed, cut, changed or copied, it never shows a value and never gives a wrong one."""

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deleatur.documents.place import Locator
from deleatur.engine import key_ring
from deleatur.engine import spool as module
from deleatur.engine.spool import MAX_VALUE, Spool, destroy_file
from deleatur.errors import Failed, Refused

Pairs = list[tuple[Locator, bytes]]


def pairs(stem: str, count: int) -> Pairs:
    return [(Locator(unit=f"inode-{n}", item="x"), f"{stem} {n}".encode()) for n in range(count)]


ONE, TWO = pairs("Anna Berg", 3), pairs("Berta Tal", 2)


@pytest.fixture
def job() -> Iterator[str]:
    """A job id of its own, whose key is gone afterwards."""
    unique = secrets.token_hex(16)
    yield unique
    key_ring.destroy(f"spool:{unique}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.bin"


def opened(path: Path, job: str) -> Spool:
    spool = Spool.open(path, job)
    assert spool is not None
    return spool


def filled(path: Path, job: str) -> None:
    """Two targets sealed by one process, a third begun by another that was killed."""
    spool = Spool.create(path, job)
    spool.append("one", ONE)
    spool.seal("one")
    spool.append("two", TWO)
    spool.seal("two")
    spool.close()
    spool = opened(path, job)
    spool.append("three", ONE)
    spool.commit()
    spool.close()


def test_what_was_sealed_is_read_back_by_another_process(path: Path, job: str) -> None:
    filled(path, job)
    code = (
        "import sys; from pathlib import Path; from deleatur.engine.spool import Spool;"
        " s = Spool.open(Path(sys.argv[1]), sys.argv[2]);"
        " print([v.decode() for _, v in s.read('one')], s.sealed('three'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), job], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['Anna Berg 0', 'Anna Berg 1', 'Anna Berg 2'] False\n"


def test_the_file_is_private(path: Path, job: str) -> None:
    filled(path, job)
    assert path.stat().st_mode & 0o777 == 0o600


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["one", "two"]),
            st.lists(st.tuples(st.text(max_size=30), st.binary(max_size=3000)), max_size=5),
            st.sampled_from(["seal", "leave", "reopen"]),
        ),
        max_size=6,
    )
)
def test_of_each_target_the_last_sealed_sample_counts(
    tmp_path: Path, job: str, turns: list[tuple[str, list[tuple[str, bytes]], str]]
) -> None:
    path = tmp_path / "spool.bin"
    spool = Spool.create(path, job)
    expected: dict[str, Pairs] = {}
    begun: dict[str, Pairs] = {}
    for target, content, then in turns:
        sample = [(Locator(unit="u", item=item), value) for item, value in content]
        spool.append(target, sample)
        begun.setdefault(target, []).extend(sample)
        if then == "seal":
            spool.seal(target)
            expected[target] = begun.pop(target)
        if then == "reopen":
            spool.close()
            spool, begun = opened(path, job), {}
    for target in ("one", "two"):
        assert spool.sealed(target) == (target in expected)
        if target in expected:
            assert list(spool.read(target)) == expected[target]
    spool.destroy()


def test_a_sample_that_was_not_sealed_is_not_read(path: Path, job: str) -> None:
    filled(path, job)
    with pytest.raises(Failed, match="three: its sample is not complete"):
        list(opened(path, job).read("three"))


def test_cut_at_any_byte_it_opens_with_what_was_whole_and_goes_on(
    path: Path, job: str, tmp_path: Path
) -> None:
    filled(path, job)
    content = path.read_bytes()
    cut = tmp_path / "cut.bin"
    sealed_at = set()
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        spool = Spool.open(cut, job)
        if length < 32:
            assert spool is None
            continue
        assert spool is not None
        sealed = (spool.sealed("one"), spool.sealed("two"))
        sealed_at.add(sealed)
        for target, expected, is_sealed in zip(("one", "two"), (ONE, TWO), sealed, strict=True):
            if is_sealed:
                assert list(spool.read(target)) == expected
        spool.append("three", TWO)
        spool.seal("three")
        with closing(opened(cut, job)) as again:
            assert list(again.read("three")) == TWO
        spool.close()
    assert sealed_at == {(False, False), (True, False), (True, True)}


def test_a_changed_bit_anywhere_is_refused(path: Path, job: str, tmp_path: Path) -> None:
    filled(path, job)
    content = path.read_bytes()
    changed = tmp_path / "changed.bin"
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        changed.write_bytes(damaged)
        changed.chmod(0o600)
        with pytest.raises(Refused, match="was changed"):
            Spool.open(changed, job)


def test_a_change_after_opening_is_refused_when_read(path: Path, job: str) -> None:
    filled(path, job)
    spool = opened(path, job)
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(Refused, match="was changed"):
        list(spool.read("one"))


def test_frames_in_another_order_are_refused(path: Path, job: str) -> None:
    filled(path, job)
    content = path.read_bytes()
    starts = [m.start() for m in re.finditer(rb"[RS]\x00\x00[\x00-\xff]{6}", content)]
    frames = [content[a:b] for a, b in zip(starts, [*starts[1:], len(content)], strict=True)]
    assert b"".join([content[:32], *frames]) == content
    for a, b in ((1, 2), (3, 4), (0, len(frames) - 2)):
        swapped = list(frames)
        swapped[a], swapped[b] = swapped[b], swapped[a]
        path.write_bytes(b"".join([content[:32], *swapped]))
        with pytest.raises(Refused, match="was changed"):
            Spool.open(path, job)


def test_whole_segments_in_another_order_are_refused(path: Path, job: str) -> None:
    spool = Spool.create(path, job)
    spool.append("one", ONE)
    spool.seal("one")
    middle = path.stat().st_size
    spool.close()
    spool = opened(path, job)
    spool.append("one", TWO)
    spool.seal("one")
    content = path.read_bytes()
    path.write_bytes(content[:32] + content[middle:] + content[32:middle])
    with pytest.raises(Refused, match="was changed"):
        Spool.open(path, job)


def test_a_long_torn_record_is_cut_off_before_anything_shorter_is_written(path: Path, job: str) -> None:
    filled(path, job)
    spool = opened(path, job)
    spool.append("four", [(Locator(unit="u"), b"Dora Hain" * 1000)])
    spool.close()
    os.truncate(path, path.stat().st_size - 1)
    spool = opened(path, job)
    spool.append("four", TWO)
    spool.seal("four")
    again = opened(path, job)
    assert list(again.read("four")) == TWO
    assert list(again.read("one")) == ONE


def test_another_key_or_another_job_is_refused(path: Path, job: str) -> None:
    filled(path, job)
    key = key_ring.fetch(f"spool:{job}")
    assert key is not None
    other = secrets.token_hex(16)
    key_ring.store(f"spool:{other}", key)
    try:
        with pytest.raises(Refused, match="belongs to another job"):
            Spool.open(path, other)
    finally:
        key_ring.destroy(f"spool:{other}")
    key_ring.store(f"spool:{job}", secrets.token_bytes(32))
    with pytest.raises(Refused, match="was changed"):
        Spool.open(path, job)


def test_without_key_or_file_there_is_no_spool_and_a_new_one_may_begin(path: Path, job: str) -> None:
    assert Spool.open(path, job) is None
    filled(path, job)
    key_ring.destroy(f"spool:{job}")  # a power loss
    assert Spool.open(path, job) is None
    spool = Spool.create(path, job)
    assert not spool.sealed("one")
    spool.close()
    path.unlink()
    assert Spool.open(path, job) is None
    Spool.create(path, job).destroy()


def test_a_spool_in_use_is_not_begun_anew(path: Path, job: str) -> None:
    filled(path, job)
    with pytest.raises(Refused, match="resume it"):
        Spool.create(path, job)
    assert list(opened(path, job).read("one")) == ONE


def test_where_the_key_cannot_be_looked_for_nobody_says_it_is_gone(
    path: Path, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, job)
    with monkeypatch.context() as patch:
        patch.setattr(key_ring, "_SYSCALLS", {})
        patch.setattr(key_ring, "_TMPFS_DIRECTORIES", ())
        for use in (Spool.open, Spool.create, Spool.destroy_at):
            with pytest.raises(Refused, match="may not use"):
                use(path, job)
    assert list(opened(path, job).read("one")) == ONE


def test_no_two_processes_write_under_one_key(path: Path, job: str) -> None:
    """A torn record that is written again differently must not meet its old nonce."""
    filled(path, job)
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    again = opened(path, job)
    again.append("three", ONE)
    again.commit()
    salts = re.findall(rb"S\x00\x00\x00\x20....(.{32})", path.read_bytes(), re.DOTALL)
    assert len(salts) == len(set(salts)) == 3


def test_a_failed_write_ends_the_writing_and_loses_nothing_before_it(
    path: Path, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, job)
    spool = opened(path, job)
    spool.append("four", ONE[:1])
    with monkeypatch.context() as patch:

        def full(fd: int, content: bytes, offset: int) -> int:
            raise OSError(28, "No space left on device")

        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            spool.append("four", ONE)
    for use in (lambda: spool.append("four", ONE), lambda: spool.seal("four")):
        with pytest.raises(Failed, match="an earlier write failed"):
            use()
    spool.close()
    spool = opened(path, job)
    assert list(spool.read("one")) == ONE
    spool.append("four", TWO)
    spool.seal("four")
    assert list(opened(path, job).read("four")) == TWO


def test_a_value_too_long_is_refused_before_anything_is_written(path: Path, job: str) -> None:
    spool = Spool.create(path, job)
    with pytest.raises(Failed, match="longer than"):
        spool.append("one", [(Locator(unit="u"), bytes(MAX_VALUE + 1))])
    spool.append("one", [(Locator(unit="u", item="i" * 4000), bytes(MAX_VALUE))])
    spool.seal("one")
    assert [len(v) for _, v in opened(path, job).read("one")] == [MAX_VALUE]


@pytest.mark.parametrize("plant", ["link", "hard link", "pipe"])
def test_nothing_else_is_opened_or_overwritten_in_its_place(
    path: Path, job: str, plant: str, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"must stay")
    key_ring.store(f"spool:{job}", secrets.token_bytes(32))
    match plant:
        case "link":
            path.symlink_to(victim)
        case "hard link":
            path.hardlink_to(victim)
        case "pipe":
            os.mkfifo(path)
    for use in (Spool.open, Spool.create, Spool.destroy_at):
        with pytest.raises(Refused, match="remove it"):
            use(path, job)
    with pytest.raises(Refused, match="remove it"):
        destroy_file(path)
    assert victim.read_bytes() == b"must stay"
    assert os.path.lexists(path)


def test_destroying_overwrites_in_place_and_leaves_no_key(path: Path, job: str) -> None:
    filled(path, job)
    before = path.read_bytes()
    with path.open("rb") as kept_open:
        opened(path, job).destroy()
        after = kept_open.read()
    assert not path.exists()
    assert key_ring.fetch(f"spool:{job}") is None
    assert len(after) == len(before)
    assert not any(before[at : at + 16] in after for at in range(0, len(before) - 16, 16))
    Spool.destroy_at(path, job)


def test_destroy_file_takes_the_temporary_name_with_it(tmp_path: Path) -> None:
    """What a kill inside `JobDirectory.write_once` leaves: two names, or the temporary one alone."""
    file, temporary = tmp_path / "digest.key", tmp_path / ".digest.key.new"
    temporary.write_bytes(b"k" * 32)
    file.hardlink_to(temporary)
    with file.open("rb") as kept_open:
        destroy_file(file)
        assert b"kkkk" not in kept_open.read()
    temporary.write_bytes(b"k" * 32)
    destroy_file(file)
    destroy_file(file)
    assert list(tmp_path.iterdir()) == []


KILLS = r'''
"""Fork; let the child live through a spool's whole life; kill it at its n-th call; say what is left."""
import json, os, signal, sys
from pathlib import Path
from deleatur.documents.place import Locator
from deleatur.engine import key_ring, spool as module
from deleatur.engine.spool import Spool

path, job = Path(sys.argv[1]), sys.argv[2]
PAIRS = [(Locator(unit="u", item=str(n)), b"Anna Berg %d" % n) for n in range(2)]
CALLS = [(os, n) for n in ("open", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "unlink", "rename")]
CALLS += [(key_ring, "_syscall")]


def life():
    spool = Spool.open(path, job) or Spool.create(path, job)
    if not spool.sealed("one"):
        spool.append("one", PAIRS)
        spool.seal("one")
    spool.close()
    spool = Spool.open(path, job)
    assert list(spool.read("one")) == PAIRS
    if sys.argv[3] == "destroy":
        spool.destroy()
    else:
        spool.close()


def armed(real, count, kill_at, after):
    def call(*args, **named):
        count[0] += 1
        if count[0] == kill_at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **named)
        if count[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call


def run(kill_at, after):
    child = os.fork()
    if child == 0:
        count = [0]
        for owner, name in CALLS:
            setattr(owner, name, armed(getattr(owner, name), count, kill_at, after))
        try:
            life()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


results = []
for after in (False, True):
    kill_at = 1
    while True:
        died = run(kill_at, after)
        if died != -signal.SIGKILL:
            break
        recovered = run(0, False)
        spool = Spool.open(path, job)
        readable = spool is not None and list(spool.read("one")) == PAIRS
        if spool is not None:
            spool.close()
        key_left = key_ring.fetch("spool:" + job) is not None
        results.append([kill_at, recovered, readable, path.exists(), key_left])
        Spool.destroy_at(path, job)
        kill_at += 1
    results.append([0, died, None, None, None])
    Spool.destroy_at(path, job)
print(json.dumps(results))
'''


@pytest.mark.parametrize("ending", ["keep", "destroy"])
def test_killed_at_any_call_it_recovers(path: Path, job: str, ending: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(path), job, ending], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    kills = [r for r in results if r[0]]
    assert len(kills) > 30
    for _, recovered, readable, file_left, key_left in kills:
        assert recovered == 0, done.stderr
        assert (readable, file_left, key_left) == ((True,) * 3 if ending == "keep" else (False,) * 3)
    assert [r[1] for r in results if not r[0]] == [0, 0]  # the last life of each series ran to its end


TRACED = """
import sys
from pathlib import Path
from deleatur.documents.place import Locator
from deleatur.engine import key_ring
from deleatur.engine.spool import Spool
path, job = Path(sys.argv[1]), sys.argv[2]
for turn in range(2):
    spool = Spool.open(path, job) or Spool.create(path, job)
    spool.append("one", [(Locator(unit="u", item="Berta Tal 4711"), b"Anna Berg 4711")])
    spool.seal("one")
    assert list(spool.read("one"))[0][1] == b"Anna Berg 4711"
    spool.close()
key = key_ring.fetch("spool:" + job)
print(key.hex() if len(sys.argv) > 3 else "")
Spool.destroy_at(path, job)
"""


def test_no_value_and_no_key_is_ever_written_to_a_file(path: Path, job: str, tmp_path: Path) -> None:
    """Every byte that the process hands to the kernel for a file, as strace sees it."""
    trace = tmp_path / "trace"
    # The key is printed, so that it can be searched for: what goes to fd 1 is left out below.
    calls = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,mmap"
    tracer = ["strace", "-f", "-qq", "-xx", "-s", "1000000", "-e", calls, "-o", str(trace)]
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(
            [*tracer, sys.executable, "-c", TRACED, str(path), job, "print"], check=True, stdout=out
        )
    key = bytes.fromhex((tmp_path / "out").read_text().strip())
    assert len(key) == 32
    lines = [line for line in trace.read_text().splitlines() if not re.search(r"write\(1, ", line)]
    written = b"".join(
        bytes.fromhex(data.replace("\\x", ""))
        for line in lines
        for data in re.findall(r'"((?:\\x..)+)"', line)
    )
    assert b"deleatur-spool/1" in written  # the control: the trace shows what is written
    secret = [
        key,
        key.hex().encode(),
        key.hex().upper().encode(),
        base64.b64encode(key)[:40],
        b"Anna Berg",
        b"Berta Tal",
    ]
    for needle in [*secret, "Anna Berg".encode("utf-16-le")]:
        assert needle not in written
    assert not any("MAP_SHARED" in line and "PROT_WRITE" in line and "-1, 0" not in line for line in lines)


def test_no_file_of_the_job_holds_a_value_or_the_key(path: Path, job: str) -> None:
    filled(path, job)
    key = key_ring.fetch(f"spool:{job}")
    assert key is not None
    content = b"".join(f.read_bytes() for f in path.parent.rglob("*") if f.is_file())
    assert len(content) > 500
    for needle in (
        key,
        key[:8],
        key.hex().encode(),
        base64.b64encode(key)[:40],
        b"Anna",
        b"Berta",
        b"inode-",
    ):
        assert needle not in content


def test_nothing_printed_shows_a_value(path: Path, job: str) -> None:
    filled(path, job)
    assert "Anna" not in repr(opened(path, job))
    shutil.copy(path, path.with_name("copy"))
    assert "Anna" not in repr(vars(opened(path, job))["_samples"])
    assert module.MAX_VALUE == MAX_VALUE
