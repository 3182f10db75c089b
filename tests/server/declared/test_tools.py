from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any

import mcp_types
import pytest
from pydantic import AfterValidator, BaseModel, Field

from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.revisions import result_in
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import InvalidArguments, ToolDefinitionError, ToolError

Register = Callable[..., Tool]
Call = Callable[..., Awaitable[dict[str, Any]]]

INCIDENT = "The tool failed. Incident abababababababab."


class Note(BaseModel):
    text: str


def said(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": False}


def failed(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": True}


def untouched(_: Exchange) -> Context:
    raise AssertionError("nobody asked for a context")


def test_a_definition_comes_from_signature_and_docstring(register: Register) -> None:
    async def add(a: int, b: Annotated[int, Field(description="The second.")] = 2) -> dict[str, int]:
        """Add two numbers.

        Args:
            a: The first.
            b: Not this text.
        """
        return {"sum": a + b}

    assert register(add).definition == {
        "name": "add",
        "description": "Add two numbers.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "a": {"type": "integer", "description": "The first."},
                "b": {"type": "integer", "description": "The second.", "default": 2},
            },
            "required": ["a"],
            "additionalProperties": False,
        },
        "outputSchema": {"type": "object", "additionalProperties": {"type": "integer"}},
    }


def test_what_is_declared_beside_the_function_comes_first(register: Register) -> None:
    def add(note: Note) -> Any:
        """Not this text."""

    tool = register(
        add,
        name="notes.add",
        title="Add a note",
        description="Keep a note.",
        scopes=["notes:write", "notes:read"],
        annotations={"readOnlyHint": False, "idempotentHint": True},
        icons=[{"src": "https://example.com/a.png", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}],
        inputs=Note,
        output=Note,
    )
    schema = {"type": "object", "title": "Note", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    assert (tool.name, tool.scopes) == ("notes.add", frozenset({"notes:read", "notes:write"}))
    assert tool.definition == {
        "name": "notes.add",
        "title": "Add a note",
        "description": "Keep a note.",
        "inputSchema": {**schema, "additionalProperties": False},
        "outputSchema": schema,
        "annotations": {"readOnlyHint": False, "idempotentHint": True},
        "icons": [{"src": "https://example.com/a.png", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}],
    }


def test_output_any_leaves_the_output_open(register: Register) -> None:
    def count() -> int:
        return 1

    assert "outputSchema" not in register(count, output=Any).definition


def test_annotations_and_icons_of_the_official_types_are_taken(register: Register) -> None:
    def ping() -> None: ...

    tool = register(
        ping,
        annotations=mcp_types.ToolAnnotations(read_only_hint=True),
        icons=[mcp_types.Icon(src="https://example.com/a.png")],
    )
    assert tool.definition["annotations"] == {"readOnlyHint": True}
    assert tool.definition["icons"] == [{"src": "https://example.com/a.png"}]


def test_revisions_are_shown_what_they_know(register: Register) -> None:
    def count() -> int:
        return 1

    tool = register(count, title="Count")
    result = {"content": [], "structuredContent": 1, "isError": False}
    assert tool.definition_for("2026-07-28") is tool.definition
    assert tool.definition_for("2025-11-25").keys() == {"name", "title", "inputSchema"}
    assert result_in("2026-07-28", result) is result
    assert result_in("2025-11-25", result) == {"content": [], "isError": False}


def test_methods_partials_and_objects_have_names_and_docstrings(register: Register) -> None:
    class Notes:
        """Not this text."""

        def keep(self, text: str) -> None:
            """Keep a note."""

        def __call__(self, text: str) -> None:
            """Find a note."""

    class Silent:
        """Say nothing."""

        def __call__(self) -> None: ...

    notes = Notes()
    registered = [
        register(notes.keep),
        register(functools.partial(notes.keep, text="a")),
        register(notes, name="find"),
        register(Silent(), name="silent"),
    ]
    assert [(tool.name, tool.definition.get("description")) for tool in registered] == [
        ("keep", "Keep a note."),
        ("keep", "Keep a note."),
        ("find", "Find a note."),
        ("silent", "Say nothing."),
    ]


def keep(text: str) -> None: ...


class Keeper:
    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("func", "options", "reason"),
    [
        (Keeper(), {}, "Keeper: it has no name of its own; give it one with name="),
        (functools.partial(Keeper()), {}, "Keeper: it has no name of its own; give it one with name="),
        (lambda: None, {}, "'<lambda>' is no name for a tool, which has 1 to 128 of the characters A-Z a-z 0-9 _ - ."),
        (lambda: None, {}, "A-Z a-z 0-9 _ - .; give it one with name="),
        (keep, {"name": ""}, "'' is no name for a tool"),
        (keep, {"name": "keep a note"}, "'keep a note' is no name for a tool"),
        (keep, {"name": "grüße"}, "'grüße' is no name for a tool"),
        (keep, {"name": "a\n"}, "is no name for a tool"),
        (keep, {"name": "a" * 129}, "is no name for a tool"),
        (keep, {"scopes": "notes:write"}, "keep: scopes takes a list; write scopes=['notes:write']"),
        (keep, {"scopes": ["notes write"]}, "keep: 'notes write' is no scope"),
        (keep, {"scopes": [""]}, "keep: '' is no scope"),
        (
            keep,
            {"annotations": {"readonly": True}},
            "keep: annotations are not as the specification has them: readonly",
        ),
        (keep, {"annotations": {"readOnlyHint": "yes"}}, "readOnlyHint: Input should be a valid boolean"),
        (keep, {"icons": [{"mimeType": "image/png"}]}, "keep: icons are not as the specification has them: src"),
    ],
)
def test_what_cannot_be_offered_is_refused(func: Any, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ToolDefinitionError) as raised:
        Tool(func, **options)
    assert reason in str(raised.value)


