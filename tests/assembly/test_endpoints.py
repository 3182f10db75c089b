"""Under which paths what is served, and what is refused."""

from __future__ import annotations

from typing import Any, cast

import pytest
from fastmcp import FastMCP
from fastmcp.server.auth import StaticTokenVerifier
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette

from gatepost import Command, JsonRpcHandler, Protected, Remote, ScopeMap, Server, create_app
from gatepost.assembly.core import Core, build_core
from gatepost.assembly.endpoints import endpoints_of
from gatepost.configuration.loading import TargetError
from gatepost.configuration.settings import load_settings
from gatepost.fronts.credentials import CallersTokens
from gatepost.fronts.introduction import Introduction
from gatepost.fronts.remote_backend import RemoteBackend
from gatepost.fronts.target import FrontTarget
from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import REVISION_2025_11_25
from gatepost.server.calls.exchange import Exchange
from gatepost.server.dispatch import ServerTarget
from gatepost.server.scoped_target import ScopedTarget
from gatepost.stores.sql.sqlite import memory_store
from gatepost.wording.phrase import Phrase
from tests.server.calls.asking_client import Client, accept, greet, text


def core(**variables: str) -> Core:
    return build_core(load_settings(variables), is_single_user=False, store=memory_store())


def handler(_request: dict[str, Any]) -> None:
    """Answer nothing."""


def shapes(targets: Any, title: str | None = None, **variables: str) -> list[tuple[str, str, list[str]]]:
    endpoints = endpoints_of(targets, core(**variables), title=title)
    return [(endpoint.path, endpoint.name, list(endpoint.scopes)) for endpoint in endpoints]


def test_a_single_target_is_served_at_mcp_under_the_title_it_is_given() -> None:
    assert shapes(Server("notes")) == [("/mcp", "notes", ["mcp"])]
    assert shapes(Server("notes", title="Notes")) == [("/mcp", "Notes", ["mcp"])]
    assert shapes(Server("notes"), title="Mine") == [("/mcp", "Mine", ["mcp"])]
    assert shapes(handler) == [("/mcp", "handler", ["mcp:read", "mcp:write", "mcp:admin"])]


def test_each_path_of_a_mapping_has_its_own_name_and_scopes() -> None:
    notes, mail = Server("notes", scopes={"notes:read": "Read"}), Server("mail", title="Mail")
    assert shapes({"/notes/mcp": notes, "/mail/mcp/": mail, "/raw": handler}, OAUTH_REQUIRED_SCOPE="base") == [
        ("/notes/mcp", "notes", ["notes:read", "base"]),
        ("/mail/mcp", "Mail", ["base"]),
        ("/raw", "handler", ["mcp:read", "mcp:write", "mcp:admin", "base"]),
    ]


def test_a_command_is_served_under_what_it_was_heard_to_be_called() -> None:
    command = Command("/usr/bin/some-server", "--fast")
    assert shapes(command) == [("/mcp", "some-server", ["mcp"])]
    command.introduction = Introduction({"serverInfo": {"name": "some", "title": "Some server"}})
    assert shapes(command) == [("/mcp", "Some server", ["mcp"])]
    assert shapes(command, title="Mine") == [("/mcp", "Mine", ["mcp"])]


def test_a_command_has_the_scopes_that_are_given_with_it_or_in_the_file(scopes_file: str) -> None:
    given = Command("server", scopes=ScopeMap(tools={"*": ["a"]}))
    assert shapes({"/one": given, "/two": Command("server")}, MCP_SCOPES_FILE=scopes_file) == [
        ("/one", "server", ["a"]),
        ("/two", "server", ["y", "x"]),
    ]


def test_it_is_said_that_everybody_shares_a_process() -> None:
    (endpoint,) = endpoints_of(Command("server", share="all"), core(), title=None)
    assert endpoint.remarks == (
        "Everybody shares one process of server (--share=all): people can meet each other's data in it.",
    )


def test_a_remote_server_is_served_under_what_it_was_heard_to_be_called_with_scopes_like_a_command(
    scopes_file: str,
) -> None:
    url = "https://mcp.example.com/mcp"
    heard = Remote(url, scopes=ScopeMap(tools={"*": ["a"]}))
    heard.introduction = Introduction({"serverInfo": {"name": "some", "title": "Some server"}})

    assert shapes({"/one": heard, "/two": Remote(url)}, MCP_SCOPES_FILE=scopes_file) == [
        ("/one", "Some server", ["a"]),
        ("/two", "mcp.example.com", ["y", "x"]),
    ]
    (endpoint,) = endpoints_of(Remote(url, share="all"), core(), title=None)
    assert endpoint.remarks == (
        "Everybody shares one session of mcp.example.com (--share=all): people can meet each other's data in it.",
    )


