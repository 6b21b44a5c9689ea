"""Fetch the archives of a job from another host: sealed bytes, gone on with where they broke off.

Rules: the journal that was followed says how long each is and which digest it has; a file has its name here
only after it was read back from the disk here and is just that; what lies beside it is signed by `signer`.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from deleatur.archive.beside import KEY_FILE, facts_in, stem_of
from deleatur.archive.seal import digest_of
from deleatur.documents.errand import MAX_PIECE
from deleatur.documents.journal import Archived
from deleatur.documents.plan import PublicKey
from deleatur.engine.directory import JobDirectory, sync_directory, write_all
from deleatur.engine.keeping import ARCHIVE_NAME, MAX_BESIDE, files_beside, put
from deleatur.engine.remote.far import Far
from deleatur.errors import Invalid, Refused
from deleatur.trust.keys import public_pem, verifies


class ArchivesFetched:
    """The archives of one job, as they come here."""

    def __init__(
        self, directory: JobDirectory, far: Far, signer: PublicKey, plan: str, told: Callable[[str], None]
    ) -> None:
        self._folder = directory.archive
        self._far = far
        self._signer = signer
        self._plan = plan
        self._told = told

    def fetch(self, archived: Sequence[Archived]) -> list[Path]:
        """Fetch each archive that is not here yet, with what lies beside it; return where they lie.

        Raises:
            Refused: there is no room, or an archive is not what its journal says; it is not kept.
            Invalid: what lies beside it is not signed by the agent there.
        """
        for one in archived:
            if not ARCHIVE_NAME.fullmatch(one.file):
                raise Refused(
                    f"the journal of {self._far.name} names an archive {one.file[:80]!r}; none is called so"
                )
        self._folder.mkdir(mode=0o700, exist_ok=True)
        missing = [one for one in archived if not (self._folder / one.file).exists()]
        self._require_room(missing)
        for one in archived:
            beside = self._beside(one)
            if one in missing:
                self._sealed(one)
            elif digest_of(self._folder / one.file) != (one.sha256, one.size):
                raise Refused(
                    f"{one.file} lies here already and is not what its journal says; look and remove it"
                )
            for name, content in beside.items():
                put(self._folder / name, content)
        return [self._folder / one.file for one in archived]

    def _require_room(self, missing: Sequence[Archived]) -> None:
        begun = [path.stat().st_size for one in missing if (path := self._partial(one)).is_file()]
        needed = sum(one.size for one in missing) - sum(begun)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise Refused(
                f"the archives on {self._far.name} need {needed} bytes here, and {free} are free; make room"
            )

    def _partial(self, one: Archived) -> Path:
        return self._folder / f".{one.file}.fetched"

    def _sealed(self, one: Archived) -> None:
        """Fetch the sealed file piece by piece, from where an earlier call broke off, and read it back."""
        partial = self._partial(one)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(partial, flags, 0o600)
        try:
            done = os.fstat(descriptor).st_size
            if done > one.size:
                os.ftruncate(descriptor, 0)
                done = 0
            if done:
                self._told(f"{one.file}: {done} of {one.size} bytes are here already")
            while done < one.size:
                piece = self._far.piece(f"archive/{one.file}", done)
                if piece.size != one.size or not 0 < len(piece.content) <= min(MAX_PIECE, one.size - done):
                    raise Refused(
                        f"{one.file} on {self._far.name} is not as long as its journal says; "
                        "was it sealed anew there?"
                    )
                write_all(descriptor, piece.content)
                done += len(piece.content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if digest_of(partial) != (one.sha256, one.size):
            partial.unlink()
            raise Refused(
                f"{one.file} as {self._far.name} gives it is not what its journal says; it is not kept"
            )
        partial.rename(self._folder / one.file)
        sync_directory(self._folder)

    def _beside(self, one: Archived) -> dict[str, bytes]:
        """Fetch what lies beside an archive.

        Raises:
            Invalid: it is not of this archive, or not signed by the agent there.
        """
        files = {name: self._far.whole(f"archive/{name}", MAX_BESIDE) for name in files_beside(one.file)}
        told = facts_in(
            files, one.file, lambda signature, message: verifies(self._signer, signature, message)
        )
        readme = f"{stem_of(one.file)}.README.txt"
        listed = files[f"{stem_of(one.file)}.sha256"].splitlines()
        if (
            told is None
            or (told.plan, told.sha256, told.size) != (self._plan, one.sha256, one.size)
            or f"{sha256(files[readme]).hexdigest()}  {readme}".encode() not in listed
            or files[KEY_FILE] != public_pem(self._signer)
        ):
            raise Invalid(
                f"what lies beside {one.file} on {self._far.name} is not signed by `signer` of host.toml"
            )
        return files
