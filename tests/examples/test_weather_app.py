"""The example with a chart, as hosts and as models see it; `tests/end_to_end/test_browser_app.py` draws it."""

from __future__ import annotations

from typing import Any

import pytest
from mcp import MCPError
from mcp_types import TextContent, TextResourceContents

from examples.weather_app import server
from gatepost.testing import Client

EXTENSION = {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}
PAGE = "ui://weather/forecast"


@pytest.mark.parametrize("era", ["modern", "handshake"])
async def test_the_tool_names_its_page_which_is_read_as_an_app(era: Any) -> None:
    async with Client(server, era=era) as client:
        (tool,) = (await client.list_tools()).tools
        (page,) = (await client.read_resource(PAGE)).contents

    assert tool.meta == {"ui": {"resourceUri": PAGE}}
    assert isinstance(page, TextResourceContents)
    assert page.mime_type == "text/html;profile=mcp-app"
    assert page.meta == {"ui": {"prefersBorder": True}}
    assert page.text.startswith("<!doctype html>")


async def test_the_result_is_structured_for_the_page_and_a_text_for_everybody_else() -> None:
    async with Client(server) as client:
        result = await client.call_tool("forecast", {"city": "Oslo"})

    assert result.structured_content is not None
    assert [day["name"] for day in result.structured_content["days"]] == ["Mon", "Tue", "Wed", "Thu", "Fri"]
    assert isinstance(result.content[0], TextContent)
    assert '"city":"Oslo"' in result.content[0].text.replace(" ", "")


async def test_nobody_without_the_scope_sees_tool_or_page() -> None:
    async with Client(server, scopes=[]) as client:
        assert (await client.list_tools()).tools == []
        assert (await client.list_resources()).resources == []
        with pytest.raises(MCPError):
            await client.read_resource(PAGE)

    assert (client.refusals[-1].status, client.refusals[-1].scopes) == (403, ("weather:read",))
