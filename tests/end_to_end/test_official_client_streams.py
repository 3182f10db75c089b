"""What the official Python client hears and is asked over streams in both eras; it cancels, and resumes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    ListRootsResult,
    LoggingMessageNotificationParams,
    ResourceUpdatedNotification,
    Root,
    TextContent,
    ToolListChangedNotification,
)
from pydantic import FileUrl

from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import RunningServer

ERAS = ["2026-07-28", "legacy"]


def text_of(result: Any) -> str:
    """Return the text of a result's only block."""
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


@pytest.mark.parametrize("mode", ERAS)
async def test_it_is_told_progress_and_log_messages_before_the_result(interop: RunningServer, mode: str) -> None:
    told: list[object] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async def logged(params: LoggingMessageNotificationParams) -> None:
        told.append((params.level, params.data))

    transport = streamable_http_client(interop.mcp_url)
    async with Client(transport, mode=mode, logging_callback=logged, log_level="info") as client:
        called = await client.call_tool("steps", {"count": 2}, progress_callback=progressed)

    assert text_of(called) == "stepped"
    assert told == [(1, 2, "step 1"), ("info", "did 1"), (2, 2, "step 2"), ("info", "did 2")]


async def test_log_messages_are_not_sent_in_the_modern_era_unless_asked_for(interop: RunningServer) -> None:
    heard: list[object] = []

    async def logged(params: LoggingMessageNotificationParams) -> None:
        heard.append(params)

    transport = streamable_http_client(interop.mcp_url)
    async with Client(transport, mode="2026-07-28", logging_callback=logged) as client:
        await client.call_tool("steps", {"count": 2})

    assert heard == []


