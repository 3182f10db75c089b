"""Servers of other libraries as applications, and the caller as they know one."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import Any, cast

import pytest
from fastmcp import FastMCP
from fastmcp.server.auth import StaticTokenVerifier
from mcp.server import Server
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from gatepost.resource.principal import Principal
from gatepost.resource.profile import Profile
from gatepost.resource.scope_map import ScopeMap
from gatepost.web.resource.application import Protected
from gatepost.web.resource.lifespan import AsgiLifespan
from gatepost.web.resource.other_servers import ServerApplication, server_application
from gatepost.web.resource.sdk_callers import SdkCallers, claims_of, stand_in

ANN = Principal(
    subject="ann",
    client_id="client_1",
    scopes=frozenset({"notes:write", "notes:read"}),
    resource="https://notes.example/mcp",
    issuer="https://notes.example",
    grant_id="grant_1",
    expires_at=2_000,
)


def test_servers_of_fastmcp_and_the_official_sdk_are_known() -> None:
    for server, name in (
        (FastMCP("notes"), "notes"),
        (MCPServer("notes"), "notes"),
        (MCPServer("notes", title="Your notes"), "Your notes"),
        (Server("low"), "low"),
    ):
        app = server_application(server)
        assert app is not None
        assert app.name == name
        assert server_application(app) is app


class Other:
    """Of neither library, with a method of the same name."""

    def http_app(self, path: str) -> None:
        """Do nothing."""


@pytest.mark.parametrize("server", [Starlette(), Other(), None, "notes", FastMCP("notes").http_app()])
def test_what_is_no_such_server_is_not_taken_for_one(server: Any) -> None:
    assert server_application(server) is None


async def test_a_server_that_checks_tokens_itself_is_refused() -> None:
    verifier = StaticTokenVerifier({})
    settings = AuthSettings(issuer_url=AnyHttpUrl("https://a.example"), resource_server_url=None)
    for server in (
        FastMCP("notes", auth=verifier),
        MCPServer("notes", auth=settings, token_verifier=cast("Any", verifier)),
    ):
        with pytest.raises(TypeError, match=r"checks tokens itself \(auth=\.\.\.\)"):
            Protected(server)


async def test_its_application_is_made_anew_for_each_lifespan() -> None:
    """The official SDK's serves for one only."""
    app = server_application(MCPServer("notes"))
    assert app is not None
    for _ in range(2):
        async with AsgiLifespan(app).running():
            pass


async def test_its_endpoint_is_where_it_is_mounted() -> None:
    seen: list[tuple[str, Any]] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append((scope["path"], scope.get("raw_path")))

    served = ServerApplication(lambda: app, name="notes")
    for path, raw_path in (("/mcp", b"/mcp"), ("/mcp", None), ("/mcp/", b"/mcp/"), ("/mcp/more", b"/mcp/more")):
        scope = {"type": "http", "root_path": "/mcp", "path": path, "raw_path": raw_path}
        await served(scope, cast("Any", None), cast("Any", None))

    assert seen == [("/mcp/", b"/mcp/"), ("/mcp/", None), ("/mcp/", b"/mcp/"), ("/mcp/more", b"/mcp/more")]


def test_a_protected_server_has_its_name_and_the_words_of_its_scopes() -> None:
    scopes = ScopeMap(tools={"a": ["x"]}, descriptions={"y": "Use y"}, scope_groups={"x": "Exes", "y": "Whys"})
    protected = Protected(MCPServer("notes"), scopes=scopes, descriptions={"x": "Use x"}, scope_groups={"x": "X"})

    assert (protected.name, protected.is_mcp_endpoint, protected.scope_map) == ("notes", True, scopes)
    assert protected.scope_descriptions == {"y": "Use y", "x": "Use x"}
    assert protected.scope_groups == {"x": "X", "y": "Whys"}
    assert protected.path_scopes == {}
    assert Protected(MCPServer("notes"), title="Mine").name == "Mine"
    assert Protected(MCPServer("notes"), scopes=ScopeMap()).scope_map is None
    assert Protected(MCPServer("notes")).scope_descriptions == {}
    assert Protected(Starlette(), scopes=scopes).is_mcp_endpoint is False
    assert Protected(Starlette()).name is None


