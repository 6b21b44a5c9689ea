"""Write VERIFY.txt: how to check a certificate with stock programs and without deleatur.

Rules: every indented line is a command of bash, run as it stands by our own tests; nothing needs a
network; trust in keys comes from elsewhere than this folder.
"""

from collections.abc import Mapping, Sequence

from deleatur.documents.certificate import APPROVAL_TYPE, CERTIFICATE_TYPE
from deleatur.documents.plan import PublicKey
from deleatur.judge.fingerprint import ED25519_PREFIX, key_id, spki_bytes
from deleatur.trust.dsse import IN_TOTO

_HEAD = """\
How to check this certificate with programs that are not ours
==============================================================

You need bash, jq, base64, sha256sum and openssl (3.0 or later); cosign (2.x) for parts 5 and 6.
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

    jq -r '"approvals needed: \\(.predicate.approvals.threshold)"' "$work/body"
    jq -r '.predicate.outcome.perTarget[] | .targetId, .state, .assurance, (.claims[].text)' "$work/body"
    jq -r '.predicate.exceptions[].sentence.text, .predicate.knownLimits[].text' "$work/body"
    jq -r '.predicate.copiesNotCovered.text' "$work/body"

5. Is it about my target? targets/t1.txt is the identity of the first target. Write the text of
   your own target to a file and name that file instead: another target is refused.
"""

_APPROVALS = """
6. Who approved the plan? Part 4 says how many distinct keys were needed; these are the approvals.
"""


def instructions(
    issuers: Sequence[PublicKey], approvers: Sequence[Sequence[PublicKey]], file_names: Mapping[str, str]
) -> str:
    """Return the text of VERIFY.txt.

    Args:
        issuers: the keys that sign the certificate, in the order of the envelope.
        approvers: for each file of approvals/, in order, the approvers who signed it.
        file_names: the name of each key's file in keys/, without its ending, by its SPKI.
    """
    parts = [_HEAD.replace("{length}", str(len(IN_TOTO))).replace("{type}", IN_TOTO)]
    for number, key in enumerate(issuers):
        parts.append(signature_check("certificate.dsse.json", number, key, file_names[key.spki]))
    parts.append(_REST)
    about = [("certificate.dsse.json", key, CERTIFICATE_TYPE, "targets/t1.txt") for key in issuers]
    parts += [_asked(path, file_names[key.spki], kind, file) for path, key, kind, file in about]
    parts.append(_APPROVALS)
    for number, keys in enumerate(approvers, 1):
        path = f"approvals/a{number}.dsse.json"
        parts += [_asked(path, file_names[key.spki], APPROVAL_TYPE, "plan.json") for key in keys]
    return "".join(parts)


def signature_check(envelope: str, number: int, key: PublicKey, name: str) -> str:
    """Return the commands that check one signature of an envelope with openssl.

    Before them, `$work/signed` holds what was signed; `name` is that of the key's file in keys/.
    """
    take = f"jq -j '.signatures[{number}].sig' {envelope} | base64 -d > \"$work/{number}.sig\""
    if spki_bytes(key).startswith(ED25519_PREFIX):
        check = (
            f"openssl pkeyutl -verify -pubin -inkey keys/{name}.pub -rawin "
            f'-in "$work/signed" -sigfile "$work/{number}.sig"'
        )
    else:
        check = f'openssl dgst -sha256 -verify keys/{name}.pub -signature "$work/{number}.sig" "$work/signed"'
    return f"\n   {key.name}, {key_id(key)} (fingerprint in the form of OpenSSH)\n\n    {take}\n    {check}\n"


def _asked(envelope: str, key: str, kind: str, file: str) -> str:
    """Return the command that asks cosign whether a signed statement is about a file."""
    return (
        f"\n    cosign verify-blob-attestation --key keys/{key}.pub --signature {envelope} \\\n"
        f"      --type {kind} --insecure-ignore-tlog=true {file}\n"
    )
