"""The two ways to AES-256 in counter mode give the same bytes, from any block on."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from deleatur.sanitize import counter_mode
from deleatur.sanitize.counter_mode import BLOCK, counting_from, product
from deleatur.sanitize.keystream import Keystream

WRAP = 1 << 32  # blocks after which GCM would begin again, and counter mode goes on
counters = st.one_of(
    st.integers(0, (1 << 128) - 1),
    st.builds(lambda high, low: (high * WRAP + low) % (1 << 128), st.integers(0), st.integers(-40, 40)),
)


@pytest.fixture(params=["wide", "plain"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter_mode, "_LARGE", 1)
    monkeypatch.setattr(counter_mode, "is_wide", lambda: request.param == "wide")


def expected(key: bytes, counter: int, blocks: int) -> bytes:
    """Encrypt each count by itself, as the definition has it (NIST SP 800-38A §6.5)."""
    counts = b"".join(((counter + n) % (1 << 128)).to_bytes(BLOCK, "big") for n in range(blocks))
    return Cipher(algorithms.AES256(key), modes.ECB()).encryptor().update(counts)


@pytest.mark.usefixtures("_way")
def test_the_vectors_of_the_standard_are_met() -> None:
    """NIST SP 800-38A F.5.5, CTR-AES256.Encrypt."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    counter = int("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", 16)
    plain = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    assert counting_from(key, counter, 4).update(plain).hex() == (
        "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
        "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
    )


def test_a_product_is_that_of_the_field() -> None:
    """H and the first ciphertext of test case 2 of the GCM specification (McGrew and Viega, appendix B)."""
    one, other = 0x66E94BD4EF8A2C3B884CFA59CA342B2E, 0x0388DACE60B6A392F328C2B971B2FE78
    assert product(one, other) == product(other, one) == 0x5E2EC746917062882C85B0685353DEB7


@pytest.mark.usefixtures("_way")
@given(key=st.binary(min_size=32, max_size=32), counter=counters, blocks=st.integers(1, 80))
def test_from_any_block_on_it_is_counter_mode(key: bytes, counter: int, blocks: int) -> None:
    stream = counting_from(key, counter, blocks).update(bytes(blocks * BLOCK))
    assert stream == expected(key, counter, blocks)


@given(unit=st.text(max_size=5), offset=st.integers(0, 1 << 50), length=st.integers(0, 500))
def test_both_ways_fill_and_take_off_the_same_keystream(unit: str, offset: int, length: int) -> None:
    stream, found = Keystream("5e" * 32), []
    for wide in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(counter_mode, "_LARGE", 1)
            patch.setattr(counter_mode, "is_wide", lambda wide=wide: wide)
            room = bytearray(length)
            stream.fill(unit, offset, memoryview(room))
            found.append(bytes(room))
            stream.take_off(unit, offset, memoryview(room))
            assert room == bytes(length)
    assert found[0] == found[1] == stream.read(unit, offset, length)


def test_the_wide_way_is_really_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above compare one way with itself."""
    made: list[str] = []
    honest = counter_mode._encryptor

    def watched(key: bytes, mode: modes.CTR | modes.GCM | modes.ECB) -> CipherContext:
        made.append(mode.name)
        return honest(key, mode)

    counter_mode._inverses.cache_clear()
    monkeypatch.setattr(counter_mode, "_encryptor", watched)
    monkeypatch.setattr(counter_mode, "is_wide", lambda: True)
    counting_from(bytes(32), 7, counter_mode._LARGE)
    counting_from(bytes(32), WRAP - counter_mode._LARGE + 1, counter_mode._LARGE)
    counting_from(bytes(32), 7, counter_mode._LARGE - 1)
    assert made == ["ECB", "GCM", "CTR", "CTR"]
