"""What a login provider elsewhere does with tokens that were kept: get new ones, and have them ended there."""

from __future__ import annotations

import asyncio
import logging
import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from gatepost.identity.provider import IdentityProvider
from gatepost.identity.token_set import (
    TokenAnswerInvalid,
    TokensEnded,
    TokenSet,
    TokensUnavailable,
    read_token_set,
    retry_after_of,
)
from gatepost.outbound.fetching import FetchFailed

if TYPE_CHECKING:
    import httpx2
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    from gatepost.identity.upstream_login import UpstreamServer

TOTAL_SECONDS: Final = 10.0
"""For all that one request of a browser, or one refresh, makes this server ask elsewhere."""
_OK: Final = 200
_BUSY: Final = 429
_FAULT: Final = 500
_ERROR_CODE: Final = re.compile(r"[a-z_]{1,64}")

_log = logging.getLogger("gatepost.identity")


class TokenHolder(IdentityProvider):
    """A provider that gives tokens; `UpstreamLogin` is one."""

    keeps_tokens: bool = False
    """Whether the tokens of a login are kept for tools (`ctx.upstream_token`); else they are forgotten with it."""
    ended: Collection[str] = ("invalid_grant", "interaction_required", "login_required", "consent_required")
    """The errors of a refresh after which only the person can get new tokens."""

    @property
    @abstractmethod
    def host(self) -> str:
        """Where it is, for people and the log."""

    @abstractmethod
    async def _server(self) -> UpstreamServer:
        """Return what is known of the server."""

    @abstractmethod
    def _client(self, server: UpstreamServer) -> AsyncOAuth2Client:
        """Return the client that this server is there."""

    @abstractmethod
    def _revocation_endpoint(self, server: UpstreamServer) -> str | None:
        """Return where tokens are ended, or None."""

    @abstractmethod
    def _now(self) -> int:
        """Return the time, whole seconds UTC."""

    async def refresh(self, refresh_token: str) -> TokenSet:
        """Return new tokens for a refresh token, which may be worth nothing from then on (RFC 6749 section 6).

        Raises:
            TokensEnded: the server says that the refresh token is worth nothing; the person has to log in there again.
            TokensUnavailable: there is no answer that can be used. Whether the server took the refresh token is open.
        """
        retry_after: int | None = None
        try:
            async with self._patience():
                form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
                server = await self._server()
                response = await self._post(server, server.token_endpoint, form)
                retry_after = retry_after_of(response.headers, now=self._now())
                return self._read(self._token_answer(response))
        except FetchFailed as failure:
            _log.warning("login provider %s: no new tokens: %s", self.name, failure.cause, extra={"host": self.host})
        raise TokensUnavailable(retry_after)

    async def revoke(self, tokens: TokenSet) -> bool:
        """Have the server end what it gave (RFC 7009); False where it has no way for that.

        Raises:
            FetchFailed: it did not.
        """
        async with self._patience():
            server = await self._server()
            url = self._revocation_endpoint(server)
            if url is None:
                return False
            kind = "access_token" if tokens.refresh_token is None else "refresh_token"
            form = {"token": tokens.refresh_token or tokens.access_token, "token_type_hint": kind}
            response = await self._post(server, url, form)
        if response.status_code != _OK:
            raise FetchFailed(f"its revocation endpoint answers {response.status_code}")
        return True

    async def _post(self, server: UpstreamServer, url: str, form: Mapping[str, str]) -> httpx2.Response:
        """Send a form, as the client that this server is there; in `_patience`."""
        async with self._client(server) as http:
            auth = http.client_auth(server.token_endpoint_auth_method)
            response: httpx2.Response = await http.post(
                url, data=dict(form), headers={"Accept": "application/json"}, auth=auth
            )
            return response

    def _token_answer(self, response: httpx2.Response) -> Mapping[str, Any]:
        """Return the answer to a refresh. GitHub's errors have status 200."""
        answer = None if response.status_code == _BUSY or response.status_code >= _FAULT else response.json()
        if isinstance(answer, dict) and answer.get("error") in self.ended:
            raise TokensEnded
        if not isinstance(answer, dict) or "error" in answer or response.status_code != _OK:
            says = f": {shown(answer['error'])}" if isinstance(answer, dict) and "error" in answer else ""
            raise FetchFailed(f"its token endpoint answers {response.status_code}{says}")
        return answer

    def _read(self, answer: Mapping[str, Any]) -> TokenSet:
        try:
            return read_token_set(answer)
        except TokenAnswerInvalid as error:
            raise FetchFailed(str(error)) from None

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        """Ask elsewhere for so long, and turn what goes wrong there into `FetchFailed`."""
        import httpx2  # noqa: PLC0415 - nobody has logged in at the start

        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                yield
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, TypeError, RecursionError) as error:
            raise FetchFailed(type(error).__name__) from None


def shown(error: object) -> str:
    """Return an error code for the log."""
    return error if isinstance(error, str) and _ERROR_CODE.fullmatch(error) else "an error of its own"
