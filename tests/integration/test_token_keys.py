"""Data keys in a PKCS#11 token: only a token that is asked in full, and has no key, has no key."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest

from deleatur.api import Keystream
from deleatur.documents.certificate import Certificate
from deleatur.engine.directory import JobDirectory
from deleatur.errors import Failed, Refused, Residue, Transient
from deleatur.testing.workbench import Workbench
from deleatur_plugins.subject_keys import KeyNotFound, TokenAddress, TokenKeysBackend, TokenKeyStore
from deleatur_plugins.subject_keys.softhsm import SoftHsmFiles
from deleatur_plugins.subject_keys.token import driver

from ..softhsm import LIBRARY, PIN, forget_library, make_token, softhsm, url_of
from .free_space import disk
from .keys_job import approved, certificate, keys_job, written

GONE = [f"customer-{n}" for n in range(3)]
STAY = ["customer-100"]


class House:
    """A token with four people's keys, what was sealed, and a workbench."""

    def __init__(self, folder: Path, jobs: Path) -> None:
        self.folder = folder
        self.bench = Workbench(jobs)
        self.address = TokenAddress.of(url_of(folder))

    def make(self) -> None:
        make_token()
        with TokenKeyStore.create(self.address) as store:
            self.sealed = {s: store.seal(s, "mail", f"{s}@example.org".encode()) for s in (*GONE, *STAY)}
            self.names = {s: store.name_of(s) for s in (*GONE, *STAY)}

    def take(self, other: House) -> None:
        """Have the same token in another folder: to make one takes a second."""
        tokens = self.folder / "tokens"
        shutil.copytree(other.folder / "kept", tokens, dirs_exist_ok=True)
        self.sealed, self.names = other.sealed, other.names
        forget_library()

    def job(self, *, device: bool = False, seen: bool = True) -> JobDirectory:
        return approved(self.bench, keys_job(url_of(self.folder, seen=seen), device=device), GONE)

    def certificate(self, directory: JobDirectory) -> Certificate:
        return certificate(self.bench, directory)

    def rogue(self, **methods: object) -> None:
        self.bench.backends["pkcs11"] = type("Rogue", (TokenKeysBackend,), methods)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("made")
    with softhsm(folder) as tokens:
        house = House(folder, folder / "jobs")
        house.make()
        shutil.copytree(tokens, folder / "kept")
        return house


@pytest.fixture
def house(tmp_path: Path, made: House) -> Iterator[House]:
    folder = tmp_path / "house"
    folder.mkdir()
    with softhsm(folder):
        house = House(folder, tmp_path / "jobs")
        house.take(made)
        yield house


def test_keys_of_softhsm_are_destroyed_and_their_files_overwritten(house: House) -> None:
    directory = house.job()
    house.bench.run(directory)
    with TokenKeyStore(house.address) as store:
        for subject in GONE:
            with pytest.raises(KeyNotFound):
                store.open(subject, "mail", house.sealed[subject])
        assert store.open(STAY[0], "mail", house.sealed[STAY[0]]) == b"customer-100@example.org"
    found = house.certificate(directory)
    assert found.outcome.per_target[0].assurance == "A3/key"
    assert found.method[0].technique == "crypto-erase"
    assert found.verification[0].needles.positive_control == len(GONE)
    left = written(directory)
    assert PIN.encode() not in left
    assert not [s for s in GONE if s.encode() in left]
    assert not list((house.folder / "tokens").glob("*/.deleatur*"))


@pytest.mark.root
def test_softhsm_removes_and_does_not_overwrite_and_we_do(tmp_path: Path) -> None:
    """The measured ground: after C_DestroyObject alone the wrapped key is on the device, once."""
    with disk(tmp_path, "ext4") as made, softhsm(made.point):
        house = House(made.point, tmp_path / "jobs")
        house.make()
        with TokenKeyStore(house.address) as store:
            wrapped = [value_of(path) for path in objects(house)]
            below = made.below()
            assert [below.count(value) for value in wrapped] == [1] * 5  # four keys, and that of the names
            store.destroy(house.names[GONE[0]])
        gone = [value for value in wrapped if value not in map(value_of, objects(house))]
        assert [made.below().count(value) for value in gone] == [1]
        house.bench.run(house.job(device=True))
        left = [value for value in wrapped if value in made.below()]
        assert sorted(left) == sorted([*map(value_of, objects(house)), *gone])


def objects(house: House) -> list[Path]:
    found = (house.folder / "tokens").glob("*/*.object")
    return [path for path in found if path.name != "token.object"]