def test_a_remote_server_is_asked_with_the_callers_tokens_of_the_installation() -> None:
    upstream = cast("Any", object())
    remote = Remote("https://mcp.example.com/mcp", upstream="github", headers={"X-Own": "1"})
    (endpoint,) = endpoints_of(remote, core(), title=None, upstream=upstream)

    backend = cast("FrontTarget", endpoint.target).backend
    assert isinstance(backend, RemoteBackend)
    assert backend.credentials == CallersTokens("github", upstream, {"X-Own": "1"})
    assert not backend.is_same_for_all


def test_a_function_has_the_scopes_of_the_scopes_file(scopes_file: str) -> None:
    (endpoint,) = endpoints_of(handler, core(MCP_SCOPES_FILE=scopes_file, OAUTH_REQUIRED_SCOPE="base"), title=None)

    assert endpoint.scopes == {
        "y": "Use y",
        "x": Phrase("Use “%(scope)s”", scope="x"),
        "base": Phrase("Use “%(scope)s”", scope="base"),
    }
    assert endpoint.implied_scopes == {"y": {"y", "x"}}
    assert endpoint.scope_groups == {"y": "Whys"}
    assert isinstance(endpoint.target, ScopedTarget)


def test_a_function_has_the_scopes_and_the_title_that_it_is_given_in_code(scopes_file: str) -> None:
    given = JsonRpcHandler(handler, scopes=ScopeMap(tools={"send_*": ["mail:send"]}), title="Mail")
    served = {"/mcp": given, "/raw": handler}

    mail, raw = endpoints_of(served, core(MCP_SCOPES_FILE=scopes_file), title=None)

    assert (mail.name, list(mail.scopes)) == ("Mail", ["mail:send"])
    assert isinstance(mail.target, ScopedTarget)
    assert list(raw.scopes) == ["y", "x"]


def test_a_function_without_scopes_in_code_has_those_of_the_scopes_file(scopes_file: str) -> None:
    (endpoint,) = endpoints_of(JsonRpcHandler(handler), core(MCP_SCOPES_FILE=scopes_file), title=None)

    assert (endpoint.name, list(endpoint.scopes)) == ("handler", ["y", "x"])


def test_what_is_no_function_is_refused_with_its_scopes() -> None:
    with pytest.raises(TypeError, match="it is a class"):
        JsonRpcHandler(Server)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match=r"scopes= takes a gatepost\.ScopeMap"):
        JsonRpcHandler(handler, scopes={"send": ["mail:send"]})  # type: ignore[arg-type]  # what is tested


def test_a_scopes_file_that_nothing_heeds_is_refused(scopes_file: str) -> None:
    """Its operator would take tools for guarded that are not."""
    with pytest.raises(TargetError, match=r"MCP_SCOPES_FILE is for what declares no scopes"):
        endpoints_of(Server("notes"), core(MCP_SCOPES_FILE=scopes_file), title=None)
    endpoints_of({"/mcp": Server("notes"), "/raw": handler}, core(MCP_SCOPES_FILE=scopes_file), title=None)


def test_a_server_of_another_library_is_served_by_its_name(scopes_file: str) -> None:
    assert shapes(FastMCP("notes")) == [("/mcp", "notes", ["mcp"])]
    assert shapes(FastMCP("notes"), title="Mine") == [("/mcp", "Mine", ["mcp"])]
    assert shapes({"/a": MCPServer("a", title="First"), "/b": Protected(FastMCP("b"), title="Second")}) == [
        ("/a", "First", ["mcp"]),
        ("/b", "Second", ["mcp"]),
    ]
    (endpoint,) = endpoints_of(FastMCP("notes"), core(MCP_SCOPES_FILE=scopes_file), title=None)
    assert list(endpoint.scopes) == ["y", "x"]
    assert endpoint.implied_scopes == {"y": {"y", "x"}}
    assert (endpoint.is_application, endpoint.is_mcp_endpoint) == (True, True)


def test_scopes_given_in_code_beat_those_of_the_scopes_file(scopes_file: str) -> None:
    own = ScopeMap(default=["own"])
    targets = {"/mcp": Protected(FastMCP("notes"), scopes=own), "/raw": handler}
    endpoints = endpoints_of(targets, core(MCP_SCOPES_FILE=scopes_file), title=None)

    assert [list(endpoint.scopes) for endpoint in endpoints] == [["own"], ["y", "x"]]
    with pytest.raises(TargetError, match="MCP_SCOPES_FILE"):
        endpoints_of(Protected(FastMCP("notes"), scopes=own), core(MCP_SCOPES_FILE=scopes_file), title=None)
    with pytest.raises(TargetError, match="MCP_SCOPES_FILE"):
        endpoints_of(Protected(Starlette()), core(MCP_SCOPES_FILE=scopes_file), title=None)


