"""Connections whose clients do not send what they have begun, or send without end: they are cut.

uvicorn waits for the head of a request for as long as it takes and keeps whatever comes, so anybody could fill the
connections with silence and the memory with one header. ASGI begins after the head, so this is done where the
connection is. A body is timed by whoever reads it.

uvicorn does not promise to keep what is overridden here and read of its state (`cycle`, `pipeline`), and there is no
other way to a connection before its first request. `pyproject.toml` names the releases for which this was seen to work.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gatepost.listening.fast_path import UvicornFastPath
from gatepost.listening.flow_control import LightFlowControl
from gatepost.listening.idle_connections import IdleConnection
from gatepost.listening.write_coalescing import CoalescingTransport
from gatepost.web.site.plain_answers import FAST_PATH

logger = logging.getLogger("gatepost.web")

_NOTHING_WAITS: Final = cast("deque[tuple[RequestResponseCycle, Any]]", ())
"""The pipeline of a connection on which no request was sent ahead; a tuple, so that none is ever lost in it."""


class _TooManyWaiting(Exception):
    """Raised out of the parser's callback, which is how a message is given up in the middle of what was read."""


class TimedConnection(IdleConnection):
    """uvicorn's connection, with an end to waiting for requests, and to what they may hold beside their bodies.

    A new connection has `send_seconds` for the head of its first request, a later request as long from its first byte
    on, and the rest of a body that was answered before it was read at least as long from then on. What is neither head
    nor body of a request in the making, such as trailers, counts with the head.

    A request that comes in one piece, as nearly all do, costs a few attributes.
    """

    send_seconds: ClassVar[float] = 30.0
    most_beside_body: ClassVar[int] = 64 * 1024
    """Bytes of a head; of chunk sizes and trailers as many, beyond one for each byte of the body. What arrives together
    with the end of a head is not counted, and is no more than one reading of the socket."""
    most_waiting: ClassVar[int] = 32
    """Requests that wait behind the one that is being answered. One reading of the socket holds thousands."""

    _deadline: asyncio.TimerHandle | None = None
    _is_late = False
    """Whether the rest of a body was missing at the last time-out, although the answer was complete."""
    _is_in_body = False
    _beside_body = 0
    _body_bytes = 0
    _earlier: Sequence[RequestResponseCycle] = ()
    """The requests before the newest one, `cycle`, where one was sent before the answer to another was complete."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin the time that the first head may take."""
        super().connection_made(transport)
        # An idle connection holds no more than it has to: an empty deque takes 640 bytes, as does one in an Event.
        self.flow = LightFlowControl(transport)  # type: ignore[assignment]  # it is one but for its class
        self.pipeline = _NOTHING_WAITS
        self.transport = CoalescingTransport(transport, self.loop)  # type: ignore[assignment]  # it is one but for its class
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request on the connection; uvicorn tells the newest only."""
        self._expect_nothing()
        super().connection_lost(exc)
        for cycle in self._earlier:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
                _tell(cycle)
        if self.cycle is not None:
            _tell(self.cycle)

    def refuse(self, status: bytes) -> None:
        """Refuse what is being read, and tell the newest request, which gets no answer any more."""
        super().refuse(status)
        if self.cycle is not None:
            _tell(self.cycle)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, and time and count what is not complete yet."""
        before, cycle = self.scope, self.cycle
        self._body_bytes = 0
        super().data_received(data)
        scope = cast("dict[str, Any] | None", self.scope)
        if scope is None or self._is_in_body or "method" not in scope:
            self._check_incomplete(len(data), is_new=scope is not before, has_ended_a_head=self.cycle is not cycle)
        elif self._deadline is not None:
            self._expect_nothing()

    def on_headers_complete(self) -> None:
        """Bound the pipeline, and leave the fast path in the scope."""
        if self.sets_offer_aside():
            return
        earlier: RequestResponseCycle | None = self.cycle  # None before the first
        if self.pipeline is _NOTHING_WAITS and earlier is not None and not earlier.response_complete:
            self.pipeline = deque()
        super().on_headers_complete()
        if self.pipeline:
            if len(self.pipeline) > self.most_waiting:
                raise _TooManyWaiting
            self._earlier = [cycle for cycle in (*self._earlier, earlier) if cycle and not cycle.response_complete]
        self._is_in_body = True
        # Trailers come under the same names and are no headers (RFC 9110 section 6.5.1); the request has its list.
        self.headers = []
        cast("dict[str, Any]", self.scope)[FAST_PATH] = UvicornFastPath(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Count what is body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Begin to idle after a body that was answered before it ended."""
        if self.has_offer_aside:
            return
        super().on_message_complete()
        self._is_in_body = False
        if self.cycle.response_complete and self.idle_since is None:
            # The end of the answer came first. The connection is idle from here on.
            self.begin_idling()

    def _check_incomplete(self, size: int, *, is_new: bool, has_ended_a_head: bool) -> None:
        """Time and count a request that is not complete with the bytes that came now."""
        if self.transport.is_closing():
            return
        # Or it would be closed under the request: it was idle if the rest of the last body came just before.
        self.idle_since = None
        if has_ended_a_head:
            self._beside_body = 0
        else:
            before = 0 if is_new else self._beside_body
            self._beside_body = max(0, before + size - 2 * self._body_bytes)
            if self._beside_body > self.most_beside_body:
                logger.info("a request with too much beside its body was cut off")
                self.refuse(b"431 Request Header Fields Too Large")
                return
        if is_new or self._deadline is None:
            self._expect()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first
        return cycle is not None and not all(each.response_complete for each in (*self._earlier, cycle))

    def _expect(self) -> None:
        self._expect_nothing()
        self._deadline = self.loop.call_later(self.send_seconds, self._give_up)

    def _expect_nothing(self) -> None:
        self._is_late = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._is_answering():
            # What was sent ahead is not read meanwhile, so it cannot be late; and a body is timed by its reader.
            self._expect()
        elif self._is_in_body and not self._is_late:
            self._expect()
            self._is_late = True
        else:
            logger.debug("a client that does not send was cut off")
            self.transport.close()


def _tell(cycle: RequestResponseCycle) -> None:
    """Tell who answers a request that its client is gone, if the answer is not complete."""
    fast_path = cycle.scope.get(FAST_PATH)
    if isinstance(fast_path, UvicornFastPath) and not cycle.response_complete:
        fast_path.disconnected()
