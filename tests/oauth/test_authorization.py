import re
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.authorization import (
    MAX_STATE,
    AuthorizationRequest,
    authorization_code,
    begin_transaction,
    check_request,
    error_redirect,
    establish_redirect_uri,
    requested_client_id,
    requested_scopes,
    success_redirect,
)
from gatepost.oauth.errors import (
    AccessDenied,
    InvalidRedirectUri,
    InvalidRequest,
    LoginRequired,
    OAuthError,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from gatepost.oauth.parameters import Parameters, read_parameters
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationCode, AuthorizationTransaction, Client

CALLBACK = "https://client.example/cb"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ISSUER = "https://mcp.example.com"
CLIENT = Client(
    client_id="client_1",
    client_name="Client",
    redirect_uris=(CALLBACK,),
    grant_types=("authorization_code", "refresh_token"),
    response_types=("code",),
    token_endpoint_auth_method="none",
    application_type="web",
    scope=None,
    client_uri=None,
    logo_uri=None,
    jwks=None,
    jwks_uri=None,
    dpop_bound_access_tokens=False,
    secret_fingerprint=None,
    created_at=0,
)
GOOD = {
    "client_id": "client_1",
    "response_type": "code",
    "redirect_uri": CALLBACK,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "xyz",
}
TRANSACTION = AuthorizationTransaction(
    transaction_id="transaction_1",
    browser_id="browser_1",
    client_id="client_1",
    redirect_uri=CALLBACK,
    redirect_uri_was_sent=True,
    scopes=("notes:read",),
    resource="https://mcp.example.com/mcp",
    code_challenge=CHALLENGE,
    client_state="xyz",
    created_at=1000,
    expires_at=2800,
)


def parameters(**changes: str | None) -> Parameters:
    values = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return read_parameters(urlencode(values).encode())


def asked(client: Client = CLIENT, **changes: str | None) -> AuthorizationRequest:
    return establish_redirect_uri(client, parameters(**changes))


def answer(uri: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(uri).query, keep_blank_values=True, strict_parsing=True)


def test_the_client_is_the_one_that_the_request_names() -> None:
    assert requested_client_id(parameters()) == "client_1"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.PARAMETER_MISSING),
        (b"client_id=", Reason.PARAMETER_MISSING),
        (b"client_id=a&client_id=a", Reason.PARAMETER_REPEATED),
        (b"client_id=%", Reason.PARAMETER_MALFORMED),
        (b"client%_id=a", Reason.PARAMETER_MALFORMED),
    ],
)
def test_without_one_client_there_is_nothing_to_establish(raw: bytes, reason: Reason) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        requested_client_id(read_parameters(raw))
    assert refusal.value.reason is reason


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "response_type"])
def test_a_parameter_that_is_missing_is_named(name: str) -> None:
    several = replace(CLIENT, redirect_uris=(CALLBACK, "https://client.example/other"))

    def judge(given: Parameters) -> None:
        requested_client_id(given)
        check_request(establish_redirect_uri(several, given))

    with pytest.raises(InvalidRequest) as refusal:
        judge(parameters(**{name: None}))
    assert refusal.value.description == f"The parameter {name} is missing."


def test_a_registered_redirect_uri_is_established() -> None:
    assert asked() == AuthorizationRequest(CLIENT, CALLBACK, redirect_uri_was_sent=True, parameters=parameters())


def test_a_redirect_uri_may_be_left_out_by_a_client_that_has_only_one() -> None:
    request = asked(redirect_uri=None)
    assert (request.redirect_uri, request.redirect_uri_was_sent) == (CALLBACK, False)


@pytest.mark.parametrize("redirect_uris", [(), (CALLBACK, "https://client.example/other")])
def test_a_redirect_uri_may_not_be_left_out_by_any_other_client(redirect_uris: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        asked(replace(CLIENT, redirect_uris=redirect_uris), redirect_uri=None)
    assert refusal.value.reason is Reason.PARAMETER_MISSING


@pytest.mark.parametrize("sent", [CALLBACK + "/", "https://evil.example/cb", "javascript:alert(1)"])
def test_a_redirect_uri_that_is_not_registered_is_refused(sent: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        asked(redirect_uri=sent)
    assert refusal.value.reason is Reason.REDIRECT_URI_UNREGISTERED
    assert sent not in refusal.value.description


def test_a_dangerous_redirect_uri_is_refused_even_if_a_store_holds_it() -> None:
    with pytest.raises(InvalidRequest):
        asked(replace(CLIENT, redirect_uris=("javascript:alert(1)",)), redirect_uri=None)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (b"&redirect_uri=https%3A%2F%2Fclient.example%2Fcb", Reason.PARAMETER_REPEATED),
        (b"&redirect_uri=%", Reason.PARAMETER_REPEATED),
    ],
)
def test_two_redirect_uris_are_refused_though_there_is_only_one_registered(extra: bytes, reason: Reason) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        establish_redirect_uri(CLIENT, read_parameters(urlencode(GOOD).encode() + extra))
    assert refusal.value.reason is reason


