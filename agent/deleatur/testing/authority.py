"""A time-stamp authority for tests: its certificates made here, its answers by stock `openssl ts`."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CONFIGURATION = """\
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
ess_cert_id_alg = sha256
"""


class Authority:
    """A root and a signer below it, whose certificate ends `days` from now; a past one has ended."""

    def __init__(self, folder: Path, name: str = "stamps", days: int = 30) -> None:
        folder.mkdir()
        self._folder = folder
        self.root = folder / "root.pem"
        now = datetime.now(UTC)
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = _certificate(f"{name} root", f"{name} root", root_key, root_key, now + timedelta(days=3650))
        key = ec.generate_private_key(ec.SECP256R1())
        signer = _certificate(name, f"{name} root", key, root_key, now + timedelta(days=days), stamps=True)
        self.root.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        (folder / "signer.pem").write_bytes(signer.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "signer.key").write_bytes(private)
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(_CONFIGURATION.format(folder=folder))

    def answer(self, query: bytes) -> Path:
        """Return the file of the answer to a query, by `openssl ts -reply`."""
        asked, answered = self._folder / "asked.tsq", self._folder / "answered.tsr"
        asked.write_bytes(query)
        command = ["openssl", "ts", "-reply", "-config", str(self._folder / "tsa.cnf")]
        command += ["-queryfile", str(asked), "-out", str(answered)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603 - stock openssl, our own files
        return answered


def _certificate(
    subject: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    end: datetime,
    *,
    stamps: bool = False,
) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=4000))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=not stamps, path_length=None), critical=True)
    )
    if stamps:  # RFC 3161 §2.3: this purpose alone, and critical
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(purpose, critical=True)
    return builder.sign(by, hashes.SHA256())
