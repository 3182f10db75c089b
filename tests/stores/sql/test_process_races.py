"""What only one of several processes may win, on one store: replay, keys, purging, the numbers of events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gatepost.stores.conformance.records import NOW, fp
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.store import Store
from tests.stores.sql.places import store_at
from tests.stores.sql.test_processes import NAMES, race
from tests.stores.sql.worker import PER_PROCESS

ATTEMPTS = len(NAMES) * PER_PROCESS


@pytest.fixture
async def store(place: str) -> AsyncIterator[Store]:
    opened = store_at(place)
    await opened.open()
    yield opened
    await opened.close()


async def test_an_assertion_counts_once_on_all_processes_together(store: Store, place: str) -> None:
    """RFC 7523 section 3, item 7: sent to several replicas at once, one of them takes it."""
    answers = [answer for of_process in race("remember-jti", place) for answer in of_process]
    assert sorted(answers) == [False] * (ATTEMPTS - 1) + [True]
    assert not await store.assertions.remember_jti("client-1", "jti-1", expires_at=NOW + 60, now=NOW)


async def test_of_processes_that_start_at_once_one_adds_the_clients_of_the_settings(store: Store, place: str) -> None:
    added = [count for of_process in race("keep-settings-clients", place) for count in of_process]
    assert sorted(added) == [0] * (ATTEMPTS - 1) + [3]
    assert len(await store.clients.list_clients()) == 3


async def test_processes_that_purge_at_once_delete_each_row_once(store: Store, place: str) -> None:
    over = ATTEMPTS + 5
    for number in range(over):
        await store.assertions.remember_jti("client-1", f"over-{number}", expires_at=NOW, now=NOW - 1)
    await store.assertions.remember_jti("client-1", "alive", expires_at=NOW + 60, now=NOW - 1)
    assert sum(count for of_process in race("forget-jtis", place) for count in of_process) == over
    assert not await store.assertions.remember_jti("client-1", "alive", expires_at=NOW + 60, now=NOW)


async def test_of_processes_that_begin_to_sign_at_once_one_has_its_key_kept(store: Store, place: str) -> None:
    begun = dict(zip(NAMES, race("begin-signing", place), strict=True))
    winners = [f"{name}-{number}" for name in NAMES for number in range(PER_PROCESS) if begun[name][number]]
    assert [key.key_id for key in await store.keys.signing_keys(now=NOW)] == winners
    assert len(winners) == 1


async def test_events_that_processes_append_at_once_get_numbers_of_their_own(store: Store, place: str) -> None:
    session = McpSession(fp("session"), "owner", "2025-11-25", b"{}", NOW, NOW + 60)
    await store.mcp_sessions.start_session(session, most=9, makes_room=True)
    appended = dict(zip(NAMES, race("append-events", place), strict=True))
    said = {appended[name][number]: f"{name}-{number}".encode() for name in NAMES for number in range(PER_PROCESS)}
    events, _ = await store.mcp_streams.events_after(fp("session"), "stream", 0, limit=ATTEMPTS + 1)
    assert [event.number for event in events] == list(range(1, ATTEMPTS + 1))
    assert {event.number: event.message for event in events} == said


async def test_changes_that_processes_note_at_once_are_all_seen_by_who_looks_after_a_number(
    store: Store, place: str
) -> None:
    race("note-changes", place)
    noted = await store.changes.changes_after("/mcp", 0, limit=ATTEMPTS + 1)
    assert [change.number for change in noted] == list(range(1, ATTEMPTS + 1))
    assert {change.change for change in noted} == {f"{name}-{n}" for name in NAMES for n in range(PER_PROCESS)}
