"""OpenID providers that need little more than the standard: how their issuer is written, where groups are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from gatepost.identity.openid_connect import SCOPES, OpenIDConnect
from gatepost.identity.provider import Identity

REALM_TAKES: Final = "the URL of a realm, such as https://id.example.com/realms/company"
GITLAB: Final = "https://gitlab.com"


class Keycloak(OpenIDConnect):
    """Everybody whom a realm of Keycloak knows.

    Groups are what the claim `groups` says; the slash that begins a full path is left out. Realm roles are groups where
    `groups` names `realm_access.roles`. Keycloak puts neither into ID tokens unless a mapper of the client says so.

    Args:
        realm: the realm's URL, `https://id.example.com/realms/company`.
        client_id: of the client.
        client_secret: None for a public client.
        name: one word that stays, in the redirect URI.
        scopes: what it is asked for.
        groups: the claims that say the person's groups.
        keep_tokens: whether tools may act there as the person who calls them, with a refresh token that outlives
            Keycloak's own session.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    offline_parameters: Mapping[str, str] = {}

    def __init__(
        self,
        realm: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        name: str = "keycloak",
        scopes: Sequence[str] = SCOPES,
        groups: Sequence[str] = ("groups",),
        keep_tokens: bool = False,
    ) -> None:
        realm = realm.removesuffix("/")
        if not is_realm(realm):
            raise ValueError(f"The realm is {REALM_TAKES}.")
        super().__init__(
            realm, client_id, client_secret, name=name, scopes=scopes, groups=groups, keep_tokens=keep_tokens
        )

    def _person(self, claims: Mapping[str, Any]) -> Identity:
        person = super()._person(claims)
        return replace(person, groups=tuple(group.removeprefix("/") for group in person.groups))


class Auth0(OpenIDConnect):
    """Everybody whom a tenant of Auth0 knows.

    Auth0 leaves out of its tokens what is called `groups` or `roles`: what an action of yours adds has a name of your
    own, a URL, which `groups` is to name.

    Args:
        issuer: `https://TENANT.REGION.auth0.com/` or the custom domain; the slash at the end may be left out here.
        client_id: of the application.
        client_secret: of the application.
        name: one word that stays, in the redirect URI.
        scopes: what it is asked for.
        groups: the claims that say the person's groups, such as `https://example.com/groups`.
        keep_tokens: whether tools may act there as the person who calls them.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    offline_parameters: Mapping[str, str] = {}

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        name: str = "auth0",
        scopes: Sequence[str] = SCOPES,
        groups: Sequence[str] = ("groups",),
        keep_tokens: bool = False,
    ) -> None:
        issuer = f"{issuer.removesuffix('/')}/"
        super().__init__(
            issuer, client_id, client_secret, name=name, scopes=scopes, groups=groups, keep_tokens=keep_tokens
        )


class Okta(OpenIDConnect):
    """Everybody whom an organization of Okta knows.

    Args:
        issuer: of the organization, `https://company.okta.com`, or of a custom authorization server,
            `https://company.okta.com/oauth2/default`; without a slash at the end.
        client_id: of the app integration.
        client_secret: of the app integration.
        name: one word that stays, in the redirect URI.
        scopes: what it is asked for; with `groups` it says groups, where the app has a filter for them.
        groups: the claims that say the person's groups.
        keep_tokens: whether tools may act there as the person who calls them.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    offline_parameters: Mapping[str, str] = {}
    userinfo_for: Mapping[str, str] = {**OpenIDConnect.userinfo_for, "groups": "groups"}  # ID tokens are thin

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        name: str = "okta",
        scopes: Sequence[str] = SCOPES,
        groups: Sequence[str] = ("groups",),
        keep_tokens: bool = False,
    ) -> None:
        issuer = issuer.removesuffix("/")
        super().__init__(
            issuer, client_id, client_secret, name=name, scopes=scopes, groups=groups, keep_tokens=keep_tokens
        )


class GitLab(OpenIDConnect):
    """Everybody with an account at gitlab.com, or at a GitLab of your own.

    Groups are the paths of those that somebody is in, those above them included, such as `company/team`.

    Args:
        client_id: the *Application ID*.
        client_secret: None for an application that is not confidential.
        issuer: the URL of another GitLab than gitlab.com.
        name: one word that stays, in the redirect URI.
        scopes: what it is asked for.
        groups: the claims that say the person's groups; `groups_direct` leaves out those above.
        keep_tokens: whether tools may act at GitLab as the person who calls them.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    offline_scopes: Sequence[str] = ()
    offline_parameters: Mapping[str, str] = {}
    userinfo_for: Mapping[str, str] = {**OpenIDConnect.userinfo_for, "openid": "groups"}  # they are there alone

    def __init__(
        self,
        client_id: str,
        client_secret: str | None = None,
        *,
        issuer: str = GITLAB,
        name: str = "gitlab",
        scopes: Sequence[str] = SCOPES,
        groups: Sequence[str] = ("groups",),
        keep_tokens: bool = False,
    ) -> None:
        issuer = issuer.removesuffix("/")
        super().__init__(
            issuer, client_id, client_secret, name=name, scopes=scopes, groups=groups, keep_tokens=keep_tokens
        )

    @property
    def label(self) -> str:
        """GitLab, or the host of another one."""
        return "GitLab" if self.issuer == GITLAB else self.host


def is_realm(url: str) -> bool:
    """Say whether a URL may be that of a realm."""
    before, realms, realm = urlsplit(url).path.rpartition("/realms/")
    return bool(realms and realm) and "/" not in realm and not before.endswith("/")
