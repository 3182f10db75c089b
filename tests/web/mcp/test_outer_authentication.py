"""Servers that check no tokens: scopes come from an application around them, or from nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    SimpleUser,
    has_required_scope,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.routing import Mount
from starlette.types import ASGIApp

from gatepost import Arguments, Context, NoArguments, Server, create_app
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.resource.principal import Principal
from gatepost.web.resource.outer_authentication import GRANTED, with_authentication

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "app", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Nameless(BaseUser):
    """A user whose class has no identity, as older ones of Starlette's."""

    is_authenticated = True
    display_name = "Grace"


class ByHeader(AuthenticationBackend):
    """Believes a header; without one nobody is known, and everybody may look."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        name = conn.headers.get("x-user")
        if name is None:
            return None
        scopes = conn.headers.get("x-scopes", "").split()
        return AuthCredentials(scopes), Nameless() if name == "nameless" else SimpleUser(name)


def notes() -> Server:
    server = Server("notes")

    @server.tool(scopes=["notes:write"])
    def write(ctx: Context) -> str:
        """Write."""
        return f"{ctx.user.subject} {ctx.user.name} {sorted(ctx.scopes)}"

    @server.tool
    def look(ctx: Context) -> str:
        """Look."""
        return f"{ctx.user.subject} {sorted(ctx.scopes)}"

    @server.prompt(scopes=["notes:write"])
    def advise() -> str:
        """Advise."""
        return "Write."

    @server.resource("notes://all", scopes=["notes:write"])
    def everything() -> str:
        """Read."""
        return "milk"

    return server


def app_for(**variables: str) -> ASGIApp:
    settings = load_settings(
        {"MCP_STORAGE_URL": "memory:", "MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false", **variables},
        env_file=None,
    )
    return create_app(notes(), settings=settings, announce=lambda _: None)


def around(app: ASGIApp) -> ASGIApp:
    middleware = [Middleware(AuthenticationMiddleware, backend=ByHeader())]
    return Starlette(routes=[Mount("/", app)], middleware=middleware)


def within(app: Any) -> ASGIApp:
    app.add_middleware(AuthenticationMiddleware, backend=ByHeader())
    return app  # type: ignore[no-any-return]  # what create_app returned


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def client_of(stack: AsyncExitStack, inner: Any, app: ASGIApp) -> httpx2.AsyncClient:
    await stack.enter_async_context(inner.router.lifespan_context(inner))
    transport = httpx2.ASGITransport(app=app)
    return await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000"))


async def ask(http: httpx2.AsyncClient, method: str, name: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    """Send a request in the modern era; return status and message."""
    target = {"resources/read": "uri"}.get(method, "name")
    params: dict[str, Any] = {"_meta": META} | ({target: name} if name else {})
    named = {"Mcp-Name": name} if name else {}
    answer = await http.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
        headers={
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MODERN,
            "Mcp-Method": method,
            **named,
            **headers,
        },
    )
    return answer.status_code, answer.json()


async def in_session(http: httpx2.AsyncClient, tool: str, **headers: str) -> tuple[int, dict[str, Any]]:
    """Begin a session of the handshake era and call a tool in it."""
    sent = {"Accept": "application/json, text/event-stream", **headers}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "app", "version": "1"}}
    begun = await http.post(
        "/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}, headers=sent
    )
    sent |= {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": begun.headers["mcp-session-id"]}
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
    answer = await http.post("/mcp", json=call, headers=sent)
    return answer.status_code, answer.json()


def text_of(answered: tuple[int, dict[str, Any]]) -> str:
    status, message = answered
    assert status == 200, message
    text: str = message["result"]["content"][0]["text"]
    return text


REFUSED = {
    "code": -32600,
    "message": (
        "This needs a scope that was not granted. The server checks no tokens (MCP_REQUIRE_AUTH is false), so scopes "
        "come from an application around it, or from nobody: then set MCP_IGNORE_SCOPES=true to serve it to everybody."
    ),
    "data": {"error": "insufficient_scope", "scope": "notes:write"},
}


async def test_what_has_scopes_is_for_nobody_where_nobody_grants_them(stack: AsyncExitStack) -> None:
    app = app_for()
    http = await client_of(stack, app, app)

    for method, name in (("tools/call", "write"), ("prompts/get", "advise"), ("resources/read", "notes://all")):
        status, message = await ask(http, method, name)
        assert (status, message["error"]) == (403, REFUSED)
    status, message = await in_session(http, "write")
    assert (status, message["error"]) == (403, REFUSED)
    _, listed = await ask(http, "tools/list")
    assert [tool["name"] for tool in listed["result"]["tools"]] == ["look"]
    assert text_of(await ask(http, "tools/call", "look")) == "anonymous []"


async def test_they_are_for_everybody_where_the_operator_says_so(stack: AsyncExitStack) -> None:
    app = app_for(MCP_IGNORE_SCOPES="true")
    http = await client_of(stack, app, app)

    assert text_of(await ask(http, "tools/call", "write")) == "anonymous anonymous []"
    assert text_of(await in_session(http, "write")) == "anonymous anonymous []"
    _, listed = await ask(http, "tools/list")
    assert [tool["name"] for tool in listed["result"]["tools"]] == ["write", "look"]


@pytest.mark.parametrize("put", [around, within])
@pytest.mark.parametrize("ignores", ["false", "true"])
async def test_what_the_application_around_grants_counts_whatever_is_ignored(
    stack: AsyncExitStack, put: Any, ignores: str
) -> None:
    app = app_for(MCP_IGNORE_SCOPES=ignores)
    http = await client_of(stack, app, put(app))
    ada = {"X-User": "ada", "X-Scopes": "notes:write other"}

    assert text_of(await ask(http, "tools/call", "write", **ada)) == "ada ada ['notes:write', 'other']"
    assert text_of(await in_session(http, "write", **ada)) == "ada ada ['notes:write', 'other']"
    # Somebody who was given less, and somebody whom nobody knows.
    for headers in ({"X-User": "ada", "X-Scopes": "other"}, {}):
        status, message = await ask(http, "tools/call", "write", **headers)
        assert (status, message["error"]) == (403, REFUSED)
    assert text_of(await ask(http, "tools/call", "look", **{"X-User": "ada"})) == "ada []"
    assert text_of(await ask(http, "tools/call", "look")) == "anonymous []"


async def test_a_user_without_an_identity_is_known_by_the_name(stack: AsyncExitStack) -> None:
    app = app_for()
    http = await client_of(stack, app, around(app))

    assert text_of(await ask(http, "tools/call", "look", **{"X-User": "nameless"})) == "Grace []"


async def test_a_session_of_one_user_is_not_found_by_another(stack: AsyncExitStack) -> None:
    app = app_for()
    http = await client_of(stack, app, around(app))
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "app", "version": "1"}}
    sent = {"Accept": "application/json, text/event-stream"}
    begun = await http.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        headers={**sent, "X-User": "ada"},
    )
    in_it = {**sent, "MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": begun.headers["mcp-session-id"]}
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}

    statuses = {
        user: (await http.post("/mcp", json=listing, headers={**in_it, "X-User": user})).status_code
        for user in ("ada", "eve")
    }
    assert statuses == {"ada": 200, "eve": 404}


async def test_beside_our_own_tokens_it_does_not_count(stack: AsyncExitStack) -> None:
    app = app_for(MCP_REQUIRE_AUTH="true", MCP_API_KEY="a-secret-of-the-operators-own")
    http = await client_of(stack, app, around(app))

    status, _ = await ask(http, "tools/call", "look", **{"X-User": "ada", "X-Scopes": "notes:write"})
    assert status == 401


def test_scopes_are_not_ignored_where_tokens_are_checked() -> None:
    with pytest.raises(SettingsError, match="MCP_IGNORE_SCOPES is for servers that check no tokens"):
        app_for(MCP_REQUIRE_AUTH="true", MCP_IGNORE_SCOPES="true", MCP_API_KEY="a-secret-of-the-operators-own")


def test_a_tool_that_asks_starlette_for_scopes_hears_of_the_caller() -> None:
    principal = Principal("ada", "app", frozenset({"notes:read"}), "https://x/mcp", "https://x", None, None)
    scope = {"type": "http", "headers": []}

    known = Request(with_authentication(scope, principal))
    assert (has_required_scope(known, ["notes:read"]), has_required_scope(known, ["notes:write"])) == (True, False)
    assert (known.user.is_authenticated, known.user.identity, known.user.display_name) == (True, "ada", "ada")
    assert Request(with_authentication(scope, replace(principal, display_name="Ada"))).user.display_name == "Ada"
    assert "auth" not in scope

    unknown = Request(with_authentication({**scope, GRANTED: frozenset({"notes:read"})}, None))
    assert (unknown.auth.scopes, unknown.user.is_authenticated) == (["notes:read"], False)
    assert Request(with_authentication({**scope, GRANTED: None}, None)).auth.scopes == []


async def test_a_tool_gets_what_the_application_around_has_found(stack: AsyncExitStack) -> None:
    server = Server("notes")

    @server.tool
    def look(args: Arguments[NoArguments]) -> str:
        """Look."""
        return f"{args.request.user.display_name} {has_required_scope(args.request, ['a'])}"

    settings = load_settings({"MCP_STORAGE_URL": "memory:", "MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"})
    app = create_app(server, settings=settings, announce=lambda _: None)
    http = await client_of(stack, app, around(app))

    assert text_of(await ask(http, "tools/call", "look", **{"X-User": "ada", "X-Scopes": "a b"})) == "ada True"
