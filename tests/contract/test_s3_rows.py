"""The s3-rows backend keeps every promise of the contract, on a real server, and rogues of it are caught."""

import gzip
import io
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
import pytest
from pyarrow import parquet

from deleatur.api import Condition, HeldRows, Selection, Target
from deleatur.errors import DeleaturError
from deleatur.testing.contract import BackendContract, MakeTarget, NewTrial, Planted, Raw
from deleatur.testing.trial import Trial
from deleatur_plugins.s3.inside import S3RowsBackend, replacing
from deleatur_plugins.s3.inside import backend as backend_of_rows
from deleatur_plugins.s3.inside.content import Content
from deleatur_plugins.s3.inside.forms import Form
from deleatur_plugins.s3.inside.rules import STAYS, Rule

from ..s3_proxy import BehindProxy, Proxy, honest, proxied
from ..s3_server import Client, Server, options_in, s3_server

LIED_TO = {"test_not_knowing_is_not_gone", "test_an_io_error_is_not_swallowed"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Proxy]:
    with proxied(server.port) as standing:
        yield standing


@pytest.fixture(scope="module")
def buckets(server: Server) -> tuple[str, str]:
    target, scratch = (server.client.make_bucket(f"{n}-{uuid.uuid4().hex}") for n in ("target", "scratch"))
    return target, scratch


