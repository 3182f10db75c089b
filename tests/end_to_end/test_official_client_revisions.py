"""The official Python client in the earlier revisions of the handshake era.

Its `Client` proposes the newest of them and nothing else. But its session speaks whatever revision was agreed on, and
takes an agreement that somebody else has made; so it is made here, with the session's own messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2
import pytest
from mcp import MCPError
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    ClientCapabilities,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitationCapability,
    ElicitRequestParams,
    ElicitResult,
    Implementation,
    InitializedNotification,
    InitializeRequest,
    InitializeRequestParams,
    InitializeResult,
    ListRootsResult,
    LoggingMessageNotificationParams,
    PromptReference,
    ResourceUpdatedNotification,
    Root,
    RootsCapability,
    SamplingCapability,
    TextContent,
    TextResourceContents,
    ToolListChangedNotification,
)
from pydantic import FileUrl

from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import RunningServer

REVISIONS = ["2025-06-18", "2025-03-26"]


@dataclass
class User:
    """Answers what the server asks, and remembers what it told."""

    told: list[object] = field(default_factory=list)
    changed: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def think(self, context: object, params: CreateMessageRequestParams) -> CreateMessageResult:
        del context, params
        return CreateMessageResult(role="assistant", model="none", content=TextContent(text="an answer"))

    async def list_roots(self, context: object) -> ListRootsResult:
        del context
        return ListRootsResult(roots=[Root(uri=FileUrl("file:///projects/ada"), name="Home")])

    async def fill_in(self, context: object, params: ElicitRequestParams) -> ElicitResult:
        del context, params
        return ElicitResult(action="accept", content={"username": "ada", "email": "ada@example.org"})

    async def hear(self, params: LoggingMessageNotificationParams) -> None:
        self.told.append(params.data)

    async def notice(self, message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.changed.put_nowait(str(message.params.uri))
        elif isinstance(message, ToolListChangedNotification):
            self.changed.put_nowait("tools")

    async def progressed(self, progress: float, total: float | None, message: str | None) -> None:
        del total, message
        self.told.append(progress)


class Wire(httpx2.AsyncHTTPTransport):
    """The network, which remembers the revision in the header of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: list[str | None] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.versions.append(request.headers.get("mcp-protocol-version"))
        return await super().handle_async_request(request)


@asynccontextmanager
async def connected(server: RunningServer, user: User, wire: Wire, revision: str) -> AsyncIterator[ClientSession]:
    """Agree on a revision, and speak it."""
    # Elicitation came with 2025-06-18.
    elicitation = ElicitationCapability() if revision >= "2025-06-18" else None
    capabilities = ClientCapabilities(sampling=SamplingCapability(), roots=RootsCapability(), elicitation=elicitation)
    async with (
        httpx2.AsyncClient(transport=wire, timeout=PATIENCE) as http,
        streamable_http_client(server.mcp_url, http_client=http) as (reading, writing),
        ClientSession(
            reading,
            writing,
            sampling_callback=user.think,
            list_roots_callback=user.list_roots,
            elicitation_callback=user.fill_in,
            logging_callback=user.hear,
            message_handler=user.notice,
        ) as session,
    ):
        params = InitializeRequestParams(
            protocol_version=revision, capabilities=capabilities, client_info=Implementation(name="old", version="1")
        )
        agreed = await session.send_request(InitializeRequest(params=params), InitializeResult)
        assert agreed.protocol_version == revision
        session.adopt(agreed)
        await session.send_notification(InitializedNotification())
        yield session


async def text_of(session: ClientSession, tool: str, **arguments: object) -> str:
    """Call a tool that answers with one text."""
    (block,) = (await session.call_tool(tool, dict(arguments))).content
    assert isinstance(block, TextContent)
    return block.text


@pytest.mark.parametrize("revision", REVISIONS)
async def test_it_lists_calls_reads_gets_and_completes(everything: RunningServer, revision: str) -> None:
    wire = Wire()
    async with connected(everything, User(), wire, revision) as session:
        tools = (await session.list_tools()).tools
        assert "test_simple_text" in [tool.name for tool in tools]
        assert await text_of(session, "test_simple_text") == "This is a simple text response for testing."
        assert (await session.call_tool("test_error_handling", {})).is_error
        (read,) = (await session.read_resource("test://template/7/data")).contents
        assert isinstance(read, TextResourceContents)
        assert '"id":"7"' in read.text.replace(" ", "")
        (message,) = (await session.get_prompt("test_simple_prompt")).messages
        assert isinstance(message.content, TextContent)
        completed = await session.complete(
            PromptReference(name="test_prompt_with_arguments"), {"name": "arg1", "value": ""}
        )
        assert completed.completion.values is not None
        await session.send_ping()

    # `initialize` names its revision in the message; 2025-03-26 has no header, and servers take one all the same.
    assert set(wire.versions[1:]) == {revision}


@pytest.mark.parametrize("revision", REVISIONS)
async def test_it_is_told_and_asked_in_the_middle_of_a_call(everything: RunningServer, revision: str) -> None:
    user = User()
    async with connected(everything, user, Wire(), revision) as session:
        assert await text_of(session, "test_sampling", prompt="What now?") == "LLM response: an answer"
        roots = await text_of(session, "test_input_required_result_list_roots")
        assert roots == "Roots: file:///projects/ada"
        await session.call_tool("test_tool_with_progress", {}, progress_callback=user.progressed)
        assert user.told == [0, 50, 100]
        await session.call_tool("test_tool_with_logging", {})
        assert len(user.told) > len([0, 50, 100])


async def test_a_form_is_filled_in_where_the_revision_has_forms(everything: RunningServer) -> None:
    async with connected(everything, User(), Wire(), "2025-06-18") as session:
        filled_in = await text_of(session, "test_elicitation", message="Who are you?")
        assert filled_in.startswith("User response: action=accept")
    async with connected(everything, User(), Wire(), "2025-03-26") as session:
        with pytest.raises(MCPError, match="elicitation"):
            await session.call_tool("test_elicitation", {"message": "Who are you?"})


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_call_that_it_gives_up_is_cancelled(interop: RunningServer, revision: str) -> None:
    begun = asyncio.Event()

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        del progress, total, message
        begun.set()

    name = f"official {revision}"
    async with asyncio.timeout(PATIENCE), connected(interop, User(), Wire(), revision) as session:
        call = asyncio.create_task(session.call_tool("hold", {"name": name}, progress_callback=progressed))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await text_of(session, "was_cancelled", name=name) == "true"


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_it_is_told_of_a_resource_until_it_unsubscribes(interop: RunningServer, revision: str) -> None:
    user = User()
    async with asyncio.timeout(PATIENCE), connected(interop, user, Wire(), revision) as session:
        await session.subscribe_resource("watched://one")
        await session.call_tool("touch", {})
        assert await user.changed.get() == "watched://one"
        await session.unsubscribe_resource("watched://one")
        await session.call_tool("touch", {})
        await session.call_tool("grow", {"name": f"grown_{revision}"})
        assert await user.changed.get() == "tools"  # the order holds: nothing was sent for the second touch
