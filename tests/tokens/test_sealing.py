from __future__ import annotations

import secrets

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from gatepost.tokens.sealing import SealBroken, derive_key, seal, unseal

KEY = derive_key(b"k" * 32, purpose="test")


def test_a_key_is_the_hkdf_of_the_secret_for_one_purpose() -> None:
    """Pinned: a change of the derivation would make every sealed value of a running server unreadable."""
    assert KEY.hex() == "778f53f3cb8cd41edb93390abb6d17e715ec4a1447e065f4a36965decd01d311"


def test_keys_of_two_purposes_or_two_secrets_differ() -> None:
    keys = {
        derive_key(b"k" * 32, purpose="test"),
        derive_key(b"k" * 32, purpose="another"),
        derive_key(b"l" * 32, purpose="test"),
    }
    assert len(keys) == 3


def test_a_sealed_value_is_format_nonce_and_aes_256_gcm() -> None:
    nonce = bytes(range(12))
    sealed = seal(b"hello", key=KEY, associated_data=b"row", random_bytes=lambda count: nonce[:count])
    assert sealed == b"\x01" + nonce + AESGCM(KEY).encrypt(nonce, b"hello", b"\x01row")


@given(plaintext=st.binary(), associated_data=st.binary())
def test_what_was_sealed_opens_again(plaintext: bytes, associated_data: bytes) -> None:
    sealed = seal(plaintext, key=KEY, associated_data=associated_data, random_bytes=secrets.token_bytes)
    assert unseal(sealed, key=KEY, associated_data=associated_data) == plaintext
    assert len(sealed) == len(plaintext) + 29


@given(plaintext=st.binary(max_size=40), data=st.data())
def test_no_altered_bit_opens(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(plaintext, key=KEY, associated_data=b"row", random_bytes=secrets.token_bytes))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealBroken):
        unseal(bytes(sealed), key=KEY, associated_data=b"row")


@given(st.binary(max_size=60))
def test_what_was_never_sealed_does_not_open(data: bytes) -> None:
    with pytest.raises(SealBroken):
        unseal(data, key=KEY, associated_data=b"row")


@pytest.mark.parametrize("length", range(30))
def test_what_is_too_short_for_a_nonce_and_a_tag_does_not_open(length: int) -> None:
    with pytest.raises(SealBroken):
        unseal(b"\x01" + bytes(length), key=KEY, associated_data=b"row")


@pytest.mark.parametrize("first", [b"", b"\x00", b"\x02"])
def test_a_value_of_another_format_does_not_open_whoever_sealed_it(first: bytes) -> None:
    nonce = bytes(12)
    sealed = first + nonce + AESGCM(KEY).encrypt(nonce, b"hello", b"\x01row")
    with pytest.raises(SealBroken):
        unseal(sealed, key=KEY, associated_data=b"row")


def test_another_key_or_another_row_does_not_open_it() -> None:
    sealed = seal(b"hello", key=KEY, associated_data=b"row", random_bytes=secrets.token_bytes)
    with pytest.raises(SealBroken):
        unseal(sealed, key=derive_key(b"k" * 32, purpose="another"), associated_data=b"row")
    with pytest.raises(SealBroken):
        unseal(sealed, key=KEY, associated_data=b"other row")
