"""Discovery at every address that clients try (users.md 10)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from gatepost.oauth.policy import AuthorizationServer, Lifetimes
from gatepost.oauth.registration import DEFAULT_GRANT_TYPES
from gatepost.oauth.server_metadata import server_metadata
from gatepost.resource.resources import ProtectedResource, resource_metadata
from gatepost.web.oauth.grants import GRANT_TYPES
from gatepost.web.oauth.grants.grant_type import registrable
from gatepost.web.oauth.metadata import MetadataEndpoints
from gatepost.web.site.routing import described
from tests.web.served import Served

ISSUER = "https://mcp.example.com"
SERVER = AuthorizationServer(issuer=ISSUER, lifetimes=Lifetimes())
NOTES = ProtectedResource(f"{ISSUER}/mcp", "/mcp", "Notes", {"notes:read": "Read"})
MAIL = ProtectedResource(f"{ISSUER}/mail/mcp", "/mail/mcp", "Mail", {"mail:read": "Read"})
ROOT = ProtectedResource(ISSUER, "/", "Root", {"root": "Everything"})
PROTECTED = "/.well-known/oauth-protected-resource"
OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


@asynccontextmanager
async def serving(
    *resources: ProtectedResource, server: AuthorizationServer = SERVER
) -> AsyncIterator[httpx2.AsyncClient]:
    app = Served()
    app.add(
        MetadataEndpoints(
            authorization_server=server,
            resources=resources,
            service_documentation=f"{ISSUER}/docs",
        ).routes()
    )
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
        yield http


def server_document(*resources: ProtectedResource, server: AuthorizationServer = SERVER) -> dict[str, object]:
    return server_metadata(
        server,
        grant_types=[grant_type.name for grant_type in GRANT_TYPES],
        scopes=[scope for resource in resources for scope in resource.scopes],
        resources=[resource.identifier for resource in resources],
        service_documentation=f"{ISSUER}/docs",
    )


@pytest.mark.parametrize("address", [PROTECTED, f"{PROTECTED}/mcp", f"{PROTECTED}/mcp/", f"/mcp{PROTECTED}"])
async def test_the_resource_is_described_wherever_clients_look(address: str) -> None:
    async with serving(NOTES) as http:
        response = await http.get(address)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "public, max-age=300"
    assert response.json() == resource_metadata(NOTES, issuers=[ISSUER], takes_dpop=True)


@pytest.mark.parametrize("well_known", [OAUTH, OPENID])
@pytest.mark.parametrize("shape", ["{0}", "{0}/mcp", "{0}/mcp/", "/mcp{0}"])
async def test_the_authorization_server_is_described_wherever_clients_look(well_known: str, shape: str) -> None:
    async with serving(NOTES) as http:
        response = await http.get(shape.format(well_known))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "public, max-age=60"
    assert response.json() == server_document(NOTES)


async def test_each_of_several_resources_has_its_own_document_and_the_first_stands_at_the_root() -> None:
    async with serving(NOTES, MAIL) as http:
        documents = {path: (await http.get(PROTECTED + path)).json() for path in ("", "/mcp", "/mail/mcp")}
        server = (await http.get(f"/mail/mcp{OPENID}")).json()
    assert {path: document["resource"] for path, document in documents.items()} == {
        "": NOTES.identifier,
        "/mcp": NOTES.identifier,
        "/mail/mcp": MAIL.identifier,
    }
    assert server == server_document(NOTES, MAIL)


async def test_a_resource_that_lives_at_the_root_is_described_there_whatever_its_place() -> None:
    async with serving(NOTES, ROOT) as http:
        assert (await http.get(PROTECTED)).json()["resource"] == ISSUER
        assert (await http.get(f"{PROTECTED}/mcp")).json()["resource"] == NOTES.identifier


async def test_no_other_address_is_answered() -> None:
    async with serving(NOTES) as http:
        for address in (f"{PROTECTED}/other", f"{PROTECTED}/", f"{OAUTH}/other", f"/other{OPENID}", f"{PROTECTED}x"):
            assert (await http.get(address)).status_code == 404


@pytest.mark.parametrize("address", [PROTECTED, f"{OAUTH}/mcp", f"/mcp{OPENID}"])
async def test_head_is_answered_like_get_and_nothing_else_is(address: str) -> None:
    async with serving(NOTES) as http:
        assert (await http.head(address)).status_code == 200
        assert (await http.post(address)).status_code == 405


async def test_registration_is_advertised_only_where_it_is_offered() -> None:
    closed = AuthorizationServer(issuer=ISSUER, lifetimes=Lifetimes(), registration_enabled=False)
    async with serving(NOTES, server=closed) as http:
        assert "registration_endpoint" not in (await http.get(OAUTH)).json()


async def test_offline_access_is_advertised_nowhere() -> None:
    async with serving(NOTES) as http:
        for address in (PROTECTED, OAUTH, OPENID):
            assert "offline_access" not in (await http.get(address)).text


def test_what_clients_may_register_for_is_what_the_rules_take_by_default() -> None:
    assert registrable(GRANT_TYPES) == DEFAULT_GRANT_TYPES


def test_the_api_description_has_one_entry_for_each_kind_of_address() -> None:
    endpoints = MetadataEndpoints(authorization_server=SERVER, resources=(NOTES,))
    assert set(described(endpoints.routes())) == {PROTECTED, OAUTH, OPENID}
