"""A raw MCP server on Streamable HTTP, in this process on a port of its own: no SDK, and a record of every request.

It speaks the handshake, and does what real servers do and SDKs make hard to have on purpose: it forgets sessions, lets
streams break, and refuses. What its tools do, the tests say.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gatepost.fronts.credentials import Credentials, FixedHeaders
from gatepost.fronts.introduction import Introduction
from gatepost.fronts.remote_backend import RemoteBackend, Waits
from gatepost.fronts.sharing import Sharing
from gatepost.fronts.target import FrontTarget
from gatepost.outbound.fetching import system_trust
from gatepost.outbound.transport import way_for_streams
from gatepost.resource.scope_map import ScopeMap
from tests.fronts.front_world import Front, TwoUsers

INTRODUCTION: dict[str, Any] = {
    "capabilities": {"tools": {}, "resources": {"subscribe": True}, "logging": {}},
    "serverInfo": {"name": "raw", "title": "Raw server", "version": "3"},
}
_REASONS = {200: "OK", 202: "Accepted"}
_trust = cache(system_trust)  # reading what the system trusts takes longer than a test


@dataclass(slots=True)
class Asked:
    """One HTTP request, and its response."""

    verb: str
    headers: Mapping[str, str]
    message: Any
    """The JSON of its body; None without one."""
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def id(self) -> Any:
        return self.message["id"]

    @property
    def session(self) -> str | None:
        return self.headers.get("mcp-session-id")

    async def json(self, value: Any, status: int = 200, **headers: str) -> None:
        """Answer with JSON; None for no body."""
        body = b"" if value is None else json.dumps(value).encode()
        await self._begin(status, {"content-type": "application/json", "content-length": str(len(body)), **headers})
        await self.write(body)

    async def result(self, result: Any, **headers: str) -> None:
        """Answer with a result."""
        await self.json({"jsonrpc": "2.0", "id": self.id, "result": result}, 200, **headers)

    async def text(self, text: str) -> None:
        """Answer a tool call."""
        await self.result({"content": [{"type": "text", "text": text}]})

    async def stream(self) -> None:
        """Answer with a stream, which ends with its connection."""
        await self._begin(200, {"content-type": "text/event-stream", "connection": "close"})

    async def event(self, message: Any, **fields: str) -> None:
        """Send an event."""
        lines = [f"{name}: {value}" for name, value in fields.items()]
        data = "" if message is None else json.dumps({"jsonrpc": "2.0", **message})
        await self.write("\n".join([*lines, f"data: {data}", "", ""]).encode())

    async def last_event(self, text: str, request_id: Any, **fields: str) -> None:
        """Send the result of a call as an event."""
        await self.event({"id": request_id, "result": {"content": [{"type": "text", "text": text}]}}, **fields)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    def drop(self) -> None:
        """Let the connection break."""
        self.writer.transport.abort()

    async def until_gone(self) -> None:
        """Wait until the client has closed the connection."""
        while not (self.reader.at_eof() or self.writer.transport.is_closing()):  # noqa: ASYNC110 - nothing sets an event
            await asyncio.sleep(0.005)

    async def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Other')}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.write("\r\n".join([*lines, "", ""]).encode())


Serve = Callable[[Asked], Awaitable[None]]


@dataclass(slots=True)
class RawServer:
    """The server, as its tests set it up."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    """The sessions that it knows; it knows no more those that are taken out."""
    tools: dict[str, Serve] = field(default_factory=dict)
    methods: dict[str, Serve] = field(default_factory=dict)
    """Answer those methods in place of what is said of them here."""
    has_sessions: bool = True
    lost: Serve | None = None
    """Answers a request of a session that it does not know; 404 if None."""
    get: Serve | None = None
    """Answers GET; 405 if None."""
    refuse: Serve | None = None
    """Answers every POST in place of all else."""
    count: int = 0

    def sent(self, method: str) -> list[Asked]:
        """The requests with messages of a method."""
        return [asked for asked in self.asked if asked.message and asked.message.get("method") == method]

    def verbs(self, verb: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.verb == verb]

    async def serve(self, asked: Asked) -> None:
        self.asked.append(asked)
        if asked.verb == "POST" and self.refuse is not None:
            await self.refuse(asked)
        elif asked.verb == "POST" and asked.message.get("method") == "initialize":
            await self._initialize(asked)
        elif self.has_sessions and asked.session not in self.sessions:
            await (self.lost or _not_found)(asked)
        elif asked.verb == "GET":
            await (self.get or _not_allowed)(asked)
        elif asked.verb == "DELETE":
            self.sessions.discard(str(asked.session))
            await asked.json(None)
        elif "id" not in asked.message or "method" not in asked.message:
            await asked.json(None, 202)
        elif asked.message["method"] in self.methods:
            await self.methods[asked.message["method"]](asked)
        elif asked.message["method"] == "tools/call":
            await self.tools.get(asked.message["params"]["name"], _echo)(asked)
        else:
            await asked.result({"tools": [{"name": "echo", "inputSchema": {"type": "object"}, "own": 1.0}]})

    async def _initialize(self, asked: Asked) -> None:
        given = {}
        if self.has_sessions:
            self.count += 1
            self.sessions.add(f"s{self.count}")
            given = {"Mcp-Session-Id": f"s{self.count}"}
        await asked.result({"protocolVersion": asked.message["params"]["protocolVersion"], **INTRODUCTION}, **given)

    async def listen(self, port: int = 0) -> asyncio.Server:
        """Serve on a port, or a free one."""
        listening = await asyncio.start_server(self._connected, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/mcp"
        return listening

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while not writer.transport.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                pairs = [line.partition(": ") for line in head[1:] if line]
                headers = {name.lower(): value for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                asked = Asked(head[0].split()[0], headers, json.loads(body) if body else None, reader, writer)
                await self.serve(asked)
        writer.close()


async def _echo(asked: Asked) -> None:
    await asked.text(str(asked.message["params"]["arguments"].get("text", "")))


async def _not_found(asked: Asked) -> None:
    error = {"code": -32001, "message": "Session not found"}
    await asked.json({"jsonrpc": "2.0", "id": None, "error": error}, 404)


async def _not_allowed(asked: Asked) -> None:
    await asked.json(None, 405)


@asynccontextmanager
async def raw_server() -> AsyncIterator[RawServer]:
    """Serve on a free port."""
    server = RawServer()
    listening = await server.listen()
    try:
        yield server
    finally:
        listening.close()
        for asked in server.asked:
            asked.drop()


async def _at_once(seconds: float) -> None:
    del seconds
    await asyncio.sleep(0)


@asynccontextmanager
async def remote_front(
    tmp_path: Path,
    url: str,
    *,
    credentials: Credentials | None = None,
    scope_map: ScopeMap | None = None,
    is_guarded: bool = True,
    is_known: bool = True,
    is_tried: bool = False,
    waits: Waits | None = None,
    **sharing: Any,
) -> AsyncIterator[Front]:
    """Put a server behind a front."""
    backend = RemoteBackend(
        url=url,
        credentials=credentials or FixedHeaders({}),
        way=lambda url: way_for_streams(url, None, _trust),
        waits=waits or Waits(sleep=_at_once, silence=0.05, longest_silence=0.1, most_resumptions=5),
    )
    target = FrontTarget(
        backend,
        Sharing(**{"spares": 0, **sharing}),
        introduction=Introduction({"protocolVersion": "2025-11-25", **INTRODUCTION}) if is_known else None,
        is_tried=is_tried,
        scope_map=scope_map,
        random_bytes=lambda count: b"\xab" * count,
    )
    async with target.lifespan():
        front = Front(target, tmp_path / "record", is_guarded=is_guarded)
        if front.guard is not None:
            front.grants.find_access_token = TwoUsers().find_access_token  # type: ignore[method-assign] # as it is asked
        yield front
