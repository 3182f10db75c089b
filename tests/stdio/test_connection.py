"""What becomes of each line, in both eras."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from gatepost import ClientError, Context, Server, get_current_sub
from gatepost.protocol.versions import LATEST_HANDSHAKE
from gatepost.server.calls import pending_client_requests
from gatepost.server.calls.pending_client_requests import PendingClientRequests
from gatepost.server.calls.waiters import Pace, Waiters
from gatepost.server.changes.bus import Change
from gatepost.server.dispatch import ServerTarget
from gatepost.server.handler_target import HandlerTarget
from gatepost.stdio import connection
from gatepost.stdio.connection import LocalResponses, StdioSession, StdioSessionExchange
from gatepost.stdio.streams import Outlet
from tests.stdio.conftest import META

Connect = Callable[..., AbstractAsyncContextManager[Any]]

server = Server("notes")
events: list[str] = []


class Name(BaseModel):
    name: str


@server.tool(scopes=["notes:write"])
def add(text: str, ctx: Context) -> str:
    """Keep a note."""
    return f"{get_current_sub()} {text} {ctx.request.headers.get('X-Team')} {ctx.request.method}"


@server.tool
async def wait(ctx: Context) -> str:
    """Wait for ever."""
    events.append("begun")
    try:
        await asyncio.Event().wait()
    finally:
        events.append("stopped")
        ctx.log.info("too late")
        await ctx.progress(1)
    return ""


@server.tool
async def stubborn() -> str:
    """Do not let oneself be cancelled."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "done all the same"
    return ""


@server.tool
async def greet(ctx: Context) -> str:
    """Ask for a name."""
    try:
        answer = await ctx.elicit("Who is it?", Name)
    except ClientError as error:
        return f"error {error.code}"
    return f"Hello {answer.data.name}" if answer.data else "nobody"


@server.tool
async def steps(ctx: Context) -> str:
    """Tell of progress and log."""
    await ctx.progress(1, 2)
    ctx.log.info("half")
    return "done"


@server.resource("notes://today")
def today() -> str:
    """Return today's note."""
    return "milk"


@pytest.fixture(autouse=True)
def _no_events() -> None:
    events.clear()


def target() -> ServerTarget:
    return ServerTarget(server)


def in_session(outlet: Outlet, **state: Any) -> StdioSessionExchange:
    """The exchange of a request in a session."""
    session = StdioSession(LATEST_HANDSHAKE, {}, **state)
    pending = PendingClientRequests(
        store=LocalResponses(), waiters=Waiters(), now=lambda: 0, random_bytes=bytes, pace=Pace(60)
    )
    return StdioSessionExchange(outlet, {}, session, pending)


def text_of(answer: dict[str, Any]) -> str:
    text: str = answer["result"]["content"][0]["text"]
    return text


async def test_the_modern_era_needs_no_handshake(connect: Connect) -> None:
    async with connect(target(), **{"x-team": "garden"}) as client:
        assert "2026-07-28" in (await client.ask("server/discover"))["result"]["supportedVersions"]
        answer = await client.ask("tools/call", name="add", arguments={"text": "milk"})
        assert text_of(answer) == "anonymous milk garden POST"
        assert (answer["id"], answer["result"]["resultType"]) == (1, "complete")


async def test_the_handshake_era_agrees_on_a_revision(connect: Connect) -> None:
    async with connect(target()) as client:
        await client.initialize(version="2025-06-18")
        await client.tell(method="notifications/initialized")
        await client.call("add", text="milk")
        assert text_of(await client.answer()) == "anonymous milk None POST"
        # That revision answers wrong arguments with a protocol error.
        await client.call("add")
        assert (await client.answer())["error"]["code"] == -32602


