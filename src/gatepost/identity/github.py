"""Logins at GitHub, by an OAuth app or a GitHub App. It is no OpenID provider: who it is, its API says."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from gatepost.identity.provider import Identity, Login, Surroundings
from gatepost.identity.token_set import TokensEnded, TokenSet, TokensUnavailable
from gatepost.identity.upstream_login import AUTH_METHODS, CODE_OVER, UpstreamLogin, UpstreamServer
from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.fetching import FetchFailed
from gatepost.wording.phrase import Phrase, Words

HOST: Final = "github.com"
ISSUER: Final = f"https://{HOST}/login/oauth"
"""What GitHub says as `iss` of its answers (RFC 9207), since April 2026 and without metadata that says so."""
_OF_ORGANIZATIONS: Final = "read:org"
_NO_CONTENT: Final = 204
_NOT_TO_BE_SEEN: Final = (403, 404)
"""What the addresses and memberships are answered with where the app may not see them."""
_PAGE: Final = 100
_MOST_PAGES: Final = 10
"""Organizations and teams that are read: a thousand of each."""

_log = logging.getLogger("gatepost.identity")


class GitHub(UpstreamLogin):
    """Everybody with a GitHub account. Whoever renames it stays the same person: its number counts.

    In the settings of the OAuth app or GitHub App, the callback URL is `<public URL>/oauth/login/<name>/callback`.

    Args:
        client_id: of the app.
        client_secret: of the app.
        name: one word that stays, in the callback URL.
        host: of a GitHub Enterprise, such as `github.example.com` or `company.ghe.com`.
        scopes: what an OAuth app asks for; a GitHub App has permissions instead (*Email addresses*, to read them).
        organizations: names of those whose membership is asked for beside those that rules name. It takes the scope
            `read:org`, or of a GitHub App the permission *Members*. Claims then say of which the person is a member
            (`organizations`) and of which of their teams (`teams`, as `organization/team`); of others nothing is kept.
        keep_tokens: whether tools may act at GitHub as the person who calls them.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    ended: Collection[str] = ("bad_refresh_token",)
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
        host: str = HOST,
        scopes: Sequence[str] = ("read:user", "user:email"),
        organizations: Iterable[str] = (),
        keep_tokens: bool = False,
    ) -> None:
        if not is_server_url(f"https://{host}") or "/" in host:
            raise ValueError("The host is that of a GitHub Enterprise, such as github.example.com.")
        issuer = f"https://{host}/login/oauth"
        super().__init__(name, issuer, client_id, client_secret, scopes=scopes, keep_tokens=keep_tokens)
        self._organizations: frozenset[str] = frozenset()
        self._ask_about(organizations)
        # GitHub itself and its tenants have the API at a host of its own, a GitHub Enterprise Server at a path.
        has_api_host = host == HOST or host.endswith(".ghe.com")
        self._api = f"https://api.{host}" if has_api_host else f"https://{host}/api/v3"

    @property
    def label(self) -> str:
        """GitHub, or the host of another one."""
        return "GitHub" if self.host == HOST else self.host

    def connect(self, surroundings: Surroundings) -> None:
        """Ask about the organizations that rules name, too."""
        super().connect(surroundings)
        self._ask_about(surroundings.organizations)

    def _ask_about(self, organizations: Iterable[str]) -> None:
        self._organizations |= {organization.lower() for organization in organizations}
        if self._organizations and _OF_ORGANIZATIONS not in self._scopes:
            self._scopes = (*self._scopes, _OF_ORGANIZATIONS)

    async def _server(self) -> UpstreamServer:
        return UpstreamServer(
            authorization_endpoint=f"{self.issuer}/authorize",
            token_endpoint=f"{self.issuer}/access_token",
            token_endpoint_auth_method=AUTH_METHODS[1],
        )

    def _extra(self, server: UpstreamServer, login: Login, nonce: str) -> Mapping[str, str]:
        return {"prompt": "select_account"} if login.switches_account else {}

    async def revoke(self, tokens: TokenSet) -> bool:
        """Have GitHub end all that this app may do for the person; it takes an access token that still counts.

        Raises:
            FetchFailed: it did not.
        """
        status = await self._end_grant(tokens.access_token)
        if status != _NO_CONTENT and tokens.refresh_token is not None:
            # The access token of a GitHub App is over after eight hours. Nobody else uses what was ended here.
            try:
                renewed = await self.refresh(tokens.refresh_token)
            except TokensEnded:
                return True
            except TokensUnavailable:
                raise FetchFailed("there is no access token to end its grant with") from None
            status = await self._end_grant(renewed.access_token)
        if status != _NO_CONTENT:
            raise FetchFailed(f"/applications/…/grant answers {status}")
        return True

    async def _end_grant(self, access_token: str) -> int:
        """Return the status of the answer."""
        async with self._patience():
            import httpx2  # noqa: PLC0415 - nobody has logged in at the start

            auth = httpx2.BasicAuth(self._client_id, self._client_secret or "")
            headers, body = {"Accept": "application/vnd.github+json"}, {"access_token": access_token}
            url = f"{self._api}/applications/{quote(self._client_id, safe='')}/grant"
            async with httpx2.AsyncClient(**self._options(url)) as http:
                answer = await http.request("DELETE", url, json=body, auth=auth, headers=headers)
            return int(answer.status_code)

    async def _identify(self, server: UpstreamServer, token: Mapping[str, Any], nonce: str) -> Identity:
        bearer = token["access_token"]
        user, _ = await self._json(f"{self._api}/user", bearer)
        number = user.get("id") if isinstance(user, dict) else None
        if type(number) is not int or not isinstance(user.get("login"), str):
            raise FetchFailed("/user does not say who it is")
        addresses, _ = await self._json(f"{self._api}/user/emails", bearer, absent=_NOT_TO_BE_SEEN)
        email = next(filter(None, map(_primary, addresses if isinstance(addresses, list) else ())), None)
        return Identity(
            str(number),
            user["login"],
            self.issuer,
            email=email,
            email_verified=email is not None,
            claims={name: user[name] for name in ("login", "name") if user.get(name)} | await self._memberships(bearer),
        )

    async def _memberships(self, bearer: str) -> dict[str, list[str]]:
        """Return of which of the organizations that were asked for, and of which of their teams, the person is."""
        if not self._organizations:
            return {}
        organizations = [_text(each, "login") for each in await self._every("/user/orgs", bearer)]
        teams = await self._every("/user/teams", bearer)
        placed = [(_text(team.get("organization"), "login"), _text(team, "slug")) for team in teams]
        return {
            "organizations": [each for each in organizations if each.lower() in self._organizations],
            "teams": [f"{each}/{team}" for each, team in placed if team and each.lower() in self._organizations],
        }

    async def _every(self, path: str, bearer: str) -> list[dict[str, Any]]:
        """Return the objects of a list that comes in pages; none where the app may not see it, which the log says."""
        every: list[dict[str, Any]] = []
        for page in range(1, _MOST_PAGES + 1):
            url = f"{self._api}{path}?per_page={_PAGE}&page={page}"
            objects, _ = await self._json(url, bearer, absent=_NOT_TO_BE_SEEN)
            if objects is None:
                _log.warning("login provider %s: the app may not read %s, so nobody is in any", self.name, path)
                return []
            if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
                raise FetchFailed(f"{path} is no list")
            every += objects
            if len(objects) < _PAGE:
                return every
        raise FetchFailed(f"{path} has more than {_PAGE * _MOST_PAGES}")  # half of them would be judged as all


def _primary(address: object) -> str | None:
    """Return the address if it is both primary and verified."""
    match address:
        case {"primary": True, "verified": True, "email": str(email)}:
            return email
        case _:
            return None


def _text(value: object, name: str) -> str:
    member = value.get(name) if isinstance(value, dict) else None
    return member if isinstance(member, str) else ""
