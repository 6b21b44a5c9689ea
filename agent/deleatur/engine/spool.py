"""The needle spool: sampled values outlive a killed process, encrypted, with a key that is on no disk.

The format is docs/spec/spool.md. Rules kept: nothing sampled is ever written in clear; a nonce is
never used twice, also not after a kill; a torn tail never happened, any other damage is refused;
the key goes first and the file second, and both may be destroyed again after a kill.
"""

import os
import secrets
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from deleatur.documents.place import Frozen, Locator
from deleatur.engine import key_ring
from deleatur.engine.directory import sync_directory
from deleatur.errors import Failed, Refused
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.overwrite import overwrite_in_place

MAX_VALUE = 1 << 20  # bytes of one sampled value
_MAX_BODY = MAX_VALUE + (1 << 16)  # bytes of one frame; a locator is far smaller than the rest
_MAGICS: dict[key_ring.Haven, bytes] = {  # the first line says where the key is: a key that this
    "kernel keyring": b"deleatur-spool/1 kernel keyring\n",  # process cannot look for is not gone
    "tmpfs": b"deleatur-spool/1 tmpfs         \n",
}
_MAGIC = 32  # bytes of the first line
_HEADER = 9  # bytes: kind, length, check
_SEGMENT, _RECORD = b"S", b"R"
_SALT = 32  # bytes, RFC 5869 §3.1: as long as the hash


class Sampled(Frozen, frozen=True, tag="sampled"):
    """One value and its place."""

    target: str
    place: Locator
    value: bytes


class Sealed(Frozen, frozen=True, tag="sealed"):
    """The end of a target's sample."""

    target: str
    count: int  # values of the sample


class _Spot(NamedTuple):
    """A record's place in the file, and what it takes to decrypt it."""

    offset: int  # bytes
    segment: int  # 1, 2, …: each process writes its own
    salt: bytes
    number: int  # of the record in its segment; the nonce


class _Sample(NamedTuple):
    first: _Spot
    values: int


