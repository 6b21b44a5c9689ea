"""The key ring: both places are real ones, and another process finds the key until it is destroyed."""

import os
import secrets
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.engine import key_ring
from deleatur.errors import Failed, Refused

# Forbid add_key and keyctl (EPERM) for this process and its children, as the default of containers does.
FORBID = """
import ctypes, struct
from deleatur.engine import key_ring
libc = ctypes.CDLL(None, use_errno=True)
add_key, keyctl = key_ring._SYSCALLS[key_ring.platform.machine()]
allow, deny = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM
code = [(0x20, 0, 0, 0), (0x15, 2, 0, add_key), (0x15, 1, 0, keyctl), (6, 0, 0, allow), (6, 0, 0, deny)]
buffer = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(len(code), ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
"""
FETCH = "import sys; from deleatur.engine import key_ring; print((key_ring.fetch(sys.argv[1]) or b'').hex())"
NEW_SESSION = """
from deleatur.engine import key_ring
if key_ring.reachable("kernel keyring"):
    key_ring._syscall(1, 1, None)  # KEYCTL_JOIN_SESSION_KEYRING
"""
HAVEN = "kernel keyring" if key_ring.reachable("kernel keyring") else "tmpfs"  # of this machine


def run(code: str, *arguments: str) -> str:
    """Run code in a new process and a new session, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, start_new_session=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def name() -> Iterator[str]:
    unique = f"test:{secrets.token_hex(8)}"
    yield unique
    key_ring.destroy(unique)


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose kernel knows no keyring."""
    monkeypatch.setattr(key_ring, "_SYSCALLS", {})


def test_the_key_is_kept_for_another_process_until_it_is_destroyed(name: str) -> None:
    key = secrets.token_bytes(32)
    assert key_ring.store(name, key) == HAVEN
    assert key_ring.fetch(name) == key
    assert run(FETCH, name) == key.hex()
    assert run(NEW_SESSION + FETCH, name) == key.hex()
    key_ring.destroy(name)
    assert key_ring.fetch(name) is None
    assert run(FETCH, name) == ""


def test_the_key_outlives_the_process_that_made_it(name: str) -> None:
    made = run(
        "import sys; from deleatur.engine import key_ring; key = bytes(range(1, 33));"
        " print(key_ring.store(sys.argv[1], key)); print(key_ring.fetch(sys.argv[1]) == key)",
        name,
    )
    assert made.split("\n") == [HAVEN, "True"]
    assert key_ring.fetch(name) == bytes(range(1, 33))


def test_another_process_can_destroy_it(name: str) -> None:
    key_ring.store(name, secrets.token_bytes(32))
    run("import sys; from deleatur.engine import key_ring; key_ring.destroy(sys.argv[1])", name)
    assert key_ring.fetch(name) is None


def test_the_key_lies_in_a_file_only_when_the_kernel_does_not_keep_it(name: str) -> None:
    key_ring.store(name, secrets.token_bytes(32))
    files = [d for d in key_ring._TMPFS_DIRECTORIES if key_ring._file_path(d, name).exists()]
    assert bool(files) == (HAVEN == "tmpfs")


def test_a_second_key_replaces_the_first(name: str) -> None:
    for _ in range(2):
        key = secrets.token_bytes(32)
        key_ring.store(name, key)
        assert key_ring.fetch(name) == key
    key_ring.destroy(name)
    assert key_ring.fetch(name) is None


def test_names_do_not_mix(name: str) -> None:
    key_ring.store(name, secrets.token_bytes(32))
    assert key_ring.fetch(name + "x") is None
    assert key_ring.fetch(name[:-1]) is None
    key_ring.destroy(name + "x")
    assert key_ring.fetch(name) is not None


def test_destroying_what_is_not_there_is_harmless(name: str) -> None:
    key_ring.destroy(name)
    key_ring.destroy(name)
    assert key_ring.fetch(name) is None


