"""One SSH connection to the host that host.toml names: its key first, then a login, then one command.

Rules: only the key that the document names is taken, never a new one; nothing is forwarded; no key
is tried that was not asked for; a host that stays silent counts as gone.
"""

import hmac
import logging
import socket
import time
from typing import TYPE_CHECKING

from deleatur.documents.errand import MAX_MESSAGE
from deleatur.documents.host import SSH_AGENT, Host, fingerprint
from deleatur.engine.remote.far import Disconnected
from deleatur.errors import Refused, Unsupported

if TYPE_CHECKING:
    from pathlib import Path

    import paramiko

PATIENCE = 60.0  # seconds for an answer; each question is answered in milliseconds, a plan is not waited for
_KEEPALIVE = 15  # seconds
_BUFFER = 1 << 16  # bytes
_GREETING = 1 << 20  # bytes; RFC 4253 §4.2, §6.1: some lines before the version, then packets of 35,000 bytes
_LONGEST_ANSWER = 600.0  # seconds: a piece of 4 MiB over a line of 80 kbit/s


def library() -> None:
    """Ask for the extra before anything else, and let it write no log of its own.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        import paramiko  # noqa: F401
    except ImportError:
        raise Unsupported("jobs on another host need the extra `ssh`: pip install 'deleatur[ssh]'") from None
    log = logging.getLogger("paramiko")
    log.addHandler(logging.NullHandler())
    log.propagate = False


def login_key(path: "Path", passphrase: bytes | None) -> "paramiko.PKey":
    """Read a private key for SSH.

    Raises:
        Refused: it cannot be read, or needs another passphrase.
    """
    import paramiko

    try:
        return paramiko.PKey.from_path(path, passphrase)
    except (paramiko.SSHException, ValueError, TypeError, OSError):
        raise Refused(f"{path} does not open as a key for SSH: no such file, or another passphrase") from None


def needs_passphrase(path: "Path") -> bool:
    """Say whether a private key for SSH is wrapped."""
    import paramiko

    try:
        paramiko.PKey.from_path(path)
    except (paramiko.PasswordRequiredException, TypeError):
        return True
    except (paramiko.SSHException, ValueError, OSError):
        return False  # `login_key` says what is wrong
    return False


class _Bounded(socket.socket):
    """A socket that takes in so much and no more until the host is known by its key."""

    left: int | None = _GREETING  # bytes; None: known, and every message is authenticated

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive.

        Raises:
            OSError: the bound is reached.
        """
        part = super().recv(size, flags)
        if self.left is not None:
            self.left -= len(part)
            if self.left < 0:
                raise OSError("the greeting has no end")
        return part


class SshLine:
    """A connection over which one far end answers."""

    def __init__(self, host: Host, key: "paramiko.PKey | None", command: str) -> None:
        """Connect, compare the host's key, log in with `key` or else by the SSH agent, and run `command`.

        Raises:
            Refused: another host key, no login, or no far end.
            Disconnected: it cannot be reached.
        """
        import paramiko

        self._host = host
        self._rest = b""
        try:
            way = socket.create_connection((host.address, host.port), timeout=PATIENCE)
        except OSError as error:
            raise Disconnected(f"{self._name} cannot be reached: {error.strerror or error}") from None
        way.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(PATIENCE * 1000))
        self._way = _Bounded(fileno=way.detach())
        self._transport = paramiko.Transport(self._way)
        try:
            self._require_host()
            self._log_in(key)
            self._channel = self._transport.open_session(timeout=PATIENCE)
            self._channel.settimeout(PATIENCE)
            self._channel.exec_command(command)
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.close()
            raise Disconnected(f"the connection to {self._name} broke: {type(error).__name__}") from None
        except Refused:
            self.close()
            raise

    @property
    def _name(self) -> str:
        return f"{self._host.address} port {self._host.port}"

    def _require_host(self) -> None:
        """Agree on keys and compare the host's own with the one in host.toml.

        Raises:
            Refused: it shows another, or none of that kind.
        """
        import paramiko

        self._transport.get_security_options().key_types = (self._host.key_kind,)
        try:
            self._transport.start_client(timeout=PATIENCE)
        except paramiko.ssh_exception.IncompatiblePeer:
            raise Refused(f"{self._name} shows no {self._host.key_kind} key: is it the host?") from None
        except (paramiko.SSHException, OSError, EOFError):
            if self._way.left is not None and self._way.left < 0:
                raise Refused(f"{self._name} greets without an end; is it the host?") from None
            raise
        shown = self._transport.get_remote_server_key().asbytes()
        if not hmac.compare_digest(shown, self._host.key_blob):
            raise Refused(
                f"{self._name} shows the key {fingerprint(shown)}, host.toml names "
                f"{fingerprint(self._host.key_blob)}; nothing was sent: ask whoever runs it"
            )
        self._way.left = None
        self._transport.set_keepalive(_KEEPALIVE)

    def _log_in(self, key: "paramiko.PKey | None") -> None:
        import paramiko

        agent = paramiko.Agent() if self._host.login == SSH_AGENT else None
        try:
            for one in agent.get_keys() if agent is not None else [key]:
                try:
                    self._transport.auth_publickey(self._host.user, one)
                except paramiko.AuthenticationException:
                    continue
                if self._transport.is_authenticated():
                    return
        finally:
            if agent is not None:
                agent.close()
        raise Refused(f"{self._name} does not let {self._host.user} in with the key of `login`")

    def send(self, part: bytes) -> None:
        """Send something that nothing answers yet.

        Raises:
            Disconnected: the connection broke, or the host took nothing for a minute.
        """
        import paramiko

        try:
            self._channel.sendall(part)
        except (paramiko.SSHException, OSError, EOFError):
            raise Disconnected(f"the connection to {self._name} broke") from None

    def exchange(self, question: bytes) -> bytes:
        """Send one line and return the line that answers it.

        Raises:
            Disconnected: the connection broke, or the host was silent for a minute.
            Refused: the far end ended by itself, or its line has no end.
        """
        import paramiko

        try:
            self._channel.sendall(question)
            end = time.monotonic() + _LONGEST_ANSWER
            parts = [self._rest]
            held = len(self._rest)
            while b"\n" not in parts[-1]:
                part = self._channel.recv(_BUFFER)
                if not part:
                    raise self._ended()
                parts.append(part)
                held += len(part)
                if held > MAX_MESSAGE:
                    raise Refused(f"{self._name} answers without an end; look at it")
                if time.monotonic() > end:
                    raise Disconnected(f"{self._name} answers too slowly")
        except (paramiko.SSHException, OSError, EOFError):
            raise Disconnected(f"the connection to {self._name} broke") from None
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line + b"\n"

    def _ended(self) -> Disconnected | Refused:
        """Tell a program that ended by itself from a connection that broke."""
        if self._channel.status_event.wait(1.0) and self._channel.exit_status >= 0:
            return Refused(
                f"{self._host.program} on {self._name} ended with {self._channel.exit_status} "
                "and answered nothing; is deleatur of this version there?"
            )
        return Disconnected(f"the connection to {self._name} broke")

    def close(self) -> None:
        """Hang up."""
        self._transport.close()
