"""An endpoint with sessions, and clients that keep connections to it open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import BaseModel
from starlette.types import Message

from gatepost.observability.audit_trail import AuditTrail
from gatepost.resource.principal import Principal
from gatepost.server.calls.cancellation import CancelScope
from gatepost.server.calls.context import Context
from gatepost.server.dispatch import ServerTarget
from gatepost.server.server import Server
from gatepost.server.target import SessionTarget
from gatepost.stores.contract.grants import GrantStore
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.mcp.endpoint import McpEndpoint
from gatepost.web.mcp.exchange.keep_alive import CallLater, KeepAlive
from gatepost.web.mcp.sessions.handshake_era import HandshakeEra
from gatepost.web.mcp.sessions.lifecycle import McpSessions
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.site.audit import Audit
from gatepost.web.site.client_address import ClientAddresses
from tests.patience import PATIENCE
from tests.web.mcp.mcp_harness import HOST, ORIGIN, READER, RESOURCE, Grants, Pause, a_server


class Colour(BaseModel):
    """A form."""

    colour: str


def session_server(pause: Pause) -> Server:
    """A server whose tools talk to their client."""
    server = a_server(pause)

    @server.tool
    async def steps(ctx: Context) -> str:
        await ctx.progress(1, 2)
        await ctx.progress(2, 2)
        return "done"

    @server.tool
    async def shout(ctx: Context) -> str:
        ctx.log.info("one")
        ctx.log.warning("two")
        return "said"

    @server.tool
    def whisper(ctx: Context) -> str:
        for text in ("one", "two", "three"):
            ctx.log.info(text)
        return "said"

    @server.tool
    async def colour(ctx: Context) -> str:
        answer = await ctx.elicit("Which?", Colour)
        return answer.data.colour if answer.data is not None else "none"

    @server.tool
    async def poll(ctx: Context) -> str:
        await ctx.progress(1)
        await ctx.close_stream()
        await ctx.progress(2)
        return await pause.wait()

    @server.resource("note://1")
    async def note() -> str:
        return "text"

    @server.resource("note://secret", scopes=["notes:write"])
    async def secret() -> str:
        return "text"

    return server


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    id: str | None
    data: Any
    """The message in it; None for an event without one."""
    retry: int | None = None


@dataclass
class Connection:
    """One HTTP request, whose response may be a stream."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytearray = field(default_factory=bytearray)
    is_ended: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def body(self) -> Any:
        """The JSON of an answer that is no stream."""
        return json.loads(self.raw) if self.raw else None

    @property
    def events(self) -> list[Event]:
        """The events so far, without comments."""
        events = []
        for block in bytes(self.raw).decode().replace("\r\n", "\n").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if fields:
                message = json.loads(fields["data"]) if fields.get("data") else None
                events.append(Event(fields.get("id"), message, int(fields["retry"]) if "retry" in fields else None))
        return events

    @property
    def messages(self) -> list[Any]:
        """The messages so far."""
        return [event.data for event in self.events if event.data is not None]

    async def until_messages(self, count: int) -> list[Any]:
        """Wait for so many messages and return them."""
        await self.until(lambda: len(self.messages) >= count)
        return self.messages

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what has come back is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                assert not self.is_ended, "the response ended before that"
                await self.changed.wait()
                self.changed.clear()

    async def ended(self) -> Connection:
        """Wait for the end of the response."""
        await self.until(lambda: self.is_ended)
        return self

    async def finished(self) -> None:
        """Wait for the server to be done with the request."""
        assert self.task is not None
        async with asyncio.timeout(PATIENCE):
            await self.task


