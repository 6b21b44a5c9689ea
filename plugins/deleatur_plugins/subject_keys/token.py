"""The key store in a PKCS#11 token: a key that cannot leave it for each subject, named as in a folder.

Rules kept: a PIN comes from a private file, never from a URL; "there is no such key" is said only by a
session that shows the store's own private key at that moment; a token that is locked, absent or failing
is an error.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from deleatur.api import Failed, Refused, Transient, Unsupported
from deleatur_plugins.subject_keys.store import NONCE, SEALED, KeyNotFound, bound, parts_of

_NAMES = "deleatur-names-v1"  # label of the key that names are made with
_KEY = "deleatur-key-v1"  # label of a subject's key; its CKA_ID is its name
_BITS = 256
_TAG_BITS = 128  # NIST SP 800-38D §5.2.1.2
_SHAPE = (
    "write pkcs11:token=LABEL?module-path=/library.so&pin-source=file:/path (RFC 7512), with serial=NUMBER "
    "where labels repeat, and softhsm-tokens=/folder where the token is SoftHSM's"
)
_PATH, _QUERY = {"token", "serial"}, {"module-path", "pin-source", "softhsm-tokens"}


@dataclass(frozen=True)
class TokenAddress:
    """Which token, the library that reaches it, and the file of its PIN."""

    label: str
    serial: str  # "": any that has the label
    module: str
    pin_file: str
    softhsm: str  # folder of SoftHSM's tokens; "": what is in the token cannot be seen from outside

    @classmethod
    def of(cls, url: str) -> Self:
        """Read an address.

        Raises:
            Refused: it is not complete, says something else, or holds a PIN.
        """
        path, _, query = url.removeprefix("pkcs11:").partition("?")
        if "pin-value" in query:
            raise Refused("the URL holds a PIN; write it into a file, and name that with pin-source=file:")
        at = _fields(path, ";", _PATH)
        asked = _fields(query, "&", _QUERY)
        files = (asked.get("module-path", ""), asked.get("pin-source", "").removeprefix("file:"))
        softhsm = asked.get("softhsm-tokens", "")
        if not url.startswith("pkcs11:") or not at.get("token") or not all(map(_absolute, files)):
            raise Refused(_SHAPE)
        if softhsm and not _absolute(softhsm):
            raise Refused(_SHAPE)
        return cls(at["token"], at.get("serial", ""), os.path.normpath(files[0]), files[1], softhsm)


def _fields(text: str, mark: str, known: set[str]) -> dict[str, str]:
    pairs = [part.partition("=")[::2] for part in text.split(mark) if part]
    found = {name: unquote(value) for name, value in pairs}
    if len(found) != len(pairs) or set(found) - known:
        raise Refused(_SHAPE)
    return found


def _absolute(path: str) -> bool:
    return path.startswith("/") and not path.startswith("//")


def driver() -> Any:
    """Return the module `pkcs11`.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        import pkcs11 as module
    except ImportError:
        raise Unsupported("keys in a token need python-pkcs11: install deleatur[pkcs11]") from None
    return module


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the token's errors into ours. None of them says that a key is not there."""
    errors = driver()
    try:
        yield
    except (errors.PinIncorrect, errors.PinLocked, errors.PinExpired, errors.PinInvalid, errors.PinLenRange):
        raise Refused(f"{doing}: the token does not take this PIN, or is locked by it") from None
    except (errors.NoSuchToken, errors.TokenNotPresent, errors.TokenNotRecognised, errors.DeviceRemoved):
        raise Transient(f"{doing}: the token is not there; look at its label, and try again") from None
    except errors.MultipleTokensReturned:
        raise Refused(f"{doing}: several tokens have this label; add serial= to the URL") from None
    except errors.PKCS11Error as error:
        raise Failed(f"{doing}: the token fails ({type(error).__name__})") from None


