"""Threads with handles and event loops of their own get the answers that they would get one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from gatepost.stores.conformance.places import Place
from gatepost.stores.conformance.records import NOW, approve, client, fp, grant, tokens
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.store import Store

NEEDS = "is_shared_by_processes"
T = TypeVar("T")

THREADS = 8
PER_THREAD = 25


async def at_once(place: Place, work: Callable[[Store, str], Awaitable[T]]) -> list[T]:
    """Do the work in each thread, on a handle of its own, once all of them are open."""
    ready = Barrier(THREADS)

    async def open_and_work(name: str) -> T:
        async with place.opened() as store:
            await asyncio.to_thread(ready.wait)
            return await work(store, name)

    def run(name: str) -> T:
        return asyncio.run(open_and_work(name))

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(THREADS) as pool:
        return await asyncio.gather(*(loop.run_in_executor(pool, run, f"thread-{n}") for n in range(THREADS)))


async def test_threads_that_redeem_one_code_at_once_have_one_winner(store: Store, place: Place) -> None:
    await approve(store)

    async def redeem(store: Store, name: str) -> list[RedeemOutcome]:
        return await asyncio.gather(
            *(
                store.grants.redeem_code(
                    fp("code-1"), grant(f"{name}-{n}"), tokens(f"{name}-{n}", f"{name}-{n}"), now=NOW
                )
                for n in range(PER_THREAD)
            )
        )

    outcomes = [outcome for of_thread in await at_once(place, redeem) for outcome in of_thread]

    assert len(outcomes) == THREADS * PER_THREAD
    assert outcomes.count(RedeemOutcome.REDEEMED) == 1
    listed = await store.approvals.list_grants(live_at=None, subject=None, client_id=None, limit=1000)
    assert len(listed) == 1


async def test_what_threads_write_at_once_is_all_there(store: Store, place: Place) -> None:
    async def register(store: Store, name: str) -> None:
        await asyncio.gather(*(store.clients.register_client(client(f"{name}-{n}")) for n in range(PER_THREAD)))

    await at_once(place, register)

    wanted = sorted(f"thread-{thread}-{n}" for thread in range(THREADS) for n in range(PER_THREAD))
    assert [one.client_id for one in await store.clients.list_clients()] == wanted


async def test_a_handle_sees_at_once_what_another_one_was_told_is_done(store: Store, place: Place) -> None:
    async with place.opened() as other:
        for number in range(20):
            await store.clients.register_client(client(f"client-{number}"))
            assert await other.clients.find_client(f"client-{number}") == client(f"client-{number}")
            assert await other.clients.disable_client(f"client-{number}", now=NOW)
            assert await store.clients.find_client(f"client-{number}") == client(f"client-{number}", disabled_at=NOW)
