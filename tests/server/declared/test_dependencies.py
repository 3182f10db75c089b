"""Dependencies: what functions get that is no argument, got before a call and closed after its result was built."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import fastapi
import pytest
from pydantic import BaseModel

from gatepost.server.calls.arguments import Arguments
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.depends import Depends
from gatepost.server.declared.prompts import Prompt
from gatepost.server.declared.resources import Resource
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import InvalidArguments, ToolDefinitionError, ToolError
from tests.patience import PATIENCE

Call = Callable[..., Awaitable[dict[str, Any]]]

INCIDENT = "The tool failed. Incident abababababababab."
events: list[str] = []


@pytest.fixture(autouse=True)
def no_events() -> None:
    events.clear()


def text_of(result: dict[str, Any]) -> str:
    text: str = result["content"][0]["text"]
    return text


async def number() -> int:
    events.append("number")
    return 7


def plain() -> str:
    events.append("main" if threading.current_thread() is threading.main_thread() else "thread")
    return "plain"


async def opened(ctx: Context) -> AsyncIterator[str]:
    events.append("open")
    try:
        yield ctx.user.subject
    except BaseException as error:
        events.append(f"saw {type(error).__name__}")
        raise
    finally:
        events.append("close")


def opened_in_thread() -> Iterator[str]:
    assert threading.current_thread() is not threading.main_thread()
    events.append("open")
    try:
        yield "thread"
    except BaseException as error:
        events.append(f"saw {type(error).__name__}")
        raise
    finally:
        events.append("close")


Number = Annotated[int, Depends(number)]
Opened = Annotated[str, Depends(opened)]
InThread = Annotated[str, Depends(opened_in_thread)]


def twice(one: Number, two: Number) -> int:
    return one + two


async def test_they_are_filled_in_and_no_part_of_the_schema(call: Call) -> None:
    async def add(a: int, n: Number, text: Annotated[str, Depends(plain)], ctx: Context) -> str:
        """Add.

        Args:
            a: The first.
            n: Not seen.
            text: Nor this.
            ctx: Nor this.
        """
        return f"{a + n} {text} {ctx.user.subject}"

    assert Tool(add).definition["inputSchema"] == {
        "type": "object",
        "properties": {"a": {"type": "integer", "description": "The first."}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert text_of(await call(add, {"a": 1})) == "8 plain alice"
    assert events == ["number", "thread"]


async def test_a_client_cannot_send_what_is_filled_in(call: Call) -> None:
    async def add(n: Number) -> int:
        return n

    assert (await call(add))["structuredContent"] == 7
    with pytest.raises(InvalidArguments, match=r"n: "):
        await call(add, {"n": 1})


async def test_a_value_is_got_once_in_a_call_unless_it_says_otherwise(call: Call) -> None:
    async def add(n: Number, both: Annotated[int, Depends(twice)]) -> int:
        return n + both

    async def anew(n: Number, again: Annotated[int, Depends(number, use_cache=False)]) -> int:
        return n + again

    assert (await call(add))["structuredContent"] == 21
    assert events == ["number"]
    await call(add)
    assert events == ["number", "number"]
    events.clear()
    await call(anew)
    assert events == ["number", "number"]


@pytest.mark.parametrize("kind", [Opened, InThread])
async def test_what_was_opened_is_closed_after_the_result_was_built(call: Call, kind: Any) -> None:
    class Loan(BaseModel):
        title: str

        def model_post_init(self, _: object) -> None:
            events.append("built")

    async def lend(resource: str) -> Loan:
        events.append("call")
        return {"title": resource}  # type: ignore[return-value]  # a dictionary will do for a model

    lend.__annotations__["resource"] = kind
    result = await call(lend)

    assert result["structuredContent"]["title"] in {"alice", "thread"}
    assert events == ["open", "call", "built", "close"]


@pytest.mark.parametrize("kind", [Opened, InThread])
@pytest.mark.parametrize(("error", "text"), [(ToolError("No."), "No."), (LookupError("x"), INCIDENT)])
async def test_a_failure_of_the_call_is_raised_there_and_answered_as_ever(
    call: Call, kind: Any, error: Exception, text: str
) -> None:
    async def fail(_resource: str) -> None:
        raise error

    fail.__annotations__["_resource"] = kind

    assert text_of(await call(fail)) == text
    assert events == ["open", f"saw {type(error).__name__}", "close"]


async def test_a_dependency_that_swallows_the_failure_does_not_undo_it(call: Call) -> None:
    async def forgiving() -> AsyncIterator[int]:
        try:
            yield 1
        except ToolError:
            events.append("swallowed")

    async def fail(_: Annotated[int, Depends(forgiving)]) -> None:
        raise ToolError("No.")

    assert text_of(await call(fail)) == "No."
    assert events == ["swallowed"]


async def test_they_are_closed_in_turn_and_one_that_fails_then_fails_the_call(call: Call) -> None:
    async def outer() -> AsyncIterator[str]:
        yield "outer"
        events.append("outer")
        raise LookupError

    def inner(above: Annotated[str, Depends(outer)]) -> Iterator[str]:
        yield f"{above} inner"
        events.append("inner")

    async def use(both: Annotated[str, Depends(inner)]) -> str:
        return both

    assert text_of(await call(use)) == INCIDENT
    assert events == ["inner", "outer"]


async def test_what_was_opened_before_another_failed_is_closed(call: Call) -> None:
    async def refuse(_: Opened) -> None:
        raise ToolError("Closed today.")

    async def use(nothing: Annotated[None, Depends(refuse)]) -> None: ...

    assert text_of(await call(use)) == "Closed today."
    assert events == ["open", "saw ToolError", "close"]


@pytest.mark.parametrize("kind", [Opened, InThread])
async def test_a_call_that_is_cancelled_closes_what_it_opened(call: Call, kind: Any) -> None:
    started = asyncio.Event()

    async def wait(_resource: str) -> None:
        started.set()
        await asyncio.Event().wait()

    wait.__annotations__["_resource"] = kind
    calling = asyncio.ensure_future(call(wait))
    await started.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling

    assert events == ["open", "saw CancelledError", "close"]


@pytest.mark.parametrize("kind", [Opened, InThread])
async def test_a_call_out_of_time_closes_what_it_opened(call: Call, kind: Any) -> None:
    async def wait(_resource: str) -> None:
        await asyncio.Event().wait()

    wait.__annotations__["_resource"] = kind
    # The time begins before anything is opened; the thread may open after its end, and closes then.
    result = await call(wait, timeout=0.05)

    assert text_of(result) == "wait was stopped: it may take 0.05 seconds."
    async with asyncio.timeout(PATIENCE):
        while events[-1:] != ["close"]:  # noqa: ASYNC110 - its thread tells nobody
            await asyncio.sleep(0)


async def test_a_thread_that_opens_after_the_call_was_cancelled_closes_it_itself() -> None:
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    closed = asyncio.Event()

    def slow() -> Iterator[int]:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(PATIENCE)
        try:
            yield 1
        finally:
            loop.call_soon_threadsafe(closed.set)

    async def use(n: Annotated[int, Depends(slow)]) -> int:
        return n

    calling = asyncio.ensure_future(Tool(use).call({}, Exchange()))
    await begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    go_on.set()
    async with asyncio.timeout(PATIENCE):
        await closed.wait()


async def test_the_call_and_its_dependencies_have_one_context(call: Call) -> None:
    def seen(ctx: Context) -> Context:
        return ctx

    async def same(ctx: Context, theirs: Annotated[Context | object, Depends(seen)]) -> bool:
        return ctx is theirs

    assert (await call(same))["structuredContent"] is True


@dataclass
class Settings:
    """What some call a service."""

    n: Number
    name: str = "settings"
    tags: list[str] = field(default_factory=list)


async def test_a_class_is_built_and_the_annotated_type_stands_for_itself(call: Call) -> None:
    async def one(settings: Annotated[Settings, Depends()]) -> str:
        return f"{settings.name} {settings.n}"

    async def two(settings: Annotated[object, Depends(Settings)]) -> str:
        return type(settings).__name__

    assert text_of(await call(one)) == "settings 7"
    assert text_of(await call(two)) == "Settings"


async def test_those_of_fastapi_are_recognised_in_the_annotation_and_as_the_default(call: Call) -> None:
    async def annotated(n: Annotated[int, fastapi.Depends(number)]) -> int:
        return n

    async def default(n: int = fastapi.Depends(number), m=fastapi.Depends(twice)) -> int:  # type: ignore[no-untyped-def]  # noqa: B008, ANN001 - people write this
        return n + int(m)

    assert (await call(annotated))["structuredContent"] == 7
    assert (await call(default))["structuredContent"] == 21
    assert Tool(default).definition["inputSchema"]["properties"] == {}


async def test_a_plain_function_gets_them_and_sees_the_callers_context_variables(call: Call) -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    def read() -> str:
        return variable.get()

    def tool(value: Annotated[str, Depends(read)]) -> str:
        return f"{value} {variable.get()}"

    variable.set("set")
    assert text_of(await call(tool)) == "set set"


async def test_resources_prompts_and_completions_have_them() -> None:
    async def read(ctx: Context, name: str, subject: Opened) -> str:
        return f"{name} {subject}" if ctx.user.subject == subject else ""

    async def choices(value: str, n: Number) -> list[str]:
        return [f"{value}{n}"]

    resource = Resource(read, "notes://{name}")
    read_result = await resource.read("notes://a", {"name": "a"}, Exchange())
    prompt = Prompt(read, completions={"name": choices})
    got = await prompt.get({"name": "b"}, "2026-07-28", Exchange())

    assert read_result["contents"][0]["text"] == "a anonymous"
    assert prompt.definition["arguments"] == [{"name": "name", "required": True}]
    assert got["messages"] == [{"role": "user", "content": {"type": "text", "text": "b anonymous"}}]
    assert (await prompt.complete("name", "x", {}, Exchange()))["values"] == ["x7"]
    assert events == ["open", "close", "open", "close", "number"]


def test_a_dependency_takes_no_argument() -> None:
    def lookup(key: str) -> str:
        return key

    def tool(value: Annotated[str, Depends(lookup)]) -> None: ...

    with pytest.raises(ToolDefinitionError, match=r"lookup: parameter 'key' of a dependency is a Context or a depend"):
        Tool(tool)


def test_what_cannot_be_called_is_refused_where_it_stands() -> None:
    def tool(value: Annotated[str, fastapi.Depends("text")]) -> None: ...

    def secured(value: Annotated[str, fastapi.Security(number, scopes=["a"])]) -> None: ...

    with pytest.raises(ToolDefinitionError, match=r"tool: parameter 'value': what it depends on is a function or a cl"):
        Tool(tool)
    with pytest.raises(ToolDefinitionError, match=r"secured: parameter 'value': write Depends\(\.\.\.\), and the scop"):
        Tool(secured)


def first(value: Annotated[int, Depends(lambda: None)]) -> int:
    return value


def test_a_circle_is_refused() -> None:
    first.__annotations__["value"] = Annotated[int, Depends(second)]

    with pytest.raises(ToolDefinitionError, match=r"parameter 'value' depends on itself, by way of .*second"):
        Tool(first, name="any")


def second(value: Annotated[int, Depends(first)]) -> int:
    return value


async def test_a_function_of_an_arguments_object_has_them_beside_it() -> None:
    class Inputs(BaseModel):
        a: int

    def add(args: Arguments[Inputs], n: Number) -> int:
        return args.inputs.a + n

    tool = Tool(add)

    assert (await tool.call({"a": 1}, Exchange()))["structuredContent"] == 8
