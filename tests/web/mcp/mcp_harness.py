"""An MCP endpoint with tools of every kind, and a client that speaks ASGI to it without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from starlette.types import Message, Send

from gatepost.resource.resources import ProtectedResource
from gatepost.server.calls.cancellation import CancelScope
from gatepost.server.calls.context import Context
from gatepost.server.calls.current_caller import get_current_sub
from gatepost.server.dispatch import ServerTarget
from gatepost.server.server import Server
from gatepost.server.target import Target
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.grants import GrantStore, LiveAccessToken
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from gatepost.web.mcp.endpoint import McpEndpoint
from gatepost.web.mcp.exchange.http_exchange import HttpExchange
from gatepost.web.mcp.exchange.keep_alive import CallLater, KeepAlive
from gatepost.web.resource.bearer_guard import BearerGuard

ORIGIN = "https://mcp.example.com"
HOST = b"mcp.example.com"
RESOURCE = ProtectedResource(
    f"{ORIGIN}/mcp", "/mcp", "Notes", {"notes:read": "Read", "notes:write": "Write", "base": "Use"}
)
READER = mint(SecretKind.ACCESS_TOKEN, lambda count: b"r" * count)
"""A token for `base` and `notes:read`."""
STRANGER = mint(SecretKind.ACCESS_TOKEN, lambda count: b"s" * count)
"""A token without scopes."""
NOW = 1_000
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
WHO = {"io.modelcontextprotocol/serverInfo": {"name": "notes", "version": "0.0.0"}}
INCIDENT = "Something went wrong on the server; its log explains it as incident abababababababab."


class Grants:
    """The one operation of `GrantStore` that the guard uses."""

    def __init__(self) -> None:
        self.is_down = False
        self.look_ups = 0
        self.scopes = {READER: ("base", "notes:read"), STRANGER: ()}

    async def find_access_token(self, token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        """Find a token, whatever the time."""
        del now
        self.look_ups += 1
        if self.is_down:
            raise StoreUnavailable(f"no token like {READER}")
        for token, scopes in self.scopes.items():
            if fingerprint(token) == token_fingerprint:
                return LiveAccessToken(
                    subject="ann",
                    client_id="client-1",
                    client_name="App",
                    scopes=scopes,
                    resource=RESOURCE.identifier,
                    grant_id="grant-1",
                    expires_at=NOW + 100,
                    grant_revoked=False,
                    user_disabled=False,
                    display_name="ann",
                )
        return None


class Pause:
    """A tool that waits until it is told to go on, and knows how it ended."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = ""

    async def wait(self) -> str:
        """Wait."""
        self.started.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "finished"
        return self.ended


def a_server(pause: Pause | None = None) -> Server:
    """A server with a tool of each kind."""
    server = Server("notes")

    @server.tool
    async def add(a: int, b: int) -> int:
        return a + b

    @server.tool(scopes=["notes:write"])
    async def write(text: str) -> str:
        return text

    @server.tool(scopes=["notes:read"])
    async def read(ctx: Context) -> str:
        return f"{get_current_sub()} {ctx.user.subject} {ctx.request.headers['user-agent']}"

    @server.tool
    async def fail() -> None:
        raise RuntimeError("secret detail")

    if pause is not None:
        server.tool(pause.wait)
    return server


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The JSON in it, None when there is none."""
        return json.loads(self.raw) if self.raw else None


def headers_for(
    *, token: str | None = READER, version: str | None = None, method: str | None = None, name: str | None = None
) -> list[tuple[bytes, bytes]]:
    """The headers of an honest client."""
    given = {
        "host": HOST.decode(),
        "user-agent": "test/1",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "authorization": None if token is None else f"Bearer {token}",
        "mcp-protocol-version": version,
        "mcp-method": method,
        "mcp-name": name,
    }
    return [(name.encode(), value.encode()) for name, value in given.items() if value is not None]


def without(name: bytes) -> list[tuple[bytes, bytes]]:
    """An honest client's headers without one of them."""
    return [header for header in headers_for() if header[0] != name]


