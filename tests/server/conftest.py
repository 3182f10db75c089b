"""Fixtures of the server's tests."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gatepost.resource.principal import Principal
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.tools import Tool

Register = Callable[..., Tool]
Call = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def principal() -> Principal:
    """Return a caller."""
    return Principal(
        subject="alice",
        client_id="gp_client",
        scopes=frozenset({"notes:read", "notes:write"}),
        resource="https://mcp.example.com/mcp",
        issuer="https://mcp.example.com",
        grant_id="grant-1",
        expires_at=2_000,
        display_name="Alice Example",
        client_name="Inspector",
    )


@pytest.fixture
def register() -> Register:
    """Return what makes a tool of a function."""
    return Tool


@pytest.fixture
def call(principal: Principal, register: Register) -> Call:
    """Return a function that makes a tool of a function and calls it once, for alice. Incidents are abab…."""

    async def make_and_call(
        func: Callable[..., Any], arguments: dict[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        make_context = functools.partial(Context, state={"greeting": "hello"}, tool="tested")
        return await register(func, **options).call(
            arguments or {}, Exchange(principal), make_context, random_bytes=lambda count: b"\xab" * count
        )

    return make_and_call
