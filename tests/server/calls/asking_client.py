"""A client of the modern era, and tools that ask it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from gatepost.protocol.messages import Request, result_response
from gatepost.protocol.modern import CLIENT_CAPABILITIES
from gatepost.protocol.versions import REVISION_2026_07_28
from gatepost.resource.principal import Principal
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.request_state import RequestStateSeal
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.dispatch import ServerTarget
from gatepost.server.server import Server
from gatepost.tokens.sealing import KeyRing

EVERYTHING: Mapping[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
KEY = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"


class Name(BaseModel):
    name: str


class Colour(BaseModel):
    colour: str


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 1_000

    def __call__(self) -> int:
        return self.time


class Client:
    """A client of the modern era, and the server it calls."""

    def __init__(self, serves: Callable[..., Any] | Server, *, key: str = KEY) -> None:
        self.server = serves if isinstance(serves, Server) else Server("asking", tools=[serves])
        self.name = next(iter(self.server.tools))
        self.clock = Clock()
        self.principal: Principal | None = None
        self.capabilities: Mapping[str, Any] = EVERYTHING
        self.arguments: dict[str, Any] = {}
        self.meta: dict[str, Any] = {}
        self.use_key(key)

    def use_key(self, *keys: str) -> None:
        seal = RequestStateSeal(KeyRing(keys), now=self.clock, random_bytes=lambda count: b"n" * count)
        self.target = ServerTarget(self.server, seal=seal)

    async def call(self, answers: Any = None, state: Any = None, **more: Any) -> dict[str, Any]:
        params = {
            "name": self.name,
            "arguments": self.arguments,
            "_meta": {CLIENT_CAPABILITIES: self.capabilities, **self.meta},
            **more,
        }
        if answers is not None:
            params["inputResponses"] = answers
        if state is not None:
            params["requestState"] = state
        caller = Exchange(self.principal)
        result = await self.target.answer(Request(1, "tools/call", params), REVISION_2026_07_28, caller)
        assert not isinstance(result, Subscription)
        read: dict[str, Any] = json.loads(result_response(1, result))["result"]
        return read


def accept(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


def text(result: dict[str, Any]) -> str:
    assert result["resultType"] == "complete", result
    said: str = result["content"][0]["text"]
    return said


async def greet(ctx: Context, salutation: str = "Hello") -> str:
    who = await ctx.elicit("What is your name?", Name, key="user_name")
    return f"{salutation}, {who.data.name}!" if who.data else who.action


async def several(ctx: Context) -> str:
    name = await ctx.elicit("Name?", Name)
    colour = await ctx.elicit("Colour?", Colour)
    assert name.data
    assert colour.data
    return f"{name.data.name} likes {colour.data.colour}"