def replaced(name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    """An honest client's headers with another value in one of them."""
    return [*without(name), (name, value)]


def exchange_on(send: Send) -> HttpExchange:
    """The exchange of a request whose answer goes out here."""

    async def receive() -> Message:
        raise NotImplementedError

    return HttpExchange({"type": "http"}, receive, send, None, {})


class Timer:
    """What the event loop's `call_later` would be, moved by hand."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, seconds: float, callback: Callable[[], None]) -> None:
        assert seconds == 1.0
        self.waiting.append(callback)

    async def pass_seconds(self, count: int) -> None:
        for _ in range(count):
            waiting, self.waiting = self.waiting, []
            for callback in waiting:
                callback()
            for _ in range(5):
                await asyncio.sleep(0)


class McpWorld:
    """An endpoint and its clients."""

    def __init__(
        self,
        target: Target | None = None,
        *,
        is_guarded: bool = True,
        required_scopes: frozenset[str] = frozenset(),
        body_limit: int = 4096,
        call_later: CallLater | None = None,
        open_scopes: set[CancelScope] | None = None,
    ) -> None:
        self.grants = Grants()
        self.guard = BearerGuard(
            grants=cast("GrantStore", self.grants),
            resource=RESOURCE,
            issuer=ORIGIN,
            now=lambda: NOW,
            required_scopes=required_scopes,
        )
        self.endpoint = McpEndpoint(
            target=target or ServerTarget(a_server()),
            guard=self.guard if is_guarded else None,
            allowed_hosts=frozenset({HOST.decode()}),
            allowed_origins=frozenset({"https://app.example"}),
            body_limit=body_limit,
            random_bytes=lambda count: b"\xab" * count,
            keep_alive=KeepAlive(call_later=call_later),
            open_scopes=set() if open_scopes is None else open_scopes,
        )

    async def send(
        self,
        body: bytes,
        headers: list[tuple[bytes, bytes]],
        *,
        method: str = "POST",
        query: bytes = b"",
        disconnect: asyncio.Event | None = None,
        chunks: list[Message] | None = None,
    ) -> Answer | None:
        """Send one HTTP request; None when nothing came back. `disconnect` says when the client goes away."""
        incoming = chunks or [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Message] = []

        async def receive() -> Message:
            if incoming:
                return incoming.pop(0)
            await (disconnect or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": "/mcp", "query_string": query, "headers": headers}
        scope["client"] = ("198.51.100.7", 50_000)
        await self.endpoint(scope, receive, send)
        if not sent:
            return None
        start, end = sent
        answered = {name.decode(): value.decode() for name, value in start["headers"]}
        length = None if start["status"] == 204 else str(len(end["body"]))
        assert answered.get("content-length") == length
        return Answer(start["status"], answered, end["body"])

    async def post(self, message: Any, headers: list[tuple[bytes, bytes]] | None = None, **options: Any) -> Answer:
        """Post a message with the headers of a client from before the version header, or with these."""
        answer = await self.send(json.dumps(message).encode(), headers_for() if headers is None else headers, **options)
        assert answer is not None
        return answer

    async def modern(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        token: str | None = READER,
        request_id: int | str = 1,
        meta: dict[str, Any] | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> Answer:
        """Send a request of the modern era, with more in its `_meta` and more headers."""
        given = {**(params or {}), "_meta": {**MODERN_META, **(meta or {})}}
        name = given.get("name")
        return await self.post(
            {"jsonrpc": "2.0", "id": request_id, "method": method, "params": given},
            [
                *headers_for(
                    token=token, version="2026-07-28", method=method, name=name if isinstance(name, str) else None
                ),
                *headers,
            ],
        )

    async def handshake(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        version: str | None = "2025-11-25",
        token: str | None = READER,
    ) -> Answer:
        """Send a request of the handshake era."""
        return await self.post(
            {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}},
            headers_for(token=token, version=version),
        )
