"""Authorization requests that were pushed, on every backend."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from gatepost.oauth.pushed_requests import PushedRequest
from gatepost.stores.conformance.records import NOW, client, fp
from gatepost.stores.contract.store import Store


def pushed(name: str = "1", **changes: Any) -> PushedRequest:
    return replace(
        PushedRequest(fp(f"reference {name}"), "client-1", "state=%C3%BC%26&scope=a%20b", NOW, NOW + 90), **changes
    )


async def take(store: Store, name: str = "1", *, client_id: str = "client-1", now: int = NOW) -> PushedRequest | None:
    return await store.pushed_requests.take_request(fp(f"reference {name}"), client_id=client_id, now=now)


async def test_a_pushed_request_is_taken_once_and_as_it_was(store: Store) -> None:
    await store.pushed_requests.push_request(pushed())

    assert await take(store) == pushed()
    assert await take(store) is None


async def test_of_many_who_take_one_pushed_request_one_gets_it(store: Store) -> None:
    await store.pushed_requests.push_request(pushed())

    taken = await asyncio.gather(*(take(store) for _ in range(20)))

    assert [one for one in taken if one is not None] == [pushed()]


async def test_another_client_and_whoever_is_late_get_no_pushed_request_and_spend_none(store: Store) -> None:
    await store.pushed_requests.push_request(pushed())

    assert await take(store, client_id="client-2") is None
    assert await take(store, "unknown") is None
    assert await take(store, now=NOW + 90) is None
    assert await take(store, now=NOW + 89) == pushed()


async def test_of_pushed_requests_the_newest_are_kept(store: Store) -> None:
    for number in range(5):
        await store.pushed_requests.push_request(pushed(f"{number}"), most=3)

    kept = [number for number in range(5) if await take(store, f"{number}") is not None]
    assert kept == [2, 3, 4]


async def test_ended_pushed_requests_go(store: Store) -> None:
    await store.pushed_requests.push_request(pushed())
    await store.pushed_requests.push_request(pushed("2", expires_at=NOW + 200))

    assert await store.pushed_requests.delete_pushed_requests(before=NOW + 89, limit=9) == 0
    assert await store.pushed_requests.delete_pushed_requests(before=NOW + 90, limit=9) == 1
    assert await take(store, "2") is not None


async def test_a_client_that_is_shut_out_has_no_pushed_requests(store: Store) -> None:
    await store.clients.register_client(client())
    await store.pushed_requests.push_request(pushed())
    await store.clients.disable_client("client-1", now=NOW)
    assert await take(store) is None

    await store.pushed_requests.push_request(pushed())
    await store.clients.remove_client("client-1", now=NOW)
    assert await take(store) is None


async def test_what_a_client_says_of_pushing_is_kept(store: Store) -> None:
    await store.clients.register_client(client(requires_pushed_requests=True))

    assert await store.clients.find_client("client-1") == client(requires_pushed_requests=True)
    await store.clients.update_client(client())
    assert await store.clients.find_client("client-1") == client()


async def test_a_client_whose_pushed_request_waits_is_no_unused_one(store: Store) -> None:
    await store.clients.register_client(client())
    await store.pushed_requests.push_request(pushed())

    assert await store.clients.delete_orphans(before=NOW + 89, limit=9) == 0
    assert await store.clients.delete_orphans(before=NOW + 90, limit=9) == 1
