"""A grant type is one object: what registers, advertises, describes and dispatches it follows from the list."""

from __future__ import annotations

import secrets

import httpx2
import pytest

from gatepost.oauth.issuing import Tokens
from gatepost.oauth.policy import AuthorizationServer, Lifetimes
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.oauth.client_form import ClientForms
from gatepost.web.oauth.client_registry import ClientRegistry
from gatepost.web.oauth.grants import GRANT_TYPES
from gatepost.web.oauth.grants.grant_type import GrantType, TokenIssuer, TokenRequest
from gatepost.web.oauth.metadata import MetadataEndpoints
from gatepost.web.oauth.register import RegisterEndpoint
from gatepost.web.oauth.token import TokenEndpoint
from gatepost.web.site.limits import Limits
from gatepost.web.site.routing import described
from tests.web.oauth.token_harness import ISSUER, NOTES, REDIRECT_URI, refusal
from tests.web.served import Served

ECHO = "urn:example:echo"


async def echo(issuer: TokenIssuer, request: TokenRequest) -> Tokens:
    """Return what was sent as if it were a token."""
    assert issuer.lifetimes == Lifetimes()
    return Tokens(request.required("word"), None, request.now + 60, ("notes:read",))


def app_with(*more: GrantType) -> Served:
    store, grant_types = memory_store(), (*GRANT_TYPES, *more)
    issuer = TokenIssuer(
        store=store,
        resources=(NOTES,),
        lifetimes=Lifetimes(),
        now=lambda: 1000,
        random_bytes=secrets.token_bytes,
        on_revocation=lambda: None,
    )
    registry = ClientRegistry(
        clients=store.clients,
        known_scopes={"notes:read"},
        grant_types=grant_types,
        issuer=ISSUER,
        now=lambda: 1000,
        random_bytes=secrets.token_bytes,
    )
    limits = Limits(store=store.limits, now=lambda: 1000)
    registration = RegisterEndpoint(registry=registry, limits=limits, registration_enabled=True)
    server = AuthorizationServer(issuer=ISSUER, lifetimes=Lifetimes())
    return Served(
        (
            *registration.routes(),
            *MetadataEndpoints(authorization_server=server, resources=(NOTES,), grant_types=grant_types).routes(),
            *TokenEndpoint(
                client_forms=ClientForms(clients=store.clients), issuer=issuer, grant_types=grant_types
            ).routes(),
        )
    )


async def register(http: httpx2.AsyncClient) -> dict[str, object]:
    """Register a client that would like to use every grant type."""
    metadata = {"redirect_uris": [REDIRECT_URI], "grant_types": ["authorization_code", ECHO, "client_credentials"]}
    registered = await http.post("/oauth/register", json=metadata)
    assert registered.status_code == 201
    document: dict[str, object] = registered.json()
    return document


@pytest.mark.parametrize("is_registrable", [True, False])
async def test_a_further_grant_type_is_registered_advertised_described_and_dispatched(*, is_registrable: bool) -> None:
    app = app_with(GrantType(ECHO, echo, is_registrable=is_registrable, parameters={"word": "what is said"}))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=ISSUER) as http:
        client = await register(http)
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
        form = {"grant_type": ECHO, "client_id": client["client_id"], "word": "hello"}
        answer = await http.post("/oauth/token", data=form)

    assert client["grant_types"] == ["authorization_code", *([ECHO] if is_registrable else [])]
    assert metadata["grant_types_supported"] == [*(known.name for known in GRANT_TYPES), ECHO]
    body = described(app.routes)["/oauth/token"]["post"]["requestBody"]
    fields = body["content"]["application/x-www-form-urlencoded"]["schema"]["properties"]
    assert ECHO in fields["grant_type"]["enum"]
    assert fields["word"] == {"type": "string", "description": "what is said"}
    if is_registrable:
        assert answer.json() == {
            "access_token": "hello",
            "token_type": "Bearer",
            "expires_in": 60,
            "scope": "notes:read",
        }
    else:
        assert refusal(answer) == (400, "unauthorized_client")


async def test_without_its_object_there_is_no_grant_type() -> None:
    app = app_with()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=ISSUER) as http:
        client = await register(http)
        answer = await http.post("/oauth/token", data={"grant_type": ECHO, "client_id": client["client_id"]})
    assert client["grant_types"] == ["authorization_code"]
    assert refusal(answer) == (400, "unsupported_grant_type")
