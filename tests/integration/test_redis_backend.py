"""What the redis backend refuses, what it cannot see, and what a kill leaves: on a real server."""

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from deleatur.api import (
    Condition,
    Cursor,
    HeldRows,
    HeldTable,
    Refused,
    Selection,
    Target,
    Transient,
    Unsupported,
    Within,
)
from deleatur.documents.codec import encode_json
from deleatur.engine.directory import JobDirectory
from deleatur.errors import DeleaturError, Residue
from deleatur.testing import faults
from deleatur.testing.trial import steps_of
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.redis import RedisBackend, deleting, ground, resaving
from deleatur_plugins.redis.connecting import Session
from deleatur_plugins.redis.ground import Ground
from deleatur_plugins.redis.holdings import patterns_of

from ..redis_server import Server, server_on_a_disk

KEY = {"digest-key": bytes(range(32))}
(RESAVE,) = steps_of("resave-and-shred", "t")
LEAVING = Condition(column="leaves", operator="=", value="yes")
EVERYBODY = (Selection(table="hash person:*", where=(LEAVING,)), Selection(table="mail:*"))

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server_on_a_disk() as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Forty people, half of whom leave, each with letters that go."""
    monkeypatch.delenv("DELEATUR_REDIS_OPTIONS", raising=False)
    return filled(running)


def filled(server: Server) -> Server:
    server.idle()
    with server.connected() as client:
        # no FLUSHALL: the server writes a new snapshot when it meets one in its log as it starts
        client.delete("deleatur:erasing", *client.keys("*"))
        pipeline = client.pipeline()
        for n in range(1, 41):
            person = {"leaves": "yes" if n % 2 == 0 else "no", "name": uuid.uuid4().hex, "number": n}
            pipeline.hset(f"person:{n}", mapping=person)
            if n % 2 == 0:
                pipeline.rpush(f"mail:{n}", uuid.uuid4().hex, uuid.uuid4().hex)
        pipeline.execute()
        client.bgsave()
    server.idle()
    server.settle()
    return server


def opened(server: Server, secrets: dict[str, bytes] = KEY, **fields: object) -> RedisBackend:
    return RedisBackend.open(Target(id="t", url=server.url(), **{"select": EVERYBODY, **fields}), secrets)


def blockers(server: Server, **fields: object) -> str:
    with closing(opened(server, **fields)) as backend:
        return "\n".join(backend.inspect().blockers)


def refused(server: Server, **fields: object) -> str:
    with pytest.raises(Refused) as caught, closing(opened(server, **fields)) as backend:
        backend.inspect()
    return str(caught.value)


def approved(server: Server, **fields: object) -> dict[str, bytes]:
    """Return the secrets of an erase, with what the plan approved."""
    with closing(opened(server, **fields)) as backend:
        look = backend.inspect()
    return {**KEY, "approved-units": encode_json({"units": look.units, "held": look.held})}


def erase(
    server: Server, secrets: dict[str, bytes] = KEY, after: Cursor | None = None, **fields: object
) -> int:
    with closing(opened(server, secrets, **fields)) as backend:
        return list(backend.erase(RESAVE, after))[-1].done


def values(server: Server, leaves: str = "yes") -> list[bytes]:
    with server.connected() as client:
        people = [client.hgetall(key) for key in client.scan_iter("person:*")]
        letters = [v for key in client.scan_iter("mail:*") for v in client.lrange(key, 0, -1)]
    names = [p[b"name"] for p in people if p[b"leaves"] == leaves.encode()]
    return sorted(names + (letters if leaves == "yes" else []))


def found(server: Server, needles: list[bytes]) -> int:
    raw = server.raw()
    return sum(needle in raw for needle in needles)


def job_text(server: Server, technique: str = "") -> str:
    return f"""
schema = "deleatur/job/v1"
name = "leavers"
reason = "contract-end"
authority = "board decision 7 of 2026"
requested_by = "legal"

[verification]
device = true

