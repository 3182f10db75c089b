"""Logins at GitHub, by an OAuth app or a GitHub App. It is no OpenID provider: who it is, its API says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gatepost.identity.provider import Identity, Login
from gatepost.identity.upstream_login import AUTH_METHODS, CODE_OVER, UpstreamLogin, UpstreamServer
from gatepost.outbound.fetching import FetchFailed
from gatepost.wording.phrase import Phrase, Words

ISSUER: Final = "https://github.com/login/oauth"
"""What GitHub says as `iss` of its answers (RFC 9207), since April 2026 and without metadata that says so."""
_API: Final = "https://api.github.com"
_SERVER: Final = UpstreamServer(
    authorization_endpoint=f"{ISSUER}/authorize",
    token_endpoint=f"{ISSUER}/access_token",
    token_endpoint_auth_method=AUTH_METHODS[1],
)
_NOT_TO_BE_SEEN: Final = (403, 404)
"""What the addresses are answered with where the app may not see them."""


class GitHub(UpstreamLogin):
    """Everybody with a GitHub account. Whoever renames it stays the same person: its number counts.

    In the settings of the OAuth app or GitHub App, the callback URL is `<public URL>/oauth/login/<name>/callback`.

    Args:
        client_id: of the app.
        client_secret: of the app.
        name: one word that stays, in the callback URL.
        scopes: what an OAuth app asks for; a GitHub App has permissions instead (*Email addresses*, to read them).

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    label = "GitHub"
    refusals: Mapping[str, Words] = {
        "bad_verification_code": CODE_OVER,
        "unverified_user_email": Phrase(
            "GitHub wants you to verify your e-mail address first, in your settings there."
        ),
    }

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        name: str = "github",
        scopes: Sequence[str] = ("read:user", "user:email"),
    ) -> None:
        super().__init__(name, ISSUER, client_id, client_secret, scopes=scopes)

    async def _server(self) -> UpstreamServer:
        return _SERVER

    def _extra(self, server: UpstreamServer, login: Login, nonce: str) -> Mapping[str, str]:
        return {"prompt": "select_account"} if login.switches_account else {}

    async def _identify(self, server: UpstreamServer, token: Mapping[str, Any], nonce: str) -> Identity:
        user, _ = await self._json(f"{_API}/user", token["access_token"])
        number = user.get("id") if isinstance(user, dict) else None
        if type(number) is not int or not isinstance(user.get("login"), str):
            raise FetchFailed("/user does not say who it is")
        addresses, _ = await self._json(f"{_API}/user/emails", token["access_token"], absent=_NOT_TO_BE_SEEN)
        email = next(filter(None, map(_primary, addresses if isinstance(addresses, list) else ())), None)
        return Identity(
            str(number),
            user["login"],
            ISSUER,
            email=email,
            email_verified=email is not None,
            claims={name: user[name] for name in ("login", "name") if user.get(name)},
        )


def _primary(address: object) -> str | None:
    """Return the address if it is both primary and verified."""
    match address:
        case {"primary": True, "verified": True, "email": str(email)}:
            return email
        case _:
            return None
