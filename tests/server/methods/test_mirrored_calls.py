"""Tools whose arguments headers mirror (2026-07-28 basic/transports/streamable-http, "Custom Headers")."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from gatepost.protocol.errors import HeaderMismatch
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import REVISION_2025_11_25, REVISION_2026_07_28, Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.server import Server

Region = Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]


async def query(region: Region, text: str = "") -> str:
    return f"{region} {text}"


async def call(headers: dict[bytes, bytes], revision: Revision = REVISION_2026_07_28) -> Any:
    target = ServerTarget(Server("sql", tools=[query]))
    params = {"name": "query", "arguments": {"region": "eu"}, "_meta": {}}
    result = await target.answer(Request(1, "tools/call", params), revision, Exchange(headers=headers))
    assert isinstance(result, dict)
    return result["content"][0]["text"]


def test_the_annotation_is_shown_to_clients() -> None:
    schema = Server("sql", tools=[query]).tools["query"].definition["inputSchema"]

    assert schema["properties"]["region"] == {"type": "string", "x-mcp-header": "Region"}


async def test_a_call_whose_header_agrees_is_served() -> None:
    assert await call({b"mcp-method": b"tools/call", b"mcp-param-region": b"eu"}) == "eu "


@pytest.mark.parametrize("headers", [{}, {b"mcp-param-region": b"us"}])
async def test_a_call_whose_header_does_not_agree_is_refused(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(HeaderMismatch):
        await call({b"mcp-method": b"tools/call", **headers})


async def test_where_headers_mirror_nothing_they_are_not_looked_at() -> None:
    assert await call({b"mcp-param-region": b"us"}) == "eu "
    assert await call({b"mcp-method": b"tools/call"}, REVISION_2025_11_25) == "eu "


def test_an_annotation_that_clients_would_refuse_is_refused_when_the_tool_is_declared() -> None:
    async def wrong(region: Annotated[float, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
        return str(region)

    with pytest.raises(ToolDefinitionError, match=r"wrong: region: x-mcp-header takes a str, int or bool"):
        Server("sql", tools=[wrong])
