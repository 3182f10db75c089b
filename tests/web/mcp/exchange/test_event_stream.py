"""Answers that become streams (2026-07-28 basic/transports/streamable-http, "Receiving Messages")."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.types import Message

from gatepost.protocol.errors import InternalError
from gatepost.protocol.messages import error_response
from gatepost.server.calls.context import Context
from gatepost.server.dispatch import ServerTarget
from gatepost.server.server import Server
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.web.mcp.exchange.http_exchange import HttpExchange
from tests.web.mcp.mcp_harness import MODERN_META, McpWorld, exchange_on, headers_for

EVENT_STREAM = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-accel-buffering": "no",
}


class Sink:
    """The ASGI channel to a client that reads everything, or is slow, or is gone."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.is_gone = False
        self.heard = asyncio.Event()

    async def send(self, message: Message) -> None:
        await self.may_write.wait()
        if self.is_gone:
            raise OSError
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.heard.set()

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def messages(self) -> list[Any]:
        """The JSON-RPC messages of the stream so far."""
        raw = b"".join(message["body"] for message in self.sent[1:])
        assert b"\nid:" not in raw
        events = raw.removesuffix(b"\n\n").split(b"\n\n") if raw else []
        assert all(event.startswith(b"data: ") for event in events)
        return [json.loads(event.removeprefix(b"data: ")) for event in events]

    @property
    def is_ended(self) -> bool:
        return not self.sent[-1].get("more_body", False)


