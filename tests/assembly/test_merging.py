"""Several servers at one endpoint: what `create_app` makes of `Merged`."""

from __future__ import annotations

from typing import Any, cast

import pytest
from fastmcp import FastMCP

from gatepost import Command, JsonRpcHandler, Merged, Protected, Remote, ScopeMap, Server
from gatepost.assembly.core import Core, build_core
from gatepost.assembly.endpoints import Endpoint, endpoints_of
from gatepost.configuration.loading import TargetError
from gatepost.configuration.settings import load_settings
from gatepost.fronts.merging.target import MergedTarget
from gatepost.fronts.target import FrontTarget
from gatepost.server.dispatch import ServerTarget
from gatepost.server.handler_target import HandlerTarget
from gatepost.server.scoped_target import ScopedTarget
from gatepost.stores.sql.sqlite import memory_store


def core(**variables: str) -> Core:
    return build_core(load_settings(variables), is_single_user=False, store=memory_store())


def endpoint_of(merged: Merged, title: str | None = None, **variables: str) -> Endpoint:
    (endpoint,) = endpoints_of(merged, core(**variables), title=title)
    return endpoint


def handler(_request: dict[str, Any]) -> None:
    """Answer nothing."""


def server(name: str, *tools: str, **more: Any) -> Server:
    made = Server(name, **more)
    for tool in tools:

        @made.tool(name=tool, scopes=[f"{name}:use"])
        def use() -> str:
            return ""

    return made


def test_each_kind_of_server_is_one_part_and_all_of_our_own_are_one() -> None:
    endpoint = endpoint_of(
        Merged(
            {
                "a": server("a", "x"),
                "files": Command("files"),
                "": server("plain", "y"),
                "hub": Remote("https://hub.example/mcp"),
                "fn": handler,
            }
        )
    )

    target = cast("MergedTarget", endpoint.target)
    assert [(part.prefix, type(part.target)) for part in target.parts] == [
        ("a", ServerTarget),
        ("files", FrontTarget),
        ("hub", FrontTarget),
        ("fn", HandlerTarget),
    ]
    assert endpoint.session_target is target
    assert endpoint.changes is cast("ServerTarget", target.parts[0].target).server.changes


@pytest.mark.parametrize(
    ("merged", "title", "name"),
    [
        (Merged({"a": Command("x"), "": Command("y"), "b": Command("z")}), None, "a, b"),
        (Merged({"a": Command("x")}, title="All"), None, "All"),
        (Merged({"": Command("x")}), None, "merged"),
        (Merged({"a": Command("x")}, title="All"), "Mine", "Mine"),
    ],
)
def test_it_is_called_what_it_is_given_or_after_its_servers(merged: Merged, title: str | None, name: str) -> None:
    assert endpoint_of(merged, title).name == name


def test_the_consent_page_names_the_scopes_of_all_of_them(scopes_file: str) -> None:
    given = ScopeMap(tools={"*": ["files:use"]}, descriptions={"files:use": "Use files"}, scope_groups={"files": "F"})
    merged = Merged(
        {
            "a": server("a", "x", scopes={"a:use": "Use a"}, implied_scopes={"a:all": ["a:use"]}),
            "files": Command("files", scopes=given),
        }
    )
    endpoint = endpoint_of(merged, MCP_SCOPES_FILE=scopes_file)

    assert list(endpoint.scopes) == ["y", "x", "files:use", "a:use", "a:all"]
    assert endpoint.scopes["files:use"] == "Use files"
    assert endpoint.scope_groups == {"y": "Whys", "files": "F"}
    assert endpoint.implied_scopes["a:all"] >= {"a:use"}


def test_a_function_with_scopes_of_its_own_keeps_them_by_its_own_names() -> None:
    scoped = JsonRpcHandler(handler, scopes=ScopeMap(tools={"x": ["fn:use"]}))
    endpoint = endpoint_of(Merged({"fn": scoped, "a": server("a")}))

    (part, _) = cast("MergedTarget", endpoint.target).parts
    assert isinstance(part.target, ScopedTarget)
    assert part.target.scopes is scoped.scopes
    assert "fn:use" in endpoint.scopes


def test_a_map_in_code_counts_in_place_of_the_file_and_none_is_for_servers_of_our_own(scopes_file: str) -> None:
    given = ScopeMap(tools={"files_*": ["files:use"]})

    with pytest.raises(TargetError, match="MCP_SCOPES_FILE is for what declares no scopes"):
        endpoint_of(Merged({"files": Command("files")}, scopes=given), MCP_SCOPES_FILE=scopes_file)
    with pytest.raises(TargetError, match="MCP_SCOPES_FILE is for what declares no scopes"):
        endpoint_of(Merged({"a": server("a"), "b": server("b")}), MCP_SCOPES_FILE=scopes_file)


def test_it_is_said_whose_process_everybody_shares() -> None:
    merged = Merged({"a": Command("x", share="all"), "b": Command("y")})

    assert endpoint_of(merged).remarks == (
        "Everybody shares one process of a (--share=all): people can meet each other's data in it.",
    )


def test_a_name_of_our_own_that_is_another_servers_by_its_beginning_is_refused_at_the_start() -> None:
    merged = Merged({"": server("plain", "files_read"), "files": Command("files")})

    with pytest.raises(TargetError) as refused:
        endpoint_of(merged)
    assert str(refused.value) == (
        "files_read is a name of the server 'files' here, by its beginning: give it another one, or a prefix."
    )


@pytest.mark.parametrize("target", [FastMCP("x"), Protected(FastMCP("x")), 7])
def test_what_cannot_be_merged_is_refused_with_what_can(target: Any) -> None:
    with pytest.raises(TargetError, match=r"cannot be merged, as 'a'.*paths? of (its|their) own"):
        endpoint_of(Merged({"a": target, "b": Command("x")}))