async def test_before_initialize_there_is_only_ping(connect: Connect) -> None:
    async with connect(target()) as client:
        await client.tell(id=1, method="ping")
        assert await client.answer() == {"jsonrpc": "2.0", "id": 1, "result": {}}
        await client.tell(method="notifications/initialized")
        await client.tell(id=2, method="tools/list")
        assert (await client.answer())["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        ({"io.modelcontextprotocol/protocolVersion": 3}, -32602),
        ({"io.modelcontextprotocol/protocolVersion": "2099-01-01"}, -32022),
        ({"io.modelcontextprotocol/protocolVersion": "2026-07-28"}, -32602),
    ],
)
async def test_wrong_metadata_is_refused(connect: Connect, meta: dict[str, Any], code: int) -> None:
    async with connect(target()) as client:
        await client.tell(id=1, method="tools/list", params={"_meta": meta})
        assert (await client.answer())["error"]["code"] == code


async def test_the_modern_era_has_no_methods_of_the_other(connect: Connect) -> None:
    async with connect(target()) as client:
        assert (await client.ask("ping"))["error"]["code"] == -32601


async def test_a_byte_order_mark_before_the_first_line_is_passed_over(connect: Connect) -> None:
    async with connect(target()) as client:
        await client.connection.take(b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}')
        assert (await client.answer())["id"] == 1


async def test_what_is_no_message_is_answered_and_blank_lines_are_not(connect: Connect) -> None:
    async with connect(target()) as client:
        await client.connection.take(b" \r")
        await client.connection.take(b"{")
        assert (await client.answer())["error"]["code"] == -32700
        await client.connection.take(None)
        answer = await client.answer()
        assert ("id" in answer, answer["error"]["code"]) == (False, -32600)


async def test_requests_run_side_by_side_and_cancelling_stops_one_without_a_word(connect: Connect) -> None:
    async with connect(target()) as client:
        await client.initialize()
        params = {"name": "wait", "arguments": {}, "_meta": {"progressToken": 1}}
        await client.tell(id=6, method="tools/call", params=params)
        await client.call("add", text="milk")
        assert (await client.answer())["id"] == 7
        assert events == ["begun"]
        await client.tell(method="notifications/cancelled", params={"requestId": 6})
        await client.tell(method="notifications/cancelled", params={"requestId": 99})
        await client.tell(method="notifications/cancelled", params={"requestId": []})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert events == ["begun", "stopped"]
        # The id is free again, also when its task was cancelled before it began.
        await client.tell(id=6, method="ping")
        await client.tell(method="notifications/cancelled", params={"requestId": 6})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await client.tell(id=6, method="ping")
        assert (await client.answer())["result"] == {}
        assert client.received.empty()


async def test_cancelling_stops_a_request_of_the_modern_era_without_a_word(connect: Connect) -> None:
    async with connect(target()) as client:
        meta = {**META, "progressToken": 1, "io.modelcontextprotocol/logLevel": "debug"}
        await client.tell(id=6, method="tools/call", params={"name": "wait", "arguments": {}, "_meta": meta})
        assert "result" in await client.ask("server/discover")
        assert events == ["begun"]
        await client.tell(method="notifications/cancelled", params={"requestId": 6, "reason": "enough"})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert events == ["begun", "stopped"]
        assert client.received.empty()


async def test_a_listener_that_is_cancelled_hears_no_more(connect: Connect) -> None:
    key = "io.modelcontextprotocol/subscriptionId"
    async with connect(target()) as client:
        params = {"notifications": {"resourceSubscriptions": ["notes://today"]}, "_meta": META}
        for request_id in (1, 2):
            await client.tell(id=request_id, method="subscriptions/listen", params=params)
            begun = await client.answer()
            assert begun["method"] == "notifications/subscriptions/acknowledged"
            assert begun["params"]["_meta"] == {key: request_id}
        await client.tell(method="notifications/cancelled", params={"requestId": 1})
        await asyncio.sleep(0)
        server.resource_updated("notes://today")
        assert (await client.answer())["params"]["_meta"] == {key: 2}
        assert client.received.empty()


