"""Processes over one PostgreSQL database hear of each other: nothing here is found by polling, which is off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.wakeups import Wakeup, WakeupKind
from gatepost.stores.sql.postgresql import postgresql_store
from gatepost.tokens.opaque import fingerprint
from gatepost.web.mcp.endpoint import McpEndpoint
from gatepost.web.mcp.exchange.event_stream import KEEP_ALIVE
from gatepost.web.mcp.sessions.handshake_era import HandshakeEra
from tests.counted_store import count_operations
from tests.patience import PATIENCE
from tests.web.mcp.mcp_harness import Timer
from tests.web.mcp.sessions.session_world import Connection, SessionWorld, call, request, text_of

NEVER = 100_000.0
"""Seconds between two polls: no test waits for one."""
ASKING: dict[str, Any] = {"elicitation": {}}


class Hearing:
    """A process that hears, as far as a test has to know of it."""

    def __init__(self, store: Store, era: HandshakeEra) -> None:
        self.store, self.era = store, era
        self.heard: list[Wakeup] = []
        self.gaps = 0
        self._changed = asyncio.Event()

    def on_wakeup(self, wakeup: Wakeup) -> None:
        self.era.hear(wakeup)
        self.heard.append(wakeup)
        self._changed.set()

    def on_gap(self) -> None:
        self.era.catch_up()
        self.gaps += 1
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self._changed.wait()
                self._changed.clear()


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Those of two processes over one database."""
    one, other = postgresql_store(database_url), postgresql_store(database_url)
    await one.open()
    await other.open()
    yield one, other
    await one.close()
    await other.close()


@pytest.fixture
def world(stores: tuple[Store, Store]) -> SessionWorld:
    """The first process, and its clients."""
    return SessionWorld(store=stores[0], poll_seconds=NEVER, keep_alive=NEVER)


@pytest.fixture
async def hearing(world: SessionWorld, stores: tuple[Store, Store]) -> AsyncIterator[tuple[Hearing, Hearing]]:
    """Both processes, which hear each other."""
    both = Hearing(stores[0], world.era), Hearing(stores[1], world.process(stores[1]))
    async with AsyncExitStack() as stack:
        for process in both:
            await stack.enter_async_context(process.store.wakeups.listening(process.on_wakeup, process.on_gap))
            await process.until(lambda process=process: process.store.wakeups.are_heard)  # type: ignore[misc] # one at a time
        yield both


@pytest.fixture
def elsewhere(world: SessionWorld, hearing: tuple[Hearing, Hearing]) -> McpEndpoint:
    """The endpoint of the second process."""
    return world.endpoint_of(hearing[1].era)


def cancelled(request_id: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}}


async def opened(connection: Connection) -> Connection:
    await connection.until(lambda: bool(connection.raw))
    assert connection.status == 200
    return connection


async def test_a_cancellation_reaches_the_process_that_runs_the_request(
    world: SessionWorld, elsewhere: McpEndpoint
) -> None:
    session = await world.begin()
    calling = world.open(call("wait", 7), session=session)
    await world.pause.started.wait()
    assert (await world.send(cancelled(7), session=session, endpoint=elsewhere)).status == 202
    await calling.ended()
    assert (world.pause.ended, calling.messages) == ("cancelled", [])


async def test_the_end_of_a_session_reaches_the_process_that_serves_it(
    world: SessionWorld, elsewhere: McpEndpoint
) -> None:
    session = await world.begin()
    calling = world.open(call("wait", 7), session=session)
    listening = await opened(world.listen(session))
    await world.pause.started.wait()
    await world.send(None, session=session, method="DELETE", endpoint=elsewhere)
    await calling.ended()
    await listening.ended()
    assert (world.pause.ended, calling.messages) == ("cancelled", [])
    assert (await world.send(request("ping"), session=session)).status == 404


