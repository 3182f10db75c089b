"""The official Python client, with its own OAuth flow, in both eras and every handshake revision."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp_types import TextContent
from pydantic import AnyUrl

from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import App, Person, open_http

ERAS = ["2026-07-28", "legacy", "auto"]


@dataclass
class Memory:
    """The client's own storage."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Visits:
    """Counts how often the client needed its user's browser."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.count = 0
        self.location = ""

    async def open(self, url: str) -> None:
        self.count += 1
        self.location = await asyncio.to_thread(self.person.decide, url)

    async def callback(self) -> AuthorizationCodeResult:
        answer = {name: value for name, (value,) in parse_qs(urlsplit(self.location).query).items()}
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))


@asynccontextmanager
async def connected(server: RunningServer, memory: Memory, visits: Visits, *, mode: str) -> AsyncIterator[Client]:
    """Connect as any user of the SDK would."""
    provider = OAuthClientProvider(
        server_url=server.mcp_url,
        client_metadata=OAuthClientMetadata(
            client_name="Official client", redirect_uris=[AnyUrl("http://127.0.0.1:3030/callback")]
        ),
        storage=memory,
        redirect_handler=visits.open,
        callback_handler=visits.callback,
    )
    async with (
        local_http.async_client(auth=provider) as http,
        Client(streamable_http_client(server.mcp_url, http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.mark.parametrize("mode", ERAS)
async def test_it_discovers_registers_logs_in_and_calls(
    shared_server: RunningServer, shared_owner: Person, mode: str
) -> None:
    memory, visits = Memory(), Visits(shared_owner)
    async with connected(shared_server, memory, visits, mode=mode) as client:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == ["add", "both", "whoami", "fail", "wait"]
        result = await client.call_tool("add", {"text": "milk"})
        assert not result.is_error
        (block,) = result.content
        assert isinstance(block, TextContent)
        assert block.text.endswith(" noted: milk")
        who = await client.call_tool("whoami", {})
        assert who.structured_content == {
            "name": "owner",
            "client": "Official client",
            "scopes": ["notes:read", "notes:write"],
        }
        refused = await client.call_tool("add", {"text": 5})
        assert refused.is_error
        assert isinstance(refused.content[0], TextContent)
        assert "text" in refused.content[0].text
    assert visits.count == 1


@pytest.mark.parametrize("mode", ERAS)
async def test_it_goes_on_without_a_login_after_kill_nine(server: RunningServer, owner: Person, mode: str) -> None:
    memory, visits = Memory(), Visits(owner)
    async with connected(server, memory, visits, mode=mode) as client:
        await client.call_tool("add", {"text": "before"})
    server.kill()
    server.start()
    async with connected(server, memory, visits, mode=mode) as client:
        assert not (await client.call_tool("add", {"text": "after"})).is_error
    assert visits.count == 1


@pytest.mark.parametrize("mode", ERAS)
async def test_scopes_hide_tools_and_ask_for_more_at_once(
    shared_server: RunningServer, shared_owner: Person, mode: str
) -> None:
    app = App(shared_server.origin, scope="notes:read").register()
    location = await asyncio.to_thread(shared_owner.decide, app.authorization_url())
    token = app.redeem(app.code_from(location)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        local_http.async_client(headers=headers) as http,
        Client(streamable_http_client(shared_server.mcp_url, http_client=http), mode=mode) as client,
    ):
        assert [tool.name for tool in (await client.list_tools()).tools] == ["whoami", "fail", "wait"]


@pytest.mark.parametrize("revision", ["2025-11-25", "2025-06-18", "2025-03-26"])
def test_every_handshake_revision_is_spoken(shared_server: RunningServer, shared_owner: Person, revision: str) -> None:
    app = App(shared_server.origin).register()
    tokens = app.redeem(app.code_from(shared_owner.decide(app.authorization_url()))).json()
    http = open_http(
        headers={
            "Authorization": f"Bearer {tokens['access_token']}",
            "Accept": "application/json, text/event-stream",
        }
    )

    def post(message: dict[str, object], **headers: str) -> httpx2.Response:
        return http.post(shared_server.mcp_url, json={"jsonrpc": "2.0", **message}, headers=headers)

    hello = post(
        {
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": revision,
                "capabilities": {},
                "clientInfo": {"name": "old", "version": "1"},
            },
        }
    )
    assert hello.json()["result"]["protocolVersion"] == revision
    assert hello.json()["result"]["serverInfo"]["name"] == "sample"
    further = {"MCP-Protocol-Version": revision}
    assert post({"method": "notifications/initialized"}, **further).status_code == 202
    assert post({"id": 2, "method": "ping"}, **further).json()["result"] == {}
    listed = post({"id": 3, "method": "tools/list"}, **further).json()["result"]
    assert [tool["name"] for tool in listed["tools"]] == ["add", "both", "whoami", "fail", "wait"]
    called = post(
        {"id": "four", "method": "tools/call", "params": {"name": "add", "arguments": {"text": "x"}}}, **further
    ).json()
    assert called["id"] == "four"
    assert called["result"]["content"][0]["text"].endswith("noted: x")
    assert "resultType" not in called["result"]
