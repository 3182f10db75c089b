"""A person with a browser and an app, at an installation over ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from fastapi import FastAPI

from tests.attacks.installed import CHALLENGE, ORIGIN, VERIFIER
from tests.web.pages.pages_world import Form

CALLBACK = "https://app.example/cb"
MODERN = "2026-07-28"


@dataclass
class Person:
    """Goes to an authorization URL of an app, and calls tools with what the app got."""

    http: httpx2.AsyncClient
    client_id: str = ""
    tokens: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the app got last."""

    async def arrive(self, **more: str) -> httpx2.Response:
        """Open the authorization URL and go to the login page; return what it says."""
        if not self.client_id:
            registered = await self.http.post("/oauth/register", json={"redirect_uris": [CALLBACK]})
            self.client_id = registered.json()["client_id"]
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "state": "its own",
            **more,
        }
        asked = await self.http.get(f"/oauth/authorize?{urlencode(query)}")
        return await self.http.get(asked.headers["location"])

    async def submit(self, page: httpx2.Response, **typed: str) -> httpx2.Response:
        """Send the form of a page."""
        form = Form(page.text)
        return await self.http.post(form.action or "", data={**form.fields, **typed}, headers={"Origin": ORIGIN})

    async def allow(self, logged_in: httpx2.Response) -> str:
        """Follow to the consent page, approve, and return the app's access token."""
        consent = await self.http.get(logged_in.headers["location"])
        approved = await self.submit(consent, decision="approve")
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": parse_qs(urlsplit(approved.headers["location"]).query)["code"][0],
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        self.tokens = (await self.http.post("/oauth/token", data=form)).json()
        token: str = self.tokens["access_token"]
        return token

    async def refresh(self, **more: str) -> httpx2.Response:
        """Use the refresh token as the app would."""
        form = {"grant_type": "refresh_token", "client_id": self.client_id, **more}
        answer = await self.http.post("/oauth/token", data={**form, "refresh_token": self.tokens["refresh_token"]})
        if answer.status_code == 200:
            self.tokens = answer.json()
        return answer

    async def call(self, token: str | None, tool: str, **arguments: Any) -> str:
        """Call a tool in the modern era, and return its text."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "app", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params: dict[str, Any] = {"name": tool, "arguments": arguments, "_meta": meta}
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool}
        return _text(await self._post(token, "tools/call", params, headers))

    async def call_in_session(self, token: str, tool: str) -> str:
        """Begin a session of the handshake era, call a tool in it, and return its text."""
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "app", "version": "1"}}
        begun = await self._post(token, "initialize", hello, {})
        headers = {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": begun.headers["mcp-session-id"]}
        return _text(await self._post(token, "tools/call", {"name": tool, "arguments": {}}, headers))

    async def _post(
        self, token: str | None, method: str, params: dict[str, Any], headers: dict[str, str]
    ) -> httpx2.Response:
        sent = {"Accept": "application/json, text/event-stream", **headers}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self.http.post("/mcp", json=message, headers=sent)


def _text(answer: httpx2.Response) -> str:
    text: str = answer.json()["result"]["content"][0]["text"]
    return text


@asynccontextmanager
async def person_at(app: FastAPI, *, origin: str = ORIGIN) -> AsyncIterator[Person]:
    """Start the app, and have a person there."""
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=origin) as http,
    ):
        yield Person(http)
