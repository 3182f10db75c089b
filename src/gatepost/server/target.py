"""Targets: what answers the requests of an MCP endpoint, as its transport sees it."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

import orjson

from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange, InputRequests, Results
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


class SessionLost(Exception):
    """What a target kept for a session is gone, so the session is over: its client is told to begin another one.

    Raised by `Target.answer` for a request of the handshake era that has a session.
    """


class SessionChannel(Protocol):
    """The client of one session, for what belongs to no request of its own (handshake era)."""

    @property
    def key(self) -> bytes:
        """What requests of the session have as their `Exchange.session_key`."""
        ...

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What `initialize` declared."""
        ...

    @property
    def is_listening(self) -> bool:
        """Whether the client has the session's own stream open."""
        ...

    def post_message(self, message: bytes) -> None:
        """Send a JSON-RPC message on that stream. Some are kept for a client that has yet to open it."""
        ...

    async def request(self, requests: InputRequests) -> Results:
        """Send requests on that stream; as `McpClient.request` otherwise."""
        ...

    async def end(self) -> None:
        """End the session: it is unknown from now on, and what runs in it is cancelled. Raises nothing."""
        ...


@runtime_checkable
class SessionTarget(Target, Protocol):
    """A target that keeps something for each session of the handshake era, in this process."""

    def session_began(self, exchange: Exchange, channel: SessionChannel | None) -> None:
        """Take the session that an `initialize` began, which `exchange` was of; None where there is none for it."""
        ...

    def session_ended(self, key: bytes) -> None:
        """Note that a session is over. Of one that was not used for long nobody notes the end."""
        ...
