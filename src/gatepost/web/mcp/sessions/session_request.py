"""One request of a session: its run, its stream and what its target may do to the session."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from gatepost.protocol.errors import RequestId
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import HANDSHAKE
from gatepost.server.calls.cancellation import Work
from gatepost.server.target import Result
from gatepost.stores.contract.mcp import McpSession
from gatepost.web.mcp.exchange.answers import Answer
from gatepost.web.mcp.exchange.event_stream import KEEP_ALIVE, ResponseStream
from gatepost.web.mcp.sessions.client_requests import HandshakeChannel, Questions
from gatepost.web.mcp.sessions.lifecycle import McpSessions
from gatepost.web.mcp.sessions.request_streams import RequestStreams
from gatepost.web.mcp.sessions.running_requests import RunningRequests
from gatepost.web.mcp.sessions.session_stream import SessionStream


class SessionRun:
    """One request of a session, and what its target may do to the session. Building it costs next to nothing.

    The work runs in the request's own task, which goes on when the client disconnects: that is no cancellation here
    (basic/transports, "Sending Messages to the Server").

    Args:
        request: what is served.
        session: its session.
        response: the HTTP response of the request; nothing has been sent on it.
        session_header: the id of the session, as it came.
        running: the requests that are being served here.
        streams: where a stream is opened when the work has something to say.
        questions: what is asked of clients.
        sessions: all sessions.
    """

    __slots__ = (
        "_loop",
        "_questions",
        "_request",
        "_response",
        "_running",
        "_session_header",
        "_sessions",
        "_stream",
        "_streams",
        "_work",
        "is_watched",
        "revision",
        "session",
    )

    def __init__(
        self,
        request: Request,
        session: McpSession,
        response: ResponseStream,
        *,
        session_header: bytes,
        running: RunningRequests,
        streams: RequestStreams,
        questions: Questions,
        sessions: McpSessions,
    ) -> None:
        self._request = request
        self.session = session
        self.revision = HANDSHAKE[session.revision]
        """What the request is in."""
        self._response = response
        self._session_header = session_header
        self._sessions = sessions
        self._running = running
        self._streams = streams
        self._questions = questions
        self._stream: SessionStream | None = None
        self._loop = asyncio.get_running_loop()
        self._work: Work | None = None
        self.is_watched = False
        """Whether it has been there at a look for what other processes were told."""

    @property
    def request_id(self) -> RequestId:
        """The id of the request."""
        return self._request.id

    @property
    def is_silent(self) -> bool:
        """Whether the way back to the client was never opened, so that there is no stream to end."""
        return self._stream is None

    def channel(self) -> HandshakeChannel:
        """Open the way back to the client; in the event loop or in a worker thread."""
        self._stream = self._streams.open(
            self.session.session_fingerprint,
            self._response,
            is_primed=self.revision.primes_streams,
            loop=self._loop,
        )
        return HandshakeChannel(self.session, self._stream, self._questions)

    async def result_of(self, work: Coroutine[Any, Any, Result], among: set[Work] | None = None) -> Result:
        """Run the work; `cancel` ends it.

        Most tools never wait for anything, so the first step is taken by hand: until it is over nobody can cancel the
        work, and work that ends in it is put down nowhere.

        Raises:
            RequestCancelled: the client took the request back (basic/utilities/cancellation), or its session has ended;
                it gets no response.
            Exception: whatever the work raises.
        """
        try:
            awaited = work.send(None)
        except StopIteration as finished:
            result: Result = finished.value
            return result
        self._work = Work(self._response, asyncio.current_task(), among)
        self._running.add(self)
        try:
            return await self._work.finish(work, awaited)
        finally:
            self._running.remove(self)

    def cancel(self) -> None:
        """Stop the work."""
        if self._work is not None:
            self._work.cancel()

    async def finish(self, answer: Answer) -> Answer | None:
        """Send the answer on the stream if there is one, and return None; else return the answer."""
        stream = self._stream
        if stream is None or not await self._streams.finish(self.session.session_fingerprint, stream, answer[1]):
            return answer
        return None

    async def finish_without_answer(self) -> None:
        """End the exchange of a request that the client took back: an event stream without a message."""
        if await self.finish((200, None, ())) is not None:
            await self._response.write(KEEP_ALIVE)
            await self._response.finish((200, None, ()))

    async def set_log_level(self, level: str) -> None:
        """See `Session.set_log_level`."""
        await self._sessions.set_log_level(self._session_header.decode("latin-1"), self.session, level)

    async def subscribe(self, uri: str) -> bool:
        """See `Session.subscribe`."""
        return await self._sessions.subscribe(self.session, uri)

    async def unsubscribe(self, uri: str) -> None:
        """See `Session.unsubscribe`."""
        await self._sessions.unsubscribe(self.session, uri)
