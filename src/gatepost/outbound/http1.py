"""Requests to one server by HTTP/1.1, straight, on connections that are kept: a `StreamedWay` (RFC 9112).

A call through a front is a small request and a small answer, of which httpx's transport takes twenty times as long as
what it is made of. So this is what is left when one URL is asked, with no proxy, redirect, cookie or packed body:
httptools, which also reads requests here, frames the answers; the event loop has the sockets and TLS.

A connection is used again after an answer that has ended where its own head said, and for nothing that came unasked.
Whatever else it ends by, it is closed. Errors are httpx's, so that both ways look alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, cast

import httptools
import httpx2

from gatepost.outbound.first_connection import first_connection
from gatepost.outbound.streamed import CONNECT_SECONDS, WRITE_SECONDS, StreamedAnswer

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of a head, and of what stands between two pieces of a body; with the rest of one reading of the socket."""
_MOST_BUFFERED: Final = 256 * 1024
"""From so many unread bytes of a body on, the server has to wait."""
_MOST_IDLE: Final = 20
_IDLE_SECONDS: Final = 3.0
"""Servers close idle connections after five seconds and more; one that is closed just as it is used loses a request
that must not be sent again."""
_FIRST_FINAL: Final = 200
_SWITCHING: Final = 101

SocketOptions = Sequence[tuple[int, int, int]]


