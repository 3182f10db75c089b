from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.client_assertions import ASSERTION_TYPE
from gatepost.oauth.client_authentication import (
    METHODS_SUPPORTED,
    PresentedClient,
    authenticate_client,
    check_grant_type,
    read_client,
)
from gatepost.oauth.errors import InvalidClient, InvalidRequest, OAuthError, UnauthorizedClient
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.tokens.opaque import fingerprint

SECRET = "gp_cs_" + "s" * 43


def client(method: str = "none", *, secret: str | None = None) -> Client:
    return Client(
        client_id="client-1",
        client_name="One",
        redirect_uris=("https://app.example/callback",),
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        token_endpoint_auth_method=method,
        application_type="web",
        scope=None,
        client_uri=None,
        logo_uri=None,
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=False,
        secret_fingerprint=None if secret is None else fingerprint(secret),
        created_at=0,
    )


def basic(client_id: str, secret: str, *, scheme: str = "Basic") -> str:
    """Return an Authorization value as RFC 6749 section 2.3.1 has it."""
    return f"{scheme} {base64.b64encode(f'{quote_plus(client_id)}:{quote_plus(secret)}'.encode()).decode()}"


def test_a_public_client_names_itself_in_the_body() -> None:
    presented = read_client({"client_id": "client-1"}, [])
    assert presented == PresentedClient("client-1", "none", None)
    assert authenticate_client(client(), presented) == client()


def test_a_client_may_send_its_secret_in_the_body() -> None:
    presented = read_client({"client_id": "client-1", "client_secret": SECRET}, [])
    assert presented == PresentedClient("client-1", "client_secret_post", SECRET)
    registered = client("client_secret_post", secret=SECRET)
    assert authenticate_client(registered, presented) is registered


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "Basic "])
@pytest.mark.parametrize("parameters", [{}, {"client_id": "client-1"}])
def test_a_client_may_send_its_secret_in_the_header_and_name_itself_in_both(
    scheme: str, parameters: dict[str, str]
) -> None:
    presented = read_client(parameters, [basic("client-1", SECRET, scheme=scheme)])
    assert presented == PresentedClient("client-1", "client_secret_basic", SECRET)
    registered = client("client_secret_basic", secret=SECRET)
    assert authenticate_client(registered, presented) is registered


@given(
    client_id=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1),
    secret=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
)
def test_both_halves_of_basic_credentials_are_form_urlencoded(client_id: str, secret: str) -> None:
    assert read_client({}, [basic(client_id, secret)]) == PresentedClient(client_id, "client_secret_basic", secret)


def test_a_secret_with_a_colon_needs_no_encoding() -> None:
    header = "Basic " + base64.b64encode(b"client-1:a:b").decode()
    assert read_client({}, [header]) == PresentedClient("client-1", "client_secret_basic", "a:b")


@pytest.mark.parametrize("proof", [{"secret": SECRET}, {"assertion": SECRET}])
def test_a_printed_client_shows_no_proof(proof: dict[str, str]) -> None:
    assert repr(PresentedClient("client-1", "none", **proof)) == "PresentedClient(client_id='client-1', method='none')"


@pytest.mark.parametrize(
    "credentials",
    [
        "",
        "=",
        "%%%",
        "client-1:secret",
        base64.b64encode(b"no colon").decode(),
        base64.b64encode(b":secret").decode(),
        base64.b64encode(b"client-1:").decode(),
        base64.b64encode(b"client-1:\xff").decode(),
        base64.b64encode(b"client-1:%ff").decode(),
        base64.b64encode(b"client-1:secret").decode() + "!",
        "\u00e9\u00e9\u00e9\u00e9",
    ],
)
def test_malformed_basic_credentials_are_refused(credentials: str) -> None:
    with pytest.raises(InvalidClient) as caught:
        read_client({}, [f"Basic {credentials}"])
    assert caught.value.reason is Reason.CLIENT_AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("parameters", "authorization", "error", "reason"),
    [
        ({}, [], InvalidRequest, Reason.PARAMETER_MISSING),
        ({"client_secret": SECRET}, [], InvalidRequest, Reason.PARAMETER_MISSING),
        ({"client_id": "a\nb"}, [], InvalidClient, Reason.CLIENT_UNKNOWN),
        ({"client_id": "caf\u00e9"}, [], InvalidClient, Reason.CLIENT_UNKNOWN),
        ({}, [basic("a\x01b", SECRET)], InvalidClient, Reason.CLIENT_UNKNOWN),
        ({}, [basic("a", "b"), basic("a", "b")], InvalidRequest, Reason.AUTHORIZATION_HEADER_REPEATED),
        (
            {"client_secret": SECRET},
            [basic("client-1", SECRET)],
            InvalidRequest,
            Reason.CLIENT_AUTHENTICATION_METHOD_WRONG,
        ),
        ({"client_id": "client-2"}, [basic("client-1", SECRET)], InvalidRequest, Reason.PARAMETER_REPEATED),
        ({"client_id": "client-1"}, ["Bearer x"], InvalidClient, Reason.CLIENT_AUTHENTICATION_METHOD_WRONG),
        ({"client_id": "client-1"}, [""], InvalidClient, Reason.CLIENT_AUTHENTICATION_METHOD_WRONG),
        (
            {"client_id": "client-1", "client_assertion": "x"},
            [],
            InvalidClient,
            Reason.CLIENT_AUTHENTICATION_METHOD_WRONG,
        ),
        (
            {"client_id": "client-1", "client_assertion_type": "x"},
            [],
            InvalidClient,
            Reason.CLIENT_AUTHENTICATION_METHOD_WRONG,
        ),
    ],
)
def test_a_request_that_does_not_name_one_client_in_one_way_is_refused(
    parameters: dict[str, str], authorization: list[str], error: type[OAuthError], reason: Reason
) -> None:
    with pytest.raises(error) as caught:
        read_client(parameters, authorization)
    assert caught.value.reason is reason
    assert SECRET not in str(caught.value)