def test_a_reference_that_leads_nowhere_is_refused_with_the_tools_name() -> None:
    def near(place: Annotated[str, Field(json_schema_extra={"$ref": "other.json"})]) -> None: ...

    with pytest.raises(ToolDefinitionError, match="near"):
        Tool(near)


@pytest.mark.parametrize("name", ["a", "A-b_c.d9", "a" * 128])
def test_names_of_the_specification_are_taken(register: Register, name: str) -> None:
    assert register(keep, name=name).name == name


async def test_an_async_function_is_called_inline_with_its_defaults(call: Call) -> None:
    async def where(text: str, count: int = 2) -> str:
        return f"{text * count} {threading.current_thread() is threading.main_thread()}"

    assert await call(where, {"text": "a"}) == said("aa True")


async def test_a_sync_function_is_called_in_a_thread_with_the_callers_context_variables(call: Call) -> None:
    who = contextvars.ContextVar("who", default="nobody")
    who.set("alice")

    def where(text: str) -> str:
        return f"{text} {who.get()} {threading.current_thread() is threading.main_thread()}"

    assert await call(where, {"text": "a"}) == said("a alice False")


async def test_a_sync_function_that_hands_out_a_coroutine_is_awaited(call: Call) -> None:
    async def inner(text: str) -> int:
        return len(text)

    def outer(text: str) -> Coroutine[Any, Any, int]:
        return inner(text)

    assert await call(outer, {"text": "abc"}) == {**said("3"), "structuredContent": 3}


async def test_the_context_is_injected_and_built_for_nobody_else(call: Call, register: Register) -> None:
    async def greet(ctx: Context, name: str = "you") -> str:
        return f"{ctx.state('greeting', str)} {name}, from {ctx.user.subject}"

    async def ping() -> str:
        return "pong"

    assert await call(greet, {"name": "Bob"}) == said("hello Bob, from alice")
    assert await register(ping).call({}, Exchange(), untouched) == said("pong")
    with pytest.raises(InvalidArguments):
        await register(ping).call({"ctx": 1}, Exchange(), untouched)


async def test_a_lone_model_is_passed_whole(call: Call) -> None:
    def keep(note: Note, *, ctx: Context) -> Note:
        return Note(text=f"{note.text} by {ctx.user.subject}")

    assert await call(keep, {"text": "a"}) == {
        **said('{"text":"a by alice"}'),
        "structuredContent": {"text": "a by alice"},
    }


