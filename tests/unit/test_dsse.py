"""DSSE envelopes: what is signed, who counts, and what is not even looked at."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.errors import Invalid, Refused
from deleatur.testing.finished import known_key
from deleatur.trust.dsse import IN_TOTO, MAX_SIGNATURES, pre_authentication_encoding, seal, unseal

ONE, TWO = known_key("one", 11), known_key("two", 12, "p-256")
BOTH = [ONE.public, TWO.public]


def tree(envelope: bytes) -> Any:
    return json.loads(envelope)


def bytes_of(envelope: Any) -> bytes:
    return json.dumps(envelope).encode()


def test_the_signed_bytes_are_those_of_the_specification() -> None:
    # secure-systems-lab/dsse, protocol.md, "Test Vectors"
    signed = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_each_trusted_key_counts_once_and_in_order() -> None:
    envelope = seal(b"body", IN_TOTO, [TWO, ONE])
    assert unseal(envelope, IN_TOTO, BOTH) == (b"body", (ONE.public, TWO.public))
    assert unseal(envelope, IN_TOTO, [ONE.public, ONE.public]) == (b"body", (ONE.public,))
    assert unseal(envelope, IN_TOTO, []) == (b"body", ())
    assert unseal(envelope, IN_TOTO, [known_key("three", 13).public]) == (b"body", ())


def test_one_key_under_two_key_ids_and_two_names_is_one_signer() -> None:
    envelope = tree(seal(b"body", IN_TOTO, [ONE]))
    envelope["signatures"].append({"keyid": "SHA256:somebody-else", "sig": envelope["signatures"][0]["sig"]})
    again = known_key("one-again", 11).public
    assert len(unseal(bytes_of(envelope), IN_TOTO, [ONE.public, again])[1]) == 1


def test_a_key_id_proves_nothing() -> None:
    envelope = tree(seal(b"body", IN_TOTO, [ONE]))
    envelope["signatures"][0]["keyid"] = TWO.key_id
    assert unseal(bytes_of(envelope), IN_TOTO, BOTH)[1] == (ONE.public,)
    del envelope["signatures"][0]["keyid"]
    assert unseal(bytes_of(envelope), IN_TOTO, BOTH)[1] == (ONE.public,)


def test_sealing_needs_distinct_keys() -> None:
    with pytest.raises(Refused, match="without a key"):
        seal(b"body", IN_TOTO, [])
    with pytest.raises(Refused, match="twice"):
        seal(b"body", IN_TOTO, [ONE, known_key("another-name", 11)])


def test_sealing_twice_gives_the_same_bytes() -> None:
    assert seal(b"body", IN_TOTO, [ONE, TWO]) == seal(b"body", IN_TOTO, [ONE, TWO])


def test_another_payload_type_is_refused() -> None:
    envelope = seal(b"body", "text/plain", [ONE])
    with pytest.raises(Invalid, match="text/plain"):
        unseal(envelope, IN_TOTO, BOTH)
    moved = tree(envelope) | {"payloadType": IN_TOTO}
    assert unseal(bytes_of(moved), IN_TOTO, BOTH)[1] == ()


@pytest.mark.parametrize("part", ["payload", "sig"])
def test_base64_has_one_spelling(part: str) -> None:
    envelope = tree(seal(b"bod", IN_TOTO, [TWO])) | {"payload": "Ym9keQ=="}
    holder = envelope if part == "payload" else envelope["signatures"][0]
    for spelling in ("Ym9keR==", "Ym9keQ", "Ym9k\neQ==", "Ym9keQ==\n", "Ym9keQ=", "*m9keQ==", "_w=="):
        holder[part] = spelling
        with pytest.raises(Invalid, match="base64"):
            unseal(bytes_of(envelope), IN_TOTO, BOTH)


def test_hostile_envelopes_are_invalid() -> None:
    envelope = seal(b"body", IN_TOTO, [ONE])
    many = tree(envelope)
    many["signatures"] *= MAX_SIGNATURES + 1
    none = tree(envelope) | {"signatures": []}
    for hostile in (
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        envelope.replace(b'{"payload"', b'{"payload":"QQ==","payload"'),
        envelope.replace(b'{"payload"', b'{"more":1,"payload"'),
        bytes_of(many),
        bytes_of(none),
    ):
        with pytest.raises(Invalid):
            unseal(hostile, IN_TOTO, BOTH)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_changed_byte_keeps_two_signers_and_changes_the_payload(position: int, mask: int) -> None:
    envelope = bytearray(seal(b"the body that counts", IN_TOTO, [ONE, TWO]))
    envelope[position % len(envelope)] ^= mask
    try:
        payload, signers = unseal(bytes(envelope), IN_TOTO, BOTH)
    except Invalid:
        return
    assert payload == b"the body that counts" or signers == ()


@given(st.binary(max_size=500))
def test_unseal_gives_back_what_was_sealed(payload: bytes) -> None:
    envelope = seal(payload, IN_TOTO, [ONE])
    assert unseal(envelope, IN_TOTO, BOTH) == (payload, (ONE.public,))
    signature = base64.b64decode(tree(envelope)["signatures"][0]["sig"])
    assert len(signature) == 64
