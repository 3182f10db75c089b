from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.reasons import Reason
from gatepost.resource import bearer
from gatepost.resource.bearer import (
    Refusal,
    TokenRefused,
    bearer_challenge,
    check_claims,
    check_kind,
    check_live,
    is_bearer_token,
    read_bearer_token,
    sanitised,
)
from gatepost.tokens.opaque import SecretKind, mint

ALL_REFUSALS = [value for value in vars(bearer).values() if isinstance(value, Refusal)]


@pytest.mark.parametrize(
    "header",
    [b"Bearer abc", b"bearer abc", b"BEARER abc", b"Bearer   abc", b" Bearer abc ", b"Bearer abc\t"],
)
def test_a_token_is_read_from_the_one_authorization_header(header: bytes) -> None:
    assert read_bearer_token([header], b"") == "abc"


@pytest.mark.parametrize("token", ["a", "A-._~+/9==", "a" * 2048, "header.payload.signature"])
def test_a_token_is_any_b64token_up_to_2048_characters(token: str) -> None:
    assert read_bearer_token([b"Bearer " + token.encode()], b"") == token
    assert is_bearer_token(token)


@pytest.mark.parametrize(
    ("authorization", "query_string", "refusal"),
    [
        ([], b"", bearer.MISSING),
        ([b""], b"", bearer.MISSING),
        ([b"  "], b"", bearer.MISSING),
        ([b"Basic YTpi"], b"", bearer.SCHEME_UNSUPPORTED),
        ([b"DPoP abc"], b"", bearer.SCHEME_UNSUPPORTED),
        ([b"abc"], b"", bearer.SCHEME_UNSUPPORTED),
        ([b"Bearer:abc"], b"", bearer.SCHEME_UNSUPPORTED),
        ([b"Bearer\tabc"], b"", bearer.SCHEME_UNSUPPORTED),
        ([b"Bearer abc", b"Bearer abc"], b"", bearer.HEADER_REPEATED),
        ([b"Bearer abc", b""], b"", bearer.HEADER_REPEATED),
        ([], b"access_token=abc", bearer.IN_QUERY),
        ([b"Bearer abc"], b"a=b&access_token=abc", bearer.IN_QUERY),
        ([b"Bearer abc", b"Bearer abc"], b"access_token=", bearer.IN_QUERY),
        ([b"Bearer abc"], b"access%5Ftoken=abc", bearer.IN_QUERY),
        ([b"Bearer abc"], b"a=b&%61ccess%5ftoken=abc", bearer.IN_QUERY),
        ([b"Bearer"], b"", bearer.MALFORMED),
        ([b"Bearer "], b"", bearer.MALFORMED),
        ([b"Bearer a b"], b"", bearer.MALFORMED),
        ([b"Bearer a,b"], b"", bearer.MALFORMED),
        ([b"Bearer a, Bearer b"], b"", bearer.MALFORMED),
        ([b'Bearer "abc"'], b"", bearer.MALFORMED),
        ([b"Bearer ="], b"", bearer.MALFORMED),
        ([b"Bearer a=b"], b"", bearer.MALFORMED),
        ([b"Bearer \xc3\xa9"], b"", bearer.MALFORMED),
        ([b"Bearer abc\n"], b"", bearer.MALFORMED),
        ([b"Bearer abc\x00"], b"", bearer.MALFORMED),
        ([b"Bearer " + b"a" * 2049], b"", bearer.MALFORMED),
    ],
)
def test_everything_else_is_refused_for_its_own_reason(
    authorization: list[bytes], query_string: bytes, refusal: Refusal
) -> None:
    with pytest.raises(TokenRefused) as caught:
        read_bearer_token(authorization, query_string)
    assert caught.value.refusal is refusal


@pytest.mark.parametrize(
    "query_string",
    [
        b"",
        b"a=b",
        b"access_token",
        b"a=b&access_token",
        b"my_access_token=x",
        b"q=access_token",
        b"access_tokens=x",
        b"q=x%26access_token=y",
    ],
)
def test_a_query_that_only_resembles_a_token_is_fine(query_string: bytes) -> None:
    assert read_bearer_token([b"Bearer abc"], query_string) == "abc"


@given(st.lists(st.binary(), max_size=2), st.binary())
def test_no_header_makes_the_reader_fail(authorization: list[bytes], query_string: bytes) -> None:
    try:
        token = read_bearer_token(authorization, query_string)
    except TokenRefused:
        return
    assert is_bearer_token(token)


@pytest.mark.parametrize("text", ["", "caf\u00e9", "a b", "a" * 2049])
def test_what_cannot_be_sent_is_no_bearer_token(text: str) -> None:
    assert not is_bearer_token(text)


