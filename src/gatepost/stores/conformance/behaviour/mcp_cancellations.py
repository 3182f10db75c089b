"""Requests that clients took back, on every backend."""

import asyncio
from dataclasses import replace

from gatepost.stores.conformance.records import NOW, fp
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.store import Store

SESSION = McpSession(fp("session"), "owner", "2025-11-25", b"{}", NOW, NOW + 60)
OTHER = replace(SESSION, session_fingerprint=fp("other"), expires_at=NOW + 30)
KEY = SESSION.session_fingerprint


async def prepare(store: Store) -> None:
    for session in (SESSION, OTHER):
        await store.mcp_sessions.start_session(session, most=9, makes_room=True)


async def cancel(store: Store, request_id: str, *, key: bytes = KEY, now: int = NOW, most: int = 9) -> None:
    await store.mcp_cancellations.cancel_request(key, request_id, now=now, expires_at=now + 10, most=most)


async def cancelled(store: Store, *, now: int = NOW) -> set[str]:
    found = await store.mcp_cancellations.cancelled_requests([KEY], now=now)
    return set(found[KEY])


async def test_what_was_cancelled_is_told_of_each_session(store: Store) -> None:
    await cancel(store, "1")
    await cancel(store, '"1"')
    await cancel(store, '"1"')
    await cancel(store, "2", key=OTHER.session_fingerprint)
    found = await store.mcp_cancellations.cancelled_requests([KEY, OTHER.session_fingerprint], now=NOW)
    assert found == {KEY: {"1", '"1"'}, OTHER.session_fingerprint: {"2"}}
    assert await store.mcp_cancellations.cancelled_requests([], now=NOW) == {}


async def test_a_session_that_is_over_is_missing(store: Store) -> None:
    keys = [KEY, OTHER.session_fingerprint, fp("unknown")]
    assert (await store.mcp_cancellations.cancelled_requests(keys, now=NOW + 30)).keys() == {KEY}
    await store.mcp_sessions.end_session(KEY, owner=SESSION.owner)
    assert await store.mcp_cancellations.cancelled_requests(keys, now=NOW + 30) == {}


async def test_a_cancellation_is_kept_for_a_while_and_goes_with_its_session(store: Store) -> None:
    await cancel(store, "1")
    assert await cancelled(store, now=NOW + 9) == {"1"}
    assert await cancelled(store, now=NOW + 10) == set()
    await store.mcp_sessions.end_session(KEY, owner=SESSION.owner)
    await cancel(store, "2")
    await store.mcp_sessions.start_session(SESSION, most=9, makes_room=True)
    assert await cancelled(store) == set()


async def test_only_so_many_of_a_session_are_kept_at_a_time(store: Store) -> None:
    await asyncio.gather(*(cancel(store, str(number), most=3) for number in range(9)))
    assert len(await cancelled(store)) == 3
    await cancel(store, "late", now=NOW + 10, most=3)
    assert await cancelled(store, now=NOW + 10) == {"late"}
