"""Logins at Keycloak, Auth0, Okta and GitLab, against stand-ins with what is particular to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from starlette.applications import Starlette

from gatepost.identity.openid_connect import OpenIDConnect
from gatepost.identity.openid_presets import Auth0, GitLab, Keycloak, Okta
from tests.identity.stand_ins import ANYTHING, CLIENT_ID, SECRET, OpenIDStandIn, elsewhere

ADA = {"sub": "1f4a", "name": "Ada", "email": "ada@example.com", "email_verified": True}
REALM = "https://id.example.com/realms/company"
TENANT = "https://company.eu.auth0.com/"
ORGANIZATION = "https://company.okta.com"


class Named(OpenIDStandIn):
    """One whose endpoints lie below its issuer."""

    def __init__(
        self,
        clock: Callable[[], int],
        *,
        name: str,
        issuer: str,
        claims: Mapping[str, Any],
        scope: str = "openid profile email",
        prompt: str | None = None,
        **metadata: Any,
    ) -> None:
        super().__init__(name, clock)
        base = issuer.removesuffix("/")
        self.issuer, self.claims, self.scope = issuer, dict(claims), scope
        self.authorization_endpoint = f"{base}/authorize"
        self.also = {"nonce": ANYTHING} | ({} if prompt is None else {"prompt": prompt})
        self.may = {} if prompt else {"prompt": ("login",)}
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic", "client_secret_post"])
        self.by_header = "client_secret_basic" in methods
        self.answers = {"iss": issuer} if metadata.get("authorization_response_iss_parameter_supported") else {}
        self.metadata = {
            "issuer": issuer,
            "authorization_endpoint": self.authorization_endpoint,
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/keys",
            "userinfo_endpoint": f"{base}/userinfo",
            "token_endpoint_auth_methods_supported": methods,
            **metadata,
        }

    def hosts(self) -> dict[str, Starlette]:
        """Return its server."""
        host, _, path = self.issuer.removeprefix("https://").removesuffix("/").partition("/")
        base = f"/{path}" if path else ""
        paths = {
            f"{base}/.well-known/openid-configuration": self.configuration,
            f"{base}/token": self.token,
            f"{base}/keys": self.keys,
            f"{base}/userinfo": self.user_info,
        }
        return {host: self.served(**paths)}


def keycloak(**claims: Any) -> Any:
    return partial(
        Named,
        name="keycloak",
        issuer=REALM,
        claims={**ADA, "preferred_username": "ada", "typ": "ID", **claims},
        authorization_response_iss_parameter_supported=True,
    )


@pytest.mark.parametrize("realm", [REALM, f"{REALM}/"])
async def test_groups_of_a_realm_are_named_with_or_without_their_full_path(realm: str) -> None:
    stand_in = keycloak(groups=["/staff", "/staff/platform", "offline"], realm_access={"roles": ["admin"]})
    async with elsewhere(Keycloak(realm, CLIENT_ID, SECRET), stand_in, allowed=["group:staff/platform"]) as (
        world,
        there,
    ):
        user = await world.person(there)
    assert (user.issuer, user.external_subject, user.name) == (REALM, "1f4a", "Ada")
    assert user.profile.groups == ("staff", "staff/platform", "offline")
    assert user.profile.claims["realm_access"] == {"roles": ["admin"]}


async def test_roles_of_a_realm_are_groups_where_that_is_said() -> None:
    provider = Keycloak(REALM, CLIENT_ID, SECRET, groups=["realm_access.roles"])
    async with elsewhere(provider, keycloak(groups=["admin"], realm_access={"roles": ["user"]})) as (world, there):
        assert (await world.person(there)).profile.groups == ("user",)


async def test_a_realm_that_names_itself_in_its_answers_has_to() -> None:
    async with elsewhere(Keycloak(REALM, CLIENT_ID, SECRET), keycloak()) as (world, there):
        for issuer in ("", "https://id.example.com/realms/other"):
            assert (await world.log_in(there, iss=issuer))[0].status_code == 403


@pytest.mark.parametrize(
    "realm",
    [
        "https://id.example.com",
        "https://id.example.com/realms",
        "https://id.example.com/realms/",
        "https://id.example.com/realms/a/b",
        "https://id.example.com//realms/a",
        "https://id.example.com/realms/a/protocol/openid-connect",
    ],
)
def test_what_is_no_realm_is_refused(realm: str) -> None:
    with pytest.raises(ValueError, match=r"^The realm is the URL of a realm, such as "):
        Keycloak(realm, CLIENT_ID)
    assert Keycloak("http://127.0.0.1:8080/auth/realms/a", CLIENT_ID).host == "127.0.0.1"


@pytest.mark.parametrize("issuer", [TENANT, TENANT.removesuffix("/")])
async def test_auth0_is_its_issuer_with_a_slash_and_has_claims_of_a_name_of_ones_own(issuer: str) -> None:
    claims = {
        **ADA,
        "sub": "auth0|507f1f77bcf86cd799439020",
        "nickname": "ada",
        "https://example.com/groups": ["staff"],
    }
    stand_in = partial(Named, name="auth0", issuer=TENANT, claims=claims)
    provider = Auth0(issuer, CLIENT_ID, SECRET, groups=["https://example.com/groups"])
    async with elsewhere(provider, stand_in, allowed=["group:staff"]) as (world, there):
        user = await world.person(there)
    assert (user.issuer, user.external_subject) == (TENANT, "auth0|507f1f77bcf86cd799439020")
    assert (user.profile.groups, user.profile.email_verified) == (("staff",), True)


@pytest.mark.parametrize("issuer", [ORGANIZATION, f"{ORGANIZATION}/oauth2/default"])
async def test_what_okta_s_thin_id_tokens_lack_its_userinfo_says(issuer: str) -> None:
    scope = "openid profile email groups"
    claims = {
        "sub": "00uid4BxXw6I6TV4m0g3",
        "ver": 1,
        "amr": ["pwd"],
        "idp": "00o",
        "preferred_username": "ada",
        "name": "Ada",
    }
    stand_in = partial(Named, name="okta", issuer=issuer, claims=claims | {"email": "ada@example.com"}, scope=scope)
    async with elsewhere(Okta(f"{issuer}/", CLIENT_ID, SECRET, scopes=scope.split()), stand_in) as (world, there):
        there.userinfo = {**ADA, "sub": claims["sub"], "groups": ["Everyone", "staff"]}
        user = await world.person(there)
    assert (user.issuer, user.external_subject, user.profile.groups) == (issuer, claims["sub"], ("Everyone", "staff"))
    assert there.asked[-1].endswith("/userinfo")


@pytest.mark.parametrize("issuer", ["https://gitlab.com", "https://git.example.com/gitlab"])
async def test_groups_at_gitlab_are_paths_that_userinfo_says(issuer: str) -> None:
    claims = {"sub": "42", "auth_time": 1, "sub_legacy": "x", "email": "ada@example.com", "email_verified": True}
    stand_in = partial(Named, name="gitlab", issuer=issuer, claims={**claims, "groups_direct": ["company/platform"]})
    provider = GitLab(CLIENT_ID, SECRET, issuer=f"{issuer}/")
    async with elsewhere(provider, stand_in, allowed=["group:company"]) as (world, there):
        there.userinfo = {"sub": "42", "name": "Ada", "nickname": "ada", "groups": ["company", "company/platform"]}
        user = await world.person(there)
    assert (user.issuer, user.external_subject, user.name) == (issuer, "42", "Ada")
    assert (user.profile.groups, user.profile.email_verified) == (("company", "company/platform"), True)
    assert user.profile.claims.keys() == {*claims, "name", "nickname", "groups", "groups_direct"} - {"auth_time"}
    assert provider.label == ("GitLab" if issuer == "https://gitlab.com" else "git.example.com")


@pytest.mark.parametrize(
    ("provider", "name", "issuer", "scope", "prompt"),
    [
        (partial(Keycloak, REALM), "keycloak", REALM, "openid profile email offline_access", None),
        (partial(Auth0, TENANT), "auth0", TENANT, "openid profile email offline_access", None),
        (partial(Okta, ORGANIZATION), "okta", ORGANIZATION, "openid profile email offline_access", None),
        (GitLab, "gitlab", "https://gitlab.com", "openid profile email", None),
        (
            partial(OpenIDConnect, "https://id.example"),
            "oidc",
            "https://id.example",
            "openid profile email offline_access",
            "consent",
        ),
    ],
)
async def test_each_is_asked_for_a_refresh_token_in_its_way(
    provider: Callable[..., OpenIDConnect], name: str, issuer: str, scope: str, prompt: str | None
) -> None:
    stand_in = partial(Named, name=name, issuer=issuer, claims={**ADA, "groups": []}, scope=scope, prompt=prompt)
    async with elsewhere(provider(client_id=CLIENT_ID, client_secret=SECRET, keep_tokens=True), stand_in) as (
        world,
        there,
    ):
        assert (await world.person(there)).external_subject == "1f4a"
