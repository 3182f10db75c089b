"""A client and the person at its browser, over one connection pool to a proxy, from an address of their own."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx2

from tools.clients.person import PASSWORD, USERNAME
from tools.conformance.browser import UnexpectedPageError, find_form

ADDRESS = "127.0.0.2"  # loopback too, and not the proxy's, so it can be told from it
MODERN, SESSION = "2026-07-28", "2025-11-25"
_REDIRECT_URI = "http://127.0.0.1:9/callback"
_PATIENCE = 120.0


class RefusedError(Exception):
    """An answer is not the one that a step needs; the text says which."""


class Visitor:
    """Registers, logs in, calls."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        transport = httpx2.AsyncHTTPTransport(local_address=ADDRESS)
        self.http = httpx2.AsyncClient(base_url=origin, transport=transport, timeout=_PATIENCE)
        self.token = ""
        self.session = ""

    async def log_in(self) -> None:
        """Walk from the refused request over discovery to tokens, and refresh them once."""
        refused = await self.http.post("/mcp", json={})
        challenge = refused.headers.get("www-authenticate", "")
        if f'resource_metadata="{self.origin}/' not in challenge:
            raise RefusedError(f"the challenge names another origin: {refused.status_code} {challenge}")
        metadata = (await self._good("GET", "/.well-known/oauth-authorization-server")).json()
        application = {"client_name": "Visitor", "redirect_uris": [_REDIRECT_URI]}
        client_id = (await self._good("POST", metadata["registration_endpoint"], json=application)).json()["client_id"]
        verifier = secrets.token_urlsafe(48)
        code = await self._approve(metadata["authorization_endpoint"], client_id, verifier)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": _REDIRECT_URI,
            "client_id": client_id,
            "code_verifier": verifier,
        }
        tokens = (await self._good("POST", metadata["token_endpoint"], data=form)).json()
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client_id}
        self.token = (await self._good("POST", metadata["token_endpoint"], data=form)).json()["access_token"]

    async def register(self, **headers: str) -> str:
        """Register with these headers as well; return the client's id."""
        application = {"client_name": "Visitor", "redirect_uris": [_REDIRECT_URI]}
        answer = await self._good("POST", "/oauth/register", json=application, headers=headers)
        return str(answer.json()["client_id"])

    async def begin_session(self) -> None:
        """Initialize a session."""
        hello = {"protocolVersion": SESSION, "capabilities": {}, "clientInfo": {"name": "Visitor", "version": "1"}}
        async with self.send("initialize", hello, revision="") as answer:
            await answer.aread()
            self.session = answer.headers.get("mcp-session-id", "")
        if not self.session:
            raise RefusedError(f"no session: {answer.status_code}")

    @asynccontextmanager
    async def send(self, method: str, params: dict[str, Any], *, revision: str) -> AsyncIterator[httpx2.Response]:
        """Send a request and give the answer as its body begins."""
        headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {self.token}"}
        if revision:
            headers["MCP-Protocol-Version"] = revision
        if revision == MODERN:
            headers |= {"Mcp-Method": method, "Mcp-Name": params["name"]}
            meta = {
                "protocolVersion": MODERN,
                "clientInfo": {"name": "Visitor", "version": "1"},
                "clientCapabilities": {},
            }
            params = {**params, "_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}
        elif revision:
            headers["Mcp-Session-Id"] = self.session
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.http.stream("POST", "/mcp", json=message, headers=headers) as answer:
            yield answer

    async def call(self, tool: str, revision: str, **arguments: Any) -> str:
        """Call a tool; return its text.

        Raises:
            RefusedError: The answer is no result; the text gives its status.
            httpx2.HTTPError: There is no whole answer.
        """
        async with self.send("tools/call", {"name": tool, "arguments": arguments}, revision=revision) as answer:
            body = (await answer.aread()).decode()
        for line in body.splitlines() if "event-stream" in answer.headers.get("content-type", "") else [body]:
            result = result_in(line.removeprefix("data:"))
            if result is not None:
                return result
        raise RefusedError(f"status {answer.status_code}")

    @asynccontextmanager
    async def resume(self, last_event_id: str) -> AsyncIterator[httpx2.Response]:
        """Take a session's stream up again."""
        headers = {
            "Accept": "text/event-stream",
            "Authorization": f"Bearer {self.token}",
            "MCP-Protocol-Version": SESSION,
            "Mcp-Session-Id": self.session,
            "Last-Event-ID": last_event_id,
        }
        async with self.http.stream("GET", "/mcp", headers=headers) as answer:
            yield answer

    async def _approve(self, endpoint: str, client_id: str, verifier: str) -> str:
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": _REDIRECT_URI,
            "state": secrets.token_urlsafe(8),
            "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
            .rstrip(b"=")
            .decode(),
            "code_challenge_method": "S256",
            "resource": f"{self.origin}/mcp",
        }
        page = await self._follow(await self.http.get(endpoint, params=query))
        page = await self._submit(page, {"username": USERNAME, "password": PASSWORD})
        page = await self._submit(page, {"decision": "approve"})
        return parse_qs(urlsplit(page.headers["location"]).query)["code"][0]

    async def _follow(self, page: httpx2.Response) -> httpx2.Response:
        while page.is_redirect and not page.headers["location"].startswith(_REDIRECT_URI):
            page = await self.http.get(page.headers["location"])
        return page

    async def _submit(self, page: httpx2.Response, answers: dict[str, str]) -> httpx2.Response:
        form = find_form(page.text, set(answers))
        if form is None:
            raise UnexpectedPageError(f"{page.url.path} answers {page.status_code}, without {' and '.join(answers)}")
        target = page.url.join(form.action)
        fields = {**form.values, **answers}
        return await self._follow(await self.http.post(target, data=fields, headers={"Origin": self.origin}))

    async def _good(self, method: str, url: str, **options: Any) -> httpx2.Response:
        answer = await self.http.request(method, url, **options)
        if not answer.is_success:
            raise RefusedError(f"{urlsplit(url).path} answers {answer.status_code}")
        return answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()


def result_in(text: str) -> str | None:
    """Return the text of a tool's result if this is a message with one."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    content = message.get("result", {}).get("content") if isinstance(message, dict) else None
    return "".join(part.get("text", "") for part in content) if content is not None else None
