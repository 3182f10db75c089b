"""Who manages a registration, and what an update comes to (RFC 7592)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gatepost.oauth.errors import InvalidClientMetadata, InvalidToken
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.oauth.registration_management import (
    check_initial_access_token,
    check_manager,
    read_update,
    updated_client,
    wrong_token,
)
from gatepost.stores.conformance.records import client
from gatepost.tokens.opaque import fingerprint

TOKEN = "gp_rr_" + "t" * 43
SECRET = "gp_cs_" + "s" * 43
CLIENT = client(registration_token_fingerprint=fingerprint(TOKEN), secret_fingerprint=fingerprint(SECRET))
UPDATE: dict[str, Any] = {
    "client_id": "client-1",
    "client_name": "New",
    "redirect_uris": ["https://app.example/callback"],
    "grant_types": ["authorization_code"],
    "token_endpoint_auth_method": "client_secret_basic",
}


def test_whoever_has_the_registration_access_token_manages_it() -> None:
    assert check_manager(CLIENT, TOKEN) is CLIENT


@pytest.mark.parametrize(
    ("known", "token"),
    [
        (None, TOKEN),
        (replace(CLIENT, disabled_at=0), TOKEN),
        (CLIENT, TOKEN + "x"),
        (CLIENT, None),
        (replace(CLIENT, registration_token_fingerprint=None), TOKEN),
        (replace(CLIENT, registration_token_fingerprint=None), None),
    ],
)
def test_nobody_else_does_and_all_get_the_same_answer(known: Client | None, token: str | None) -> None:
    with pytest.raises(InvalidToken) as refused:
        check_manager(known, token)
    assert (refused.value.reason, refused.value.description) == (
        Reason.REGISTRATION_TOKEN_WRONG,
        wrong_token().description,
    )
    assert wrong_token().description.startswith("Send the token for this: ")


@pytest.mark.parametrize("token", [None, "", TOKEN + "x"])
def test_a_registration_needs_the_initial_access_token_where_there_is_one(token: str | None) -> None:
    check_initial_access_token(TOKEN, expected=fingerprint(TOKEN))
    with pytest.raises(InvalidToken):
        check_initial_access_token(token, expected=fingerprint(TOKEN))


def test_an_update_replaces_everything() -> None:
    metadata = read_update(UPDATE, CLIENT, known_scopes={"notes:read", "notes:write"})
    assert updated_client(CLIENT, metadata, new_secret_fingerprint=None) == replace(
        CLIENT,
        client_name="New",
        redirect_uris=("https://app.example/callback",),
        grant_types=("authorization_code",),
        application_type="web",
        scope=None,
        client_uri=None,
        logo_uri=None,
    )


@pytest.mark.parametrize("secret", [SECRET, None])
def test_an_update_may_name_the_current_secret(secret: str | None) -> None:
    read_update({**UPDATE, "client_secret": secret}, CLIENT, known_scopes=())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": "client-2"}, "client_id must be there and be this client's own "),
        ({"client_id": None}, "client_id must be there and be this client's own "),
        *(
            ({name: "x"}, f"{name} must not be there ")
            for name in (
                "registration_access_token",
                "registration_client_uri",
                "client_secret_expires_at",
                "client_id_issued_at",
            )
        ),
        (
            {"client_id_issued_at": None, "client_secret_expires_at": 0},
            "client_secret_expires_at and client_id_issued_at must not be there ",
        ),
        ({"client_secret": SECRET + "x"}, "client_secret must be the current one, "),
        ({"client_secret": ""}, "client_secret must be the current one, "),
        ({"client_secret": 1}, "client_secret must be the current one, "),
        ({"grant_types": ["implicit"]}, "grant_types "),
    ],
)
def test_an_update_that_names_another_client_or_what_the_server_says_is_refused(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidClientMetadata) as refused:
        read_update({**UPDATE, **changes}, CLIENT, known_scopes=())
    assert refused.value.reason is Reason.CLIENT_METADATA_INVALID
    assert refused.value.description.startswith(words)


def test_an_update_is_bound_to_the_grant_types_of_the_server() -> None:
    with pytest.raises(InvalidClientMetadata):
        read_update(UPDATE, CLIENT, known_scopes=(), grant_types=("refresh_token",))


@pytest.mark.parametrize(
    ("method", "new", "kept"),
    [
        ("client_secret_basic", None, CLIENT.secret_fingerprint),
        ("client_secret_post", b"new", b"new"),
        ("none", None, None),
        ("none", b"new", None),
    ],
)
def test_a_client_keeps_its_secret_for_as_long_as_it_needs_one(
    method: str, new: bytes | None, kept: bytes | None
) -> None:
    metadata = read_update({**UPDATE, "token_endpoint_auth_method": method}, CLIENT, known_scopes=())
    assert updated_client(CLIENT, metadata, new_secret_fingerprint=new).secret_fingerprint == kept
