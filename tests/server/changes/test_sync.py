"""Processes over one store tell each other what changes at run time."""

from __future__ import annotations

import asyncio
import json
from typing import cast

import pytest

from gatepost.server.changes.bus import Change, ChangeBus, LocalChanges
from gatepost.server.changes.sync import ChangeRelay, relaying, relays_of
from gatepost.stores.contract.changes import ChangeStore, LoggedChange
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.sqlite import memory_store

NOW = 1_800_000_000
TOOLS = Change("tools", frozenset({"notes:write", "base"}))


class Process:
    """A bus, who listens to it, and its relay."""

    def __init__(self, board: ChangeStore, origin: str, *, topic: str = "/mcp") -> None:
        self.bus = LocalChanges()
        self.heard: list[Change] = []
        self.bus.listen(self.heard.append)
        self.relay = ChangeRelay(self.bus, board, topic=topic, origin=origin, now=lambda: NOW)
        self.relay.connect()


@pytest.fixture
def board() -> ChangeStore:
    return memory_store().changes


@pytest.fixture
async def one(board: ChangeStore) -> Process:
    """A process that has begun to look."""
    process = Process(board, "one")
    await process.relay.look()
    return process


@pytest.fixture
async def other(board: ChangeStore) -> Process:
    """Another one."""
    process = Process(board, "other")
    await process.relay.look()
    return process


async def both_look(one: Process, other: Process) -> None:
    for process in (one, other, one, other):
        await process.relay.look()


async def test_a_change_is_heard_once_in_every_process(one: Process, other: Process) -> None:
    updated = Change("resource", uri="note://caf\xe9")
    one.bus.publish(TOOLS)
    other.bus.publish(updated)
    await both_look(one, other)
    assert one.heard == [TOOLS, updated]
    assert other.heard == [updated, TOOLS]


async def test_what_changes_often_between_two_looks_is_noted_once(
    one: Process, other: Process, board: ChangeStore
) -> None:
    for _ in range(5):
        one.bus.publish(TOOLS)
    await both_look(one, other)
    assert other.heard == [TOOLS]
    assert await board.last_change("/mcp") == 1
    one.bus.publish(TOOLS)
    await both_look(one, other)
    assert other.heard == [TOOLS, TOOLS]


async def test_changes_are_taken_from_any_thread(one: Process, other: Process) -> None:
    await asyncio.to_thread(one.bus.publish, TOOLS)
    await both_look(one, other)
    assert other.heard == [TOOLS]


async def test_more_changes_than_a_look_takes_at_once_all_arrive(one: Process, other: Process) -> None:
    changes = [Change("resource", uri=f"note://{number}") for number in range(250)]
    for change in changes:
        one.bus.publish(change)
    await both_look(one, other)
    assert other.heard == changes


async def test_what_changed_before_a_process_began_is_no_news_to_it(one: Process, board: ChangeStore) -> None:
    one.bus.publish(TOOLS)
    await one.relay.look()
    late = Process(board, "late")
    await late.relay.look()
    assert late.heard == []


async def test_each_bus_hears_of_its_own_topic(one: Process, board: ChangeStore) -> None:
    mail = Process(board, "other", topic="/mail/mcp")
    await mail.relay.look()
    one.bus.publish(TOOLS)
    await both_look(one, mail)
    assert mail.heard == []


async def test_a_kind_of_change_that_is_not_known_is_passed_over(one: Process, board: ChangeStore) -> None:
    changes = [json.dumps(["tasks", [], None, "more"]), json.dumps(["prompts", [], None, "more"])]
    await board.append_changes("/mcp", changes, origin="newer", now=NOW)
    await one.relay.look()
    assert one.heard == [Change("prompts")]


async def test_what_the_store_could_not_take_is_noted_later(
    one: Process, other: Process, board: ChangeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_arguments: object, **_options: object) -> None:
        raise StoreUnavailable("gone")

    one.bus.publish(TOOLS)
    with monkeypatch.context() as patch:
        patch.setattr(board, "append_changes", fail)
        with pytest.raises(StoreUnavailable):
            await one.relay.look()
    one.bus.publish(Change("prompts"))
    await both_look(one, other)
    assert other.heard == [TOOLS, Change("prompts")]


async def test_of_more_changes_than_may_wait_the_oldest_are_given_up(
    one: Process, other: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.server.changes.sync.MOST_WAITING", 2)
    for uri in ("note://1", "note://2", "note://3"):
        one.bus.publish(Change("resource", uri=uri))
    await both_look(one, other)
    assert [change.uri for change in other.heard] == ["note://2", "note://3"]


class Looks:
    """Lets a look begin, and knows when the next one is waited for."""

    def __init__(self) -> None:
        self._go = asyncio.Semaphore(0)
        self._waiting = asyncio.Semaphore(0)

    async def __call__(self) -> None:
        self._waiting.release()
        await self._go.acquire()

    async def finish_one(self) -> None:
        """Wait until a look is over, and let the next one begin."""
        async with asyncio.timeout(180):
            await self._waiting.acquire()
        self._go.release()


async def test_changes_are_relayed_as_long_as_the_server_runs(one: Process, board: ChangeStore) -> None:
    bus, heard, looks, before = LocalChanges(), list[Change](), Looks(), asyncio.all_tasks()
    bus.listen(heard.append)
    (relay,) = relays_of({"/mcp": bus}, board, now=lambda: NOW, random_bytes=bytes)
    async with relaying([relay], looks):
        await looks.finish_one()
        bus.publish(TOOLS)
        one.bus.publish(Change("prompts"))
        await one.relay.look()
        await looks.finish_one()
        await looks.finish_one()
        await one.relay.look()
    bus.publish(Change("resources"))
    await relay.look()
    await one.relay.look()
    assert heard == [TOOLS, Change("prompts"), Change("resources")]
    assert one.heard == [Change("prompts"), TOOLS]
    assert asyncio.all_tasks() == before


async def test_a_store_that_fails_is_complained_of_once_and_asked_again(
    board: ChangeStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_arguments: object, **_options: object) -> list[LoggedChange]:
        raise StoreUnavailable("gone")

    process, looks = Process(board, "one"), Looks()
    async with relaying([process.relay], looks):
        await looks.finish_one()
        for _outage in range(2):
            with monkeypatch.context() as patch:
                patch.setattr(board, "changes_after", fail)
                for _ in range(3):  # two looks at least
                    await looks.finish_one()
            for _ in range(2):
                await looks.finish_one()
    assert caplog.messages == ["changes cannot be told to other processes: gone"] * 2


def test_a_bus_has_one_relay_however_many_endpoints_it_serves(board: ChangeStore) -> None:
    shared, of_somebody_else = LocalChanges(), cast("ChangeBus", object())
    buses = {"/a": shared, "/b": shared, "/c": LocalChanges(), "/d": of_somebody_else, "/e": None}
    assert len(relays_of(buses, board, now=lambda: NOW, random_bytes=bytes)) == 2


async def test_where_nothing_changes_nothing_is_looked_up() -> None:
    async def never() -> None:
        raise AssertionError

    async with relaying([], never):
        await asyncio.sleep(0)
