"""Hooks around calls, reads and lists, in either era."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

import orjson
import pytest

from gatepost.protocol.errors import InternalError, InvalidParams
from gatepost.protocol.versions import Revision
from gatepost.server.calls.around import Call, CallNext
from gatepost.server.calls.context import Context
from gatepost.server.calls.rates import ProcessLimits
from gatepost.server.declared.declaration import Declaration
from gatepost.server.declared.depends import Depends
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import InsufficientScope, ToolDefinitionError, ToolError
from gatepost.server.server import Server
from tests.server.calls.asking_client import Client, accept, text
from tests.server.feature_server import ALL, ask
from tests.web.mcp.mcp_harness import McpWorld

CALL = {"name": "add", "arguments": {"a": 1, "b": 2}}

events: list[str] = []


@pytest.fixture(autouse=True)
def no_events() -> None:
    events.clear()


async def opened() -> AsyncIterator[str]:
    events.append("open")
    yield "opened"
    events.append("close")


def a_server() -> Server:
    server = Server("notes")

    @server.tool
    async def add(a: int, b: int) -> int:
        events.append("add")
        return a + b

    @server.tool
    def fail(text: str) -> None:
        raise ToolError(text)

    @server.tool(scopes=["notes:read"])
    async def use(ctx: Context, value: Annotated[str, Depends(opened)]) -> str:
        return f"{value} for {ctx.user.subject}"

    @server.resource("notes://{number}")
    async def note(number: int) -> str:
        return f"note {number}"

    @server.resource("notes://all")
    async def every() -> str:
        return "all"

    @server.prompt
    async def review(number: int) -> str:
        return f"Review {number}."

    return server


def text_in(result: Any) -> str:
    return str(result["content"][0]["text"])


@pytest.mark.parametrize("revision", ALL)
async def test_a_hook_sees_every_call_read_and_prompt_before_and_after(revision: Revision) -> None:
    server, seen = a_server(), list[Any]()

    @server.around
    async def look(call: Call, call_next: CallNext) -> Any:
        value = await call_next()
        seen.append((call.kind, call.name, call.arguments, call.context.user.subject, value))
        return value

    target = ServerTarget(server)
    added = await ask(target, "tools/call", CALL, revision=revision)
    await ask(target, "resources/read", {"uri": "notes://7"}, revision=revision)
    await ask(target, "prompts/get", {"name": "review", "arguments": {"number": "3"}}, revision=revision)

    assert text_in(added) == "3"
    assert seen == [
        ("tool", "add", {"a": 1, "b": 2}, "anonymous", 3),
        ("resource", "notes://7", {"number": 7}, "anonymous", "note 7"),
        ("prompt", "review", {"number": 3}, "anonymous", "Review 3."),
    ]


async def test_the_first_one_declared_is_the_outermost() -> None:
    server = a_server()

    def hook(name: str) -> Any:
        async def around(_call: Call, call_next: CallNext) -> Any:
            events.append(f"{name} before")
            value = await call_next()
            events.append(f"{name} after")
            return value

        return around

    server.around(hook("one"))
    server.around(hook("two"))
    await ask(ServerTarget(server), "tools/call", CALL)

    assert events == ["one before", "two before", "add", "two after", "one after"]


async def test_a_hook_answers_itself_and_opens_nothing() -> None:
    server, cache = a_server(), dict[str, Any]()

    @server.around
    async def cached(call: Call, call_next: CallNext) -> Any:
        key = orjson.dumps([call.kind, call.name, call.arguments]).decode()
        if key not in cache:
            cache[key] = await call_next()
        return cache[key]

    target = ServerTarget(server)
    answers = [await ask(target, "tools/call", CALL) for _ in range(2)]
    answers += [await ask(target, "tools/call", {"name": "use"}) for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[2] == answers[3]
    assert text_in(answers[2]) == "opened for anonymous"
    assert events == ["add", "open", "close"]


async def test_what_a_hook_returns_is_converted_as_if_the_function_had_returned_it_before_anything_is_closed() -> None:
    server = a_server()

    @server.around
    async def change(call: Call, call_next: CallNext) -> Any:
        if call.name == "add":
            call.arguments["b"] = 40
        value = await call_next()
        return value + 2 if call.name == "add" else value.upper()

    target = ServerTarget(server)

    assert (await ask(target, "tools/call", CALL))["structuredContent"] == 43
    assert text_in(await ask(target, "tools/call", {"name": "use"})) == "OPENED FOR ANONYMOUS"
    assert (await ask(target, "resources/read", {"uri": "notes://1"}))["contents"][0]["text"] == "NOTE 1"
    assert events == ["add", "open", "close"]


async def test_a_value_that_is_not_declared_is_refused_as_the_functions_own() -> None:
    server = a_server()

    @server.around
    async def spoil(_call: Call, call_next: CallNext) -> Any:
        await call_next()
        return "no number"

    assert (await ask(ServerTarget(server), "tools/call", CALL))["isError"]


async def test_a_plain_hook_refuses_or_hands_on() -> None:
    server = a_server()

    @server.around
    def guard(call: Call, call_next: CallNext) -> Any:
        if call.arguments.get("a") == 1:
            raise ToolError("Not one.")
        return call_next()

    target = ServerTarget(server)

    assert text_in(await ask(target, "tools/call", CALL)) == "Not one."
    assert text_in(await ask(target, "tools/call", {"name": "add", "arguments": {"a": 2, "b": 2}})) == "4"


async def test_a_hook_sees_what_the_function_raised_and_may_answer_in_its_place() -> None:
    server = a_server()

    @server.around
    async def soften(_call: Call, call_next: CallNext) -> Any:
        try:
            return await call_next()
        except ToolError as error:
            events.append(str(error))
            raise ToolError("Sorry.") from None

    result = await ask(ServerTarget(server), "tools/call", {"name": "fail", "arguments": {"text": "Secret."}})

    assert (text_in(result), result["isError"], events) == ("Sorry.", True, ["Secret."])


async def test_a_hook_that_fails_is_an_incident_of_what_it_is_around() -> None:
    server = a_server()

    @server.around
    async def fail(_call: Call, _call_next: CallNext) -> Any:
        raise LookupError("secret")

    target = ServerTarget(server)
    called = await ask(target, "tools/call", CALL)

    assert called["isError"]
    assert text_in(called).startswith("The tool failed. Incident ")
    for method, params in (("resources/read", {"uri": "notes://1"}), ("tools/list", {}), ("prompts/list", {})):
        with pytest.raises(InternalError, match="The server failed at this. Incident "):
            await ask(target, method, params)


async def test_a_hook_may_ask_for_a_scope_and_is_asked_after_the_declared_ones_and_the_arguments() -> None:
    server = a_server()

    @server.around
    async def need(call: Call, call_next: CallNext) -> Any:
        events.append(call.name)
        if call.kind == "tool":
            raise InsufficientScope("notes:admin")
        return await call_next()

    target = ServerTarget(server)
    with pytest.raises(InsufficientScope) as missing:
        await ask(target, "tools/call", {"name": "use"}, granted=frozenset())
    assert missing.value.scopes == {"notes:read"}
    assert events == []
    await ask(target, "tools/call", {"name": "add", "arguments": {}})
    assert events == []
    with pytest.raises(InsufficientScope) as missing:
        await ask(target, "tools/call", {"name": "use"}, granted=frozenset({"notes:read"}))
    assert missing.value.scopes == {"notes:read", "notes:admin"}


async def test_a_hook_is_inside_of_rate_and_time() -> None:
    server = a_server()

    @server.tool(rate="1/day", timeout=0.001)
    async def slow() -> None:
        await asyncio.Event().wait()

    @server.around
    async def look(_call: Call, call_next: CallNext) -> Any:
        try:
            return await call_next()
        except asyncio.CancelledError:
            events.append("out of time")
            raise

    target = ServerTarget(server, limits=ProcessLimits(lambda: 0))
    texts = [text_in(await ask(target, "tools/call", {"name": "slow"})) for _ in range(2)]

    assert texts == [
        "slow was stopped: it may take 0.001 seconds.",
        "slow was called too often; try again in 86400 seconds.",
    ]
    assert events == ["out of time"]


async def test_a_tool_that_asks_its_client_does_so_through_its_hooks() -> None:
    async def greet(ctx: Context) -> str:
        answer = await ctx.elicit("Who?", {"type": "object", "properties": {"name": {"type": "string"}}})
        return f"hello {answer.data and answer.data['name']}"

    client = Client(greet)

    @client.server.around
    async def loud(_call: Call, call_next: CallNext) -> Any:
        events.append("run")
        return (await call_next()).upper()

    first = await client.call()
    second = await client.call({key: accept(name="ann") for key in first["inputRequests"]}, first["requestState"])

    assert text(second) == "HELLO ANN"
    assert events == ["run", "run"]


@pytest.mark.parametrize("revision", ALL)
async def test_a_hook_leaves_entries_out_of_the_lists(revision: Revision) -> None:
    server = a_server()

    @server.around
    async def fewer(call: Call, call_next: CallNext) -> Any:
        found: Iterable[Declaration] = await call_next()
        events.append(f"{call.kind} {call.name}")
        return [one for one in found if one.name not in {"fail", "note"}] if call.kind == "list" else found

    target = ServerTarget(server)
    listed = await ask(target, "tools/list", revision=revision)

    assert [tool["name"] for tool in listed["tools"]] == ["add", "use"]
    assert listed.get("cacheScope") == ("private" if revision.modern else None)
    assert listed.get("resultType") == ("complete" if revision.modern else None)
    assert [tool["name"] for tool in (await ask(target, "tools/list", granted=frozenset()))["tools"]] == ["add"]
    assert (await ask(target, "resources/templates/list", revision=revision))["resourceTemplates"] == []
    assert len((await ask(target, "resources/list", revision=revision))["resources"]) == 1
    assert len((await ask(target, "prompts/list", revision=revision))["prompts"]) == 1
    assert events == ["list tools", "list tools", "list resourceTemplates", "list resources", "list prompts"]


async def test_a_list_that_is_fewer_has_pages_of_its_own() -> None:
    server = Server("many", page_size=2)
    for number in range(5):
        server.tool(name=f"tool_{number}")(lambda: None)

    @server.around
    async def even(_call: Call, call_next: CallNext) -> Any:
        return [one for one in await call_next() if int(one.name[-1]) % 2 == 0]

    target, names = ServerTarget(server), list[str]()
    cursor: dict[str, Any] = {}
    for _ in range(2):
        page = await ask(target, "tools/list", cursor)
        names += [tool["name"] for tool in page["tools"]]
        cursor = {"cursor": page.get("nextCursor")}

    assert names == ["tool_0", "tool_2", "tool_4"]
    assert cursor == {"cursor": None}
    with pytest.raises(InvalidParams, match="cursor"):
        await ask(target, "tools/list", {"cursor": "other"})


async def test_a_hook_adds_nothing_to_a_list() -> None:
    server = a_server()

    @server.around
    async def more(_call: Call, call_next: CallNext) -> Any:
        return [*await call_next(), a_server().tools["add"]]

    with pytest.raises(InternalError, match="Incident"):
        await ask(ServerTarget(server), "tools/list")


async def test_a_hook_cannot_ask_the_client_about_a_list() -> None:
    server = a_server()

    @server.around
    async def curious(call: Call, call_next: CallNext) -> Any:
        await call.context.roots()
        return await call_next()

    with pytest.raises(Exception, match="roots"):
        await ask(ServerTarget(server), "tools/list")


@pytest.mark.parametrize("hook", [lambda: None, lambda call: call, lambda a, b, c: (a, b, c)])
def test_what_takes_something_else_is_no_hook(hook: Any) -> None:
    with pytest.raises(ToolDefinitionError, match=r"what is done around calls takes \(call, call_next\)"):
        Server("notes").around(hook)


@pytest.mark.parametrize("era", ["modern", "handshake"])
async def test_a_client_gets_what_the_hooks_leave(era: str) -> None:
    server = a_server()

    @server.around
    async def redact(call: Call, call_next: CallNext) -> Any:
        value = await call_next()
        return value.replace("5", "*") if call.kind == "prompt" else value

    params = {"name": "review", "arguments": {"number": "5"}}
    answer = await getattr(McpWorld(ServerTarget(server)), era)("prompts/get", params)

    assert answer.body["result"]["messages"][0]["content"]["text"] == "Review *."


async def test_a_call_of_a_server_without_hooks_passes_through_no_function_of_theirs() -> None:
    target, profile = ServerTarget(a_server()), cProfile.Profile()
    await ask(target, "tools/call", CALL)
    with profile:
        await ask(target, "tools/call", CALL)
        await ask(target, "tools/list")
    files = {file.rpartition("/")[2] for file, _, _ in pstats.Stats(profile).stats}  # type: ignore[attr-defined]  # there it is

    assert "tools.py" in files
    assert files.isdisjoint({"around.py", "conditions.py", "resolution.py", "depends.py", "rates.py", "timeouts.py"})


def test_a_server_that_uses_none_of_it_does_not_import_it() -> None:
    code = """
import sys
from gatepost import Server
from gatepost.server.dispatch import ServerTarget

server = Server("plain")

@server.tool
async def add(a: int, b: int = 1) -> int:
    return a + b

ServerTarget(server)
late = ("calls.around", "calls.rates", "calls.timeouts", "declared.conditions", "declared.resolution", "list_hooks")
print([name for name in late if f"gatepost.server.{name}" in sys.modules])
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert printed == "[]\n"
