"""Waiting for a thread that may never end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gatepost.cli.calls.waiting import blocking


async def test_what_a_function_returns_or_raises_is_passed_on() -> None:
    assert await blocking(lambda: 5) == 5
    with pytest.raises(EOFError):
        await blocking(eof)


def eof() -> int:
    raise EOFError


def test_an_end_waits_for_no_thread_that_is_still_blocked() -> None:
    going_on, begun = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def wait() -> None:
        threads.append(threading.current_thread())
        begun.set()
        going_on.wait()

    async def give_up() -> None:
        waiting = asyncio.create_task(blocking(wait))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(give_up())
    begun.wait()
    (thread,) = threads
    assert (thread.is_alive(), thread.daemon) == (True, True)
    going_on.set()  # after the event loop was closed, which is no error
    thread.join()