def value_of(path: Path) -> bytes:
    return re.search(rb"\x11\0{7}\x03\0{7}(.)(.*)", path.read_bytes(), re.DOTALL)[2][:64]  # type: ignore[index]


@pytest.mark.parametrize(
    "content",
    [b"a cut head", bytes(7) + b"\1" + bytes(20), bytes(15) + b"\1" + bytes(7) + b"\3" + b"\xff" * 8],
)
def test_a_damaged_folder_of_softhsm_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "token.object").write_bytes(content)
    with pytest.raises(Refused, match=r"a folder of SoftHSM cannot be read \("):
        SoftHsmFiles(str(tmp_path), b"0123456789abcdef", b"1234")


def test_what_only_the_token_says_is_not_claimed(house: House) -> None:
    directory = house.job(seen=False)
    house.bench.run(directory)
    found = house.certificate(directory)
    assert found.method[0].technique == "crypto-erase-by-token"
    assert found.outcome.per_target[0].state == "executed-unverified"
    assert "attested-by-token" in found.outcome.per_target[0].limited_by
    assert {s.id for s in found.known_limits} >= {"surface-attested", "sealed-values"}


# rogues


def test_a_token_that_answers_destroyed_and_still_decrypts_is_residue(house: House) -> None:
    def destroy(_self: TokenKeysBackend, _name: str, _stream: Keystream) -> None:
        """Answer, and do nothing."""

    house.rogue(_destroy=destroy)
    with pytest.raises(Residue):
        house.bench.run(house.job(seen=False))


def test_a_token_that_hides_a_key_and_keeps_its_file_is_residue(house: House) -> None:
    def destroy(self: TokenKeysBackend, name: str, _stream: Keystream) -> None:
        (path,) = self._paths(name)
        path.rename(path.with_suffix(".hidden"))

    house.rogue(_destroy=destroy)
    with pytest.raises(Residue):
        house.bench.run(house.job())


def test_a_token_that_keeps_the_file_of_a_destroyed_key_fails(house: House, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(TokenKeyStore, "destroy", lambda _self, _name: None)
    directory = house.job()
    with pytest.raises(Failed, match="keeps its file"):
        house.bench.run(directory)
    assert not directory.certificate.exists()


def test_a_key_that_could_leave_the_token_is_refused(house: House) -> None:
    with driver().lib(LIBRARY).get_token(token_label="people").open(rw=True, user_pin=PIN) as session:
        session.generate_key(
            pkcs11.KeyType.AES,
            256,
            id=bytes.fromhex(house.names[GONE[0]]),
            label="deleatur-key-v1",
            store=True,
            template={pkcs11.Attribute.EXTRACTABLE: True, pkcs11.Attribute.SENSITIVE: False},
        )
    with pytest.raises(Refused, match="could leave the token"):
        house.job()


def test_a_secret_key_of_somebody_else_is_refused(house: House) -> None:
    with driver().lib(LIBRARY).get_token(token_label="people").open(rw=True, user_pin=PIN) as session:
        session.generate_key(pkcs11.KeyType.AES, 256, label="mine", store=True)
    with pytest.raises(Refused, match="somebody else"):
        house.job()


def test_a_second_name_of_a_key_s_file_is_refused(house: House) -> None:
    for path in objects(house):
        (house.folder / path.name).hardlink_to(path)
    with pytest.raises(Refused, match="a second name keeps a wrapped copy"):
        house.job()


def test_a_kill_between_destroying_and_shredding_is_finished(house: House, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """The last key has no name left, and its file is shredded all the same."""
    wrapped = {value_of(path) for path in objects(house)}
    real = TokenKeyStore.destroy

    def killed(self: TokenKeyStore, name: str) -> None:
        real(self, name)
        if len(list(self.names())) == len(STAY):
            raise Failed("killed here")

    directory = house.job()
    monkeypatch.setattr(TokenKeyStore, "destroy", killed)
    with pytest.raises(Failed, match="killed here"):
        house.bench.run(directory)
    (held,) = (house.folder / "tokens").glob("*/.deleatur-held-*")
    assert value_of(held) in wrapped
    monkeypatch.setattr(TokenKeyStore, "destroy", real)
    house.bench.run(directory)
    assert house.certificate(directory).outcome.per_target[0].assurance == "A3/key"
    assert not list((house.folder / "tokens").glob("*/.deleatur*"))


# not knowing is not gone


def test_a_wrong_pin_is_an_error_and_never_a_missing_key(house: House) -> None:
    directory = house.job()
    (house.folder / "pin").write_text("0000\n")
    with pytest.raises(Refused, match="does not take this PIN"):
        house.bench.run(directory)
    assert not directory.certificate.exists()


def test_a_token_that_is_not_there_is_an_error(house: House) -> None:
    directory = house.job()
    tokens = next((house.folder / "tokens").iterdir())
    tokens.rename(house.folder / "away")
    forget_library()
    with pytest.raises(Transient, match="not there"):
        house.bench.run(directory)
    assert not directory.certificate.exists()


def test_a_session_that_was_logged_out_says_nothing_about_keys(house: House) -> None:
    """Private objects of a token are not shown to who is not logged in: an empty list, and no error."""
    with TokenKeyStore(house.address) as store:
        log_out(store)
        with driver().lib(LIBRARY).get_token(token_label="people").open() as other:
            assert not list(other.get_objects({pkcs11.Attribute.LABEL: "deleatur-key-v1"})), "the ground"
        with pytest.raises(Refused, match="0 key stores") as caught:
            store.open_by_name(house.names[GONE[0]], "mail", house.sealed[GONE[0]])
        assert not isinstance(caught.value, KeyNotFound)


def log_out(store: TokenKeyStore) -> None:
    """Log out as another session of the process would."""
    from deleatur_plugins.subject_keys import token

    first, users = token._logged_in.pop(store.token.serial)
    first.close()
    token._logged_in[store.token.serial] = store.token.open(rw=True), users


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pin: pin.chmod(0o644), "read by others"),
        (lambda pin: pin.write_text("\n"), "empty"),
        (lambda pin: pin.unlink(), "cannot be read"),
    ],
)
def test_the_file_of_the_pin_is_private(house: House, change, message: str) -> None:  # type: ignore[no-untyped-def]
    change(house.folder / "pin")
    with pytest.raises(Refused, match=message):
        house.job()


