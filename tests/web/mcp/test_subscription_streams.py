"""`subscriptions/listen` over HTTP: streams of changes, their keep-alive and their ends."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

from starlette.types import Message

from gatepost.server.dispatch import ServerTarget
from gatepost.server.server import Server
from tests.web.mcp.mcp_harness import MODERN_META, READER, McpWorld, Timer, headers_for

ID = "io.modelcontextprotocol/subscriptionId"
SECONDS_OF_A_ROUND = 15


class Listening:
    """One stream of changes, as its client sees it."""

    def __init__(self, world: McpWorld, notifications: Any, *, request_id: int = 3) -> None:
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.opened = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.is_broken = False
        params = {"_meta": MODERN_META, "notifications": notifications}
        message = {"jsonrpc": "2.0", "id": request_id, "method": "subscriptions/listen", "params": params}
        self._incoming = [json.dumps(message).encode()]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/mcp",
            "query_string": b"",
            "headers": headers_for(version="2026-07-28", method="subscriptions/listen"),
        }
        self.task = asyncio.create_task(world.endpoint(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if self._incoming:
            return {"type": "http.request", "body": self._incoming.pop(), "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        if self.is_broken:
            raise OSError
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.opened.set()
            if not message.get("more_body", False):
                self.gone.set()

    @property
    def raw(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def messages(self) -> list[Any]:
        return [json.loads(line[6:]) for line in self.raw.split(b"\n") if line.startswith(b"data: ")]

    @property
    def comments(self) -> int:
        return self.raw.count(b":\r\n\r\n")


class World:
    """An endpoint whose time is moved by hand."""

    def __init__(self, **options: Any) -> None:
        self.timer = Timer()
        self.server = Server("notes", **options)
        self.target = ServerTarget(self.server)
        self.mcp = McpWorld(self.target, call_later=self.timer)

    async def listen(self, notifications: Any) -> Listening:
        listening = Listening(self.mcp, notifications)
        await listening.opened.wait()
        return listening


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_tool_that_is_added_while_the_server_runs_is_told_to_those_who_listen() -> None:
    world = World()
    listening = await world.listen({"toolsListChanged": True})

    @world.server.tool
    async def late() -> None: ...

    await settle()

    assert listening.sent[0]["status"] == 200
    assert dict(listening.sent[0]["headers"])[b"content-type"] == b"text/event-stream"
    assert dict(listening.sent[0]["headers"])[b"x-accel-buffering"] == b"no"
    assert listening.messages == [
        {
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": {"_meta": {ID: 3}, "notifications": {"toolsListChanged": True}},
        },
        {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": {ID: 3}}},
    ]
    listening.gone.set()
    await listening.task


async def test_a_resource_that_changes_is_told_to_those_who_watch_it_and_may_read_it() -> None:
    world = World()

    @world.server.resource("note://{number}")
    async def note(number: str) -> str:
        return number

    @world.server.resource("secret://one", scopes=["notes:write"])
    async def secret() -> str:
        return "secret"

    listening = await world.listen({"resourceSubscriptions": ["note://1", "secret://one", "none://1"]})
    for uri in ("note://1", "note://2", "secret://one"):
        world.server.resource_updated(uri)
    await settle()

    acknowledged, *updates = listening.messages
    assert acknowledged["params"]["notifications"] == {"resourceSubscriptions": ["note://1"]}
    assert [update["params"]["uri"] for update in updates] == ["note://1"]
    listening.gone.set()
    await listening.task


async def test_prompts_and_resources_that_are_added_are_told() -> None:
    world = World()

    @world.server.prompt
    def first() -> str:
        return "first"

    @world.server.resource("note://1")
    def note() -> str:
        return "note"

    listening = await world.listen({"promptsListChanged": True, "resourcesListChanged": True})

    @world.server.prompt
    def second() -> str:
        return "second"

    @world.server.resource("note://2")
    def other() -> str:
        return "other"

    await settle()

    assert [message["method"] for message in listening.messages[1:]] == [
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
    ]
    listening.gone.set()
    await listening.task


async def test_the_capabilities_say_that_changes_are_told() -> None:
    answer = await World().mcp.modern("server/discover")

    assert answer.body["result"]["capabilities"] == {"tools": {"listChanged": True}, "logging": {}}


async def test_the_handshake_era_has_no_such_method() -> None:
    assert (await World().mcp.handshake("subscriptions/listen")).body["error"]["code"] == -32601


async def test_a_malformed_filter_is_answered_as_plain_json() -> None:
    answer = await World().mcp.modern("subscriptions/listen", {"notifications": []})

    assert answer.status == 400
    assert answer.body["error"]["code"] == -32602


async def test_quiet_streams_get_a_comment_every_fifteen_seconds() -> None:
    world = World()
    first, second = await world.listen({}), await world.listen({})

    await world.timer.pass_seconds(2 * SECONDS_OF_A_ROUND)

    assert (first.comments, second.comments) == (2, 2)
    first.gone.set()
    second.gone.set()
    await asyncio.gather(first.task, second.task)
    await world.timer.pass_seconds(1)
    assert world.timer.waiting == []


async def test_a_client_that_does_not_read_gets_no_second_comment() -> None:
    world = World()
    listening = await world.listen({})
    listening.reads.clear()

    await world.timer.pass_seconds(3 * SECONDS_OF_A_ROUND)
    listening.reads.set()
    await settle()

    assert listening.comments == 1
    listening.gone.set()
    await listening.task


async def test_a_comment_that_is_under_way_ends_with_its_stream() -> None:
    world = World()
    listening = await world.listen({})
    listening.reads.clear()
    await world.timer.pass_seconds(SECONDS_OF_A_ROUND)

    listening.gone.set()
    await listening.task
    await settle()

    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert listening.comments == 0


async def test_a_stream_whose_client_is_gone_is_left_alone() -> None:
    world, complaints = World(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    broken, whole = await world.listen({}), await world.listen({})
    broken.is_broken = True

    await world.timer.pass_seconds(2 * SECONDS_OF_A_ROUND)
    gc.collect()  # only then is it said that nobody asked for the error of a task

    assert (complaints, broken.comments, whole.comments) == ([], 0, 2)
    assert not broken.task.done()
    for listening in (broken, whole):
        listening.gone.set()
        await listening.task


async def test_a_stream_ends_when_its_token_counts_no_more() -> None:
    world = World()
    listening = await world.listen({})

    del world.mcp.grants.scopes[READER]
    world.mcp.guard.evict_all()
    await world.timer.pass_seconds(SECONDS_OF_A_ROUND)
    await listening.task

    assert listening.messages[-1]["id"] == 3
    assert listening.messages[-1]["result"]["_meta"][ID] == 3
    assert listening.comments == 0


async def test_a_stream_ends_when_its_token_has_lost_a_scope_and_not_when_it_has_won_one() -> None:
    """What a stream tells is chosen by the scopes that it began with; its client begins another with what is left."""
    world = World()
    listening = await world.listen({})

    granted = world.mcp.grants.scopes[READER]
    for scopes, lasts in (((*granted, "more"), True), (granted[:-1], False)):
        world.mcp.grants.scopes[READER] = scopes
        world.mcp.guard.evict_all()
        await world.timer.pass_seconds(SECONDS_OF_A_ROUND)
        await settle()
        assert listening.task.done() is not lasts


async def test_a_stream_outlives_a_store_that_cannot_answer() -> None:
    world = World()
    listening = await world.listen({})

    world.mcp.grants.is_down = True
    world.mcp.guard.evict_all()
    await world.timer.pass_seconds(SECONDS_OF_A_ROUND)

    assert listening.comments == 1
    listening.gone.set()
    await listening.task


async def test_the_end_of_the_server_brings_the_result_and_closes_the_stream() -> None:
    world = World()
    listening = await world.listen({"toolsListChanged": True})

    await world.target.drain()
    await listening.task

    assert listening.messages[-1] == {
        "jsonrpc": "2.0",
        "id": 3,
        "result": {
            "resultType": "complete",
            "_meta": {ID: 3, "io.modelcontextprotocol/serverInfo": {"name": "notes", "version": "0.0.0"}},
        },
    }
    assert listening.sent[-1] == {"type": "http.response.body", "body": b""}


async def test_an_open_stream_has_one_task_its_own() -> None:
    world = World()
    before = len(asyncio.all_tasks())
    listening = [await world.listen({"toolsListChanged": True}) for _ in range(20)]
    await settle()

    assert len(asyncio.all_tasks()) == before + 20
    for one in listening:
        one.gone.set()
    await asyncio.gather(*(one.task for one in listening))
