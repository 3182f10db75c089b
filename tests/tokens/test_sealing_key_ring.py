from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.tokens.sealing import KeyMissing, KeyRing, SealBroken, is_key, key_id

OLD = "old-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
NEW = "new-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


def seal(
    ring: KeyRing, plaintext: bytes = b"hello", *, purpose: str = "test", associated_data: bytes = b"row"
) -> bytes:
    return ring.seal(plaintext, purpose=purpose, associated_data=associated_data, random_bytes=secrets.token_bytes)


def unseal(ring: KeyRing, sealed: bytes, *, purpose: str = "test", associated_data: bytes = b"row") -> bytes:
    return ring.open(sealed, purpose=purpose, associated_data=associated_data)


@given(plaintext=st.binary(), associated_data=st.binary())
def test_what_was_sealed_opens_again(plaintext: bytes, associated_data: bytes) -> None:
    ring = KeyRing([OLD])
    sealed = seal(ring, plaintext, associated_data=associated_data)
    assert unseal(ring, sealed, associated_data=associated_data) == plaintext
    assert len(sealed) == len(plaintext) + 37


def test_the_first_key_seals_and_all_open() -> None:
    before, overlap, after = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
    old, new = seal(before), seal(overlap)
    assert unseal(overlap, old) == unseal(overlap, new) == unseal(after, new) == b"hello"
    assert (overlap.is_current(old), overlap.is_current(new)) == (False, True)
    with pytest.raises(KeyMissing):
        unseal(after, old)
    with pytest.raises(KeyMissing):
        unseal(before, new)


def test_another_purpose_or_another_place_does_not_open_it() -> None:
    ring = KeyRing([OLD])
    sealed = seal(ring)
    for other in ({"purpose": "other"}, {"associated_data": b"other"}):
        with pytest.raises(SealBroken):
            ring.open(sealed, **{"purpose": "test", "associated_data": b"row", **other})  # type: ignore[arg-type] # one of each type


def test_every_holder_of_the_first_key_works_out_the_same_secret_for_a_purpose() -> None:
    """Pinned: all processes of one store print the same set-up link."""
    assert KeyRing([OLD, NEW]).secret(purpose="test").hex() == (
        "94eabffcdfeb769efd5c38183691ac0b8745325f6abbd989ed8c7f6224654532"
    )
    assert len({KeyRing([NEW, OLD]).secret(purpose="test"), KeyRing([OLD]).secret(purpose="other")}) == 2


@given(data=st.data())
def test_no_altered_bit_opens(data: st.DataObject) -> None:
    ring = KeyRing([OLD, NEW])
    sealed = bytearray(seal(ring))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealBroken):
        unseal(ring, bytes(sealed))


@given(st.binary(max_size=60))
def test_what_was_never_sealed_does_not_open(data: bytes) -> None:
    with pytest.raises(SealBroken):
        unseal(KeyRing([OLD]), data)


@pytest.mark.parametrize("length", range(40))
def test_what_is_too_short_to_be_sealed_does_not_open_under_a_key_of_the_ring(length: int) -> None:
    ring = KeyRing([OLD])
    with pytest.raises(SealBroken):
        unseal(ring, seal(ring, b"any")[:length])


def test_what_no_key_has_sealed_is_told_from_what_was_altered() -> None:
    ring = KeyRing([OLD])
    with pytest.raises(KeyMissing):
        unseal(ring, b"")
    with pytest.raises(SealBroken) as refusal:
        unseal(ring, seal(ring)[:-1])
    assert type(refusal.value) is SealBroken


def test_a_key_is_named_without_being_told() -> None:
    """Pinned: every sealed value and the store's note carry these names."""
    assert key_id(OLD) == "750bf55457695b4f"
    assert KeyRing([NEW, OLD]).key_ids == (key_id(NEW), key_id(OLD))
    assert "0123456789" not in f"{KeyRing([OLD])!r} {KeyRing([OLD])}"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        # As `secrets.token_urlsafe(32)`, `secrets.token_hex(32)`, our own `mint` and `secrets.token_hex(16)` make them.
        ("MWa7ze_Gdg-Xmj_Wq1za8JQJylMSqvcjfGqt5S-q6VE", True),
        ("889e60920df2760aa0d4fd0da2449adc513ef1e195d6bf0465637910015f5389", True),
        ("gp_sk_9oo0aqpj9GBygtTaQ6S_bFf5gM1pAbtTU9n925HIUXs", True),
        ("5527789b7494cbc7ac17e08a7ef3dd29", False),
        ("a" * 64, False),
        ("abcdefghi" * 5, False),
        ("abcdefghij" * 5, True),
        ("abcdefghij" * 4 + "abc", True),
        ("abcdefghij" * 4 + "ab", False),
        ("abcdefghij" * 5 + "\n", False),
        ("x" * 20 + " " + "abcdefghijklmnopqrstuvwxyz", False),
        ("", False),
    ],
)
def test_a_key_is_long_and_looks_random(text: str, fits: bool) -> None:
    assert is_key(text) is fits


@pytest.mark.parametrize("keys", [[], ["short"], [OLD, "short"]])
def test_a_ring_of_anything_else_is_refused(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="43 random characters") as refusal:
        KeyRing(keys)
    assert "short" not in str(refusal.value)
