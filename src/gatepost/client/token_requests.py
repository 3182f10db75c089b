"""Requests of a client to an authorization server, by Authlib (RFC 6749, RFC 7009, RFC 7591, RFC 8628, RFC 8707)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from gatepost.client.kept_tokens import RegisteredClient
from gatepost.client.protection import Protection
from gatepost.client.refusals import CallRefused, ServerAway
from gatepost.late_dataclass import dataclass
from gatepost.outbound.issuer_documents import Transport

if TYPE_CHECKING:
    import httpx2
    from authlib.integrations.httpx_client import AsyncOAuth2Client

SECONDS: Final = 30.0
"""For one request; who issues tokens may have to ask somebody else."""
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_CREATED: Final = (200, 201)
_PASSING: Final = (408, 429, *range(500, 600))
_AWAY: Final = frozenset({"temporarily_unavailable", "server_error"})
_METHODS: Final = frozenset({"none", "client_secret_basic", "client_secret_post"})


class RequestRefused(CallRefused):
    """The authorization server refuses by an error code; `error` is it (RFC 6749 section 5.2)."""

    def __init__(self, issuer: str, error: str, description: object) -> None:
        more = f": {description}" if isinstance(description, str) and description else ""
        super().__init__(f"{issuer} refuses ({error}){more}")
        self.error = error


@dataclass(frozen=True, slots=True)
class TokenRequests:
    """Asks one authorization server."""

    protection: Protection
    transport: Transport

    async def register(self, redirect_uri: str, *, devices: bool) -> RegisteredClient:
        """Register this program (RFC 7591)."""
        issuer = self.protection.issuer
        if not self.protection.offers("registration_endpoint"):
            raise CallRefused(
                f"{issuer} takes no registrations: have its operator register a client with the redirect URI "
                f"{redirect_uri}, and give its id by --client-id and its port by --redirect-port."
            )
        wanted = {
            "client_name": "gatepost call",
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token", *([DEVICE_CODE] if devices else [])],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }
        url = self.protection.endpoint("registration_endpoint")
        async with self._asking(), self._http(url) as http:
            response = await http.post(url, json=wanted)
            said = self._read(response, taken=_CREATED)
        client_id, secret = said.get("client_id"), said.get("client_secret")
        # RFC 7591 section 3.2.1: the server may have registered something else than was asked for.
        method = said.get("token_endpoint_auth_method") or ("none" if secret is None else "client_secret_basic")
        if not isinstance(client_id, str) or method not in _METHODS:
            raise CallRefused(f"{issuer} has registered a client of a kind that this program cannot be ({method}).")
        return RegisteredClient(
            client_id=client_id,
            client_secret=secret if isinstance(secret, str) else None,
            auth_method=method,
            redirect_uri=redirect_uri,
            devices=devices,
        )

    async def tokens(self, client: RegisteredClient, grant_type: str, **form: str) -> Mapping[str, Any]:
        """Return the answer of the token endpoint to a grant.

        Raises:
            RequestRefused: it says no.
            ServerAway: it cannot answer now.
        """
        url = self.protection.endpoint("token_endpoint")
        async with self._asking(), self._client(client, url) as http:
            given = {**form, "resource": self.protection.resource}
            if grant_type == "refresh_token":
                said: Mapping[str, Any] = await http.refresh_token(
                    url, form["refresh_token"], resource=given["resource"]
                )
            else:
                said = await http.fetch_token(url, grant_type=grant_type, **given)
        if not isinstance(said.get("access_token"), str) or str(said.get("token_type")).lower() != "bearer":
            raise CallRefused(f"{self.protection.issuer} has answered with something else than a bearer token.")
        return said

    async def device_codes(self, client: RegisteredClient, scopes: Sequence[str]) -> Mapping[str, Any]:
        """Begin a login by device (RFC 8628 section 3.1)."""
        url = self.protection.endpoint("device_authorization_endpoint")
        # Who the client is goes with how it authenticates, and nothing is sent twice (RFC 8628 section 3.1).
        form = {"resource": self.protection.resource}
        if scopes:
            form["scope"] = " ".join(scopes)
        async with self._asking(), self._client(client, url) as http:
            auth = http.client_auth(client.auth_method)
            return self._read(await http.post(url, data=form, auth=auth), taken=(200,))

    async def revoke(self, client: RegisteredClient, token: str, kind: str) -> bool:
        """End a token (RFC 7009); False where the server has no way for that."""
        if not self.protection.offers("revocation_endpoint"):
            return False
        url = self.protection.endpoint("revocation_endpoint")
        async with self._asking(), self._client(client, url) as http:
            response = await http.revoke_token(url, token, token_type_hint=kind)
            if response.status_code != 200:  # noqa: PLR2004 - RFC 7009 section 2.2
                self._read(response, taken=())
        return True

    def _read(self, response: httpx2.Response, taken: Sequence[int]) -> Mapping[str, Any]:
        """Return the object that an answer is; raises as `tokens`."""
        issuer, status = self.protection.issuer, response.status_code
        if status in _PASSING:
            raise ServerAway(f"{issuer} cannot answer now ({status}). Nothing is lost; try again later.")
        said = response.json()
        if isinstance(said, dict) and "error" in said:
            raise RequestRefused(issuer, str(said["error"]), said.get("error_description"))
        if status not in taken or not isinstance(said, dict):
            raise CallRefused(f"{issuer} answers {status} at {urlsplit(str(response.url)).path}.")
        return said

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        import httpx2  # noqa: PLC0415 - where something is asked
        from authlib.integrations.base_client import OAuthError  # noqa: PLC0415 - likewise

        issuer = self.protection.issuer
        try:
            async with asyncio.timeout(SECONDS):
                yield
        except OAuthError as error:
            if error.error in _AWAY:
                raise ServerAway(f"{issuer} cannot answer now ({error.error}). Nothing is lost; try again.") from None
            raise RequestRefused(issuer, str(error.error), error.description) from None
        except httpx2.HTTPStatusError as error:
            status = error.response.status_code
            raise ServerAway(f"{issuer} cannot answer now ({status}). Nothing is lost; try again later.") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise ServerAway(f"{issuer} cannot be reached ({type(error).__name__}). Nothing is lost.") from None
        except (ValueError, TypeError, RecursionError, OverflowError):  # a number may be infinite: 1e999
            raise CallRefused(f"{issuer} answers something else than JSON.") from None

    def _http(self, url: str) -> httpx2.AsyncClient:
        import httpx2  # noqa: PLC0415 - as above

        return httpx2.AsyncClient(**self._options(url))

    def _client(self, client: RegisteredClient, url: str) -> AsyncOAuth2Client:
        from authlib.integrations.httpx_client import AsyncOAuth2Client  # noqa: PLC0415 - as above

        return AsyncOAuth2Client(
            client.client_id,
            client.client_secret,
            token_endpoint_auth_method=client.auth_method,
            **self._options(url),
        )

    def _options(self, url: str) -> dict[str, Any]:
        return {
            "transport": self.transport(url),
            "trust_env": False,
            "timeout": SECONDS,
            "headers": {"User-Agent": "gatepost", "Accept": "application/json"},
        }
