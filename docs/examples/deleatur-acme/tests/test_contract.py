"""The shelf keeps the contract of deleatur."""

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pytest
from deleatur_acme.backend import LABEL, AcmeBackend

from deleatur.api import Gone, Refused, Selection, Target, Unsupported
from deleatur.testing.contract import BackendContract, MakeTarget, Planted, Raw

BOXES = {f"canary name {n}.box": f"canary content {n} ".encode() * n for n in range(1, 6)}
SECRETS = {"digest-key": bytes(32)}


def make_shelf(folder: Path, label: str) -> None:
    """Make a shelf of five boxes, with two files beside them that must stay."""
    folder.mkdir(parents=True)
    (folder / LABEL).write_text(label + "\n", encoding="ascii")
    (folder / "readme.txt").write_bytes(b"neighbour of the boxes")
    for name, content in BOXES.items():
        (folder / name).write_bytes(content)


def folder_of(planted: Planted) -> Path:
    """Return the folder of a planted shelf."""
    return Path(unquote(urlsplit(planted.target.url).path))


class TestAcme(BackendContract):
    """Every promise that applies to a shelf."""

    backend = AcmeBackend
    not_applicable: ClassVar[dict[str, str]] = {
        "test_records_round_trip": "a shelf holds files, not records",
    }

    @pytest.fixture
    def make_target(self, tmp_path: Path) -> MakeTarget:
        """Make a shelf with a label of its own at each call."""
        numbers = itertools.count(1)

        def plant() -> Planted:
            number = next(numbers)
            folder = tmp_path / f"shelf-{number}"
            make_shelf(folder, f"label-{number}")
            return Planted(
                target=Target(id="shelf", url=folder.as_uri().replace("file:", "acme:", 1)),
                secrets=SECRETS,
                canaries=tuple(BOXES.values()),
                names=tuple(map(str.encode, BOXES)),
                kept=(b"neighbour of the boxes",),
                bystanders=lambda: (folder / LABEL).read_bytes() + (folder / "readme.txt").read_bytes(),
            )

        return plant

    @pytest.fixture
    def raw(self) -> Raw:
        """Read every file of the folder, whatever its name."""

        def read(planted: Planted) -> bytes:
            files = sorted(p for p in folder_of(planted).iterdir() if p.is_file())
            return b"\0".join(os.fsencode(p.name) + b"\0" + p.read_bytes() for p in files)

        return read

    def replace(self, planted: Planted) -> None:
        """Put a shelf with another label into the same folder."""
        shutil.rmtree(folder_of(planted))
        make_shelf(folder_of(planted), "label-of-another")

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Put a file in the place of the folder: opening it is an error, also for root."""
        folder = folder_of(planted)
        folder.rename(folder.with_name("away"))
        folder.write_bytes(b"")
        yield
        folder.unlink()
        folder.with_name("away").rename(folder)


def opened(folder: Path) -> AcmeBackend:
    return AcmeBackend.open(Target(id="shelf", url=folder.as_uri().replace("file:", "acme:", 1)), SECRETS)


def test_a_missing_shelf_is_gone(tmp_path: Path) -> None:
    with pytest.raises(Gone):
        opened(tmp_path / "missing")


def test_a_folder_without_a_label_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.box").write_bytes(b"content")
    with pytest.raises(Refused, match="not a shelf"):
        opened(tmp_path).inspect()


def test_links_block_the_job_and_are_never_followed(tmp_path: Path) -> None:
    make_shelf(tmp_path / "shelf", "label")
    (tmp_path / "elsewhere").write_bytes(b"stays")
    (tmp_path / "shelf" / "link.box").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "second name").hardlink_to(tmp_path / "shelf" / "canary name 1.box")
    blockers = opened(tmp_path / "shelf").inspect().blockers
    assert len(blockers) == 2
    assert not any("canary" in blocker for blocker in blockers)


def test_a_shelf_goes_as_a_whole(tmp_path: Path) -> None:
    make_shelf(tmp_path / "shelf", "label")
    target = Target(id="shelf", url=f"acme://{tmp_path}/shelf", select=(Selection(table="boxes"),))
    with pytest.raises(Unsupported, match="as a whole"):
        AcmeBackend.open(target, SECRETS)