@pytest.mark.parametrize("key", [b"", b"short", bytes(32), b"x" * 33])
def test_what_is_no_key_is_not_kept(name: str, key: bytes) -> None:
    with pytest.raises(Failed, match="not 32 random bytes"):
        key_ring.store(name, key)
    assert key_ring.fetch(name) is None


def test_where_the_keyring_is_forbidden_a_private_file_in_memory_takes_its_place(name: str) -> None:
    code = (
        FORBID
        + "import sys; print(key_ring.store(sys.argv[1], bytes(range(1, 33))))"
        + "; print(key_ring.reachable('kernel keyring'))"
    )
    assert run(code, name) == "tmpfs\nFalse"
    file = key_ring._file_path(Path("/dev/shm"), name)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_size == 32
    assert run(FORBID + FETCH, name) == bytes(range(1, 33)).hex()
    assert key_ring.fetch(name) == bytes(range(1, 33))
    key_ring.destroy(name)
    assert not file.exists()
    assert run(FORBID + FETCH, name) == ""


def test_a_key_overwritten_but_not_yet_unlinked_is_gone(name: str, no_keyring: None) -> None:
    assert key_ring.store(name, secrets.token_bytes(32)) == "tmpfs"
    file = key_ring._file_path(Path("/dev/shm"), name)
    file.write_bytes(bytes(32))
    assert key_ring.fetch(name) is None
    file.write_bytes(b"cut short")
    assert key_ring.fetch(name) is None
    key_ring.destroy(name)
    assert not file.exists()


def test_the_file_is_overwritten_before_its_name_goes(name: str, no_keyring: None) -> None:
    key_ring.store(name, secrets.token_bytes(32))
    with key_ring._file_path(Path("/dev/shm"), name).open("rb") as kept_open:
        key_ring.destroy(name)
        assert kept_open.read() == bytes(32)


@pytest.mark.parametrize("plant", ["link", "pipe", "readable", "second name"])
def test_something_else_in_the_place_of_the_key_is_refused(
    name: str, no_keyring: None, plant: str, tmp_path: Path
) -> None:
    file = key_ring._file_path(Path("/dev/shm"), name)
    other = file.with_name(file.name + "-other")
    try:
        match plant:
            case "link":
                file.symlink_to(tmp_path / "elsewhere")
            case "pipe":
                os.mkfifo(file, 0o600)
            case "readable":
                file.write_bytes(b"k" * 32)
                file.chmod(0o644)
            case "second name":
                key_ring.store(name, b"k" * 32)
                other.hardlink_to(file)
        for use in (key_ring.fetch, key_ring.destroy):
            with pytest.raises(Refused, match="remove it"):
                use(name)
    finally:
        file.unlink()
        other.unlink(missing_ok=True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_disk_is_no_place_for_a_key(
    name: str, no_keyring: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "_TMPFS_DIRECTORIES", (tmp_path,))
    with pytest.raises(Refused, match="mount a tmpfs on /dev/shm"):
        key_ring.store(name, secrets.token_bytes(32))
    assert list(tmp_path.iterdir()) == []
    assert not key_ring.reachable("tmpfs")


def test_a_key_that_does_not_go_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key_ring.store(name, secrets.token_bytes(32))
    with monkeypatch.context() as patch:
        patch.setattr(key_ring, "_keyring_destroy", lambda name: None)
        patch.setattr(key_ring, "_file_destroy", lambda directory, name: None)
        with pytest.raises(Failed, match="can still be read"):
            key_ring.destroy(name)


def test_a_hardened_process_leaves_no_core_and_is_not_traced() -> None:
    code = """
import ctypes, os, resource
from deleatur.engine import key_ring
most = resource.getrlimit(resource.RLIMIT_CORE)[1]  # whatever the tests before left
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
key_ring.harden_process()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE), flush=True)
os.abort()
"""
    done = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, _ = done.communicate()
    assert out.strip() == b"0 (0, 0)"
    assert done.returncode == -signal.SIGABRT
