"""The fast path past ASGI: a request's body is taken at once, and a plain answer is written with one call.

Who waits for something meanwhile is told of a disconnect by a call; by ASGI that takes a task for each request.

By ASGI an app asks for the parts of a body, and hands over the head of an answer and then its body; uvicorn looks at
every header twice and writes each of the two as it comes, which together costs a fifth of a small MCP call. Where the
body of a request is all here, and its answer complete and plain, as nearly all of MCP are, the endpoint can do without
if the server lets it (record 0021).

This reads and sets attributes of uvicorn's `RequestResponseCycle` that uvicorn does not promise to keep. There is no
public way to a body that has arrived, or to an answer that is written at once. `pyproject.toml` names the releases for
which it was seen to work, and the tests compare both paths over a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from starlette.types import Receive, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gatepost.web.mcp.exchange.answers import PLAIN, Answer
from gatepost.web.site.plain_answers import PlainHead

_STATUS: Final = b"HTTP/1.1 200 OK\r\n"

_Headers = Sequence[tuple[bytes, bytes]]


class _NobodyReads:
    """In place of the event of a request from which nothing is received any more."""

    def set(self) -> None:
        pass


_NOBODY_READS: Final = _NobodyReads()


class UvicornFastPath:
    """The `FastPath` of one request of a connection of uvicorn's."""

    __slots__ = ("_cycle", "_on_disconnect", "is_verified")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._on_disconnect: Callable[[], None] | None = None
        self.is_verified = False

    def take_body(self, receive: Receive, limit: int) -> bytes | None:
        """Take the body, as `RequestResponseCycle.receive` does where it need not wait."""
        cycle = self._cycle
        if receive != cycle.receive or cycle.more_body or cycle.disconnected or len(cycle.body) > limit:
            return None
        body = bytes(cycle.body)
        cycle.body = bytearray()
        return body

    def on_disconnect(self, receive: Receive, call: Callable[[], None]) -> bool:
        """Note whom to tell, where `RequestResponseCycle.receive` would now wait for the disconnect."""
        cycle = self._cycle
        if receive != cycle.receive or cycle.more_body or cycle.disconnected or cycle.response_complete:
            return False
        # As `receive` does: a connection that is not read, after a long body for one, does not show its end.
        cycle.flow.resume_reading()
        self._on_disconnect = call
        return True

    def rest(self) -> None:
        """Let go of what only reading needs: an `asyncio.Event` takes 800 bytes, and here nobody waits for it."""
        self._cycle.message_event = _NOBODY_READS  # type: ignore[assignment]  # it is set, and waited for in `receive` alone

    def forget(self) -> None:
        """Tell nobody."""
        self._on_disconnect = None

    def disconnected(self) -> None:
        """Tell whoever wants to know. For the connection."""
        call, self._on_disconnect = self._on_disconnect, None
        if call is not None:
            call()

    def answer(self, send: Send, answer: Answer) -> bool:
        """Send an answer if it is plain."""
        status, body, headers = answer
        if status != 200 or body is None or headers:  # noqa: PLR2004 - the status that `_STATUS` says
            return False
        return self.answer_with(send, PLAIN, body)

    def answer_with(self, send: Send, head: PlainHead, body: bytes) -> bool:
        """Send an answer, as `RequestResponseCycle.send` does in two steps where none of its conditions arises."""
        cycle = self._cycle
        if send != cycle.send or cycle.response_started or cycle.disconnected or not cycle.keep_alive:
            return False
        if cycle.flow.write_paused or cycle.access_log:
            return False
        # What `send` sets and calls for the head of an answer, and for its last message.
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        whole = b"%s%d\r\n\r\n%s" % (_with_own(head, cycle.default_headers), len(body), body)
        cycle.transport.write_whole(whole)  # type: ignore[attr-defined]  # it is a `CoalescingTransport`
        cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True

    def write(self, send: Send, data: bytes) -> bool:
        """Send a part of a body, as `RequestResponseCycle.send` does where none of its conditions arises."""
        cycle = self._cycle
        if send != cycle.send or not cycle.response_started or cycle.response_complete or cycle.disconnected:
            return False
        if cycle.flow.write_paused or not cycle.chunked_encoding or not data:
            return False
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True


def _with_own(head: PlainHead, own_headers: _Headers) -> bytes:
    """Return all of a head but the length, put together anew when the server's headers change: once a second."""
    known, made = head.made
    if known is not own_headers:
        lines = [b"%s: %s\r\n" % header for header in (*own_headers, *head.headers)]
        made = b"".join([_STATUS, *lines, b"content-length: "])
        head.made = (own_headers, made)
    return made
