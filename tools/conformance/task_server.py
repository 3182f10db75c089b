"""The tools that the suite's scenarios for tasks call, as those describe them."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from gatepost import Context, Elicit, Server, TaskOptions, ToolError, continue_as_task

server = Server("conformance-tasks", version="1.0.0")


class Confirmation(BaseModel):
    """A form with one box."""

    confirm: bool = False


class Named(BaseModel):
    """A form with a name."""

    name: str = ""


@server.tool
async def greet(name: str) -> str:
    """Say hello; never a task."""
    return f"Hello, {name}!"


@server.tool(task=True)
async def slow_compute(seconds: float = 0, label: str = "") -> str:
    """Take a while."""
    await asyncio.sleep(seconds)
    return f"computed {label} in {seconds:g} s"


@server.tool(task=TaskOptions(required=True))
async def failing_job() -> str:
    """Fail as a tool does."""
    raise ToolError("This job always fails.")


@server.tool(task=True)
async def protocol_error_job(ctx: Context) -> str:
    """Fail as the protocol does: no client of the suite declares roots."""
    await ctx.roots()
    return "There are roots."


@server.tool(task=True)
async def confirm_delete(filename: str, ctx: Context) -> str:
    """Ask once."""
    answer = await ctx.elicit(f"Delete {filename}?", Confirmation)
    return f"{filename}: {answer.action}"


@server.tool(task=True)
async def multi_input(ctx: Context) -> str:
    """Ask two things at once."""
    answers = await ctx.request_all({"first": Elicit("The first?", Named), "second": Elicit("The second?", Named)})
    return " and ".join(answer.data.name for answer in answers.values() if answer.data)


@server.tool(task=TaskOptions(after=None, required=True))
async def test_tool_with_task(ctx: Context) -> str:
    """Ask in the call, and go on as a task."""
    answer = await ctx.elicit("What is your name?", Named, key="user_name")
    await continue_as_task(ctx)
    return f"Hello, {answer.data.name if answer.data else 'stranger'}!"
