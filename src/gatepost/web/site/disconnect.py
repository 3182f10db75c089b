"""Work that is cancelled when its client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import field
from typing import Any, Protocol, TypeVar

from starlette.types import Receive

from gatepost.late_dataclass import dataclass
from gatepost.server.calls.cancellation import CancelScope, RequestCancelled
from gatepost.server.calls.exchange import Exchange
from gatepost.web.site.request_body import ClientDisconnected

T = TypeVar("T")


class Watch(Protocol):
    """Says without a task that the client of one request has disconnected; see `FastPath`."""

    def on_disconnect(self, receive: Receive, call: Callable[[], None]) -> bool:
        """Have `call` called then; False if it cannot be said so."""
        ...

    def forget(self) -> None:
        """Call nothing any more."""
        ...


async def run_while_connected(
    coroutine: Coroutine[Any, Any, T],
    receive: Receive,
    exchange: Exchange | None = None,
    open_scopes: set[CancelScope] | None = None,
    *,
    watch: Watch | None = None,
) -> T:
    """Run a coroutine to its end and return what it returns; cancel it if the client disconnects before.

    The first step is taken by hand: what ends in it costs no task at all. Otherwise as `resume_while_connected`.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    return await resume_while_connected(coroutine, awaited, receive, exchange, open_scopes, watch=watch)


async def resume_while_connected(
    coroutine: Coroutine[Any, Any, T],
    awaited: Any,
    receive: Receive,
    exchange: Exchange | None = None,
    open_scopes: set[CancelScope] | None = None,
    *,
    on_wait: Callable[[Any], Callable[[], None]] | None = None,
    watch: Watch | None = None,
) -> T:
    """Go on with a coroutine whose first step was taken; return what it returns, cancel it if the client disconnects.

    It gets a companion that waits for `http.disconnect`, unless `watch` can say it without one. The coroutine itself
    always runs in the task it was started in, so that time-outs and context variables in it mean what they usually
    mean.

    Args:
        coroutine: it is suspended.
        awaited: what its first step gave.
        receive: the ASGI channel of the request, its body read to the end.
        exchange: closed when the coroutine is cancelled.
        open_scopes: holds its scope while it waits, for whoever cancels all of them.
        on_wait: called with the exchange; what it returns is called at the end.
        watch: says that the client has disconnected, if it can.

    Raises:
        ClientDisconnected: the client went away, and the coroutine was cancelled; whatever that did about it.
        RequestCancelled: its scope was cancelled by another: the server stops.
        Exception: whatever the coroutine raises.
    """
    scope = _RequestScope(exchange, asyncio.current_task(), set() if open_scopes is None else open_scopes)
    companion: asyncio.Task[None] | None = None
    if watch is None or not watch.on_disconnect(receive, scope.disconnected):
        watch, companion = None, asyncio.create_task(_cancel_on_disconnect(scope, receive))
    stop = None if on_wait is None else on_wait(exchange)
    try:
        return await scope.resume(coroutine, awaited)
    except RequestCancelled:
        if scope.is_disconnected:
            raise ClientDisconnected from None
        raise
    finally:
        if watch is not None:
            watch.forget()
        if companion is not None:
            companion.cancel()
        if stop is not None:
            stop()


@dataclass(slots=True, eq=False)
class _RequestScope(CancelScope):
    is_disconnected: bool = field(default=False, init=False)
    """Whether it was cancelled because the client has disconnected."""

    def disconnected(self) -> None:
        self.is_disconnected = True
        self.cancel()


async def _cancel_on_disconnect(scope: _RequestScope, receive: Receive) -> None:
    """Cancel the scope when the client disconnects."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except Exception:  # noqa: BLE001 - middleware that lets nobody listen twice is no reason to stop the work
        return
    scope.disconnected()
