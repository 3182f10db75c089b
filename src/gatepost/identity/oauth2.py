"""Logins at an authorization server that is no OpenID provider: who it is, a URL of it says (RFC 6749)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from gatepost.identity.provider import Identity
from gatepost.identity.upstream_login import AUTH_METHODS, UpstreamLogin, UpstreamServer, auth_method
from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.fetching import FetchFailed
from gatepost.tokens.claims import found, texts

ENDPOINT_TAKES: Final = "an https URL without query and fragment; http on this machine only"
_LONGEST_SUBJECT: Final = 255


class OAuth2(UpstreamLogin):
    """Everybody whom an authorization server knows, by what its user-info URL says with the access token.

    At the server, register the redirect URI `<public URL>/oauth/login/<name>/callback`. It has to take PKCE, or to
    ignore it.

    Which member is what can be a path with dots, for members of members: `data.id`.

    Args:
        authorization_endpoint: where people log in.
        token_endpoint: where the code is redeemed.
        userinfo_endpoint: what says, to a GET with the access token as a bearer, who it is, as a JSON object.
        client_id: what it calls this server.
        client_secret: None for a public client, which PKCE protects.
        subject: the member that is the person: a text or a whole number that stays and is nobody else's, ever; never
            an e-mail address or a name that can be changed.
        name: one word that stays, in the redirect URI.
        issuer: who vouches, in `iss` of the answers if they have one (RFC 9207); by default the origin of
            `authorization_endpoint`. Another issuer makes everybody another person.
        scopes: what it is asked for.
        display_name: the member that pages call the person by.
        email: the member with the e-mail address.
        email_verified: the member that is `true` when that address is verified; without one no address counts as such.
        groups: the members that list the person's groups.
        token_endpoint_auth_method: `client_secret_basic` or `client_secret_post`.
        keep_tokens: whether tools may act there as the person who calls them; whether there is a refresh token is the
            server's choice, or a scope's.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    def __init__(
        self,
        *,
        authorization_endpoint: str,
        token_endpoint: str,
        userinfo_endpoint: str,
        client_id: str,
        client_secret: str | None = None,
        subject: str = "sub",
        name: str = "oauth2",
        issuer: str | None = None,
        scopes: Sequence[str] = (),
        display_name: str = "name",
        email: str = "email",
        email_verified: str = "email_verified",
        groups: Sequence[str] = ("groups",),
        token_endpoint_auth_method: str = AUTH_METHODS[0],
        keep_tokens: bool = False,
    ) -> None:
        for url in (authorization_endpoint, token_endpoint, userinfo_endpoint):
            if not is_server_url(url):
                raise ValueError(f"Each of the three endpoints is {ENDPOINT_TAKES}.")
        if subject in {"email", email}:
            raise ValueError(
                "The subject is a member that stays, and is nobody else's later; an e-mail address can change hands."
            )
        issuer = issuer or "{0.scheme}://{0.netloc}".format(urlsplit(authorization_endpoint))
        super().__init__(name, issuer, client_id, client_secret, scopes=scopes, keep_tokens=keep_tokens)
        self._endpoints = UpstreamServer(
            authorization_endpoint=authorization_endpoint,
            token_endpoint=token_endpoint,
            token_endpoint_auth_method=auth_method(client_secret, token_endpoint_auth_method, None),
        )
        self._userinfo_endpoint = userinfo_endpoint
        self._subject = subject
        self._display_name = display_name
        self._email = email
        self._email_verified = email_verified
        self._groups = tuple(groups)

    async def _server(self) -> UpstreamServer:
        return self._endpoints

    async def _identify(self, server: UpstreamServer, token: Mapping[str, Any], nonce: str) -> Identity:
        person, _ = await self._json(self._userinfo_endpoint, token["access_token"])
        subject = found(person, self._subject)
        if type(subject) is int:
            subject = str(subject)
        if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= _LONGEST_SUBJECT:
            raise FetchFailed("its user info has no member for the subject that is a text or a whole number")
        name, email = found(person, self._display_name), found(person, self._email)
        return Identity(
            subject,
            name if isinstance(name, str) and name else None,
            self.issuer,
            email if isinstance(email, str) and email else None,
            isinstance(email, str) and found(person, self._email_verified) is True,
            tuple(dict.fromkeys(group for path in self._groups for group in texts(found(person, path)))),
            self._claims(person),
        )

    def _claims(self, person: Mapping[str, Any]) -> Mapping[str, object]:
        """Return what is kept beside that."""
        return dict(person)


class Discord(OAuth2):
    """Everybody with a Discord account. Whoever renames it stays the same person: its number counts.

    In Discord's developer portal, make an application and add the redirect `<public URL>/oauth/login/<name>/callback`.

    Args:
        client_id: of the application.
        client_secret: of the application.
        name: one word that stays, in the redirect.
        scopes: what it is asked for; `identify` is always there.
        keep_tokens: whether tools may act at Discord as the person who calls them.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    label = "Discord"

    def __init__(
        self,
        client_id: str,
        client_secret: str | None = None,
        *,
        name: str = "discord",
        scopes: Sequence[str] = ("identify", "email"),
        keep_tokens: bool = False,
    ) -> None:
        super().__init__(
            authorization_endpoint="https://discord.com/oauth2/authorize",
            token_endpoint="https://discord.com/api/oauth2/token",  # noqa: S106 - an address
            userinfo_endpoint="https://discord.com/api/users/@me",
            client_id=client_id,
            client_secret=client_secret,
            subject="id",
            name=name,
            scopes=("identify", *scopes),
            display_name="username",
            email_verified="verified",
            keep_tokens=keep_tokens,
        )

    def _claims(self, person: Mapping[str, Any]) -> Mapping[str, object]:
        return {name: person[name] for name in ("username", "global_name", "locale") if person.get(name)}