async def test_a_partial_is_called_with_what_it_has_decided(call: Call) -> None:
    def send(text: str, api_key: str) -> str:
        return f"{text} with {api_key}"

    bound = functools.partial(send, api_key="k")
    assert await call(bound, {"text": "a"}) == said("a with k")
    with pytest.raises(InvalidArguments, match="api_key: is not an argument here"):
        await call(bound, {"text": "a", "api_key": "mine"})


async def test_arguments_that_do_not_fit_never_reach_the_function(register: Register) -> None:
    calls: list[int] = []

    def count(number: int) -> None:
        calls.append(number)

    with pytest.raises(InvalidArguments):
        await register(count).call({"number": "five"}, Exchange(), untouched)
    assert calls == []


async def test_a_tool_error_reaches_the_client_in_its_own_words(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    async def book(day: str) -> str:
        raise ToolError(f"nothing is free on {day}")

    def book_soon(day: str) -> str:
        raise ToolError(f"nothing is free on {day}")

    for func in (book, book_soon):
        assert await call(func, {"day": "Monday"}) == failed("nothing is free on Monday")
    assert caplog.records == []


async def test_the_words_of_a_tool_error_can_always_be_sent(call: Call) -> None:
    async def read() -> None:
        raise ToolError("ü \ud800")

    assert await call(read) == failed("ü \ufffd")


async def test_any_other_exception_reaches_the_client_as_an_incident_that_the_log_explains(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    async def divide(a: int, b: int) -> float:
        return a / b

    assert await call(divide, {"a": 123456789, "b": 0}) == failed(INCIDENT)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("gatepost.tools", logging.ERROR)
    assert record.getMessage() == "tool divide failed for alice, incident abababababababab"
    fields = {name: getattr(record, name) for name in ("incident", "tool", "subject")}
    assert fields == {"incident": "abababababababab", "tool": "divide", "subject": "alice"}
    assert "ZeroDivisionError: division by zero" in caplog.text
    assert "123456789" not in caplog.text


async def test_incident_ids_are_random_outside_of_tests() -> None:
    async def fail() -> None:
        raise OSError

    tool = Tool(fail)
    first, second = [(await tool.call({}, Exchange()))["content"][0]["text"] for _ in range(2)]
    assert first != second
    assert len(first) == len(second) == len(INCIDENT)


@pytest.mark.parametrize(
    "ending", [SystemExit(1), ExceptionGroup("several", [ValueError()]), RecursionError(), asyncio.CancelledError()]
)
async def test_no_ending_of_a_tool_ends_the_server(call: Call, ending: BaseException) -> None:
    async def end() -> None:
        raise ending

    def end_in_thread() -> None:
        raise ending

    assert await call(end) == failed(INCIDENT)
    assert await call(end_in_thread) == failed(INCIDENT)


async def test_a_result_that_does_not_fit_is_told_to_client_and_log(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    async def count() -> int:
        return "many"  # type: ignore[return-value]  # the wrong value is the test

    reason = "a str was returned that is not what is declared: the result [int_parsing]"
    assert await call(count) == failed(f"The result cannot be sent: {reason}")
    assert [(record.levelname, record.message) for record in caplog.records] == [("ERROR", f"tool count: {reason}")]


async def test_a_validator_that_fails_is_an_incident_and_one_that_says_no_is_not(call: Call) -> None:
    def broken(_: str) -> str:
        raise KeyError("a table of ours")

    def polite(_: str) -> str:
        raise ToolError("closed on Sundays")

    async def one(text: Annotated[str, AfterValidator(broken)]) -> str:
        return text

    async def two(text: Annotated[str, AfterValidator(polite)]) -> str:
        return text

    assert await call(one, {"text": "a"}) == failed(INCIDENT)
    assert await call(two, {"text": "a"}) == failed("closed on Sundays")


async def test_invalid_arguments_of_another_tool_are_not_those_of_this_one(call: Call, register: Register) -> None:
    inner = register(keep)

    async def outer(text: str) -> Any:
        return await inner.call({"txt": text}, Exchange())

    assert await call(outer, {"text": "a"}) == failed(INCIDENT)


async def test_cancellation_passes_through(register: Register) -> None:
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(register(wait).call({}, Exchange(), untouched))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
