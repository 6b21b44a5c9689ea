"""Backends of buckets that break one promise each, in a way that tools do, and the test that catches each."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from deleatur.errors import DeleaturError
from deleatur.testing.contract import BackendContract
from deleatur.testing.trial import Trial
from deleatur_plugins.s3 import S3Backend, backend, content, deleting, listing
from deleatur_plugins.s3.connecting import Session
from deleatur_plugins.s3.listing import Entry
from deleatur_plugins.s3.spool import Spool

from ..s3_server import Server, options_in, s3_server
from .test_s3 import TestWithVersions as Suite
from .test_s3 import plant

_TRUE_LISTING, _TRUE_DELETION = listing.listed, deleting._delete
_TRUE_IDENTITY = backend.identity_of


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


def _nothing_left(_: Session, *spools: Spool) -> list[Spool]:
    return [Spool() for _ in spools]


def forgets_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    def latest(*args: Any, **kwargs: Any) -> Iterator[Entry]:
        newest = {
            entry.key: entry for entry in sorted(_TRUE_LISTING(*args, **kwargs), key=lambda e: e.modified)
        }
        yield from sorted(newest.values())

    for module in (content, deleting):
        monkeypatch.setattr(module, "listed", latest)


def stops_at_the_first_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(session: Session, prefix: str, **kwargs: Any) -> Iterator[Entry]:
        return islice(_TRUE_LISTING(session, prefix, **kwargs), 4)

    monkeypatch.setattr(content, "listed", first)


def trusts_an_empty_first_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "_still_there", _nothing_left)
    monkeypatch.setattr(deleting, "_in_turn", lambda *_: iter(()))


def swallows_the_refusal_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def quiet(session: Session, batch: Sequence[Entry]) -> Counter[str]:
        _TRUE_DELETION(session, batch[1:])
        return Counter()

    monkeypatch.setattr(deleting, "_delete", quiet)
    monkeypatch.setattr(deleting, "_still_there", _nothing_left)


def ignores_a_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content.Choice, "of", lambda _, entries: ((entry, "") for entry in entries))


def deletes_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def marking(session: Session, batch: Sequence[Entry]) -> Counter[str]:
        for entry in batch:
            session.ask("DeleteObject", Key=entry.key)
        return Counter()

    monkeypatch.setattr(deleting, "_delete", marking)
    monkeypatch.setattr(deleting, "_still_there", _nothing_left)


def knows_a_bucket_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_name(session: Session) -> tuple[tuple[str, str], ...]:
        return tuple(pair for pair in _TRUE_IDENTITY(session) if pair[0] in ("server", "region", "bucket"))

    monkeypatch.setattr(backend, "identity_of", lambda session: (*by_name(session), ("created", "known")))


@pytest.mark.parametrize(
    ("bend", "caught_by"),
    [
        (forgets_versions, "test_probes_see_data_before"),
        (stops_at_the_first_page, "test_probes_see_data_before"),
        (trusts_an_empty_first_page, "test_nothing_is_readable_after"),
        (swallows_the_refusal_of_a_key, "test_nothing_is_readable_after"),
        (deletes_by_name, "test_nothing_is_readable_after"),
        (ignores_a_hold, "test_bystanders_are_untouched"),
        (knows_a_bucket_by_its_name, "test_a_replaced_target_is_another"),
    ],
)
def test_the_contract_catches_who_breaks_a_promise(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    bend: Callable[[pytest.MonkeyPatch], None],
    caught_by: str,
) -> None:
    trial = _trials(server, monkeypatch, tmp_path)
    test = getattr(BackendContract, caught_by)
    suite = Suite()
    suite.client = server.client
    test(suite, trial)  # the control: who keeps the promise passes
    bend(monkeypatch)
    with pytest.raises((AssertionError, DeleaturError)):
        test(suite, trial)


def _trials(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Trial]:
    options_in(tmp_path, monkeypatch)
    bucket, scratch = (server.client.make_bucket(f"b-{uuid.uuid4().hex}") for _ in range(2))

    def trial() -> Trial:
        planted = plant(server.client, server.endpoint, bucket, scratch)
        return Trial(S3Backend, planted, lambda _: server.client.contents(bucket))

    return trial