class TestRowsOfObjects(BehindProxy, BackendContract):
    """CSV, JSON lines and Parquet in one bucket, with old versions."""

    backend = S3RowsBackend
    not_applicable: ClassVar = {
        "test_keystream_reads_back": "objects are not overwritten where they lie",
        "test_a_missing_key_is_an_error": "no step is compared with a pattern",
        "test_canaries_are_gone_below_the_interface": "nothing below the interface is claimed",
        "test_surfaces_hold_the_canaries_before": "no surface can be scanned from here",
        "test_records_round_trip": "rows of objects are not archived",
        "test_a_kill_at_any_call_is_survived": "the server changes storage, not this process",
        "test_a_cursor_is_flushed": "the server flushes what it writes",
    }

    @pytest.fixture(autouse=True)
    def _surroundings(
        self, server: Server, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        _options(tmp_path, monkeypatch)
        self.client = server.client
        self.proxy = proxy
        yield
        proxy.judge = honest

    @pytest.fixture
    def make_target(
        self, request: pytest.FixtureRequest, server: Server, proxy: Proxy, buckets: tuple[str, str]
    ) -> MakeTarget:
        endpoint = proxy.endpoint if request.node.originalname in LIED_TO else server.endpoint
        return lambda: plant(self.client, endpoint, *buckets)

    @pytest.fixture
    def raw(self) -> Raw:
        return lambda planted: seen(self.client, *_where(planted))

    def replace(self, planted: Planted) -> None:
        self.client.make_anew(_where(planted)[0])

    # a minute and more on a slow machine

    @pytest.mark.campaign
    def test_an_io_error_is_not_swallowed(self, trial: NewTrial) -> None:
        super().test_an_io_error_is_not_swallowed(trial)


def _options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options_in(tmp_path, monkeypatch)


def _people(count: int) -> list[tuple[str, str]]:
    return [(f"{uuid.uuid4().hex}@example.org", uuid.uuid4().hex) for _ in range(count)]


def csv_of(people: list[tuple[str, str]]) -> bytes:
    return b"email,note\r\n" + b"".join(f'"{mail}",{note}\r\n'.encode() for mail, note in people)


def jsonl_of(people: list[tuple[str, str]]) -> bytes:
    return b"".join(
        json.dumps({"person": {"email": mail}, "note": note}).encode() + b"\n" for mail, note in people
    )


def parquet_of(people: list[tuple[str, str]]) -> bytes:
    out = io.BytesIO()
    table = pa.table({"email": [m for m, _ in people], "note": [n for _, n in people]})
    parquet.write_table(table, out, row_group_size=2)
    return out.getvalue()


def plant(client: Client, endpoint: str, bucket: str, scratch: str) -> Planted:
    """Put people into objects of each form, some of whom leave, one of these under a hold."""
    folder = f"t-{uuid.uuid4().hex[:12]}/"
    going, staying, held = _people(4), _people(4), _people(1)
    mixed = [*staying[:2], going[0], *held, going[1], *staying[2:], *going[2:]]
    client.put(bucket, f"{folder}a.csv", csv_of([*going[:2], staying[0]]))  # old, and goes whole
    client.put(bucket, f"{folder}a.csv", csv_of(mixed), x_amz_meta_kind="people")
    client.put(bucket, f"{folder}b.jsonl.gz", gzip.compress(jsonl_of(mixed)))
    client.put(bucket, f"{folder}c.parquet", parquet_of(mixed))
    client.put(bucket, f"{folder}d.csv", csv_of(staying))
    client.put(bucket, f"{folder}e.csv", csv_of(going))
    client.mark(bucket, f"{folder}e.csv")
    client.put(bucket, f"{folder}picture.png", staying[0][1].encode())
    leavers = "".join(f"{mail}\n" for mail, _ in (*going, *held)).encode()
    kept = "".join(f"{mail}\n" for mail, _ in held).encode()

    def where(column: str, file: str) -> tuple[Condition, ...]:
        return (Condition(column=column, operator="in", values_from=file),)

    tables = (("*.csv", "email"), ("*.jsonl.gz", "person.email"), ("*.parquet", "email"))
    target = Target(
        id="t",
        url=f"s3-rows://{bucket}/{folder}?endpoint={endpoint}&scratch={scratch}",
        select=tuple(Selection(table=t, where=where(c, "leavers.txt")) for t, c in tables),
        hold=tuple(
            HeldRows(id=f"open-{n}", reason="an open matter", table=t, where=where(c, "kept.txt"))
            for n, (t, c) in enumerate(tables)
        ),
    )

    def bystanders() -> bytes:
        words = [note for _, note in (*staying, *held)]
        now = b"\n".join(
            current(client, bucket, f"{folder}{name}")
            for name in ("a.csv", "b.jsonl.gz", "c.parquet", "d.csv", "picture.png")
        )
        return b"".join(f"{word} {now.count(word.encode())}\n".encode() for word in words)

    return Planted(
        target=target,
        secrets={"digest-key": bytes(range(32)), "values:leavers.txt": leavers, "values:kept.txt": kept},
        canaries=tuple(note.encode() for _, note in going),
        kept=tuple(note.encode() for _, note in (*staying, *held)),
        bystanders=bystanders,
    )


def current(client: Client, bucket: str, key: str) -> bytes:
    content = client.call("GET", bucket, key).body
    if key.endswith(".parquet"):  # without the bounds of its columns, which follow the rows
        return repr(parquet.read_table(io.BytesIO(content)).to_pylist()).encode()
    return opened(key, content)


def opened(key: str, content: bytes) -> bytes:
    """Return what is in an object, by a reader that is not the plugin's."""
    if key.endswith(".gz"):
        return gzip.decompress(content)
    if key.endswith(".parquet"):
        return repr(parquet.read_table(io.BytesIO(content)).to_pylist()).encode() + content
    return content


def seen(client: Client, bucket: str, prefix: str) -> bytes:
    """Return every name and every content under a prefix, unpacked, of all versions."""
    parts = []
    for kind, key, id_ in client.names(bucket, prefix):
        parts.append(f"{kind} {key} {id_}".encode())
        if kind == "Version":
            parts.append(opened(key, client.get(bucket, key, id_).body))
    return b"\n".join(parts)


def _where(planted: Planted) -> tuple[str, str]:
    bucket, _, path = planted.target.url.removeprefix("s3-rows://").partition("?")[0].partition("/")
    return bucket, path


# --- rogues


_TRUE_REWRITING, _TRUE_CHOICE = Form.rewritten, Content.chosen


def _believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be read back before the old version goes: what is left must catch it."""
    monkeypatch.setattr(replacing, "_is_what_stays", lambda *_: True)


def keeps_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    _believed(monkeypatch)
    monkeypatch.setattr(Form, "rewritten", lambda _self, source, _rule: iter([source.read()]))


def loses_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def shorter(form: Form, source: BinaryIO, rule: Rule) -> Iterator[bytes]:
        content = b"".join(_TRUE_REWRITING(form, source, rule))
        yield content[: content.rindex(b"\n", 0, -1) + 1] if form.kind == "csv" else content

    _believed(monkeypatch)
    monkeypatch.setattr(Form, "rewritten", shorter)


def forgets_old_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Content, "chosen", lambda self: [c for c in _TRUE_CHOICE(self) if c.is_latest])


def leaves_the_version_that_it_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_of_rows, "delete", lambda *_: iter(()))


def deletes_without_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_of_rows, "replace", lambda *_: None)


def ignores_a_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Rule.verdict

    def harsh(rule: Rule, at: Any) -> str:
        return STAYS if true(rule, at) == STAYS else "goes"

    monkeypatch.setattr(Rule, "verdict", harsh)


def loses_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    _believed(monkeypatch)
    monkeypatch.setattr(replacing, "attributes", lambda *_: {})


@pytest.mark.parametrize(
    ("bend", "caught_by"),
    [
        (keeps_the_row, "test_nothing_is_readable_after"),
        (loses_a_row, "test_bystanders_are_untouched"),
        (forgets_old_versions, "test_nothing_survives_in_any_version"),
        (leaves_the_version_that_it_replaced, "test_nothing_is_readable_after"),
        (deletes_without_writing, "test_bystanders_are_untouched"),
        (ignores_a_hold, "test_bystanders_are_untouched"),
        (loses_the_metadata, "test_bystanders_are_untouched"),
    ],
)
def test_the_contract_catches_who_breaks_a_promise(
    server: Server,
    buckets: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    bend: Callable[[pytest.MonkeyPatch], None],
    caught_by: str,
) -> None:
    _options(tmp_path, monkeypatch)
    suite = TestRowsOfObjects()
    suite.client = server.client
    checks = {"test_nothing_survives_in_any_version": _nothing_survives}
    check = checks.get(caught_by) or getattr(BackendContract, caught_by).__get__(suite)

    def trial() -> Trial:
        planted = plant(server.client, server.endpoint, *buckets)
        return Trial(S3RowsBackend, planted, lambda p: seen(server.client, *_where(p)))

    check(trial)  # the control: who keeps the promise passes
    bend(monkeypatch)
    with pytest.raises((AssertionError, DeleaturError)):
        check(trial)


def _nothing_survives(trial: NewTrial) -> None:
    one = trial()
    for step in one.steps("rewrite-objects"):
        one.run(step)
    assert not [c for c in one.planted.canaries if c in one.raw()]
