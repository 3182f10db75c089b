"""Gatepost: `gatepost serve gatepost_server.py:server`, with everything that `serve` brings."""

import os
from collections.abc import Awaitable, Callable

from gatepost import Server

server = Server("benchmark")


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def add_sync(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def named(name: str) -> Callable[[int, int], Awaitable[int]]:
    """Return the async tool under another name."""

    async def renamed(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    renamed.__name__ = name
    return renamed


if (count := int(os.environ["BENCHMARK_TOOLS"])) > 0:
    for index in range(count):
        server.add_tool(named(f"add_{index}"))
else:

    @server.tool
    async def announce() -> str:
        """Change the list of tools, so that every listener is told."""
        server.add_tool(named(f"extra_{len(server.tools)}"))
        return "announced"

    server.add_tool(add)
    server.add_tool(add_sync)
