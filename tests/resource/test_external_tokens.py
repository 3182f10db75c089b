"""Access tokens of issuers elsewhere: one in the shape of each kind that people have, and what no shape excuses."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.resource import bearer
from gatepost.resource.bearer import Refusal, TokenRefused
from gatepost.resource.external_tokens import LEEWAY, TOKEN_TYPES, Claims, TokenInfo, TokenRules

NOW = 1_800_000_000
HERE = "https://mcp.example.com/mcp"
TIMES = {"iat": NOW - 10, "exp": NOW + 600}
TENANT = "11111111-2222-3333-4444-555555555555"
API = "66666666-7777-8888-9999-000000000000"

RFC_9068 = {
    "iss": "https://id.example.com",
    "sub": "5ba552d67",
    "aud": HERE,
    "client_id": "s6BhdRkqt3",
    "jti": "dbe39bf3a3ba4238a513f51d6e1691c4",
    "scope": "notes:read notes:write",
    "groups": ["staff"],
    "roles": ["editor"],
    **TIMES,
}
AUTH0 = {
    "iss": "https://tenant.eu.auth0.com/",
    "sub": "auth0|507f1f77bcf86cd799439020",
    "aud": [HERE, "https://tenant.eu.auth0.com/userinfo"],
    "azp": "my_client_id",
    "scope": "openid profile notes:read",
    "permissions": ["notes:write"],
    **TIMES,
}
OKTA = {
    "ver": 1,
    "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
    "iss": "https://company.okta.com/oauth2/default",
    "aud": "api://default",
    "cid": "nmdP1fcyvdVO11AL7ECm",
    "uid": "00ucmukel4KHsPARU0h7",
    "scp": ["openid", "notes:read"],
    "sub": "ada@example.com",
    **TIMES,
}
ENTRA_2 = {
    "aud": API,
    "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "nbf": NOW - 10,
    "aio": "AXQAi/8TAAAA",
    "azp": "client-guid",
    "azpacr": "0",
    "name": "Ada Lovelace",
    "oid": "object-of-ada",
    "preferred_username": "ada@example.com",
    "roles": ["Notes.Admin"],
    "scp": "notes.read notes.write",
    "sub": "pairwise-of-ada",
    "tid": TENANT,
    "ver": "2.0",
    **TIMES,
}
ENTRA_1 = {
    "aud": f"api://{API}",
    "iss": f"https://sts.windows.net/{TENANT}/",
    "nbf": NOW - 10,
    "appid": "client-guid",
    "appidacr": "0",
    "name": "Ada Lovelace",
    "oid": "object-of-ada",
    "scp": "notes.read",
    "sub": "pairwise-of-ada",
    "tid": TENANT,
    "unique_name": "ada@example.com",
    "ver": "1.0",
    **TIMES,
}
GOOGLE = {
    "iss": "https://accounts.google.com",
    "azp": "42.apps.googleusercontent.com",
    "aud": "42.apps.googleusercontent.com",
    "sub": "10769150350006150715113082367",
    "email": "ada@example.com",
    "email_verified": True,
    "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
    "name": "Ada Lovelace",
    **TIMES,
}
COGNITO = {
    "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "cognito:groups": ["staff"],
    "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example",
    "version": 2,
    "client_id": "cognito-client",
    "token_use": "access",
    "scope": "openid notes/read",
    "auth_time": NOW - 10,
    "username": "ada",
    **TIMES,
}
KEYCLOAK = {
    "iss": "https://sso.example.com/realms/mcp-realm",
    "aud": ["mcp-server", "account"],
    "sub": "f:1f4a",
    "typ": "Bearer",
    "azp": "mcp-test-client",
    "nonce": "of-an-older-version",
    "sid": "9d3e",
    "realm_access": {"roles": ["admin", "offline_access"]},
    "resource_access": {"mcp-server": {"roles": ["editor"]}},
    "scope": "openid profile email mcp:read mcp:tools",
    "email_verified": True,
    "name": "Ada Lovelace",
    "preferred_username": "ada",
    "email": "ada@example.com",
    **TIMES,
}


def rules(token: dict[str, Any], *audience: str, **options: Any) -> TokenRules:
    return TokenRules(issuer=token["iss"], audience=frozenset(audience), **options)


def said(rules: TokenRules, claims: dict[str, Any], header_type: object = "JWT") -> TokenInfo:
    """Return what counts of a token, without the claims that tools may read beside that."""
    rules.check(header_type, claims, resource=HERE, now=NOW)
    info = rules.read(claims)
    others = {name: value for name, value in info.claims.items() if claims[name] == value}
    assert others == info.claims
    assert not {"iss", "aud", "exp", "scope", "scp"} & others.keys()
    return info


def short(info: TokenInfo) -> tuple[Any, ...]:
    return info.subject, tuple(info.scopes), info.client_id, tuple(info.roles), info.display_name


def refused(rules: TokenRules, claims: dict[str, Any], header_type: object = "JWT") -> Refusal:
    with pytest.raises(TokenRefused) as caught:
        rules.check(header_type, claims, resource=HERE, now=NOW)
    return caught.value.refusal


def test_a_token_of_rfc_9068() -> None:
    assert said(rules(RFC_9068), RFC_9068, "at+jwt") == TokenInfo(
        subject="5ba552d67",
        scopes=("notes:read", "notes:write"),
        expires_at=NOW + 600,
        client_id="s6BhdRkqt3",
        roles=("editor",),
        groups=("staff",),
        claims={"sub": "5ba552d67", "client_id": "s6BhdRkqt3", "groups": ["staff"], "roles": ["editor"]},
    )


def test_a_token_of_auth0_with_and_without_its_permissions() -> None:
    subject = AUTH0["sub"]
    assert short(said(rules(AUTH0), AUTH0)) == (
        subject,
        ("openid", "profile", "notes:read"),
        "my_client_id",
        (),
        None,
    )
    mapped = rules(AUTH0, claims=Claims(scopes="permissions"))
    assert short(said(mapped, AUTH0)) == (subject, ("notes:write",), "my_client_id", (), None)


def test_a_token_of_okta() -> None:
    assert short(said(rules(OKTA, "api://default"), OKTA, None)) == (
        "ada@example.com",
        ("openid", "notes:read"),
        "nmdP1fcyvdVO11AL7ECm",
        (),
        None,
    )
    mapped = rules(OKTA, "api://default", claims=Claims(subject="uid"))
    assert said(mapped, OKTA, None).subject == "00ucmukel4KHsPARU0h7"


def test_tokens_of_entra_in_both_versions() -> None:
    assert short(said(rules(ENTRA_2, API), ENTRA_2)) == (
        "pairwise-of-ada",
        ("notes.read", "notes.write"),
        "client-guid",
        ("Notes.Admin",),
        "Ada Lovelace",
    )
    by_object = rules(ENTRA_1, f"api://{API}", claims=Claims(subject="oid"))
    assert short(said(by_object, ENTRA_1)) == ("object-of-ada", ("notes.read",), "client-guid", (), "Ada Lovelace")


def test_an_id_token_of_google_where_that_is_what_there_is() -> None:
    here = rules(GOOGLE, "42.apps.googleusercontent.com", takes_id_tokens=True)
    info = said(here, GOOGLE)
    assert short(info) == (GOOGLE["sub"], (), "42.apps.googleusercontent.com", (), "Ada Lovelace")
    assert (info.email, info.email_verified) == ("ada@example.com", True)
    assert refused(rules(GOOGLE, "42.apps.googleusercontent.com"), GOOGLE) is bearer.WRONG_KIND


def test_a_token_of_cognito_which_is_for_a_client() -> None:
    mapped = Claims(audience="client_id", groups="cognito:groups")
    info = said(rules(COGNITO, "cognito-client", claims=mapped), COGNITO, None)
    assert short(info) == (COGNITO["sub"], ("openid", "notes/read"), "cognito-client", (), "ada")
    assert info.groups == ("staff",)
    assert refused(rules(COGNITO, "cognito-client"), COGNITO, None) is bearer.ANOTHER_RESOURCE
    of_identity = COGNITO | {"token_use": "id", "aud": "cognito-client"}
    assert refused(rules(COGNITO, "cognito-client"), of_identity, None) is bearer.WRONG_KIND


def test_a_token_of_keycloak_with_roles_of_the_realm_or_of_the_client() -> None:
    info = said(rules(KEYCLOAK, "mcp-server"), KEYCLOAK)
    scopes = ("openid", "profile", "email", "mcp:read", "mcp:tools")
    assert short(info) == ("f:1f4a", scopes, "mcp-test-client", ("admin", "offline_access"), "Ada Lovelace")
    assert (info.email, info.email_verified) == ("ada@example.com", True)
    mapped = rules(KEYCLOAK, "mcp-server", claims=Claims(roles="resource_access.mcp-server.roles"))
    assert said(mapped, KEYCLOAK).roles == ("editor",)


@pytest.mark.parametrize("kind", ["ID", "Refresh", "Offline", "Logout", "DPoP", "bearer", 1, ["Bearer"]])
def test_what_keycloak_says_is_another_kind_of_token_is_none(kind: object) -> None:
    assert refused(rules(KEYCLOAK, "mcp-server"), KEYCLOAK | {"typ": kind}) is bearer.WRONG_KIND


@pytest.mark.parametrize("claim", ["at_hash", "c_hash", "s_hash", "nonce"])
def test_what_only_an_id_token_has_makes_it_one_unless_it_says_that_it_is_an_access_token(claim: str) -> None:
    claims = RFC_9068 | {claim: "x"}
    assert refused(rules(claims), claims, "JWT") is bearer.WRONG_KIND
    rules(claims).check("at+jwt", claims, resource=HERE, now=NOW)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"iss": "https://id.example.com/"}, bearer.CLAIMS_INVALID),
        ({"iss": None}, bearer.CLAIMS_INVALID),
        ({"iss": ["https://id.example.com"]}, bearer.CLAIMS_INVALID),
        ({"aud": f"{HERE}/"}, bearer.ANOTHER_RESOURCE),
        ({"aud": HERE.upper()}, bearer.ANOTHER_RESOURCE),
        ({"aud": "https://mcp.example.com"}, bearer.ANOTHER_RESOURCE),
        ({"aud": f"{HERE} x"}, bearer.ANOTHER_RESOURCE),
        ({"aud": []}, bearer.ANOTHER_RESOURCE),
        ({"aud": None}, bearer.ANOTHER_RESOURCE),
        ({"aud": {HERE: 1}}, bearer.ANOTHER_RESOURCE),
        ({"aud": [HERE, 1]}, bearer.ANOTHER_RESOURCE),
        ({"exp": NOW - LEEWAY}, bearer.EXPIRED),
        ({"exp": 0}, bearer.EXPIRED),
        ({"exp": str(NOW + 600)}, bearer.CLAIMS_INVALID),
        ({"exp": None}, bearer.CLAIMS_INVALID),
        ({"exp": True}, bearer.CLAIMS_INVALID),
        ({"exp": float("inf")}, bearer.CLAIMS_INVALID),
        ({"exp": float("nan")}, bearer.CLAIMS_INVALID),
        ({"nbf": NOW + LEEWAY + 1}, bearer.CLAIMS_INVALID),
        ({"nbf": "soon"}, bearer.CLAIMS_INVALID),
        ({"iat": NOW + LEEWAY + 1}, bearer.CLAIMS_INVALID),
        ({"sub": ""}, bearer.CLAIMS_INVALID),
        ({"sub": 7}, bearer.CLAIMS_INVALID),
        ({"sub": "a\nb"}, bearer.CLAIMS_INVALID),
        ({"sub": "a" * 256}, bearer.CLAIMS_INVALID),
        ({"sub": "api-key"}, bearer.CLAIMS_INVALID),
        ({"sub": "anonymous"}, bearer.CLAIMS_INVALID),
        ({"cnf": {"jkt": "x"}}, bearer.WRONG_KIND),
    ],
)
def test_what_no_shape_excuses(changes: dict[str, Any], refusal: Refusal) -> None:
    assert refused(rules(RFC_9068), RFC_9068 | changes, "at+jwt") is refusal


def test_a_subject_has_255_characters_at_most() -> None:
    assert said(rules(RFC_9068), RFC_9068 | {"sub": "a" * 255}).subject == "a" * 255


def test_a_header_may_say_that_it_is_a_jwt_or_an_access_token_in_either_case() -> None:
    assert {None, "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"} == TOKEN_TYPES


def test_an_issuer_that_is_asked_need_not_say_when_a_token_ends() -> None:
    claims = {name: value for name, value in RFC_9068.items() if name != "exp"}
    assert said(rules(RFC_9068, needs_expiry=False), claims).expires_at is None
    assert refused(rules(RFC_9068, needs_expiry=False), RFC_9068 | {"exp": NOW - LEEWAY}) is bearer.EXPIRED


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "sub"])
def test_what_has_to_be_there(claim: str) -> None:
    claims = {name: value for name, value in RFC_9068.items() if name != claim}
    expected = bearer.ANOTHER_RESOURCE if claim == "aud" else bearer.CLAIMS_INVALID
    assert refused(rules(RFC_9068), claims, "at+jwt") is expected


@pytest.mark.parametrize(
    "changes",
    [{"exp": NOW - LEEWAY + 1}, {"nbf": NOW + LEEWAY}, {"iat": NOW + LEEWAY}, {"exp": NOW + 0.5}, {"iat": 0}],
)
def test_clocks_may_differ_by_a_minute(changes: dict[str, Any]) -> None:
    rules(RFC_9068).check("at+jwt", RFC_9068 | changes, resource=HERE, now=NOW)


def test_an_audience_that_is_set_takes_the_place_of_the_resource() -> None:
    here = rules(RFC_9068, "api://one", "api://two")
    assert refused(here, RFC_9068) is bearer.ANOTHER_RESOURCE
    here.check("JWT", RFC_9068 | {"aud": "api://two"}, resource=HERE, now=NOW)


def test_each_check_can_be_left_out_alone() -> None:
    for option, changes in (
        ("verifies_issuer", {"iss": "https://other.example"}),
        ("verifies_audience", {"aud": "https://other.example"}),
        ("verifies_expiry", {"exp": 1}),
    ):
        rules(RFC_9068, **{option: False}).check("JWT", RFC_9068 | changes, resource=HERE, now=NOW)
        for other in {"verifies_issuer", "verifies_audience", "verifies_expiry"} - {option}:
            refused(rules(RFC_9068, **{other: False}), RFC_9068 | changes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": ""},
        {"subject": 7},
        {"subject": "api-key"},
        {"subject": "ada", "scopes": "notes:read"},
        {"subject": "ada", "roles": [1]},
    ],
)
def test_what_a_validator_says_has_to_be_of_its_kind(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="takes a"):
        TokenInfo(**wrong)