def test_the_methods_are_these() -> None:
    assert METHODS_SUPPORTED == ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")


@pytest.mark.parametrize("registered", METHODS_SUPPORTED)
@pytest.mark.parametrize("used", METHODS_SUPPORTED)
def test_the_registered_method_rules(registered: str, used: str) -> None:
    record = client(registered, secret=None if registered == "none" else SECRET)
    presented = PresentedClient("client-1", used, None if used == "none" else SECRET)
    if used == registered:
        assert authenticate_client(record, presented) is record
    else:
        with pytest.raises(InvalidClient) as caught:
            authenticate_client(record, presented)
        assert caught.value.reason is Reason.CLIENT_AUTHENTICATION_METHOD_WRONG


def test_an_unknown_client_is_refused() -> None:
    with pytest.raises(InvalidClient) as caught:
        authenticate_client(None, PresentedClient("client-1", "none", None))
    assert caught.value.reason is Reason.CLIENT_UNKNOWN


@pytest.mark.parametrize("kept", [SECRET, None])
def test_a_wrong_secret_is_refused_even_where_none_is_kept(kept: str | None) -> None:
    with pytest.raises(InvalidClient) as caught:
        authenticate_client(
            client("client_secret_post", secret=kept), PresentedClient("client-1", "client_secret_post", SECRET + "x")
        )
    assert caught.value.reason is Reason.CLIENT_AUTHENTICATION_FAILED


def test_a_client_uses_only_the_grant_types_it_registered() -> None:
    check_grant_type(client(), "refresh_token")
    with pytest.raises(UnauthorizedClient) as caught:
        check_grant_type(client(), "client_credentials")
    assert caught.value.reason is Reason.GRANT_TYPE_NOT_REGISTERED


def test_an_assertion_is_never_taken_for_a_proof_where_nobody_judges_it() -> None:
    registered = client("private_key_jwt")
    with pytest.raises(InvalidClient) as refused:
        authenticate_client(registered, PresentedClient(registered.client_id, "private_key_jwt", assertion="x"))
    assert refused.value.reason is Reason.CLIENT_AUTHENTICATION_METHOD_WRONG


ASSERTION = "e30." + base64.urlsafe_b64encode(b'{"sub":"client-1"}').rstrip(b"=").decode() + ".AA"
ASSERTED = {"client_assertion": ASSERTION, "client_assertion_type": ASSERTION_TYPE}


@pytest.mark.parametrize("parameters", [ASSERTED, ASSERTED | {"client_id": "client-1"}])
def test_an_assertion_names_its_client(parameters: dict[str, str]) -> None:
    assert read_client(parameters, []) == PresentedClient("client-1", "private_key_jwt", assertion=ASSERTION)


@pytest.mark.parametrize(
    ("parameters", "authorization"),
    [
        (ASSERTED, [basic("client-1", SECRET)]),
        (ASSERTED, ["Bearer x"]),
        (ASSERTED | {"client_secret": SECRET}, []),
        ({"client_assertion": ASSERTION}, [basic("client-1", SECRET)]),
        ({"client_assertion_type": ASSERTION_TYPE}, [basic("client-1", SECRET)]),
    ],
)
def test_an_assertion_beside_another_proof_is_refused(parameters: dict[str, str], authorization: list[str]) -> None:
    """RFC 6749 section 2.3: one method per request."""
    with pytest.raises(InvalidRequest) as caught:
        read_client(parameters, authorization)
    assert caught.value.reason is Reason.CLIENT_AUTHENTICATION_METHOD_WRONG


def test_an_assertion_of_another_client_is_refused() -> None:
    with pytest.raises(InvalidClient) as caught:
        read_client(ASSERTED | {"client_id": "client-2"}, [])
    assert caught.value.reason is Reason.CLIENT_ASSERTION_INVALID


def test_a_disabled_client_is_refused_even_with_its_secret() -> None:
    disabled = replace(client("client_secret_post", secret=SECRET), disabled_at=1)
    with pytest.raises(InvalidClient) as caught:
        authenticate_client(disabled, PresentedClient("client-1", "client_secret_post", SECRET))
    assert caught.value.reason is Reason.CLIENT_DISABLED


def test_an_assertion_type_without_an_assertion_is_a_mistake() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_client({"client_id": "client-1", "client_assertion_type": ASSERTION_TYPE}, [])
    assert caught.value.reason is Reason.PARAMETER_MISSING
