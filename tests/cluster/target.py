"""What the servers of a cluster serve: tools that note each of their runs in a file that all of them share."""

from __future__ import annotations

import asyncio
import os

from pydantic import BaseModel

from gatepost import Context, Server

server = Server("cluster")


class Choice(BaseModel):
    colour: str


def _note(run: str) -> None:
    descriptor = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{run}\n".encode())
    finally:
        os.close(descriptor)


@server.tool
async def count(run: str) -> int:
    """Note that it ran; tell in which process."""
    _note(run)
    return os.getpid()


@server.tool
async def steps(run: str, ctx: Context) -> str:
    """Report progress before it runs."""
    for step in range(1, 4):
        await ctx.progress(step, 3)
        await asyncio.sleep(0)
    _note(run)
    return "stepped"


@server.tool
async def choose(run: str, ctx: Context) -> str:
    """Ask before it runs."""
    answer = await ctx.elicit("Which colour?", Choice)
    _note(run)
    return answer.data.colour if answer.data else answer.action


@server.tool
async def touch() -> str:
    """Tell subscribers that the watched resource changed."""
    server.resource_updated("watched://one")
    return "touched"


@server.resource("watched://one", mime_type="text/plain")
async def watched() -> str:
    """A resource to subscribe to."""
    return "seen"