class SessionWorld:
    """An endpoint and its clients."""

    def __init__(
        self,
        *,
        store: Store | None = None,
        is_guarded: bool = True,
        keep_alive: float = 60.0,
        most_sessions: int = 1_000,
        call_later: CallLater | None = None,
        target: SessionTarget | None = None,
        poll_seconds: float = 0.01,
    ) -> None:
        self.poll_seconds = poll_seconds
        self.target = target
        """What is served in place of the server with all those tools."""
        self.time = 1_000
        self.counter = 0
        self.store = store or memory_store()
        self.pause = Pause()
        self.open_scopes: set[CancelScope] = set()
        """Those of requests that wait for something."""
        self.grants = Grants()
        guard = BearerGuard(
            grants=cast("GrantStore", self.grants),
            resource=RESOURCE,
            issuer=ORIGIN,
            now=lambda: self.time,
            wakeups=self.store.wakeups,
        )
        self.guard = guard if is_guarded else None
        self.keep_alive = keep_alive
        self.call_later = call_later
        self.most_sessions = most_sessions
        self.server = session_server(self.pause)
        self.trail = AuditTrail(store=self.store.audit, now=lambda: self.time, random_bytes=self.random_bytes)
        self.era = self.process()
        self.endpoint = self.endpoint_of(self.era)

    def process(self, store: Store | None = None) -> HandshakeEra:
        """What another process over the same data has."""
        store = store or self.store
        sessions = McpSessions(
            store=store.mcp_sessions,
            resource=RESOURCE.identifier,
            now=lambda: self.time,
            random_bytes=self.random_bytes,
            idle_seconds=3600,
            most_per_owner=self.most_sessions,
        )
        keep_alive = KeepAlive(self.keep_alive, self.call_later)
        return HandshakeEra(
            store,
            sessions,
            target=self.target,
            changes=self.server.changes if self.target is None else None,
            keep_alive=keep_alive,
            audit=Audit(self.trail, ClientAddresses()),
            poll_seconds=self.poll_seconds,
        )

    def endpoint_of(self, era: HandshakeEra) -> McpEndpoint:
        """An endpoint with these sessions."""
        return McpEndpoint(
            target=self.target or ServerTarget(self.server),
            guard=self.guard,
            allowed_hosts=frozenset({HOST.decode()}),
            allowed_origins=frozenset(),
            handshake_era=era,
            open_scopes=self.open_scopes,
            keep_alive=KeepAlive(self.keep_alive, self.call_later),
            random_bytes=lambda count: b"\xab" * count,
        )

    def random_bytes(self, count: int) -> bytes:
        """Bytes that differ each time."""
        self.counter += 1
        return self.counter.to_bytes(count, "big")

    def open(
        self,
        message: Any = None,
        *,
        session: str | None = None,
        method: str = "POST",
        endpoint: McpEndpoint | None = None,
        **headers: str | None,
    ) -> Connection:
        """Send a request; the connection says what comes back."""
        given = {
            "host": HOST.decode(),
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "authorization": f"Bearer {READER}",
            "mcp-session-id": session,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        raw = [(name.encode(), value.encode()) for name, value in given.items() if value is not None]
        return self.open_raw(method, raw, json.dumps(message).encode() if message else b"", endpoint)

    def open_raw(
        self, method: str, headers: list[tuple[bytes, bytes]], body: bytes, endpoint: McpEndpoint | None = None
    ) -> Connection:
        """Send exactly this."""
        connection = Connection()
        incoming: list[Message] = [{"type": "http.request", "body": body}]

        async def receive() -> Message:
            if incoming:
                return incoming.pop(0)
            await connection.gone.wait()
            return {"type": "http.disconnect"}

        async def send(part: Message) -> None:
            assert not connection.is_ended
            if part["type"] == "http.response.start":
                connection.status = part["status"]
                connection.headers = {name.decode(): value.decode() for name, value in part["headers"]}
            elif not connection.gone.is_set():
                connection.raw += part["body"]
            connection.is_ended = part["type"] == "http.response.body" and not part.get("more_body", False)
            connection.changed.set()

        scope = {"type": "http", "method": method, "path": "/mcp", "query_string": b"", "headers": headers}
        serve = cast("Awaitable[None]", (endpoint or self.endpoint)(scope, receive, send))
        connection.task = asyncio.ensure_future(cast("Any", serve))
        return connection

    async def send(self, message: Any, **options: Any) -> Connection:
        """Send a request and wait for the whole answer."""
        return await self.open(message, **options).ended()

    async def begin(
        self, *, capabilities: dict[str, Any] | None = None, version: str = "2025-11-25", **more: Any
    ) -> str:
        """Begin a session and return its id."""
        params = {
            "protocolVersion": version,
            "capabilities": capabilities or {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        answer = await self.send(request("initialize", params), **more)
        assert answer.status == 200
        return answer.headers["mcp-session-id"]

    def listen(self, session: str | None, **headers: Any) -> Connection:
        """Open a GET."""
        return self.open(session=session, method="GET", content_type=None, **headers)


def request(method: str, params: dict[str, Any] | None = None, request_id: int | str = 1) -> dict[str, Any]:
    """A request."""
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params or {}}


def call(tool: str, request_id: int | str = 1, **meta: Any) -> dict[str, Any]:
    """A tool call."""
    return request("tools/call", {"name": tool, "arguments": {}, "_meta": meta}, request_id)


def text_of(message: Any) -> str:
    """The text of a tool's result."""
    text: str = message["result"]["content"][0]["text"]
    return text


def principal(subject: str = "ann", client_id: str = "client-1") -> Principal:
    """Somebody."""
    return Principal(subject, client_id, frozenset(), RESOURCE.identifier, ORIGIN, None, None)
