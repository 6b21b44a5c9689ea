"""Whole jobs on keys of OpenBao: exactly the selected ones go, and only the service's own word counts."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deleatur.engine.directory import JobDirectory
from deleatur.errors import DeleaturError, Failed, Refused, Residue, Transient
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.subject_keys import VaultKeysBackend
from deleatur_plugins.subject_keys.vault import VaultAddress, VaultKeyStore

from ..key_service import TOKEN, KeyService, key_service, token_in
from ..s3_proxy import Judge, Proxy, Request, Said, honest, proxied

JOB = """
schema = "deleatur/job/v1"
name = "forget"
reason = "contract-end"
authority = "board decision 7"
requested_by = "legal"

[[target]]
id = "people"
url = "{url}"

[[target.select]]
table = "keys"
where = [{{ column = "name", operator = "in", values_from = "gone.txt" }}]
"""


@pytest.fixture(scope="module")
def service() -> Iterator[KeyService]:
    with key_service() as running:
        yield running


@dataclass
class House:
    """An engine with keys that go and that stay, behind a proxy that may lie."""

    service: KeyService
    proxy: Proxy
    folder: Path
    mount: str = ""
    going: list[str] = field(default_factory=lambda: [f"anna-{uuid.uuid4().hex}" for _ in range(3)])
    staying: list[str] = field(default_factory=lambda: [f"bert-{uuid.uuid4().hex}" for _ in range(2)])

    def planned(self) -> tuple[Workbench, JobDirectory]:
        bench = Workbench(self.folder, {"vault": VaultKeysBackend})
        directory = bench.job(JOB.format(url=f"vault://{self.mount}/?endpoint={self.proxy.endpoint}"))
        (directory.path / "gone.txt").write_text("\n".join(self.going) + "\n")
        bench.plan(directory)
        bench.approve(directory)
        return bench, directory


@pytest.fixture
def house(service: KeyService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    token_in(tmp_path, monkeypatch)
    with proxied(service.port) as proxy:
        made = House(service, proxy, tmp_path / "jobs", service.mount())
        for name in (*made.going, *made.staying):
            service.make(made.mount, name)
        yield made


def test_the_selected_keys_go_and_no_file_names_them(house: House) -> None:
    service = house.service
    service.done("POST", f"{house.mount}/keys/{house.going[0]}/rotate", {})
    before = [service.mark(house.mount, name) for name in house.staying]
    bench, directory = house.planned()
    bench.run(directory)
    assert sorted(service.keys(house.mount)) == sorted(house.staying)
    assert [service.mark(house.mount, name) for name in house.staying] == before
    assert [service.mark(house.mount, name) for name in house.going] == [None] * 3
    told: Any = verify(directory.certificate, [bench.agent.public], 1, None).certificate
    (outcome,) = told.outcome.per_target
    assert told.method[0].technique == "crypto-erase-by-service"
    assert outcome.state == "executed-unverified"
    assert "attested-by-key-service" in outcome.limited_by
    inputs = {"gone.txt"}
    written = b"".join(
        path.read_bytes() for path in directory.path.rglob("*") if path.is_file() and path.name not in inputs
    )
    assert [one for one in (*house.going, *house.staying, TOKEN) if one.encode() in written] == []


def test_the_rights_that_the_page_names_are_enough(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs/howto/destroy-keys.md").read_text("utf-8")
    rules = page.partition("```hcl\n")[2].partition("```")[0].replace("MOUNT", house.mount)
    token_in(tmp_path, monkeypatch, house.service.user(rules))
    bench, directory = house.planned()
    bench.run(directory)
    assert sorted(house.service.keys(house.mount)) == sorted(house.staying)


def test_a_key_that_is_out_of_use_is_no_destroyed_one_and_goes_too(house: House) -> None:
    house.service.done("DELETE", f"{house.mount}/keys/{house.going[1]}/soft-delete")
    bench, directory = house.planned()
    bench.run(directory)
    assert sorted(house.service.keys(house.mount)) == sorted(house.staying)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"deletable": False}, "is protected from deletion"),
        ({"exportable": True}, "could leave the service"),
        ({"allow_plaintext_backup": True}, "could leave the service"),
    ],
)
def test_a_key_that_cannot_be_destroyed_for_good_is_refused(
    house: House, how: dict[str, bool], words: str
) -> None:
    house.going.append(f"carl-{uuid.uuid4().hex}")
    house.service.make(house.mount, house.going[-1], **how)
    with pytest.raises(Refused, match=words) as caught:
        house.planned()
    assert house.going[-1] not in str(caught.value)
    assert len(house.service.keys(house.mount)) == 6


def test_a_key_that_was_made_after_the_approval_stops_the_job(house: House) -> None:
    late = f"carl-{uuid.uuid4().hex}"
    house.going.append(late)
    bench, directory = house.planned()
    house.service.make(house.mount, late)
    with pytest.raises(Refused):
        bench.run(directory)
    assert len(house.service.keys(house.mount)) == 6


# --- services that lie, or do not answer


def _says_deleted(request: Request) -> Said:
    return (204, {}, b"") if request.method == "DELETE" else honest(request)


def _knows_no_key(request: Request) -> Said:
    if "/verify/" in request.target or "/hmac/" in request.target:
        return 400, {}, b'{"errors":["encryption key not found"]}'
    return honest(request)


def _denies_afterwards(deleted: list[str]) -> Judge:
    def judge(request: Request) -> Said:
        if request.method == "DELETE":
            deleted.append(request.target)
        elif len(deleted) == 3 and "/verify/" in request.target:
            return 403, {}, b'{"errors":["permission denied"]}'
        return honest(request)

    return judge


@pytest.mark.parametrize(
    ("judge", "kind", "words"),
    [
        (_says_deleted, Failed, "says that a key is destroyed, and shows it"),
        (_knows_no_key, Failed, "shows a key, and says that there is none"),
        (lambda _: (503, {}, b'{"errors":["Vault is sealed"]}'), Transient, "busy, sealed or a standby"),
        (lambda _: (307, {"Location": "http://127.0.0.1:9/"}, b""), Transient, "a standby"),
        (lambda _: (200, {}, b"<html>"), DeleaturError, "answers 200"),
        (
            lambda r: (200, {}, b'{"data":{"keys":[1]}}') if "list" in r.words else honest(r),
            Failed,
            "a list of",
        ),
        (lambda r: (200, {}, b'{"data":{"keys":1}}') if "/keys/" in r.target else honest(r), Failed, "a key"),
        (lambda _: (200, {}, b"[" * 100_000), DeleaturError, "answers 200"),
        (lambda _: (404, {}, b'{"errors":["no handler for route"]}'), DeleaturError, "answers 404"),
        (lambda _: (403, {}, b'{"errors":["permission denied"]}'), Refused, "does not let this token"),
    ],
)
def test_a_service_that_lies_or_does_not_answer_is_an_error(
    house: House, judge: Judge, kind: type[DeleaturError], words: str
) -> None:
    bench, directory = house.planned()
    house.proxy.judge = judge
    with pytest.raises(kind, match=words):
        bench.run(directory)
    assert not directory.certificate.exists()
    house.proxy.judge = honest
    bench.run(directory)
    assert sorted(house.service.keys(house.mount)) == sorted(house.staying)


def test_a_denial_is_no_word_of_a_key(house: House) -> None:
    bench, directory = house.planned()
    house.proxy.judge = _denies_afterwards([])
    with pytest.raises(Failed, match="does not let this token"):
        bench.run(directory)
    assert not directory.certificate.exists()


def test_an_empty_engine_in_its_place_is_another(house: House) -> None:
    bench, directory = house.planned()
    house.service.done("DELETE", f"sys/mounts/{house.mount}")
    house.service.done("POST", f"sys/mounts/{house.mount}", {"type": "transit"})
    with pytest.raises(DeleaturError):
        bench.run(directory)
    assert not directory.certificate.exists()


def test_a_service_that_keeps_a_key_under_another_answer_is_residue(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VaultKeyStore, "destroy", lambda _self, _name: None)
    bench, directory = house.planned()
    with pytest.raises(Residue):
        bench.run(directory)


# --- what a URL and an option file may say


@pytest.mark.parametrize(
    "url",
    [
        "vault://transit/",
        "vault://transit/?endpoint=http://keys.example.org:8200",
        "vault://transit/?endpoint=https://user@keys.example.org",
        "vault://transit/?endpoint=https://keys.example.org/v1",
        "vault://transit/?endpoint=https://keys.example.org&token=1",
        "vault://transit/?endpoint=https://keys.example.org&endpoint=https://other.example.org",
        "vault://../sys/?endpoint=https://keys.example.org",
        "vault://a/../sys/?endpoint=https://keys.example.org",
        "vault:///?endpoint=https://keys.example.org",
        "vault://transit/?endpoint=https://[x",
        "vault://transit/?endpoint=ftp://127.0.0.1",
    ],
)
def test_a_url_that_says_too_much_or_too_little_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        VaultAddress.of(url)


@pytest.mark.parametrize(
    "content", ["", "[client]\n", "[client]\ntoken = a b\n", "[client]\ntoken = a\nuser = b\n"]
)
def test_an_option_file_without_one_token_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    options = tmp_path / "vault.ini"
    options.write_text(content)
    options.chmod(0o600)
    monkeypatch.setenv("DELEATUR_VAULT_OPTIONS", str(options))
    with pytest.raises(Refused, match="DELEATUR_VAULT_OPTIONS"):
        VaultKeyStore(VaultAddress.of("vault://transit/?endpoint=http://127.0.0.1:9"), bytes(32))
