"""The way back to the client: each request's line, and the handshake era's channel with its questions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gatepost.protocol.messages import Response, notification, request_message
from gatepost.protocol.versions import Revision
from gatepost.server.calls.channel import ClientError, Question
from gatepost.stdio.streams import Outlet

QUESTION_SECONDS: Final = 3600
"""How long an answer is waited for, as over HTTP: people are asked, and they may be away."""
MOST_QUESTIONS: Final = 64
"""How many questions may wait for an answer at a time."""
MOST_SUBSCRIPTIONS: Final = 1000
"""How many resources the client may watch."""
DEFAULT_LOG_LEVEL: Final = "info"
"""What a client gets that never sent `logging/setLevel`: for the server to choose (server/utilities/logging)."""


class TooManyQuestions(RuntimeError):
    """More questions would wait for an answer than the client may have open."""


@dataclass(slots=True)
class StdioSession:
    """What `initialize` began; see `Session`."""

    revision: Revision
    client_capabilities: Mapping[str, Any]
    log_level: str = DEFAULT_LOG_LEVEL
    watched: set[str] = field(default_factory=set)

    async def set_log_level(self, level: str) -> None:
        """See `Session.set_log_level`."""
        self.log_level = level

    async def subscribe(self, uri: str) -> bool:
        """See `Session.subscribe`."""
        if len(self.watched) >= MOST_SUBSCRIPTIONS and uri not in self.watched:
            return False
        self.watched.add(uri)
        return True

    async def unsubscribe(self, uri: str) -> None:
        """See `Session.unsubscribe`."""
        self.watched.discard(uri)


class RequestLine:
    """Where one request's notifications and its answer go; see `Line`. Silent once it is closed."""

    __slots__ = ("_outlet", "is_cancelled", "is_closed")

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self.is_closed = False
        """Whether the request is over; nothing may be sent for it any more."""
        self.is_cancelled = False
        """See `CallerLine.is_cancelled`."""

    async def send(self, message: bytes) -> None:
        """Send a message, and wait while the client is slow to read."""
        if not self.is_closed:
            await self._outlet.send(message)

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """See `Line.notify`."""
        await self.send(notification(method, params))

    def post(self, method: str, params: Mapping[str, Any]) -> None:
        """See `Line.post`."""
        message = notification(method, params)
        if not self.is_closed:
            self._outlet.post(message)


class Questions:
    """The questions that wait for an answer."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._count = 0
        self._open: dict[str, asyncio.Future[Response]] = {}

    def answer(self, response: Response) -> bool:
        """Take an answer in; False when that was not asked, or was answered already."""
        waiting = self._open.get(response.id) if type(response.id) is str else None
        if waiting is None or waiting.done():
            return False
        waiting.set_result(response)
        return True

    async def ask(self, question: Question, line: RequestLine) -> Mapping[str, Any]:
        """Ask, and return the result.

        Raises:
            ClientError: the client answered with an error.
            TimeoutError: it did not answer in time.
            TooManyQuestions: too many are open.
        """
        if len(self._open) >= MOST_QUESTIONS:
            raise TooManyQuestions("the client has too many unanswered questions")
        self._count += 1
        request_id = f"ask_{self._count}"
        waiting = self._open[request_id] = asyncio.get_running_loop().create_future()
        try:
            await line.send(request_message(request_id, question.method, question.params_as(request_id)))
            async with asyncio.timeout(QUESTION_SECONDS):
                response = await waiting
        except (asyncio.CancelledError, TimeoutError):
            # Nobody waits any more (basic/utilities/cancellation; basic/lifecycle, "Timeouts").
            self._outlet.post(notification("notifications/cancelled", {"requestId": request_id}))
            raise
        finally:
            del self._open[request_id]
        if response.error is not None:
            code, message = response.error.get("code"), response.error.get("message")
            raise ClientError(code if type(code) is int else -1, message if type(message) is str else "")
        return response.result or {}


class StdioChannel(RequestLine):
    """The channel of one request of the handshake era; see `Channel`."""

    __slots__ = ("_memory", "_questions", "_session")

    def __init__(self, session: StdioSession, questions: Questions, outlet: Outlet) -> None:
        super().__init__(outlet)
        self._session = session
        self._questions = questions
        self._memory: dict[str, Any] = {}

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What `initialize` declared."""
        return self._session.client_capabilities

    @property
    def log_level(self) -> str | None:
        """What `logging/setLevel` asked for last."""
        return self._session.log_level

    @property
    def memory(self) -> MutableMapping[str, Any]:
        """A dictionary; requests of this era run once."""
        return self._memory

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Mapping[str, Any]]:
        """Ask all at once; see `Channel.ask`.

        Raises:
            ClientError: the client answered one of them with an error; the others are taken back.
            TimeoutError: the client did not answer in time.
            TooManyQuestions: too many questions are open.
            CancelledError: the request is over, which a tool in a worker thread may be the last to know.
        """
        if self.is_closed:
            raise asyncio.CancelledError
        asked = [asyncio.ensure_future(self._questions.ask(question, self)) for question in questions]
        try:
            results = await asyncio.gather(*asked)
        except BaseException:
            for waiting in asked:
                waiting.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            raise
        return {question.key: result for question, result in zip(questions, results, strict=True)}

    async def close_stream(self) -> None:
        """Do nothing: there is one stream, and it stays open."""
