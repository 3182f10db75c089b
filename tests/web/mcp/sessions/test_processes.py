"""Several processes serve one session: what one of them is told counts in all."""

import asyncio
from typing import Any

import pytest

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.tokens.opaque import fingerprint
from gatepost.web.mcp.endpoint import McpEndpoint
from gatepost.web.mcp.sessions.lifecycle import owner_of
from tests.patience import PATIENCE
from tests.web.mcp.mcp_harness import RESOURCE, Timer
from tests.web.mcp.sessions.session_world import SessionWorld, call, principal, request, text_of


@pytest.fixture
def world() -> SessionWorld:
    return SessionWorld()


@pytest.fixture
def elsewhere(world: SessionWorld) -> McpEndpoint:
    """The endpoint of another process."""
    return world.endpoint_of(world.process())


def cancelled(request_id: int | str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}}


async def test_a_request_is_cancelled_by_whatever_process_is_told(world: SessionWorld, elsewhere: McpEndpoint) -> None:
    session = await world.begin()
    calling = world.open(call("wait", 7), session=session)
    await world.pause.started.wait()
    assert (await world.send(cancelled(7), session=session, endpoint=elsewhere)).status == 202
    await calling.ended()
    assert (world.pause.ended, calling.status, calling.messages) == ("cancelled", 200, [])
    await calling.finished()


async def test_a_cancellation_elsewhere_is_of_one_request_of_one_session(
    world: SessionWorld, elsewhere: McpEndpoint
) -> None:
    session, other = await world.begin(), await world.begin()
    meant = world.open(call("wait", 7), session=session)
    kept = [world.open(call("wait", "7"), session=session), world.open(call("wait", 7), session=other)]
    await world.pause.started.wait()
    await world.send(cancelled(7), session=session, endpoint=elsewhere)
    await meant.ended()
    world.pause.go_on.set()
    for connection in kept:
        assert text_of((await connection.ended()).body) == "finished"


async def test_a_cancellation_that_comes_before_its_request_counts(world: SessionWorld, elsewhere: McpEndpoint) -> None:
    session = await world.begin()
    await world.send(cancelled(7), session=session, endpoint=elsewhere)
    calling = await world.open(call("wait", 7), session=session).ended()
    assert (world.pause.ended, calling.messages) == ("cancelled", [])


async def test_a_cancellation_is_not_kept_for_long(world: SessionWorld, elsewhere: McpEndpoint) -> None:
    session = await world.begin()
    await world.send(cancelled(7), session=session, endpoint=elsewhere)
    found = await world.store.mcp_cancellations.cancelled_requests([fingerprint(session)], now=world.time + 29)
    assert found == {fingerprint(session): {"7"}}
    found = await world.store.mcp_cancellations.cancelled_requests([fingerprint(session)], now=world.time + 30)
    assert found == {fingerprint(session): set()}


async def test_a_cancellation_that_cannot_be_passed_on_is_503(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.begin()

    async def fail(*_arguments: object, **_options: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.store.mcp_cancellations, "cancel_request", fail)
    assert (await world.send(cancelled(7), session=session)).status == 503


async def test_the_end_of_a_session_elsewhere_stops_what_runs_in_it(
    world: SessionWorld, elsewhere: McpEndpoint
) -> None:
    session, other = await world.begin(), await world.begin()
    calling = world.open(call("wait"), session=session)
    await world.pause.started.wait()
    kept = world.open(call("wait"), session=other)
    await world.send(None, session=session, method="DELETE", endpoint=elsewhere)
    await calling.ended()
    assert (world.pause.ended, calling.messages) == ("cancelled", [])
    # It was cached, and is not any more.
    assert (await world.send(request("ping"), session=session)).status == 404
    world.pause.go_on.set()
    assert text_of((await kept.ended()).body) == "finished"


async def test_one_session_too_many_elsewhere_stops_what_runs_in_the_one_that_ends() -> None:
    world = SessionWorld(most_sessions=1)
    calling = world.open(call("wait"), session=await world.begin())
    await world.pause.started.wait()
    await world.begin(endpoint=world.endpoint_of(world.process()))
    await calling.ended()
    assert world.pause.ended == "cancelled"


async def test_a_session_lives_on_while_something_runs_in_it(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.begin()
    calling = world.open(call("wait"), session=session)
    await world.pause.started.wait()
    prolong, prolonged = world.store.mcp_sessions.prolong_session, asyncio.Event()

    async def watched(session_fingerprint: bytes, *, expires_at: int) -> None:
        await prolong(session_fingerprint, expires_at=expires_at)
        prolonged.set()

    monkeypatch.setattr(world.store.mcp_sessions, "prolong_session", watched)
    for _ in range(2):
        world.time += 3_599
        async with asyncio.timeout(PATIENCE):
            await prolonged.wait()
        prolonged.clear()
    owner = owner_of(principal(), RESOURCE.identifier)
    found = await world.store.mcp_sessions.find_session(fingerprint(session), owner=owner, now=world.time)
    assert found is not None
    world.pause.go_on.set()
    assert text_of((await calling.ended()).body) == "finished"


async def test_a_request_that_is_answered_at_once_is_put_down_nowhere() -> None:
    """The ordinary call: no task beside its own, no timer, and nothing that could be cancelled."""
    timer = Timer()
    world = SessionWorld(call_later=timer)
    session = await world.begin()
    before = asyncio.all_tasks()

    @world.server.tool
    async def look() -> str:
        return f"{len(asyncio.all_tasks() - before)} task, {len(world.open_scopes)} scopes, {len(timer.waiting)} timers"

    answered = await world.send(call("look"), session=session)

    assert text_of(answered.body) == "1 task, 0 scopes, 0 timers"
    assert (asyncio.all_tasks(), world.open_scopes, timer.waiting) == (before, set(), [])
