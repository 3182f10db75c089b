"""What stands behind the proxies: tools that are silent, that close their stream, and that take much."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from gatepost import Context, Server

server = Server("proxies", scopes={"notes:read": "Read your notes"})
_DIARY = "PROXIES_DIARY"
"""The variable with the file in which silent calls note what becomes of them."""


def _note(line: str) -> None:
    with Path(os.environ[_DIARY]).open("a", encoding="utf-8") as diary:
        diary.write(f"{line}\n")


@server.tool
def ping() -> str:
    """Answer at once."""
    return "pong"


@server.tool
def measure(text: str) -> int:
    """Tell how long a text is."""
    return len(text)


@server.tool
async def hold(name: str, seconds: float) -> str:
    """Say nothing for a while; note when it begins, is cancelled, or ends."""
    _note(f"begun {name}")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        _note(f"cancelled {name}")
        raise
    _note(f"ended {name}")
    return f"held {name}"


@server.tool
async def part(ctx: Context) -> str:
    """Close the stream, work on, and answer whoever comes back."""
    await ctx.progress(1, 3, "begun")
    await asyncio.sleep(1)
    await ctx.progress(2, 3, "going on")
    await ctx.close_stream()
    await asyncio.sleep(2)
    return "after all"
