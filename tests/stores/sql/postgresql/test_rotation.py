"""A refresh in one statement, beside everything that may happen at the same moment, and when its connection dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import pytest

from gatepost.stores.conformance.records import (
    NOW,
    WINDOW,
    approve,
    client,
    find_grant,
    find_refresh_token,
    fp,
    grant,
    redeem,
    tokens,
    user,
)
from gatepost.stores.contract.errors import StoreBusy, StoreUnavailable
from gatepost.stores.contract.grants import RedeemOutcome, RotateOutcome, Rotation
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.postgresql import postgresql_store
from tests.stores import postgresql_server
from tests.stores.sql.postgresql.wire import Wire

PATIENCE: Final = 60.0
"""Seconds; only ever reached when something is broken."""
PAUSE: Final = 7_450_075
"""The advisory lock at which a refresh waits in the middle of its statement, where a test says so."""
ROTATED: Final = Rotation(RotateOutcome.ROTATED)
DEAD: Final = Rotation(RotateOutcome.DEAD)


@pytest.fixture
async def store(postgresql_url: str) -> AsyncIterator[Store]:
    """A store with one grant of a registered client and a person."""
    await postgresql_server.empty(postgresql_url)
    opened = postgresql_store(postgresql_url)
    await opened.open()
    await opened.clients.register_client(client())
    await opened.users.add_user(user())
    await redeem(opened)
    yield opened
    await opened.close()


def rotate(store: Store, name: str = "1", successor: str = "2", *, now: int = NOW) -> Awaitable[Rotation]:
    """Use `refresh NAME`; what comes of it is `access SUCCESSOR` and `refresh SUCCESSOR`."""
    return store.grants.rotate_refresh_token(
        fp(f"refresh {name}"), tokens(successor), f"sealed {successor}".encode(), now=now, window=WINDOW
    )


class Paused:
    """A refresh that waits in its statement, with its token spent and its locks held; `go_on` ends that."""

    def __init__(self, connection: Any, task: asyncio.Task[Rotation]) -> None:
        self.connection, self.task = connection, task

    async def pid(self) -> int:
        """The server process that runs the statement."""
        pid: int = await self.connection.fetchval(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted", PAUSE
        )
        return pid

    async def go_on(self) -> Rotation:
        await self.connection.execute("SELECT pg_advisory_unlock($1)", PAUSE)
        return await self.task


@asynccontextmanager
async def paused(url: str, rotation: Callable[[], Awaitable[Rotation]]) -> AsyncIterator[Paused]:
    """Begin a rotation and stop it between spending the token and the end of its statement."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            f"CREATE OR REPLACE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_advisory_xact_lock({PAUSE}); RETURN NULL; END $$"
        )
        await connection.execute(
            "CREATE TRIGGER pauses AFTER INSERT ON access_tokens FOR EACH ROW EXECUTE FUNCTION pause()"
        )
        await connection.execute("SELECT pg_advisory_lock($1)", PAUSE)
        held = Paused(connection, asyncio.ensure_future(rotation()))
        try:
            await until(held.pid)
            yield held
        finally:
            await connection.execute("SELECT pg_advisory_unlock_all()")
            await asyncio.gather(held.task, return_exceptions=True)
    finally:
        await connection.execute("DROP FUNCTION IF EXISTS pause CASCADE")
        await connection.close()


