"""Keys in the transit engine of OpenBao or Vault: a few calls of its HTTP interface.

Rules kept: a token comes from a private file, never from a URL; no redirect is followed and no proxy of the
surroundings used; "there is no such key" is said only where the service says it of that very key, and the
engine is the one that was opened; the name of a key may name a person and stands in no document in clear.
"""

import base64
import hashlib
import hmac
import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ssl import SSLError
from typing import Any, Self
from urllib.parse import parse_qsl, quote, urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from deleatur.api import Failed, Refused, Transient, client_options, on_this_host, tls_context, tls_failure
from deleatur_plugins.subject_keys.store import KeyNotFound

OPTIONS = "DELEATUR_VAULT_OPTIONS"  # environment: an option file with a [client] group
_SHAPE = "write vault://MOUNT/?endpoint=https://HOST:8200, with &namespace=NAME where there are any"
_MOUNT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._/-]{0,199}", re.ASCII)
_NAMESPACE = re.compile(r"[A-Za-z0-9._/-]{1,200}", re.ASCII)
_PATIENCE = 30  # seconds
_MOST = 16 << 20  # bytes of an answer
_SAME = base64.b64encode(b"deleatur: the same for every key").decode()
_NO_KEY = "encryption key not found"  # OpenBao 2.7, builtin/logical/transit: of a key that is not there
_ABSENT: tuple[int, list[str]] = (
    404,
    [],
)  # of a read: the path is known, and nothing lies there; a mount that is missing is named


@dataclass(frozen=True)
class VaultAddress:
    """Which engine of which service."""

    endpoint: str
    mount: str
    namespace: str  # "": none

    @classmethod
    def of(cls, url: str) -> Self:
        """Read `vault://MOUNT/?endpoint=…&namespace=…`.

        Raises:
            Refused: it says more, or less, or would send a token over a network in clear.
        """
        try:
            parts = urlsplit(url)
            said = parse_qsl(parts.query, keep_blank_values=True)
            asked = dict(said)
            at = urlsplit(asked.get("endpoint", ""))
            host, _ = at.hostname, at.port
        except ValueError:
            raise Refused(_SHAPE) from None
        mount = f"{parts.netloc}{parts.path}".strip("/")
        shaped = (
            parts.scheme == "vault"
            and _MOUNT.fullmatch(mount)
            and not {"", ".", ".."} & {*mount.split("/")}
            and not parts.fragment
            and asked.keys() <= {"endpoint", "namespace"}
            and len(asked) == len(said)
            and _NAMESPACE.fullmatch(asked.get("namespace", "none"))
            and host
            and at.scheme in ("http", "https")
            and not (at.path.strip("/") or at.query or at.fragment or "@" in at.netloc)
        )
        if not shaped:
            raise Refused(_SHAPE)
        if at.scheme == "http" and not on_this_host(str(host)):
            raise Refused("the service is on another host: write https, for no token leaves a host in clear")
        return cls(f"{at.scheme}://{at.netloc}", mount, asked.get("namespace", ""))


class Said(Failed):
    """The service said something else than was asked for; `words` is what it said of errors."""

    def __init__(self, doing: str, status: int, words: list[str]) -> None:
        super().__init__(f"{doing}: the key service answers {status}; its words are not passed on")
        self.status = status
        self.words = words


