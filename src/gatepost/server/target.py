"""Targets: what answers the requests of an MCP endpoint, as its transport sees it."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import orjson

from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.changes.subscriptions import Subscription

ResultBody = dict[str, Any] | orjson.Fragment
"""The `result` member of a response, as a JSON-able object or as JSON already."""
Result = ResultBody | Subscription
"""What answers a request: a result, or a stream that ends with one."""


class Target(Protocol):
    """What answers the requests of one endpoint."""

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Open what the target needs, for as long as the server runs. Opened once, before the first request."""
        ...

    def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Coroutine[Any, Any, Result]:
        """Return the result of `request`, complete for `revision`.

        Raises:
            ProtocolError: the answer is this error instead.
            InsufficientScope: the caller's token is good for less than this needs.
        """
        ...

    async def drain(self) -> None:
        """End what would last until the server stops. Called when it is about to, before its connections close."""
        ...

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        """Take note of a notification. Nothing that happens here reaches the client."""
        ...
