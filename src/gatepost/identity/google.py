"""Logins at Google: accounts of Google itself, and those of companies at Google Workspace."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gatepost.identity.openid_connect import SCOPES, OpenIDConnect
from gatepost.identity.provider import Identity, Login, LoginRefused
from gatepost.identity.upstream_login import UpstreamServer
from gatepost.wording.phrase import Phrase

ISSUER: Final = "https://accounts.google.com"
DOMAIN_TAKES: Final = "the primary domain of a Google Workspace, such as example.com"
_OLD_ISSUER: Final = "accounts.google.com"
"""What `iss` of its ID tokens may be, too, as its reference says."""
_OWN_DOMAINS: Final = ("@gmail.com", "@googlemail.com")
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class Google(OpenIDConnect):
    """Everybody with a Google account, or those of one company.

    In the Google Cloud console, make an OAuth client of the type *Web application* with the authorized redirect URI
    `<public URL>/oauth/login/<name>/callback`.

    Args:
        client_id: of that client; it ends in `.apps.googleusercontent.com`.
        client_secret: of that client.
        name: one word that stays, in the redirect URI.
        hosted_domain: lets in the accounts of that Google Workspace alone.
        scopes: what it is asked for.
        keep_tokens: whether tools may act at Google as the person who calls them, to which people have to agree at each
            login.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    label = "Google"
    offline_scopes: Sequence[str] = ()
    # Without `prompt=consent` there is a refresh token at the very first login alone.
    offline_parameters: Mapping[str, str] = {"access_type": "offline", "prompt": "consent"}

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        name: str = "google",
        hosted_domain: str | None = None,
        scopes: Sequence[str] = SCOPES,
        keep_tokens: bool = False,
    ) -> None:
        super().__init__(ISSUER, client_id, client_secret, name=name, scopes=scopes, keep_tokens=keep_tokens)
        self._hosted_domain = None if hosted_domain is None else hosted_domain.lower()
        if self._hosted_domain is not None and not is_domain(self._hosted_domain):
            raise ValueError(f"The hosted domain is {DOMAIN_TAKES}.")

    def _extra(self, server: UpstreamServer, login: Login, nonce: str) -> Mapping[str, str]:
        extra = {"nonce": nonce} | ({"prompt": "select_account"} if login.switches_account else {})
        return extra if self._hosted_domain is None else extra | {"hd": self._hosted_domain}

    def _issuer_of(self, claims: Mapping[str, Any]) -> str:
        return _OLD_ISSUER if claims.get("iss") == _OLD_ISSUER else self.issuer

    def _person(self, claims: Mapping[str, Any]) -> Identity:
        domain = claims.get("hd")
        # The parameter is a wish that whoever is at the browser can change; the claim is Google's word.
        if self._hosted_domain is not None and (not isinstance(domain, str) or domain.lower() != self._hosted_domain):
            raise LoginRefused(
                Phrase(
                    "Only accounts of %(domain)s at Google can log in here. Try another one.",
                    domain=self._hosted_domain,
                )
            )
        person = super()._person(claims)
        # An address at somebody else's domain was verified once, and may have changed hands since.
        is_theirs = isinstance(domain, str) or (person.email or "").lower().endswith(_OWN_DOMAINS)
        return replace(person, email_verified=person.email_verified and is_theirs)


def is_domain(text: str) -> bool:
    """Say whether it is a domain name in lower case."""
    return _DOMAIN.fullmatch(text) is not None
