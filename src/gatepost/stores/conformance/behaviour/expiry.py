"""What is over goes, in batches; what still means something stays; on every backend."""

from __future__ import annotations

import asyncio

from gatepost.oauth.records import IssuedTokens
from gatepost.stores.conformance.records import (
    NOW,
    WINDOW,
    approve,
    find_grant,
    find_refresh_token,
    fp,
    grant,
    redeem,
    session,
    tokens,
    transaction,
)
from gatepost.stores.contract.store import Store


async def test_ended_requests_go_with_their_codes(store: Store) -> None:
    await redeem(store, "1")
    await store.transactions.begin_transaction(transaction("transaction-2", expires_at=NOW + 10_000))

    assert await store.transactions.delete_transactions(before=NOW + 1799, limit=10) == 0
    assert await store.transactions.delete_transactions(before=NOW + 1800, limit=10) == 1
    assert await store.grants.find_code(fp("code-1"), now=NOW) is None
    assert await store.transactions.find_transaction("transaction-1", now=NOW) is None
    assert await store.transactions.find_transaction("transaction-2", now=NOW) is not None


async def test_a_request_stays_while_its_code_lives_for_a_replay_must_be_noticed(store: Store) -> None:
    await approve(store, "1", expires_at=NOW + 2000)

    assert await store.transactions.delete_transactions(before=NOW + 1900, limit=10) == 0
    assert await store.grants.find_code(fp("code-1"), now=NOW + 1900) is not None
    assert await store.transactions.delete_transactions(before=NOW + 2000, limit=10) == 1


async def test_a_batch_is_never_larger_than_its_limit(store: Store) -> None:
    for number in range(5):
        await store.transactions.begin_transaction(transaction(f"transaction-{number}"))
        await store.browser_sessions.start_session(session(f"session-{number}"))

    requests = [await store.transactions.delete_transactions(before=NOW + 1800, limit=2) for _ in range(4)]
    sessions = [await store.browser_sessions.delete_sessions(before=NOW + 3600, limit=2) for _ in range(4)]

    assert requests == sessions == [2, 2, 1, 0]


async def test_ended_tokens_go_and_their_grant_and_successors_stay(store: Store) -> None:
    await redeem(store)
    later = tokens("2", now=NOW + 1000)
    await store.grants.rotate_refresh_token(fp("refresh 1"), later, b"sealed", now=NOW + 1000, window=WINDOW)

    assert await store.grants.delete_access_tokens(before=NOW + 3600, limit=10) == 1
    assert await store.grants.delete_refresh_tokens(before=NOW + 50_000, limit=10) == 1

    assert await find_refresh_token(store, fp("refresh 1")) is None
    assert await find_refresh_token(store, fp("refresh 2")) == later.refresh
    assert await store.grants.find_access_token(fp("access 1"), now=NOW) is None
    assert await store.grants.find_access_token(fp("access 2"), now=NOW) is not None
    assert await find_grant(store, "grant-1") is not None


async def test_a_grant_goes_when_it_ended_or_was_revoked(store: Store) -> None:
    await redeem(store, "1")
    await redeem(store, "2", expires_at=NOW + 200_000)
    await redeem(store, "3", expires_at=NOW + 200_000)
    await store.grants.revoke_grant("grant-2", reason="asked", now=NOW + 50)

    assert await store.grants.delete_grants(before=NOW + 49, limit=100) == 0
    assert await store.grants.delete_grants(before=NOW + 50, limit=100) == 3  # the grant and its two tokens
    assert await find_grant(store, "grant-2") is None
    assert await find_refresh_token(store, fp("refresh 2")) is None
    assert await store.grants.delete_grants(before=NOW + 100_000, limit=100) == 3
    assert await find_grant(store, "grant-1") is None
    assert await find_grant(store, "grant-3") is not None
    assert await store.grants.find_access_token(fp("access 3"), now=NOW) is not None


async def test_a_grant_with_many_tokens_takes_several_batches(store: Store) -> None:
    """However often a grant was refreshed, deleting it never becomes one long write."""
    await redeem(store)
    for number in range(1, 4):
        await store.grants.rotate_refresh_token(
            fp(f"refresh {number}"), tokens(f"{number + 1}"), b"sealed", now=NOW, window=WINDOW
        )

    batches = [await store.grants.delete_grants(before=NOW + 100_000, limit=2) for _ in range(6)]

    assert batches == [2, 2, 2, 2, 1, 0]  # four access tokens, four refresh tokens, the grant
    assert await find_grant(store, "grant-1") is None


async def test_a_grant_without_a_refresh_token_goes_too(store: Store) -> None:
    approved = await approve(store)
    issued = IssuedTokens(tokens().access, None)
    await store.grants.redeem_code(approved.code_fingerprint, grant(), issued, now=NOW)

    assert await store.grants.delete_grants(before=NOW + 100_000, limit=100) == 2


async def test_one_of_many_gets_the_lease(store: Store) -> None:
    taken = await asyncio.gather(
        *(store.leases.take_lease("purge", holder=f"process-{n}", now=NOW, until=NOW + 60) for n in range(20))
    )

    assert taken.count(True) == 1


async def test_a_lease_is_renewed_by_its_holder_and_free_after_its_end(store: Store) -> None:
    leases = store.leases

    assert await leases.take_lease("purge", holder="one", now=NOW, until=NOW + 60)
    assert await leases.take_lease("purge", holder="one", now=NOW + 30, until=NOW + 90)
    assert not await leases.take_lease("purge", holder="two", now=NOW + 89, until=NOW + 149)
    assert await leases.take_lease("purge", holder="two", now=NOW + 90, until=NOW + 150)
    assert not await leases.take_lease("purge", holder="one", now=NOW + 90, until=NOW + 150)
    assert await leases.take_lease("another", holder="one", now=NOW + 90, until=NOW + 150)


async def test_a_lease_taken_by_a_clock_far_ahead_keeps_nobody_away(store: Store) -> None:
    leases = store.leases
    await leases.take_lease("purge", holder="a little ahead", now=NOW + 60, until=NOW + 120)
    await leases.take_lease("another", holder="far ahead", now=NOW + 61, until=NOW + 121)

    assert not await leases.take_lease("purge", holder="right", now=NOW, until=NOW + 60)
    assert await leases.take_lease("another", holder="right", now=NOW, until=NOW + 60)


async def test_only_the_holder_returns_a_lease(store: Store) -> None:
    leases = store.leases
    await leases.take_lease("purge", holder="one", now=NOW, until=NOW + 60)

    await leases.return_lease("purge", holder="two")
    assert not await leases.take_lease("purge", holder="two", now=NOW, until=NOW + 60)
    await leases.return_lease("purge", holder="one")
    await leases.return_lease("purge", holder="one")
    assert await leases.take_lease("purge", holder="two", now=NOW, until=NOW + 60)
