"""A server whose tools talk to their client."""

import asyncio

from pydantic import BaseModel

from gatepost import Context, Server

server = Server("talkative")


class Choice(BaseModel):
    colour: str


@server.tool
async def choose(ctx: Context) -> str:
    """Ask for a colour, with progress before and after."""
    await ctx.progress(1, 2, "asking")
    answer = await ctx.elicit("Which colour?", Choice)
    await ctx.progress(2, 2)
    return answer.data.colour if answer.data else answer.action


@server.tool
async def grow() -> str:
    """Add a tool."""
    server.tool(name="grown")(lambda: "here")
    return "grown"


@server.tool
async def slow(ctx: Context) -> str:
    """Close the stream, work on, and answer whoever comes back."""
    await ctx.progress(1)
    await ctx.close_stream()
    await asyncio.sleep(0.2)
    return "after all"


@server.tool
async def wait(ctx: Context) -> str:
    """Say that it has begun, and go on until it is stopped."""
    await ctx.progress(1)
    await asyncio.Event().wait()
    return "never"