[[target]]
id = "people"
url = "{server.url()}"
{technique}

[[target.select]]
table = "hash person:*"
where = [{{ column = "leaves", operator = "=", value = "yes" }}]

[[target.select]]
table = "mail:*"
"""


# --- the whole way


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("ext4", {}),
        ("ext4", {"appendonly": "no"}),
        ("ext4", {"save": ""}),
        pytest.param("xfs", {"aof-use-rdb-preamble": "no"}, marks=pytest.mark.campaign),
    ],
)
def test_nothing_is_left_in_files_on_the_device_and_after_a_restart_in_memory(
    kind: str, settings: dict[str, str], tmp_path: Path
) -> None:
    with server_on_a_disk(kind, **settings) as server:
        filled(server)
        going, staying = values(server), values(server, "no")
        assert found(server, going) == len(going) == 60
        bench = Workbench(tmp_path)
        job = bench.whole(job_text(server))
        (verification,) = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification
        assert verification.verdict == "CLEAN"
        assert found(server, going) == 0
        assert (values(server), values(server, "no")) == ([], staying)
        memory = server.memory()
        assert sum(name in memory for name in going) > 0, "the control: its memory keeps what was deleted"
        server.restart()
        memory = server.memory()
        assert sum(name in memory for name in going) == 0
        assert (values(server), values(server, "no")) == ([], staying)
        assert sorted(p.name for p in server.data.iterdir() if p.name.startswith(".")) == []


def in_memory(server: Server) -> str:
    return job_text(server).replace("device = true", "device = true\nmemory = true")


def test_memory_that_is_asked_for_is_residue_until_the_server_is_restarted(tmp_path: Path) -> None:
    with server_on_a_disk() as server:
        filled(server)
        bench = Workbench(tmp_path)
        with pytest.raises(Residue):
            bench.whole(in_memory(server))
        job = JobDirectory(tmp_path / "job")
        (report,) = job.path.glob("residue-*.json")
        assert f"memory of who works in {server.data} pid {server.pid}" in report.read_text()
        assert not job.certificate.exists()
        server.restart()
        bench.run(job)
        certificate = verify(job.certificate, [bench.agent.public], 1, None).certificate
        (verification,) = certificate.verification
        assert verification.verdict == "CLEAN"
        (memory,) = (s for s in verification.surfaces if s.name == "memory of the server")
        assert memory.values_seen_before == verification.needles.count > 60
        assert (memory.hits_after, memory.unreadable_after) == (0, 0)
        assert memory.bytes_after > 1 << 20
        assert certificate.outcome.per_target[0].state == "verified-with-exceptions"
        limits = {s.id for s in certificate.known_limits}
        assert {"memory-elsewhere", "engine-check-not-run"} <= limits
        assert "process-memory" not in limits
        assert "earlier-finding" in {e.sentence.id for e in certificate.exceptions}


@pytest.mark.parametrize(("decoders", "verdict"), [((), "INCONCLUSIVE"), (("redis",), "CLEAN")])
def test_compressed_values_are_seen_through_the_decoder_only(
    decoders: tuple[str, ...], verdict: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "_COMPRESSED", decoders)
    with server.connected() as client:
        for n in range(2, 41, 2):
            client.hset(f"person:{n}", "name", "a-b-c-d-" * 20 + f"{n:04}" + "a-b-c-d-" * 20)
            client.delete(f"mail:{n}")
        client.bgrewriteaof()
    server.idle()
    server.run(("CONFIG", "SET", "auto-aof-rewrite-percentage", "0"))
    bench = Workbench(tmp_path)
    job = bench.whole(job_text(server).replace("device = true", "device = false"))
    (verification,) = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification
    assert verification.verdict == verdict


def test_the_settings_of_the_server_are_set_back_also_after_a_kill(server: Server) -> None:
    names = ("save", "auto-aof-rewrite-percentage")
    with server.connected() as client:
        client.config_set("save", "900 1 300 10")
        before = [client.config_get(name) for name in names]
        with closing(opened(server)) as backend:
            told = faults.run_killed_after(lambda: (c.position for c in backend.erase(RESAVE, None)), 2).told
            last = Cursor(told[-1], 40)
            assert client.config_get("save") == {"save": "1000000000 1"}, "a stop must still save"
            died = faults.run_killed_at(partial(list, backend.erase(RESAVE, last)), 3)
            assert died.killed
            assert client.config_get("save") == {"save": "1000000000 1"}
        erase(server, after=last)
        assert [client.config_get(name) for name in names] == before


def test_what_a_dead_child_left_is_shredded(server: Server) -> None:
    going = values(server)
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = server.data / f"temp-{ended.pid}.rdb"
    left.write_bytes(b"REDIS0010" + going[0])
    server.flush()
    erase(server)
    assert not left.exists()
    assert found(server, going) == 0


def test_what_the_server_noted_of_slow_and_refused_commands_is_forgotten(server: Server) -> None:
    (going, *_) = values(server)
    with server.connected() as client:
        client.config_set("slowlog-log-slower-than", 0)
        client.acl_setuser("guest", enabled=True, nopass=True)
        client.hset("person:2", "again", going)
        client.config_set("slowlog-log-slower-than", -1)
    with server.connected(username="guest", password="") as client, suppress(redis.RedisError):
        client.get(going)

    def noted() -> bytes:
        with server.connected() as client:
            return repr((client.execute_command("SLOWLOG", "GET", "-1"), client.acl_log())).encode()

    before = noted()
    assert before.count(going) >= 1, "the control: the server shows a value among slow commands"
    assert b"guest" in before, "the control: and who was refused"
    erase(server)
    assert noted() == b"([], [])"


def test_writers_on_the_keys_that_stay_lose_nothing(server: Server) -> None:
    stop, done = threading.Event(), [0]

    def write() -> None:
        with server.connected() as client:
            while not stop.is_set():
                client.incr("person:1:counted")
                done[0] += 1

    going = values(server)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        erase(server)
    finally:
        stop.set()
        writer.join()
    assert int(server.run(("GET", "person:1:counted"))) == done[0] > 50
    assert found(server, going) == 0


# --- exactly what was approved


def test_a_kill_between_two_transactions_leaves_a_rest_that_is_known(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "_BATCH", 3)
    secrets, staying = approved(server), values(server, "no")
    first = Cursor("begin | 3600 1;100", 0)
    with closing(opened(server, secrets)) as backend, monkeypatch.context() as patch:
        whole, times = deleting._delete, itertools.count()

        def some(*arguments: object) -> None:
            if next(times) == 4:
                raise KeyboardInterrupt
            whole(*arguments)

        patch.setattr(deleting, "_delete", some)
        with pytest.raises(KeyboardInterrupt):
            list(backend.erase(RESAVE, first))
    with closing(opened(server, secrets)) as backend:
        look = backend.inspect()
        assert (look.size, look.blockers) == (40 - 12, ())
    with closing(opened(server, {"digest-key": bytes(32)})) as backend:
        assert "the key deleatur:erasing is of another erase" in "\n".join(backend.inspect().blockers)
    assert erase(server, secrets, first) == 40
    assert (values(server), values(server, "no")) == ([], staying)
    assert server.run(("EXISTS", "deleatur:erasing")) == 0


@pytest.mark.parametrize(
    "change",
    [("HSET", "person:2", "name", "other"), ("HSET", "person:3", "leaves", "yes"), ("DEL", "person:2")],
)
def test_what_changed_since_the_plan_is_refused_and_nothing_goes(
    server: Server, change: tuple[str, ...]
) -> None:
    secrets = approved(server)
    server.run(change)
    before = values(server)
    with pytest.raises(Refused, match="changed since the plan"):
        erase(server, secrets)
    assert values(server) == before


def test_a_change_half_way_is_refused_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "_BATCH", 3)
    secrets, whole, times = approved(server), deleting._delete, itertools.count()

    def changing(*arguments: object) -> None:
        if next(times) == 4:
            names = [("HSET", f"person:{n}", "name", "late") for n in range(2, 41, 2)]
            server.run(("RPUSH", "mail:40", "late"), *names[5:])
        whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(deleting, "_delete", changing)
        with pytest.raises(Refused, match="changed since the plan"):
            erase(server, secrets)
    with pytest.raises(Refused, match="changed since the plan"):
        erase(server, secrets)
    assert b"late" in server.run(("LRANGE", "mail:40", 0, -1))


def test_a_change_at_the_very_moment_is_seen_by_the_server(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = deleting.entries

    def racing(session: object, keys: list[bytes]) -> Iterator[object]:
        yield from list(honest(session, keys))  # type: ignore[arg-type]
        server.run(("HSET", "person:2", "name", "just now"))

    monkeypatch.setattr(deleting, "entries", racing)
    with pytest.raises(Transient, match="changed at the moment"):
        erase(server)
    assert b"just now" in values(server)


def test_a_hold_keeps_its_keys_and_every_one_of_them(server: Server) -> None:
    holds = (
        HeldRows(id="open", reason="a matter", table="person:*",
                 where=(Condition(column="@key", operator="in", values_from="who"),)),
        HeldRows(id="mail", reason="a matter", table="mail:1*"),
    )  # fmt: skip
    secrets = {**KEY, "values:who": b"person:4\nperson:6\nperson:7\n"}
    with closing(opened(server, secrets, hold=holds)) as backend:
        look = backend.inspect()
    assert [(u.name, u.size) for u in look.held] == [("hold mail", 5), ("hold open", 2)]
    assert erase(server, secrets, hold=holds) == 18 + 15
    with server.connected() as client:
        leaving = {k for k in client.scan_iter("person:*") if client.hget(k, "leaves") == b"yes"}
        assert leaving == {b"person:4", b"person:6"}
        assert len(list(client.scan_iter("mail:*"))) == 5


# --- what is selected


@pytest.mark.parametrize(
    ("table", "where", "reason"),
    [
        ("person:2", (), "needs a * or another wildcard"),
        ("hash person:2", (), "needs a * or another wildcard"),
        ("person\\*", (), "needs a * or another wildcard"),
        ("*", (LEAVING,), "have no fields; write \"hash *\""),
        ("person:*", (Condition(column="@size", operator="=", value=1),), "no column is called '@size'"),
        ("person:*", (Condition(column="number", operator="<", value=1),), "which keys do not know"),
        ("person:*", (Condition(column="number", operator="=", value=1.5),), "neither a text nor a whole"),
        ("person:*", (Condition(column="number", operator="=", value=True),), "neither a text nor a whole"),
        ("person:*", (Condition(column="number", operator="="),), "needs value beside its operator"),
        (
            "person:*",
            (Condition(column="name", operator="within", within=Within(table="mail:*", column="@key")),),
            "which keys do not know",
        ),
    ],
)  # fmt: skip
def test_what_does_not_say_one_thing_is_refused(
    server: Server, table: str, where: tuple[Condition, ...], reason: str
) -> None:
    assert reason in refused(server, select=(Selection(table=table, where=where),))


def test_patterns_and_values_are_never_read_as_anything_else(server: Server) -> None:
    evil = "x\r\nFLUSHALL\r\n * 'y"
    with server.connected() as client:
        client.hset(evil, mapping={evil: evil, "@key": "a field"})
        client.hset("x-stays", mapping={evil: "other"})
    for column, value in ((evil.replace("\r\n", ""), "no"), ("@@key", "a field")):
        where = (Condition(column=column, operator="=", value=value),)
        with closing(opened(server, select=(Selection(table="hash x*", where=where),))) as backend:
            assert backend.inspect().size == (1 if value == "a field" else 0)
    erase(server, select=(Selection(table="hash x*", where=where),))
    with server.connected() as client:
        assert (client.exists(evil), client.exists("x-stays"), client.dbsize()) == (0, 1, 61)


@pytest.mark.parametrize(
    ("operator", "value", "count"),
    [("!=", "yes", 20), ("is-null", None, 1), ("not-null", None, 40), ("=", "", 0)],
)
def test_a_field_that_is_missing_equals_nothing(
    server: Server, operator: str, value: str | None, count: int
) -> None:
    server.run(("HSET", "person:99", "name", "no field leaves"))
    where = (Condition(column="leaves", operator=operator, value=value),)  # type: ignore[arg-type]
    with closing(opened(server, select=(Selection(table="person:*", where=where),))) as backend:
        assert backend.inspect().size == count


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:word@host/0",
        "redis://host/",
        "redis://host",
        "redis:///0",
        "redis:///0?socket=",
        "redis://host/one",
        "redis://host/0?password=word",
        "redis://host/0?socket=/x",
        "redis:///0?socket=/x&tls=yes",
        "redis://host:port/0",
    ],
)
def test_a_url_that_says_too_much_or_too_little_is_refused(url: str) -> None:
    with pytest.raises(Refused) as caught:
        RedisBackend.open(Target(id="t", url=url, select=EVERYBODY), KEY)
    assert "word" not in str(caught.value).replace("password into", "")


# --- what is in the way


def test_keys_that_expire_are_refused_and_counted(server: Server) -> None:
    server.run(("EXPIRE", "person:2", 1000), ("EXPIRE", "person:3", 1000))
    assert "1 of the selected keys expire by themselves" in blockers(server)


def test_a_save_under_way_and_one_that_failed_are_named(server: Server) -> None:
    server.run(("CONFIG", "SET", "rdb-key-save-delay", 100_000), ("BGSAVE",))
    told = blockers(server)
    (child,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text("ascii").split()
    os.kill(int(child), signal.SIGKILL)
    server.run(("CONFIG", "SET", "rdb-key-save-delay", 0))
    assert "saving its snapshot just now (BGSAVE)" in told
    server.idle()
    assert "the server's last save failed" in blockers(server)
    server.run(("BGSAVE",))
    server.idle()
    assert blockers(server) == ""


def test_who_watches_and_other_names_of_files_are_named(server: Server) -> None:
    with server.connected() as client, client.monitor():
        number = next(c["id"] for c in client.client_list() if "O" in c["flags"])
        assert f"client {number} watches every command (MONITOR); end it (CLIENT KILL ID" in blockers(server)
    other = server.mount / "backup.rdb"
    other.hardlink_to(server.data / "dump.rdb")
    try:
        assert "has 2 names; remove the others" in blockers(server)
    finally:
        other.unlink()


@contextmanager
def second(server: Server, **settings: str) -> Iterator[Server]:
    """Another server, whose files lie beside."""
    other = Server(server.folder, server.image, settings)
    other.data = server.mount / f"second-{uuid.uuid4().hex[:8]}"
    try:
        other.start()
        yield other
    finally:
        other.stop()
        other.socket.unlink(missing_ok=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_replicas_and_the_server_over_tcp_with_a_password(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with second(server, port=str(port), bind="127.0.0.1") as master:
        master.run(("CONFIG", "SET", "requirepass", "between %us"))
        options = tmp_path / "client.cnf"
        options.write_text("[client]\npassword = between %us\n")
        url = f"redis://127.0.0.1:{port}/0"
        with pytest.raises(Refused, match="wants a password; name an option file"):
            RedisBackend.open(Target(id="t", url=url, select=EVERYBODY), KEY).inspect()
        monkeypatch.setenv("DELEATUR_REDIS_OPTIONS", str(options))
        options.chmod(0o644)
        with pytest.raises(Refused, match="can be read by others; run chmod 600"):
            RedisBackend.open(Target(id="t", url=url, select=EVERYBODY), KEY).inspect()
        options.chmod(0o600)
        with closing(RedisBackend.open(Target(id="t", url=url, select=EVERYBODY), KEY)) as backend:
            look = backend.inspect()
            assert (look.blockers, dict(look.identity.fields)["path"]) == ((), str(master.data))
        server.run(("CONFIG", "SET", "masterauth", "between %us"), ("REPLICAOF", "127.0.0.1", port))
        try:
            monkeypatch.delenv("DELEATUR_REDIS_OPTIONS")
            assert f"the server is a replica of 127.0.0.1:{port}; erase there" in blockers(server)
            with pytest.raises(Refused, match="is a replica of"):
                erase(server)
            monkeypatch.setenv("DELEATUR_REDIS_OPTIONS", str(options))
            for _ in range(100):
                with closing(RedisBackend.open(Target(id="t", url=url, select=EVERYBODY), KEY)) as backend:
                    told = "\n".join(backend.inspect().blockers)
                if "is attached and has every key; detach it" in told:
                    break
                time.sleep(0.05)
            assert "replica 127.0.0.1:" in told
        finally:
            server.run(("REPLICAOF", "NO", "ONE"))


def test_a_node_of_a_cluster_is_refused_also_for_less(server: Server) -> None:
    with second(
        server, **{"cluster-enabled": "yes", "port": str(free_port()), "cluster-port": str(free_port())}
    ) as node:
        select = (Selection(table="person:*"),)
        assert "the server runs in cluster mode" in refused(node, select=select)
        assert "the server runs in cluster mode" in refused(node, select=select, technique="delete-rows")


def test_a_node_of_a_cluster_of_valkey_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Valkey calls its mode by another name; who tells none is not taken for one that stands alone."""
    real = Session.text
    for told, said in (("server_mode:cluster", "cluster mode"), ("mode_of_server:cluster", "unknown mode")):

        def text(self: Session, *command: str, told: str = told) -> str:
            return real(self, *command).replace("redis_mode:standalone", told)

        monkeypatch.setattr(Session, "text", text)
        assert said in refused(server)