class VaultKeyStore:
    """The keys of one engine, by names that only this job can make; see `selecting.Keys`."""

    column = "name"  # a selection names keys as the engine does

    def __init__(self, address: VaultAddress, key: bytes) -> None:
        """Ask which engine it is. Names are made with `key`.

        Raises:
            Refused: there is no such engine, the token does not open it, or it is no transit engine.
            Transient: the service is not there, sealed, or a standby.
        """
        self.address = address
        self._token = _token()
        self._key = key
        self._siv = AESSIV(hashlib.blake2b(b"names of keys in a service", key=key).digest())
        self._known: dict[str, str] = {}  # what was named once, by the name that it has here
        self.engine = self._engine()

    def close(self) -> None:
        """Forget the names; no connection stays open."""
        self._known.clear()

    def cluster(self) -> str:
        """Return the id of the service's cluster."""
        return str(self._ask("looking at the service", "GET", "sys/health").get("cluster_id", ""))

    def name_of(self, subject: str) -> str:
        """Return the name that a key of the engine has in documents: 64 hexadecimal digits."""
        name = hmac.digest(self._key, b"name of a key\0" + subject.encode(), "sha256").hex()
        self._known[name] = subject
        return name

    def names(self) -> Iterator[str]:
        """Yield the name of every key there is, in order."""
        try:
            listed = self._ask("listing", "GET", f"{self.address.mount}/keys?list=true")["data"].get("keys")
        except Said as error:
            if (error.status, error.words) != _ABSENT:
                raise
            listed = []
        if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
            raise Failed("listing: the key service answers something else than a list of names")
        self._same_engine()
        yield from sorted(self.name_of(one) for one in listed)

    def facts(self, name: str) -> dict[str, Any]:
        """Return what the service says of one key. Raises KeyNotFound as `open_by_name`."""
        try:
            said: dict[str, Any] = self._ask("looking at a key", "GET", self._at("keys", name))["data"]
        except Said as error:
            if (error.status, error.words) == _ABSENT:
                self._same_engine()
                raise KeyNotFound("there is no such key") from None
            raise
        if not isinstance(said.get("keys"), dict):
            raise Failed("looking at a key: the key service answers something else than a key")
        return said

    def canary(self, name: str, _column: str, nonce: bytes) -> bytes:
        """Return a code that only this key makes of `nonce`, with the key's name sealed beside it.

        Raises:
            KeyNotFound: there is no such key. Refused: the service does not use it any more.
        """
        asked = {"input": base64.b64encode(nonce).decode()}
        told = self._use("sealing", "hmac", name, asked)
        parts = (self._known[name], asked["input"], str(told.get("hmac", "")))
        return self._siv.encrypt("\0".join(parts).encode(), None)

    def open_by_name(self, name: str, _column: str, value: bytes) -> bytes:
        """Have the service check a canary with its key.

        Raises:
            KeyNotFound: the service says of that key, asked twice, that there is none.
            Refused: the key is there and does not fit, or the service does not use it any more.
            Transient, Failed: there was no answer; nobody knows whether there is a key.
        """
        try:
            subject, asked, code = self._siv.decrypt(value, None).decode().split("\0")
        except (InvalidTag, ValueError):
            raise Failed("the canary is none of this job's") from None
        if self.name_of(subject) != name:
            raise Failed("the canary is of another key")
        told = self._use("opening a value", "verify", name, {"input": asked, "hmac": code})
        if told.get("valid") is not True:
            raise Refused("the key does not fit what was sealed under it")
        return b""

    def shown(self, name: str) -> bytes:
        """Return what only this key makes of the same input; raises as `canary`."""
        return str(self._use("looking at a key", "hmac", name, {"input": _SAME}).get("hmac", "")).encode()

    def destroy(self, name: str) -> None:
        """Have the service delete a key, every version of it.

        Raises:
            Failed: it says that it did, and the key is there.
        """
        self._ask("destroying", "DELETE", self._at("keys", name))
        try:
            self.facts(name)
        except KeyNotFound:
            return
        raise Failed("the key service says that a key is destroyed, and shows it")

    # --- the calls

    def _use(self, doing: str, call: str, name: str, body: dict[str, str]) -> dict[str, Any]:
        """Use a key; of one that is not there, ask again by another call before it is believed."""
        try:
            return dict(self._ask(doing, "POST", self._at(call, name), body)["data"])
        except Said as error:
            if error.status != http.client.BAD_REQUEST:
                raise
            absent = error.words == [_NO_KEY]
        except Refused as error:  # a word of the token's rights, and none of the key
            raise Failed(str(error)) from None
        told = self.facts(name)
        if absent:
            raise Failed("the key service shows a key, and says that there is none")
        if told.get("soft_deleted"):
            raise Refused("the key is out of use, and can be taken into use again")
        raise Failed(f"{doing}: the key service does not use a key that it shows")

    def _at(self, call: str, name: str) -> str:
        if name not in self._known:
            list(self.names())
        if name not in self._known:
            raise KeyNotFound("the key service lists no such key")
        return f"{self.address.mount}/{call}/{quote(self._known[name], safe='')}"

    def _engine(self) -> str:
        path = f"sys/internal/ui/mounts/{self.address.mount}"
        told = self._ask("looking at the engine", "GET", path)["data"]
        if told.get("type") != "transit" or not told.get("uuid"):
            raise Refused("there is no transit engine at this mount")
        return str(told["uuid"])

    def _same_engine(self) -> None:
        """See that the engine is the one that was opened: an empty one in its place has no key either."""
        if self._engine() != self.engine:
            raise Refused("another engine came to this mount; find out what became of the one of the plan")

    def _ask(self, doing: str, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        status, content = self._send(doing, method, path, body)
        try:
            said = json.loads(content) if content else {}
            words = said.get("errors") if isinstance(said, dict) else None
        except (ValueError, RecursionError):
            words, said = None, None
        if status in (200, 204) and isinstance(said, dict):
            return {"data": {}, **said} if isinstance(said.get("data", {}), dict) else {"data": {}}
        if status == http.client.FORBIDDEN:
            raise Refused(f"{doing}: the key service does not let this token; see docs/howto/destroy-keys.md")
        if status in (429, 472, 473, 500, 502, 503, 504) or 300 <= status < 400:
            raise Transient(f"{doing}: the key service is busy, sealed or a standby ({status}); try again")
        raise Said(doing, status, words if isinstance(words, list) else ["not readable"])

    def _send(self, doing: str, method: str, path: str, body: dict[str, str] | None) -> tuple[int, bytes]:
        at = urlsplit(self.address.endpoint)
        headers = {"X-Vault-Token": self._token, "X-Vault-Request": "true"}
        if self.address.namespace:
            headers["X-Vault-Namespace"] = self.address.namespace
        way = (
            http.client.HTTPSConnection(at.netloc, timeout=_PATIENCE, context=tls_context())
            if at.scheme == "https"
            else http.client.HTTPConnection(at.netloc, timeout=_PATIENCE)
        )
        try:
            way.request(method, f"/v1/{path}", json.dumps(body) if body is not None else None, headers)
            response = way.getresponse()
            content = response.read(_MOST + 1)
        except SSLError as error:
            raise Refused(f"{doing}: TLS fails: {tls_failure(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"{doing}: the key service is not reachable ({type(error).__name__})") from None
        finally:
            way.close()
        if len(content) > _MOST:
            raise Failed(f"{doing}: the answer is larger than {_MOST} bytes")
        return response.status, content


def _token() -> str:
    """Return the token of the option file.

    Raises:
        Refused: there is none, or it could not stand in a header.
    """
    options = client_options(OPTIONS)
    token = options.get("token", "")
    if not re.fullmatch(r"[!-~]{1,4096}", token) or options.keys() != {"token"}:
        raise Refused(f"the option file that {OPTIONS} names has to have a token in its group [client]")
    return token
