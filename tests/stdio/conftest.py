"""A client on the other end of a connection, without streams."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import orjson
import pytest

from gatepost.server.target import Target
from gatepost.stdio.connection import Connection
from tests.patience import PATIENCE

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
}


class Client:
    """Sends lines to a connection and gets what it answers."""

    def __init__(self) -> None:
        self.connection: Connection
        self.received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self, message: bytes) -> None:
        self.received.put_nowait(orjson.loads(message))

    def post(self, message: bytes) -> None:
        self.received.put_nowait(orjson.loads(message))

    async def tell(self, **message: Any) -> None:
        await self.connection.take(orjson.dumps({"jsonrpc": "2.0", **message}))

    async def answer(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return await self.received.get()

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask in the modern era."""
        await self.tell(id=1, method=method, params={**params, "_meta": META})
        return await self.answer()

    async def call(self, name: str, **arguments: Any) -> None:
        """Call a tool in the handshake era, as request 7."""
        await self.tell(id=7, method="tools/call", params={"name": name, "arguments": arguments})

    async def initialize(self, capabilities: dict[str, Any] | None = None, version: str = "2025-11-25") -> None:
        params = {"protocolVersion": version, "capabilities": capabilities or {}}
        await self.tell(id=0, method="initialize", params=params)
        assert (await self.answer())["result"]["protocolVersion"] == version


Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def connect() -> Connect:
    @asynccontextmanager
    async def connected(target: Target, **headers: str) -> AsyncIterator[Client]:
        client = Client()
        async with target.lifespan():
            encoded = {name.encode(): value.encode() for name, value in headers.items()}
            counted = itertools.count()
            client.connection = Connection(
                target, client, headers=encoded, random_bytes=lambda size: next(counted).to_bytes(size, "big")
            )
            yield client
            await client.connection.finish(0.2)

    return connected
