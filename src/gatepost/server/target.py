"""What stands behind an MCP endpoint, as the transport sees it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.channel import CallerLine, Channel
from gatepost.server.calls.context import Context
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.session import Session

if TYPE_CHECKING:
    # For the annotation alone: this package runs without a web framework.
    from starlette.requests import Request as HTTPRequest

ResultBody = dict[str, Any] | orjson.Fragment
"""The `result` member of a response, as a JSON-able object or as JSON already."""
Result = ResultBody | Subscription
"""What answers a request: a result, or a stream that ends with one."""


@dataclass(slots=True)
class Caller:
    """Who sends a message, and with what."""

    principal: Principal | None
    """None where nobody asks for a token."""
    granted: frozenset[str] | None
    """The scopes that decide what is shown and done; None where scopes do not count, because there are no tokens."""
    headers: Mapping[bytes, bytes]
    """The request's headers, names in lower case; among them those that mirror a tool's arguments (`mcp-param-...`)."""
    http_request: Callable[[], HTTPRequest] | None = None
    """Builds the HTTP request for those who ask for it; None where there is none."""
    line: CallerLine | None = None
    """Where notifications of this request go in the modern era, and what says in both whether anybody waits for it.

    None where nothing can be sent before the result.
    """
    channel: Callable[[], Channel] | None = None
    """Opens the channel of this request: handshake era. None where the client cannot be asked.

    In the modern era the target makes a channel itself, of the line and of what the request carries.
    """
    session: Session | None = None
    """The session that the request belongs to: handshake era. None where it belongs to none."""

    def context(self) -> Context:
        """Return a context that knows who calls, and no more."""
        return Context(principal=self.principal)


class Target(Protocol):
    """What answers the requests of one endpoint."""

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Open what the target needs, for as long as the server runs. Opened once, before the first request."""
        ...

    def answer(self, request: Request, revision: Revision, caller: Caller) -> Coroutine[Any, Any, Result]:
        """Return the result of `request`, complete for `revision`.

        Raises:
            ProtocolError: the answer is this error instead.
            InsufficientScope: the caller's token is good for less than this needs.
        """
        ...

    async def drain(self) -> None:
        """End what would last until the server stops. Called when it is about to, before its connections close."""
        ...

    async def notice(self, notification: Notification, revision: Revision, caller: Caller) -> None:
        """Take note of a notification. Nothing that happens here reaches the client."""
        ...
