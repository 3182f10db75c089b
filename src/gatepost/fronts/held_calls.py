"""Questions to clients of the modern era, and calls that are held at the server until they are answered.

A server of the handshake era asks while a call is under way. A client of the modern era is asked by the answer to its
request, `input_required`, and comes back with the request and the responses (2026-07-28 basic/patterns/mrtr). Between
the two the call goes on at the server; a handle to it travels through the client, sealed.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.fronts.callers import QUESTIONS, NotAnswered, is_declared
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InternalError, RequestId
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import CLIENT_CAPABILITIES, LOG_LEVEL, LOG_LEVELS
from gatepost.server.calls.exchange import Exchange

HELD_SECONDS: Final = 600
"""How long a call is held for a client that has been asked: as long as its `requestState` counts."""
MOST_HELD: Final = 256
"""How many calls are held at a time."""
MOST_HELD_OF_USER: Final = 32
"""How many of them may be one user's."""
GATHERING_SECONDS: Final = 0.05
"""How long further questions of a call are waited for, so that what is asked side by side is one round."""
ANSWERED_WITH_QUESTIONS: Final = frozenset({"tools/call", "prompts/get", "resources/read"})
"""The only methods that may be answered `input_required` (basic/patterns/mrtr, "Supported Requests")."""
_LOG: Final = "notifications/message"


@dataclass(slots=True, eq=False)
class Question:
    """A request of the server's that its client has yet to answer."""

    key: str
    method: str
    params: dict[str, Any]
    answer: asyncio.Future[Mapping[str, Any]]
    call: HeldCall | None
    """The call whose client is asked; None as long as there is none."""
    is_free: bool
    """Whether it came outside of a call, and so may be asked with any."""


@dataclass(slots=True, eq=False)
class Questions:
    """The open questions of one session with a server."""

    capabilities: Mapping[str, Any]
    """What the server was told that its clients can answer."""
    _open: dict[str, Question] = field(default_factory=dict[str, Question], init=False)
    _waiting: list[HeldCall] = field(default_factory=list["HeldCall"], init=False)
    """The calls whose clients wait for an answer now, the latest last."""
    _last: int = field(default=0, init=False)

    def can_be_asked(self, method: str) -> bool:
        """Say whether there may be clients that answer this."""
        return is_declared(method, self.capabilities, others=False)

    async def ask(self, method: str, params: dict[str, Any], call: HeldCall | None) -> Mapping[str, Any]:
        """Return the client's result; raises NotAnswered."""
        self._last += 1
        key = f"question-{self._last}"
        question = Question(key, method, params, asyncio.get_running_loop().create_future(), call, call is None)
        self._open[key] = question
        asked = call or next((each for each in reversed(self._waiting) if each.can_be_asked(method)), None)
        if asked is not None:
            question.call = asked
            asked.changed.set()
        try:
            async with asyncio.timeout(HELD_SECONDS):
                return await question.answer
        except TimeoutError:
            raise NotAnswered(InternalError.code, "The client did not answer in time.") from None
        finally:
            del self._open[key]

    def of(self, call: HeldCall) -> dict[str, dict[str, Any]]:
        """Return what the client of a call is to be asked now, as `inputRequests`."""
        for question in self._open.values():
            is_unasked = question.call is None or question.call.is_over
            if question.is_free and is_unasked and call.can_be_asked(question.method):
                question.call = call
        return {
            question.key: {"method": question.method, "params": question.params}
            for question in self._open.values()
            if question.call is call and not question.answer.done()
        }

    def respond(self, call: HeldCall, responses: Mapping[str, Mapping[str, Any]]) -> None:
        """Take a client's responses; what was not asked of this call is passed over."""
        for key, response in responses.items():
            question = self._open.get(key)
            if question is not None and question.call is call and not question.answer.done():
                question.answer.set_result(response)

    def enter(self, call: HeldCall) -> None:
        """Note that the client of a call waits for its answer."""
        self._waiting.append(call)

    def leave(self, call: HeldCall) -> None:
        """Note that it waits no more."""
        self._waiting.remove(call)


