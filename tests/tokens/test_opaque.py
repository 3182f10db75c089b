from __future__ import annotations

import base64
import hashlib
import secrets

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.tokens.opaque import SecretKind, base64url, fingerprint, identifier, looks_like, matches, mint


def test_a_secret_is_its_prefix_and_256_random_bits() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    assert mint(SecretKind.ACCESS_TOKEN, random_bytes) == "gp_at_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert asked == [32]


def test_an_identifier_is_its_prefix_and_128_random_bits() -> None:
    assert identifier("client-", bytes) == "client-" + "A" * 22
    assert len(identifier("", secrets.token_bytes)) == 22


@pytest.mark.parametrize("kind", SecretKind)
def test_a_minted_secret_looks_like_its_own_kind_and_like_no_other(kind: SecretKind) -> None:
    secret = mint(kind, secrets.token_bytes)
    assert [other for other in SecretKind if looks_like(other, secret)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gp_at_",
        "gp_at_" + "A" * 42,
        "gp_at_" + "A" * 44,
        "gp_at_" + "A" * 42 + "=",
        "gp_at_" + "A" * 42 + "\n",
        "gp_at_" + "A" * 43 + "\n",
        " gp_at_" + "A" * 43,
        "GP_AT_" + "A" * 43,
        "gp_at_" + "\u0391" * 43,
        "gp_rt_" + "A" * 43,
    ],
)
def test_what_was_not_minted_as_an_access_token_does_not_look_like_one(text: str) -> None:
    assert not looks_like(SecretKind.ACCESS_TOKEN, text)


def test_each_kind_has_its_own_prefix() -> None:
    """Stores, scanners for secrets and clients' configurations hold them."""
    assert {kind.name: kind.value for kind in SecretKind} == {
        "ACCESS_TOKEN": "gp_at_",
        "API_KEY": "gp_ak_",
        "REFRESH_TOKEN": "gp_rt_",
        "AUTHORIZATION_CODE": "gp_ac_",
        "BROWSER_SESSION": "gp_bs_",
        "SETUP_LINK": "gp_su_",
        "ACCOUNT_LINK": "gp_al_",
        "LOGIN_STATE": "gp_ls_",
        "CLIENT_SECRET": "gp_cs_",
        "REGISTRATION_ACCESS_TOKEN": "gp_ra_",
        "MCP_SESSION": "gp_ms_",
        "TASK": "gp_tk_",
        "DEVICE_CODE": "gp_dc_",
        "REQUEST_REFERENCE": "gp_ar_",
        "SEALING_KEY": "gp_sk_",
    }


def test_every_prefix_is_five_characters_and_an_underscore_and_none_is_used_twice() -> None:
    assert len({kind.value for kind in SecretKind}) == len(SecretKind)
    assert {len(kind.value) for kind in SecretKind} == {6}


def test_a_fingerprint_is_the_sha_256_of_the_whole_secret() -> None:
    assert fingerprint("gp_at_x") == hashlib.sha256(b"gp_at_x").digest()


@pytest.mark.parametrize(
    ("secret", "kept", "is_match"),
    [
        ("gp_cs_x", fingerprint("gp_cs_x"), True),
        ("gp_cs_y", fingerprint("gp_cs_x"), False),
        ("gp_cs_x", b"", False),
        ("gp_cs_x", None, False),
        (None, fingerprint("gp_cs_x"), False),
        (None, None, False),
    ],
)
def test_a_secret_matches_its_own_fingerprint_and_nothing_matches_what_is_missing(
    secret: str | None, kept: bytes | None, *, is_match: bool
) -> None:
    assert matches(secret, kept) is is_match


@given(st.binary())
@example(b"\x5d\x75\xd7")
def test_base64url_is_all_of_the_data_but_for_the_padding(data: bytes) -> None:
    text = base64url(data)
    assert base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) == data


@given(st.binary())
def test_base64url_has_neither_padding_nor_characters_that_need_escaping(data: bytes) -> None:
    assert set(base64url(data)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
