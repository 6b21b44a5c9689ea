"""Attest a part of a data map, and find out whose attestations hold.

Rules: an owner signs the canonical bytes of exactly what is theirs; the key is the one that the map
names for them; a changed part needs a new signature; whoever did not sign is listed.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

from deleatur.documents.certificate import STATEMENT_TYPE, Digest, Part, Subject, Time
from deleatur.documents.codec import decode_canonical, encode_json
from deleatur.documents.datamap import DataMap
from deleatur.documents.place import Name
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.judge.datamap import owners_of, part_of
from deleatur.judge.fingerprint import spki_bytes
from deleatur.trust.dsse import IN_TOTO, seal, unseal
from deleatur.trust.keys import SigningKey

# A name that nobody can own, until the project owns one: docs/adr/0014-type-uris-under-a-reserved-name.md
AttestationType = Literal["https://deleatur.example/attestation/data-map-part/v1"]
ATTESTATION_TYPE: AttestationType = "https://deleatur.example/attestation/data-map-part/v1"
MAX_ATTESTATIONS = 1000  # envelopes looked at


class Attestation(Part, frozen=True):
    """The predicate: an owner's word that their part of the map is complete and right."""

    schema_version: Literal["deleatur/attestation/v1"]
    owner: Name
    at: Time


class AttestationStatement(Part, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """The in-toto Statement that carries an attestation; its subject is the owner's part."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicate_type: AttestationType
    predicate: Attestation


def attest(datamap: DataMap, owner: str, key: SigningKey, at: str) -> bytes:
    """Return a DSSE envelope in which `owner` stands by their part; `at` is RFC 3339 in UTC with `Z`.

    Raises:
        Refused: nothing belongs to them, a difference of theirs is not explained, or the key is
            not the one that the map names for them.
    """
    body = part_of(datamap, owner)
    named = {known.name: known for known in datamap.owner}
    if owner not in named or spki_bytes(named[owner]) != spki_bytes(key.public):
        raise Refused(f"{key.key_id} is not the key that the data map names for {owner}")
    bare = [d.id for d in datamap.difference if d.owner == owner and not d.explanation]
    if bare:
        raise Refused(f"explain first, in the data map, what differs: {', '.join(bare)}")
    statement = AttestationStatement(
        type_=STATEMENT_TYPE,
        subject=(Subject(name=f"datamap.toml, part of {owner}", digest=_digest(body)),),
        predicate_type=ATTESTATION_TYPE,
        predicate=Attestation(schema_version="deleatur/attestation/v1", owner=owner, at=at),
    )
    return seal(encode_json(statement), IN_TOTO, [key])


def attested_owners(datamap: DataMap, envelopes: Sequence[bytes]) -> frozenset[str]:
    """Return the owners whose signature over their part, as it stands in the map, holds.

    What is no attestation, or of another map, counts for nothing.

    Raises:
        Refused: more envelopes than are looked at.
    """
    if len(envelopes) > MAX_ATTESTATIONS:
        raise Refused(f"{len(envelopes)} attestations; at most {MAX_ATTESTATIONS} are looked at")
    named = {key.name: key for key in datamap.owner}
    wanted = {o: _digest(part_of(datamap, o)) for o in owners_of(datamap) if o in named}
    held = set()
    for envelope in envelopes:
        for owner, digest in wanted.items():
            try:
                payload, signers = unseal(envelope, IN_TOTO, [named[owner]])
                statement = decode_canonical(payload, AttestationStatement)
            except (Invalid, Malformed):
                continue
            fits = statement.predicate.owner == owner and [s.digest for s in statement.subject] == [digest]
            if signers and fits:
                held.add(owner)
    return frozenset(held)


def _digest(body: bytes) -> Digest:
    return Digest(sha256=hashlib.sha256(body).hexdigest())
