"""No value leaves a host in clear: databases elsewhere are spoken to by TLS, by their name, or not at all.

The servers of these tests lie on this host; 0.0.0.0, by which Linux leads back to it, is no address of it.
"""

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from deleatur.errors import Refused, Transient
from deleatur_plugins.mariadb.connecting import OPTIONS
from deleatur_plugins.mariadb.connecting import Session as MariadbSession
from deleatur_plugins.mariadb.connecting import address_of as mariadb_address
from deleatur_plugins.postgresql.connecting import Connector
from deleatur_plugins.redis.connecting import Session as RedisSession
from deleatur_plugins.redis.connecting import address_of as redis_address

from ..mariadb_server import server_on_a_disk as mariadb_server
from ..postgresql_server import USER, running_server
from ..redis_server import server_on_a_disk as redis_server
from .post_office import certificate

pytestmark = pytest.mark.root
HERE, ELSEWHERE = "127.0.0.1", "0.0.0.0"


@dataclass
class Way:
    """A server that listens on the network: how to ask it something, and how to let it speak TLS."""

    ask: Callable[[str], object]  # an address; the answer says whether the way was encrypted
    encrypt: Callable[[Path], object]  # a file with a key and its certificate
    says_no: bool = True  # without TLS it says that it has none; Redis keeps silent until we give up


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


def handed(pem: Path, user: str, folder: Path) -> Path:
    """Give a copy of the file to the user that the server runs as."""
    own = folder / "server.pem"
    shutil.copy(pem, own)
    shutil.chown(own, user, user)
    own.chmod(0o600)
    return own


@pytest.fixture
def postgresql() -> Iterator[Way]:
    port = free_port()
    with running_server(settings={"listen_addresses": f"'{HERE}'", "port": str(port)}) as server:

        def ask(host: str) -> object:
            with Connector(f"postgresql://{USER}@{host}:{port}/postgres").connected() as connection:
                row = connection.execute(
                    "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
                ).fetchone()
            return row is not None and row[0]

        def encrypt(pem: Path) -> None:
            own = handed(pem, USER, server.sockets)
            with (server.data / "postgresql.conf").open("a") as file:
                file.write(f"ssl = on\nssl_cert_file = '{own}'\nssl_key_file = '{own}'\n")
            server.control("-m", "fast", "restart")

        yield Way(ask, encrypt)


@pytest.fixture
def mariadb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    port = free_port()
    with mariadb_server() as server:
        plain = server.options.read_text()

        def listen(*more: str) -> None:
            lines = "\n".join([f"bind-address={HERE}", f"port={port}", "skip-name-resolve", *more])
            server.options.write_text(plain.replace("skip-networking", lines))
            server.stop()
            server.start()

        def ask(host: str) -> object:
            with closing(MariadbSession(mariadb_address(f"mariadb://{host}:{port}/mysql"))) as session:
                ((_, cipher),) = session.texts("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
            return bool(cipher)

        def encrypt(pem: Path) -> None:
            own = handed(pem, "mysql", server.folder / "tmp")
            listen(f"ssl-cert={own}", f"ssl-key={own}")

        server.run(f"SET PASSWORD FOR root@'{HERE}' = PASSWORD('between us')")
        listen()
        monkeypatch.setenv(OPTIONS, str(server.credentials))
        yield Way(ask, encrypt)


@pytest.fixture
def redis() -> Iterator[Way]:
    port = free_port()
    with redis_server(port=str(port), bind=HERE) as server:

        def ask(host: str) -> object:
            encrypted = server.settings["port"] == "0"
            asked = "?tls=yes" if encrypted or host == ELSEWHERE else ""
            with closing(RedisSession(redis_address(f"redis://{host}:{port}/0{asked}"))) as session:
                return session.ask("PING") == b"PONG" and encrypted  # it has no other port then

        def encrypt(pem: Path) -> None:
            names = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")
            server.stop()
            server.start(
                port="0",
                **{"tls-port": str(port), "tls-auth-clients": "no"},
                **dict.fromkeys(names, str(pem)),
            )

        yield Way(ask, encrypt, says_no=False)


@pytest.fixture(params=["postgresql", "mariadb", "redis"])
def way(request: pytest.FixtureRequest) -> Way:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Way)
    return made


def test_a_server_elsewhere_is_asked_by_tls_with_its_own_name_only(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no authority of whoever runs the tests
    assert way.ask(HERE) is False, "on this host the way may be in clear"
    if way.says_no:
        with pytest.raises(Refused, match="TLS"):
            way.ask(ELSEWHERE)
    pem = certificate(tmp_path, ELSEWHERE)
    way.encrypt(pem)
    with pytest.raises(Refused, match=r"TLS fails: .*(certificate|self.signed)"):
        way.ask(ELSEWHERE)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    assert way.ask(ELSEWHERE) is True
    (tmp_path / "of another").mkdir()
    other = certificate(tmp_path / "of another", "192.0.2.1")
    way.encrypt(other)
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    with pytest.raises(Refused, match=r"TLS fails: .*match"):
        way.ask(ELSEWHERE)


def test_redis_elsewhere_without_tls_is_refused_by_its_address() -> None:
    with pytest.raises(Refused, match=r"write \?tls=yes"):
        redis_address("redis://cache.example.org/0")


@pytest.mark.parametrize(
    ("url", "name", "value"),
    [
        ("postgresql://db.example.org/shop", "", ""),
        ("postgresql:///shop", "PGHOST", "db.example.org"),
        ("postgresql://localhost/shop", "PGHOSTADDR", "192.0.2.7"),
        ("postgresql:///shop", "PGHOST", "localhost,db.example.org"),
        ("postgresql:///shop?host=/run/postgresql,db.example.org", "", ""),
        ("postgresql://%2Frun%2Cdb.example.org/shop", "", ""),
        ("postgresql:///shop", "PGHOST", "/run/postgresql,db.example.org"),
        ("postgresql:///shop?service=books", "", ""),
        ("postgresql:///shop", "PGSERVICE", "books"),
    ],
)
def test_every_way_to_name_another_host_asks_for_tls(
    url: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def connect(**arguments: object) -> None:
        asked.append(arguments)
        raise psycopg.OperationalError("no")

    monkeypatch.setattr(psycopg, "connect", connect)
    if name:
        monkeypatch.setenv(name, value)
    with pytest.raises(Transient):
        Connector(url).connect()
    assert asked[0]["sslmode"] == "verify-full"
    assert asked[0]["ssl_min_protocol_version"] == "TLSv1.2"