def test_missing_rights_are_the_words_to_give(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.run(
        (
            "ACL",
            "SETUSER",
            "few",
            "reset",
            "on",
            ">word",
            "+@read",
            "+@connection",
            "+info",
            "+config|get",
            "~*",
        )
    )
    options = tmp_path / "few.cnf"
    options.write_text("[client]\nuser = few\npassword = word\n")
    options.chmod(0o600)
    monkeypatch.setenv("DELEATUR_REDIS_OPTIONS", str(options))
    try:
        asked = []
        while told := blockers(server):
            words = told.removeprefix("this user has too few rights: ").removesuffix(" (ACL SETUSER)")
            asked.append(words.split(" "))
            server.run(("ACL", "SETUSER", "few", *asked[-1]))
        assert asked[0] == ["+acl|whoami", "+acl|dryrun"]
        assert len(asked) == 2
        erase(server)
        assert values(server) == []
        listed = server.run(("ACL", "LIST"))
        assert b"+@all" not in next(line for line in listed if b"user few" in line)
    finally:
        server.run(("ACL", "DELUSER", "few"))


# --- what cannot be seen


def test_without_the_servers_files_only_a_job_that_asks_for_less_runs(server: Server, tmp_path: Path) -> None:
    with second(server) as managed:
        filled(managed).run(("ACL", "SETUSER", "default", "-config"))
        going, bench = values(managed), Workbench(tmp_path)
        with pytest.raises(Refused, match=r"does not tell its settings .*or ask for technique delete-rows"):
            bench.plan(bench.job(job_text(managed), "first"))
        job = bench.whole(job_text(managed, 'technique = "delete-rows"'), "second")
        assert values(managed) == []
        assert found(managed, going) == len(going)
        (verification,) = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification
        assert verification.verdict == "INCONCLUSIVE"
        (files,) = [s for s in verification.surfaces if s.name == "files of the server"]
        assert files.reach == "out-of-reach"
        assert "does not tell its settings" in files.reason


@pytest.mark.parametrize(
    ("lie", "reason"),
    [("/tmp", "is not the one that it works in"), ("/nowhere", "cannot be looked at")],
)
def test_a_server_that_lies_about_its_directory_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, lie: str, reason: str
) -> None:
    honest = Ground._read_settings
    monkeypatch.setattr(Ground, "_read_settings", lambda self: honest(self) | {"dir": lie})
    with closing(opened(server)) as backend:
        look = backend.inspect()
        assert look.offers == ()
        assert reason in look.denials[0].reason
        with pytest.raises(Refused, match=reason):
            list(backend.erase(RESAVE, None))
    assert len(values(server)) == 60