class TokenKeyStore:
    """An open store in a token, with the interface of `KeyStore`. Close it, or use it with `with`."""

    column = "subject"

    def __init__(self, address: TokenAddress) -> None:
        """Log in and find the store.

        Raises:
            Refused: the PIN is wrong, or the token holds no store of ours.
            Transient: the token is not there.
        """
        with ExitStack() as opened, translated("opening"):
            self.pin = pin_of(address.pin_file)
            self.token = _token(address)
            self._session = opened.enter_context(_session(self.token, self.pin))
            self._names = self._own_key()
            self._closing = opened.pop_all()

    @classmethod
    def create(cls, address: TokenAddress) -> Self:
        """Make an empty store in a token that has a PIN already, and open it.

        Raises:
            Refused: there is one.
        """
        pkcs11 = driver()
        with translated("making a store"), _session(_token(address), pin_of(address.pin_file)) as session:
            if list(session.get_objects(_wanted(_NAMES))):
                raise Refused("the token holds a key store already")
            session.generate_key(
                pkcs11.KeyType.GENERIC_SECRET,
                _BITS,
                label=_NAMES,
                store=True,
                template=_confined(SIGN=True, VERIFY=True, ENCRYPT=False, DECRYPT=False),
            )
        return cls(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the session; the last one of this process logs out."""
        self._closing.close()

    def seal(self, subject: str, column: str, value: bytes) -> bytes:
        """Return `value` sealed for one column of one subject, whose key is made on first use."""
        name = self.name_of(subject)
        try:
            key = self._found(name)[0]
        except KeyNotFound:
            key = self._made(name)
        return self._sealed(key, name, column, value, secrets.token_bytes(NONCE))

    def open(self, subject: str, column: str, value: bytes) -> bytes:
        """Return what was sealed for this column of this subject; raises as `open_by_name`."""
        return self.open_by_name(self.name_of(subject), column, value)

    def open_by_name(self, name: str, column: str, value: bytes) -> bytes:
        """Return what was sealed, by the name of the key.

        Raises:
            KeyNotFound: the token says that the subject has no key.
            Refused: sealed for another subject or column, or changed.
            Transient, Failed: the token gave no answer; nobody knows whether there is a key.
        """
        found = self._found(name)
        nonce, rest = parts_of(value)
        pkcs11 = driver()
        wrong = (  # the last two are SoftHSM's words for a wrong tag
            pkcs11.EncryptedDataInvalid,
            pkcs11.EncryptedDataLenRange,
            pkcs11.GeneralError,
            pkcs11.FunctionFailed,
        )
        for key in found:
            with translated("opening a value"), suppress(*wrong):
                return bytes(key.decrypt(rest, **_gcm(nonce, bound(name, column))))
        raise Refused("a value was sealed for another subject, column or key, or was changed")

    def name_of(self, subject: str) -> str:
        """Return the name of a subject's key: 64 hexadecimal digits that only the token can compute."""
        with translated("naming"):
            return self._hmac(subject.encode()).hex()

    def names(self) -> Iterator[str]:
        """Yield the name of every key there is, in order."""
        with translated("listing"):
            yield from sorted({key.id.hex() for key in self._all(_KEY)})

    def strangers(self) -> int:
        """Count the secret keys of the token that are none of this store."""
        with translated("listing"):
            session, pkcs11 = self._session, driver()
            every = session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY})
            return sum(key.label not in (_NAMES, _KEY) for key in list(every))

    def canary(self, name: str, column: str, nonce: bytes) -> bytes:
        """Return an empty value sealed under a key, to see later whether it opens; raises as `open`."""
        return min(self._sealed(key, name, column, b"", nonce) for key in self._found(name))

    def count(self, name: str) -> int:
        """Count the keys of one name: two, where two programs made the first one at once."""
        return len(self._found(name))

    def confined(self, name: str) -> bool:
        """Say whether each key of this name, as the token says, was made there and never could leave."""
        attribute = driver().Attribute
        asked = ((attribute.EXTRACTABLE, False), (attribute.NEVER_EXTRACTABLE, True), (attribute.LOCAL, True))
        with translated("looking at a key"):
            return all(key[what] is wanted for key in self._found(name) for what, wanted in asked)

    def destroy(self, name: str) -> None:
        """Have the token destroy every key of this name; raises as `open_by_name`."""
        with translated("destroying"):
            for key in self._found(name):
                key.destroy()

    def check_value(self) -> str:
        """Return what tells this store from another one in the same token."""
        with translated("naming"):
            return self._hmac(b"\0check").hex()

    def _hmac(self, content: bytes) -> bytes:
        return bytes(self._names.sign(content, mechanism=driver().Mechanism.SHA256_HMAC))

    def _own_key(self) -> Any:
        found = list(self._session.get_objects(_wanted(_NAMES)))
        if len(found) != 1:
            raise Refused(f"the token shows {len(found)} key stores, and it has to be one; is it this token?")
        return found[0]

    def _all(self, label: str, **more: Any) -> list[Any]:
        """Search, and see afterwards that this session still sees what is private.

        Raises:
            Refused: it does not, so an empty answer says nothing.
        """
        found = list(self._session.get_objects(_wanted(label, **more)))
        self._own_key()
        return found

    def _found(self, name: str) -> list[Any]:
        with translated("looking for a key"):
            found = self._all(_KEY, ID=bytes.fromhex(name))
        if not found:
            raise KeyNotFound("there is no such key")
        return found

    def _made(self, name: str) -> Any:
        with translated("making a key"):
            return self._session.generate_key(
                driver().KeyType.AES,
                _BITS,
                id=bytes.fromhex(name),
                label=_KEY,
                store=True,
                template=_confined(SIGN=False, VERIFY=False, ENCRYPT=True, DECRYPT=True),
            )

    def _sealed(self, key: Any, name: str, column: str, value: bytes, nonce: bytes) -> bytes:
        with translated("sealing"):
            return SEALED + nonce + bytes(key.encrypt(value, **_gcm(nonce, bound(name, column))))