@pytest.mark.parametrize("mode", ERAS)
async def test_it_is_asked_for_a_form_a_model_and_its_roots(everything: RunningServer, mode: str) -> None:
    async def fill_in(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context
        assert params.message == "Who are you?"
        return ElicitResult(action="accept", content={"username": "ada", "email": "ada@example.org"})

    async def think(context: object, params: CreateMessageRequestParams) -> CreateMessageResult:
        del context
        assert params.max_tokens == 100
        return CreateMessageResult(role="assistant", model="none", content=TextContent(text="an answer"))

    async def list_roots(context: object) -> ListRootsResult:
        del context
        return ListRootsResult(roots=[Root(uri=FileUrl("file:///projects/ada"), name="Home")])

    transport = streamable_http_client(everything.mcp_url)
    async with Client(
        transport,
        mode=mode,
        elicitation_callback=fill_in,
        sampling_callback=think,
        list_roots_callback=list_roots,
    ) as client:
        filled = await client.call_tool("test_elicitation", {"message": "Who are you?"})
        sampled = await client.call_tool("test_sampling", {"prompt": "What now?"})
        roots = await client.call_tool("test_input_required_result_list_roots", {})

    assert text_of(filled) == ('User response: action=accept, content={"username": "ada", "email": "ada@example.org"}')
    assert text_of(sampled) == "LLM response: an answer"
    assert text_of(roots) == "Roots: file:///projects/ada"


@pytest.mark.parametrize("action", ["decline", "cancel"])
@pytest.mark.parametrize("mode", ERAS)
async def test_the_user_may_refuse_to_answer(everything: RunningServer, mode: str, action: Any) -> None:
    async def refuse(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context, params
        return ElicitResult(action=action)

    transport = streamable_http_client(everything.mcp_url)
    async with Client(transport, mode=mode, elicitation_callback=refuse) as client:
        refused = await client.call_tool("test_elicitation", {"message": "Who are you?"})

    assert text_of(refused) == f"User response: action={action}, content=null"


async def test_a_modern_subscription_tells_of_a_resource_and_of_the_list_of_tools(interop: RunningServer) -> None:
    transport = streamable_http_client(interop.mcp_url)
    async with (
        asyncio.timeout(PATIENCE),
        Client(transport, mode="2026-07-28") as client,
        client.listen(tools_list_changed=True, resource_subscriptions=["watched://one"]) as changes,
    ):
        await client.call_tool("touch", {})
        first = await anext(changes)
        await client.call_tool("grow", {"name": "grown_modern"})
        second = await anext(changes)
        names = [tool.name for tool in (await client.list_tools()).tools]

    assert first == ResourceUpdated(uri="watched://one")
    assert second == ToolsListChanged()
    assert "grown_modern" in names


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_session_tells_of_a_resource_until_it_is_unsubscribed(interop: RunningServer) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def handle(message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.put_nowait(str(message.params.uri))
        elif isinstance(message, ToolListChangedNotification):
            heard.put_nowait("tools")

    transport = streamable_http_client(interop.mcp_url)
    async with asyncio.timeout(PATIENCE), Client(transport, mode="legacy", message_handler=handle) as client:
        await client.subscribe_resource("watched://one")
        await client.call_tool("touch", {})
        assert await heard.get() == "watched://one"
        await client.unsubscribe_resource("watched://one")
        await client.call_tool("touch", {})
        await client.call_tool("grow", {"name": "grown_legacy"})
        assert await heard.get() == "tools"  # the order holds: nothing was sent for the second touch

    assert heard.empty()


@pytest.mark.parametrize("mode", ERAS)
async def test_a_call_that_it_gives_up_is_cancelled(interop: RunningServer, mode: str) -> None:
    begun = asyncio.Event()

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        assert message == "begun"
        begun.set()

    name = f"official {mode}"
    async with asyncio.timeout(PATIENCE), Client(streamable_http_client(interop.mcp_url), mode=mode) as client:
        call = asyncio.create_task(client.call_tool("hold", {"name": name}, progress_callback=progressed))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        ended = await client.call_tool("was_cancelled", {"name": name})

    assert text_of(ended) == "true"


async def ignore_progress(progress: float, total: float | None, message: str | None) -> None:
    """Ask for progress, and do nothing with it."""


class CutStream(httpx2.AsyncByteStream):
    """A stream that breaks off after the first event with a message."""

    def __init__(self, whole: httpx2.AsyncByteStream) -> None:
        self.whole = whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = b""
        async for chunk in self.whole:
            seen += chunk
            at = seen.find(b'"notifications/progress"')
            end = seen.find(b"\n\n", at)
            if at >= 0 and end >= 0:
                yield seen[: end + 2]
                raise httpx2.ReadError("the network is gone")
        yield seen

    async def aclose(self) -> None:
        await self.whole.aclose()


class CuttingTransport(httpx2.AsyncHTTPTransport):
    """A network that drops the first stream that a call is answered with; notes where clients resume."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = False
        self.resumed: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if last := request.headers.get("last-event-id"):
            self.resumed.append(last)
        response = await super().handle_async_request(request)
        if not self.cut and b'"tools/call"' in request.content:
            self.cut = True
            assert response.headers["content-type"].startswith("text/event-stream")
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = CutStream(response.stream)
        return response


async def test_a_session_resumes_a_dropped_stream_without_loss_or_repetition(interop: RunningServer) -> None:
    told: list[float] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        del total, message
        told.append(progress)

    network = CuttingTransport()
    async with (
        asyncio.timeout(PATIENCE),
        httpx2.AsyncClient(transport=network, timeout=PATIENCE) as http,
        Client(streamable_http_client(interop.mcp_url, http_client=http), mode="legacy") as client,
    ):
        called = await client.call_tool("steps", {"count": 5}, progress_callback=progressed)

    assert text_of(called) == "stepped"
    assert told == [1, 2, 3, 4, 5]
    assert network.cut
    assert len(network.resumed) == 1


async def test_a_modern_call_whose_stream_drops_is_over_for_both(interop: RunningServer) -> None:
    network = CuttingTransport()
    async with (
        asyncio.timeout(PATIENCE),
        httpx2.AsyncClient(transport=network, timeout=PATIENCE) as http,
        Client(streamable_http_client(interop.mcp_url, http_client=http), mode="2026-07-28") as client,
    ):
        with pytest.raises(MCPError):
            await client.call_tool("hold", {"name": "dropped"}, progress_callback=ignore_progress)
        ended = await client.call_tool("was_cancelled", {"name": "dropped"})

    assert text_of(ended) == "true"
    assert network.resumed == []
