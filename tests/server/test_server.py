from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, assert_type

import pytest
from pydantic import BaseModel

from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.server import Server


class Note(BaseModel):
    text: str


def ping() -> str:
    return "pong"


def test_a_server_says_who_it_is() -> None:
    server = Server(
        "notes",
        version="1.2.3",
        title="Notes",
        instructions="Keep it short.",
        website_url="https://example.com",
        icons=[{"src": "https://example.com/a.png"}],
    )
    assert (server.name, server.version, server.title) == ("notes", "1.2.3", "Notes")
    assert (server.instructions, server.website_url) == ("Keep it short.", "https://example.com")
    assert server.icons == [{"src": "https://example.com/a.png"}]


def test_what_is_not_said_is_absent() -> None:
    server = Server("notes")
    assert (server.version, server.title, server.instructions, server.website_url) == ("0.0.0", None, None, None)
    assert (server.icons, dict(server.tools), server.scope_descriptions, server.state) == ([], {}, {}, {})


def test_an_icon_that_is_none_is_refused_naming_the_server() -> None:
    with pytest.raises(ToolDefinitionError, match=r"Server\('notes'\): icons are not as the specification has them"):
        Server("notes", icons=[{"source": "a.png"}])


def test_the_decorator_registers_and_returns_the_function_itself() -> None:
    server = Server("notes")

    def plain(text: str) -> str:
        return text

    async def with_options(count: int) -> int:
        return count

    assert server.tool(plain) is plain
    assert server.tool(scopes=["notes:write"], name="other", title="Other")(with_options) is with_options
    assert list(server.tools) == ["plain", "other"]
    assert server.tools["other"].scopes == {"notes:write"}
    assert server.tools["other"].definition["title"] == "Other"


def test_the_decorator_keeps_the_type_of_the_function() -> None:
    server = Server("notes")

    @server.tool
    def one(text: str) -> int:
        return len(text)

    @server.tool(scopes=["a"])
    async def two(text: str, ctx: Context) -> str:
        return text + ctx.user.subject

    @server.tool()
    def three() -> None: ...

    length = one("abc")
    assert_type(length, int)
    assert length == 3
    # `unused-ignore` of mypy turns these comments into tests: without the errors they would be errors themselves.
    functools.partial(one, 1)  # type: ignore[arg-type]  # the wrong call is the test
    functools.partial(two, count=1)  # type: ignore[call-arg]  # likewise


def test_tools_are_added_as_functions_or_as_objects_and_listed_in_that_order() -> None:
    def keep(note: Note) -> None: ...

    server = Server("notes", tools=[ping, Tool(keep, name="zoo", inputs=Note, scopes=("notes:write",))])
    added = server.add_tool(Tool(ping, name="again"))
    assert list(server.tools) == ["ping", "zoo", "again"]
    assert server.tools["again"] is added


def test_the_generation_grows_with_every_tool() -> None:
    server = Server("notes")
    assert server.generation == 0
    server.tool(ping)
    server.add_tool(Tool(ping, name="again"))
    assert server.generation == 2


def test_the_tools_are_a_live_view_that_nobody_can_write() -> None:
    server = Server("notes")
    view: Any = server.tools
    server.tool(ping)
    assert list(view) == ["ping"]
    with pytest.raises(TypeError):
        view["other"] = None


def test_names_differ_by_case() -> None:
    server = Server("notes", tools=[ping, Tool(ping, name="Ping")])
    assert list(server.tools) == ["ping", "Ping"]


def test_a_name_is_given_once() -> None:
    server = Server("notes", tools=[ping])
    with pytest.raises(ToolDefinitionError) as raised:
        server.tool(name="ping")(test_a_name_is_given_once)
    assert str(raised.value) == (
        f"{__name__}.test_a_name_is_given_once: there is a tool 'ping' already; give this one another name="
    )
    with pytest.raises(ToolDefinitionError, match=r"ping: there is a tool 'ping' already"):
        server.add_tool(ping)
    assert server.generation == 1


def test_scopes_have_the_words_given_or_stand_for_themselves() -> None:
    server = Server("notes", scopes={"notes:read": "Read your notes", "admin": "Everything"})
    server.tool(scopes=["notes:write", "notes:read"])(ping)
    server.tool(scopes=["b", "a"], name="other")(ping)
    assert list(server.scope_descriptions.items()) == [
        ("notes:read", "Read your notes"),
        ("admin", "Everything"),
        ("notes:write", "notes:write"),
        ("a", "a"),
        ("b", "b"),
    ]


async def test_the_lifespan_opens_what_tools_share_and_closes_it() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[Mapping[str, Any]]:
        log.append(f"open {server.name}")
        yield {"pool": 5}
        log.append("close")

    server = Server("notes", lifespan=lifespan)
    for _ in range(2):
        assert server.state == {}
        async with server.run_lifespan():
            assert server.state == {"pool": 5}
        assert server.state == {}
    assert log == ["open notes", "close"] * 2


async def test_a_lifespan_may_yield_nothing_and_be_absent() -> None:
    @asynccontextmanager
    async def lifespan(_: Server) -> AsyncIterator[None]:
        yield

    for server in (Server("notes", lifespan=lifespan), Server("notes")):
        async with server.run_lifespan():
            assert server.state == {}


async def test_a_lifespan_that_is_open_is_not_opened_again() -> None:
    @asynccontextmanager
    async def reentrant(server: Server) -> AsyncIterator[None]:
        with pytest.raises(RuntimeError, match="the lifespan of 'notes' is already open"):
            async with server.run_lifespan():
                pass
        yield

    for server in (Server("notes"), Server("notes", lifespan=reentrant)):
        async with server.run_lifespan():
            with pytest.raises(RuntimeError, match="the lifespan of 'notes' is already open"):
                async with server.run_lifespan():
                    pass


async def test_an_error_inside_the_lifespan_closes_it() -> None:
    @asynccontextmanager
    async def lifespan(_: Server) -> AsyncIterator[Mapping[str, Any]]:
        yield {"pool": 5}

    server = Server("notes", lifespan=lifespan)
    with pytest.raises(OSError, match="gone"):
        async with server.run_lifespan():
            raise OSError("gone")
    assert server.state == {}


async def test_a_lifespan_of_another_shape_is_refused() -> None:
    async def undecorated(_: Server) -> AsyncIterator[None]:
        yield

    @asynccontextmanager
    async def yields_a_list(_: Server) -> AsyncIterator[Any]:
        yield [1]

    wrong: list[tuple[Callable[..., Any], str]] = [
        (undecorated, r"undecorated: a lifespan needs the decorator @contextlib\.asynccontextmanager"),
        (yields_a_list, "yields_a_list: a lifespan yields a mapping or nothing, not a list"),
    ]
    for lifespan, reason in wrong:
        server = Server("notes", lifespan=lifespan)
        with pytest.raises(TypeError, match=reason):
            async with server.run_lifespan():
                pass
        assert server.state == {}


async def test_the_six_lines_work() -> None:
    server = Server("notes")

    @server.tool(scopes=["notes:write"])
    async def add(text: str, ctx: Context) -> str:
        "Keep a note."  # noqa: D300 (as the README has it)
        ctx.log.log(logging.DEBUG, "kept")
        return f"{ctx.user.subject} noted: {text}"

    assert server.tools["add"].definition["description"] == "Keep a note."
    assert await server.tools["add"].call({"text": "a"}, Exchange()) == {
        "content": [{"type": "text", "text": "anonymous noted: a"}],
        "isError": False,
    }
