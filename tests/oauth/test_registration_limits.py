"""How much a client may say of itself, from both sides of each limit, and what it is told beyond."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatepost.oauth import registration
from gatepost.oauth.errors import InvalidClientMetadata, InvalidRedirectUri
from gatepost.oauth.records import ClientMetadata, ClientOrigin
from gatepost.oauth.registration import client_information, new_client, parse_metadata, read_metadata

WEB = "https://example.com/cb"
EC_KEY = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "1"}


def read(**members: object) -> ClientMetadata:
    return read_metadata({"redirect_uris": [WEB], **members}, known_scopes=("notes:read",))


def refused(**members: object) -> str:
    with pytest.raises((InvalidClientMetadata, InvalidRedirectUri)) as refusal:
        read(**members)
    return refusal.value.description


def test_the_limits_are_these() -> None:
    assert (
        registration.MAX_BODY,
        registration.MAX_REDIRECT_URIS,
        registration.MAX_ALL_REDIRECT_URIS,
        registration.MAX_LIST,
        registration.MAX_NAME,
    ) == (16_384, 16, 8_192, 32, 200)
    assert registration.DEFAULT_GRANT_TYPES == ("authorization_code", "refresh_token")


def test_sixteen_redirect_uris_and_no_more() -> None:
    uris = [f"{WEB}/{number}" for number in range(17)]
    assert read(redirect_uris=uris[:16]).redirect_uris == tuple(uris[:16])
    for wrong in (uris, [], None, WEB):
        assert refused(redirect_uris=wrong) == "redirect_uris must be a list of 1 to 16 redirect URIs."


def test_thirty_two_entries_of_any_other_list() -> None:
    filled = ["authorization_code", *(f"other-{number}" for number in range(31))]
    assert read(grant_types=filled).grant_types == ("authorization_code",)
    assert read(response_types=["code", *filled[1:]]).response_types == ("code",)
    for name in ("grant_types", "response_types"):
        for wrong in ([*filled, "code"], "code", ["code", None]):
            assert refused(**{name: wrong}) == f"{name} must be a list of at most 32 strings."


def test_a_name_has_200_characters_and_is_looked_at_up_to_800() -> None:
    assert read(client_name="n" * 200).client_name == "n" * 200
    assert read(client_name="\u200b" * 799 + "n").client_name == "n"
    for wrong in ("n" * 201, "\u200b" * 800 + "n"):
        assert refused(client_name=wrong) == "client_name is longer than 200 characters."


def test_keys_have_16_kib_as_they_are_kept() -> None:
    around = len(json.dumps({"keys": [{**EC_KEY, "kid": ""}]}))
    longest = {**EC_KEY, "kid": "k" * (16_384 - around)}
    kept = read(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [longest]}).jwks
    assert kept == json.dumps({"keys": [longest]})
    longer = {**EC_KEY, "kid": "k" * (16_385 - around)}
    assert refused(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [longer]}) == (
        "jwks is longer than 16384 characters."
    )


WITH_KEYS: dict[str, Any] = {"token_endpoint_auth_method": "private_key_jwt"}


@pytest.mark.parametrize(
    ("members", "description"),
    [
        ({"grant_types": ["refresh_token"]}, "grant_types must include authorization_code, "),
        ({"response_types": ["token"]}, "response_types must include code, "),
        ({"application_type": "desktop"}, "application_type must be native or web."),
        ({"application_type": ["web"]}, "application_type must be a string."),
        ({"client_name": 1}, "client_name must be a string."),
        ({"scope": ["notes:read"]}, "scope must be a string."),
        ({"scope": 'a"b'}, "scope is malformed; "),
        ({"token_endpoint_auth_method": 1}, "token_endpoint_auth_method must be a string."),
        ({"token_endpoint_auth_method": "x"}, "token_endpoint_auth_method is not supported here; "),
        (WITH_KEYS, "private_key_jwt needs jwks or jwks_uri, "),
        (
            {**WITH_KEYS, "jwks": {"keys": [EC_KEY]}, "jwks_uri": "https://app.example/jwks"},
            "jwks and jwks_uri exclude each other ",
        ),
        ({**WITH_KEYS, "jwks": {"keys": []}}, "jwks has no key for "),
        ({**WITH_KEYS, "jwks": {}}, "jwks is not a JWK set"),
        ({**WITH_KEYS, "jwks_uri": 1}, "jwks_uri must be a string."),
        ({**WITH_KEYS, "jwks_uri": "https://intranet/jwks"}, "jwks_uri has a host that is no public host name."),
        ({"jwks": {"keys": [{**EC_KEY, "d": "AA"}]}}, "jwks holds a private or symmetric key; "),
    ],
)
def test_each_refusal_names_the_member_and_the_rule(members: dict[str, Any], description: str) -> None:
    assert refused(**members).startswith(description)


def test_keys_may_be_at_an_address_with_a_query_or_on_this_computer() -> None:
    for uri in ("https://app.example/jwks?app=1", "https://localhost:8443/jwks"):
        assert read(**WITH_KEYS, jwks_uri=uri).jwks_uri == uri


def test_what_is_no_object_is_told_so() -> None:
    for raw in (b"[]", b"{", b'{"a": NaN}', b'{"a": 1, "a": 1}'):
        with pytest.raises(InvalidClientMetadata, match=r"The body must be one JSON object in UTF-8, "):
            parse_metadata(raw)


def test_a_client_that_manages_its_registration_is_told_how() -> None:
    client = new_client(
        read(**WITH_KEYS, jwks={"keys": [EC_KEY]}),
        client_id="client_1",
        secret_fingerprint=None,
        now=1_000,
        origin=ClientOrigin.PREREGISTERED,
        registration_token_fingerprint=b"r",
    )
    assert (client.origin, client.registration_token_fingerprint) == (ClientOrigin.PREREGISTERED, b"r")
    information = client_information(
        client,
        client_secret=None,
        registration_access_token="gp_ra_x",
        registration_client_uri="https://mcp.example.com/oauth/register/client_1",
    )
    assert information == {
        "client_id": "client_1",
        "client_id_issued_at": 1_000,
        "client_name": "Unnamed client",
        "redirect_uris": [WEB],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "application_type": "web",
        "jwks": {"keys": [EC_KEY]},
        "registration_access_token": "gp_ra_x",
        "registration_client_uri": "https://mcp.example.com/oauth/register/client_1",
    }
