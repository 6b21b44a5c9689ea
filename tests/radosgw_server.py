"""A second S3 server for tests, of another lineage: Ceph's gateway, with a monitor and a disk of its own."""

import contextlib
import http.client
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .s3_server import KEY, SECRET, Client, free_port

DISK = 1536 << 20  # bytes, sparse
WITHIN = 120  # seconds for a start; half a minute on a quiet machine


class RadosGateway:
    """A cluster in a folder, as small as the programs allow; it speaks on the loopback only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.client = Client(self.port)
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start everything and wait until a bucket can be made."""
        self._configure()
        self._start_monitor()
        self._start_the_rest()
        who = ("--access-key", KEY, "--secret-key", SECRET)
        self._do("radosgw-admin", "user", "create", "--uid=test", "--display-name=test", *who)
        end = time.monotonic() + WITHIN
        while time.monotonic() < end:
            with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
                self.client.make_bucket("is-it-there", versions=False)
                return
            assert all(process.poll() is None for process in self._running), self._logs()
            time.sleep(0.2)
        raise AssertionError(f"the gateway did not start: {self._logs()}")

    def stop(self) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait(60)

    def _configure(self) -> None:
        self._id = str(uuid.uuid4())
        monitors = free_port(), free_port()
        self._address = f"[v2:127.0.0.1:{monitors[0]},v1:127.0.0.1:{monitors[1]}]"
        for name in ("mon", "mgr", "osd", "run", "log"):
            (self.folder / name).mkdir()
        self._config = self.folder / "ceph.conf"
        self._config.write_text(
            f"""[global]
fsid = {self._id}
mon host = {self._address}
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
auth client required = cephx
keyring = {self.folder}/keyring
run dir = {self.folder}/run
admin socket = {self.folder}/run/$name.asok
log file = {self.folder}/log/$name.log
crash dir = {self.folder}/log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data = {self.folder}/mon
mgr data = {self.folder}/mgr
osd data = {self.folder}/osd
osd objectstore = memstore
memstore device bytes = {DISK}
osd memory target = 939524096
rgw frontends = beast endpoint=127.0.0.1:{self.port} tcp_nodelay=1
rgw data = {self.folder}/rgw
rgw crypt require ssl = false
rgw enable usage log = false
rgw lc debug interval = -1
"""
        )

    def _do(self, program: str, *words: str) -> str:
        told = subprocess.run(
            [program, "-c", self._config, *words], capture_output=True, text=True, timeout=WITHIN
        )
        assert told.returncode == 0, f"{program} {' '.join(words[:3])}: {told.stderr[-1000:]}"
        return told.stdout

    def _run(self, program: str, *words: str) -> None:
        with (self.folder / "log" / f"{program}.out").open("wb") as log:
            self._running.append(
                subprocess.Popen([program, "-c", self._config, "-f", *words], stdout=log, stderr=log)
            )

    def _start_monitor(self) -> None:
        ring = self.folder / "keyring"
        for name, rights in (
            ("mon.", ("mon", "allow *")),
            ("client.admin", ("mon", "allow *", "osd", "allow *", "mgr", "allow *")),
        ):
            caps = [
                word
                for kind, right in zip(rights[::2], rights[1::2], strict=True)
                for word in ("--cap", kind, right)
            ]
            new = [] if ring.exists() else ["--create-keyring"]
            subprocess.run(
                ["ceph-authtool", *new, ring, "--gen-key", "-n", name, *caps], check=True, capture_output=True
            )
        map_ = self.folder / "monmap"
        subprocess.run(
            ["monmaptool", "--create", "--addv", "a", self._address, "--fsid", self._id, map_],
            check=True,
            capture_output=True,
        )
        self._do("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(map_), "--keyring", str(ring))
        self._run("ceph-mon", "-i", "a")

    def _start_the_rest(self) -> None:
        ring = self.folder / "keyring"
        every = ("mon", "allow *", "osd", "allow *")
        for name, caps in (
            ("mgr.a", ("mon", "allow profile mgr", "osd", "allow *")),
            ("client.rgw.a", every),
        ):
            with ring.open("a") as file:
                file.write(self._do("ceph", "auth", "get-or-create", name, *caps))
        self._run("ceph-mgr", "-i", "a")
        disk = str(uuid.uuid4())
        self._do("ceph", "osd", "create", disk)
        with ring.open("a") as file:
            caps = ("mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd")
            file.write(self._do("ceph", "auth", "get-or-create", "osd.0", *caps))
        self._do("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._run("ceph-osd", "-i", "0")
        self._run("radosgw", "-n", "client.rgw.a")

    def _logs(self) -> str:
        return "".join(
            log.read_text("utf-8", "replace")[-500:] for log in (self.folder / "log").glob("*.out")
        )


@contextmanager
def rados_gateway() -> Iterator[RadosGateway]:
    """Yield a gateway that runs, and take everything away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="deleatur-rgw-", dir="/tmp"))
    server = RadosGateway(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
