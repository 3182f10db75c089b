"""What strangers may read of a server: its card, the catalog, and what the MCP registry looks for."""

from __future__ import annotations

from typing import Any

import httpx2
import orjson
import pytest

from gatepost import Server, create_app
from gatepost.configuration.settings import load_settings
from gatepost.stores.sql.sqlite import memory_store

PUBLIC = "https://mcp.example.com"
CARD = "/mcp/server-card"
CATALOG = "/.well-known/ai-catalog.json"
PROOF = f"v=MCPv1; k=ed25519; p={'A' * 43}="


def a_server(name: str = "notes", **said: Any) -> Server:
    server = Server(name, version="1.2.0", **said)

    @server.tool(scopes=["notes:secret"])
    async def hidden_thing() -> str:
        """Nobody sees this."""
        return ""

    return server


async def ask(
    path: str, targets: Any = None, *, method: str = "GET", headers: dict[str, str] | None = None, **variables: str
) -> httpx2.Response:
    settings = load_settings(
        {
            "MCP_PUBLIC_URL": PUBLIC,
            "MCP_SEALING_KEYS": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
            **variables,
        },
        env_file=None,
        environment={},
    )
    app = create_app(targets or a_server(), settings=settings, store=memory_store(), announce=lambda _: None)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=PUBLIC) as client:
        return await client.request(method, path, headers=headers)


async def test_a_card_says_who_the_server_is_and_where() -> None:
    answer = await ask(CARD, a_server(title="Notes", description="Keeps your notes."))

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/mcp-server-card+json")
    card = answer.json()
    assert card["name"] == "com.example.mcp/notes"
    assert (card["title"], card["description"], card["version"]) == ("Notes", "Keeps your notes.", "1.2.0")
    assert card["remotes"][0]["url"] == f"{PUBLIC}/mcp"


async def test_a_card_says_nothing_of_what_the_server_offers() -> None:
    text = (await ask(CARD, a_server(instructions="Be brief."))).text

    assert "hidden_thing" not in text
    assert "notes:secret" not in text
    assert "Be brief" not in text


@pytest.mark.parametrize("path", [CATALOG, "/.well-known/ard.json"])
async def test_the_catalog_lists_the_card_of_each_server(path: str) -> None:
    answer = await ask(path, {"/notes": a_server(), "/mail": a_server("mail")}, MCP_SERVER_NAMESPACE="org.example")

    assert answer.headers["content-type"] == "application/ai-catalog+json"
    assert [entry["url"] for entry in answer.json()["entries"]] == [
        f"{PUBLIC}/notes/server-card",
        f"{PUBLIC}/mail/server-card",
    ]
    assert [entry["identifier"] for entry in answer.json()["entries"]] == [
        "urn:air:mcp.example.com:mcp:notes",
        "urn:air:mcp.example.com:mcp:mail",
    ]


async def test_servers_that_are_called_alike_have_different_names() -> None:
    entries = (await ask(CATALOG, {"/a": a_server(), "/b": a_server()})).json()["entries"]

    assert len({entry["identifier"] for entry in entries}) == 2


@pytest.mark.parametrize("path", [CARD, CATALOG])
async def test_pages_of_every_origin_may_read_and_caches_may_keep_it(path: str) -> None:
    answer = await ask(path, headers={"Origin": "https://elsewhere.example"})

    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_who_has_it_already_is_told_so(form: str) -> None:
    etag = (await ask(CARD)).headers["etag"]

    answer = await ask(CARD, headers={"If-None-Match": form.format(etag)})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag


async def test_who_has_another_one_gets_it() -> None:
    assert (await ask(CARD, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_head_says_what_get_would() -> None:
    got, headed = await ask(CARD), await ask(CARD, method="HEAD")

    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["etag"] == got.headers["etag"]
    assert (await ask(CARD, method="POST")).status_code == 405


async def test_the_card_agrees_with_what_a_client_hears_once_it_is_connected() -> None:
    card = (await ask(CARD, a_server(title="Notes"))).json()
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": _meta()})
    settings = load_settings({"MCP_REQUIRE_AUTH": "false"}, env_file=None, environment={})
    app = create_app(a_server(title="Notes"), settings=settings, store=memory_store(), announce=lambda _: None)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1:8000") as client:
        headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "server/discover",
        }
        heard = (await client.post("/mcp", content=body, headers=headers)).json()["result"]
    info = heard["_meta"]["io.modelcontextprotocol/serverInfo"]
    assert (card["name"].partition("/")[2], card["version"], card["title"]) == (
        info["name"],
        info["version"],
        info["title"],
    )
    assert card["remotes"][0]["supportedProtocolVersions"] == heard["supportedVersions"]


def _meta() -> dict[str, Any]:
    return {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    }


async def test_a_server_that_strangers_need_not_know_of_has_neither() -> None:
    assert (await ask(CARD, MCP_SERVER_CARD="false")).status_code == 404
    assert (await ask(CATALOG, MCP_SERVER_CARD="false")).status_code == 404


async def test_a_bare_function_has_no_card() -> None:
    def handle(message: dict[str, Any]) -> dict[str, Any] | None: ...

    assert (await ask(CARD, handle)).status_code == 404
    assert (await ask(CATALOG, handle)).status_code == 404


async def test_the_registry_finds_the_proof_that_is_set_and_nothing_otherwise() -> None:
    answer = await ask("/.well-known/mcp-registry-auth", MCP_REGISTRY_AUTH=PROOF)

    assert (answer.status_code, answer.text.strip()) == (200, PROOF)
    assert answer.headers["content-type"].startswith("text/plain")
    assert (await ask("/.well-known/mcp-registry-auth")).status_code == 404
