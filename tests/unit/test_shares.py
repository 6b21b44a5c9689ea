"""Shared identities: SLIP-39's own vectors, k of n and never k - 1, and age agrees with what is joined."""

import itertools
import json
import subprocess
from pathlib import Path

import pytest
import shamir_mnemonic
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.archive.age import bech32, identity_text, new_identity, recipient_text
from deleatur.archive.shares import MOST, join_shares, new_shares
from deleatur.errors import Refused

VECTORS = json.loads((Path(__file__).parents[1] / "corpus" / "slip39.json").read_text())["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=[v["title"].split(".")[0] for v in VECTORS])
def test_official_vectors_of_slip39(vector: dict[str, object]) -> None:
    shares = vector["shares"]
    assert isinstance(shares, list)
    if vector["secret"]:
        secret = shamir_mnemonic.combine_mnemonics(shares, b"TREZOR").hex()
        assert secret == vector["secret"]
    else:
        with pytest.raises(shamir_mnemonic.MnemonicError):
            shamir_mnemonic.combine_mnemonics(shares, b"TREZOR")
        with pytest.raises(Refused):
            join_shares(shares)


def test_bech32_is_that_of_bip_173() -> None:
    assert bech32("a", b"") == "a12uel5l"
    assert bech32("split", bytes.fromhex("c5f38b70305f519bf66d85fb6cf03058f3dde463ecd7918f2dc743918f2d")) == (
        "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w"
    )


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=30)
def test_identities_are_those_that_age_reads(secret: bytes) -> None:
    identity = identity_text(secret)
    assert identity.startswith("AGE-SECRET-KEY-1")
    assert recipient_text(identity).startswith("age1")


def test_age_keygen_takes_the_same_recipient_from_a_joined_identity() -> None:
    shared = new_shares(2, 3)
    identity = join_shares(shared.shares[:2])
    told = subprocess.run(["age-keygen", "-y"], input=identity, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == shared.recipient


def test_any_two_of_three_join_and_one_never_does() -> None:
    shared = new_shares(2, 3)
    assert all(len(share.split()) == 33 for share in shared.shares)
    for pair in itertools.permutations(shared.shares, 2):
        assert recipient_text(join_shares(pair)) == shared.recipient
    for share in shared.shares:
        with pytest.raises(Refused, match="too few"):
            join_shares([share])
        with pytest.raises(Refused, match="the same twice"):
            join_shares([share, share])


def test_shares_of_two_identities_never_join() -> None:
    one, other = new_shares(2, 2), new_shares(2, 2)
    with pytest.raises(Refused, match="another identity"):
        join_shares([one.shares[0], other.shares[1]])


def test_a_wrong_word_names_the_share_and_no_word() -> None:
    shared = new_shares(2, 2)
    words = shared.shares[1].split()
    for spot in range(len(words)):
        wrong = [*words]
        wrong[spot] = "academic" if words[spot] != "academic" else "zero"
        with pytest.raises(Refused, match="share 2") as caught:
            join_shares([shared.shares[0], " ".join(wrong)])
        assert not {w for w in wrong if w in str(caught.value).split()} - {"is", "it", "not", "was", "as"}


def test_capitals_and_line_breaks_of_a_person_are_read() -> None:
    shared = new_shares(2, 2)
    typed = [share.upper().replace(" ", "\n ") for share in shared.shares]
    assert recipient_text(join_shares(typed)) == shared.recipient


@pytest.mark.parametrize(("needed", "of"), [(1, 1), (1, 3), (3, 2), (2, MOST + 1), (0, 2)])
def test_what_one_person_alone_could_open_is_refused(needed: int, of: int) -> None:
    with pytest.raises(Refused, match="people are needed"):
        new_shares(needed, of)


def test_a_share_of_another_kind_of_secret_is_refused() -> None:
    short = shamir_mnemonic.generate_mnemonics(1, [(2, 2)], bytes(16))[0]
    with pytest.raises(Refused, match="something else"):
        join_shares(short)
    assert recipient_text(new_identity()[0])
