"""Where the key of the needle spool lives: in the kernel's memory, never on a disk.

Rules kept: the kernel's user keyring first, a file on a real tmpfs second, nothing third; a key
that was destroyed is seen to be gone before `destroy` returns.
"""

import ctypes
import errno
import hashlib
import os
import platform
import resource
import stat
from pathlib import Path
from typing import Literal

from deleatur.errors import Failed, Refused

KEY_LENGTH = 32  # bytes, AES-256
Haven = Literal["kernel keyring", "tmpfs"]

_LIBC = ctypes.CDLL(None, use_errno=True)

# (add_key, keyctl) of the kernel's syscall tables: arch/x86/entry/syscalls/syscall_64.tbl and
# include/uapi/asm-generic/unistd.h. The C library has no wrapper for either.
_SYSCALLS = {"x86_64": (248, 250), "aarch64": (217, 219)}
_USER_KEYRING, _PROCESS_KEYRING = -4, -2  # linux/keyctl.h, KEY_SPEC_*
_SETPERM, _LINK, _UNLINK, _SEARCH, _READ, _INVALIDATE = 5, 8, 9, 10, 11, 21  # linux/keyctl.h, KEYCTL_*
# Possessor: everything. Same user in another session: view, read, search (linux/key.h, KEY_POS_*, KEY_USR_*).
_PERMISSIONS = 0x3F0B0000
_GONE = {errno.ENOKEY, errno.EKEYEXPIRED, errno.EKEYREVOKED}
_NO_KEYRING = {errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EDQUOT}  # absent, forbidden, or full

_TMPFS_DIRECTORIES = (Path("/dev/shm"), Path("/run"))  # noqa: S108 - the point is that it is memory
_MEMORY_MAGIC = {0x01021994, 0x858458F6}  # linux/magic.h: TMPFS_MAGIC, RAMFS_MAGIC
_PR_SET_DUMPABLE = 4  # linux/prctl.h


def store(name: str, key: bytes) -> Haven:
    """Keep `key` (32 bytes) under `name` where another process of the same user finds it.

    Replaces what was kept under that name. Returns where it lies.

    Raises:
        Refused: neither the kernel's keyring nor a file system in memory may be used here.
    """
    if len(key) != KEY_LENGTH or not any(key):
        raise Failed(f"the key of {name} is not {KEY_LENGTH} random bytes; this is a defect, report it")
    destroy(name)
    try:
        _keyring_store(name, key)
    except OSError as error:
        if error.errno not in _NO_KEYRING:
            raise
    else:
        return "kernel keyring"
    for directory in _memory_directories():
        if _file_store(directory, name, key):
            return "tmpfs"
    raise Refused(
        "no place for the spool's key that never touches a disk: allow add_key and keyctl,"
        " or mount a tmpfs on /dev/shm that this user may write"
    )


def fetch(name: str) -> bytes | None:
    """Return the key kept under `name`; None when there is none any more.

    Raises:
        Refused: a file of another user, or one that others may read, lies in the key's place.
    """
    key = _keyring_fetch(name)
    if key is not None:
        return key
    for directory in _memory_directories():
        key = _file_fetch(directory, name)
        if key is not None:
            return key
    return None


def destroy(name: str) -> None:
    """Destroy the key kept under `name`, wherever it lies, and see that it is gone.

    Harmless when there is none, so it can be repeated after a kill.

    Raises:
        Failed: the key can still be fetched.
    """
    _keyring_destroy(name)
    for directory in _memory_directories():
        _file_destroy(directory, name)
    if fetch(name) is not None:
        raise Failed(f"the key of {name} can still be read after it was destroyed; reboot before going on")


def reachable(haven: Haven) -> bool:
    """Say whether this process may look where a key lies; if not, not finding it means nothing."""
    if haven == "tmpfs":
        return bool(_memory_directories())
    try:
        _syscall(1, _SEARCH, _USER_KEYRING, b"user", _description("nothing"), 0)
    except OSError as error:
        return error.errno in _GONE
    return True


