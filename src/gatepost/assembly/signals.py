"""Stopping under somebody else's ASGI server.

ASGI's lifespan says that the server stops only after every connection has closed, and streams stay open until their
clients leave: the process would wait for them, or be killed. The signal is the one thing that comes before.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopping_at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have `stop` called in the running event loop at each SIGTERM and SIGINT, then the server's own handler.

    A signal that nobody handles, or that is ignored, stays as it is: the server is told to stop in another way then.
    Outside of the main thread, which alone may set handlers, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Callable[[int, FrameType | None], object]] = {}

    def hear(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop)
        before[number](number, frame)

    for number in map(int, _SIGNALS):
        handler = signal.getsignal(number)
        # The handlers of an event loop (`add_signal_handler`) hear through its wake-up file descriptor, and go on
        # doing so; the one that is replaced does nothing.
        if callable(handler):
            before[number] = handler
            signal.signal(number, hear)
    try:
        yield
    finally:
        for number, replaced in before.items():
            if signal.getsignal(number) is hear:  # the server may have set its own meanwhile
                signal.signal(number, replaced)
