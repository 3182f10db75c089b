import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gatepost.oauth.records import Client
from gatepost.oauth.registration import MAX_BODY
from gatepost.stores.contract.clients import ClientStore
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import fingerprint
from gatepost.web.oauth.client_registry import ClientRegistry
from gatepost.web.oauth.register import RegisterEndpoint
from gatepost.web.site.limits import Limits
from gatepost.web.site.routing import described
from tests.web.served import Served

ENDPOINT = "https://mcp.example.com/oauth/register"
JSON = {"content-type": "application/json"}
LOOPBACK = "http://127.0.0.1:33418/"


def endpoint_with(clients: ClientStore, *, registration_enabled: bool = True) -> RegisterEndpoint:
    registry = ClientRegistry(
        clients=clients,
        known_scopes={"notes:read"},
        issuer="https://mcp.example.com",
        now=lambda: 1000,
        random_bytes=lambda count: b"\xab" * count,
    )
    limits = Limits(store=memory_store().limits, now=lambda: 1000)
    return RegisterEndpoint(registry=registry, limits=limits, registration_enabled=registration_enabled)


def app_with(clients: ClientStore, *, registration_enabled: bool = True) -> Served:
    return Served(endpoint_with(clients, registration_enabled=registration_enabled).routes())


def talking_to(app: Served) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))


@pytest.fixture
def store() -> Store:
    return memory_store()


@pytest.fixture
async def http(store: Store) -> AsyncIterator[httpx2.AsyncClient]:
    async with talking_to(app_with(store.clients)) as client:
        yield client


async def test_a_public_client_registers(http: httpx2.AsyncClient, store: Store) -> None:
    asked = {
        "client_name": "Visual Studio Code",
        "redirect_uris": [LOOPBACK, "https://vscode.dev/redirect"],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "scope": "openid notes:read",
        "client_uri": None,
    }
    response = await http.post(ENDPOINT, json=asked)
    assert (response.status_code, response.json()) == (
        201,
        {
            "client_id": "client_q6urq6urq6urq6urq6urqw",
            "client_id_issued_at": 1000,
            "client_name": "Visual Studio Code",
            "redirect_uris": [LOOPBACK, "https://vscode.dev/redirect"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
            "scope": "notes:read",
            "registration_access_token": "gp_ra_" + "q6ur" * 10 + "q6s",
            "registration_client_uri": "https://mcp.example.com/oauth/register/client_q6urq6urq6urq6urq6urqw",
        },
    )
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert await store.clients.find_client("client_q6urq6urq6urq6urq6urqw") == Client(
        client_id="client_q6urq6urq6urq6urq6urqw",
        client_name="Visual Studio Code",
        redirect_uris=(LOOPBACK, "https://vscode.dev/redirect"),
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        token_endpoint_auth_method="none",
        application_type="native",
        scope="notes:read",
        client_uri=None,
        logo_uri=None,
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=False,
        secret_fingerprint=None,
        created_at=1000,
        registration_token_fingerprint=fingerprint("gp_ra_" + "q6ur" * 10 + "q6s"),
    )


async def test_cursors_three_redirect_uris_are_all_taken(http: httpx2.AsyncClient) -> None:
    uris = [
        "cursor://anysphere.cursor-retrieval/oauth/user-notes/callback",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
    ]
    answer = (await http.post(ENDPOINT, json={"client_name": "Cursor", "redirect_uris": uris})).json()
    assert (answer["redirect_uris"], answer["application_type"]) == (uris, "native")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_confidential_client_gets_a_secret_that_is_kept_only_as_its_fingerprint(
    method: str, http: httpx2.AsyncClient, store: Store
) -> None:
    asked = {"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": method}
    answer = (await http.post(ENDPOINT, json=asked)).json()
    assert answer["token_endpoint_auth_method"] == method
    assert re.fullmatch(r"gp_cs_[A-Za-z0-9_-]{43}", answer["client_secret"])
    assert answer["client_secret_expires_at"] == 0
    client = await store.clients.find_client(answer["client_id"])
    assert client is not None
    assert client.secret_fingerprint == fingerprint(answer["client_secret"])
    assert answer["client_secret"] not in repr(client)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a.example/cb", "http://a.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"redirect_uris": [LOOPBACK], "grant_types": ["implicit"]}, "invalid_client_metadata"),
        ([], "invalid_client_metadata"),
        (None, "invalid_client_metadata"),
    ],
)
async def test_what_cannot_be_registered_is_refused_and_nothing_is_kept(
    document: Any, error: str, http: httpx2.AsyncClient, store: Store
) -> None:
    response = await http.post(ENDPOINT, content=json.dumps(document), headers=JSON)
    assert (response.status_code, response.json()["error"]) == (400, error)
    assert response.headers["cache-control"] == "no-store"
    assert await store.clients.find_client("client_q6urq6urq6urq6urq6urqw") is None


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
async def test_only_json_is_read(content_type: str, http: httpx2.AsyncClient) -> None:
    response = await http.post(
        ENDPOINT, content=json.dumps({"redirect_uris": [LOOPBACK]}), headers={"content-type": content_type}
    )
    assert (response.status_code, response.json()) == (
        400,
        {
            "error": "invalid_client_metadata",
            "error_description": "Send the metadata as application/json (RFC 7591 section 3.1).",
        },
    )


