"""The front example, with a server of the official SDK behind it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mcp import MCPError

from examples.stdio_front import front
from gatepost.testing import RunningServer

PROGRAM = Path(__file__).parents[1] / "end_to_end" / "sdk_stdio_server.py"


async def test_what_no_rule_names_takes_the_greater_scope() -> None:
    async with RunningServer(front(sys.executable, str(PROGRAM))) as running:
        async with running.client(scopes=["look"]) as client:
            assert (await client.list_tools()).tools == []
            with pytest.raises(MCPError):
                await client.call_tool("count")
            assert client.refusals[-1].scopes == ("change",)
        async with running.client(scopes=["change"]) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["greet", "count"]
            assert (await client.call_tool("count")).structured_content == {"result": 1}