def test_a_library_that_others_can_change_is_not_loaded(house: House, tmp_path: Path) -> None:
    copy = tmp_path / "copy.so"
    copy.write_bytes(Path(LIBRARY).read_bytes())
    copy.chmod(0o777)
    with pytest.raises(Refused, match="changed by others"):
        TokenKeyStore(TokenAddress.of(url_of(house.folder).replace(LIBRARY, str(copy))))


GOOD = f"pkcs11:token=people?module-path={LIBRARY}&pin-source=file:/pin"


@pytest.mark.parametrize(
    "url",
    [
        "pkcs11:token=people",
        GOOD.replace("token=people", "object=people"),
        GOOD.replace("file:/pin", "|cat"),
        GOOD.replace("file:/pin", "file://host/pin"),
        GOOD + "&pin-source=file:/other",
        GOOD + "&softhsm-tokens=here",
        GOOD + "&slot-id=1",
        GOOD.replace("token=people", "token="),
    ],
)
def test_a_url_that_says_more_or_less_is_refused(url: str) -> None:
    assert TokenAddress.of(GOOD).label == "people"
    assert TokenAddress.of(GOOD.replace("people", "a%20b;serial=17")) == TokenAddress(
        "a b", "17", LIBRARY, "/pin", ""
    )
    with pytest.raises(Refused, match="RFC 7512"):
        TokenAddress.of(url)


def test_a_pin_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(Refused, match="holds a PIN") as caught:
        TokenAddress.of(GOOD + "&pin-value=4711")
    assert "4711" not in str(caught.value)


# the library that an application uses


def test_what_is_sealed_opens_for_its_subject_and_column_only(house: House) -> None:
    with TokenKeyStore(house.address) as store:
        content = store.seal("a", "mail", b"value")
        assert store.open("a", "mail", content) == b"value"
        assert store.seal("a", "mail", b"value") != content
        with pytest.raises(Refused, match="another subject"):
            store.open("a", "phone", content)
        with pytest.raises(Refused, match="another subject"):
            store.open(STAY[0], "mail", content)
        with pytest.raises(Refused):
            store.open("a", "mail", content[:-1])
        with pytest.raises(KeyNotFound):
            store.open("b", "mail", content)


def test_two_keys_of_one_subject_both_open_and_both_go(house: House) -> None:
    """Two programs that make the first key of a subject at once each use their own."""
    with TokenKeyStore(house.address) as store:
        store._made(house.names[GONE[0]])
        assert store.count(house.names[GONE[0]]) == 2
        assert store.open(GONE[0], "mail", house.sealed[GONE[0]]) == b"customer-0@example.org"
    directory = house.job()
    house.bench.run(directory)
    assert house.certificate(directory).outcome.per_target[0].assurance == "A3/key"


def test_a_token_holds_one_store(house: House) -> None:
    with pytest.raises(Refused, match="already"):
        TokenKeyStore.create(house.address)