def harden_process() -> None:
    """Keep this process out of core dumps and from being traced by other processes of the user.

    Needles and keys are in its memory while it runs. Swap is another matter: see
    docs/explanation/residue-scan.md.
    """
    if _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise Failed(f"cannot switch core dumps off: {os.strerror(ctypes.get_errno())}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# --- the kernel's keyring ------------------------------------------------------------------------


def _syscall(which: int, *arguments: int | bytes | None) -> int:
    """Call add_key (0) or keyctl (1); raise OSError on failure, ENOSYS where we know no number."""
    numbers = _SYSCALLS.get(platform.machine())
    if numbers is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    plain = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    _LIBC.syscall.restype = ctypes.c_long
    result: int = _LIBC.syscall(ctypes.c_long(numbers[which]), *plain)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _description(name: str) -> bytes:
    return b"deleatur:" + name.encode()


def _keyring_store(name: str, key: bytes) -> None:
    """Make the key in our own keyring, where we may set its permissions, then link it to the user's."""
    serial = _syscall(0, b"user", _description(name), key, len(key), _PROCESS_KEYRING)
    try:
        _syscall(1, _SETPERM, serial, _PERMISSIONS)
        _syscall(1, _LINK, serial, _USER_KEYRING)
    finally:
        _syscall(1, _UNLINK, serial, _PROCESS_KEYRING)


def _keyring_find(name: str) -> int | None:
    try:
        return _syscall(1, _SEARCH, _USER_KEYRING, b"user", _description(name), 0)
    except OSError as error:
        if error.errno in _GONE or error.errno in _NO_KEYRING:
            return None  # where the keyring is forbidden, `reachable` says so
        raise


def _keyring_fetch(name: str) -> bytes | None:
    serial = _keyring_find(name)
    if serial is None:
        return None
    buffer = ctypes.create_string_buffer(KEY_LENGTH)
    try:
        address = ctypes.addressof(buffer)
        length = _syscall(1, _READ, serial, address, KEY_LENGTH)
        return buffer.raw if length == KEY_LENGTH else None
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    finally:
        ctypes.memset(buffer, 0, KEY_LENGTH)


def _keyring_destroy(name: str) -> None:
    """Invalidate the key: one call after which nobody finds it, and the kernel wipes and frees it."""
    serial = _keyring_find(name)
    if serial is not None:
        try:
            _syscall(1, _INVALIDATE, serial)
        except OSError as error:
            if error.errno not in _GONE:
                raise


# --- a file in memory ----------------------------------------------------------------------------


def _memory_directories() -> list[Path]:
    """Return the directories that exist and whose file system says that it lives in memory."""
    return [directory for directory in _TMPFS_DIRECTORIES if directory.is_dir() and _in_memory(directory)]


def _in_memory(path: Path) -> bool:
    """Ask the kernel what file system `path` lies on (statfs(2), f_type is the first word)."""
    buffer = (ctypes.c_long * 32)()  # struct statfs has 15 words on the 64-bit machines we know
    if _LIBC.statfs(os.fsencode(path), ctypes.byref(buffer)) != 0:
        code = ctypes.get_errno()
        raise Failed(f"cannot tell what file system {path} is: {os.strerror(code)}")
    return buffer[0] in _MEMORY_MAGIC


def _file_path(directory: Path, name: str) -> Path:
    return directory / f"deleatur-{os.geteuid()}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _file_store(directory: Path, name: str, key: bytes) -> bool:
    """Write the key to a new file; False if this directory does not let us."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(_file_path(directory, name), flags, 0o600)
    except PermissionError:
        return False
    try:
        if os.write(fd, key) != len(key):
            raise Failed(f"{directory} is full; free some memory there")
    finally:
        os.close(fd)
    return True


def _file_open(directory: Path, name: str) -> int | None:
    """Open the key's file; None if there is none.

    Raises:
        Refused: somebody put something else in its place.
    """
    path = _file_path(directory, name)
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be opened: {error.strerror}; look what it is and remove it") from None
    status = os.fstat(fd)
    private = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600
    if not private or status.st_uid != os.geteuid() or status.st_nlink != 1:
        os.close(fd)
        raise Refused(f"{path} is not a private file of this user; look what it is and remove it")
    return fd


def _file_fetch(directory: Path, name: str) -> bytes | None:
    """Read the key's file; one cut short, or overwritten with zeros, never was or is no more a key."""
    fd = _file_open(directory, name)
    if fd is None:
        return None
    try:
        key = os.read(fd, KEY_LENGTH + 1)
    finally:
        os.close(fd)
    return key if len(key) == KEY_LENGTH and any(key) else None


def _file_destroy(directory: Path, name: str) -> None:
    fd = _file_open(directory, name)
    if fd is None:
        return
    try:
        os.write(fd, bytes(KEY_LENGTH))
    finally:
        os.close(fd)
    _file_path(directory, name).unlink()
