"""Keys: what is written, what opens it, and which keys are never trusted."""

import base64
import re
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from deleatur.documents.plan import PublicKey
from deleatur.errors import Invalid, Refused
from deleatur.judge.fingerprint import ED25519_PREFIX
from deleatur.testing.finished import known_key
from deleatur.trust.keys import generate, key_id, load_private, load_public, public_pem, verifies

P = 2**255 - 19
ORDER_8 = (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)


def encoded(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


def ed25519_key(raw: bytes) -> PublicKey:
    return PublicKey(name="k", spki=base64.b64encode(ED25519_PREFIX + raw).decode())


@pytest.mark.parametrize("kind", ["ed25519", "p-256"])
def test_a_key_is_wrapped_private_and_signs_what_its_public_half_verifies(tmp_path: Path, kind: str) -> None:
    public = generate(tmp_path, "agent", kind, b"open sesame")
    assert stat.S_IMODE((tmp_path / "agent.key").stat().st_mode) == 0o600
    key = load_private(tmp_path / "agent.key", b"open sesame")
    assert key.public == public == load_public(tmp_path / "agent.pub")
    signature = key.sign(b"message")
    assert key.sign(b"message") == signature
    assert verifies(public, signature, b"message")
    assert not verifies(public, signature, b"messagf")
    assert not verifies(public, signature[:-1], b"message")
    assert not verifies(public, b"", b"message")
    assert "agent" in repr(key)
    assert "PRIVATE" not in repr(key)


@pytest.mark.parametrize("kind", ["ed25519", "p-256"])
def test_stock_openssl_opens_the_key_and_shows_scrypt(tmp_path: Path, kind: str) -> None:
    generate(tmp_path, "agent", kind, b"open sesame")
    opened = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "agent.key", "-passin", "pass:open sesame", "-pubout"],
        capture_output=True,
        check=True,
    )
    assert opened.stdout == (tmp_path / "agent.pub").read_bytes()
    shown = subprocess.run(
        ["openssl", "asn1parse", "-in", tmp_path / "agent.key"], capture_output=True, check=True, text=True
    ).stdout
    assert [word in shown for word in ("PBES2", "scrypt", "aes-256-cbc", ":4000")] == [True] * 4


def test_a_wrong_passphrase_is_refused_in_one_line(tmp_path: Path) -> None:
    generate(tmp_path, "agent", "ed25519", b"right")
    with pytest.raises(Refused, match="wrong passphrase") as caught:
        load_private(tmp_path / "agent.key", b"wrong")
    assert "\n" not in str(caught.value)


def test_nothing_is_overwritten_and_nothing_half_made_is_hidden(tmp_path: Path) -> None:
    generate(tmp_path, "agent", "ed25519", b"x")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("agent.key", "agent.pub"):
        (tmp_path / name).unlink()
        with pytest.raises(Refused, match="is there already"):
            generate(tmp_path, "agent", "ed25519", b"x")
        (tmp_path / name).write_bytes(before[name])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_symbolic_link_is_not_followed_when_a_key_is_written(tmp_path: Path) -> None:
    (tmp_path / "agent.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused):
        generate(tmp_path, "agent", "ed25519", b"x")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x", "a" * 65, "x\n"])
def test_a_name_is_a_pseudonym_and_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="no name of a key"):
        generate(tmp_path, name, "ed25519", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_passphrase_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="passphrase"):
        generate(tmp_path, "agent", "ed25519", b"")


def test_a_private_key_in_clear_or_of_another_kind_is_not_loaded(tmp_path: Path) -> None:
    clear = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    other = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    for content in (clear, other, b"", b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"\0" * 20_000):
        (tmp_path / "k.key").write_bytes(content)
        with pytest.raises((Invalid, Refused)):
            load_private(tmp_path / "k.key", b"x")
    with pytest.raises(Refused, match="no key at"):
        load_private(tmp_path / "none.key", b"x")


def test_other_algorithms_and_curves_are_refused(tmp_path: Path) -> None:
    strangers = [
        rsa.generate_private_key(65537, 2048).public_key(),
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
    ]
    for stranger in strangers:
        (tmp_path / "k.pub").write_bytes(
            stranger.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        with pytest.raises(Invalid, match="neither"):
            load_public(tmp_path / "k.pub")
    (tmp_path / "k.pub").write_bytes(b"no key")
    with pytest.raises(Invalid, match="not a public key"):
        load_public(tmp_path / "k.pub")


@pytest.mark.parametrize(
    "raw",
    [
        *(encoded(y, sign) for y in (0, 1, P - 1) for sign in (0, 1)),
        *(bytes.fromhex(y) for y in ORDER_8),
        *(bytes.fromhex(y[:-2]) + bytes((int(y[-2:], 16) | 0x80,)) for y in ORDER_8),
        *(encoded(P + extra, sign) for extra in range(19) for sign in (0, 1)),
        encoded(2),  # not on the curve
    ],
    ids=bytes.hex,
)
def test_points_that_would_verify_anything_are_refused_everywhere(tmp_path: Path, raw: bytes) -> None:
    key = ed25519_key(raw)
    pem = b"-----BEGIN PUBLIC KEY-----\n" + key.spki.encode() + b"\n-----END PUBLIC KEY-----\n"
    (tmp_path / "k.pub").write_bytes(pem)
    with pytest.raises(Invalid):
        load_public(tmp_path / "k.pub")
    trivial = encoded(1) + bytes(32)  # R = identity, S = 0
    with pytest.raises(Invalid):
        verifies(key, trivial, b"anything")


def test_the_trivial_signature_would_have_been_accepted_without_the_check() -> None:
    identity = ed25519.Ed25519PublicKey.from_public_bytes(encoded(1))
    assert identity.verify(encoded(1) + bytes(32), b"anything") is None


@pytest.mark.parametrize(
    "spki",
    [
        "",
        "AAAA",
        "!!!!",
        base64.b64encode(ED25519_PREFIX + bytes(31)).decode(),
        known_key("k", 9).public.spki + "\n",
        known_key("k", 9, "p-256").public.spki[:-4] + "AAA=",
    ],
)
def test_a_key_in_a_document_has_one_spelling(spki: str) -> None:
    with pytest.raises(Invalid):
        verifies(PublicKey(name="k", spki=spki), b"", b"")


def test_the_fingerprint_is_the_one_of_ssh(tmp_path: Path) -> None:
    key = known_key("k", 9, "p-256").public
    (tmp_path / "k.pub").write_bytes(public_pem(key))
    ssh = subprocess.run(
        ["ssh-keygen", "-i", "-m", "PKCS8", "-f", tmp_path / "k.pub"], capture_output=True, check=True
    ).stdout
    digest = re.search(
        r"SHA256:\S+",
        subprocess.run(
            ["ssh-keygen", "-lf", "-"], input=ssh, capture_output=True, check=True
        ).stdout.decode(),
    )
    assert digest is not None
    assert key_id(key) == digest[0]


def test_the_fingerprint_of_ed25519_is_the_one_of_ssh(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "ssh"], check=True)
    line = (tmp_path / "ssh.pub").read_text().split()
    raw = base64.b64decode(line[1])[-32:]
    shown = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "ssh.pub"], capture_output=True, check=True, text=True
    )
    assert key_id(ed25519_key(raw)) == shown.stdout.split()[1]


@given(st.binary(max_size=200))
def test_no_bytes_in_place_of_a_signature_verify(noise: bytes) -> None:
    assert not verifies(known_key("k", 9).public, noise, b"message")
    assert not verifies(known_key("k", 9, "p-256").public, noise, b"message")