def test_a_good_request_passes_every_check() -> None:
    check_request(asked())
    check_request(asked(response_mode="query", prompt="login consent", state=None, unknown="x"))


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"response_type": None}, InvalidRequest, Reason.PARAMETER_MISSING),
        ({"response_type": "token"}, UnsupportedResponseType, Reason.RESPONSE_TYPE_UNSUPPORTED),
        ({"response_type": "code token"}, UnsupportedResponseType, Reason.RESPONSE_TYPE_UNSUPPORTED),
        ({"response_type": "Code"}, UnsupportedResponseType, Reason.RESPONSE_TYPE_UNSUPPORTED),
        ({"response_mode": "fragment"}, InvalidRequest, Reason.RESPONSE_MODE_UNSUPPORTED),
        ({"response_mode": "form_post"}, InvalidRequest, Reason.RESPONSE_MODE_UNSUPPORTED),
        ({"code_challenge": None}, InvalidRequest, Reason.CODE_CHALLENGE_MISSING),
        ({"code_challenge": "short"}, InvalidRequest, Reason.CODE_CHALLENGE_MALFORMED),
        ({"code_challenge_method": None}, InvalidRequest, Reason.CODE_CHALLENGE_METHOD_UNSUPPORTED),
        ({"code_challenge_method": "plain"}, InvalidRequest, Reason.CODE_CHALLENGE_METHOD_UNSUPPORTED),
        ({"prompt": "none"}, LoginRequired, Reason.LOGIN_REQUIRED),
    ],
)
def test_what_is_wrong_is_refused_by_name(
    changes: dict[str, str | None], error: type[OAuthError], reason: Reason
) -> None:
    with pytest.raises(error) as refusal:
        check_request(asked(CLIENT, **changes))
    assert refusal.value.reason is reason


@pytest.mark.parametrize("name", ["response_type", "code_challenge", "scope", "state", "anything"])
def test_a_parameter_sent_twice_is_refused(name: str) -> None:
    raw = urlencode({"anything": "x", **GOOD, "scope": "a", "resource": "b"}).encode() + f"&{name}=again".encode()
    with pytest.raises(InvalidRequest) as refusal:
        check_request(establish_redirect_uri(CLIENT, read_parameters(raw)))
    assert refusal.value.reason is Reason.PARAMETER_REPEATED


