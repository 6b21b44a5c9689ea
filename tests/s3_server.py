"""An S3 server for tests (SeaweedFS), and a client of its interface that shares no code with the plugin's."""

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest

KEY, SECRET = "deleatur-test", "between-us"
OPTIONS = f"[client]\naccess-key = {KEY}\nsecret-key = {SECRET}\n"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def found(self, name: str) -> list[ElementTree.Element]:
        """Return the elements of that name, whatever their namespace."""
        return [e for e in ElementTree.fromstring(self.body).iter() if e.tag.rpartition("}")[2] == name]

    def text(self, name: str) -> str:
        return next((e.text or "" for e in self.found(name)), "")


class Client:
    """Requests with signature version 4, written after Amazon's description and nothing else."""

    def __init__(self, port: int, key: str = KEY) -> None:
        self.port = port
        self.key = key

    def call(
        self, method: str, bucket: str, key: str = "", body: bytes = b"", *, ok: bool = True, **query: str
    ) -> Answer:
        """Send one request; `x_amz_…` words are headers, all others stand in the query."""
        headers = {n.replace("_", "-"): v for n, v in query.items() if n.startswith("x_amz_")}
        words = {n.replace("_", "-"): v for n, v in query.items() if not n.startswith("x_amz_")}
        path = "/" + quote(f"{bucket}/{key}" if key else bucket, safe="/-_.~")
        asked = "&".join(sorted(urlencode([pair], quote_via=quote, safe="-_.~") for pair in words.items()))
        signed = self._signed(method, path, asked, body, headers)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, f"{path}?{asked}" if asked else path, body, signed)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, told, response.read())
        assert not ok or answer.status < 300, (answer.status, answer.body[:500])
        return answer

    def _signed(
        self, method: str, path: str, asked: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        day, digest = moment[:8], hashlib.sha256(body).hexdigest()
        host = f"127.0.0.1:{self.port}"
        sent = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": moment, **headers}
        names = ";".join(sorted(sent))
        lines = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent))
        request = "\n".join((method, path, asked, lines, names, digest))
        scope = f"{day}/us-east-1/s3/aws4_request"
        told = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{SECRET}".encode()
        for part in (day, "us-east-1", "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, told.encode(), "sha256").hex()
        way = f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**sent, "Authorization": way}

    # --- what tests plant and look at

    def make_bucket(self, bucket: str, *, versions: bool = True, locks: bool = False) -> str:
        lock = {"x_amz_bucket_object_lock_enabled": "true"} if locks else {}
        self.call("PUT", bucket, **lock)
        if versions and not locks:
            xml = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            self.call("PUT", bucket, body=xml, versioning="")
        return bucket

    def drop(self, bucket: str) -> None:
        """Delete a bucket with all that is in it."""
        for kind, key, id_ in self.names(bucket):
            query = {"uploadId" if kind == "Upload" else "versionId": id_}
            self.call("DELETE", bucket, key, **query)
        self.call("DELETE", bucket)

    def made(self, bucket: str) -> str:
        """Return when a bucket was made, as the server says."""
        told = [_texts(one, "Name", "CreationDate") for one in self.call("GET", "").found("Bucket")]
        return dict(told)[bucket]

    def make_anew(self, bucket: str, *, versions: bool = True) -> None:
        """Delete a bucket and make another of its name, at another moment by the server's clock."""
        before = self.made(bucket)
        self.drop(bucket)
        self.make_bucket(bucket, versions=versions)
        while self.made(bucket) == before:
            time.sleep(0.1)
            self.drop(bucket)
            self.make_bucket(bucket, versions=versions)

    def put(self, bucket: str, key: str, content: bytes, **headers: str) -> str:
        return self.call("PUT", bucket, key, content, **headers).headers.get("x-amz-version-id", "null")

    def get(self, bucket: str, key: str, version: str) -> Answer:
        return self.call("GET", bucket, key, ok=False, versionId=version)

    def mark(self, bucket: str, key: str) -> None:
        self.call("DELETE", bucket, key)

    def begin(self, bucket: str, key: str) -> str:
        """Begin an upload, with one part, and leave it unfinished."""
        id_ = self.call("POST", bucket, key, uploads="").text("UploadId")
        self.call("PUT", bucket, key, b"part " + uuid.uuid4().hex.encode(), partNumber="1", uploadId=id_)
        return id_

    def names(self, bucket: str, prefix: str = "") -> list[tuple[str, str, str]]:
        """List every version, marker and upload as kind, key and id."""
        found, marks = [], {"key-marker": "", "version-id-marker": ""}
        while True:
            said = {name.replace("-", "_"): value for name, value in marks.items() if value}
            answer = self.call("GET", bucket, versions="", prefix=prefix, **said)
            for kind in ("Version", "DeleteMarker"):
                found += [(kind, *_texts(one, "Key", "VersionId")) for one in answer.found(kind)]
            if answer.text("IsTruncated") != "true":
                break
            marks = {
                "key-marker": answer.text("NextKeyMarker"),
                "version-id-marker": answer.text("NextVersionIdMarker"),
            }
        uploads = self.call("GET", bucket, uploads="", prefix=prefix)
        found += [("Upload", *_texts(one, "Key", "UploadId")) for one in uploads.found("Upload")]
        return sorted(found)

    def contents(self, bucket: str, prefix: str = "") -> bytes:
        """Return every name and every content, of all versions."""
        parts = []
        for kind, key, id_ in self.names(bucket, prefix):
            parts.append(f"{kind} {key} {id_}".encode())
            if kind == "Version":
                parts.append(self.get(bucket, key, id_).body)
        return b"\n".join(parts)


