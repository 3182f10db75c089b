"""Asking several servers at once: those that answer in time count, and one that does not takes nothing from them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import field
from typing import Any, Final, Generic, TypeVar

from gatepost.fronts.merging.part import Part
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import ProtocolError

T = TypeVar("T")

AWAY_SECONDS: Final = 2.0
"""How long one is waited for that did not answer before."""
MOST_LATE: Final = 4
"""How often one is asked again that has yet to answer."""
_LATE_SECONDS: Final = 60.0
"""How long one that is late may take until it is asked no more."""


@dataclass(slots=True)
class Answers(Generic[T]):
    """What came back."""

    found: dict[Part, T] = field(default_factory=dict[Part, T])
    refused: dict[Part, ProtocolError] = field(default_factory=dict[Part, ProtocolError])

    @property
    def is_whole(self) -> bool:
        """Whether all have answered."""
        return not self.refused


class Asking:
    """Asks.

    Args:
        wait_seconds: how long each is waited for.
    """

    def __init__(self, wait_seconds: float) -> None:
        self._wait_seconds = wait_seconds
        self._late: dict[asyncio.Task[Any], Part] = {}

    async def all(self, parts: Iterable[Part], ask: Callable[[Part], Awaitable[T]]) -> Answers[T]:
        """Return what servers answer, in their order; raises InsufficientScope if one of them says so."""
        loop, asked = asyncio.get_running_loop(), list(parts)
        late = Counter(self._late.values())
        tasks = {part: loop.create_task(_coroutine(ask, part)) for part in asked if late[part] < MOST_LATE}
        try:
            if tasks:
                await self._wait(tasks)
        except asyncio.CancelledError:
            for task in tasks.values():
                task.cancel()
            raise
        for part, task in tasks.items():
            self._leave(part, task)
        answers: Answers[T] = Answers()
        for part in asked:
            answering = tasks.get(part)
            if answering is None or not answering.done():
                answers.refused[part] = part.silent(self._wait_seconds)
                continue
            try:
                answers.found[part] = answering.result()
            except ProtocolError as error:
                answers.refused[part] = error
        return answers

    async def one(self, part: Part, ask: Callable[[Part], Awaitable[T]]) -> T:
        """Return what one server answers; raises PartUnavailable if it does not in time, and what it raises."""
        answers = await self.all((part,), ask)
        if part in answers.refused:
            raise answers.refused[part]
        return answers.found[part]

    async def close(self) -> None:
        """Ask those no more that are late."""
        for task in tuple(self._late):
            task.cancel()
        while self._late:
            await asyncio.wait(tuple(self._late))

    async def _wait(self, tasks: dict[Part, asyncio.Task[T]]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        there = [task for part, task in tasks.items() if part.incident is None]
        if there:
            await asyncio.wait(there, timeout=self._wait_seconds)
        rest = [task for task in tasks.values() if not task.done() and task not in there]
        if rest:
            left = min(AWAY_SECONDS, self._wait_seconds) - (loop.time() - began)
            await asyncio.wait(rest, timeout=max(left, 0.0))

    def _leave(self, part: Part, task: asyncio.Task[T]) -> None:
        """Let a task go on that is not done, so that the server is known to answer once it does."""
        if task.done():
            # Looked at here, for another one's error may be raised before this one's.
            _ = task.cancelled() or task.exception()
            return
        self._late[task] = part
        ending = asyncio.get_running_loop().call_later(_LATE_SECONDS, task.cancel)

        def over(done: asyncio.Task[T]) -> None:
            self._late.pop(done, None)
            ending.cancel()
            # Looked at here, for nobody waits for it.
            _ = done.cancelled() or done.exception()

        task.add_done_callback(over)


async def _coroutine(ask: Callable[[Part], Awaitable[T]], part: Part) -> T:
    return await ask(part)


def first_error(errors: Iterable[ProtocolError]) -> ProtocolError:
    """Return the error that says most: another one than that there is no such method, if there is one."""
    found = list(errors)
    return next((error for error in found if code_of(error) != _NO_METHOD), found[0])


_NO_METHOD: Final = -32601


def code_of(error: ProtocolError) -> int | None:
    """Return the JSON-RPC code of an error, as it is sent."""
    code = error.body().get("code")
    return code if type(code) is int else None
