"""Grants and tokens of a server under test, made without a browser (RFC 6749 sections 5 and 6, RFC 7009)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from gatepost.late_dataclass import dataclass
from gatepost.oauth.issuing import mint_tokens
from gatepost.oauth.records import Client as RegisteredClient
from gatepost.oauth.records import Grant as GrantRecord
from gatepost.resource.resources import ProtectedResource
from gatepost.tokens.opaque import identifier

if TYPE_CHECKING:
    import httpx2

    from gatepost.assembly.installation import Installation
    from gatepost.testing.people import NamedUser


@dataclass(slots=True)
class HeldGrant:
    """What a person allowed an app: its tokens, which `refresh` replaces.

    A client that was made with it sends the access token that it has at the moment.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    scopes: tuple[str, ...]
    """Those of the access token."""
    subject: str
    client_id: str
    resource: str
    """The URL of the endpoint that it is for."""
    http: httpx2.AsyncClient = field(repr=False, compare=False)
    """A client without a token, at the server."""

    async def refresh(self, *scopes: str) -> None:
        """Spend the refresh token at the token endpoint for new tokens; `scopes`, if any, for fewer scopes.

        Raises:
            RefreshRefused: the server refuses, as it does after a revocation.
        """
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token, "client_id": self.client_id}
        answer = await self.http.post("/oauth/token", data=form | ({"scope": " ".join(scopes)} if scopes else {}))
        said = answer.json()
        if answer.is_error:
            raise RefreshRefused(answer.status_code, said["error"], said.get("error_description", ""))
        self.access_token, self.refresh_token = said["access_token"], said["refresh_token"]
        self.scopes = tuple(said["scope"].split())

    async def revoke(self) -> None:
        """Give it back at the revocation endpoint, as an app does at a logout: all its tokens are over."""
        form = {"token": self.refresh_token, "client_id": self.client_id}
        (await self.http.post("/oauth/revoke", data=form)).raise_for_status()


class RefreshRefused(Exception):
    """The token endpoint refused a refresh (RFC 6749 section 5.2)."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(f"{status} {error}: {description}")
        self.status, self.error, self.description = status, error, description


class Grants:
    """Makes grants, as if people had approved them for an app that is registered."""

    def __init__(self, installation: Installation, origin: str, http: httpx2.AsyncClient) -> None:
        self._installation, self._origin, self._http = installation, origin, http
        self._client: RegisteredClient | None = None

    async def give(
        self, person: NamedUser, resource: ProtectedResource, scopes: str | Sequence[str] | None
    ) -> HeldGrant:
        """Return a new grant of a person for a resource; None for the scopes is all that the person can be given.

        Raises:
            ValueError: there is no such scope, or no role of the person has it.
        """
        core, oauth = self._installation.core, self._installation.oauth
        assert oauth is not None  # noqa: S101 - who has people has it; tells mypy
        user = await core.store.users.find_user_by_subject(person.subject)
        given = core.roles.permit_to(resource.default_scopes, user, resource.implied_scopes)
        if scopes is not None:
            asked = tuple(dict.fromkeys(scopes.split() if isinstance(scopes, str) else scopes))
            _check(asked, resource, given, person)
            given = asked
        client, now, lifetimes = await self._app(), core.now(), oauth.rules(self._origin).lifetimes
        signed_tokens = core.signed_tokens(self._origin)
        record = GrantRecord(
            grant_id=identifier("grant_", secrets.token_bytes),
            subject=person.subject,
            client_id=client.client_id,
            resource=resource.identifier,
            scopes=given,
            created_at=now,
            expires_at=now + lifetimes.grant,
        )
        tokens, rows = mint_tokens(
            record,
            scopes=given,
            with_refresh_token=True,
            now=now,
            lifetimes=lifetimes,
            random_bytes=core.random_bytes,
            sign=None if signed_tokens is None else await signed_tokens.signer(now),
        )
        await core.store.approvals.give_grant(record, rows)
        return HeldGrant(
            access_token=tokens.access_token,
            refresh_token=str(tokens.refresh_token),
            scopes=given,
            subject=person.subject,
            client_id=client.client_id,
            resource=resource.identifier,
            http=self._http,
        )

    async def _app(self) -> RegisteredClient:
        """Return the app, registered at the first use."""
        if self._client is None:
            core = self._installation.core
            self._client = RegisteredClient(
                client_id=identifier("client_", secrets.token_bytes),
                client_name="gatepost.testing",
                redirect_uris=("http://127.0.0.1/callback",),
                grant_types=("authorization_code", "refresh_token"),
                response_types=("code",),
                token_endpoint_auth_method="none",  # noqa: S106 - it has no secret
                application_type="native",
                scope=None,
                client_uri=None,
                logo_uri=None,
                jwks=None,
                jwks_uri=None,
                dpop_bound_access_tokens=False,
                secret_fingerprint=None,
                created_at=core.now(),
            )
            await core.store.clients.register_client(self._client)
        return self._client


def _check(scopes: Sequence[str], resource: ProtectedResource, permitted: Sequence[str], person: NamedUser) -> None:
    if unknown := [scope for scope in scopes if scope not in resource.scopes]:
        raise ValueError(f"Unknown: {', '.join(unknown)}. The scopes are: {', '.join(resource.scopes)}.")
    if refused := [scope for scope in scopes if scope not in permitted]:
        raise ValueError(
            f"{person.name} cannot be given {', '.join(refused)}: no role of theirs has it. Give one with roles=."
        )
