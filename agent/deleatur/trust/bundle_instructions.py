"""Write the VERIFY.txt of a bundle: how to check it with stock programs and without deleatur.

Rules: as those of a certificate's own: every indented line is a command of bash, run as it stands by
our own tests; nothing needs a network; trust in keys comes from elsewhere than this folder.
"""

from collections.abc import Mapping

from deleatur.documents.plan import PublicKey
from deleatur.trust.dsse import IN_TOTO
from deleatur.trust.instructions import signature_check
from deleatur.trust.stamp import Stamp

_HEAD = """\
How to check this bundle with programs that are not ours
=========================================================

You need bash, jq, base64, sha256sum and openssl (3.0 or later). Start a bash of its own in this
folder (it ends at the first command that fails) and run the commands in order. None needs a network.
With deleatur itself it is one command: deleatur verify . --key YOUR-COPY.pub

The public keys in keys/ are copies for your convenience. Nothing here proves who signed it until you
have compared these files, byte by byte, with copies that came to you another way.

1. Who made the bundle: the command says that the signature is verified

    set -eu -o pipefail
    work=$(mktemp -d)
    signed_by() {
      jq -j .payload "$1" | base64 -d > "$work/body"
      printf 'DSSEv1 {length} {type} %d ' "$(stat -c %s "$work/body")" | cat - "$work/body" > "$work/signed"
    }
    signed_by bundle.dsse.json
"""
_FILES = """
2. What is in it: every line ends in OK, and no file is there that the list does not name

    jq -r '.subject[] | .digest.sha256 + "  " + .name' "$work/body" | sha256sum -c --strict
    sha256sum -c --strict --quiet manifest.sha256
    find . -type f ! -path ./manifest.sha256 ! -path ./bundle.dsse.json -printf '%P\\n' | sort > "$work/there"
    cut -c 67- manifest.sha256 | sort | cmp - "$work/there"
    jq . "$work/body"

3. The certificate, if there is one: certificate/VERIFY.txt says how, to be followed in that folder.
"""
_RECORD = """
4. {folder}: who signed it, that its evidence is what they signed, and what they attest.
   It is attested, not verified: deleatur measured nothing of it.

    signed_by {envelope}
"""
_RECORD_REST = """
    jq -r '.subject[] | .digest.sha256 + "  {folder}/" + .name' "$work/body" | sha256sum -c --strict
    jq -r '.predicate | .state, .assurance, .sentences[].text' "$work/body"
"""
_STAMP = """
5. {name}: the certificate was there at {at}, says an authority in whom you trust by its root
   certificate: the copy here is for your convenience. Its certificates are judged as of that time.

    envelope=certificate/certificate.dsse.json
    openssl ts -verify -data "$envelope" -in {name}.tsr -CAfile {name}.pem -attime {unix}
"""


def bundle_instructions(
    maker: PublicKey,
    records: Mapping[str, tuple[tuple[int, PublicKey], ...]],
    file_names: Mapping[str, str],
    stamps: Mapping[str, Stamp],
) -> str:
    """Return the text of VERIFY.txt.

    Args:
        maker: the key that signs the bundle.
        records: for each record's envelope, which of its signatures is by which party.
        file_names: the name of each key's file in keys/, without its ending, by its SPKI.
        stamps: time stamps over the certificate, by their path without its ending.
    """
    parts = [_HEAD.replace("{length}", str(len(IN_TOTO))).replace("{type}", IN_TOTO)]
    parts.append(signature_check("bundle.dsse.json", 0, maker, file_names[maker.spki]))
    parts.append(_FILES)
    for envelope, signers in records.items():
        folder = envelope.rpartition("/")[0]
        parts.append(_RECORD.replace("{folder}", folder).replace("{envelope}", envelope))
        parts += [signature_check(envelope, n, key, file_names[key.spki]) for n, key in signers]
        parts.append(_RECORD_REST.replace("{folder}", folder))
    for name, stamp in stamps.items():
        parts.append(_STAMP.format(name=name, at=stamp.at, unix=stamp.unix))
    return "".join(parts)
