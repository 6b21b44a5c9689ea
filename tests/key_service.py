"""A key service for tests: OpenBao in memory on the loopback, and a client of its own, not the plugin's."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .s3_server import free_port

TOKEN = "of-the-tests"
INPUT = b64encode(b"deleatur: the same for every key").decode()


@dataclass
class KeyService:
    """A service that runs."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self, method: str, path: str, body: Any = None, token: str = TOKEN
    ) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(
            f"{self.endpoint}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": token},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def done(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        status, said = self.call(method, path, body)
        assert status < 300, (path, status, said)
        return said

    def mount(self) -> str:
        """Make an engine of its own."""
        name = f"transit-{uuid.uuid4().hex[:12]}"
        self.done("POST", f"sys/mounts/{name}", {"type": "transit"})
        return name

    def make(self, mount: str, name: str, *, deletable: bool = True, **how: Any) -> None:
        self.done("POST", f"{mount}/keys/{name}", how)
        if deletable:
            self.done("POST", f"{mount}/keys/{name}/config", {"deletion_allowed": True})

    def mark(self, mount: str, name: str) -> bytes | None:
        """Return what only this key makes; None where there is none."""
        status, said = self.call("POST", f"{mount}/hmac/{name}", {"input": INPUT})
        if status == 400 and said["errors"] == ["encryption key not found"]:
            return None
        assert status == 200, said
        return str(said["data"]["hmac"]).encode()

    def keys(self, mount: str) -> list[str]:
        status, said = self.call("LIST", f"{mount}/keys")
        return [] if status == 404 else list(said["data"]["keys"])

    def user(self, *rules: str) -> str:
        """Return the token of somebody who may do what the rules say."""
        name = uuid.uuid4().hex
        self.done("PUT", f"sys/policies/acl/{name}", {"policy": "\n".join(rules)})
        return str(self.done("POST", "auth/token/create", {"policies": [name]})["auth"]["client_token"])


@contextmanager
def key_service() -> Iterator[KeyService]:
    """Yield a service that answers."""
    service = KeyService(free_port())
    with tempfile.TemporaryDirectory(prefix="deleatur-bao-", dir="/tmp") as folder:
        words = ["server", "-dev", f"-dev-listen-address=127.0.0.1:{service.port}", "-dev-no-store-token"]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(Path(sys.executable).with_name("bao")), *words, f"-dev-root-token-id={TOKEN}"],
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": folder},
            )
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    if service.call("GET", "sys/health")[0] == 200:
                        break
                assert process.poll() is None, (Path(folder) / "log").read_text("utf-8", "replace")[-2000:]
                time.sleep(0.1)
            yield service
        finally:
            process.kill()
            process.wait(60)


def token_in(folder: Path, patch: pytest.MonkeyPatch, token: str = TOKEN) -> None:
    """Have the backend read its token from a file in `folder`."""
    options = folder / "vault.ini"
    options.write_text(f"[client]\ntoken = {token}\n")
    options.chmod(0o600)
    patch.setenv("DELEATUR_VAULT_OPTIONS", str(options))
