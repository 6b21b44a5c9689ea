"""Servers that look like S3 and differ where it hurts, each on the loopback with its files in a folder."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .s3_server import KEY, SECRET, Client, free_port

WITHIN = 60  # seconds for a start
SWIFT_USER = "test:deleatur"  # account and user; the S3 key is both
_PEERS = Path(__file__).parents[1] / ".venv/peers/node_modules/.bin"


@dataclass
class Hazard:
    """A server that runs."""

    name: str
    client: Client

    @property
    def key(self) -> str:
        return self.client.key


def _rclone(folder: Path, port: int) -> list[list[str]]:
    words = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", "--config", os.devnull]
    return [[_program("rclone"), "serve", "s3", str(folder), *words]]


def _moto(_folder: Path, port: int) -> list[list[str]]:
    return [[_program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]]


def _fauxqs(_folder: Path, _port: int) -> list[list[str]]:
    return [[str(_PEERS / "fauxqs")]]


def _juicefs(folder: Path, port: int) -> list[list[str]]:
    store = f"sqlite3://{folder}/names.db"
    words = ["--storage", "file", "--bucket", f"{folder}/store/", "--trash-days", "0"]
    subprocess.run([_program("juicefs"), "format", store, "test", *words], check=True, capture_output=True)
    return [
        [_program("juicefs"), "gateway", store, f"127.0.0.1:{port}", "--multi-buckets", "--no-usage-report"]
    ]


def _swift(folder: Path, port: int) -> list[list[str]]:
    """One replica on one folder; the account is the test's, and speaks S3."""
    (folder / "node/disk").mkdir(parents=True)
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = of the tests\n")
    servers = []
    for kind in ("account", "container", "object"):
        at = free_port()
        ring = str(folder / f"{kind}.builder")
        for step in (
            ["create", "4", "1", "1"],
            ["add", f"r1z1-127.0.0.1:{at}/disk", "1"],
            ["rebalance"],
        ):
            subprocess.run(["swift-ring-builder", ring, *step], check=True, capture_output=True)
        config = folder / f"{kind}.conf"
        config.write_text(
            f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {at}\nuser = root\nswift_dir = {folder}\n"
            f"devices = {folder / 'node'}\nmount_check = false\nworkers = 0\nlog_level = ERROR\n"
            f"[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n"
            "allow_versions = true\n"
        )
        servers.append([f"swift-{kind}-server", str(config), "-v"])
    memory = free_port()
    filters = {
        "catch_errors": "",
        "cache": f"memcache_servers = 127.0.0.1:{memory}\n",
        "listing_formats": "",
        "bulk": "",
        "s3api": "s3_acl = false\nlocation = us-east-1\n",
        "tempauth": f"user_{SWIFT_USER.replace(':', '_')} = {SECRET} .admin\n",
        "copy": "",
        "slo": "",
        "versioned_writes": "allow_object_versioning = true\n",
        "symlink": "",
    }
    egg = {"cache": "memcache"}
    config = folder / "proxy.conf"
    config.write_text(
        f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nuser = root\nswift_dir = {folder}\n"
        f"workers = 0\nlog_level = ERROR\n[pipeline:main]\npipeline = {' '.join(filters)} proxy-server\n"
        "[app:proxy-server]\nuse = egg:swift#proxy\nallow_account_management = true\n"
        "account_autocreate = true\n"
        + "".join(
            f"[filter:{name}]\nuse = egg:swift#{egg.get(name, name)}\n{words}"
            for name, words in filters.items()
        )
    )
    memcached = ["memcached", "-l", "127.0.0.1", "-p", str(memory), "-u", "root", "-m", "16"]
    return [memcached, *servers, ["swift-proxy-server", str(config), "-v"]]


HAZARDS: dict[str, Callable[[Path, int], list[list[str]]]] = {
    "rclone": _rclone,
    "moto": _moto,
    "fauxqs": _fauxqs,
    "juicefs": _juicefs,
    "swift": _swift,
}


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@contextmanager
def hazard(name: str) -> Iterator[Hazard]:
    """Yield a server that answers."""
    folder = Path(tempfile.mkdtemp(prefix="deleatur-hazard-", dir="/tmp"))
    port = free_port()
    client = Client(port, SWIFT_USER if name == "swift" else KEY)
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "FAUXQS_PORT": str(port),
        "MINIO_ROOT_USER": KEY,
        "MINIO_ROOT_PASSWORD": SECRET,
        "HOME": str(folder),
    }
    running: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "log").open("wb") as log:
            running.extend(
                subprocess.Popen(words, stdout=log, stderr=log, env=env, cwd=folder)
                for words in HAZARDS[name](folder, port)
            )
        end = time.monotonic() + WITHIN
        while not _answers(client):
            assert all(one.poll() is None for one in running), (folder / "log").read_text("utf-8", "replace")[
                -2000:
            ]
            assert time.monotonic() < end, (folder / "log").read_text("utf-8", "replace")[-2000:]
            time.sleep(0.1)
        yield Hazard(name, client)
    finally:
        for one in running:
            one.kill()
            one.wait(60)
        shutil.rmtree(folder)


def _answers(client: Client) -> bool:
    with contextlib.suppress(OSError):
        return client.call("GET", "", ok=False).status == 200
    return False
