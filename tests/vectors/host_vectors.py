"""Vectors of the host on which a job is done."""

from making import Made, bad, swap

from deleatur.testing.vectors import vector_text

ED25519 = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFueSBvdGhlciBrZXkgd291bGQgYmUgcmVmdXNlZC4="
HOST = (
    b"""\
schema = "deleatur/host/v1"
address = "files.example"
port = 22
user = "erasure"
host_key = "%s"
login = "ssh-agent"
signer = "files-agent.pub"
program = "/opt/deleatur/bin/deleatur"
folder = "/srv/jobs/leavers"
"""
    % ED25519
)


def host() -> Made:
    """Make the vectors of `host.toml`."""
    yield "host/good", vector_text({"decoder": "host", "expect": "ok"}, HOST)
    copied = HOST.replace(b"program", b'python = "/usr/bin/python3"\nprogram')
    yield "host/good-python", vector_text({"decoder": "host", "expect": "ok"}, copied)
    for name, kind, place, comment, old, new in (
        ("unknown-key", "unknown-key", "$", "no key is taken anew", b"port", b'accept = "new"\nport'),
        ("no-host-key", "missing-key", "$", "which host?", b'host_key = "%s"\n' % ED25519, b""),
        ("port-as-text", "wrong-type", "$.port", "nothing is converted", b"22", b'"22"'),
        ("rsa", "bad-value", "$.host_key", "not a kind that is taken", b"ssh-ed25519 ", b"ssh-rsa "),
        (
            "another-kind",
            "bad-value",
            "$.host_key",
            "the key says another kind",
            b"ssh-ed25519 ",
            b"ecdsa-sha2-nistp256 ",
        ),
        (
            "python-shell",
            "bad-value",
            "$.python",
            "a shell reads it",
            b"signer",
            b'python = "/usr/bin/env python3"\nsigner',
        ),
        ("shell", "bad-value", "$.program", "a shell reads it", b"/bin/deleatur", b"/a; reboot"),
        ("back", "bad-value", "$.folder", "it leads elsewhere", b"/jobs/leavers", b"/jobs/../leavers"),
    ):
        yield bad(f"host/{name}", kind, place, comment, swap(HOST, old, new))