async def test_an_answer_is_one_line_whatever_its_result_was_written_on() -> None:
    class Spread(ServerTarget):
        async def answer(self, *_: Any) -> Any:
            return orjson.Fragment(b'{\r\n  "tools": [{"name": "a\\nb"}]\n}')

    sent: list[bytes] = []

    class Lines:
        async def send(self, message: bytes) -> None:
            sent.append(message)

        post = sent.append

    connection_ = connection.Connection(Spread(server), Lines())
    await connection_.take(orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}))
    await connection_.finish(1)

    assert [b"\n" in line or b"\r" in line for line in sent] == [False]
    assert orjson.loads(sent[0])["result"] == {"tools": [{"name": "a\nb"}]}


async def test_a_result_that_comes_after_cancelling_is_dropped(connect: Connect) -> None:
    async with connect(target()) as client:
        await client.initialize()
        await client.call("stubborn")
        await asyncio.sleep(0)
        await client.tell(method="notifications/cancelled", params={"requestId": 7})
        await client.connection.finish(1)
        assert client.received.empty()


async def test_an_id_in_use_and_too_many_requests_are_refused(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(target()) as client:
        await client.initialize()
        await client.call("wait")
        await client.call("wait")
        assert (await client.answer())["error"]["code"] == -32600
        monkeypatch.setattr(connection, "MOST_RUNNING", 1)
        await client.tell(id=8, method="ping")
        assert (await client.answer())["error"]["code"] == -32600
        await client.connection.finish(0)
    assert events[-1] == "stopped"


async def test_a_tool_asks_and_responses_are_matched_by_id(connect: Connect) -> None:
    async with connect(target()) as client:
        await client.initialize({"elicitation": {}})
        await client.call("greet")
        question = await client.answer()
        assert question["method"] == "elicitation/create"
        await client.tell(id="ask_99", result={})
        await client.tell(id=3, result={})
        result = {"action": "accept", "content": {"name": "Ada"}}
        await client.tell(id=question["id"], result=result)
        await client.tell(id=question["id"], result=result)
        assert text_of(await client.answer()) == "Hello Ada"


@pytest.mark.parametrize(("error", "code"), [({"code": -1, "message": "no"}, -1), ({"code": "odd"}, -1)])
async def test_an_error_of_the_clients_reaches_the_tool(connect: Connect, error: dict[str, Any], code: int) -> None:
    async with connect(target()) as client:
        await client.initialize({"elicitation": {}})
        await client.call("greet")
        await client.tell(id=(await client.answer())["id"], error=error)
        assert text_of(await client.answer()) == f"error {code}"


async def test_cancelling_takes_open_questions_back(connect: Connect) -> None:
    async with connect(target()) as client:
        await client.initialize({"elicitation": {}})
        await client.call("greet")
        question = await client.answer()
        await client.tell(method="notifications/cancelled", params={"requestId": 7})
        taken_back = await client.answer()
        assert taken_back["params"] == {"requestId": question["id"]}


async def test_questions_are_bounded(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_client_requests, "MOST_PENDING", 0)
    async with connect(target()) as client:
        await client.initialize({"elicitation": {}})
        await client.call("greet")
        assert (await client.answer())["result"]["isError"]


async def test_the_modern_era_asks_with_its_result(connect: Connect) -> None:
    async with connect(target()) as client:
        asked = (await client.ask("tools/call", name="greet", arguments={}))["result"]
        assert asked["resultType"] == "input_required"
        (key,) = asked["inputRequests"]
        answers = {key: {"action": "accept", "content": {"name": "Ada"}}}
        state = asked["requestState"]
        answer = await client.ask("tools/call", name="greet", arguments={}, inputResponses=answers, requestState=state)
        assert text_of(answer) == "Hello Ada"


async def test_progress_and_logs_come_before_the_result(connect: Connect) -> None:
    async with connect(target()) as client:
        await client.initialize()
        await client.tell(id=5, method="logging/setLevel", params={"level": "info"})
        await client.answer()
        params = {"name": "steps", "arguments": {}, "_meta": {"progressToken": "p"}}
        await client.tell(id=6, method="tools/call", params=params)
        methods = {(await client.answer())["method"], (await client.answer())["method"]}
        assert methods == {"notifications/progress", "notifications/message"}
        assert (await client.answer())["id"] == 6


async def test_changes_are_told_to_sessions_that_want_to_know(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOST_SUBSCRIPTIONS", 1)
    async with connect(target()) as client:
        client.connection.on_change(Change("tools"))
        await client.initialize()
        client.connection.on_change(Change("resource", uri="notes://today"))
        client.connection.on_change(Change("tools"))
        assert (await client.answer())["method"] == "notifications/tools/list_changed"
        params = {"uri": "notes://today"}
        await client.tell(id=1, method="resources/subscribe", params=params)
        assert (await client.answer())["result"] == {}
        client.connection.on_change(Change("resource", uri="notes://today"))
        assert (await client.answer())["params"] == params
        await client.tell(id=2, method="resources/unsubscribe", params={"uri": "Notes://TODAY"})
        assert (await client.answer())["result"] == {}
        await client.tell(id=3, method="resources/subscribe", params={"uri": "Notes://%54ODAY"})
        assert (await client.answer())["result"] == {}
        client.connection.on_change(Change("resource", uri="notes://today"))
        assert (await client.answer())["params"] == {"uri": "Notes://%54ODAY"}
        await client.tell(id=4, method="resources/unsubscribe", params=params)
        assert (await client.answer())["result"] == {}
        client.connection.on_change(Change("resource", uri="notes://today"))
        await asyncio.sleep(0)
        assert client.received.empty()


async def test_subscriptions_are_bounded(connect: Connect) -> None:
    async with connect(target()) as client:
        full = in_session(client, watched={str(n): str(n) for n in range(1000)})
        assert not await full.subscribe("one more", as_sent="one more")
        assert await full.subscribe("7", as_sent="7")


async def test_a_listener_hears_of_changes_until_the_server_stops(connect: Connect) -> None:
    serving = target()
    async with connect(serving) as client:
        begun = await client.ask("subscriptions/listen", notifications={"resourceSubscriptions": ["notes://today"]})
        assert begun["method"] == "notifications/subscriptions/acknowledged"
        server.resource_updated("notes://today")
        assert (await client.answer())["method"] == "notifications/resources/updated"
        await serving.drain()
        assert (await client.answer())["id"] == 1


async def test_a_failing_target_is_an_incident_that_the_log_explains(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(ServerTarget):
        async def answer(self, *_: Any) -> Any:
            raise RuntimeError("secret detail")

    with caplog.at_level(logging.ERROR, "gatepost.mcp"):
        async with connect(Failing(server)) as client:
            answer = await client.ask("tools/list")
    assert answer["error"]["code"] == -32603
    assert "0000000000000000" in answer["error"]["message"]
    assert "secret" not in answer["error"]["message"]
    assert "secret detail" in caplog.text


async def test_a_bare_function_is_served_and_gets_notifications(connect: Connect) -> None:
    heard: list[str] = []

    async def handler(message: dict[str, Any]) -> dict[str, Any] | None:
        heard.append(message["method"])
        if message["method"] == "tools/list":
            return {"jsonrpc": "2.0", "id": message["id"], "result": {"tools": []}}
        return None

    async with connect(HandlerTarget(handler, name="bare")) as client:
        await client.initialize()
        await client.tell(method="notifications/initialized")
        await client.tell(id=3, method="tools/list")
        assert (await client.answer())["result"] == {"tools": []}
    assert heard == ["initialize", "notifications/initialized", "tools/list"]


async def test_a_request_that_is_over_asks_nothing(connect: Connect) -> None:
    async with connect(target()) as client:
        over = in_session(client)
        over.is_closed = True
        over.post("notifications/message", {})
        await over.notify("notifications/message", {})
        await over.close_stream()
        with pytest.raises(asyncio.CancelledError):
            await over.request({"a": {"method": "roots/list", "params": {}}})
        assert client.received.empty()
