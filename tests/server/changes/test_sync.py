"""Processes over one store tell each other what changes at run time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import cast

import pytest

from gatepost import all_of, any_of
from gatepost.server.changes.bus import Change, ChangeBus, LocalChanges
from gatepost.server.changes.sync import ChangeSync, syncing, syncs_of
from gatepost.stores.contract.changes import ChangeStore, LoggedChange
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.sqlite import memory_store
from tests.patience import PATIENCE

NOW = 1_800_000_000
TOOLS = Change("tools", frozenset({"notes:write", "base"}))


class Process:
    """A bus, who listens to it, and its sync."""

    def __init__(self, log: ChangeStore, origin: str, *, topic: str = "/mcp") -> None:
        self.bus = LocalChanges()
        self.heard: list[Change] = []
        self.bus.listen(self.heard.append)
        self.sync = ChangeSync(bus=self.bus, log=log, topic=topic, origin=origin, now=lambda: NOW)
        self.sync.start()


@pytest.fixture
def log() -> ChangeStore:
    return memory_store().changes


@pytest.fixture
async def one(log: ChangeStore) -> Process:
    """A process that has begun to poll."""
    process = Process(log, "one")
    await process.sync.poll()
    return process


@pytest.fixture
async def other(log: ChangeStore) -> Process:
    """Another one."""
    process = Process(log, "other")
    await process.sync.poll()
    return process


async def both_poll(one: Process, other: Process) -> None:
    for process in (one, other, one, other):
        await process.sync.poll()


async def test_a_change_is_heard_once_in_every_process(one: Process, other: Process) -> None:
    updated = Change("resource", uri="note://caf\xe9")
    one.bus.publish(TOOLS)
    other.bus.publish(updated)
    await both_poll(one, other)
    assert one.heard == [TOOLS, updated]
    assert other.heard == [updated, TOOLS]


async def test_what_two_processes_publish_alike_is_heard_of_both_whichever_appends_first(
    one: Process, other: Process
) -> None:
    """Who heard of its own, and read the resource, has not read what the other's is about."""
    updated = Change("resource", uri="note://1")
    one.bus.publish(updated)
    other.bus.publish(updated)
    await other.sync.poll()
    await one.sync.poll()
    await other.sync.poll()
    assert one.heard == [updated, updated]
    assert other.heard == [updated, updated]


async def test_what_is_for_holders_of_one_of_several_scopes_stays_so(one: Process, other: Process) -> None:
    added = Change("tools", all_of("notes:read", any_of("admin", "editor")))
    one.bus.publish(added)
    await both_poll(one, other)
    assert other.heard == [added]
    assert other.heard[0].scopes <= {"notes:read", "editor"}


async def test_what_changes_often_between_two_polls_is_appended_once(
    one: Process, other: Process, log: ChangeStore
) -> None:
    for _ in range(5):
        one.bus.publish(TOOLS)
    await both_poll(one, other)
    assert other.heard == [TOOLS]
    assert await log.last_changes(["/mcp"]) == {"/mcp": 1}
    one.bus.publish(TOOLS)
    await both_poll(one, other)
    assert other.heard == [TOOLS, TOOLS]


async def test_changes_are_taken_from_any_thread(one: Process, other: Process) -> None:
    await asyncio.to_thread(one.bus.publish, TOOLS)
    await both_poll(one, other)
    assert other.heard == [TOOLS]


async def test_more_changes_than_a_query_gives_at_once_all_arrive(one: Process, other: Process) -> None:
    changes = [Change("resource", uri=f"note://{number}") for number in range(250)]
    for change in changes:
        one.bus.publish(change)
    await both_poll(one, other)
    assert other.heard == changes


async def test_what_changed_before_a_process_began_is_no_news_to_it(one: Process, log: ChangeStore) -> None:
    one.bus.publish(TOOLS)
    await one.sync.poll()
    late = Process(log, "late")
    await late.sync.poll()
    assert late.heard == []


async def test_each_bus_hears_of_its_own_topic(one: Process, log: ChangeStore) -> None:
    mail = Process(log, "other", topic="/mail/mcp")
    await mail.sync.poll()
    one.bus.publish(TOOLS)
    await both_poll(one, mail)
    assert mail.heard == []


async def test_a_kind_of_change_that_is_not_known_is_passed_over(one: Process, log: ChangeStore) -> None:
    changes = [json.dumps(["tasks", [], None, "more"]), json.dumps(["prompts", [], None, "more"])]
    await log.append_changes("/mcp", changes, origin="newer", now=NOW)
    await one.sync.poll()
    assert one.heard == [Change("prompts")]


