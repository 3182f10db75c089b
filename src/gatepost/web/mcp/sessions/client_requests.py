"""The handshake era's channel: questions go out on the request's stream, answers come in with later POSTs.

An answer reaches the waiting request through the store, so it may arrive at another process than the one that asked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gatepost.protocol.messages import Response, notification, request_message
from gatepost.server.calls.channel import ClientError, Question
from gatepost.stores.contract.mcp import McpClientRequestStore, McpSession
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.web.mcp.sessions.lifecycle import user_of
from gatepost.web.mcp.sessions.session_stream import SessionStream
from gatepost.web.mcp.sessions.waiters import Wakeups, wait

QUESTION_SECONDS: Final = 3600
"""How long an answer is waited for: people are asked, and they may be away."""
MOST_QUESTIONS: Final = 64
"""How many questions of one session may wait for an answer at a time."""
MOST_QUESTIONS_OF_USER: Final = 256
"""How many of one user may, in whatever sessions: a call goes on waiting when its client is gone."""
DEFAULT_LOG_LEVEL: Final = "info"
"""What a client gets that never sent `logging/setLevel`: for the server to choose (server/utilities/logging)."""


class TooManyQuestions(RuntimeError):
    """More questions would wait for an answer than one session may have open."""


@dataclass(slots=True)
class Questions:
    """The questions that wait for an answer, of all sessions."""

    store: McpClientRequestStore
    wakeups: Wakeups
    now: Callable[[], int]
    random_bytes: RandomBytes
    poll_seconds: float = 1.0
    """How often somebody who waits looks whether another process took the answer in."""
    open: Counter[bytes | tuple[str, str]] = field(default_factory=Counter)
    """How many wait, by session and by user."""

    async def answer(self, session: McpSession, response: Response) -> bool:
        """Take an answer in; False when this session was not asked that, or has answered it already."""
        if type(response.id) is not str:
            return False
        content = {"result": response.result} if response.error is None else {"error": response.error}
        key = session.session_fingerprint
        is_taken = await self.store.respond(key, response.id, orjson.dumps(content), now=self.now())
        if is_taken:
            self.wakeups.wake((key, response.id))
        return is_taken

    async def ask(self, session: McpSession, stream: SessionStream, question: Question) -> Mapping[str, Any]:
        """Ask on this stream, and return the result.

        Raises:
            ClientError: the client answered with an error.
            TimeoutError: it did not answer in time.
            TooManyQuestions: too many questions are open.
        """
        key = session.session_fingerprint
        user = user_of(session.owner)
        if self.open[key] >= MOST_QUESTIONS or (user is not None and self.open[user] >= MOST_QUESTIONS_OF_USER):
            raise TooManyQuestions("the client has too many unanswered questions")
        request_id = identifier("ask_", self.random_bytes)
        counted = (key,) if user is None else (key, user)
        self.open.update(counted)
        answer: bytes | None = None
        try:
            await self.store.open(key, request_id, expires_at=self.now() + QUESTION_SECONDS)
            await stream.send(request_message(request_id, question.method, question.params_as(request_id)))
            answer = await self._wait(key, request_id)
        finally:
            self.open.subtract(counted)
            for one in counted:
                if not self.open[one]:
                    del self.open[one]
            if answer is None:
                await self._take_back(key, request_id, stream)
        content = orjson.loads(answer)
        if "error" in content:
            raise _client_error(content["error"])
        result: Mapping[str, Any] = content["result"]
        return result

    async def _wait(self, key: bytes, request_id: str) -> bytes:
        last = self.now() + QUESTION_SECONDS
        with self.wakeups.expected((key, request_id)) as event:
            while True:
                answer = await self.store.take_response(key, request_id)
                if answer is not None:
                    return answer
                if self.now() >= last:
                    raise TimeoutError("the client did not answer in time")
                await wait(event, self.poll_seconds)
                event.clear()

    async def _take_back(self, key: bytes, request_id: str, stream: SessionStream) -> None:
        """Tell the client that nobody waits any more (basic/utilities/cancellation)."""
        await self.store.withdraw(key, request_id)
        await stream.send(notification("notifications/cancelled", {"requestId": request_id}))


class HandshakeChannel:
    """The channel of one request in a session; see `Channel`."""

    def __init__(self, session: McpSession, stream: SessionStream, questions: Questions) -> None:
        self._session = session
        self._stream = stream
        self._questions = questions
        self._memory: dict[str, Any] = {}

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What `initialize` declared."""
        capabilities: Mapping[str, Any] = orjson.loads(self._session.client_capabilities)
        return capabilities

    @property
    def log_level(self) -> str | None:
        """What `logging/setLevel` asked for last."""
        return self._session.log_level or DEFAULT_LOG_LEVEL

    @property
    def memory(self) -> MutableMapping[str, Any]:
        """A dictionary; requests of this era run once."""
        return self._memory

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification; see `Line.notify`."""
        await self._stream.send(notification(method, params))

    def post(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification soon; see `Line.post`."""
        self._stream.post(notification(method, params))

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Mapping[str, Any]]:
        """Ask all at once; see `Channel.ask`.

        Raises:
            ClientError: the client answered one of them with an error; the others are taken back.
            TimeoutError: the client did not answer in time.
            TooManyQuestions: too many questions are open.
            CancelledError: the request is over, which a task that it left behind may be the last to know.
        """
        if self._stream.is_finished:
            raise asyncio.CancelledError
        asked = [
            asyncio.ensure_future(self._questions.ask(self._session, self._stream, question)) for question in questions
        ]
        try:
            results = await asyncio.gather(*asked)
        except BaseException:
            for waiting in asked:
                waiting.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            raise
        return {question.key: result for question, result in zip(questions, results, strict=True)}

    async def close_stream(self) -> None:
        """End the HTTP response early; see `Channel.close_stream`."""
        await self._stream.close_response()


def _client_error(error: Mapping[str, Any]) -> ClientError:
    code, message = error.get("code"), error.get("message")
    return ClientError(code if type(code) is int else -1, message if type(message) is str else "")
