"""Waiting for what blocks a thread, such as a person who types, without keeping the command from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def blocking(function: Callable[[], T]) -> T:
    """Return what a function returns, or raise what it raises, in a thread that Ctrl-C leaves behind.

    `asyncio.to_thread` would have the event loop wait for its end: until somebody presses Enter.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(set_it: Callable[[], None]) -> None:
        if not (loop.is_closed() or done.done()):
            loop.call_soon_threadsafe(lambda: None if done.done() else set_it())

    def run() -> None:
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            caught = error
            tell(lambda: done.set_exception(caught))
        else:
            tell(lambda: done.set_result(result))

    threading.Thread(target=run, name="gatepost-blocking", daemon=True).start()
    return await done
