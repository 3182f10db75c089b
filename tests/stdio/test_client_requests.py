"""Client requests over stdio: how long they wait, which ids they have, and that each message is a line."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
import pytest

from gatepost import Context, Server
from gatepost.server.calls import pending_client_requests
from gatepost.server.calls.client_requests import Elicit, ElicitURL
from gatepost.server.dispatch import ServerTarget

Connect = Callable[..., AbstractAsyncContextManager[Any]]

BOTH: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
FORM = {"type": "object", "properties": {"name": {"type": "string"}}}
server = Server("notes")
patiences: list[asyncio.Timeout] = []


@server.tool
async def greet(ctx: Context) -> str:
    """Ask for a name."""
    try:
        await ctx.request_all({"name": Elicit("Who is it?", FORM)})
    except TimeoutError:
        return "nobody"
    return "somebody"


@server.tool
async def hurry(ctx: Context) -> str:
    """Ask, and wait for as long as the test says."""
    try:
        async with asyncio.timeout(None) as patience:
            patiences.append(patience)
            await ctx.request_all({"name": Elicit("Who is it?", FORM)})
    except TimeoutError:
        return "nobody"
    return "somebody"


@server.tool
async def visit(ctx: Context) -> str:
    """Send the user to two pages."""
    await ctx.request_all({"a": ElicitURL("A?", "https://a.example"), "b": ElicitURL("B?", "https://b.example")})
    return "visited"


@pytest.mark.parametrize("tool", ["greet", "hurry"])
async def test_a_question_that_is_never_answered_is_taken_back(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    if tool == "greet":
        monkeypatch.setattr(pending_client_requests, "RESPONSE_SECONDS", 0)
    async with connect(ServerTarget(server)) as client:
        await client.initialize(BOTH)
        await client.call(tool)
        question = await client.answer()
        if tool == "hurry":
            patiences.pop().reschedule(0)
        taken_back, answer = await client.answer(), await client.answer()
        assert question["method"] == "elicitation/create"
        assert (taken_back["method"], taken_back["params"]) == (
            "notifications/cancelled",
            {"requestId": question["id"]},
        )
        assert answer["result"]["content"][0]["text"] == "nobody"
        # An answer that comes too late is passed over.
        await client.tell(id=question["id"], result={"action": "decline"})
        assert client.received.empty()


async def test_each_page_to_visit_has_an_id_of_its_own(connect: Connect) -> None:
    async with connect(ServerTarget(server)) as client:
        await client.initialize(BOTH)
        await client.call("visit")
        first, second = await client.answer(), await client.answer()
        assert [question["params"]["mode"] for question in (first, second)] == ["url", "url"]
        assert first["id"] != second["id"]
        assert [question["params"]["elicitationId"] for question in (first, second)] == [first["id"], second["id"]]


async def test_the_reason_of_a_cancellation_is_logged(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "gatepost.mcp"):
        async with connect(ServerTarget(server)) as client:
            await client.initialize(BOTH)
            await client.call("greet")
            await client.answer()
            await client.tell(method="notifications/cancelled", params={"requestId": 7, "reason": "no" * 500})
    reasons = [vars(record)["given_reason"] for record in caplog.records if "given_reason" in vars(record)]
    assert reasons == ["no" * 100]


async def test_a_message_is_one_line_whatever_a_target_wrote(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    class Written(ServerTarget):
        async def answer(self, *_: Any) -> Any:
            return orjson.Fragment(b'{\r\n  "tools": []\n}')

    async with connect(Written(server)) as client:
        lines: list[bytes] = []

        async def send(message: bytes) -> None:
            lines.append(message)

        monkeypatch.setattr(client, "send", send)
        await client.tell(id=1, method="ping")
        await client.connection.finish(5)
    assert [orjson.loads(line)["result"] for line in lines] == [{"tools": []}]
    assert not any(b"\n" in line or b"\r" in line for line in lines)
