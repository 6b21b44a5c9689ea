"""Keys in OpenBao keep every promise of the contract, seen by another client; who breaks one is caught."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from deleatur.api import Condition, Selection, Target
from deleatur.errors import DeleaturError
from deleatur.testing.contract import BackendContract, MakeTarget, Planted, Raw
from deleatur.testing.trial import Trial
from deleatur_plugins.subject_keys import VaultKeysBackend, keyed, vault
from deleatur_plugins.subject_keys.store import KeyNotFound

from ..key_service import KeyService, key_service, token_in
from ..s3_proxy import BehindProxy, Proxy, honest, proxied

LIED_TO = {"test_not_knowing_is_not_gone", "test_an_io_error_is_not_swallowed"}


@pytest.fixture(scope="module")
def service() -> Iterator[KeyService]:
    with key_service() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(service: KeyService) -> Iterator[Proxy]:
    with proxied(service.port) as standing:
        yield standing


def plant(service: KeyService, endpoint: str) -> Planted:
    """Make an engine with keys that go and one that stays."""
    mount = service.mount()
    going, staying = [f"goes-{uuid.uuid4().hex}" for _ in range(4)], [f"stays-{uuid.uuid4().hex}"]
    for name in (*going, *staying):
        service.make(mount, name)
    service.done("POST", f"{mount}/keys/{going[0]}/rotate", {})
    listed = Condition(column="name", operator="in", values_from="gone.txt")
    return Planted(
        target=Target(
            id="people",
            url=f"vault://{mount}/?endpoint={endpoint}",
            select=(Selection(table="keys", where=(listed,)),),
        ),
        secrets={"digest-key": bytes(range(32)), "values:gone.txt": "\n".join(going).encode()},
        canaries=tuple(_marks(service, mount, going)),
        names=tuple(name.encode() for name in going),
        kept=tuple(_marks(service, mount, staying)),
    )


def _marks(service: KeyService, mount: str, names: list[str]) -> Iterator[bytes]:
    for name in names:
        mark = service.mark(mount, name)
        assert mark is not None
        yield mark


def seen(service: KeyService, planted: Planted) -> bytes:
    """Return what another client sees: the names of all keys, and what only each of them makes."""
    mount = planted.target.url.removeprefix("vault://").partition("/")[0]
    names = service.keys(mount)
    return b"\n".join((*(name.encode() for name in names), *_marks(service, mount, names)))


class TestVaultKeys(BehindProxy, BackendContract):
    backend = VaultKeysBackend
    not_applicable: ClassVar = {
        "test_records_round_trip": "keys are not archived",
        "test_keystream_reads_back": "a key goes in one step",
        "test_a_missing_key_is_an_error": "a key goes in one step",
        "test_canaries_are_gone_below_the_interface": "nothing below the interface is claimed",
        "test_surfaces_hold_the_canaries_before": "no surface can be scanned from here",
        "test_a_kill_at_any_call_is_survived": "the service changes storage, not this process",
        "test_a_cursor_is_flushed": "the service flushes what it writes",
    }

    @pytest.fixture(autouse=True)
    def _surroundings(
        self, service: KeyService, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        token_in(tmp_path, monkeypatch)
        self.service, self.proxy = service, proxy
        yield
        proxy.judge = honest

    @pytest.fixture
    def make_target(self, request: pytest.FixtureRequest) -> MakeTarget:
        lied_to = request.node.originalname in LIED_TO
        return lambda: plant(self.service, (self.proxy if lied_to else self.service).endpoint)

    @pytest.fixture
    def raw(self) -> Raw:
        return lambda planted: seen(self.service, planted)

    def replace(self, planted: Planted) -> None:
        """Put an engine with keys of the same names at the mount."""
        mount = planted.target.url.removeprefix("vault://").partition("/")[0]
        names = self.service.keys(mount)
        self.service.done("DELETE", f"sys/mounts/{mount}")
        self.service.done("POST", f"sys/mounts/{mount}", {"type": "transit"})
        for name in names:
            self.service.make(mount, name)


# --- who breaks a promise


def says_that_it_is_destroyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault.VaultKeyStore, "destroy", lambda _self, _name: None)


def takes_every_error_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(_self: object, _name: str, _column: str, _value: bytes) -> bytes:
        raise KeyNotFound("nobody answered")

    monkeypatch.setattr(vault.VaultKeyStore, "open_by_name", opened)


def destroys_what_is_not_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    true = keyed.KeysBackend._approved

    def every(self: keyed.KeysBackend) -> list[str]:
        true(self)
        return list(self._keys.names())

    monkeypatch.setattr(keyed.KeysBackend, "_approved", every)


def knows_an_engine_by_its_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault.VaultKeyStore, "_engine", lambda self: self.address.mount)


@pytest.mark.parametrize(
    ("bend", "caught_by"),
    [
        (says_that_it_is_destroyed, "test_nothing_is_readable_after"),
        (takes_every_error_for_gone, "test_probes_see_data_before"),
        (destroys_what_is_not_selected, "test_bystanders_are_untouched"),
        (knows_an_engine_by_its_mount, "test_a_replaced_target_is_another"),
    ],
)
def test_the_contract_catches_who_breaks_a_promise(
    service: KeyService,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    bend: Callable[[pytest.MonkeyPatch], None],
    caught_by: str,
) -> None:
    token_in(tmp_path, monkeypatch)
    suite = TestVaultKeys()
    suite.service = service

    def trial() -> Trial:
        return Trial(VaultKeysBackend, plant(service, service.endpoint), lambda p: seen(service, p))

    test = getattr(BackendContract, caught_by)
    test(suite, trial)  # the control: who keeps the promise passes
    bend(monkeypatch)
    with pytest.raises((AssertionError, DeleaturError)):
        test(suite, trial)
