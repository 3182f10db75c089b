"""A refresh in one statement, beside everything that may happen at the same moment, and when its connection dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

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
from gatepost.stores.sql.postgresql import grants as rotating
from gatepost.stores.sql.postgresql import postgresql_store
from tests.stores import postgresql_server
from tests.stores.sql.postgresql.pausing import is_waiting, paused, paused_before_it_locks, until
from tests.stores.sql.postgresql.wire import Wire

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


@pytest.mark.parametrize("ending", ENDINGS)
async def test_what_ends_a_grant_between_the_snapshot_of_a_refresh_and_its_locks_leaves_nothing_to_refresh(
    store: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    async with paused_before_it_locks(postgresql_url, monkeypatch, lambda: rotate(store)) as refresh:
        await ENDINGS[ending](store)
        assert await refresh.go_on() == DEAD
    assert await find_refresh_token(store, fp("refresh 2")) is None


async def test_a_token_that_is_spent_between_the_snapshot_of_a_refresh_and_its_locks_is_spent_once(
    store: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = postgresql_store(postgresql_url)
    await other.open()
    statement = rotating.ROTATE
    async with paused_before_it_locks(postgresql_url, monkeypatch, lambda: rotate(store, successor="other")) as refresh:
        monkeypatch.setattr(rotating, "ROTATE", statement)
        assert await rotate(other) == ROTATED
        assert await refresh.go_on() == Rotation(RotateOutcome.REPEATED, b"sealed 2")
    assert await find_refresh_token(store, fp("refresh other")) is None
    await other.close()


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_a_database_that_isolates_more_by_default_refreshes_as_well_and_no_more(
    store: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    stricter = postgresql_store(f"{postgresql_url}&default_transaction_isolation={quote(isolation)}")
    await stricter.open()
    assert await rotate(stricter) == ROTATED
    async with paused_before_it_locks(postgresql_url, monkeypatch, lambda: rotate(stricter, "2", "3")) as refresh:
        monkeypatch.undo()
        await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)
        assert await refresh.go_on() == DEAD
    assert await find_refresh_token(store, fp("refresh 3")) is None
    await stricter.close()


async def test_the_thief_of_a_token_that_is_spent_ends_what_its_owner_is_just_getting(
    store: Store, postgresql_url: str
) -> None:
    assert await rotate(store) == ROTATED
    later = NOW + WINDOW + 1
    async with paused(postgresql_url, lambda: rotate(store, "2", "3", now=later)) as owner:
        thief = asyncio.ensure_future(rotate(store, "1", "stolen", now=later))
        await until(lambda: is_waiting(owner.connection))
        assert await owner.go_on() == ROTATED
    assert await thief == Rotation(RotateOutcome.REUSED)
    assert await rotate(store, "3", "4", now=later) == DEAD
    assert await is_dead(store, "3")


async def test_the_owner_gets_nothing_once_a_thief_was_seen_between_the_snapshot_of_its_refresh_and_its_locks(
    store: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await rotate(store) == ROTATED
    later = NOW + WINDOW + 1
    async with paused_before_it_locks(postgresql_url, monkeypatch, lambda: rotate(store, "2", "3", now=later)) as owner:
        monkeypatch.undo()
        assert await rotate(store, "1", "stolen", now=later) == Rotation(RotateOutcome.REUSED)
        assert await owner.go_on() == DEAD
    assert await find_refresh_token(store, fp("refresh 3")) is None


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
