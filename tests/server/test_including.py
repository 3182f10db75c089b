"""Servers that include others: names, changes, scopes, state, hooks, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gatepost.protocol.errors import InvalidParams, ProtocolError
from gatepost.protocol.versions import Revision
from gatepost.server.calls.around import Call, CallNext
from gatepost.server.calls.context import Context
from gatepost.server.calls.rates import ProcessLimits
from gatepost.server.changes.bus import Change
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import InsufficientScope, ToolDefinitionError
from gatepost.server.server import Server
from tests.server.feature_server import ALL, ask
from tests.web.mcp.mcp_harness import MODERN_META
from tests.web.mcp.sessions.session_world import SessionWorld, call, request, text_of

events: list[str] = []


@pytest.fixture(autouse=True)
def no_events() -> None:
    events.clear()


def weather(name: str = "weather", **options: Any) -> Server:
    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[dict[str, str]]:
        events.append(f"open {server.name}")
        try:
            yield {"station": f"station of {server.name}"}
        finally:
            events.append(f"close {server.name}")

    server = Server(name, lifespan=lifespan, **options)

    @server.tool(rate="2/day")
    async def forecast(city: str, ctx: Context) -> str:
        return f"{city}: rain, says {ctx.state('station')}"

    @server.tool(scopes=["weather:write"], annotations={"destructiveHint": True})
    async def change(to: str) -> str:
        return to

    @server.resource("weather://today")
    async def today(ctx: Context) -> str:
        return str(ctx.state("station"))

    @server.resource("weather://in/{city}", completions={"city": ["Bern", "Bonn"]})
    async def city(city: str) -> str:
        return f"{city}: rain"

    @server.prompt(completions={"city": ["Bern", "Bonn"]})
    async def report(city: str) -> str:
        return f"Report from {city}."

    return server


def office(**options: Any) -> tuple[Server, Server]:
    main, other = Server("office", **options), weather()

    @main.tool
    async def ask_boss() -> str:
        return "no"

    main.include(other, prefix="weather")
    return main, other


def text_in(result: Any) -> str:
    return str(result["content"][0]["text"])


async def names(target: ServerTarget, **options: Any) -> list[str]:
    return [tool["name"] for tool in (await ask(target, "tools/list", **options))["tools"]]


@pytest.mark.parametrize("revision", ALL)
async def test_tools_and_prompts_have_the_prefix_and_resources_their_uris(revision: Revision) -> None:
    main, _ = office()
    target = ServerTarget(main)

    assert await names(target, revision=revision) == ["ask_boss", "weather_forecast", "weather_change"]
    prompts = (await ask(target, "prompts/list", revision=revision))["prompts"]
    resources = (await ask(target, "resources/list", revision=revision))["resources"]
    templates = (await ask(target, "resources/templates/list", revision=revision))["resourceTemplates"]
    assert [one["name"] for one in prompts] == ["weather_report"]
    assert [(one["name"], one["uri"]) for one in resources] == [("today", "weather://today")]
    assert [one["uriTemplate"] for one in templates] == ["weather://in/{city}"]
    with pytest.raises(InvalidParams, match="Unknown tool: forecast"):
        await ask(target, "tools/call", {"name": "forecast", "arguments": {"city": "Bern"}}, revision=revision)


async def test_what_is_included_works_with_the_state_of_its_own_server() -> None:
    main, other = office()
    target = ServerTarget(main)
    async with target.lifespan():
        called = await ask(target, "tools/call", {"name": "weather_forecast", "arguments": {"city": "Bern"}})
        read = await ask(target, "resources/read", {"uri": "weather://today"})
        of_city = await ask(target, "resources/read", {"uri": "weather://in/Bonn"})
        got = await ask(target, "prompts/get", {"name": "weather_report", "arguments": {"city": "Bern"}})
        references = [
            {"type": "ref/prompt", "name": "weather_report"},
            {"type": "ref/resource", "uri": "weather://in/{city}"},
        ]
        argument = {"name": "city", "value": "bo"}
        completed = [
            await ask(target, "completion/complete", {"ref": reference, "argument": argument})
            for reference in references
        ]

    assert text_in(called) == "Bern: rain, says station of weather"
    assert read["contents"][0]["text"] == "station of weather"
    assert of_city["contents"][0]["text"] == "Bonn: rain"
    assert got["messages"][0]["content"]["text"] == "Report from Bern."
    assert [one["completion"]["values"] for one in completed] == [["Bonn"], ["Bonn"]]
    assert events == ["open weather", "close weather"]
    assert other.state == {}


async def test_errors_call_what_is_included_by_the_name_that_the_client_knows() -> None:
    target = ServerTarget(office()[0], limits=ProcessLimits(lambda: 0))
    wrong = await ask(target, "tools/call", {"name": "weather_forecast", "arguments": {}})
    with pytest.raises(InvalidParams, match="Invalid arguments for weather_report: city"):
        await ask(target, "prompts/get", {"name": "weather_report", "arguments": {}})

    assert text_in(wrong).startswith("Invalid arguments for weather_forecast: city: is required.")


async def test_what_is_added_later_appears_and_who_listens_hears_of_it() -> None:
    main, other = office()
    target, heard = ServerTarget(main), list[Change]()
    main.changes.listen(heard.append)
    await names(target)

    @other.tool(scopes=["weather:admin"])
    async def stop() -> str:
        return "stopped"

    assert (await names(target))[-1] == "weather_stop"
    assert text_in(await ask(target, "tools/call", {"name": "weather_stop"})) == "stopped"
    other.resource_updated("weather://today")
    assert heard == [Change("tools", frozenset({"weather:admin"})), Change("resource", uri="weather://today")]


async def test_what_is_switched_off_there_is_off_here_and_the_other_way_only_here() -> None:
    main, other = office()
    target, heard = ServerTarget(main), list[Change]()
    main.changes.listen(heard.append)

    other.disable("forecast")
    main.disable("weather_change")
    assert await names(target) == ["ask_boss"]
    assert list(other.tools) == ["change"]
    main.enable("weather_forecast")
    assert await names(target) == ["ask_boss"]
    other.enable("forecast")
    main.enable("weather_change")
    assert await names(target) == ["ask_boss", "weather_forecast", "weather_change"]
    assert [change.kind for change in heard] == ["tools"] * 4

    later, off = Server("later"), weather("off")
    off.disable("forecast")
    later.include(off)
    assert list(later.tools) == ["change"]


async def test_scopes_words_groups_and_what_implies_what_come_along() -> None:
    main = Server("office", scopes={"office:use": "Use the office"}, scope_groups={"office": "The office"})
    other = weather(
        scopes={"weather:write": "Change the weather"},
        implied_scopes={"weather:admin": ["weather:write"]},
        scope_groups={"weather": "The weather", "office": "Not these words"},
    )
    main.include(other, prefix="weather")
    target = ServerTarget(main)

    assert main.scope_descriptions == {
        "office:use": "Use the office",
        "weather:write": "Change the weather",
        "weather:admin": "weather:admin",
    }
    assert main.scope_groups == {"weather": "The weather", "office": "The office"}
    assert main.implied_scopes == {"weather:admin": {"weather:admin", "weather:write"}}
    assert main.destructive_scopes == {"weather:write"}
    assert await names(target, granted=frozenset()) == ["weather_forecast"]
    with pytest.raises(InsufficientScope) as missing:
        await ask(target, "tools/call", {"name": "weather_change", "arguments": {"to": "sun"}}, granted=frozenset())
    assert missing.value.scopes == {"weather:write"}


async def test_servers_nest_and_open_each_once_also_where_one_is_served_itself() -> None:
    main, middle, inner = Server("main"), weather("middle"), Server("inner", lifespan=_opened("inner"))

    @inner.tool
    async def deep(ctx: Context) -> str:
        return str(ctx.state("name"))

    middle.include(inner, prefix="b")
    main.include(middle, prefix="a")
    target, itself = ServerTarget(main), ServerTarget(inner)

    async with target.lifespan(), itself.lifespan():
        assert text_in(await ask(target, "tools/call", {"name": "a_b_deep"})) == "inner"
        assert text_in(await ask(itself, "tools/call", {"name": "deep"})) == "inner"
    async with itself.lifespan():
        assert inner.state == {"name": "inner"}

    assert events == ["open inner", "open middle", "close middle", "close inner", "open inner", "close inner"]


def _opened(name: str) -> Callable[[Server], Any]:
    @asynccontextmanager
    async def lifespan(_: Server) -> AsyncIterator[dict[str, str]]:
        events.append(f"open {name}")
        yield {"name": name}
        events.append(f"close {name}")

    return lifespan


async def test_a_lifespan_that_fails_closes_those_that_were_open() -> None:
    @asynccontextmanager
    async def broken(server: Server) -> AsyncIterator[None]:
        if server.name == "main":
            raise LookupError
        yield

    main = Server("main", lifespan=broken)
    main.include(weather())

    for _ in range(2):
        with pytest.raises(LookupError):
            async with main.run_lifespan():
                raise AssertionError
    assert events == ["open weather", "close weather"] * 2


async def test_hooks_hold_for_what_is_their_servers_own_under_its_own_name() -> None:
    main, other = office()

    def hook(server: Server) -> None:
        @server.around
        async def note(call: Call, call_next: CallNext) -> Any:
            found = await call_next()
            names_ = sorted(one.name for one in found) if call.kind == "list" else found
            events.append(f"{server.name}: {call.kind} {call.name} {names_}")
            return [one for one in found if one.name != "change"] if call.kind == "list" else found

    hook(other)
    target = ServerTarget(main)
    assert await names(target) == ["ask_boss", "weather_forecast"]
    hook(main)
    await names(target)
    await ask(target, "tools/call", {"name": "weather_change", "arguments": {"to": "sun"}})
    await ask(target, "tools/call", {"name": "ask_boss"})

    assert events == [
        "weather: list tools ['change', 'forecast']",
        "weather: list tools ['change', 'forecast']",
        "office: list tools ['ask_boss', 'weather_forecast']",
        "weather: tool change sun",
        "office: tool weather_change sun",
        "office: tool ask_boss no",
    ]


def test_a_name_or_uri_that_is_taken_is_refused_and_nothing_is_included() -> None:
    main, other = Server("office"), weather()

    @main.tool(name="w_forecast")
    @main.resource("WEATHER://today")
    def taken() -> str:
        return ""

    with pytest.raises(ToolDefinitionError) as refused:
        main.include(other, prefix="w")
    assert str(refused.value) == (
        "'office' cannot include 'weather': there is a tool 'w_forecast' already, there is a resource "
        "'weather://today' already; give them other names or URIs, or say another prefix="
    )
    assert list(main.tools) == ["w_forecast"]


def test_a_name_that_is_taken_further_up_is_refused_when_it_is_added_and_then_nowhere_there() -> None:
    main, other = office()
    main.tool(name="weather_stop")(lambda: None)

    with pytest.raises(ToolDefinitionError, match="there is a tool 'weather_stop' already in 'office'; give this one"):
        other.tool(name="stop")(lambda: None)
    assert "stop" not in other.tools
    with pytest.raises(ToolDefinitionError, match="there is a resource 'weather://today' already"):
        main.resource("weather://today")(lambda: "")
    with pytest.raises(ToolDefinitionError, match="has more than 128 characters"):
        other.tool(name="x" * 124)(lambda: None)


def test_a_server_is_included_once_and_never_in_a_circle() -> None:
    main, other = office()
    between = Server("between")
    between.include(main)

    with pytest.raises(ToolDefinitionError, match="'weather' cannot include 'weather': it would include itself"):
        other.include(other)
    with pytest.raises(ToolDefinitionError, match="'weather' cannot include 'between': it would include itself"):
        other.include(between)
    for server in (main, between):
        with pytest.raises(ToolDefinitionError, match="is included already; make another Server of it"):
            server.include(other, prefix="again")


@pytest.mark.parametrize("prefix", ["", "a.b", "a b", "ä", "x" * 65])
def test_a_prefix_has_the_characters_that_clients_take(prefix: str) -> None:
    with pytest.raises(ToolDefinitionError, match="is no prefix of names, which has letters, digits, _ and - only"):
        Server("office").include(weather(), prefix=prefix)


async def test_a_server_that_runs_includes_nothing_more() -> None:
    main, other = office()
    above = Server("above")
    above.include(main)

    async with above.run_lifespan():
        with pytest.raises(RuntimeError, match="'weather' runs already; include other servers before it starts"):
            other.include(Server("late"))


async def test_a_client_of_either_era_calls_reads_and_hears_through_the_other_server() -> None:
    world, other = SessionWorld(), Server("other")

    @other.tool
    async def greet() -> str:
        return "hello"

    @other.resource("other://news")
    async def news() -> str:
        return "news"

    world.server.include(other, prefix="other")
    session = await world.begin()
    listening = world.listen(session)
    await listening.until(lambda: listening.status == 200)
    asked = {"toolsListChanged": True, "resourceSubscriptions": ["other://news"]}
    subscription = world.open(
        request("subscriptions/listen", {"notifications": asked, "_meta": MODERN_META}),
        mcp_protocol_version="2026-07-28",
        mcp_method="subscriptions/listen",
    )
    await subscription.until_messages(1)
    called = await world.send(call("other_greet"), session=session)
    subscribed = await world.send(request("resources/subscribe", {"uri": "other://news"}), session=session)

    other.resource_updated("other://news")
    other.disable("greet")

    assert text_of(called.body) == "hello"
    assert subscribed.body["result"] == {}
    heard = ["notifications/resources/updated", "notifications/tools/list_changed"]
    assert [one["method"] for one in (await subscription.until_messages(3))[1:]] == heard
    assert sorted(one["method"] for one in await listening.until_messages(2)) == sorted(heard)
    gone = await world.send(call("other_greet"), session=session)
    assert gone.body["error"]["message"] == "Unknown tool: other_greet"
    for connection in (listening, subscription):
        connection.gone.set()
        await connection.finished()
    await asyncio.sleep(0)
    with pytest.raises(ProtocolError):
        await ask(ServerTarget(world.server), "resources/read", {"uri": "other://none"})