class HeldCall:
    """A request of the modern era, as its `Caller`. It runs in a task of its own, which outlives the HTTP request.

    Args:
        questions: of the session that it runs in.
        exchange: of the request that is answered next.
        request: what is asked of the server.
    """

    def __init__(self, questions: Questions, exchange: Exchange, request: Request) -> None:
        meta = request.params["_meta"]
        self.questions = questions
        self._capabilities: Mapping[str, Any] = meta[CLIENT_CAPABILITIES]
        self.is_askable = request.method in ANSWERED_WITH_QUESTIONS and any(
            is_declared(method, self._capabilities, others=False)
            for method in (QUESTIONS if self._capabilities else ())
        )
        """Whether it may be answered with questions."""
        self.changed: asyncio.Event
        """Set when there is something new about it; there once it is begun."""
        self.answers(exchange, meta)
        self._task: asyncio.Task[bytes] | None = None
        self._is_attended = False

    @property
    def is_over(self) -> bool:
        """Whether it has ended at the server."""
        return self._task is not None and self._task.done()

    def answers(self, exchange: Exchange, meta: Mapping[str, Any]) -> None:
        """Answer this request from now on: its client has come back with it."""
        self.exchange = exchange
        self.progress_token: RequestId | None = meta.get("progressToken")
        self.log_level: str | None = meta.get(LOG_LEVEL)

    def hear(self, method: str, params: Mapping[str, Any], raw: bytes | None) -> None:
        if method == _LOG and not self._wants(params):
            return
        if raw is None:
            self.exchange.post(method, params)
        else:
            self.exchange.post_message(raw)

    def can_be_asked(self, method: str) -> bool:
        return self.is_askable and self.could_answer(method)

    def could_answer(self, method: str) -> bool:
        """Say whether the client answers this, with some request or other."""
        return is_declared(method, self._capabilities, others=False)

    async def ask(self, method: str, params: dict[str, Any]) -> Mapping[str, Any]:
        return await self.questions.ask(method, params, self)

    def start(self, work: Coroutine[Any, Any, bytes]) -> None:
        """Begin the call. One that cannot be asked need not be begun here: whoever has its work waits for that."""
        self.changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._on_done)

    async def outcome(self) -> bytes | dict[str, dict[str, Any]]:
        """Return the result, or what the client has to be asked before there is one.

        A cancellation of this ends the call.

        Raises:
            Exception: what the call raised.
            InternalError: its client waits for it already, with another request.
        """
        task = self._task
        assert task is not None  # noqa: S101 - it was started; tells mypy
        if self._is_attended:
            raise InternalError("This call is answered to another request of yours.")
        self._is_attended = True
        self.questions.enter(self)
        try:
            while not task.done():
                if self.questions.of(self):
                    await asyncio.wait((task,), timeout=GATHERING_SECONDS)
                    found = self.questions.of(self)
                    if found and not task.done():
                        return found
                    continue
                self.changed.clear()
                await self.changed.wait()
            return task.result()
        except asyncio.CancelledError:
            self.cancel()
            raise
        finally:
            self._is_attended = False
            self.questions.leave(self)

    def cancel(self) -> None:
        """End the call: its client is gone."""
        if self._task is not None:
            self._task.cancel()

    def on_done(self, then: Callable[[], None]) -> None:
        """Have `then` called when the call is over."""
        assert self._task is not None  # noqa: S101 - as above
        self._task.add_done_callback(lambda _: then())

    def _on_done(self, task: asyncio.Task[bytes]) -> None:
        # Looked at here, for a client may not come back for it.
        if not task.cancelled():
            task.exception()
        self.changed.set()

    def _wants(self, params: Mapping[str, Any]) -> bool:
        level = params.get("level")
        if self.log_level is None or level not in LOG_LEVELS:
            return False
        return LOG_LEVELS.index(level) >= LOG_LEVELS.index(self.log_level)


@dataclass(slots=True, eq=False)
class HeldCalls:
    """The calls whose clients have been asked, by the handle that they come back with."""

    _held: dict[str, tuple[HeldCall, tuple[str, str] | None, asyncio.TimerHandle]] = field(
        default_factory=dict[str, Any], init=False
    )
    _count_of: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]], init=False)

    def hold(self, call: HeldCall, user: tuple[str, str] | None) -> str:
        """Hold a call for a while, and return its handle.

        Raises InternalError: too many are held; then this one is cancelled.
        """
        if len(self._held) >= MOST_HELD or (user is not None and self._count_of[user] >= MOST_HELD_OF_USER):
            call.cancel()
            raise InternalError("Too many calls wait for answers of their clients.")
        handle = secrets.token_urlsafe(16)
        timer = asyncio.get_running_loop().call_later(HELD_SECONDS, self._give_up, handle)
        self._held[handle] = call, user, timer
        if user is not None:
            self._count_of[user] += 1
        return handle

    def take(self, handle: str) -> HeldCall | None:
        """Return a call whose client has come back, and hold it no more; None if it is not held."""
        found = self._held.pop(handle, None)
        if found is None:
            return None
        call, user, timer = found
        timer.cancel()
        if user is not None:
            self._count_of[user] -= 1
            if not self._count_of[user]:
                del self._count_of[user]
        return call

    def end_all(self) -> None:
        """End all of them."""
        for handle in tuple(self._held):
            self._give_up(handle)

    def _give_up(self, handle: str) -> None:
        call = self.take(handle)
        if call is not None:
            call.cancel()
