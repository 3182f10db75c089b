"""FastMCP's client against a running server, in both eras: it calls, is told, is asked, reads and cancels."""

import asyncio
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.messages import MessageHandler
from fastmcp.exceptions import ToolError
from mcp_types import (
    BlobResourceContents,
    LoggingMessageNotificationParams,
    ResourceUpdatedNotification,
    TextContent,
    TextResourceContents,
    ToolListChangedNotification,
)

from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import RunningServer

ERAS = ["2026-07-28", "legacy", "auto"]


def text_of(result: Any) -> str:
    """Return the text of a result's only block."""
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


@pytest.mark.parametrize("mode", ERAS)
async def test_fastmcp_lists_and_calls_tools(everything: RunningServer, mode: str) -> None:
    async with Client(everything.mcp_url, mode=mode, timeout=PATIENCE) as client:
        tools = {tool.name for tool in await client.list_tools()}
        called = await client.call_tool("test_simple_text", {})
        with pytest.raises(ToolError) as told:
            await client.call_tool("test_error_handling", {})
        with pytest.raises(ToolError) as refused:
            await client.call_tool("test_elicitation", {})

    assert {"test_simple_text", "test_elicitation", "mirrored_argument"} <= tools
    assert text_of(called) == "This is a simple text response for testing."
    assert str(told.value) == "This tool intentionally returns an error for testing"
    assert "message" in str(refused.value)


@pytest.mark.parametrize("mode", ERAS)
async def test_fastmcp_is_told_the_progress(interop: RunningServer, mode: str) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with Client(interop.mcp_url, mode=mode, timeout=PATIENCE) as client:
        called = await client.call_tool("steps", {"count": 3}, progress_handler=progressed)

    assert text_of(called) == "stepped"
    assert told == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


@pytest.mark.parametrize("mode", ERAS)
async def test_fastmcp_is_asked_for_a_form_a_model_and_its_roots(everything: RunningServer, mode: str) -> None:
    asked: list[str] = []

    async def fill_in(message: str, response_type: object, params: object, context: object) -> dict[str, str]:
        del response_type, params, context
        asked.append(message)
        return {"username": "ada", "email": "ada@example.org"}

    async def think(messages: list[Any], params: Any, context: object) -> str:
        del params, context
        asked.append(messages[0].content.text)
        return "an answer"

    async with Client(
        everything.mcp_url,
        mode=mode,
        timeout=PATIENCE,
        elicitation_handler=fill_in,
        sampling_handler=think,
        roots=["file:///projects/ada"],
    ) as client:
        filled = await client.call_tool("test_elicitation", {"message": "Who are you?"})
        sampled = await client.call_tool("test_sampling", {"prompt": "What now?"})
        roots = await client.call_tool("test_input_required_result_list_roots", {})

    assert text_of(filled) == ('User response: action=accept, content={"username": "ada", "email": "ada@example.org"}')
    assert text_of(sampled) == "LLM response: an answer"
    assert text_of(roots) == "Roots: file:///projects/ada"
    assert asked == ["Who are you?", "What now?"]


@pytest.mark.parametrize("mode", ERAS)
async def test_fastmcp_reads_resources_and_gets_prompts(everything: RunningServer, mode: str) -> None:
    async with Client(everything.mcp_url, mode=mode, timeout=PATIENCE) as client:
        uris = [str(resource.uri) for resource in await client.list_resources()]
        templates = [template.uri_template for template in await client.list_resource_templates()]
        (text,) = await client.read_resource("test://static-text")
        (binary,) = await client.read_resource("test://static-binary")
        (filled,) = await client.read_resource("test://template/7/data")
        prompts = {prompt.name for prompt in await client.list_prompts()}
        prompt = await client.get_prompt("test_prompt_with_arguments", {"arg1": "x", "arg2": "y"})

    assert uris == [
        "skill://release-notes/SKILL.md",
        "test://static-text",
        "test://static-binary",
        "test://watched-resource",
    ]
    assert templates == ["skill://release-notes/{+path}", "test://template/{id}/data"]
    assert isinstance(text, TextResourceContents)
    assert text.text == "This is the content of the static text resource."
    assert isinstance(binary, BlobResourceContents)
    assert isinstance(filled, TextResourceContents)
    assert filled.text == '{"id":"7","templateTest":true,"data":"Data for ID: 7"}'
    assert {"test_simple_prompt", "test_prompt_with_arguments"} <= prompts
    assert isinstance(prompt.messages[0].content, TextContent)
    assert prompt.messages[0].content.text == "Prompt with arguments: arg1='x', arg2='y'"


@pytest.mark.parametrize("mode", ERAS)
async def test_a_call_that_fastmcp_gives_up_is_cancelled(interop: RunningServer, mode: str) -> None:
    begun = asyncio.Event()

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        assert message == "begun"
        begun.set()

    name = f"fastmcp {mode}"
    async with Client(interop.mcp_url, mode=mode, timeout=PATIENCE) as client, asyncio.timeout(PATIENCE):
        call = asyncio.create_task(client.call_tool("hold", {"name": name}, progress_handler=progressed))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        ended = await client.call_tool("was_cancelled", {"name": name})

    assert text_of(ended) == "true"


class Changes(MessageHandler):
    """Notes that the list of tools, or a resource, changed."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.updated: list[str] = []

    async def on_tool_list_changed(self, message: ToolListChangedNotification) -> None:
        del message
        self.heard.set()

    async def on_resource_updated(self, message: ResourceUpdatedNotification) -> None:
        self.updated.append(str(message.params.uri))
        self.heard.set()


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_session_of_fastmcp_hears_log_messages_and_changes(interop: RunningServer) -> None:
    logged: list[tuple[str, object]] = []
    changes = Changes()

    async def log(message: LoggingMessageNotificationParams) -> None:
        logged.append((message.level, message.data))

    client = Client(interop.mcp_url, mode="legacy", timeout=PATIENCE, log_handler=log, message_handler=changes)
    async with asyncio.timeout(PATIENCE), client:
        await client.set_logging_level("info")
        await client.call_tool("steps", {"count": 2})
        await client.set_logging_level("error")
        await client.call_tool("steps", {"count": 2})
        await client.call_tool("grow", {"name": "grown_fastmcp"})
        await changes.heard.wait()
        names = {tool.name for tool in await client.list_tools()}

    assert logged == [("info", "did 1"), ("info", "did 2")]
    assert "grown_fastmcp" in names


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_session_of_fastmcp_hears_of_a_resource_for_as_long_as_it_subscribes(interop: RunningServer) -> None:
    changes = Changes()
    client = Client(interop.mcp_url, mode="legacy", timeout=PATIENCE, message_handler=changes)
    async with asyncio.timeout(PATIENCE), client:
        await client.session.subscribe_resource("watched://one")  # FastMCP has no method of its own for it
        await client.call_tool("touch", {})
        await changes.heard.wait()
        await client.session.unsubscribe_resource("watched://one")
        changes.heard.clear()
        await client.call_tool("touch", {})
        await client.call_tool("grow", {"name": "after_fastmcp_unsubscribed"})  # sent later, on the same stream
        await changes.heard.wait()

    assert changes.updated == ["watched://one"]
