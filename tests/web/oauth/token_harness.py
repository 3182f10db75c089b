"""A token endpoint over ASGI with a store, a clock that stands still, and short ways to say what tests say often."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from gatepost.identity.entry import ANYBODY, Entry
from gatepost.identity.roles import NO_ROLES, Roles
from gatepost.oauth.issuing import SignAccessToken
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.records import AuthorizationCode, AuthorizationTransaction, Client
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.clients import ClientFinder
from gatepost.stores.contract.grants import GrantStore
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome
from gatepost.tokens.opaque import SecretKind, fingerprint, identifier, mint
from gatepost.web.oauth.client_form import ClientForms
from gatepost.web.oauth.grants.grant_type import TokenIssuer
from gatepost.web.oauth.introspect import IntrospectEndpoint
from gatepost.web.oauth.revoke import RevokeEndpoint
from gatepost.web.oauth.token import TokenEndpoint
from gatepost.web.site.limits import Limits
from gatepost.web.site.patience import Waiting
from tests.web.served import Served

ISSUER = "https://mcp.example.com"
NOTES = ProtectedResource(
    identifier=f"{ISSUER}/mcp",
    path="/mcp",
    name="Notes",
    scopes={"notes:read": "Read your notes", "notes:write": "Write notes", "admin": "Administer"},
)
MAIL = ProtectedResource(identifier=f"{ISSUER}/mail", path="/mail", name="Mail", scopes={"mail:read": "Read mail"})
REDIRECT_URI = "https://app.example/callback"
# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
LIFETIMES = Lifetimes(
    access_token=3600, refresh_token=86_400, grant=864_000, authorization_code=600, refresh_window=120, refresh_reuse=0
)

Answer = dict[str, Any]


@dataclass
class Harness:
    """The endpoint and what is around it."""

    store: Store
    http: httpx2.AsyncClient
    now: int = 1_000_000
    revocations: list[int] = field(default_factory=list)
    """When an endpoint said that it had revoked something."""
    resource_servers: set[str] = field(default_factory=set)
    """Clients that may ask about every token."""
    app: Served = field(default_factory=Served)

    async def register(
        self,
        *,
        method: str = "none",
        secret: str | None = None,
        grant_types: Sequence[str] = ("authorization_code", "refresh_token"),
    ) -> Client:
        """Register a client."""
        client = Client(
            client_id=identifier("client_", secrets.token_bytes),
            client_name="App",
            redirect_uris=(REDIRECT_URI,),
            grant_types=tuple(grant_types),
            response_types=("code",),
            token_endpoint_auth_method=method,
            application_type="web",
            scope=None,
            client_uri=None,
            logo_uri=None,
            jwks=None,
            jwks_uri=None,
            dpop_bound_access_tokens=False,
            secret_fingerprint=None if secret is None else fingerprint(secret),
            created_at=self.now,
        )
        await self.store.clients.register_client(client)
        return client

    async def approve(self, client: Client, *, resource: str = NOTES.identifier, subject: str = "user-1") -> str:
        """Return the code of an approved authorization request."""
        transaction = AuthorizationTransaction(
            transaction_id=identifier("transaction_", secrets.token_bytes),
            browser_id="browser-1",
            client_id=client.client_id,
            redirect_uri=REDIRECT_URI,
            redirect_uri_was_sent=True,
            scopes=("notes:read", "notes:write"),
            resource=resource,
            code_challenge=CHALLENGE,
            client_state=None,
            created_at=self.now,
            expires_at=self.now + LIFETIMES.transaction,
        )
        await self.store.transactions.begin_transaction(transaction)
        code = mint(SecretKind.AUTHORIZATION_CODE, secrets.token_bytes)
        record = AuthorizationCode(
            code_fingerprint=fingerprint(code),
            transaction_id=transaction.transaction_id,
            client_id=client.client_id,
            redirect_uri=REDIRECT_URI,
            redirect_uri_was_sent=True,
            scopes=transaction.scopes,
            resource=resource,
            code_challenge=CHALLENGE,
            subject=subject,
            created_at=self.now,
            expires_at=self.now + LIFETIMES.authorization_code,
        )
        outcome = await self.store.transactions.approve_transaction(record, now=self.now)
        assert outcome is ApproveOutcome.APPROVED
        return code

    async def post(self, parameters: Mapping[str, str], **options: Any) -> httpx2.Response:
        """Send a token request; every answer is checked for what all of them have in common."""
        response = await self.http.post("/oauth/token", data=dict(parameters), **options)
        return checked(response)

    async def redeem(self, client: Client, code: str, /, **changes: str | None) -> httpx2.Response:
        """Redeem a code as the client would; `changes` are parameters, None leaves one out."""
        parameters = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            "client_id": client.client_id,
        }
        return await self.post(_changed(parameters, changes))

    async def refresh(self, client: Client, token: str, /, **changes: str | None) -> httpx2.Response:
        """Use a refresh token as the client would; `changes` are parameters, None leaves one out."""
        parameters = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client.client_id}
        return await self.post(_changed(parameters, changes))

    async def revoke(self, client: Client, token: str, /, **changes: str | None) -> httpx2.Response:
        """Give a token back as the client would."""
        response = await self.http.post(
            "/oauth/revoke", data=_changed({"token": token, "client_id": client.client_id}, changes)
        )
        assert response.headers["cache-control"] == "no-store"
        return response

    async def introspect(self, client: Client, token: str, /, **changes: str | None) -> httpx2.Response:
        """Ask about a token as the client would."""
        form = _changed({"token": token, "client_id": client.client_id}, changes)
        return checked(await self.http.post("/oauth/introspect", data=form))

    async def begin(self, client: Client, **changes: str | None) -> Answer:
        """Return the tokens of a new grant."""
        response = await self.redeem(client, await self.approve(client), **changes)
        assert response.status_code == 200
        answer: Answer = response.json()
        return answer

    async def is_alive(self, access_token: str) -> bool:
        """Say whether an access token still counts."""
        live = await self.store.grants.find_access_token(fingerprint(access_token), now=self.now)
        return live is not None and not live.grant_revoked and not live.user_disabled


@asynccontextmanager
async def token_harness(
    store: Store,
    *,
    grants: GrantStore | None = None,
    clients: ClientFinder | None = None,
    signer: Callable[[int], Awaitable[SignAccessToken]] | None = None,
    is_limited: bool = False,
    entry: Entry = ANYBODY,
    roles: Roles = NO_ROLES,
    waiting: Waiting | None = None,
    lifetimes: Lifetimes = LIFETIMES,
    resources: Sequence[ProtectedResource] = (NOTES, MAIL),
) -> AsyncIterator[Harness]:
    """Serve the token endpoints; `grants` and `clients` stand in for the store's own, `signer` makes signed tokens."""
    app = Served(waiting=waiting)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
        harness = Harness(store, http, app=app)
        client_forms = ClientForms(clients=clients or store.clients)
        app.add(
            TokenEndpoint(
                client_forms=client_forms,
                issuer=TokenIssuer(
                    store=replace(store, grants=grants or store.grants),
                    resources=resources,
                    lifetimes=lifetimes,
                    now=lambda: harness.now,
                    random_bytes=secrets.token_bytes,
                    signer=signer,
                    limits=Limits(store=store.limits, now=lambda: harness.now) if is_limited else None,
                    on_revocation=lambda: harness.revocations.append(harness.now),
                    entry=entry,
                    roles=roles,
                ),
            ).routes()
        )
        app.add(
            RevokeEndpoint(
                client_forms=client_forms,
                grants=grants or store.grants,
                approvals=store.approvals,
                exchanges=store.exchanges,
                now=lambda: harness.now,
                on_revocation=lambda: harness.revocations.append(harness.now),
            ).routes()
        )
        app.add(
            IntrospectEndpoint(
                entry=entry,
                roles=roles,
                client_forms=client_forms,
                grants=grants or store.grants,
                issuer=ISSUER,
                resources=(NOTES, MAIL),
                resource_servers=harness.resource_servers,
                now=lambda: harness.now,
            ).routes()
        )
        yield harness


def checked(response: httpx2.Response) -> httpx2.Response:
    """Return the response after a look at what every answer of the endpoint must have (RFC 6749 sections 5.1, 5.2)."""
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert response.headers["content-type"] == "application/json"
    return response


def refusal(response: httpx2.Response) -> tuple[int, str]:
    """Return status and error code of a refusal."""
    body = response.json()
    assert set(body) == {"error", "error_description"}
    return response.status_code, body["error"]


def _changed(parameters: dict[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**parameters, **changes}.items() if value is not None}
