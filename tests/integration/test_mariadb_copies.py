"""Copies of a MariaDB server that replication keeps: each is named before anything changes."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from deleatur.errors import Refused
from deleatur.testing.workbench import Workbench

from ..mariadb_server import Server, server_on_a_disk
from .test_mariadb_backend import blockers, job_text, of_forty_people, opened, values, wait_for

GALERA = Path("/usr/lib/galera/libgalera_smm.so")

pytestmark = pytest.mark.root


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def source(port: int) -> Iterator[Server]:
    with server_on_a_disk() as running:
        listening(running, port, 1)
        running.run(
            "SET GLOBAL general_log = OFF",
            "SET GLOBAL slow_query_log = OFF",
            "CREATE USER copier@localhost IDENTIFIED BY 'c'",
            "CREATE USER copier@'127.0.0.1' IDENTIFIED BY 'c'",
            "GRANT REPLICATION SLAVE ON *.* TO copier@localhost",
            "GRANT REPLICATION SLAVE ON *.* TO copier@'127.0.0.1'",
        )
        yield running


@pytest.fixture
def database(source: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(source.credentials))
    with of_forty_people(source) as name:
        yield name


def listening(server: Server, port: int, number: int, *more: str) -> None:
    """Start a server anew on a port of this host."""
    server.stop()
    options = server.options.read_text().replace(
        "skip-networking", f"bind-address=127.0.0.1\nport={port}\nserver-id={number}"
    )
    server.options.write_text("\n".join((options, *more, "")))
    server.start()


@contextmanager
def replica_of(port: int) -> Iterator[Server]:
    """A real second server that takes its changes from the first."""
    with server_on_a_disk() as replica:
        listening(replica, free_port(), 2, "report-host=replica.example.org")
        replica.run(
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='copier', "
            "MASTER_PASSWORD='c', MASTER_USE_GTID=slave_pos",
            "START SLAVE",
        )
        try:
            yield replica
        finally:
            if replica._process is not None:
                replica.run("STOP SLAVE")


def test_a_replica_is_named_by_its_host_while_it_is_attached_and_the_replica_itself_refuses(
    source: Server, database: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Workbench(tmp_path)
    with replica_of(port) as replica:
        wait_for(lambda: "replica 'replica.example.org' (server 2)" in blockers(source, database))
        told = blockers(source, database)
        assert "reads the binary log (replica or consumer)" in told
        with pytest.raises(Refused, match=r"replica 'replica\.example\.org' \(server 2\) is registered"):
            bench.plan(bench.job(job_text(source, database), "first"))
        assert len(values(source, database)) == 20
        copied = "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'person'"
        wait_for(lambda: replica.run(copied) == [(1,)])
        monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(replica.credentials))
        assert "the server is a replica of '127.0.0.1' (connection '')" in blockers(replica, database)
        monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(source.credentials))
        replica.stop(signal.SIGKILL)
        assert "'replica.example.org' (server 2) is registered" in blockers(source, database), "and when dead"


@pytest.mark.parametrize("technique", ["", pytest.param("reload-and-shred", marks=pytest.mark.campaign)])
def test_a_node_of_a_galera_cluster_is_refused_by_name(
    technique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server_on_a_disk() as node:
        node.stop()
        options = node.options.read_text()
        node.options.write_text(
            f"{options}wsrep_on=ON\nwsrep_provider={GALERA}\nwsrep_cluster_address=gcomm://\n"
            f"wsrep_sst_method=rsync\nwsrep_provider_options='base_port={free_port()};base_host=127.0.0.1;gcache.size=1M'\n"
            "wsrep_node_address=127.0.0.1\nbinlog_format=ROW\ninnodb_autoinc_lock_mode=2\n"
        )
        node.start()
        wait_for(lambda: node.run("SHOW STATUS LIKE 'wsrep_ready'") == [("wsrep_ready", "ON")])
        monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(node.credentials))
        with of_forty_people(node) as name:
            asked = {"technique": technique} if technique else {}
            with closing(opened(node, name, **asked)) as backend:
                look = backend.inspect()
            bench = Workbench(tmp_path)
            job = bench.job(job_text(node, name, f'technique = "{technique}"' if technique else ""))
            with pytest.raises(Refused, match="wsrep_on is ON: take the node out of its Galera cluster"):
                bench.plan(job)
            assert len(values(node, name)) == 20
        assert [d.reason for d in look.denials if "wsrep_on" in d.reason]
