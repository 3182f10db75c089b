"""A client of an MCP endpoint that sends what it is told and shows the whole answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.attacks.installed import ORIGIN

MODERN = "2026-07-28"
SESSIONS = "2025-11-25"
_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


@dataclass
class Caller:
    """Sends requests with a token, in the modern era."""

    http: httpx2.AsyncClient
    path: str = "/mcp"

    async def ask(self, method: str, token: str | None = None, **params: Any) -> httpx2.Response:
        """Send one request; return the HTTP response."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "app", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": MODERN}
        headers["Mcp-Method"] = method
        if method in _NAMED_BY:
            headers["Mcp-Name"] = params[_NAMED_BY[method]]
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        return await self.http.post(self.path, json=message, headers=headers)

    async def result(self, method: str, token: str | None = None, **params: Any) -> dict[str, Any]:
        """Return the result of a request that succeeds."""
        answer = await self.ask(method, token, **params)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = _message_in(answer)["result"]
        return result

    async def call(self, tool: str, token: str | None = None, /, **arguments: Any) -> dict[str, Any]:
        """Return the result of a tool."""
        return await self.result("tools/call", token, name=tool, arguments=arguments)

    async def names(self, kind: str, token: str | None = None) -> list[str]:
        """Return what `tools/list` or its kin list, by name."""
        return [one["name"] for one in (await self.result(f"{kind}/list", token))[kind]]


def _message_in(answer: httpx2.Response) -> dict[str, Any]:
    """Return the JSON-RPC message of an answer: its body, or the last event of its stream."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        message: dict[str, Any] = answer.json()
        return message
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    last: dict[str, Any] = json.loads(events[-1])
    return last


@asynccontextmanager
async def caller_of(app: Any, *, origin: str = ORIGIN, path: str = "/mcp") -> AsyncIterator[Caller]:
    """Start what `create_app` returned, and have a client there."""
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=origin) as http,
    ):
        yield Caller(http, path)


def text_of(result: Mapping[str, Any]) -> str:
    """Return the one text of a tool's result."""
    (block,) = result["content"]
    text: str = block["text"]
    return text