def test_a_state_that_is_too_long_to_be_sent_back_is_refused_and_not_given_back() -> None:
    longest = AuthorizationRequest(CLIENT, CALLBACK, True, parameters(state="x" * MAX_STATE))
    check_request(longest)
    assert longest.client_state == "x" * MAX_STATE
    # A space takes three bytes of a URL.
    for state in ("x" * (MAX_STATE + 1), " " * (MAX_STATE // 3 + 1)):
        asked = AuthorizationRequest(CLIENT, CALLBACK, True, parameters(state=state))
        with pytest.raises(InvalidRequest) as refusal:
            check_request(asked)
        assert refusal.value.reason is Reason.PARAMETER_MALFORMED
        assert asked.client_state is None


def test_a_state_that_is_repeated_or_malformed_is_not_given_back() -> None:
    raw = urlencode(GOOD).encode()
    assert establish_redirect_uri(CLIENT, read_parameters(raw)).client_state == "xyz"
    assert establish_redirect_uri(CLIENT, read_parameters(raw + b"&state=xyz")).client_state is None
    assert establish_redirect_uri(CLIENT, read_parameters(raw.replace(b"xyz", b"%"))).client_state is None


def test_a_client_without_the_code_grant_is_refused() -> None:
    with pytest.raises(UnauthorizedClient) as refusal:
        check_request(asked(replace(CLIENT, grant_types=("client_credentials",))))
    assert refusal.value.reason is Reason.GRANT_TYPE_NOT_REGISTERED


@pytest.mark.parametrize(
    ("requested", "registered", "scopes"),
    [
        (None, None, ("a", "b")),
        (None, "b", ("b",)),
        (None, "gone", ("a", "b")),
        (None, "gone b", ("b",)),
        ("a", "b", ("a",)),
        ("c", None, ("c",)),
        (" a  openid", None, ("a",)),
    ],
)
def test_a_client_that_names_no_scope_asks_for_what_it_registered_or_for_the_default_set(
    requested: str | None, registered: str | None, scopes: tuple[str, ...]
) -> None:
    request = asked(replace(CLIENT, scope=registered), scope=requested)
    assert requested_scopes(request, known=("a", "b", "c"), default=("a", "b")) == scopes


def test_only_unknown_scopes_are_the_same_as_none() -> None:
    assert requested_scopes(asked(scope="openid email profile"), known=("a", "b"), default=("a",)) == ("a",)


def test_a_transaction_holds_what_was_checked() -> None:
    transaction = begin_transaction(
        asked(),
        transaction_id="transaction_1",
        browser_id="browser_1",
        scopes=("notes:read",),
        resource="https://mcp.example.com/mcp",
        now=1000,
        lifetime=1800,
    )
    assert transaction == TRANSACTION


@pytest.mark.parametrize(("prompt", "is_started"), [(None, True), ("login", False)])
def test_a_transaction_knows_its_query_and_whether_its_person_began_it(prompt: str | None, *, is_started: bool) -> None:
    transaction = begin_transaction(
        asked(prompt=prompt),
        transaction_id="transaction_1",
        browser_id="browser_1",
        scopes=("notes:read",),
        resource="https://mcp.example.com/mcp",
        now=1000,
        lifetime=1800,
        sent_by_no_site=True,
        query="hint=x",
    )
    assert transaction == replace(TRANSACTION, started_by_user=is_started, query="hint=x")


def test_a_code_is_for_what_was_approved() -> None:
    code = authorization_code(TRANSACTION, subject="user_1", code_fingerprint=b"f", now=1100, lifetime=600)
    assert code == AuthorizationCode(
        code_fingerprint=b"f",
        transaction_id="transaction_1",
        client_id="client_1",
        redirect_uri=CALLBACK,
        redirect_uri_was_sent=True,
        scopes=("notes:read",),
        resource="https://mcp.example.com/mcp",
        code_challenge=CHALLENGE,
        subject="user_1",
        created_at=1100,
        expires_at=1700,
    )


def test_success_goes_back_with_code_state_and_one_iss() -> None:
    assert success_redirect(TRANSACTION, code="gp_ac_x", issuer=ISSUER) == (
        "https://client.example/cb?code=gp_ac_x&state=xyz&iss=https%3A%2F%2Fmcp.example.com"
    )


def test_without_a_state_none_is_sent_back() -> None:
    assert success_redirect(replace(TRANSACTION, client_state=None), code="c", issuer=ISSUER) == (
        "https://client.example/cb?code=c&iss=https%3A%2F%2Fmcp.example.com"
    )


def test_a_refusal_goes_back_with_error_description_state_and_one_iss() -> None:
    refusal = AccessDenied(Reason.USER_DENIED, "The user said no.")
    assert error_redirect(CALLBACK, refusal, client_state="xyz", issuer=ISSUER) == (
        "https://client.example/cb?error=access_denied&error_description=The%20user%20said%20no."
        "&state=xyz&iss=https%3A%2F%2Fmcp.example.com"
    )


@pytest.mark.parametrize(
    ("redirect_uri", "prefix"),
    [
        ("https://client.example", "https://client.example?code="),
        ("https://client.example/cb?tenant=1", "https://client.example/cb?tenant=1&code="),
        ("https://client.example/cb?tenant=1&", "https://client.example/cb?tenant=1&code="),
        ("https://client.example/cb?", "https://client.example/cb?code="),
        ("https://client.example/cb&", "https://client.example/cb&?code="),
        ("http://127.0.0.1:51000/cb;v=1", "http://127.0.0.1:51000/cb;v=1?code="),
        ("com.example.app:/cb", "com.example.app:/cb?code="),
    ],
)
def test_a_redirect_uri_keeps_its_own_query(redirect_uri: str, prefix: str) -> None:
    assert success_redirect(replace(TRANSACTION, redirect_uri=redirect_uri), code="c", issuer=ISSUER).startswith(prefix)


@pytest.mark.parametrize("redirect_uri", ["javascript:alert(1)", "http://evil.example/", "https://a.example/?iss=x"])
def test_nothing_is_redirected_to_where_no_client_may_be(redirect_uri: str) -> None:
    with pytest.raises(InvalidRedirectUri):
        success_redirect(replace(TRANSACTION, redirect_uri=redirect_uri), code="c", issuer=ISSUER)
    with pytest.raises(InvalidRedirectUri):
        error_redirect(redirect_uri, AccessDenied(Reason.USER_DENIED, "No."), client_state=None, issuer=ISSUER)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["", "?a=b", "?"]))
def test_any_state_comes_back_as_it_was_and_adds_nothing(state: str, own_query: str) -> None:
    uri = error_redirect(
        CALLBACK + own_query, AccessDenied(Reason.USER_DENIED, "No."), client_state=state, issuer=ISSUER
    )
    assert re.fullmatch(r"[!-~]+", uri)
    assert "#" not in uri
    assert uri.startswith(CALLBACK + own_query)
    assert answer(uri) == [
        *([("a", "b")] if own_query == "?a=b" else []),
        ("error", "access_denied"),
        ("error_description", "No."),
        ("state", state),
        ("iss", ISSUER),
    ]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_a_state_survives_the_whole_way(state: str) -> None:
    request = asked(state=state)
    uri = error_redirect(
        request.redirect_uri, AccessDenied(Reason.USER_DENIED, "No."), client_state=request.client_state, issuer=ISSUER
    )
    assert read_parameters(urlsplit(uri).query.encode()).values["state"] == state
