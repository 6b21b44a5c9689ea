"""Data keys of people: sealed values open until the key is destroyed, and every copy of a key is found."""

import base64
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.api import Cursor, Keystream, Locator, Step
from deleatur.engine.directory import JobDirectory
from deleatur.errors import Refused, Residue
from deleatur.judge.limits import LIMITS
from deleatur.sanitize.filesystem import Extent, extents
from deleatur.testing.workbench import Workbench
from deleatur_plugins.subject_keys import KeyNotFound, KeyStore, SubjectKeysBackend
from deleatur_plugins.subject_keys.store import sealed

from ..nobody import as_nobody
from .free_space import Disk, disk
from .keys_job import approved, certificate, keys_job, written

KEK = bytes(range(32))
GONE = [f"customer-{n}" for n in range(8)]
STAY = ["customer-100", "customer-101"]


class House:
    """A store with ten people's keys, what was sealed, and a workbench."""

    def __init__(self, folder: Path, jobs: Path) -> None:
        self.folder = folder
        self.url = f"subject-keys://{folder}/store?kek={folder}/kek"
        (folder / "kek").write_bytes(KEK)
        self.bench = Workbench(jobs)
        with KeyStore.create(folder / "store", KEK) as store:
            self.sealed = {s: store.seal(s, "mail", f"{s}@example.org".encode()) for s in (*GONE, *STAY)}
            self.wrapped = [store.wrapped(store.name_of(s)) for s in GONE]
        os.sync()

    def job(self, *, device: bool = False) -> JobDirectory:
        return approved(self.bench, keys_job(self.url, device=device), GONE)


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "house").mkdir()
    return House(tmp_path / "house", tmp_path / "jobs")


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[tuple[House, Disk]]:
    with disk(tmp_path, "ext4") as made:
        yield House(made.point, tmp_path / "jobs"), made


def test_values_open_until_the_key_is_destroyed_and_others_after_it(house: House) -> None:
    directory = house.job()
    house.bench.run(directory)
    with KeyStore(house.folder / "store", KEK) as store:
        for subject in GONE:
            with pytest.raises(KeyNotFound):
                store.open(subject, "mail", house.sealed[subject])
        for subject in STAY:
            assert store.open(subject, "mail", house.sealed[subject]) == f"{subject}@example.org".encode()
    found = certificate(house.bench, directory)
    assert found.outcome.per_target[0].assurance.endswith("/key")
    assert found.verification[0].verdict == "CLEAN"
    assert found.verification[0].needles.positive_control == len(GONE)
    assert "sealed-values" in {s.id for s in found.known_limits}
    left = written(directory)
    assert not [s for s in GONE if s.encode() in left]


@pytest.mark.root
def test_nothing_of_the_keys_is_left_on_the_device(on_disk: tuple[House, Disk]) -> None:
    house, made = on_disk
    below = made.below()
    assert all(w in below for w in house.wrapped), "the control"
    house.bench.run(house.job(device=True))
    below = made.below()
    assert not [w for w in house.wrapped if w in below]


def rogue(house: House, **methods: object) -> None:
    house.bench.backends["subject-keys"] = type("Rogue", (SubjectKeysBackend,), methods)


