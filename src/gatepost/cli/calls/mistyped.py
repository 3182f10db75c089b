"""What a person may have meant who named a tool that a server does not list, or an address where no endpoint is."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from gatepost.client.protection import origin_of
from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.fetching import FetchFailed
from gatepost.outbound.issuer_documents import Transport, json_at

if TYPE_CHECKING:
    from mcp import MCPError
    from mcp_types import Tool

_METADATA: Final = "/.well-known/oauth-protected-resource"
_NOT_FOUND: Final = (-32601, "Not Found")
"""What the official client makes of an answer 404 that is no JSON-RPC error."""


async def unlisted_tool(name: str, url: str, listed: Callable[[], Awaitable[Sequence[Tool]]]) -> str | None:
    """Return a sentence where a server does not list a tool, which names the one most like it; otherwise None."""
    from mcp import MCPError  # noqa: PLC0415 - an extra

    names = list[str]()
    with suppress(MCPError):
        names = [tool.name for tool in await listed()]
    if not names or name in names:
        return None
    near = difflib.get_close_matches(name, names, n=1)
    return f"{url} lists no tool {name}" + (
        f"; did you mean {near[0]}?" if near else f"; gatepost call {url} shows all."
    )


async def refusal_of(error: MCPError, url: str, transport: Transport) -> str:
    """Return a sentence about a JSON-RPC error, or about an address where no MCP endpoint is.

    Args:
        error: what the official client raised.
        url: where it was sent.
        transport: returns the way to the server's metadata (RFC 9728).
    """
    if (error.code, error.message) != _NOT_FOUND:
        return f"{url} refuses ({error.code}): {error.message}"
    endpoint = await _endpoint_beside(url, transport)
    return f"There is no MCP endpoint at {url} (404)" + (
        f"; the server says that {endpoint} is one." if endpoint else ": a path is wrong or missing, such as /mcp."
    )


async def _endpoint_beside(url: str, transport: Transport) -> str | None:
    """Return the endpoint of the same server that its metadata names; None where it names none."""
    origin = origin_of(url)
    for address in (f"{origin}{_METADATA}", f"{origin}{_METADATA}/mcp"):
        document: Any = None
        with suppress(FetchFailed):
            document, _ = await json_at(address, transport, may_be_absent=True)
        endpoint = document.get("resource") if isinstance(document, dict) else None
        # Of another server, it would be a stranger who says where people go on.
        if isinstance(endpoint, str) and is_server_url(endpoint) and origin_of(endpoint) == origin and endpoint != url:
            return endpoint
    return None