async def test_what_the_store_could_not_take_is_appended_later(
    one: Process, other: Process, log: ChangeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_arguments: object, **_options: object) -> None:
        raise StoreUnavailable("gone")

    one.bus.publish(TOOLS)
    with monkeypatch.context() as patch:
        patch.setattr(log, "append_changes", fail)
        with pytest.raises(StoreUnavailable):
            await one.sync.poll()
    one.bus.publish(Change("prompts"))
    await both_poll(one, other)
    assert other.heard == [TOOLS, Change("prompts")]


async def test_of_more_changes_than_may_wait_the_oldest_are_dropped(
    one: Process, other: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.server.changes.sync.MOST_WAITING", 2)
    for uri in ("note://1", "note://2", "note://3"):
        one.bus.publish(Change("resource", uri=uri))
    await both_poll(one, other)
    assert [change.uri for change in other.heard] == ["note://2", "note://3"]


class Polls:
    """Lets a poll begin, and knows when the next one is waited for."""

    def __init__(self) -> None:
        self._go = asyncio.Semaphore(0)
        self._waiting = asyncio.Semaphore(0)

    async def __call__(self) -> None:
        self._waiting.release()
        await self._go.acquire()

    async def finish_one(self) -> None:
        """Wait until a poll is over, and let the next one begin."""
        async with asyncio.timeout(PATIENCE):
            await self._waiting.acquire()
        self._go.release()


async def test_changes_are_synced_as_long_as_the_server_runs(one: Process, log: ChangeStore) -> None:
    bus, heard, polls, before = LocalChanges(), list[Change](), Polls(), asyncio.all_tasks()
    bus.listen(heard.append)
    (sync,) = syncs_of({"/mcp": bus}, log, now=lambda: NOW, random_bytes=bytes)
    async with syncing([sync], polls):
        await polls.finish_one()
        bus.publish(TOOLS)
        one.bus.publish(Change("prompts"))
        await one.sync.poll()
        await polls.finish_one()
        await polls.finish_one()
        await one.sync.poll()
    bus.publish(Change("resources"))
    await sync.poll()
    await one.sync.poll()
    assert heard == [TOOLS, Change("prompts"), Change("resources")]
    assert one.heard == [Change("prompts"), TOOLS]
    assert asyncio.all_tasks() == before


async def test_a_store_that_fails_is_complained_of_once_and_asked_again(
    log: ChangeStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_arguments: object, **_options: object) -> list[LoggedChange]:
        raise StoreUnavailable("gone")

    process, polls = Process(log, "one"), Polls()
    async with syncing([process.sync], polls):
        await polls.finish_one()
        for _outage in range(2):
            with monkeypatch.context() as patch:
                patch.setattr(log, "last_changes", fail)
                for _ in range(3):  # two polls at least
                    await polls.finish_one()
            for _ in range(2):
                await polls.finish_one()
    assert caplog.messages == ["changes cannot be synced with other processes: gone"] * 2


async def test_a_poll_of_several_buses_to_which_nothing_happened_is_one_read(log: ChangeStore) -> None:
    processes = [Process(log, "one", topic=topic) for topic in ("/a", "/b", "/c")]
    polls = Polls()
    async with syncing([process.sync for process in processes], polls):
        await polls.finish_one()
        read, reads = log.last_changes, list[str]()

        async def counted(topics: Sequence[str]) -> dict[str, int]:
            reads.extend(topics)
            return await read(topics)

        async def never(*_arguments: object, **_options: object) -> list[LoggedChange]:
            raise AssertionError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(log, "last_changes", counted)
            patch.setattr(log, "changes_after", never)
            await polls.finish_one()
            await polls.finish_one()
        assert reads[:3] == ["/a", "/b", "/c"]
        assert len(reads) in {3, 6}  # whether the second poll has begun


def test_a_bus_has_one_sync_however_many_endpoints_it_serves(log: ChangeStore) -> None:
    shared, of_somebody_else = LocalChanges(), cast("ChangeBus", object())
    buses = {"/a": shared, "/b": shared, "/c": LocalChanges(), "/d": of_somebody_else, "/e": None}
    assert len(syncs_of(buses, log, now=lambda: NOW, random_bytes=bytes)) == 2


async def test_where_nothing_changes_nothing_is_polled() -> None:
    async def never() -> None:
        raise AssertionError

    async with syncing([], never):
        await asyncio.sleep(0)