def _texts(element: ElementTree.Element, *names: str) -> tuple[str, ...]:
    told = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
    return tuple(told[name] for name in names)


class Server:
    """A server of its own, with its files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.client = Client(self.port)
        self._ports = [self.port]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it makes a bucket."""
        identity = {"credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [{"name": "test", **identity}]}))
        (self.folder / "data").mkdir()
        ports = {name: free_port() for name in ("master", "volume", "filer")}
        grpc = {name: free_port() for name in (*ports, "s3")}
        self._ports += [*ports.values(), *grpc.values()]
        words = [
            *(
                "server",
                f"-dir={self.folder / 'data'}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-filer",
                "-s3",
            ),
            *(f"-{name}.port={port}" for name, port in ports.items()),
            *(f"-{name}.port.grpc={port}" for name, port in grpc.items()),
            *(f"-s3.port={self.port}", f"-s3.config={config}", "-volume.max=400"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"),
            *("-master.volumeSizeLimitMB=64", "-master.telemetry=false"),
        ]
        # Of seven volumes for each bucket, its default, it has no more after some fifty buckets.
        few = {**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
        log = (self.folder / "log").open("wb")
        with log:
            self._process = subprocess.Popen([weed(), *words], stdout=log, stderr=log, env=few)
        for _ in range(600):
            with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
                self.client.make_bucket("is-it-there", versions=False)
                return
            assert self._process.poll() is None, (self.folder / "log").read_text("utf-8", "replace")[-2000:]
            time.sleep(0.1)
        raise AssertionError("the server did not start within a minute")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
        for port in self._ports:  # it leaves them behind
            for socket_ in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket_.unlink()


def weed() -> str:
    """Return the server's program, which a package for development brings."""
    return str(Path(sys.executable).with_name("weed"))


@contextmanager
def s3_server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="deleatur-s3-", dir="/tmp"))
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def options_in(folder: Path, patch: pytest.MonkeyPatch, key: str = KEY) -> None:
    """Have the backend read who it is from a file in `folder`."""
    options = folder / "s3.ini"
    options.write_text(OPTIONS.replace(KEY, key))
    options.chmod(0o600)
    patch.setenv("DELEATUR_S3_OPTIONS", str(options))
