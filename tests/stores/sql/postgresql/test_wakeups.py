"""What one process has done is heard by the others over LISTEN and NOTIFY; one that hears nothing notices."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from gatepost.stores.conformance.records import NOW, fp
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.wakeups import ACCESS_TAKEN, Wakeup, WakeupKind
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.postgresql import postgresql_store
from gatepost.stores.sql.postgresql.notifications import PROOF, read, written
from tests.patience import PATIENCE
from tests.stores import postgresql_server
from tests.stores.sql.postgresql.processes import (
    Process,
    end_listeners,
    listener_pids,
    notify,
    running,
    store_that_listens_at,
)
from tests.stores.sql.postgresql.selective_proxy import SelectiveProxy

NOT_HEARD = "other processes are not heard at once, and are asked every second instead"
DEAF = "LISTEN hears nothing there, as through PgBouncer in transaction mode (docs/postgresql.md)"
STREAM = Wakeup(WakeupKind.STREAM, fp("session"), "stream-1")


async def test_what_another_process_has_done_is_heard(process: Process, other: Store) -> None:
    await notify(other, ACCESS_TAKEN, STREAM, ACCESS_TAKEN)
    await process.until(lambda: len(process.heard) == 2)
    assert process.heard == [ACCESS_TAKEN, STREAM]


async def test_what_a_process_has_done_itself_is_told_from_that(process: Process, other: Store) -> None:
    await notify(process.store, ACCESS_TAKEN)
    await notify(other, ACCESS_TAKEN)
    await process.until(lambda: len(process.heard) == 2)
    assert process.heard == [Wakeup(WakeupKind.ACCESS, is_own=True), ACCESS_TAKEN]


async def test_what_is_rolled_back_wakes_nobody(process: Process, other: Store) -> None:
    database: Any = other.changes

    async def fail(transaction: Transaction) -> None:
        await transaction.notify(STREAM)
        raise LookupError

    with pytest.raises(LookupError):
        await database._database.write(fail)
    await notify(other, ACCESS_TAKEN)
    await process.until(lambda: bool(process.heard))
    assert process.heard == [ACCESS_TAKEN]


async def test_an_operation_that_was_repeated_wakes_once_and_by_what_it_did_in_the_end(
    process: Process, other: Store
) -> None:
    database: Any = other.changes
    attempts: list[int] = []

    async def stumble(transaction: Transaction) -> None:
        attempts.append(1)
        await transaction.notify(Wakeup(WakeupKind.RESPONSE, name=f"attempt-{len(attempts)}"))
        if len(attempts) == 1:
            raise asyncpg.SerializationError

    await database._database.write(stumble)
    await notify(other, ACCESS_TAKEN)
    await process.until(lambda: ACCESS_TAKEN in process.heard)
    assert process.heard == [Wakeup(WakeupKind.RESPONSE, name="attempt-2"), ACCESS_TAKEN]


async def test_a_listener_that_is_ended_is_replaced_and_says_that_something_may_have_been_missed(
    process: Process, postgresql_url: str, other: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    end_listeners(postgresql_url)
    await process.until(lambda: process.gaps == [True, False, True])
    await notify(other, STREAM)
    await process.until(lambda: process.heard == [STREAM])
    said = [record.getMessage() for record in caplog.records if record.name.endswith("listener")]
    assert said == [
        f"{NOT_HEARD}: the connection that listens is gone (08000)",
        "other processes are heard again",
    ]


async def test_a_listener_that_is_deaf_without_an_error_is_given_up_and_said_once(
    postgresql_url: str, other: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """As behind a pooler in transaction mode, or after a LISTEN that was rolled back."""
    del other
    async with SelectiveProxy(urlsplit(postgresql_url)) as proxy:
        proxy.drops_notifications = True
        store = store_that_listens_at(proxy.url, postgresql_url, answer_seconds=0.1)
        async with running(store) as process:
            await asyncio.wait_for(proxy.seen(3), PATIENCE)
            assert (process.gaps, store.wakeups.are_heard) == ([], False)
            said = [record.getMessage() for record in caplog.records if record.name.endswith("listener")]
            assert said == [f"{NOT_HEARD}: {DEAF}"]
            proxy.drops_notifications = False
            await process.until(lambda: process.gaps == [True])


async def test_a_listener_that_becomes_deaf_is_noticed(postgresql_url: str, other: Store) -> None:
    del other
    async with SelectiveProxy(urlsplit(postgresql_url)) as proxy, AsyncExitStack() as stack:
        store = store_that_listens_at(proxy.url, postgresql_url, proof_seconds=0.05, answer_seconds=0.5)
        process = await stack.enter_async_context(running(store))
        await process.until(lambda: process.gaps == [True])
        proxy.drops_notifications = True
        await process.until(lambda: process.gaps == [True, False])
        proxy.drops_notifications = False
        await process.until(lambda: process.gaps == [True, False, True])


async def test_a_network_that_is_cut_without_a_word_is_noticed(postgresql_url: str, other: Store) -> None:
    del other
    async with SelectiveProxy(urlsplit(postgresql_url)) as proxy, AsyncExitStack() as stack:
        store = store_that_listens_at(proxy.url, postgresql_url, proof_seconds=0.05, answer_seconds=0.5)
        process = await stack.enter_async_context(running(store))
        await process.until(lambda: process.gaps == [True])
        proxy.is_cut = True
        await process.until(lambda: process.gaps == [True, False])
        proxy.is_cut = False
        await process.until(lambda: process.gaps == [True, False, True])


async def test_a_store_that_cannot_write_for_a_while_is_no_reason_to_stop_listening(
    postgresql_url: str, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store_that_listens_at(postgresql_url, postgresql_url, proof_seconds=0.01)) as process:
        await process.until(lambda: process.gaps == [True])
        refused = refuse_writes(process.store, monkeypatch)
        await asyncio.wait_for(refused.wait(), PATIENCE)
        await notify(other, STREAM)
        await process.until(lambda: process.heard == [STREAM])
        assert process.gaps == [True]


def refuse_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Have every write refused from now on; the event comes with the third."""
    third, count = asyncio.Event(), 0
    changes: Any = store.changes

    async def refuse(operation: object) -> None:
        nonlocal count
        del operation
        count += 1
        if count == 3:
            third.set()
        raise StoreUnavailable("busy")

    monkeypatch.setattr(changes._database, "write", refuse)
    return third


