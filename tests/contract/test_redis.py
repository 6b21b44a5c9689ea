"""The redis backend keeps every promise of the contract, on a real server and down to its raw image."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from deleatur.api import Condition, HeldRows, Selection, Target
from deleatur.documents.job import ArchivedTable, Rule
from deleatur.testing.contract import BackendContract, MakeTarget, NewTrial, Planted, Raw
from deleatur_plugins.redis import RedisBackend

from ..redis_server import Server, server_on_a_disk

KEY = {"digest-key": bytes(range(32))}
GOING = Condition(column="country", operator="=", value="DE")
KEPT = ("customer:4", "settings", "customer:2", "log:1")


def target(url: str, technique: str | None) -> Target:
    """Every customer of one country but one, who is held, and all baskets and visits."""
    held = Condition(column="number", operator="=", value=4)
    return Target(
        id="t",
        url=url,
        technique=technique,
        select=(
            Selection(table="hash customer:*", where=(GOING,)),
            Selection(table="basket:*"),
        ),
        hold=(HeldRows(id="open", reason="an open matter", table="hash customer:*", where=(held,)),),
        archive=(
            ArchivedTable(
                table="hash customer:*",
                columns={
                    name: Rule(rule="keep")
                    for name in ("@key", "country", "email", "name", "number", "photo")
                },
                where=(GOING,),
            ),
        ),
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_on_a_disk() as running:
        yield running


class RedisContract(BackendContract):
    """What both techniques share."""

    backend = RedisBackend
    technique: ClassVar[str | None]

    @pytest.fixture(autouse=True)
    def _of_this_test(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        self.server = server
        self.other: list[Server] = []
        monkeypatch.delenv("DELEATUR_REDIS_OPTIONS", raising=False)
        yield
        for one in self.other:
            one.stop()

    @pytest.fixture
    def make_target(self, server: Server) -> Iterator[MakeTarget]:
        database = -1

        def make() -> Planted:
            nonlocal database
            database = (database + 1) % 16
            # what a trial before this one left in the log and the snapshot goes too, below all databases
            server.idle()
            server.run(("FLUSHALL", "SYNC"), ("SLOWLOG", "RESET"))
            email, name, text, visit = (uuid.uuid4().hex for _ in range(4))
            photo = uuid.uuid4().bytes + b"\xff"
            kept = tuple(uuid.uuid4().hex for _ in range(2))
            people = [
                {"number": "1", "country": "DE", "email": email, "photo": photo},
                {"number": "2", "country": "FR", "name": kept[0]},
                {"number": "3", "country": "DE", "name": name},
                {"number": "4", "country": "DE", "name": kept[1]},
            ]
            with server.connected(db=database) as client:
                for person in people:
                    client.hset(f"customer:{person['number']}", mapping=person)
                client.rpush("basket:1", text * 40, "apple")
                client.sadd("basket:2", "pear", visit)
                client.zadd("basket:3", {f"{visit}-z": 1.5})
                client.xadd("basket:4", {"seen": f"{visit}-x"}, id="1-1")
                client.set(f"basket:{name}", "42")
                client.set("settings", "stays")
                client.rpush("log:1", "kept", "kept")
                client.bgsave()
            server.idle()
            server.settle()
            texts = {k: v for k, v in people[0].items() if k != "photo"}
            return Planted(
                target=target(server.url(database), self.technique),
                secrets=KEY,
                canaries=(email.encode(), name.encode(), photo, text.encode(), visit.encode()),
                kept=tuple(k.encode() for k in kept),
                bystanders=lambda: staying(server, database),
                records={
                    "hash customer:*": [
                        {"@key": "customer:1", **texts, "name": None, "photo": photo},
                        *(
                            {"@key": f"customer:{p['number']}", **p, "email": None, "photo": None}
                            for p in people[2:]
                        ),
                    ]
                },
            )

        yield make
        server.idle()
        server.run(("FLUSHALL", "SYNC"))

    @pytest.fixture
    def raw(self, server: Server) -> Raw:
        return lambda _: server.raw()

    def replace(self, planted: Planted) -> None:
        """Let another server answer at the same socket, with a directory of its own."""
        self.server.stop()
        other = Server(self.server.folder, self.server.image, {})
        other.data, other.socket = self.server.mount / f"other-{uuid.uuid4().hex[:8]}", self.server.socket
        self.other.append(other)
        other.start()
        other.run(("HSET", "customer:1", "country", "DE", "number", "1"))

    @pytest.fixture(autouse=True)
    def _started_again(self, server: Server) -> Iterator[None]:
        yield
        for one in self.other:
            one.stop()
            server.start()

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Be a user whom the server does not know any more."""
        self.server.run(("CONFIG", "SET", "requirepass", "between us"))
        try:
            yield
        finally:
            self.server.run(("CONFIG", "SET", "requirepass", ""), password="between us")


ALWAYS = {
    "test_keystream_reads_back": "keys are not overwritten where they lie",
    "test_a_missing_key_is_an_error": "no step is compared with a pattern",
}


@pytest.mark.root
class TestDownToTheFiles(RedisContract):
    technique = None
    not_applicable: ClassVar = ALWAYS

    # the full matrices take minutes

    @pytest.mark.campaign
    def test_a_kill_at_any_call_is_survived(self, trial: NewTrial) -> None:
        super().test_a_kill_at_any_call_is_survived(trial)

    @pytest.mark.campaign
    def test_an_io_error_is_not_swallowed(self, trial: NewTrial) -> None:
        super().test_an_io_error_is_not_swallowed(trial)


@pytest.mark.root
class TestKeysOnly(RedisContract):
    technique = "delete-rows"
    not_applicable: ClassVar = {
        **ALWAYS,
        "test_canaries_are_gone_below_the_interface": "nothing below the interface is claimed",
        "test_a_kill_at_any_call_is_survived": "the server changes storage, not this process",
        "test_an_io_error_is_not_swallowed": "the server changes storage, not this process",
        "test_a_cursor_is_flushed": "the server flushes what it writes",
    }


def staying(server: Server, database: int) -> bytes:
    """Read what must stay without the backend."""
    with server.connected(db=database) as client:
        people = [sorted(client.hgetall(f"customer:{n}").items()) for n in (2, 4)]
        return repr([people, client.get("settings"), client.lrange("log:1", 0, -1)]).encode()