def _wanted(label: str, **more: Any) -> dict[Any, Any]:
    pkcs11 = driver()
    attribute = pkcs11.Attribute
    extra = {attribute[name]: value for name, value in more.items()}
    return {attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, attribute.LABEL: label, **extra}


def _confined(**uses: bool) -> dict[Any, bool]:
    """Return the attributes of a key that the token never gives out and always may destroy."""
    attribute = driver().Attribute
    rules = {
        "PRIVATE": True,
        "SENSITIVE": True,
        "EXTRACTABLE": False,
        "COPYABLE": False,
        "MODIFIABLE": False,
        "DESTROYABLE": True,
        "WRAP": False,
        "UNWRAP": False,
        "DERIVE": False,
    }
    return {attribute[name]: value for name, value in {**rules, **uses}.items()}


def _gcm(nonce: bytes, associated: bytes) -> dict[str, Any]:
    pkcs11 = driver()
    return {
        "mechanism": pkcs11.Mechanism.AES_GCM,
        "mechanism_param": pkcs11.GCMParams(nonce, associated, _TAG_BITS),
    }


def pin_of(path: str) -> bytes:
    """Read a PIN from a file that is for its owner only, without the end of its line.

    Raises:
        Refused: it is not there, others may read it, or it is empty.
    """
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
            raise Refused("the file of the PIN can be read by others; run chmod 600 on it")
        pin = Path(path).read_bytes().removesuffix(b"\n")
        pin.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"the file of the PIN cannot be read ({type(error).__name__})") from None
    if not pin:
        raise Refused("the file of the PIN is empty")
    return pin


def _token(address: TokenAddress) -> Any:
    """Load the library and find the token."""
    try:
        status = Path(address.module).stat()
        if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
            raise Refused("the library of the token can be changed by others; it runs as this user")
        library = driver().lib(address.module)
    except (OSError, RuntimeError) as error:
        raise Refused(f"the library of the token cannot be loaded ({type(error).__name__})") from None
    asked: dict[str, Any] = {"token_label": address.label}
    if address.serial:
        asked["token_serial"] = address.serial.encode()
    return library.get_token(**asked)


_logged_in: dict[bytes, tuple[Any, int]] = {}  # a login is of the whole process: who came first, and how many


@contextmanager
def _session(token: Any, pin: bytes) -> Iterator[Any]:
    """Open a session of its own; log in with the first of this process, log out with the last."""
    first, users = _logged_in.get(token.serial, (None, 0))
    if first is None:
        first = token.open(rw=True, user_pin=pin.decode())
    _logged_in[token.serial] = first, users + 1
    try:
        session = token.open(rw=True)
        try:
            yield session
        finally:
            session.close()
    finally:
        first, users = _logged_in.pop(token.serial)
        if users > 1:
            _logged_in[token.serial] = first, users - 1
        else:
            first.close()
