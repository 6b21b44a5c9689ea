"""The key store keeps every promise of the contract, on a real ext4 and down to its raw image."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from deleatur.api import Condition, Selection, Target
from deleatur.testing.contract import BackendContract, MakeTarget, Planted, Raw
from deleatur_plugins.subject_keys import KeyStore, SubjectKeysBackend

from ..nobody import as_nobody
from ..small_disk import SMALL_JOURNAL, flush, small_disk

KEK = bytes(range(32))


@pytest.fixture(scope="module")
def disk() -> Iterator[tuple[Path, Path]]:
    with small_disk(8, SMALL_JOURNAL) as made:
        yield made


@pytest.mark.root
class TestSubjectKeys(BackendContract):
    backend = SubjectKeysBackend
    not_applicable: ClassVar = {
        "test_records_round_trip": "keys are not archived",
        "test_keystream_reads_back": "a key goes in one step, with its name",
        "test_a_missing_key_is_an_error": "a key goes in one step, with its name",
    }

    def replace(self, planted: Planted) -> None:
        """Put a copy, equal to the byte, under the same name."""
        store = Path(urlsplit(planted.target.url).path)
        shutil.copytree(store, store.with_name("copy"))
        shutil.rmtree(store)
        store.with_name("copy").rename(store)

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Be a user who may enter nothing here."""
        with as_nobody():
            yield

    @pytest.fixture
    def make_target(self, disk: tuple[Path, Path]) -> Iterator[MakeTarget]:
        mount, _ = disk

        def make() -> Planted:
            for old in mount.glob("job-*"):
                shutil.rmtree(old)
            folder = mount / f"job-{uuid.uuid4().hex}"
            folder.mkdir(mode=0o700)
            (folder / "kek").write_bytes(KEK)
            gone = [f"goes-{n}-{uuid.uuid4().hex}" for n in range(5)]
            with KeyStore.create(folder / "store", KEK) as store:
                for subject in (*gone, "stays-1", "stays-2"):
                    store.seal(subject, "mail", b"nobody@example.org")
                wrapped = {s: store.wrapped(store.name_of(s)) for s in (*gone, "stays-1", "stays-2")}
            target = Target(
                id="people",
                url=f"subject-keys://{folder}/store?kek={folder}/kek",
                select=(
                    Selection(
                        table="keys",
                        where=(Condition(column="subject", operator="in", values_from="gone.txt"),),
                    ),
                ),
            )
            flush(mount)
            return Planted(
                target=target,
                secrets={"digest-key": bytes(range(32)), "values:gone.txt": "\n".join(gone).encode()},
                canaries=tuple(wrapped[s] for s in gone),
                kept=tuple(wrapped[s] for s in ("stays-1", "stays-2")),
            )

        return make

    @pytest.fixture
    def raw(self, disk: tuple[Path, Path]) -> Raw:
        mount, image = disk

        def read(_planted: Planted) -> bytes:
            flush(mount)
            return image.read_bytes()

        return read
