"""Logins at Microsoft Entra (formerly Azure AD): accounts of one tenant, of all companies, or Microsoft's own."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gatepost.identity.openid_connect import SCOPES, OpenIDConnect
from gatepost.identity.provider import Identity, Login
from gatepost.identity.upstream_login import UpstreamServer
from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.fetching import FetchFailed
from gatepost.tokens.client_keys import Key, SignatureInvalid, read_keys, unverified_claims

HOST: Final = "login.microsoftonline.com"
TENANT_TAKES: Final = (
    "the tenant's id (Directory ID, such as 8eaef023-2b34-4da1-9baa-8bc8c9d6a490), or organizations, common or "
    "consumers"
)
_CONSUMERS: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of Microsoft's own accounts, for everybody."""
_ANY_TENANT: Final = ("common", "organizations")
_GUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VERIFIED: Final = (True, "1", "true")
"""What `xms_edov` is for an address whose domain the tenant or Microsoft itself has verified; 1 equals True."""
_INTERNAL: Final = frozenset({"aio", "rh", "uti", "_claim_names", "_claim_sources", "hasgroups"})

_log = logging.getLogger("gatepost.identity")


class Entra(OpenIDConnect):
    """Everybody whom one tenant knows, guests included; or everybody at Microsoft.

    In the Entra admin center, register an app with the redirect URI `<public URL>/oauth/login/<name>/callback` of the
    platform *Web*, and make a client secret.

    People are their `oid`, which stays when another app registration takes over, and is what administrators see;
    `sub` differs from one registration to the next. Of several tenants it stands behind the tenant's id: `tid/oid`.
    So do groups then, since each tenant's administrators call theirs what they like.

    Args:
        tenant: the tenant's id; or `organizations` (all companies), `common` (they, and Microsoft's own accounts) or
            `consumers` (those alone).
        client_id: the app's *Application (client) ID*.
        client_secret: the value of a client secret of that app.
        name: one word that stays, in the redirect URI.
        host: of another cloud than the global one, such as `login.microsoftonline.us`.
        scopes: what it is asked for; `openid` and `profile` are always there.
        groups: the claims that say the person's groups.
        keep_tokens: whether tools may act at Microsoft as the person who calls them.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    label = "Microsoft"
    offline_parameters: Mapping[str, str] = {}
    userinfo_for: Mapping[str, str] = {}  # it says less than the ID token
    _of_the_token = OpenIDConnect._of_the_token | _INTERNAL  # noqa: SLF001 - of the class above

    def __init__(
        self,
        tenant: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        name: str = "entra",
        host: str = HOST,
        scopes: Sequence[str] = SCOPES,
        groups: Sequence[str] = ("groups",),
        keep_tokens: bool = False,
    ) -> None:
        if not is_tenant(tenant):
            raise ValueError(f"The tenant is {TENANT_TAKES}.")
        if not is_server_url(f"https://{host}") or "/" in host:
            raise ValueError(f"The host is a host name, such as {HOST}.")
        tenant = _CONSUMERS if tenant == "consumers" else tenant
        self._tenant = tenant
        self._template = f"https://{host}/{{}}/v2.0"
        super().__init__(
            self._template.format(tenant),
            client_id,
            client_secret,
            name=name,
            scopes=("profile", *scopes),  # for `oid`
            groups=groups,
            keep_tokens=keep_tokens,
        )

    @property
    def _is_of_many(self) -> bool:
        return self._tenant in _ANY_TENANT

    def _extra(self, server: UpstreamServer, login: Login, nonce: str) -> Mapping[str, str]:
        return {"nonce": nonce} | ({"prompt": "select_account"} if login.switches_account else {})

    def _is_own(self, issuer: str) -> bool:
        before, after = self._template.split("{}")
        tenant = issuer.removeprefix(before).removesuffix(after)
        return issuer == self._template.format(tenant) and self._is_taken(tenant)

    @property
    def _stated_issuer(self) -> str:
        return self._template.format("{tenantid}") if self._is_of_many else self.issuer

    def _issuer_of(self, claims: Mapping[str, Any]) -> str:
        tenant = claims.get("tid")
        # A tenant that is not taken is no issuer at all.
        return self._template.format(tenant if isinstance(tenant, str) and self._is_taken(tenant) else self._tenant)

    def _is_taken(self, tenant: str) -> bool:
        if not self._is_of_many:
            return tenant == self._tenant
        return _GUID.fullmatch(tenant) is not None and (self._tenant == "common" or tenant != _CONSUMERS)

    def _read_keys(self, document: object) -> Sequence[Key]:
        """Read also for which tenants a key signs: Entra says it beside each key, as an issuer or the template."""
        keys = read_keys(document)
        stated = document["keys"] if isinstance(document, dict) else ()
        return tuple(
            {**key, "issuers": [each.get("issuer") for each in stated if each.get("kid") == key.get("kid")]}
            for key in keys
        )

    def _fitting(self, keys: Sequence[Key], id_token: str) -> Sequence[Key]:
        try:
            claimed = unverified_claims(id_token)
        except SignatureInvalid:
            return keys  # which says what is wrong with it
        own = (None, self._template.format("{tenantid}"), self._issuer_of(claimed))
        return [key for key in keys if any(issuer in own for issuer in key["issuers"])]

    def _person(self, claims: Mapping[str, Any]) -> Identity:
        person, tenant = super()._person(claims), claims.get("tid")
        subject = claims.get("oid")
        if not isinstance(tenant, str) or not self._is_taken(tenant):
            raise FetchFailed("its ID token is of another tenant")
        if not isinstance(subject, str) or _GUID.fullmatch(subject) is None:
            raise FetchFailed("its ID token does not say oid")
        if "groups" in claims.get("_claim_names", ()) or claims.get("hasgroups"):
            _log.warning(
                "login provider %s: somebody is in more groups than an ID token holds, and counts as in none: let the "
                "app's token configuration emit the groups that are assigned to the application",
                self.name,
            )
        return replace(
            person,
            subject=f"{tenant}/{subject}" if self._is_of_many else subject,
            # `email_verified` is none of Entra's claims; a tenant's administrators could make it up.
            email_verified=person.email is not None and claims.get("xms_edov") in _VERIFIED,
            groups=tuple(f"{tenant}/{group}" for group in person.groups) if self._is_of_many else person.groups,
        )


def is_tenant(text: str) -> bool:
    """Say whether `text` names a tenant, or a kind of them."""
    return text in {*_ANY_TENANT, "consumers"} or _GUID.fullmatch(text) is not None