class Spool:
    """The sampled values of one job. Of each target, the last sample that was sealed counts."""

    def __init__(self, path: Path, job_id: str, key: bytes, fd: int) -> None:
        self._path, self._job_id, self._key, self._fd = path, job_id, key, fd
        self._end = _MAGIC  # of the last whole frame, bytes
        self._segments = 0  # in the file
        self._next: _Spot | None = None  # where this process writes
        self._torn = False  # a write failed: what it left may only be followed by a new segment
        self._samples: dict[str, _Sample] = {}
        self._unsealed: dict[str, _Sample] = {}

    @classmethod
    def create(cls, path: Path, job_id: str) -> Self:
        """Begin a spool with a new key, in place of one that cannot be read any more.

        Raises:
            Refused: this job has a spool, or there is nowhere to keep a key.
        """
        existing = cls.open(path, job_id)
        if existing is not None:
            existing.close()
            raise Refused(f"{path} already holds the samples of this job; resume it")
        cls.destroy_at(path, job_id)
        key = secrets.token_bytes(key_ring.KEY_LENGTH)
        haven = key_ring.store(_key_name(job_id), key)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        _write_at(fd, _MAGICS[haven], 0)
        os.fsync(fd)
        sync_directory(path.parent)
        return cls(path, job_id, key, fd)

    @classmethod
    def open(cls, path: Path, job_id: str) -> Self | None:
        """Open the spool of a killed process; None when its key, or the file, is not there any more.

        Raises:
            Refused: the file was changed, belongs to another job, or is not a private file of ours; or
            the key's place may not be used here.
        """
        _check_reachable(path)
        key = key_ring.fetch(_key_name(job_id))
        if key is None:
            return None
        fd = _open_private(path)
        if fd is None:
            return None
        spool, begun = cls(path, job_id, key, fd), False
        try:
            begun = spool._index()
        finally:
            if not begun:
                spool.close()
        return spool if begun else None

    def append(self, target: str, places_and_values: Iterable[tuple[Locator, bytes]]) -> None:
        """Add to a target's sample; durable after `commit` or `seal`.

        Raises:
            Failed: a value is longer than MAX_VALUE, or an earlier write failed.
        """
        for place, value in places_and_values:
            if len(value) > MAX_VALUE:
                raise Failed(f"{target}: a sampled value is longer than {MAX_VALUE} bytes; sample a part")
            self._append(Sampled(target=target, place=place, value=value))

    def commit(self) -> None:
        """Make everything appended so far durable."""
        os.fsync(self._fd)

    def seal(self, target: str) -> None:
        """Mark the target's sample complete, durably. It replaces an earlier one of that target."""
        unsealed = self._unsealed.get(target)
        self._append(Sealed(target=target, count=unsealed.values if unsealed else 0))
        self.commit()

    def sealed(self, target: str) -> bool:
        """Say whether the target has a complete sample."""
        return target in self._samples

    def read(self, target: str) -> Iterator[tuple[Locator, bytes]]:
        """Yield the places and values of a target's complete sample.

        Raises:
            Failed: the target has none.
            Refused: the file was changed since it was opened.
        """
        sample = self._samples.get(target)
        if sample is None:
            raise Failed(f"{target}: its sample is not complete; take it again")
        left = sample.values
        for _, record in self._records(sample.first) if left else ():
            if isinstance(record, Sampled) and record.target == target:
                yield record.place, record.value
                left -= 1
                if left == 0:
                    return
        if left:
            raise self._changed()

    def close(self) -> None:
        """Close the file; key and file stay for the next process."""
        os.close(self._fd)

    def destroy(self) -> None:
        """Destroy the key, then the file. Nothing can be read afterwards."""
        self.close()
        self.destroy_at(self._path, self._job_id)

    @staticmethod
    def destroy_at(path: Path, job_id: str) -> None:
        """Destroy a job's spool without opening it; harmless to do again, or when there is none."""
        _check_reachable(path)
        key_ring.destroy(_key_name(job_id))
        destroy_file(path)

    def _append(self, record: Sampled | Sealed) -> None:
        if self._torn:
            raise Failed(f"{self._path}: an earlier write failed; run the job again to go on")
        spot = self._next or self._begin_segment()
        content = msgspec.msgpack.encode(record)
        body = self._cipher(spot.salt).encrypt(_nonce(spot), content, self._about(spot))
        self._write_frame(_RECORD, body)
        self._next = spot._replace(offset=self._end, number=spot.number + 1)
        self._note(spot, record)

    def _begin_segment(self) -> _Spot:
        """Begin to write under a key of this process alone, after the last whole frame."""
        os.ftruncate(self._fd, self._end)
        salt = secrets.token_bytes(_SALT)
        self._write_frame(_SEGMENT, salt)
        self._segments += 1
        return _Spot(self._end, self._segments, salt, 0)

    def _write_frame(self, kind: bytes, body: bytes) -> None:
        frame = _header(kind, len(body)) + body
        self._torn = True
        _write_at(self._fd, frame, self._end)
        self._torn = False
        self._end += len(frame)

    def _index(self) -> bool:
        """Decrypt every record and note the samples; False if the file was never begun."""
        start = os.pread(self._fd, _MAGIC, 0)
        if start not in _MAGICS.values():
            if any(magic.startswith(start) for magic in _MAGICS.values()):
                return False
            raise self._changed()
        for spot, record in self._records(_Spot(_MAGIC, 0, b"", 0)):
            self._note(spot, record)
        self._unsealed.clear()  # what a killed process began is taken again
        return True

    def _note(self, spot: _Spot, record: Sampled | Sealed | None) -> None:
        """Take a record into the index; None is the beginning of a segment."""
        if record is None:
            self._segments = spot.segment
            self._unsealed.clear()
            return
        begun = self._unsealed.get(record.target, _Sample(spot, 0))
        if isinstance(record, Sampled):
            self._unsealed[record.target] = begun._replace(values=begun.values + 1)
            return
        if record.count != begun.values:
            raise self._changed()
        self._unsealed.pop(record.target, None)
        self._samples[record.target] = begun

    def _records(self, spot: _Spot) -> Iterator[tuple[_Spot, Sampled | Sealed | None]]:
        """Yield every record from `spot` on, decrypted; None where a segment begins."""
        for kind, body in self._frames(spot.offset):
            after = spot.offset + _HEADER + len(body)
            if kind == _SEGMENT:
                spot = _Spot(after, spot.segment + 1, body, 0)
                yield spot, None
            else:
                yield spot, self._decrypt(spot, body)
                spot = spot._replace(offset=after, number=spot.number + 1)
            self._end = max(self._end, after)

    def _frames(self, offset: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield kind and body of the whole frames from `offset` on.

        A file that ends inside a frame ends before it: that frame was never written.
        """
        while True:
            header = os.pread(self._fd, _HEADER, offset)
            if len(header) < _HEADER:
                return
            kind, length = header[:1], int.from_bytes(header[1:5], "big")
            if header != _header(kind, length) or length > _MAX_BODY:
                raise self._changed()
            body = os.pread(self._fd, length, offset + _HEADER)
            if len(body) < length:
                return
            yield kind, body
            offset += _HEADER + length

    def _decrypt(self, spot: _Spot, body: bytes) -> Sampled | Sealed:
        try:
            content = self._cipher(spot.salt).decrypt(_nonce(spot), body, self._about(spot))
            return msgspec.msgpack.decode(content, type=Sampled | Sealed)
        except (InvalidTag, msgspec.DecodeError):
            raise self._changed() from None

    def _cipher(self, salt: bytes) -> AESGCM:
        """Derive the segment's key (RFC 5869), so that no two processes ever share key and nonce."""
        derivation = HKDF(SHA256(), 32, salt, b"deleatur-spool/1 " + self._job_id.encode())
        return AESGCM(derivation.derive(self._key))

    def _about(self, spot: _Spot) -> bytes:
        """Return what a record is bound to: its job, its segment and its number."""
        return f"{self._job_id} {spot.segment} {spot.number}".encode()

    def _changed(self) -> Refused:
        return Refused(
            f"{self._path} was changed, or belongs to another job; put the original back, or remove it"
            " to go on without its samples"
        )


def destroy_file(path: Path) -> None:
    """Overwrite a private file of this job in place, flush, unlink it; harmless when there is none.

    The temporary name that a kill inside `JobDirectory.write_once` leaves goes with it.

    Raises:
        Refused: it is a symbolic link, not a regular file, of another user, or has other names.
    """
    temporary = path.with_name(f".{path.name}.new")
    if temporary.exists() and path.exists() and temporary.samefile(path):
        temporary.unlink()
    for name in (temporary, path):
        _destroy_one(name)


def _destroy_one(path: Path) -> None:
    fd = _open_private(path)
    if fd is None:
        return
    try:
        for _ in overwrite_in_place(fd, Keystream(secrets.token_hex(32)), path.name):
            continue
    finally:
        os.close(fd)
    path.unlink()
    sync_directory(path.parent)


def _open_private(path: Path) -> int | None:
    """Open a regular file of ours that has one name; None if it is not there."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be opened: {error.strerror}; look what it is and remove it") from None
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1:
        return fd
    os.close(fd)
    raise Refused(f"{path} is not a file of this user under one name only; look what it is and remove it")


def _check_reachable(path: Path) -> None:
    """Refuse where the key may lie but cannot be looked for: there, "no key" would be a guess."""
    fd = _open_private(path)
    if fd is None:
        return
    try:
        start = os.pread(fd, _MAGIC, 0)
    finally:
        os.close(fd)
    for haven, magic in _MAGICS.items():
        if start == magic and not key_ring.reachable(haven):
            raise Refused(
                f"the key of {path} lies in the {haven}, which this process may not use; go on where the"
                " job was begun, or remove the file to go on without its samples"
            )


def _key_name(job_id: str) -> str:
    return f"spool:{job_id}"


def _nonce(spot: _Spot) -> bytes:
    return spot.number.to_bytes(12, "big")  # NIST SP 800-38D §8.2.1: a counter, under a key used once


def _header(kind: bytes, length: int) -> bytes:
    """Return a frame's header. Its check tells a damaged length from a file that was cut short."""
    start = kind + length.to_bytes(4, "big")
    return start + zlib.crc32(start).to_bytes(4, "big")


def _write_at(fd: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
