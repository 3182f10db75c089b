"""`Server.app`: the endpoint alone, in an app that knows its callers by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import Route

from gatepost import Context, Server

HEADERS = {"Accept": "application/json, text/event-stream"}
HERE, ELSEWHERE = ("127.0.0.1", 5000), ("192.0.2.7", 5000)


class ByHeader(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        name = conn.headers.get("x-user")
        return None if name is None else (AuthCredentials(["private"]), SimpleUser(name))


def a_server() -> Server:
    server = Server("notes")

    @server.tool
    def public(ctx: Context) -> str:
        """Say who calls."""
        return ctx.user.subject

    @server.tool(scopes=["private"])
    def private(ctx: Context) -> str:
        """Say who calls."""
        return ctx.user.subject

    return server


def around(server: Server, *, authenticates: bool = True) -> Starlette:
    middleware = [Middleware(AuthenticationMiddleware, backend=ByHeader())] if authenticates else []
    app = Starlette(middleware=middleware)
    app.mount("/mcp", server.app)
    return app


@asynccontextmanager
async def asking(
    app: Any, client: tuple[str, int], base: str = "https://mcp.example.com"
) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app, client=client)
    async with httpx2.AsyncClient(transport=transport, base_url=base, headers=HEADERS) as http:
        yield http
    for task in asyncio.all_tasks():
        if task.get_name() == "gatepost-life":
            task.cancel()
            await asyncio.wait([task])


async def asked(http: httpx2.AsyncClient, method: str, **more: Any) -> httpx2.Response:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": more.pop("params", {})}
    return await http.post(more.pop("path", "/mcp/"), json=message, **more)


async def names(http: httpx2.AsyncClient, **more: Any) -> list[str]:
    return [tool["name"] for tool in (await asked(http, "tools/list", **more)).json()["result"]["tools"]]


async def test_whom_the_app_around_knows_is_served_with_the_scopes_that_it_grants() -> None:
    async with asking(around(a_server()), ELSEWHERE) as http:
        assert await names(http, headers={"X-User": "ada"}) == ["public", "private"]
        called = await asked(http, "tools/call", headers={"X-User": "ada"}, params={"name": "private", "arguments": {}})

    assert called.json()["result"]["content"] == [{"type": "text", "text": "ada"}]


@pytest.mark.parametrize("authenticates", [True, False])
async def test_nobody_who_is_unknown_is_served_from_elsewhere(*, authenticates: bool) -> None:
    app = around(a_server(), authenticates=authenticates)
    async with asking(app, ELSEWHERE) as http:
        refused = await asked(http, "tools/list")
    async with asking(app, HERE, "http://127.0.0.1:8000") as http:
        forwarded = await asked(http, "tools/list", headers={"X-Forwarded-For": "192.0.2.7"})
        rebound = await asked(http, "tools/list", headers={"Host": "evil.example"})

    assert (refused.status_code, forwarded.status_code, rebound.status_code) == (
        401,
        401,
        401 if authenticates else 421,
    )
    assert "AuthenticationMiddleware" in refused.json()["error_description"]


async def test_whom_the_app_around_does_not_know_is_refused_on_this_machine_too() -> None:
    async with asking(around(a_server()), HERE, "http://127.0.0.1:8000") as http:
        assert (await asked(http, "tools/list")).status_code == 401
        assert await names(http, headers={"X-User": "ada"}) == ["public", "private"]


async def test_on_this_machine_everybody_is_served_what_needs_no_scope() -> None:
    async with asking(around(a_server(), authenticates=False), HERE, "http://127.0.0.1:8000") as http:
        assert await names(http) == ["public"]
        elsewhere = await asked(http, "tools/list", path="/mcp/mcp")

    assert elsewhere.status_code == 404


@pytest.mark.parametrize("path", ["/", "/mcp", "/tools"])
async def test_it_is_where_a_route_leads_and_by_itself_at_the_usual_path(path: str) -> None:
    server = a_server()
    app = Starlette(routes=[Route("/tools", server.app)]) if path == "/tools" else server.app
    async with asking(app, HERE, "http://127.0.0.1:8000") as http:
        assert await names(http, path=path) == ["public"]
        assert (await asked(http, "tools/list", path="/other")).status_code == 404


async def test_everybody_everywhere_is_served_only_if_the_operator_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_REQUIRE_AUTH", "false")
    async with asking(around(a_server(), authenticates=False), ELSEWHERE) as http:
        assert await names(http) == ["public"]
        foreign = await asked(http, "tools/list", headers={"Origin": "https://evil.example"})
        nameless = await asked(http, "tools/list", headers={"Host": "a b"})

    assert (foreign.status_code, nameless.status_code) == (403, 400)


async def test_many_names_of_the_app_around_are_served() -> None:
    async with asking(around(a_server()), ELSEWHERE) as http:
        for number in (*range(10), 0):
            headers = {"X-User": "ada", "Host": f"name{number}.example.com"}
            assert await names(http, headers=headers) == ["public", "private"]


async def test_sessions_of_the_handshake_era_work_in_it() -> None:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "app", "version": "1"}}
    async with asking(around(a_server()), ELSEWHERE) as http:
        begun = await asked(http, "initialize", params=params, headers={"X-User": "ada"})
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        mine = await asked(http, "tools/list", headers={"X-User": "ada", **session})
        theirs = await asked(http, "tools/list", headers={"X-User": "eve", **session})

    assert (mine.status_code, theirs.status_code) == (200, 404)


def test_the_app_is_made_once() -> None:
    server = a_server()
    assert server.app is server.app
