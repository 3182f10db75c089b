"""Where one request ends and the next begins (RFC 9112 section 6), also where a client offers another protocol.

llhttp, the parser below httptools, takes a request with `Upgrade` (or `CONNECT`) for the last one of its connection: it
says that there is no body, whatever the head says, and passes the rest over. This server takes up no other protocol, so
such a request is one like any other (RFC 9110 section 7.8): its head is given to a new parser without the offer, which
then frames the body and what is pipelined behind it by their own lengths.

llhttp also takes transfer codings that nobody here undoes, as long as `chunked` comes last, and believes a `Connection`
among the trailers, behind which it reads no more. The first is refused, and after the second the connection is closed.
"""

from __future__ import annotations

from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_NOT_IMPLEMENTED: Final = b"501 Not Implemented"
_CODINGS: Final[tuple[list[bytes], ...]] = ([], [b"chunked"])
"""The transfer codings that are understood here (RFC 9112 section 6.1)."""


class _CodingsNotUnderstood(Exception):
    """Raised out of the parser's callback, which is how a message is given up in the middle of what was read."""


class FramedConnection(HttpToolsProtocol):
    """uvicorn's connection, to which offers of another protocol mean nothing."""

    _offering_head: bytes | None = None
    """The head of a request that offers another protocol, without the offer, until a new parser has it."""

    def data_received(self, data: bytes) -> None:
        """Take bytes in, as uvicorn does, and go on behind an offer."""
        self._unset_keepalive_if_required()
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError:
            self.refuse(b"400 Bad Request")

    @property
    def has_offer_aside(self) -> bool:
        """Whether what the parser says now is about a request that a new parser will read again."""
        return self._offering_head is not None

    def sets_offer_aside(self) -> bool:
        """Look at a complete head; True when it offers another protocol, so that nothing is to be done with it yet."""
        if not self.parser.should_upgrade():
            return False
        self._offering_head = self._head_without_offer()
        return True

    def on_headers_complete(self) -> None:
        """Refuse what a reader in front may have framed differently, and take the host of an absolute target."""
        if not self.url.startswith((b"/", b"*")):
            # It counts, and not what `Host` says (RFC 9112 section 3.2.2).
            host = self.url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
            self.headers[:] = [(name, host if name == b"host" else value) for name, value in self.headers]
        if [value.lower() for name, value in self.headers if name == b"transfer-encoding"] not in _CODINGS:
            raise _CodingsNotUnderstood
        super().on_headers_complete()
        if self.expect_100_continue:
            # If the answer is a final one, only the client knows whether the body still comes (RFC 9110, 10.1.1).
            self.cycle.keep_alive = False
            self.cycle.waiting_for_100_continue = self.scope["http_version"] != "1.0"

    def on_message_complete(self) -> None:
        """Close behind a message after which the parser reads no more, whatever its head said of that."""
        super().on_message_complete()
        cycle: RequestResponseCycle = self.cycle
        if cycle.keep_alive and not self.parser.should_keep_alive():
            cycle.keep_alive = False
            if cycle.response_complete:
                self.transport.close()

    def refuse(self, status: bytes) -> None:
        """Refuse what is being read: an answer of a status line, unless another one is due or begun; then close."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        is_due = cycle is None or (not cycle.response_started if cycle.more_body else cycle.response_complete)
        if is_due and not self.pipeline:
            self.transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        if cycle is not None:
            cycle.disconnected = True  # what its app still answers goes nowhere
            cycle.message_event.set()
        self.transport.close()

    def _feed(self, data: bytes) -> bytes:
        """Have the parser read, and return what is left to be read by a new one."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            head, self._offering_head = self._offering_head, None
            if not head:
                # A tunnel has no length at all (RFC 9110 section 9.3.6), so nothing behind it is a request.
                self.refuse(_NOT_IMPLEMENTED)
                return b""
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets its own
            return head + data[offer.args[0] :]
        return b""

    def _head_without_offer(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            return b""
        lines = [b"%s %s HTTP/%s\r\n" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                others = b", ".join(option for option in options if option.lower() != b"upgrade")
                lines.append(b"connection: %s\r\n" % others)
            elif name != b"upgrade":
                lines.append(b"%s: %s\r\n" % (name, value))
        return b"".join([*lines, b"\r\n"])