async def test_json_may_name_its_charset(http: httpx2.AsyncClient) -> None:
    response = await http.post(
        ENDPOINT,
        content=json.dumps({"redirect_uris": [LOOPBACK]}),
        headers={"content-type": "application/json; charset=utf-8"},
    )
    assert response.status_code == 201


async def test_a_body_up_to_the_limit_is_read_and_not_a_byte_more(http: httpx2.AsyncClient) -> None:
    document = json.dumps({"redirect_uris": [LOOPBACK]})
    assert (await http.post(ENDPOINT, content=document.ljust(MAX_BODY), headers=JSON)).status_code == 201
    response = await http.post(ENDPOINT, content=document.ljust(MAX_BODY + 1), headers=JSON)
    assert (response.status_code, response.json()) == (
        413,
        {"error": "invalid_request", "error_description": "The body is too large; send at most 16384 bytes."},
    )


async def test_a_deeply_nested_body_is_refused(http: httpx2.AsyncClient) -> None:
    nested = '{"redirect_uris": ' + "[" * 8_000 + "]" * 8_000 + "}"
    assert (await http.post(ENDPOINT, content=nested, headers=JSON)).status_code == 400


async def test_the_log_says_why_and_repeats_nothing(http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gatepost")
    await http.post(ENDPOINT, json={"client_name": "hunter2", "redirect_uris": ["http://hunter2.example/"]})
    assert [record.getMessage() for record in caplog.records] == [
        "refused at /oauth/register: redirect_uri_invalid (invalid_redirect_uri)"
    ]


async def test_registration_that_is_switched_off_says_what_to_do(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gatepost")
    async with talking_to(app_with(store.clients, registration_enabled=False)) as http:
        response = await http.post(ENDPOINT, json={"redirect_uris": [LOOPBACK]})
    assert (response.status_code, response.json()) == (
        403,
        {
            "error": "access_denied",
            "error_description": "Dynamic client registration is switched off here; ask the operator of this server "
            "for a client_id.",
        },
    )
    assert [vars(record)["reason"] for record in caplog.records] == ["registration_disabled"]


async def test_a_store_that_is_down_is_503_and_no_client_is_promised(
    http: httpx2.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_client: Client, **_: object) -> int:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(store.clients, "register_client", fail)
    response = await http.post(ENDPOINT, json={"redirect_uris": [LOOPBACK]})
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    assert "retry-after" in response.headers


async def test_there_is_nothing_to_get(http: httpx2.AsyncClient) -> None:
    response = await http.get(ENDPOINT)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_the_endpoint_is_documented(store: Store) -> None:
    operation = described(endpoint_with(store.clients).routes())["/oauth/register"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert operation["summary"] == "Register a client"
    assert set(schema["properties"]) >= {"redirect_uris", "client_name", "token_endpoint_auth_method", "scope"}
    assert set(operation["responses"]) == {"201", "400", "401", "403", "408", "413", "421", "429", "500", "503"}