async def test_a_session_that_was_looked_up_is_looked_up_anew_once_it_ended_elsewhere(
    world: SessionWorld, elsewhere: McpEndpoint, hearing: tuple[Hearing, Hearing]
) -> None:
    session = await world.begin()
    assert (await world.send(request("ping"), session=session)).status == 200
    await world.send(None, session=session, method="DELETE", endpoint=elsewhere)
    ended = Wakeup(WakeupKind.SESSION_ENDED, fingerprint(session))
    await hearing[0].until(lambda: ended in hearing[0].heard)
    assert (await world.send(request("ping"), session=session)).status == 404


async def test_a_response_reaches_the_process_that_asked(world: SessionWorld, elsewhere: McpEndpoint) -> None:
    session = await world.begin(capabilities=ASKING)
    calling = world.open(call("colour"), session=session)
    [asked] = await calling.until_messages(1)
    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"colour": "blue"}}}
    assert (await world.send(answer, session=session, endpoint=elsewhere)).status == 202
    await calling.ended()
    assert text_of(calling.messages[-1]) == "blue"


async def test_a_response_to_the_process_that_asked_is_told_to_no_other(
    world: SessionWorld, hearing: tuple[Hearing, Hearing]
) -> None:
    session = await world.begin(capabilities=ASKING)
    calling = world.open(call("colour"), session=session)
    [asked] = await calling.until_messages(1)
    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"colour": "blue"}}}
    await world.send(answer, session=session)
    await calling.ended()
    await world.send(None, session=session, method="DELETE")
    ended = Wakeup(WakeupKind.SESSION_ENDED, fingerprint(session))
    await hearing[1].until(lambda: ended in hearing[1].heard)
    assert hearing[1].heard == [ended]


async def test_a_stream_that_is_taken_up_elsewhere_goes_on_there_at_once(
    world: SessionWorld, elsewhere: McpEndpoint
) -> None:
    session = await world.begin(version="2025-06-18")  # whose streams are not closed early
    calling = world.open(call("poll", progressToken="p"), session=session)
    await calling.until_messages(2)
    resumed = world.listen(session, last_event_id=calling.events[0].id, endpoint=elsewhere)
    await resumed.until_messages(1)
    await calling.ended()
    world.pause.go_on.set()
    await resumed.ended()
    assert text_of(resumed.messages[-1]) == "finished"


async def test_a_sessions_own_stream_leaves_the_process_from_which_its_client_has_gone(
    world: SessionWorld, elsewhere: McpEndpoint
) -> None:
    session = await world.begin()
    first = await opened(world.listen(session))
    second = await opened(world.listen(session, endpoint=elsewhere))
    await first.ended()
    assert not second.is_ended


async def end_listeners(hearing: tuple[Hearing, Hearing], do: Callable[[], Awaitable[object]]) -> None:
    """Have both processes hear nothing while something is done, and hear again."""
    before = [process.gaps for process in hearing]
    quiet = [process.store.wakeups for process in hearing]
    for wakeups in quiet:
        task: asyncio.Task[None] = wakeups._task  # type: ignore[attr-defined] # PostgreSQL's
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await do()
    for wakeups in quiet:
        wakeups._task = asyncio.create_task(wakeups._listen_on())  # type: ignore[attr-defined] # likewise
    for process, gaps in zip(hearing, before, strict=True):
        await process.until(lambda process=process, gaps=gaps: process.gaps > gaps)  # type: ignore[misc] # likewise


async def test_what_was_missed_while_nothing_was_heard_is_caught_up(
    world: SessionWorld, elsewhere: McpEndpoint, hearing: tuple[Hearing, Hearing]
) -> None:
    asking, ending, other = await world.begin(capabilities=ASKING), await world.begin(), await world.begin()
    colour = world.open(call("colour"), session=asking)
    [asked] = await colour.until_messages(1)
    waiting = world.open(call("wait", 7), session=other)
    await world.pause.started.wait()
    gone = world.open(call("wait", 8), session=ending)
    moved = await opened(world.listen(other))

    async def miss() -> None:
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"colour": "blue"}}}
        await world.send(answer, session=asking, endpoint=elsewhere)
        await world.send(cancelled(7), session=other, endpoint=elsewhere)
        await world.send(None, session=ending, method="DELETE", endpoint=elsewhere)
        await opened(world.listen(other, endpoint=elsewhere))
        assert not any(connection.is_ended for connection in (colour, waiting, gone, moved))

    await end_listeners(hearing, miss)
    for connection in (colour, waiting, gone, moved):
        await connection.ended()
    assert (text_of(colour.messages[-1]), waiting.messages, gone.messages) == ("blue", [], [])


