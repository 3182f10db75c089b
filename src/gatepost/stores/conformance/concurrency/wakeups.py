"""A store that says that wake-ups are heard tells one handle what was done over another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gatepost.stores.conformance.full_store import KEY, fill
from gatepost.stores.conformance.places import Place
from gatepost.stores.conformance.records import NOW, fp
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.wakeups import NoWakeups, Wakeup, WakeupKind

NEEDS = "is_shared_by_processes"
LONGEST = 30.0
"""Seconds that a wake-up may take; this is no measure of speed, but an end to the waiting."""

DONE: list[tuple[Wakeup, Callable[[Store], Awaitable[object]]]] = [
    (
        Wakeup(WakeupKind.CHANGES),
        lambda store: store.changes.append_changes("/mcp", ["tools"], origin="other", now=NOW),
    ),
    (
        Wakeup(WakeupKind.ACCESS, name="grant-1"),
        lambda store: store.grants.revoke_grant("grant-1", reason="asked", now=NOW),
    ),
    (
        Wakeup(WakeupKind.RESPONSE, KEY, "open"),
        lambda store: store.mcp_client_requests.respond(KEY, "open", b"response", now=NOW),
    ),
    (
        Wakeup(WakeupKind.TASK, name=fp("asking").hex()),
        lambda store: store.tasks.answer(fp("asking"), {"a": b"r"}, owner="owner", now=NOW),
    ),
    (Wakeup(WakeupKind.SESSION_ENDED, KEY), lambda store: store.mcp_sessions.end_session(KEY, owner="owner")),
]


async def test_what_is_done_over_one_handle_wakes_another_if_that_says_so(place: Place) -> None:
    heard: list[Wakeup] = []
    changed = asyncio.Event()

    def hear(wakeup: Wakeup) -> None:
        heard.append(wakeup)
        changed.set()

    async def until(is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONGEST):
            while not is_so():
                changed.clear()
                await changed.wait()

    async with place.opened() as store, place.opened() as other:
        await fill(other)
        async with store.wakeups.listening(hear, changed.set):
            if isinstance(store.wakeups, NoWakeups):
                return
            await until(lambda: store.wakeups.are_heard)
            for wakeup, do in DONE:
                await do(other)
                # One that names less is of more.
                await until(lambda it=wakeup: it in heard or Wakeup(it.kind) in heard)  # type: ignore[misc]  # each its own
