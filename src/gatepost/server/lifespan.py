"""The lifespan of a server, which whoever serves it holds open, and every server that includes it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import field
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.server.declared.signature import describe_function

_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(slots=True, eq=False)
class Lifespan:
    """That of one server."""

    server: Any
    """What the function takes."""
    function: Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]] | None
    """The author's; None where there is nothing to open."""
    state: Mapping[str, Any] = field(default_factory=dict, init=False)
    """What it yielded; empty while it is not open."""
    _included: list[Lifespan] = field(default_factory=list, init=False)
    _including: list[Lifespan] = field(default_factory=list, init=False)
    _holders: int = field(default=0, init=False)
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @property
    def is_open(self) -> bool:
        """Whether somebody holds it open, or is about to."""
        return self._holders > 0

    def include(self, other: Lifespan) -> None:
        """Have another one open whenever this one is."""
        self._included.append(other)
        other._including.append(self)

    def above(self) -> Iterator[Lifespan]:
        """Yield this one and those of all servers that include this one's."""
        yield self
        for above in self._including:
            yield from above.above()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold it open: the first who does opens it, and the last who leaves closes it.

        Raises TypeError: it is no context manager, or yields something that is no mapping.
        """
        self._holders += 1
        try:
            async with self._lock:
                if self._holders == 1:
                    await self._open()
            yield
        except BaseException as error:
            await self._leave(error)
            raise
        await self._leave(None)

    async def _open(self) -> None:
        async with AsyncExitStack() as stack:
            for included in self._included:
                await stack.enter_async_context(included.held())
            if self.function is not None:
                self.state = await _entered(stack, self.server, self.function)
            self._opened = stack.pop_all()

    async def _leave(self, error: BaseException | None) -> None:
        self._holders -= 1
        if self._holders:
            return
        opened, self._opened = self._opened, AsyncExitStack()
        try:
            await opened.__aexit__(type(error) if error else None, error, error.__traceback__ if error else None)
        finally:
            self.state = _NOTHING


async def _entered(
    stack: AsyncExitStack,
    server: Any,
    function: Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]],
) -> Mapping[str, Any]:
    label = describe_function(function)
    if inspect.isasyncgenfunction(function):
        raise TypeError(f"{label}: a lifespan needs the decorator @contextlib.asynccontextmanager")
    state = await stack.enter_async_context(function(server))
    if not isinstance(state, Mapping | None):
        raise TypeError(f"{label}: a lifespan yields a mapping or nothing, not a {type(state).__name__}")
    return state or _NOTHING
