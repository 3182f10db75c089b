"""Gatepost with every extension of the protocol, none of which is used by who calls `add`."""

import os

from gatepost import Context, Extension, Server, TaskOptions

server = Server("benchmark")


class Nothing(Extension):
    """An extension of an author's own."""

    identifier = "com.example/nothing"


@server.tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(task=TaskOptions(ttl=60))
async def add_later(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.ui("ui://sum")
async def page(_ctx: Context) -> str:
    """Show a sum."""
    return "<!doctype html><p>A sum</p>"


@server.tool(ui="ui://sum")
async def add_shown(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


server.add_skills(os.environ["BENCHMARK_SKILLS"])
server.use(Nothing())
