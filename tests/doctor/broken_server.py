"""Our server at a public address, behind a proxy that breaks one thing; and what the doctor says of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from starlette.types import ASGIApp

from gatepost.app import create_app
from gatepost.configuration.settings import load_settings
from gatepost.doctor.examination import Diagnosis, WalkOptions, examine
from gatepost.doctor.requester import Requester
from gatepost.server.server import Server
from gatepost.stores.sql.sqlite import memory_store
from gatepost.testing.asgi_transport import StreamedASGITransport

ORIGIN = "https://mcp.example.com"
URL = f"{ORIGIN}/mcp"
API_KEY = "key-of-the-doctor-0123456789"
RESOURCE = "/.well-known/oauth-protected-resource"
PUBLIC = "93.184.215.14"


async def everywhere_public(_host: str) -> Sequence[str]:
    """A resolver for which every host is on the internet."""
    return [PUBLIC]


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answered:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    stays_open: bool = False

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    def saying(self, **members: Any) -> Answered:
        """The same document with other members; None takes one out."""
        changed = {**self.document, **members}
        return replace(self, body=json.dumps({n: v for n, v in changed.items() if v is not None}).encode())

    def without(self, *names: str) -> Answered:
        return replace(self, headers={name: value for name, value in self.headers.items() if name not in names})


GoOn = Callable[[Asked], Awaitable[Answered]]
Fault = Callable[[Asked, GoOn], Awaitable[Answered]]


def answered(status: int, document: Any = None, **headers: str) -> Answered:
    """An answer with a JSON document."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answered(status, {"content-type": "application/json", **named}, json.dumps(document).encode())


def oauth_error(error: str, status: int = 400) -> Answered:
    return answered(status, {"error": error})


def altered(select: Callable[[Asked], bool], change: Callable[[Answered], Answered]) -> Fault:
    """A proxy that changes the answers to some requests."""

    async def fault(asked: Asked, go_on: GoOn) -> Answered:
        answer = await go_on(asked)
        return change(answer) if select(asked) else answer

    return fault


def instead(select: Callable[[Asked], bool], answer: Answered) -> Fault:
    """A proxy that answers some requests itself."""

    async def fault(asked: Asked, go_on: GoOn) -> Answered:
        return answer if select(asked) else await go_on(asked)

    return fault


def at(path: str, method: str | None = None) -> Callable[[Asked], bool]:
    """Whether a request is for a path."""
    return lambda asked: asked.path == path and method in {None, asked.method}


async def sound(asked: Asked, go_on: GoOn) -> Answered:
    """A proxy that breaks nothing."""
    return await go_on(asked)


class StaysOpen(httpx2.AsyncByteStream):
    """The beginning of an event stream, and then silence."""

    def __init__(self, beginning: bytes) -> None:
        self._beginning = beginning

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._beginning
        await asyncio.Event().wait()


class BreakingProxy(httpx2.AsyncBaseTransport):
    """Carries requests to an app, by way of a fault."""

    def __init__(self, app: ASGIApp, fault: Fault) -> None:
        self._inner = httpx2.ASGITransport(app=app)
        self._streaming = StreamedASGITransport(app)
        self._fault = fault
        self.asked: list[Asked] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = Asked(request.method, str(request.url), dict(request.headers), await request.aread())
        self.asked.append(asked)
        answer = await self._fault(asked, self._go_on)
        stream = StaysOpen(answer.body) if answer.stays_open else httpx2.ByteStream(answer.body)
        return httpx2.Response(answer.status, headers=dict(answer.headers), stream=stream, request=request)

    async def _go_on(self, asked: Asked) -> Answered:
        # ASGITransport waits for the end of an answer, and a stream has none.
        if asked.method == "GET" and asked.path == "/mcp" and "authorization" in asked.headers:
            return answered(405, allow="POST")
        request = httpx2.Request(asked.method, asked.url, headers=dict(asked.headers), content=asked.body)
        if asked.headers.get("mcp-method") == "subscriptions/listen":
            opened = await self._streaming.handle_async_request(request)
            first = await anext(aiter(opened.aiter_raw()))
            await opened.aclose()
            await self._streaming.aclose()
            return Answered(opened.status_code, dict(opened.headers), first, stays_open=opened.status_code == 200)
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        return Answered(response.status_code, dict(response.headers), body)


def notes() -> Server:
    """A server with scopes."""
    server = Server("notes")

    @server.tool(scopes=["notes:read"])
    def recent() -> str:
        """List notes."""
        return ""

    @server.tool(scopes=["notes:write"])
    def add(text: str) -> str:
        """Keep a note."""
        return text

    return server


@asynccontextmanager
async def our_app(**variables: str) -> AsyncIterator[ASGIApp]:
    """Our server, at its public address."""
    usual = {
        "MCP_PUBLIC_URL": ORIGIN,
        "MCP_SEALING_KEYS": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
        "MCP_API_KEY": API_KEY,
        "OAUTH_CIMD_ENABLED": "false",
        "OAUTH_LIMIT_FACTOR": "0",
    }
    given = {name: value for name, value in {**usual, **variables}.items() if value}
    settings = load_settings(given, env_file=None)
    app = create_app(notes(), settings=settings, store=memory_store(), announce=lambda _: None)
    async with app.router.lifespan_context(app):
        yield app


async def diagnosed(
    app: ASGIApp, fault: Fault = sound, *, token: str | None = None, url: str = URL, **options: Any
) -> Diagnosis:
    """What the doctor says of an app behind a faulty proxy."""
    transport = BreakingProxy(app, fault)
    async with Requester(url, transport=transport, resolve=everywhere_public, **options) as requester:
        return await examine(url, requester, WalkOptions(token=token))


def named(diagnosis: Diagnosis) -> dict[str, str]:
    """The faults that were named, with how bad they are."""
    return {check.id: finding.severity.value for check, finding in diagnosis.findings}


def concerned(diagnosis: Diagnosis) -> set[str]:
    """The clients that cannot connect."""
    return {outlook.client.id for outlook in diagnosis.outlooks if outlook.failure is not None}
