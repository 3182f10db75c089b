"""Streams and calls end at the signal, under whatever server the app runs."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from gatepost.assembly.signals import stopping_at_signals

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def heard_by_the_server() -> Iterator[list[int]]:
    """What the server's own handlers, set before its lifespan, hear."""
    heard: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: heard.append(number)) for number in SIGNALS}
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_stops_and_reaches_the_server_too(number: int, heard_by_the_server: list[int]) -> None:
    stopped = asyncio.Event()
    with stopping_at_signals(stopped.set):
        os.kill(os.getpid(), number)
        await stopped.wait()
    assert heard_by_the_server == [number]


async def test_a_handler_of_the_event_loop_hears_it_too() -> None:
    stopped, heard = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, heard.set)
    with stopping_at_signals(stopped.set):
        os.kill(os.getpid(), signal.SIGTERM)
        await stopped.wait()
        await heard.wait()
    loop.remove_signal_handler(signal.SIGTERM)


async def test_handlers_are_put_back_unless_the_server_has_set_others() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with stopping_at_signals(lambda: None):
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before

    with stopping_at_signals(lambda: None):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("nobody", [signal.SIG_DFL, signal.SIG_IGN])
async def test_a_signal_that_nobody_handles_stays_as_it_is(nobody: signal.Handlers) -> None:
    signal.signal(signal.SIGTERM, nobody)
    with stopping_at_signals(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is nobody


def test_another_thread_leaves_the_handlers_alone() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    seen: list[object] = []

    async def look() -> None:
        with stopping_at_signals(lambda: None):
            seen.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=lambda: asyncio.run(look()))
    thread.start()
    thread.join()
    assert seen == before
