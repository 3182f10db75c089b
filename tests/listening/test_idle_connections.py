"""Connections between two requests are closed when they were idle for too long, whatever came before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from gatepost.listening.idle_connections import IdleConnection

GET = b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"
SECONDS = 75


class Loop:
    """An event loop whose clock is set, and whose timers are looked at by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(self, self.now + delay, callback)
        self.timers.append(timer)
        return timer

    def create_task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(coroutine)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for timer in [timer for timer in self.timers if timer.when <= self.now]:
            self.timers.remove(timer)
            timer.callback()


class Timer:
    """A timer of `Loop`."""

    def __init__(self, loop: Loop, when: float, callback: Callable[[], None]) -> None:
        self.loop, self.when, self.callback = loop, when, callback

    def cancel(self) -> None:
        self.loop.timers.remove(self)


class Line(asyncio.Transport):
    """A transport that goes nowhere."""

    is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        del data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class World:
    """A connection, its line, its loop, and when its requests are answered."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.loop, self.line = Loop(), Line()
        config = uvicorn.Config(
            self.app, interface="asgi3", lifespan="off", timeout_keep_alive=SECONDS, log_config=None
        )
        self.connection = IdleConnection(config, ServerState(), {}, cast("Any", self.loop))
        self.connection.connection_made(self.line)

    async def app(self, _scope: Any, _receive: Any, send: Any) -> None:
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def ask(self) -> None:
        """Send a request, and wait for the end of its answer where it may have one."""
        self.connection.data_received(GET)
        for _ in range(3):
            await asyncio.sleep(0)
        assert self.connection.cycle.response_complete is self.may_answer.is_set()


@pytest.fixture
async def world() -> World:
    return World()


async def test_a_connection_that_is_idle_for_too_long_is_closed(world: World) -> None:
    await world.ask()
    world.loop.pass_time(SECONDS - 1)
    assert not world.line.is_closed
    world.loop.pass_time(1)
    assert world.line.is_closed


async def test_each_request_gives_it_the_whole_time_again(world: World) -> None:
    for _ in range(5):
        await world.ask()
        world.loop.pass_time(SECONDS - 1)
        assert not world.line.is_closed
    world.loop.pass_time(1)
    assert world.line.is_closed


async def test_it_is_not_closed_under_a_request(world: World) -> None:
    await world.ask()
    world.may_answer.clear()
    await world.ask()
    world.loop.pass_time(10 * SECONDS)
    assert not world.line.is_closed
    world.may_answer.set()
    for _ in range(3):
        await asyncio.sleep(0)
    world.loop.pass_time(SECONDS - 1)
    assert not world.line.is_closed
    world.loop.pass_time(1)
    assert world.line.is_closed


async def test_any_number_of_requests_has_one_timer(world: World) -> None:
    for _ in range(5):
        await world.ask()
    assert len(world.loop.timers) == 1


async def test_requests_that_were_sent_ahead_are_answered_one_after_the_other(world: World) -> None:
    world.connection.data_received(GET * 3)
    assert world.connection.idle_since is None
    for _ in range(30):
        await asyncio.sleep(0)
    assert world.connection.server_state.total_requests == 3
    assert world.connection.idle_since == world.loop.now


async def test_a_connection_that_is_lost_leaves_no_timer(world: World) -> None:
    await world.ask()
    world.connection.connection_lost(None)
    assert world.loop.timers == []
