"""Dependencies of one call: got before the function is called, and closed in turn when its result has been built."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import field
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from gatepost.late_dataclass import dataclass
from gatepost.server.calls.context import Context
from gatepost.server.calls.worker_threads import run_in_thread
from gatepost.server.declared.signature import Dependency, Signature

T = TypeVar("T")

LateFailure = Callable[[str, BaseException], object]
"""Takes what failed, and how, when nobody waits for it any more."""


async def with_dependencies(
    signature: Signature,
    context: Callable[[], Context],
    use: Callable[[Callable[[], Awaitable[dict[str, Any]]]], Awaitable[T]],
    on_late_failure: LateFailure,
) -> T:
    """Return what `use` does with what gives the values of a function's dependencies, by parameter; then close them.

    Args:
        signature: of the function.
        context: gives the call's context, the same each time.
        use: asks for the values, calls the function, and builds the result.
        on_late_failure: hears of what fails in a thread after the call was cancelled.

    Raises:
        BaseException: whatever a dependency or `use` raises; a dependency sees what `use` raises, and cannot undo it.
    """
    failures: list[BaseException] = []
    async with AsyncExitStack() as stack:
        try:
            resolution = _Resolution(stack, context, on_late_failure)
            result = await use(partial(resolution.values_of, signature))
        except BaseException as error:
            failures.append(error)
            raise
    if failures:  # and a dependency swallowed it
        raise failures[0]
    return result


@dataclass(slots=True, eq=False)
class _Resolution:
    stack: AsyncExitStack
    context: Callable[[], Context]
    on_late_failure: LateFailure
    cache: dict[Callable[..., Any], Any] = field(default_factory=dict)

    async def values_of(self, signature: Signature) -> dict[str, Any]:
        """Return what a function gets that is no argument: its context, and what its dependencies give."""
        values = {one.parameter: await self._value_of(one) for one in signature.dependencies}
        if signature.context_parameter is not None:
            values[signature.context_parameter] = self.context()
        return values

    async def _value_of(self, dependency: Dependency) -> Any:
        function = dependency.signature.func
        if dependency.use_cache and function in self.cache:
            return self.cache[function]
        value = await self._entered(dependency.signature, await self.values_of(dependency.signature))
        if dependency.use_cache:
            self.cache[function] = value
        return value

    async def _entered(self, signature: Signature, values: dict[str, Any]) -> Any:
        late_failure = partial(self.on_late_failure, signature.function)
        if signature.yields and signature.is_async:
            return await self.stack.enter_async_context(asynccontextmanager(signature.func)(**values))
        if signature.yields:
            manager = contextmanager(signature.func)(**values)
            return await self.stack.enter_async_context(_InThread(manager, late_failure))
        value = signature.func(**values) if signature.is_async else None
        if value is None:
            value = await run_in_thread(partial(signature.func, **values), late_failure)
        return await value if inspect.isawaitable(value) else value


@dataclass(slots=True, eq=False)
class _InThread:
    """A context manager that may block, entered and left in worker threads."""

    manager: AbstractContextManager[Any]
    on_late_failure: Callable[[BaseException], object]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_entered: bool = False
    _is_abandoned: bool = False

    async def __aenter__(self) -> Any:
        try:
            return await run_in_thread(self._enter, self.on_late_failure)
        except asyncio.CancelledError as error:
            # Its thread goes on alone, and has to close what it opens.
            with self._lock:
                self._is_abandoned = True
            if self._is_entered:
                await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await run_in_thread(partial(self.manager.__exit__, kind, error, traceback), self.on_late_failure)

    def _enter(self) -> Any:
        value = self.manager.__enter__()
        with self._lock:
            self._is_entered = not self._is_abandoned
        if not self._is_entered:
            self.manager.__exit__(None, None, None)
        return value