class Http1Way:
    """The way straight to a server.

    Args:
        url: where requests go.
        tls: returns the TLS client; asked for https alone.
        socket_options: for each connection.
    """

    def __init__(self, url: httpx2.URL, tls: Callable[[], ssl.SSLContext], socket_options: SocketOptions = ()) -> None:
        self._host = url.raw_host.decode("ascii")
        self._tls = tls() if url.scheme == "https" else None
        if self._tls is not None:
            self._tls.set_alpn_protocols(["http/1.1"])
        self._port = url.port or (80 if self._tls is None else 443)
        self._socket_options = socket_options
        target, host = url.raw_path.decode("ascii"), url.netloc.decode("ascii")
        self._head = f" {target} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\n"
        self._open: set[_Connection] = set()
        self._idle: deque[_Connection] = deque()
        """Those that may be used again, the one that was used last at the end."""
        self._sweep: asyncio.TimerHandle | None = None

    async def ask(
        self, verb: str, headers: Mapping[str, str], body: bytes | None, *, read_seconds: float | None
    ) -> StreamedAnswer:
        """See `StreamedWay`."""
        head = self._request_head(verb, headers, body)
        connection = self._take_idle() or await self._connected()
        try:
            answer = connection.begin(head if body is None else head + body, read_seconds)
            await answer.head()
        except BaseException:
            connection.abort()
            raise
        return answer

    async def aclose(self) -> None:
        """See `StreamedWay`."""
        for connection in tuple(self._open):
            connection.abort()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        # They end in the next turn of the event loop, which may be the last one.
        await asyncio.sleep(0)

    def release(self, connection: _Connection) -> None:
        """Take a connection back on which nothing is under way."""
        loop = asyncio.get_running_loop()
        if len(self._idle) >= _MOST_IDLE:
            self._idle[0].abort()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(_IDLE_SECONDS, self._close_idle)

    def forget(self, connection: _Connection) -> None:
        """Forget a connection that is over."""
        self._open.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)

    def _request_head(self, verb: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        # What names another header, or a body, by a value that came from elsewhere (RFC 9112 section 11.1).
        if not lines.count("\n") == lines.count("\r") == len(headers) or "\0" in lines:
            raise httpx2.LocalProtocolError("A header cannot be sent: it has a line end in it.")
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        try:
            return f"{verb}{self._head}{lines}{length}\r\n".encode()
        except UnicodeEncodeError:
            raise httpx2.LocalProtocolError("A header cannot be sent: it has half a character in it.") from None

    def _take_idle(self) -> _Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if now - connection.idle_since < _IDLE_SECONDS and not connection.transport.is_closing():
                return connection
            connection.abort()
        return None

    def _close_idle(self) -> None:
        self._sweep = None
        now = asyncio.get_running_loop().time()
        while self._idle and now - self._idle[0].idle_since >= _IDLE_SECONDS:
            self._idle[0].abort()
        if self._idle:
            wait = self._idle[0].idle_since + _IDLE_SECONDS - now
            self._sweep = asyncio.get_running_loop().call_later(wait, self._close_idle)

    async def _connected(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await first_connection(self._host, self._port, lambda: _Connection(self, loop))
                try:
                    await connection.secure(self._tls, self._host, self._socket_options)
                except BaseException:
                    connection.abort()
                    raise
        except TimeoutError:
            raise httpx2.ConnectTimeout(f"no connection within {CONNECT_SECONDS:g} seconds") from None
        except (OSError, UnicodeError) as error:
            # A name with a label of more than 63 characters cannot even be asked for.
            raise httpx2.ConnectError(str(error)) from None
        self._open.add(connection)
        return connection


class _Connection(asyncio.Protocol):
    """One connection, and on it one answer at a time."""

    def __init__(self, way: Http1Way, loop: asyncio.AbstractEventLoop) -> None:
        self._way = way
        self._loop = loop
        self.idle_since = 0.0
        self.transport: asyncio.Transport
        self.may_write = True
        self._answer: _Answer | None = None

    async def secure(self, tls: ssl.SSLContext | None, host: str, options: SocketOptions) -> None:
        """Have TLS on it, where it is wanted, and these options; raises OSError."""
        for option in options:
            self.transport.get_extra_info("socket").setsockopt(*option)
        if tls is None:
            return
        secured = await self._loop.start_tls(self.transport, self, tls, server_hostname=host)
        if secured is None:
            raise ConnectionResetError("it was closed during the TLS handshake")
        self.transport = secured

    def begin(self, request: bytes, read_seconds: float | None) -> _Answer:
        """Send a request."""
        answer = self._answer = _Answer(self, self._loop, read_seconds)
        self.transport.write(request)
        return answer

    def end(self, answer: _Answer) -> None:
        """Be done with an answer: keep the connection if nothing more can come on it, or close it."""
        if self._answer is not answer:
            return
        self._answer = None
        # A server may answer what it has not read to its end.
        is_sent = self.transport.get_write_buffer_size() == 0
        if answer.may_others_follow and is_sent and not self.transport.is_closing():
            self._way.release(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._way.forget(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            # Nobody has asked for it, so that it would be taken for the answer to the next request.
            self.abort()
        else:
            self._answer.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._way.forget(self)
        if self._answer is not None:
            self._answer.end_of_connection(exc)

    def pause_writing(self) -> None:
        self.may_write = False

    def resume_writing(self) -> None:
        self.may_write = True
        if self._answer is not None:
            self._answer.wake()


class _Answer:
    """One answer, as the parser finds it in what comes."""

    def __init__(self, connection: _Connection, loop: asyncio.AbstractEventLoop, read_seconds: float | None) -> None:
        self._connection = connection
        self._loop = loop
        self._read_seconds = read_seconds
        self._parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.may_others_follow = False
        """Whether the connection may be used again."""
        self._has_head = False
        self._lasts_until_end = False
        """Whether the body ends with the connection."""
        self._is_complete = False
        self._error: Exception | None = None
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._beside_body = 0
        self._is_paused = False
        self._waiter: asyncio.Future[None] | None = None

    async def head(self) -> None:
        """Wait until the request is sent and the head of the answer is here; raises httpx2.HTTPError."""
        while not self._connection.may_write and not self._has_head:
            await self._something(WRITE_SECONDS, httpx2.WriteTimeout("the server takes nothing more of the request"))
        while not self._has_head:
            await self._something(self._read_seconds, httpx2.ReadTimeout("the server does not answer"))
        if self._error is not None:
            raise self._error

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `StreamedAnswer`."""
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._buffered -= len(chunk)
                if self._is_paused and self._buffered < _MOST_BUFFERED:
                    self._set_paused(is_paused=False)
                yield chunk
            if self._is_complete:
                return
            await self._something(self._read_seconds, httpx2.ReadTimeout("the server says nothing more"))

    async def aclose(self) -> None:
        """See `StreamedAnswer`."""
        self._connection.end(self)

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        body_bytes = self._buffered
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # Behind a whole answer nothing is to come, and whatever does is read by nobody.
            self.may_others_follow = False
            if not self._is_complete:
                self._fail(httpx2.RemoteProtocolError(f"what it answers is no HTTP ({type(error).__name__})"))
        self._beside_body = self._beside_body + len(data) if self._buffered == body_bytes else 0
        if self._beside_body > HEAD_LIMIT and not self._is_complete:
            self._fail(httpx2.RemoteProtocolError(f"more than {HEAD_LIMIT} bytes beside what it says"))
        if self._buffered >= _MOST_BUFFERED and not self._is_paused:
            self._set_paused(is_paused=True)
        self.wake()

    def end_of_connection(self, exc: Exception | None) -> None:
        """Note that nothing more comes."""
        self.may_others_follow = False
        if self._has_head and self._lasts_until_end and exc is None:
            self._is_complete = True
        elif not self._is_complete:
            self._fail(httpx2.ReadError("the connection was closed before the end of the answer"))
        self.wake()

    def wake(self) -> None:
        """Have whoever waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _something(self, seconds: float | None, late: Exception) -> None:
        """Wait until something may have changed; raises what has gone wrong before, so whoever waits asks again."""
        if self._error is not None:
            raise self._error
        waiter = self._waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._give_up, late)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _set_paused(self, *, is_paused: bool) -> None:
        transport = self._connection.transport
        self._is_paused = is_paused
        if not transport.is_closing():
            (transport.pause_reading if is_paused else transport.resume_reading)()

    def _give_up(self, late: Exception) -> None:
        self._fail(late)
        self.wake()

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
            self.may_others_follow = False

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head:
            # A trailer; or of another answer, which nobody has asked for.
            return
        known_as, text = name.decode("latin-1").lower(), value.decode("latin-1")
        before = self.headers.get(known_as)
        self.headers[known_as] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        if self._has_head:
            return
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL and status != _SWITCHING:
            # An answer that only says that there will be one (RFC 9110 section 15.2).
            self.headers.clear()
            return
        self._has_head, self.status = True, status
        coding, packing = self.headers.get("transfer-encoding"), self.headers.get("content-encoding", "identity")
        if status == _SWITCHING or coding not in (None, "chunked") or packing.lower() != "identity":
            self._fail(httpx2.RemoteProtocolError("it answers in a way that it was not asked for"))
        self._lasts_until_end = coding is None and "content-length" not in self.headers

    def on_body(self, body: bytes) -> None:
        if not self._is_complete and self._error is None:
            self._chunks.append(body)
            self._buffered += len(body)

    def on_message_begin(self) -> None:
        if self._is_complete:
            self.may_others_follow = False

    def on_message_complete(self) -> None:
        if self._has_head and not self._is_complete:
            self._is_complete = True
            self.may_others_follow = self._error is None and self._parser.should_keep_alive()