@pytest.mark.parametrize("form", [bytes, bytes.hex, base64.b64encode], ids=["raw", "hex", "base64"])
def test_a_store_that_keeps_a_wrapped_copy_is_residue(house: House, form) -> None:  # type: ignore[no-untyped-def]
    def erase(self: SubjectKeysBackend, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        kept = form(house.wrapped[0])
        (house.folder / "store" / "journal").write_bytes(kept if isinstance(kept, bytes) else kept.encode())
        yield from SubjectKeysBackend.erase(self, step, after)

    rogue(house, erase=erase)
    with pytest.raises(Residue):
        house.bench.run(house.job())


@pytest.mark.root
def test_a_store_that_deletes_only_the_name_is_residue(on_disk: tuple[House, Disk]) -> None:
    house, made = on_disk

    def destroy(_self: SubjectKeysBackend, name: str, _stream: Keystream) -> None:
        (house.folder / "store" / "keys" / name).unlink()

    rogue(house, _destroy=destroy)
    with pytest.raises(Residue):
        house.bench.run(house.job(device=True))
    assert house.wrapped[0] in made.below()


def test_a_store_that_answers_access_denied_gets_no_certificate(house: House) -> None:
    def probe(self: SubjectKeysBackend, place: Locator) -> bytes | None:
        found = SubjectKeysBackend.probe(self, place)
        if found is None:
            raise PermissionError(13, "Permission denied")
        return found

    rogue(house, probe=probe)
    directory = house.job()
    with pytest.raises(Exception, match="Permission denied"):
        house.bench.run(directory)
    assert not directory.certificate.exists()


def test_a_store_that_only_damages_a_key_is_residue(house: House) -> None:
    def destroy(_self: SubjectKeysBackend, name: str, _stream: Keystream) -> None:
        with (house.folder / "store" / "keys" / name).open("r+b") as file:
            file.write(os.urandom(4096))

    rogue(house, _destroy=destroy)
    with pytest.raises(Residue):
        house.bench.run(house.job())


def test_a_second_name_of_a_key_is_refused_by_name(house: House) -> None:
    with KeyStore(house.folder / "store", KEK) as store:
        name = store.name_of(GONE[0])
    (house.folder / "copy").hardlink_to(house.folder / "store" / "keys" / name)
    with pytest.raises(Refused, match="a second name keeps a wrapped copy"):
        house.job()


def forgotten(copy: Path, key: Path) -> None:
    """Remove a copy, and wait until XFS has let go of its blocks, which it does in the background."""
    copy.unlink()
    for _ in range(600):
        os.sync()
        with key.open("rb") as file:
            if not any(extent.is_(Extent.SHARED) for extent in extents(file.fileno()) or ()):
                return
        time.sleep(0.1)
    pytest.fail("the blocks are still shared")


@pytest.mark.root
def test_a_reflink_of_a_key_is_refused_by_name_before_the_approval_and_after(tmp_path: Path) -> None:
    with disk(tmp_path, "xfs") as made:
        house = House(made.point, tmp_path / "jobs")
        with KeyStore(house.folder / "store", KEK) as store:
            key = house.folder / "store" / "keys" / store.name_of(GONE[0])
        copy = made.point / "copy"
        link = ("cp", "--reflink=always", key, copy)
        subprocess.run(link, check=True, timeout=60)
        with pytest.raises(Refused, match="shares its block with another file"):
            house.job()
        forgotten(copy, key)
        house.bench = Workbench(tmp_path / "later")
        directory = house.job()
        subprocess.run(link, check=True, timeout=60)
        with pytest.raises(Refused, match="crypto-erase is no longer possible here"):
            house.bench.run(directory)
        forgotten(copy, key)
        house.bench.run(directory)
        assert directory.certificate.exists()


def test_a_key_that_was_made_after_the_approval_stays(house: House) -> None:
    directory = house.job()
    with KeyStore(house.folder / "store", KEK) as store:
        name = store.name_of(GONE[0])
        (house.folder / "store" / "keys" / name).unlink()
        store.seal(GONE[0], "mail", b"new")
        with pytest.raises(Refused, match="changed since the plan"):
            house.bench.run(directory)
        assert store.content(name)


def test_another_store_key_is_refused(house: House) -> None:
    (house.folder / "kek").write_bytes(bytes(32))
    with pytest.raises(Refused, match="not that of the store"):
        house.job()
    with pytest.raises(Refused, match="32 bytes"):
        KeyStore(house.folder / "store", bytes(31))


@pytest.mark.parametrize(
    "where",
    [
        '[{ column = "name", operator = "=", value = "x" }]',
        '[{ column = "subject", operator = ">", value = "x" }]',
    ],
)
def test_what_is_no_selection_of_keys_is_refused(house: House, where: str) -> None:
    text = keys_job(house.url)
    text = re.sub(r"where = .*", f"where = {where}", text)
    with pytest.raises(Refused, match="keys are selected by one condition"):
        house.bench.plan(house.bench.job(text))


# the library that an application uses

STORE_NAME = "0123456789abcdef" * 4
SUBJECTS = st.text(min_size=1, max_size=20).filter(lambda t: "\0" not in t and t.isprintable())


@given(subject=SUBJECTS, column=SUBJECTS, value=st.binary(max_size=200))
def test_what_is_sealed_opens_for_its_subject_and_column_only(
    subject: str, column: str, value: bytes
) -> None:
    folder = Path("/dev/shm") / f"deleatur-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        with KeyStore.create(folder, KEK) as store:
            content = store.seal(subject, column, value)
            assert store.open(subject, column, content) == value
            with pytest.raises(Refused):
                store.open(subject, column + "x", content)
            with pytest.raises(KeyNotFound):
                store.open(subject + "x", column, content)
            store.seal(subject + "x", column, value)
            with pytest.raises(Refused, match="another subject"):
                store.open(subject + "x", column, content)
            with pytest.raises(Refused):
                store.open(subject, column, content[:-1])
            assert store.seal(subject, column, value) != content
    finally:
        shutil.rmtree(folder)


def test_the_example_of_the_specification_is_what_the_code_makes(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "spec" / "subject-keys.md").read_text()
    given_ = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|$", page, re.MULTILINE))
    with KeyStore.create(tmp_path / "s", bytes.fromhex(given_["kek"])) as store:
        assert store.name_of(given_["subject"]) == given_["name"]
        assert (tmp_path / "s" / "check").read_bytes().hex() == given_["check"]
        file = b"deleatur key v1\n" + bytes.fromhex(given_["wrapped"])
        (tmp_path / "s" / "keys" / given_["name"]).write_bytes(file.ljust(4096, b"\0"))
        content = bytes.fromhex(given_["sealed"])
        assert store.open(given_["subject"], given_["column"], content) == given_["value"].encode()
    key, nonce = bytes.fromhex(given_["key"]), content[1:13]
    assert sealed(key, given_["name"], given_["column"], given_["value"].encode(), nonce) == content


@pytest.mark.parametrize("broken", [b"", b"\x01", b"\x02" + bytes(40), b"\x01" + bytes(40)])
def test_what_was_never_sealed_is_refused(house: House, broken: bytes) -> None:
    with KeyStore(house.folder / "store", KEK) as store, pytest.raises(Refused):
        store.open(STAY[0], "mail", broken)


def test_a_key_put_under_another_name_is_damaged(house: House) -> None:
    with KeyStore(house.folder / "store", KEK) as store:
        keys = house.folder / "store" / "keys"
        shutil.copy(keys / store.name_of(STAY[0]), keys / store.name_of(STAY[1]))
        with pytest.raises(Refused, match="damaged"):
            store.open(STAY[1], "mail", house.sealed[STAY[1]])


def test_a_folder_of_keys_that_is_gone_is_not_an_answer(house: House) -> None:
    with KeyStore(house.folder / "store", KEK) as store:
        shutil.rmtree(house.folder / "store")
        with pytest.raises(Refused, match="was removed") as caught:
            store.open(STAY[0], "mail", house.sealed[STAY[0]])
        assert not isinstance(caught.value, KeyNotFound)


@pytest.mark.root
def test_access_denied_is_not_key_not_found(house: House) -> None:
    with KeyStore(house.folder / "store", KEK) as store:
        (house.folder / "store" / "keys").chmod(0o700)
        with as_nobody(), pytest.raises(PermissionError):
            store.open(STAY[0], "mail", house.sealed[STAY[0]])


def test_two_processes_make_one_key(house: House) -> None:
    code = (
        "import sys; from deleatur_plugins.subject_keys import KeyStore\n"
        f"s = KeyStore({str(house.folder / 'store')!r}, bytes(range(32)))\n"
        "for n in range(20): sys.stdout.write(s.seal(f'new-{n}', 'c', b'v').hex() + '\\n')"
    )

    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate()[0].split() for process in both]
    with KeyStore(house.folder / "store", KEK) as store:
        for lines in told:
            assert [store.open(f"new-{n}", "c", bytes.fromhex(x)) for n, x in enumerate(lines)] == [b"v"] * 20


def test_the_limit_says_where_it_ends() -> None:
    assert LIMITS["sealed-values"].effect == "boundary"