class Exchange:
    """One call of a tool over HTTP, as it happens."""

    def __init__(self, server: Server | ServerTarget, name: str, *, version: str = "2026-07-28", **meta: Any) -> None:
        self.sink = Sink()
        self.gone = asyncio.Event()
        is_modern = version == "2026-07-28"
        self._incoming = [
            json.dumps(
                {
                    "jsonrpc": "2.0",
                    "id": 5,
                    "method": "tools/call",
                    "params": {"name": name, "_meta": {**(MODERN_META if is_modern else {}), **meta}},
                }
            ).encode()
        ]
        headers = headers_for(version=version, method="tools/call", name=name)
        scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers}
        world = McpWorld(ServerTarget(server) if isinstance(server, Server) else server)
        self.task = asyncio.create_task(world.endpoint(scope, self._receive, self.sink.send))

    async def _receive(self) -> Message:
        if self._incoming:
            return {"type": "http.request", "body": self._incoming.pop(), "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}


class Stepping:
    """A server with a tool that says something, waits, and goes on."""

    def __init__(self) -> None:
        self.server = Server("notes")
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = ""
        self.server.tool(self.step)

    async def step(self, ctx: Context) -> str:
        await ctx.progress(1, 2, "half")
        self.reached.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        await ctx.progress(2, 2)
        return "done"


def progress(done: int, **more: Any) -> dict[str, Any]:
    params = {"progressToken": "t", "progress": done, "total": 2, **more}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


async def test_the_first_notification_turns_the_answer_into_a_stream_that_the_response_ends() -> None:
    stepping = Stepping()
    exchange = Exchange(stepping.server, "step", progressToken="t")
    await stepping.reached.wait()

    assert exchange.sink.sent[0]["status"] == 200
    assert exchange.sink.headers == EVENT_STREAM
    assert exchange.sink.messages == [progress(1, message="half")]
    assert not exchange.sink.is_ended

    stepping.go_on.set()
    await exchange.task

    *notifications, response = exchange.sink.messages
    assert notifications == [progress(1, message="half"), progress(2)]
    assert response["id"] == 5
    assert response["result"]["content"] == [{"type": "text", "text": "done"}]
    assert exchange.sink.is_ended


async def test_calls_side_by_side_each_hear_of_themselves_alone() -> None:
    both = asyncio.Barrier(2)

    async def count(ctx: Context) -> str:
        for step in (1, 2):
            await ctx.progress(step)
            ctx.log.info("step")
            await both.wait()
        return "done"

    server = Server("notes", tools=[count])
    level = {"io.modelcontextprotocol/logLevel": "info"}
    one = Exchange(server, "count", progressToken="one", **level)
    other = Exchange(server, "count", progressToken="other")
    await asyncio.gather(one.task, other.task)

    def told(exchange: Exchange) -> list[Any]:
        return [message["params"].get("progressToken", "log") for message in exchange.sink.messages[:-1]]

    assert sorted(told(one)) == ["log", "log", "one", "one"]
    assert told(other) == ["other", "other"]


async def test_a_call_that_says_nothing_is_answered_as_plain_json() -> None:
    stepping = Stepping()
    stepping.go_on.set()
    exchange = Exchange(stepping.server, "step")
    await exchange.task

    assert exchange.sink.headers["content-type"] == "application/json"
    assert json.loads(exchange.sink.sent[1]["body"])["result"]["content"] == [{"type": "text", "text": "done"}]


async def test_a_client_that_leaves_the_stream_cancels_the_call() -> None:
    stepping = Stepping()
    exchange = Exchange(stepping.server, "step", progressToken="t")
    await stepping.reached.wait()

    exchange.gone.set()
    await exchange.task

    assert stepping.ended == "cancelled"
    assert exchange.sink.messages == [progress(1, message="half")]


class Answer(BaseModel):
    yes: bool


class Ends:
    """Ways in which a call can end after it has said something."""

    @staticmethod
    async def fail(ctx: Context) -> str:
        await ctx.progress(1)
        raise RuntimeError("secret")

    @staticmethod
    async def ask(ctx: Context) -> str:
        await ctx.progress(1)
        await ctx.elicit("Sure?", Answer)
        return "never"


async def test_a_question_is_the_last_event_of_a_stream() -> None:
    server = Server("notes", tools=[Ends.ask])
    capabilities: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
    exchange = Exchange(server, "ask", progressToken="t", **capabilities)
    await exchange.task

    assert [message.get("method", "response") for message in exchange.sink.messages] == [
        "notifications/progress",
        "response",
    ]
    assert exchange.sink.messages[1]["result"]["resultType"] == "input_required"


@pytest.mark.parametrize("is_streaming", [True, False])
async def test_a_missing_capability_has_its_own_error_and_status_if_there_is_still_time(*, is_streaming: bool) -> None:
    server = Server("notes", tools=[Ends.ask])
    exchange = Exchange(server, "ask", **({"progressToken": "t"} if is_streaming else {}))
    await exchange.task

    assert exchange.sink.sent[0]["status"] == (200 if is_streaming else 400)
    error = exchange.sink.messages[1] if is_streaming else json.loads(exchange.sink.sent[1]["body"])
    assert error["id"] == 5
    assert error["error"]["code"] == -32021
    assert error["error"]["data"] == {"requiredCapabilities": {"elicitation": {"form": {}}}}


async def test_a_missing_capability_is_an_error_of_the_handshake_era_too() -> None:
    exchange = Exchange(Server("notes", tools=[Ends.ask]), "ask", version="2025-11-25")
    await exchange.task

    assert exchange.sink.sent[0]["status"] == 200
    assert json.loads(exchange.sink.sent[1]["body"])["error"]["code"] == -32021


class LosingItsStore(ServerTarget):
    """A target that has said something when its store goes away."""

    async def answer(self, request: Any, revision: Any, exchange: Any) -> Any:
        del request, revision
        await exchange.notify("notifications/progress", {"progressToken": 1, "progress": 1})
        raise StoreUnavailable("down")


async def test_a_fault_after_the_stream_began_is_its_last_event() -> None:
    failing = Exchange(Server("notes", tools=[Ends.fail]), "fail", progressToken="t")
    await failing.task
    losing = Exchange(LosingItsStore(Server("notes")), "any")
    await losing.task

    assert failing.sink.messages[1]["result"]["isError"] is True
    assert losing.sink.messages[1]["error"]["code"] == -32603
    assert losing.sink.is_ended


async def test_log_lines_of_a_thread_come_before_its_result() -> None:
    def chatty(ctx: Context) -> str:
        for number in range(3):
            ctx.log.info("line %d", number)
        ctx.wait(ctx.progress(1))
        ctx.log.info("last")
        return "done"

    level = {"io.modelcontextprotocol/logLevel": "info"}
    exchange = Exchange(Server("notes", tools=[chatty]), "chatty", progressToken="t", **level)
    await exchange.task

    assert [message.get("params", {}).get("data", message.get("method")) for message in exchange.sink.messages] == [
        "line 0",
        "line 1",
        "line 2",
        "notifications/progress",
        "last",
        None,
    ]


async def test_log_lines_of_a_tool_that_never_waits_come_before_its_result() -> None:
    async def chatty(ctx: Context) -> str:
        ctx.log.info("first")
        ctx.log.info("second")
        return "done"

    level = {"io.modelcontextprotocol/logLevel": "info"}
    exchange = Exchange(Server("notes", tools=[chatty]), "chatty", **level)
    await exchange.task
    await asyncio.sleep(0)

    assert [message.get("params", {}).get("data") for message in exchange.sink.messages] == ["first", "second", None]
    assert exchange.sink.is_ended


async def test_log_lines_go_out_while_the_tool_waits() -> None:
    go_on = asyncio.Event()

    async def chatty(ctx: Context) -> str:
        ctx.log.info("first")
        await go_on.wait()
        return "done"

    level = {"io.modelcontextprotocol/logLevel": "info"}
    exchange = Exchange(Server("notes", tools=[chatty]), "chatty", **level)
    await exchange.sink.heard.wait()

    assert exchange.sink.messages[0]["params"]["data"] == "first"
    go_on.set()
    await exchange.task


@pytest.fixture
async def slow() -> tuple[Sink, HttpExchange]:
    """A stream to a client that does not read."""
    sink = Sink()
    sink.may_write.clear()
    return sink, exchange_on(sink.send)


async def test_whoever_notifies_waits_for_a_slow_client(slow: tuple[Sink, HttpExchange]) -> None:
    sink, exchange = slow
    writing = [asyncio.create_task(exchange.notify("n", {"count": count})) for count in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in writing)

    sink.may_write.set()
    await asyncio.gather(*writing)

    assert [message["params"]["count"] for message in sink.messages] == [0, 1, 2]


async def test_posts_to_a_client_that_does_not_read_are_given_up_oldest_first(
    slow: tuple[Sink, HttpExchange],
) -> None:
    sink, exchange = slow
    for count in range(1030):
        exchange.post("n", {"count": count})

    sink.may_write.set()
    await exchange.finish(error_response(InternalError("end")))

    counts = [message["params"]["count"] for message in sink.messages[:-1]]
    assert counts == list(range(6, 1030))


async def test_what_is_posted_late_does_not_push_the_answer_out(slow: tuple[Sink, HttpExchange]) -> None:
    sink, exchange = slow
    writing = asyncio.create_task(exchange.notify("n", {}))
    await asyncio.sleep(0)
    answer = error_response(InternalError("end"))
    ending = asyncio.create_task(exchange.finish(answer))
    await asyncio.sleep(0)
    for _ in range(1030):
        exchange.post("late", {})

    sink.may_write.set()
    await asyncio.gather(writing, ending)

    assert sink.messages == [{"jsonrpc": "2.0", "method": "n", "params": {}}, json.loads(answer)]


async def test_nothing_is_sent_after_the_end() -> None:
    sink = Sink()
    exchange = exchange_on(sink.send)
    await exchange.notify("n", {})
    await exchange.finish(b"{}")
    before = list(sink.sent)

    exchange.post("late", {})
    await exchange.notify("late", {})
    await asyncio.sleep(0)

    assert sink.sent == before


async def test_posts_to_a_client_that_is_gone_do_no_harm() -> None:
    sink = Sink()
    sink.is_gone = True
    exchange = exchange_on(sink.send)

    exchange.post("n", {})
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert sink.sent == []


async def test_what_json_has_no_form_for_is_the_senders_fault() -> None:
    exchange = exchange_on(Sink().send)

    with pytest.raises(TypeError):
        exchange.post("n", {"set": {1}})
    with pytest.raises(TypeError):
        await exchange.notify("n", {"set": {1}})
    assert exchange.stream is None
