"""From nothing to a protected call by the official client, in the two ways that the README and the docs describe."""

from __future__ import annotations

import asyncio
import re
import time

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tools.newcomer.machine import Machine
from tools.walk.screen import Command, NotOnScreenError
from tools.walk.visitor import Visitor

INSTALL_SECONDS = 900.0
SOME_TESTS = 'make test ARGS="tests/oauth"'
UNAUTHORIZED = 401
_SETUP_LINK = re.compile(r"Set up\s+(\S+)")


def by_the_readme(person: Machine, port: int) -> None:
    """Clone, and type the two commands of the README; caches are empty.

    Raises:
        NotOnScreenError: a step did not do what the README says.
    """
    began = time.monotonic()
    person.type("git clone --quiet /run/gatepost.bundle gatepost").wait(seconds=INSTALL_SECONDS)
    person.note("Clone", "git clone …", began)
    began = time.monotonic()
    server = person.type(f'make serve ARGS="--port {port}"', folder="gatepost")
    visitor = Visitor(f"http://127.0.0.1:{port}")
    try:
        server.wait_for("MCP URL", "/docs", seconds=INSTALL_SECONDS)
        person.note("Install, from empty caches, until the server says its URL", "make serve", began)
        began = time.monotonic()
        _set_up(visitor, server)
        person.note("Create the account at the link that it prints", "", began)
        began = time.monotonic()
        *_, note = visitor.add_a_note("milk")
        _check("milk" in note, note, server)
        person.note("The official client registers, its user logs in and approves, it calls a tool", "", began)
        began = time.monotonic()
        person.type(SOME_TESTS, folder="gatepost").wait(" passed", seconds=2 * INSTALL_SECONDS)
        person.note("The development tools, and some of the tests, beside the server", SOME_TESTS, began)
        server.press_ctrl_c()
    finally:
        visitor.close()
        server.close()


def by_pip(person: Machine, port: int) -> None:
    """Install the package, begin a project and serve it.

    Raises:
        NotOnScreenError: a step did not do what the docs say.
    """
    activate = ". .venv/bin/activate"
    began = time.monotonic()
    install = f"python3 -m venv .venv && {activate} && pip install gatepost"
    person.type(install).wait("Successfully installed", seconds=INSTALL_SECONDS)
    person.note("Install the package", install, began)
    began = time.monotonic()
    person.type(f"{activate} && gatepost init notes --yes").wait("gatepost serve")
    person.note("Begin a project", "gatepost init notes", began)
    began = time.monotonic()
    inside = f"cd notes && . ../{activate.removeprefix('. ')}"
    server = person.type(f"{inside} && gatepost serve --port {port}")
    visitor = Visitor(f"http://127.0.0.1:{port}")
    try:
        server.wait_for("MCP URL", "/docs")
        person.note("Serve it", "cd notes; gatepost serve", began)
        began = time.monotonic()
        _check(asyncio.run(_status(port)) == UNAUTHORIZED, "it answers without a token", server)
        _set_up(visitor, server)
        person.note("Create the account at the link that it prints", "", began)
        began = time.monotonic()
        minting = "gatepost token mint --user you --scopes notes:write"
        # The settings that the server was given on its command line, for the command beside it.
        minted = person.type(f"{inside} && export MCP_PORT={port} && {minting}").wait("gp_at_")
        token = minted.screen.split()[-1]
        person.note("A token without a browser", minting, began)
        began = time.monotonic()
        said = asyncio.run(_call(port, token))
        _check("milk" in said, said, server)
        person.note("The official client calls a tool with it", "", began)
        began = time.monotonic()
        *_, note = visitor.add_a_note("bread")
        _check("bread" in note, note, server)
        person.note("Another one registers, its user logs in and approves, it calls a tool", "", began)
        server.press_ctrl_c()
    finally:
        visitor.close()
        server.close()


def _set_up(visitor: Visitor, server: Command) -> None:
    link = _SETUP_LINK.search(server.screen)
    if link is None:
        raise NotOnScreenError(server.screen)
    visitor.set_up(link[1])


async def _status(port: int) -> int:
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"http://127.0.0.1:{port}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        return answer.status_code


async def _call(port: int, token: str) -> str:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
        Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)) as client,
    ):
        (block,) = (await client.call_tool("add", {"text": "milk"})).content
    return block.text if isinstance(block, TextContent) else ""


def _check(holds: bool, sentence: str, server: Command) -> None:  # noqa: FBT001 - as an assertion
    if not holds:
        raise NotOnScreenError(f"{sentence}\n{server.screen}")
