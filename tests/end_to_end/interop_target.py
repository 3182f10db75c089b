"""A server for clients that others wrote: what a stream can carry, and a call that only its client can end."""

import asyncio
from collections import defaultdict

from gatepost import Context, Server

server = Server("interop")

_cancelled: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


@server.tool
async def steps(count: int, ctx: Context) -> str:
    """Report progress and log, step by step."""
    for step in range(1, count + 1):
        await ctx.progress(step, count, f"step {step}")
        ctx.log.info("did %d", step)
    return "stepped"


@server.tool
async def hold(name: str, ctx: Context) -> str:
    """Say that it has begun, and never end by itself."""
    await ctx.progress(1, 2, "begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        _cancelled[name].set()
        raise
    return "never"


@server.tool
async def was_cancelled(name: str) -> bool:
    """Wait until the call of `hold` with this name was cancelled."""
    async with asyncio.timeout(180):
        return await _cancelled[name].wait()


@server.tool
async def touch() -> str:
    """Tell subscribers that the watched resource changed."""
    server.resource_updated("watched://one")
    return "touched"


@server.tool
async def grow(name: str) -> str:
    """Add a tool."""
    server.tool(name=name, description="Added at run time.")(touch)
    return "grown"


@server.resource("watched://one", mime_type="text/plain")
async def watched() -> str:
    """A resource to subscribe to."""
    return "seen"
