"""The exchange of one HTTP request; its answer becomes a stream once there is something to send before the result."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from starlette.requests import Request as HTTPRequest
from starlette.types import Receive, Scope, Send

from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.cancellation import CancelScope
from gatepost.server.calls.exchange import Exchange
from gatepost.server.target import Result
from gatepost.web.mcp.exchange.event_stream import EventResponse, EventStream
from gatepost.web.mcp.exchange.headers import names_events
from gatepost.web.mcp.exchange.keep_alive import KeepAlive
from gatepost.web.mcp.exchange.ordered_writer import OrderedWriter
from gatepost.web.resource.outer_authentication import GRANTED, NOTHING, UNKNOWN_CALLER, with_authentication
from gatepost.web.site.disconnect import resume_while_connected
from gatepost.web.site.plain_answers import FAST_PATH


class HttpExchange(Exchange):
    """One HTTP request. Building it costs next to nothing, and there is no stream until something is sent.

    Args:
        scope: the request's ASGI scope.
        receive: its ASGI channel.
        send: likewise; nothing has been sent on it.
        principal: who sends it; None where nobody asks for a token.
        headers: by name, in lower case.
    """

    __slots__ = ("_loop", "_response", "_send", "receive", "revision", "scope", "stream")

    revision: Revision
    """What the request is in; there once that is known, and in the handshake era only."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, principal: Principal | None, headers: Mapping[bytes, bytes]
    ) -> None:
        # What the base class would set, without the call: there is one of these for each request.
        self.principal = principal
        self.headers = headers
        self.is_closed = False
        self.handed_out = ()
        self.scope = scope
        self.receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._response: EventResponse | None = None
        self.stream: OrderedWriter | None = None
        """What the answer has become, if it has; its status and headers are then sent already."""

    @property
    def response(self) -> EventResponse:
        """The response as a stream of events."""
        if self._response is None:
            self._response = EventResponse(self._send, self.scope.get(FAST_PATH))
        return self._response

    @property
    def granted(self) -> frozenset[str] | None:
        principal = self.principal
        return self.scope.get(GRANTED, NOTHING) if principal is None else principal.scopes

    @property
    def shown(self) -> frozenset[str] | None:
        # Who is not known yet has to see what there is, or would never know what to log in for.
        return None if UNKNOWN_CALLER in self.scope else self.granted

    def http_request(self) -> HTTPRequest:
        return HTTPRequest(with_authentication(self.scope, self.principal))

    def of_session(self, key: bytes) -> HttpExchange:
        """Return the exchange of the same message, which is a notification of this session; to go on with."""
        return _OfSession(key, self.scope, self.receive, self._send, self.principal, self.headers)

    async def send(self, message: bytes) -> None:
        stream = self.open_stream()
        if stream is not None:
            await stream.send(message)

    def send_at_once(self, message: bytes) -> bool:
        stream = self.stream
        # What might hold a token of a login provider goes the way on which it is looked at (`notify`).
        return stream is not None and not (self.is_closed or self.handed_out) and stream.send_at_once(message)

    def post_message(self, message: bytes) -> None:
        # Worker threads have no running loop. Their posts arrive in order, and before their result does.
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - documented; the public one raises instead
            self._post(message)
        else:
            self._loop.call_soon_threadsafe(self._post, message)

    def open_stream(self) -> OrderedWriter | None:
        """Return the stream, new at the first call; None when the exchange is closed. In the event loop."""
        if self.is_closed:
            return None
        if self.stream is None:
            self.stream = self._new_stream()
        return self.stream

    def go_on(
        self,
        coroutine: Coroutine[Any, Any, Result],
        awaited: Any,
        open_scopes: set[CancelScope],
        keep_alive: KeepAlive | None,
    ) -> Coroutine[Any, Any, Result]:
        """Go on with what answers the request, for as long as the client is connected; see `resume_while_connected`.

        While it waits, it is kept alive, unless `keep_alive` is None.
        """
        # A plain function that hands the coroutine on: one less to go through on every step.
        on_wait = None if keep_alive is None else keep_alive.add_request
        watch = self.scope.get(FAST_PATH)
        return resume_while_connected(coroutine, awaited, self.receive, self, open_scopes, on_wait=on_wait, watch=watch)

    async def keep_alive(self) -> None:
        """Say that the request is under way, on its stream; one is opened where the client names event streams."""
        if self.stream is not None or names_events(self.headers.get(b"accept")):
            stream = self.open_stream()
            if stream is not None:
                await stream.keep_alive()

    async def finish(self, message: bytes | None) -> None:
        """End the exchange on its stream, with the answer as the last message; None where there is to be none.

        It is too late for the answer's status and headers. Without a stream the response is one that has no message.
        """
        self.is_closed = True
        await (self.response.end() if self.stream is None else self.stream.finish(message))

    def _new_stream(self) -> OrderedWriter | None:
        return EventStream(self.response)

    def _post(self, message: bytes) -> None:
        stream = self.open_stream()
        if stream is not None:
            stream.post(message)


class _OfSession(HttpExchange):
    """A notification of a session."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes, *members: Any) -> None:
        super().__init__(*members)
        self._key = key

    @property
    def session_key(self) -> bytes:
        return self._key