def test_an_access_token_of_ours_is_worth_a_look_up() -> None:
    check_kind(mint(SecretKind.ACCESS_TOKEN, bytes))


@pytest.mark.parametrize("kind", [kind for kind in SecretKind if kind is not SecretKind.ACCESS_TOKEN])
def test_our_secrets_of_other_kinds_are_told_apart_before_any_look_up(kind: SecretKind) -> None:
    with pytest.raises(TokenRefused) as caught:
        check_kind(mint(kind, bytes))
    assert caught.value.refusal is bearer.WRONG_KIND


@pytest.mark.parametrize("token", ["abc", "gp_at_short", "eyJhbGciOiJub25lIn0.e30.", "ya29.upstream", "gp_AT_x"])
def test_somebody_elses_token_costs_no_look_up(token: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        check_kind(token)
    assert caught.value.refusal is bearer.UNKNOWN


HERE = "https://mcp.example.com/mcp"


def test_a_live_token_for_this_resource_counts() -> None:
    check_live(expires_at=11, revoked=False, user_disabled=False, audience=HERE, resource=HERE, now=10)


@pytest.mark.parametrize(
    ("expires_at", "revoked", "user_disabled", "audience", "refusal"),
    [
        (11, False, False, "https://mcp.example.com/mail", bearer.ANOTHER_RESOURCE),
        (11, False, False, HERE + "/", bearer.ANOTHER_RESOURCE),
        (11, True, False, HERE, bearer.REVOKED),
        (11, False, True, HERE, bearer.USER_DISABLED),
        (10, False, False, HERE, bearer.EXPIRED),
        (1, True, True, "https://other.example", bearer.ANOTHER_RESOURCE),
    ],
)
def test_a_known_token_that_does_not_count_is_refused_for_its_own_reason(
    expires_at: int, *, revoked: bool, user_disabled: bool, audience: str, refusal: Refusal
) -> None:
    with pytest.raises(TokenRefused) as caught:
        check_live(
            expires_at=expires_at,
            revoked=revoked,
            user_disabled=user_disabled,
            audience=audience,
            resource=HERE,
            now=10,
        )
    assert caught.value.refusal is refusal


ISSUER = "https://mcp.example.com"
CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "sub": "user-1",
    "aud": HERE,
    "client_id": "client-1",
    "scope": "",
    "jti": "token-1",
    "grant_id": "grant-1",
    "iat": 10,
    "exp": 11,
}


def claims_refused(claims: dict[str, object]) -> Refusal:
    with pytest.raises(TokenRefused) as caught:
        check_claims(claims, issuer=ISSUER, resource=HERE, now=10)
    return caught.value.refusal


@pytest.mark.parametrize("changes", [{}, {"iat": 70}, {"iat": -1}, {"exp": 10**12}, {"email": "ada@example.com"}])
def test_the_claims_of_a_signed_token_for_this_resource_count(changes: dict[str, object]) -> None:
    """Two replicas may differ by 60 seconds about when it was issued."""
    check_claims(CLAIMS | changes, issuer=ISSUER, resource=HERE, now=10)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_signed_token_that_lacks_a_claim_is_refused(name: str) -> None:
    assert claims_refused({other: value for other, value in CLAIMS.items() if other != name}) is bearer.CLAIMS_INVALID


@pytest.mark.parametrize("value", [None, True, 10.5, [HERE], [HERE, HERE], {HERE: 1}, "text or number"])
@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_of_another_type_is_refused(name: str, value: object) -> None:
    """`aud` too is one string: a list that holds the resource is not taken (RFC 7519 section 4.1.3 lets us)."""
    if value == "text or number":
        value = "10" if isinstance(CLAIMS[name], int) else 10
    assert claims_refused(CLAIMS | {name: value}) is bearer.CLAIMS_INVALID


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"iss": ISSUER + "/"}, bearer.CLAIMS_INVALID),
        ({"iat": 71, "exp": 100}, bearer.CLAIMS_INVALID),
        ({"nbf": 1}, bearer.CLAIMS_INVALID),
        ({"aud": HERE + "/"}, bearer.ANOTHER_RESOURCE),
        ({"aud": f"{HERE} {HERE}"}, bearer.ANOTHER_RESOURCE),
        ({"exp": 10}, bearer.EXPIRED),
        ({"exp": 10, "aud": ISSUER}, bearer.ANOTHER_RESOURCE),
    ],
)
def test_a_signed_token_that_does_not_count_is_refused_for_its_own_reason(
    changes: dict[str, object], refusal: Refusal
) -> None:
    assert claims_refused(CLAIMS | changes) is refusal


