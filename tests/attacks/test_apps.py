"""Attacks on apps: pages and tools of others, and policies that say more than they seem to (MCP SEP-1865)."""

from __future__ import annotations

import pytest

from gatepost import Server
from gatepost.protocol.errors import InvalidParams, UnknownResource
from gatepost.protocol.versions import REVISION_2025_11_25, REVISION_2026_07_28, Revision
from gatepost.server.errors import InsufficientScope, ToolDefinitionError
from tests.extensions.asking import ask

KNOWS = {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}
ERAS = pytest.mark.parametrize("revision", [REVISION_2025_11_25, REVISION_2026_07_28])


@pytest.fixture
def server() -> Server:
    """A server with an open tool, and a guarded one that only a guarded page calls."""
    server = Server("bank")
    server.ui("ui://bank/vault", name="vault")(lambda: "<!doctype html><p>the vault</p>")
    guarded = {"resourceUri": "ui://bank/vault", "visibility": ["app"]}
    server.tool(name="open_vault", ui=guarded, scopes=["vault:open"])(lambda: "gold")
    server.tool(name="hello")(lambda: "hello")
    return server


@ERAS
async def test_a_hidden_tool_of_others_is_neither_seen_nor_called(server: Server, revision: Revision) -> None:
    for extensions in (None, KNOWS):
        listed = await ask(server, "tools/list", granted=set(), extensions=extensions, revision=revision)
        assert [tool["name"] for tool in listed["tools"]] == ["hello"]
        with pytest.raises(InsufficientScope) as caught:
            await ask(
                server,
                "tools/call",
                {"name": "open_vault", "arguments": {}},
                granted={"hello"},
                extensions=extensions,
                revision=revision,
            )
        assert caught.value.scopes == {"vault:open"}


@ERAS
async def test_whoever_claims_to_show_pages_gains_no_scope(server: Server, revision: Revision) -> None:
    assert "vault" not in str(await ask(server, "resources/list", granted=set(), extensions=KNOWS, revision=revision))
    for uri in ("ui://bank/vault", "UI://BANK/vault", "ui://bank/%76ault"):
        with pytest.raises(InsufficientScope):
            await ask(server, "resources/read", {"uri": uri}, granted=set(), extensions=KNOWS, revision=revision)


@ERAS
@pytest.mark.parametrize(
    "uri", ["ui://bank/../vault", "ui://bank/vault/", "ui://bank/vault?x", "ui://bank", "ui://other/vault"]
)
async def test_no_other_uri_leads_to_a_page(server: Server, revision: Revision, uri: str) -> None:
    with pytest.raises((InvalidParams, UnknownResource)):
        await ask(server, "resources/read", {"uri": uri}, revision=revision)


async def test_a_list_of_one_kind_of_client_is_not_handed_to_the_other(server: Server) -> None:
    granted = {"vault:open"}
    shown = await ask(server, "tools/list", granted=granted, extensions=KNOWS)
    hidden = await ask(server, "tools/list", granted=granted)

    assert [tool["name"] for tool in shown["tools"]] == ["open_vault", "hello"]
    assert [tool["name"] for tool in hidden["tools"]] == ["hello"]
    assert shown["cacheScope"] == hidden["cacheScope"] == "private"


async def test_a_list_that_depends_on_the_client_is_for_no_cache_to_share() -> None:
    server = Server("open")
    server.tool(name="plain")(lambda: "x")
    assert (await ask(server, "tools/list"))["cacheScope"] == "public"

    server.tool(name="refresh", ui={"visibility": ["app"]})(lambda: "x")
    for extensions in (None, KNOWS):
        assert (await ask(server, "tools/list", extensions=extensions))["cacheScope"] == "private"


async def test_a_tool_of_another_server_opens_no_page_of_this_one(server: Server) -> None:
    outer = Server("outer")
    outer.include(server)
    with pytest.raises(ToolDefinitionError, match="already"):
        outer.tool(name="hello", ui="ui://bank/vault")(lambda: "open to all")

    for each in (server, outer):
        with pytest.raises(InsufficientScope):
            await ask(each, "resources/read", {"uri": "ui://bank/vault"}, granted=set())


@pytest.mark.parametrize(
    "origin",
    [
        "https://good.example; script-src *",
        "https://good.example\r\nX-Header: x",
        "https://good.example https://evil.example",
        "https://good.example,evil.example",
        "'unsafe-eval'",
        "javascript:alert(1)",
        "*",
        "https://*.*",
        "https://good.example:443@evil.example",
        "https://good.example\u0000",
        "https://gооd.example",  # noqa: RUF001 - the point: letters that look alike
    ],
)
def test_nothing_but_an_origin_comes_into_a_policy(origin: str) -> None:
    for member in ("connectDomains", "resourceDomains", "frameDomains", "baseUriDomains"):
        with pytest.raises(ToolDefinitionError, match="is no origin"):
            Server("bank").ui("ui://bank/page", csp={member: [origin]})(lambda: "<!doctype html>")
