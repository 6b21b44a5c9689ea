"""Write VERIFY.txt: how to check a certificate with stock programs and without deleatur.

Rules: every indented line is a command of bash, run as it stands by our own tests; nothing needs a
network; trust in keys comes from elsewhere than this folder.
"""

from collections.abc import Mapping, Sequence

from deleatur.documents.certificate import CERTIFICATE_TYPE
from deleatur.documents.plan import PublicKey
from deleatur.judge.fingerprint import ED25519_PREFIX, key_id, spki_bytes
from deleatur.trust.dsse import IN_TOTO

_HEAD = """\
How to check this certificate with programs that are not ours
==============================================================

You need bash, jq, base64, sha256sum and openssl (3.0 or later); cosign (2.x) for part 5.
Start a bash of its own in this folder (it ends at the first command that fails) and run the
commands in order. All of them work without a network. With deleatur itself it is one command:
deleatur verify . --key YOUR-COPY.pub

The public keys in keys/ are copies for your convenience. A certificate proves nothing about who
signed it until you have compared these files, byte by byte, with copies that came to you another
way.

1. What was signed

    set -eu -o pipefail
    work=$(mktemp -d)
    jq -j .payload certificate.dsse.json | base64 -d > "$work/body"
    size=$(stat -c %s "$work/body")
    printf 'DSSEv1 {length} {type} %d ' "$size" | cat - "$work/body" > "$work/signed"

2. Who signed it: each command says that the signature is verified
"""

_REST = """
3. What it rests on: every line ends in OK

    jq -r '.subject[] | .digest.sha256 + "  " + .name' "$work/body" | sha256sum -c --strict
    sha256sum -c --strict evidence.sha256

4. What it says

    jq -r '.predicate.outcome.perTarget[] | .targetId, .state, .assurance, (.claims[].text)' "$work/body"
    jq -r '.predicate.exceptions[].sentence.text, .predicate.knownLimits[].text' "$work/body"
    jq -r '.predicate.copiesNotCovered.text' "$work/body"

5. Is it about my target? targets/t1.txt is the identity of the first target. Write the text of
   your own target to a file and name that file instead: another target is refused.
"""


def instructions(issuers: Sequence[PublicKey], file_names: Mapping[str, str]) -> str:
    """Return the text of VERIFY.txt for a certificate signed by `issuers`, in this order.

    `file_names` gives the name of each key's file in keys/, without its ending, by its SPKI.
    """
    parts = [_HEAD.replace("{length}", str(len(IN_TOTO))).replace("{type}", IN_TOTO)]
    for number, key in enumerate(issuers):
        parts.append(_signature(number, key, file_names[key.spki]))
    parts.append(_REST)
    parts += [_about(file_names[key.spki]) for key in issuers]
    return "".join(parts)


def _signature(number: int, key: PublicKey, name: str) -> str:
    """Return the commands that check one signature with openssl."""
    take = f"jq -j '.signatures[{number}].sig' certificate.dsse.json | base64 -d > \"$work/{number}.sig\""
    if spki_bytes(key).startswith(ED25519_PREFIX):
        check = (
            f"openssl pkeyutl -verify -pubin -inkey keys/{name}.pub -rawin "
            f'-in "$work/signed" -sigfile "$work/{number}.sig"'
        )
    else:
        check = f'openssl dgst -sha256 -verify keys/{name}.pub -signature "$work/{number}.sig" "$work/signed"'
    return f"\n   {key.name}, {key_id(key)} (fingerprint in the form of OpenSSH)\n\n    {take}\n    {check}\n"


def _about(name: str) -> str:
    """Return the command that asks cosign whether the certificate is about a target."""
    return (
        f"\n    cosign verify-blob-attestation --key keys/{name}.pub "
        f"--signature certificate.dsse.json \\\n      --type {CERTIFICATE_TYPE} "
        "--insecure-ignore-tlog=true targets/t1.txt\n"
    )
