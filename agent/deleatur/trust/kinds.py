"""Tell which of our signed documents lies somewhere, so that it is verified as what it is."""

from pathlib import Path
from typing import Literal

from deleatur.documents.attested import BUNDLE_TYPE, DESTRUCTION_TYPE, PROCESSORS_TYPE, predicate_type
from deleatur.errors import Invalid, Malformed
from deleatur.trust import bundle, folder, record
from deleatur.trust.dsse import IN_TOTO, MAX_ENVELOPE, unseal
from deleatur.trust.untrusted import named_file

Kind = Literal["certificate", "record", "bundle"]
_ENVELOPES: dict[Kind, str] = {
    "certificate": folder.ENVELOPE,
    "record": record.ENVELOPE,
    "bundle": bundle.ENVELOPE,
}
_TYPES: dict[str, Kind] = {
    DESTRUCTION_TYPE: "record",
    PROCESSORS_TYPE: "record",
    BUNDLE_TYPE: "bundle",
}


def kind_of(where: Path) -> Kind:
    """Return what lies in a folder, or in an envelope's file; a certificate, if it cannot be told.

    Raises:
        Invalid: a folder holds two envelopes: it could be verified as one and shown as the other.
        Failed: a file cannot be read.
    """
    if where.is_dir():
        found = [kind for kind, name in _ENVELOPES.items() if (where / name).exists()]
        if len(found) > 1:
            raise Invalid(f"the folder holds more than one envelope: {', '.join(found)}")
        return found[0] if found else "certificate"
    try:
        body, _ = unseal(named_file(where, MAX_ENVELOPE), IN_TOTO, [])
        return _TYPES.get(predicate_type(body), "certificate")
    except (Invalid, Malformed):
        return "certificate"  # whose verifier says what is wrong with it
