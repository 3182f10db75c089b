"""Connections whose clients do not send what they have begun, or send without end: they are cut.

uvicorn waits for the head of a request for as long as it takes and keeps whatever comes, so anybody could fill the
connections with silence and the memory with one header. ASGI begins after the head, so this is done where the
connection is. A body is timed by whoever reads it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar, Final

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

logger = logging.getLogger("gatepost.web")


class TimedConnection(HttpToolsProtocol):
    """uvicorn's connection, with an end to waiting for requests, and to what they may hold beside their bodies.

    A new connection has `send_seconds` for the head of its first request, a later request as long from its first byte
    on, and the rest of a body that was answered before it was read as long from then on. What is neither head nor body
    of a request in the making, such as trailers, counts with the head.
    """

    send_seconds: ClassVar[float] = 30.0
    most_beside_body: ClassVar[int] = 64 * 1024
    """Bytes of a head; of chunk sizes and trailers as many, beyond one for each byte of the body. What arrives together
    with the beginning of the request is not counted, and is no more than one reading of the socket."""

    _deadline: asyncio.TimerHandle | None = None
    _active: RequestResponseCycle | None = None
    """The request that is being answered. `cycle` is the newest one, which may wait behind it."""
    _messages = 0
    _is_receiving = False
    _beside_body = 0
    _body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take notice of a new connection."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take notice that the connection is over, and tell every request on it; uvicorn tells the newest only."""
        self._expect_nothing()
        super().connection_lost(exc)
        if self._active is not None and not self._active.response_complete:
            self._active.disconnected = True
            self._active.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        messages, was_receiving = self._messages, self._is_receiving
        self._body_bytes = 0
        super().data_received(data)
        if self.transport.is_closing() or not self._is_receiving:
            return
        if self._is_in_head() and self._deadline is None:
            self._expect()
        if was_receiving and messages == self._messages:
            self._beside_body = max(0, self._beside_body + len(data) - 2 * self._body_bytes)
            if self._beside_body > self.most_beside_body:
                self._refuse()

    def on_message_begin(self) -> None:
        """Take notice that a request begins."""
        super().on_message_begin()
        self._messages += 1
        self._is_receiving = True
        self._beside_body = 0
        # It was armed again if the rest of the last body came just before.
        self._unset_keepalive_if_required()

    def on_headers_complete(self) -> None:
        """Take notice of a whole head."""
        self._expect_nothing()
        super().on_headers_complete()
        # Trailers come under the same names and are no headers (RFC 9110 section 6.5.1); the request has its list.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """Take a part of a body in."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take notice of the end of a request."""
        super().on_message_complete()
        self._is_receiving = False
        if self._deadline is not None:
            # The rest of a body that nobody wanted: from here on, the connection is idle.
            self._expect_nothing()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Take notice of the end of an answer."""
        super().on_response_complete()
        if self._is_receiving and self._deadline is None and not self.transport.is_closing():
            self._expect()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._active = cycle
        super()._start_asgi_task(cycle, app)

    def _should_upgrade_to_ws(self) -> bool:
        # There is nothing here to be had by WebSocket, and such a connection would be out of sight.
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a client may ask for what it likes, and is answered in HTTP/1.1 (RFC 9110 section 7.8)."""

    def _is_in_head(self) -> bool:
        scope: Any = self.scope
        return "method" not in scope

    def _is_answering(self) -> bool:
        return self._active is not None and not self._active.response_complete

    def _expect(self) -> None:
        self._expect_nothing()
        self._deadline = self.loop.call_later(self.send_seconds, self._give_up)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._is_answering():
            # What was sent ahead is not read meanwhile, so it cannot be late.
            self._expect()
            return
        logger.debug("a client that does not send was cut off")
        self.transport.close()

    def _refuse(self) -> None:
        logger.info("a request with too much beside its body was cut off")
        if not self._is_answering():
            self.transport.write(_TOO_LARGE)
        self.transport.close()
