"""A service with one tool, for claude.ai: with nobody to log in, with one password, with a provider of its own."""

from __future__ import annotations

import os
from typing import Any

import fastmcp
import httpx2
from starlette.requests import Request

from gatepost import AuthProvider, SingleUserProvider, StaticPasswordProvider, create_app, get_current_sub

mcp: fastmcp.FastMCP = fastmcp.FastMCP(
    "my-service",
    instructions="Answers queries. Shown on the card of the connector.",
)


@mcp.tool()
def my_tool(query: str) -> str:
    """Answer a query."""
    return f"Result for: {query}"


@mcp.tool()
def whoami() -> str:
    """Say whose token it is."""
    return get_current_sub()


def without_login() -> Any:
    return create_app(mcp=mcp, provider=SingleUserProvider())


def with_one_password() -> Any:
    return create_app(mcp=mcp, provider=StaticPasswordProvider(os.environ["ADMIN_PASSWORD"]))


class SessionProvider(AuthProvider):
    """Knows people by a cookie of a portal in front, or by a password in the form."""

    def authenticate(self, request: Request, credentials: dict[str, str]) -> str | None:
        if request.cookies.get("portal") == "ada's session":
            return "ada"
        return "bob" if credentials.get("password") == "bob's four odd words" else None


def with_a_provider() -> Any:
    return create_app(mcp=mcp, provider=SessionProvider())


# Open data of somebody else, without anybody logging in.

markets: fastmcp.FastMCP = fastmcp.FastMCP("markets")
api = httpx2.AsyncClient(base_url="https://markets.example.com")


@markets.tool
async def list_markets(limit: int = 5) -> list[dict[str, Any]]:
    """List the markets with the most trade."""
    found = await api.get("/markets", params={"limit": str(limit), "order": "volume"})
    found.raise_for_status()
    return [{"question": one["question"], "volume": one["volume"]} for one in found.json()]


def open_data() -> Any:
    return create_app(mcp=markets, provider=SingleUserProvider())