async def called(principal: Principal | None) -> tuple[Any, Any, Scope]:
    """What an application sees while it is called, and when the call is over."""
    seen: list[Any] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.extend([get_access_token(), scope])

    scope = {"type": "http", "gatepost.principal": principal, "user": "outer"}
    await SdkCallers(app)(scope, cast("Any", None), cast("Any", None))
    return seen[0], get_access_token(), seen[1]


async def test_the_sdk_sees_the_caller_for_as_long_as_the_call_lasts() -> None:
    token, after, scope = await called(ANN)

    assert (token.subject, token.client_id, token.scopes) == ("ann", "client_1", ["notes:read", "notes:write"])
    assert (token.expires_at, token.resource) == (2_000, "https://notes.example/mcp")
    assert scope["user"].access_token is token
    assert scope["auth"].scopes == ["notes:read", "notes:write"]
    assert after is None


async def test_where_nobody_is_known_nothing_is_said() -> None:
    token, _, scope = await called(None)

    assert (token, scope["user"]) == (None, "outer")


async def test_without_the_sdk_nothing_is_imported_and_nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mcp.server.auth.middleware.auth_context")

    _, _, scope = await called(ANN)

    assert scope["user"] == "outer"


def test_claims_say_what_a_token_would_and_what_is_known_of_the_person() -> None:
    profile = Profile(
        email="ann@example.com", groups=("staff",), claims={"locale": "de", "sub": "elsewhere", "act": "x"}
    )
    principal = replace(ANN, display_name="Ann", profile=profile.to_text(), roles=frozenset({"admin"}))

    assert claims_of(principal) == {
        "email": "ann@example.com",
        "email_verified": False,
        "groups": ["staff"],
        "locale": "de",
        "name": "Ann",
        "roles": ["admin"],
        "exp": 2_000,
        "iss": "https://notes.example",
        "sub": "ann",
        "aud": "https://notes.example/mcp",
        "client_id": "client_1",
        "scope": "notes:read notes:write",
    }
    assert "email" not in claims_of(ANN)
    assert "exp" not in claims_of(replace(ANN, expires_at=None))
    acted_for = replace(ANN, actors=("front", "gate"))
    assert claims_of(acted_for)["act"] == {"sub": "front", "act": {"sub": "gate"}}


def test_what_stands_in_for_the_token_is_the_callers_own() -> None:
    others = [
        replace(ANN, subject="ben"),
        replace(ANN, client_id="client_2"),
        replace(ANN, grant_id=None),
        replace(ANN, issuer="https://other.example"),
        replace(ANN, resource="https://notes.example/other"),
        replace(ANN, scopes=frozenset({"notes:read"})),
        replace(ANN, actors=("front",)),
        replace(ANN, actors=("front", "gate")),
    ]

    assert stand_in(ANN) == stand_in(replace(ANN, expires_at=9))
    assert len({stand_in(principal) for principal in (ANN, *others)}) == 9
    assert len(stand_in(ANN)) == len("withheld-") + 32


async def test_callers_at_the_same_time_do_not_see_each_other() -> None:
    seen: dict[str, str | None] = {}

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(0)
        token = get_access_token()
        seen[scope["gatepost.principal"].subject] = None if token is None else token.subject

    callers = SdkCallers(app)
    people = [replace(ANN, subject=f"person {number}") for number in range(5)]
    await asyncio.gather(
        *(
            callers({"type": "http", "gatepost.principal": person}, cast("Any", None), cast("Any", None))
            for person in people
        )
    )

    assert seen == {person.subject: person.subject for person in people}