async def test_who_raises_keeps_nobody_from_hearing(
    process: Process, other: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(wakeup: Wakeup) -> None:
        raise LookupError(wakeup)

    heard: list[Wakeup] = []
    wakeups = process.store.wakeups
    async with wakeups.listening(fail, lambda: None), wakeups.listening(heard.append, lambda: None):
        await notify(other, ACCESS_TAKEN)
        await process.until(lambda: bool(process.heard))
        await asyncio.sleep(0)
    assert (process.heard, heard) == ([ACCESS_TAKEN], [ACCESS_TAKEN])
    assert "a wake-up could not be taken" in caplog.text


async def test_schemas_of_one_database_do_not_hear_each_other(process: Process, other: Store) -> None:
    with postgresql_server.schema(f"gatepost_test_{uuid4().hex}") as url:
        beside = postgresql_store(url)
        await beside.open()
        await notify(beside, STREAM)
        await beside.close()
    await notify(other, ACCESS_TAKEN)
    await process.until(lambda: bool(process.heard))
    assert process.heard == [ACCESS_TAKEN]


async def test_a_closed_process_leaves_no_connection_that_listens(postgresql_url: str, other: Store) -> None:
    del other
    async with running(postgresql_store(postgresql_url)) as process:
        await process.until(lambda: process.gaps == [True])
        assert len(listener_pids(postgresql_url)) == 1
    assert not process.store.wakeups.are_heard
    async with asyncio.timeout(PATIENCE):
        while listener_pids(postgresql_url):  # noqa: ASYNC110 - nobody here hears of the end of a backend
            await asyncio.sleep(0.01)


async def test_a_command_that_only_does_something_listens_to_nothing(postgresql_url: str, other: Store) -> None:
    await notify(other, ACCESS_TAKEN)
    assert listener_pids(postgresql_url) == []


@pytest.mark.parametrize("wakeup", [ACCESS_TAKEN, STREAM, Wakeup(WakeupKind.SESSION_ENDED, fp("session"))])
def test_a_payload_says_which_and_holds_nothing_but_ids(wakeup: Wakeup) -> None:
    payload = written(wakeup, "0123456789abcdef")
    assert read(payload, "another") == wakeup
    assert len(payload) < 400
    longest = written(Wakeup(WakeupKind.RESPONSE, fp("session"), "x" * 200), "0123456789abcdef")
    assert len(longest) < 400


@pytest.mark.parametrize("name", ["'; DROP TABLE grants; --", "two words", "a\n", "ü", "x" * 201])
def test_what_is_no_id_of_ours_is_in_no_payload(name: str) -> None:
    with pytest.raises(ValueError, match="ids and nothing else"):
        Wakeup(WakeupKind.RESPONSE, fp("session"), name)


@pytest.mark.parametrize(
    "payload", ["", "x future - -", f"x {PROOF} - -", "x stream zz -", "x stream - a b", "x stream - ü"]
)
def test_what_another_version_tells_is_passed_over(payload: str) -> None:
    assert read(payload, "x") is None


async def test_the_payload_of_a_cancellation_holds_nothing_that_its_client_sent(other: Store, process: Process) -> None:
    key = fp("session")
    await other.mcp_sessions.start_session(
        McpSession(key, "ada", "2025-11-25", b"{}", NOW, NOW + 60), most=1, makes_room=True
    )
    await other.mcp_cancellations.cancel_request(key, '"secret words"', now=NOW, expires_at=NOW + 30, most=10)
    await process.until(lambda: bool(process.heard))
    assert process.heard == [Wakeup(WakeupKind.CANCELLED, key)]