def test_a_server_of_another_library_that_checks_tokens_is_refused() -> None:
    with pytest.raises(TargetError, match=r"FastMCP cannot be served at /mcp: this FastMCP checks tokens itself"):
        shapes(FastMCP("notes", auth=StaticTokenVerifier(tokens={})))


def test_what_is_served_may_be_called_mcp_and_is_named_once() -> None:
    settings = load_settings({"MCP_STORAGE_URL": "memory:"})
    server = Server("notes", title="Notes")

    assert create_app(mcp=server, settings=settings).title == "Notes"
    for target, mcp in ((None, None), (server, server)):
        with pytest.raises(TargetError, match="Name what is served once"):
            create_app(target, mcp=mcp, settings=settings)


def test_an_endpoint_is_a_resource_at_each_origin() -> None:
    (endpoint,) = endpoints_of({"/notes/mcp": Server("notes")}, core(), title=None)
    resource = endpoint.at("https://mcp.example.com")
    assert (resource.identifier, resource.path, resource.name) == (
        "https://mcp.example.com/notes/mcp",
        "/notes/mcp",
        "notes",
    )


def test_an_asgi_application_is_no_function_and_is_refused_with_what_serves_it() -> None:
    with pytest.raises(TargetError) as refused:
        shapes({"/reports": Starlette()})

    assert str(refused.value) == (
        "Starlette cannot be served at /reports: an ASGI application is no handler dict -> dict | None; "
        "it is served by gatepost.Protected(app, scopes=...)."
    )


def test_an_app_of_create_app_is_no_endpoint_of_another_one() -> None:
    app = create_app(Server("notes"), settings=load_settings({"MCP_STORAGE_URL": "memory:"}))
    with pytest.raises(TargetError, match="create_app\\(\\) made this app already"):
        shapes(app)


async def test_the_state_of_a_call_at_one_endpoint_is_none_of_another_with_the_same_tools() -> None:
    server = Server("asking", tools=[greet])
    endpoints = endpoints_of({"/a/mcp": server, "/b/mcp": server}, core(), title=None)
    client = Client(server)
    client.target = cast("ServerTarget", endpoints[0].target)
    state = (await client.call())["requestState"]
    answers = {"user_name": accept(name="Ann")}

    assert text(await client.call(answers, state)) == "Hello, Ann!"
    client.target = cast("ServerTarget", endpoints[1].target)
    with pytest.raises(InvalidParams, match="requestState"):
        await client.call(answers, state)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "mcp",
        "//mcp",
        "/mcp//",
        "/a/../mcp",
        "/.well-known/mcp",
        "/a b",
        "/a%2fb",
        "/a?b",
        "/a#b",
        "/ä",
        "/oauth",
        "/oauth/token",
        "/docs",
        "/openapi.json",
        "/health/",
        "/healthz/mcp",
        7,
    ],
)
def test_a_path_that_is_ours_or_has_two_spellings_is_refused(path: Any) -> None:
    with pytest.raises(TargetError, match="cannot be the path of an endpoint"):
        shapes({path: Server("notes")})


def test_the_same_path_twice_or_none_is_refused() -> None:
    with pytest.raises(TargetError, match="differ only by a slash"):
        shapes({"/a": Server("a"), "/a/": Server("b")})
    with pytest.raises(TargetError, match="nothing to serve"):
        shapes({})


@pytest.mark.parametrize("target", [7, Server, "notes:server"])
def test_anything_else_cannot_be_served(target: Any) -> None:
    with pytest.raises(TargetError, match="cannot be served"):
        shapes({"/mcp": target})


async def test_calls_are_counted_in_the_store_by_endpoint_whatever_the_operators_factor() -> None:
    built = core(OAUTH_LIMIT_FACTOR="0")
    targets = [endpoint.target for endpoint in endpoints_of({"/a": rated(), "/b": rated()}, built, title=None)]
    again = [endpoint.target for endpoint in endpoints_of({"/a": rated()}, built, title=None)]
    results = []
    for target in (*targets, *again):
        assert isinstance(target, ServerTarget)
        request = Request(1, "tools/call", {"name": "ping", "arguments": {}})
        results.append(await target.answer(request, REVISION_2025_11_25, Exchange()))

    assert [cast("Any", result)["isError"] for result in results] == [False, False, True]


def rated() -> Server:
    server = Server("rated")

    @server.tool(rate="1/day")
    async def ping() -> None: ...

    return server
