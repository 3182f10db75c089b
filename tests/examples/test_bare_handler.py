"""The example of a function: its tools need scopes by name, and hear who calls."""

from __future__ import annotations

import pytest
from mcp import MCPError

from examples.bare_handler import handler
from gatepost.testing import Client
from tests.testing.notes_server import text_of


async def test_the_function_answers_whoever_may_call_it() -> None:
    async with Client(handler, user="alice") as alice:
        assert [tool.name for tool in (await alice.list_tools()).tools] == ["echo", "shout"]
        assert text_of(await alice.call_tool("echo", {"text": "hello"})) == "alice: hello"
        assert text_of(await alice.call_tool("shout", {"text": "hello"})) == "alice: HELLO!"
        with pytest.raises(MCPError, match="^There are echo and shout"):
            await alice.call_tool("echo", {"text": 1})


async def test_who_may_be_quiet_only_does_not_shout() -> None:
    async with Client(handler, scopes=["speech:quiet"]) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["echo"]
        with pytest.raises(MCPError, match="lacks a scope"):
            await client.call_tool("shout", {"text": "hello"})

    assert client.refusals[-1].scopes == ("speech:loud",)