async def until(found: Callable[[], Awaitable[object]]) -> None:
    """Wait until there is something."""
    deadline = time.monotonic() + PATIENCE
    while not await found():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def is_waiting(connection: Any) -> bool:
    """Say whether some transaction waits for a row."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'transactionid'"
    )
    return count > 0


async def is_dead(store: Store, name: str) -> bool:
    """Say whether neither token of a pair is good for anything."""
    live = await store.grants.find_access_token(fp(f"access {name}"), now=NOW)
    access_is_dead = live is None or live.grant_revoked or live.user_disabled
    return access_is_dead and await rotate(store, name, f"{name} after") == DEAD


ENDINGS: Final[dict[str, Callable[[Store], Awaitable[Any]]]] = {
    "the grant is revoked": lambda store: store.grants.revoke_grant("grant-1", reason="asked", now=NOW),
    "the person is disabled": lambda store: store.users.disable_user("user-1", now=NOW),
    "the person takes all back": lambda store: store.approvals.take_back(
        "user-1", grant_id=None, reason="asked", now=NOW
    ),
    "the client is disabled": lambda store: store.clients.disable_client("client-1", now=NOW),
    "the client is removed": lambda store: store.clients.remove_client("client-1", now=NOW),
    "everything is revoked": lambda store: store.approvals.revoke_all(issued_before=None, reason="asked", now=NOW),
    "ended grants are purged": lambda store: store.grants.delete_grants(before=2 * NOW, limit=100),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_what_ends_a_grant_while_a_refresh_is_in_its_statement_ends_what_comes_of_that_too(
    store: Store, postgresql_url: str, ending: str
) -> None:
    async with paused(postgresql_url, lambda: rotate(store)) as refresh:
        end = asyncio.ensure_future(ENDINGS[ending](store))
        await until(lambda: is_waiting(refresh.connection))
        assert await refresh.go_on() == ROTATED
    await end
    assert await is_dead(store, "2")
    assert await is_dead(store, "1")


@pytest.mark.parametrize("ending", ENDINGS)
async def test_what_has_ended_a_grant_leaves_nothing_to_refresh(store: Store, ending: str) -> None:
    await ENDINGS[ending](store)
    assert await rotate(store) == DEAD
    assert await find_refresh_token(store, fp("refresh 2")) is None


async def test_the_second_of_two_uses_waits_for_the_statement_of_the_first_and_gets_its_answer(
    store: Store, postgresql_url: str
) -> None:
    async with paused(postgresql_url, lambda: rotate(store)) as refresh:
        second = asyncio.ensure_future(rotate(store, successor="other"))
        await until(lambda: is_waiting(refresh.connection))
        assert await refresh.go_on() == ROTATED
    assert await second == Rotation(RotateOutcome.REPEATED, b"sealed 2")
    assert await find_refresh_token(store, fp("refresh other")) is None


async def test_a_grant_that_somebody_has_locked_keeps_no_refresh_waiting_for_more_than_its_patience(
    store: Store, postgresql_url: str
) -> None:
    connection = await asyncpg.connect(postgresql_url)
    async with connection.transaction():
        await connection.execute(
            "SELECT 1 FROM refresh_tokens WHERE token_fingerprint = $1 FOR UPDATE", fp("refresh 1")
        )
        begun = asyncio.ensure_future(rotate(store))
        await until(lambda: is_waiting(connection))
    await connection.close()
    assert await begun == ROTATED


async def test_a_refresh_whose_server_process_is_killed_in_the_statement_has_not_happened_and_is_not_repeated(
    store: Store, postgresql_url: str
) -> None:
    async with paused(postgresql_url, lambda: rotate(store)) as refresh:
        await refresh.connection.execute("SELECT pg_terminate_backend($1)", await refresh.pid())
        with pytest.raises(StoreUnavailable) as fault:
            await refresh.task
    assert not isinstance(fault.value, StoreBusy)
    assert await find_refresh_token(store, fp("refresh 2")) is None
    assert await rotate(store) == ROTATED


async def test_a_refresh_whose_answer_is_lost_has_happened_and_the_client_that_tries_again_gets_it(
    store: Store, postgresql_url: str
) -> None:
    async with Wire(postgresql_url).open() as wire:
        behind = postgresql_store(wire.url)
        await behind.open()
        await behind.grants.find_refresh(fp("refresh 1"))
        assert await rotate(behind, successor="2") == ROTATED  # its statement is prepared now
        wire.lose_answers()
        lost = asyncio.ensure_future(rotate(behind, "2", "3"))

        async def has_happened() -> bool:
            return await find_refresh_token(store, fp("refresh 3")) is not None

        await until(has_happened)
        wire.cut()
        with pytest.raises(StoreUnavailable) as fault:
            await lost
        assert not isinstance(fault.value, StoreBusy)
        wire.speak()
        assert await rotate(behind, "2", "twin") == Rotation(RotateOutcome.REPEATED, b"sealed 3")
        await behind.close()


@pytest.mark.usefixtures("store")
async def test_a_refresh_is_kept_where_commits_are_not_by_default(postgresql_url: str) -> None:
    schema = postgresql_url.partition("search_path=")[2].partition("&")[0]
    plain = postgresql_url.replace("&synchronous_commit=off", "")
    role = f"{schema}_careless"
    postgresql_server.execute(
        f"CREATE ROLE {role} SUPERUSER LOGIN", f"ALTER ROLE {role} SET synchronous_commit = off", url=postgresql_url
    )
    careless = postgresql_store(plain.replace("postgres@", f"{role}@"))
    try:
        await careless.open()
        async with paused(postgresql_url, lambda: rotate(careless)) as refresh:
            (said,) = await refresh.connection.fetch(
                "SELECT xact_start < query_start AS is_begun FROM pg_stat_activity WHERE pid = $1", await refresh.pid()
            )
            # It is in a transaction that began with what a commit has to wait for.
            assert said["is_begun"]
            assert await refresh.go_on() == ROTATED
        await careless.close()
    finally:
        postgresql_server.execute(f"DROP ROLE {role}", url=postgresql_url)


async def test_fifty_parallel_uses_by_two_processes_rotate_once(store: Store, postgresql_url: str) -> None:
    other = postgresql_store(postgresql_url)
    await other.open()
    rotations = await asyncio.gather(
        *(rotate(store if number % 2 else other, successor=f"next {number}") for number in range(50))
    )
    await other.close()
    winner = rotations.index(ROTATED)
    assert rotations.count(Rotation(RotateOutcome.REPEATED, f"sealed next {winner}".encode())) == 49
    found = [await find_refresh_token(store, fp(f"refresh next {number}")) for number in range(50)]
    assert [number for number, token in enumerate(found) if token is not None] == [winner]


async def test_fifty_parallel_redemptions_by_two_processes_have_one_winner(store: Store, postgresql_url: str) -> None:
    await approve(store, "9")
    other = postgresql_store(postgresql_url)
    await other.open()
    outcomes = await asyncio.gather(
        *(
            (store if number % 2 else other).grants.redeem_code(
                fp("code-9"), grant(f"grant-9-{number}"), tokens(f"9 {number}", f"grant-9-{number}"), now=NOW
            )
            for number in range(50)
        )
    )
    await other.close()
    assert sorted(outcomes, key=lambda outcome: outcome.name).count(RedeemOutcome.REDEEMED) == 1
    winner = outcomes.index(RedeemOutcome.REDEEMED)
    found = [await find_grant(store, f"grant-9-{number}") for number in range(50)]
    assert [one.grant_id for one in found if one is not None] == [f"grant-9-{winner}"]


async def test_rotations_beside_a_revocation_leave_nothing_that_counts(store: Store, postgresql_url: str) -> None:
    other = postgresql_store(postgresql_url)
    await other.open()
    for number in range(20):
        granted = grant(f"grant-r{number}")
        await approve(store, f"r{number}")
        pair = tokens(f"r{number}", granted.grant_id)
        await store.grants.redeem_code(fp(f"code-r{number}"), granted, pair, now=NOW)
        successor = tokens(f"r{number} next", granted.grant_id)
        revoked, rotation = await asyncio.gather(
            other.grants.revoke_grant(granted.grant_id, reason="asked", now=NOW),
            store.grants.rotate_refresh_token(fp(f"refresh r{number}"), successor, b"sealed", now=NOW, window=WINDOW),
        )
        assert revoked
        assert rotation in {ROTATED, DEAD}
        assert await is_dead(store, f"r{number}")
        assert await is_dead(store, f"r{number} next")
    await other.close()


async def test_a_code_whose_user_is_being_disabled_gives_nothing_or_what_is_revoked(
    store: Store, postgresql_url: str
) -> None:
    other = postgresql_store(postgresql_url)
    await other.open()
    for number in range(10):
        await approve(store, f"d{number}")
        granted = grant(f"grant-d{number}")
        await asyncio.gather(
            other.users.disable_user("user-1", now=NOW),
            store.grants.redeem_code(fp(f"code-d{number}"), granted, tokens(f"d{number}", granted.grant_id), now=NOW),
        )
        await store.users.enable_user("user-1")
        assert await is_dead(store, f"d{number}")
    await other.close()