def test_a_resave_that_is_left_out_is_found_out(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("_save", "_rewrite", "_wait_until_given_up"):
        monkeypatch.setattr(resaving.Resaving, step, lambda *_: None)
    monkeypatch.setattr(resaving.LinkShredder, "finish", lambda links: links.release(links.in_use()))
    with pytest.raises(Residue):
        Workbench(tmp_path).whole(job_text(server))


def test_files_that_were_not_held_are_found_out_on_the_device(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renewed(way: resaving.Resaving, _: object) -> None:
        for command in ("BGSAVE", "BGREWRITEAOF"):
            way._session.ask(command)
            way._wait_until_idle()

    monkeypatch.setattr(resaving.LinkShredder, "hold", lambda *_: ())
    monkeypatch.setattr(resaving.Resaving, "_save", renewed)
    monkeypatch.setattr(resaving.Resaving, "_rewrite", lambda *_: None)
    with pytest.raises(Residue):
        Workbench(tmp_path).whole(job_text(server))


def test_a_server_that_keeps_its_files_is_not_believed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resaving, "_PATIENCE", 0.2)
    monkeypatch.setattr(resaving.Resaving, "_rewrite", lambda *_: None)
    with pytest.raises(DeleaturError, match="the server kept inode-"):
        erase(server)


def test_a_connection_that_fails_is_no_absence(server: Server) -> None:
    nowhere = Target(id="t", url="redis:///0?socket=/run/no.sock", select=EVERYBODY)
    with closing(RedisBackend.open(nowhere, KEY)) as backend, pytest.raises(Transient):
        backend.inspect()


def test_the_driver_is_loaded_when_it_is_needed() -> None:
    asked = "import sys, deleatur_plugins.redis; sys.exit('redis' in sys.modules)"
    subprocess.run([sys.executable, "-c", asked], check=True)
    nowhere = Target(id="t", url="redis:///0?socket=/x", select=EVERYBODY)
    with pytest.raises(Unsupported):
        list(RedisBackend.open(nowhere, KEY).erase(steps_of("overwrite-and-remove", "t")[0], None))


# --- what it holds


def test_a_map_shows_classes_of_keys_and_no_name_of_a_person(server: Server) -> None:
    with server.connected() as client:
        client.set("session:anna@example.org", "x")
        client.set("session:bert@example.org", "y")
        client.set("session:cleo:age", "7")
        client.zadd("board:daily", {"anna@example.org": 3})
        client.zadd("board:daily:top", {"anna@example.org": 3})
        client.xadd("events", {"who": "anna@example.org"}, id="1-1")
    with closing(opened(server)) as backend:
        tables = {h.name: h for h in backend.contents().holdings if isinstance(h, HeldTable)}
        shown = {
            name: ([c.name for c in t.columns], t.rows, len(list(t.read()))) for name, t in tables.items()
        }
    assert shown == {
        "hash person:*": (["@key", "leaves", "name", "number"], 40, 40),
        "list mail:*": (["@key", "value"], 40, 40),
        "stream *": (["@key", "@id", "who"], 1, 1),
        "string session:*": (["@key", "value"], 2, 2),
        "string session:*:*": (["@key", "value"], 1, 1),
        "zset *:*": (["@key", "value", "score"], 1, 1),
        "zset *:*:*": (["@key", "value", "score"], 1, 1),
    }


@given(st.lists(st.text("ab:1@", max_size=8).map(str.encode), unique=True, max_size=40))
def test_each_key_is_of_one_class_and_a_word_of_a_class_stands_in_several(keys: list[bytes]) -> None:
    classes = patterns_of(keys)
    assert set(classes) == set(keys)
    for key, pattern in classes.items():
        parts = list(zip(key.decode().split(":"), pattern.split(":"), strict=True))
        assert all(shown in (part, "*") for part, shown in parts)
        for depth, (_, shown) in enumerate(parts):
            if shown != "*":
                before = [
                    tuple(k.decode().split(":")[:depth])
                    for k in keys
                    if k.split(b":")[depth:][:1] == [shown.encode()]
                ]
                assert len(before) > 2 if depth == 0 else len(set(before)) > 1


# --- killed


@pytest.mark.campaign
@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_a_server_killed_at_any_cursor_ends_at_the_same_zero(appendonly: str) -> None:
    with server_on_a_disk(appendonly=appendonly) as server:
        filled(server)
        with closing(opened(server)) as backend:
            positions = [cursor.position for cursor in backend.erase(RESAVE, None)]
        for n in range(len(positions)):
            filled(server)
            going, staying, secrets = values(server), values(server, "no"), approved(server)
            with closing(opened(server, secrets)) as backend:
                cursors = backend.erase(RESAVE, None)
                last = list(itertools.islice(cursors, n + 1))[-1]
                server.stop(signal.SIGKILL)
                with suppress(Transient):  # the last cursor has nothing behind it that asks the server
                    list(cursors)
            server.start()
            erase(server, secrets, last)
            assert found(server, going) == 0, f"killed after {positions[n]}"
            server.restart()
            assert (values(server), values(server, "no")) == ([], staying)


@pytest.mark.campaign
def test_a_server_killed_in_the_middle_of_anything_ends_at_the_same_zero() -> None:
    """Killed after a random time, while it deletes, saves, rewrites or shreds."""
    drawn = random.Random(4)
    with server_on_a_disk() as server:
        for round_ in range(12):
            filled(server)
            going, staying, secrets = values(server), values(server, "no"), approved(server)
            last = Cursor("begin | 3600 1;100", 0)
            killer = threading.Timer(drawn.random() * 0.25, server.stop, (signal.SIGKILL,))
            killer.start()
            with suppress(DeleaturError), closing(opened(server, secrets)) as backend:
                for cursor in backend.erase(RESAVE, None):
                    last = cursor
            killer.join()
            server.start()
            erase(server, secrets, last)
            assert found(server, going) == 0, f"round {round_}, after {last.position}"
            assert (values(server), values(server, "no")) == ([], staying)


@pytest.mark.campaign
def test_a_job_killed_at_any_call_ends_at_the_same_zero(tmp_path: Path) -> None:
    """On a new disk each time: the names of keys would be found in what an earlier round gave back."""

    @contextmanager
    def planned(number: int) -> Iterator[tuple[Server, Workbench, JobDirectory]]:
        with server_on_a_disk() as server:
            filled(server)
            bench = Workbench(tmp_path / str(number))
            job = bench.job(job_text(server))
            bench.plan(job)
            bench.approve(job)
            yield server, bench, job

    def run(bench: Workbench, job: JobDirectory) -> None:
        bench.run(job)

    with planned(0) as (_, bench, job):
        calls = faults.count_calls(partial(run, bench, job))
    for n in faults.spread(calls - 4, 24):  # a few calls more or less, as the server removes its files
        with planned(n) as (server, bench, job):
            going, staying = values(server), values(server, "no")
            assert faults.run_killed_at(partial(run, bench, job), n).killed
            bench.run(job)
            assert found(server, going) == 0, f"killed at call {n} of {calls}"
            assert values(server, "no") == staying
            assert verify(job.certificate, [bench.agent.public], 1, None).certificate.targets
