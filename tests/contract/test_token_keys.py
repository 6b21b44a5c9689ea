"""Keys in a SoftHSM token keep every promise of the contract, on a real ext4 and down to its raw image."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from deleatur.api import Condition, Selection, Target
from deleatur.testing.contract import BackendContract, MakeTarget, NewTrial, Planted, Raw
from deleatur_plugins.subject_keys import TokenAddress, TokenKeysBackend, TokenKeyStore

from ..nobody import as_nobody
from ..small_disk import SMALL_JOURNAL, flush, small_disk
from ..softhsm import forget_library, make_token, softhsm, url_of

GONE = [f"goes-{n}-{uuid.uuid4().hex}" for n in range(4)]
STAY = ["stays-1"]


class Token:
    """A token that was made once, and is put on the disk anew for each trial: to make it takes long."""

    def __init__(self, mount: Path, image: Path, tokens: Path, aside: Path) -> None:
        self.mount, self.image, self.tokens, self.aside = mount, image, tokens, aside
        make_token()
        self.target = Target(
            id="people",
            url=url_of(mount),
            select=(
                Selection(
                    table="keys", where=(Condition(column="subject", operator="in", values_from="gone.txt"),)
                ),
            ),
        )
        self.wrapped: dict[str, bytes] = {}
        with TokenKeyStore.create(TokenAddress.of(self.target.url)) as store:
            for subject in (*GONE, *STAY):
                before = self._objects()
                store.seal(subject, "mail", b"nobody@example.org")
                (made,) = self._objects() - before
                self.wrapped[subject] = _value(made.read_bytes())
        shutil.copytree(tokens, aside)

    def _objects(self) -> set[Path]:
        return set(self.tokens.glob("*/*.object"))

    def blocks(self) -> bytes:
        """Return every block of the image that holds a wrapped key.

        Not all of it: SoftHSM writes its own state, and with it times, at each login.
        """
        content, size = self.image.read_bytes(), 1024
        found = {at // size for each in self.wrapped.values() for at in _places(content, each)}
        return b"".join(content[at * size : (at + 1) * size] for at in sorted(found))

    def plant(self) -> Planted:
        _remove(self.tokens)
        shutil.copytree(self.aside, self.tokens)
        forget_library()
        flush(self.mount)
        return Planted(
            target=self.target,
            secrets={"digest-key": bytes(range(32)), "values:gone.txt": "\n".join(GONE).encode()},
            canaries=tuple(self.wrapped[s] for s in GONE),
            kept=tuple(self.wrapped[s] for s in STAY),
        )


def _places(content: bytes, part: bytes) -> Iterator[int]:
    at = content.find(part)
    while at >= 0:
        yield at
        at = content.find(part, at + 1)


def _remove(folder: Path) -> None:
    """Remove a folder and leave nothing of it in free blocks: all trials have the same keys."""
    for file in folder.rglob("*.object"):
        with file.open("r+b") as stream:
            stream.write(bytes(file.stat().st_size))
            stream.flush()
            os.fsync(stream.fileno())
    shutil.rmtree(folder)


def _value(content: bytes) -> bytes:
    """Return CKA_VALUE, 64 bytes after its type, its kind and its length."""
    mark = b"".join(number.to_bytes(8, "big") for number in (0x11, 3, 64))
    return content.partition(mark)[2][:64]


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    aside = tmp_path_factory.mktemp("token") / "aside"
    with small_disk(4, SMALL_JOURNAL) as (mount, image), softhsm(mount) as tokens:
        yield Token(mount, image, tokens, aside)


@pytest.mark.root
class TestTokenKeys(BackendContract):
    backend = TokenKeysBackend
    not_applicable: ClassVar = {
        "test_records_round_trip": "keys are not archived",
        "test_keystream_reads_back": "a key goes in one step, with its file",
        "test_a_missing_key_is_an_error": "a key goes in one step, with its file",
    }

    def replace(self, planted: Planted) -> None:
        """Put a copy, equal to the byte, in the same folder."""
        tokens = next(Path(planted.target.url.rpartition("=")[2]).iterdir())
        shutil.copytree(tokens, tokens.with_name("copy"))
        _remove(tokens)
        tokens.with_name("copy").rename(tokens)
        forget_library()

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Be a user who may enter nothing here."""
        with as_nobody():
            yield

    @pytest.mark.campaign
    def test_a_kill_at_any_call_is_survived(self, trial: NewTrial) -> None:
        super().test_a_kill_at_any_call_is_survived(trial)

    @pytest.mark.campaign
    def test_an_io_error_is_not_swallowed(self, trial: NewTrial) -> None:
        super().test_an_io_error_is_not_swallowed(trial)

    @pytest.fixture
    def make_target(self, token: Token) -> MakeTarget:
        return token.plant

    @pytest.fixture
    def raw(self, token: Token) -> Raw:
        def read(_planted: Planted) -> bytes:
            flush(token.mount)
            return token.blocks()

        return read