def test_each_refusal_says_what_to_do() -> None:
    assert [
        (refusal.reason, refusal.status, refusal.error, refusal.description.partition(" ")[0])
        for refusal in ALL_REFUSALS
    ] == [
        ("token_missing", 401, None, "Send"),
        ("authorization_scheme_unsupported", 401, None, "The"),
        ("authorization_header_repeated", 400, "invalid_request", "There"),
        ("token_in_query", 400, "invalid_request", "Send"),
        ("token_malformed", 401, "invalid_token", "This"),
        ("token_of_wrong_kind", 401, "invalid_token", "This"),
        ("token_unknown", 401, "invalid_token", "The"),
        ("token_key_unknown", 401, "invalid_token", "The"),
        ("token_signature_invalid", 401, "invalid_token", "The"),
        ("token_claims_invalid", 401, "invalid_token", "The"),
        ("token_expired", 401, "invalid_token", "The"),
        ("grant_revoked", 401, "invalid_token", "The"),
        ("user_disabled", 401, "invalid_token", "The"),
        ("user_not_allowed", 401, "invalid_token", "The"),
        ("token_of_another_resource", 401, "invalid_token", "The"),
        ("issuer_unavailable", 503, "temporarily_unavailable", "The"),
        ("token_validator_failed", 503, "temporarily_unavailable", "The"),
        ("scope_insufficient", 403, "insufficient_scope", "The"),
        ("dpop_proof_replayed", 401, "invalid_dpop_proof", "This"),
        ("dpop_nonce_needed", 401, "use_dpop_nonce", "The"),
        ("token_bound", 401, "invalid_token", "The"),
        ("token_not_bound", 401, "invalid_token", "The"),
        ("token_binding_required", 401, "invalid_token", "This"),
        ("token_bound_to_another_key", 401, "invalid_token", "The"),
    ]
    assert str(TokenRefused(bearer.EXPIRED)) == "token_expired"


@pytest.mark.parametrize("refusal", ALL_REFUSALS, ids=lambda refusal: refusal.reason)
def test_every_refusal_follows_rfc_6750_and_has_a_published_reason(refusal: Refusal) -> None:
    assert Reason(refusal.reason)
    status_of = {None: 401, "invalid_request": 400, "invalid_token": 401, "insufficient_scope": 403}
    status_of |= {"invalid_dpop_proof": 401, "use_dpop_nonce": 401}  # RFC 9449 sections 7.1 and 9
    status_of |= {"temporarily_unavailable": 503}  # what is no fault of the client's; RFC 6749 section 4.1.2.1
    assert refusal.status == status_of[refusal.error]


def test_no_two_refusals_share_a_reason() -> None:
    assert len({refusal.reason for refusal in ALL_REFUSALS}) == len(ALL_REFUSALS) == 24


METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"


def test_a_request_without_credentials_is_told_where_to_start_and_nothing_about_an_error() -> None:
    assert bearer_challenge(resource_metadata=METADATA, scopes=["notes:read", "notes:write"]) == (
        f'Bearer resource_metadata="{METADATA}", scope="notes:read notes:write"'
    )


def test_a_refused_token_is_told_why() -> None:
    assert bearer_challenge(
        resource_metadata=METADATA, scopes=["a"], error="invalid_token", error_description="It has expired."
    ) == (
        f'Bearer error="invalid_token", error_description="It has expired.", resource_metadata="{METADATA}", scope="a"'
    )


def test_a_resource_without_scopes_has_no_scope_attribute() -> None:
    assert bearer_challenge(resource_metadata=METADATA, scopes=()) == f'Bearer resource_metadata="{METADATA}"'


def test_a_resource_without_metadata_still_has_an_attribute_to_show() -> None:
    assert bearer_challenge(resource_metadata=None, scopes=()) == 'Bearer realm="mcp"'


def test_what_could_end_the_quotes_or_the_header_is_replaced() -> None:
    assert sanitised('a"b\\c\r\nSet-Cookie: d\u00e9\x00\x7f') == "a?b?c??Set-Cookie: d???"


@given(st.text(), st.lists(st.text()))
def test_no_text_breaks_out_of_its_attribute(description: str, scopes: list[str]) -> None:
    value = bearer_challenge(
        resource_metadata=METADATA, scopes=scopes, error="invalid_token", error_description=description
    )
    assert re.fullmatch(r'Bearer [a-z_]+="[ -!#-\[\]-~]*"(, [a-z_]+="[ -!#-\[\]-~]*")*', value)