async def test_sessions_that_ended_altogether_end_everywhere(
    world: SessionWorld, hearing: tuple[Hearing, Hearing]
) -> None:
    session = await world.begin()
    calling = world.open(call("wait", 7), session=session)
    await world.pause.started.wait()
    await hearing[1].store.approvals.revoke_all(issued_before=None, reason="all", now=world.time)
    await calling.ended()
    assert (await world.send(request("ping"), session=session)).status == 404


async def test_an_idle_session_asks_the_database_nothing(stores: tuple[Store, Store]) -> None:
    """While others are heard, and its client listens, through any number of looks whether it is still admitted."""
    timer = Timer()
    world = SessionWorld(store=stores[0], poll_seconds=NEVER, keep_alive=15, call_later=timer)
    process = Hearing(stores[0], world.era)
    async with stores[0].wakeups.listening(process.on_wakeup, process.on_gap):
        await process.until(lambda: process.gaps == 1)
        listening = await opened(world.listen(await world.begin()))
        called, looked_up = count_operations(stores[0]), world.grants.look_ups
        for _ in range(4):
            world.time += 20
            await timer.pass_seconds(15)
    assert listening.raw.count(KEEP_ALIVE) == 4
    # The token is looked at once more, in case it was revoked while the stream was being opened.
    assert (called, world.grants.look_ups - looked_up) == ([], 1)


@pytest.mark.parametrize("what", ["revoked", "unheard", "expired"])
async def test_a_stream_of_which_it_is_not_known_that_its_token_counts_is_looked_at(
    stores: tuple[Store, Store], what: str
) -> None:
    timer = Timer()
    world = SessionWorld(store=stores[0], poll_seconds=NEVER, keep_alive=15, call_later=timer)
    process = Hearing(stores[0], world.era)
    async with stores[0].wakeups.listening(process.on_wakeup, process.on_gap):
        await process.until(lambda: process.gaps == 1)
        await opened(world.listen(await world.begin()))
        world.time += 20
        await timer.pass_seconds(15)
        looked_up = world.grants.look_ups
        assert world.guard is not None
        if what == "revoked":
            world.guard.evict_all()
        elif what == "unheard":
            stores[0].wakeups.are_heard = False  # type: ignore[misc] # as its listener says when its connection is lost
        world.time += 100 if what == "expired" else 20
        await timer.pass_seconds(15)
        assert world.grants.look_ups == looked_up + 1


@pytest.mark.parametrize("are_heard", [True, False])
async def test_sessions_that_were_looked_up_are_so_anew_when_others_are_heard_again_and_not_when_they_are_no_more(
    world: SessionWorld, *, are_heard: bool
) -> None:
    session = await world.begin()
    called = count_operations(world.store)
    world.store.wakeups.are_heard = are_heard  # type: ignore[misc] # as its listener says
    world.era.catch_up()
    assert (await world.send(request("ping"), session=session)).status == 200
    assert called == (["mcp_sessions.find_session"] if are_heard else [])


async def test_a_database_that_cannot_be_asked_ends_no_stream(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.begin()
    listening = await opened(world.listen(session))
    ask, asked = world.store.mcp_streams.events_after, asyncio.Event()
    world.era.listening.keep_alive.seconds = 0.01

    async def fail(*_arguments: Any, **_options: Any) -> Any:
        asked.set()
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.store.mcp_streams, "events_after", fail)
    world.era.catch_up()
    await asyncio.wait_for(asked.wait(), PATIENCE)
    monkeypatch.setattr(world.store.mcp_streams, "events_after", ask)
    world.era.listening.post(fingerprint(session), b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}')
    assert len(await listening.until_messages(1)) == 1
