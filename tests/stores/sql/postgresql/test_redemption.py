"""What gives access, beside what takes it away at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest

from gatepost.stores.conformance.records import (
    NOW,
    WINDOW,
    approve,
    client,
    code,
    find_grant,
    fp,
    grant,
    tokens,
    transaction,
    user,
)
from gatepost.stores.contract.grants import RedeemOutcome, RotateOutcome, Rotation
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome
from gatepost.stores.sql.postgresql import postgresql_store
from tests.stores import postgresql_server
from tests.stores.sql.postgresql.pausing import is_waiting, paused, until


@pytest.fixture
async def store(postgresql_url: str) -> AsyncIterator[Store]:
    """A store with a registered client, a person, and a code that is not spent."""
    await postgresql_server.empty(postgresql_url)
    opened = postgresql_store(postgresql_url)
    await opened.open()
    await opened.clients.register_client(client())
    await opened.users.add_user(user())
    await approve(opened)
    yield opened
    await opened.close()


def redeem(store: Store, name: str = "1", *, now: int = NOW) -> Awaitable[RedeemOutcome]:
    """Spend the code for `access NAME` and `refresh NAME` of a grant of this name."""
    granted = grant(f"grant-{name}")
    return store.grants.redeem_code(fp("code-1"), granted, tokens(name, granted.grant_id), now=now)


async def is_dead(store: Store, name: str) -> bool:
    """Say whether neither token of a pair is good for anything."""
    live = await store.grants.find_access_token(fp(f"access {name}"), now=NOW)
    successor = tokens(f"{name} after", f"grant-{name}")
    rotation = await store.grants.rotate_refresh_token(
        fp(f"refresh {name}"), successor, b"sealed", now=NOW, window=WINDOW
    )
    return (live is None or live.grant_revoked) and rotation == Rotation(RotateOutcome.DEAD)


ENDINGS: Final[dict[str, Callable[[Store], Awaitable[Any]]]] = {
    "the person is disabled": lambda store: store.users.disable_user("user-1", now=NOW),
    "the person takes all back": lambda store: store.approvals.take_back(
        "user-1", grant_id=None, reason="asked", now=NOW
    ),
    "the client is disabled": lambda store: store.clients.disable_client("client-1", now=NOW),
    "the client is removed": lambda store: store.clients.remove_client("client-1", now=NOW),
    "everything is revoked": lambda store: store.approvals.revoke_all(issued_before=None, reason="asked", now=NOW),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_what_takes_all_back_while_a_code_is_being_spent_ends_what_comes_of_it(
    store: Store, postgresql_url: str, ending: str
) -> None:
    async with paused(postgresql_url, lambda: redeem(store)) as redemption:
        end = asyncio.ensure_future(ENDINGS[ending](store))
        await until(lambda: is_waiting(redemption.connection))
        assert await redemption.go_on() is RedeemOutcome.REDEEMED
    await end
    # What was taken back does not come back with the person or the client.
    await store.users.enable_user("user-1")
    await store.clients.enable_client("client-1")
    assert await is_dead(store, "1")


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_code_of_what_was_taken_back_gives_nothing(store: Store, ending: str) -> None:
    await ENDINGS[ending](store)
    await store.users.enable_user("user-1")
    await store.clients.enable_client("client-1")
    assert await redeem(store) is RedeemOutcome.LOST_RACE
    assert await find_grant(store, "grant-1") is None


async def test_of_two_that_spend_a_code_the_one_that_comes_while_the_first_is_at_it_leaves_no_row(
    store: Store, postgresql_url: str
) -> None:
    other = postgresql_store(postgresql_url)
    await other.open()
    async with paused(postgresql_url, lambda: redeem(store)) as redemption:
        second = asyncio.ensure_future(redeem(other, "2"))
        await until(lambda: is_waiting(redemption.connection))
        assert await redemption.go_on() is RedeemOutcome.REDEEMED
    assert await second is RedeemOutcome.LOST_RACE
    assert await find_grant(store, "grant-2") is None
    assert await is_dead(store, "2")
    assert not await is_dead(store, "1")
    await other.close()


async def test_a_request_that_is_purged_while_its_code_is_spent_takes_nothing_of_the_grant_along(
    store: Store, postgresql_url: str
) -> None:
    async with paused(postgresql_url, lambda: redeem(store)) as redemption:
        purge = asyncio.ensure_future(store.transactions.delete_transactions(before=2 * NOW, limit=100))
        await until(lambda: is_waiting(redemption.connection))
        assert await redemption.go_on() is RedeemOutcome.REDEEMED
    await purge
    assert not await is_dead(store, "1")


async def test_a_second_approval_while_the_code_of_the_first_is_spent_comes_too_late(
    store: Store, postgresql_url: str
) -> None:
    async with paused(postgresql_url, lambda: redeem(store)) as redemption:
        again = asyncio.ensure_future(store.transactions.approve_transaction(code("code-again"), now=NOW))
        await until(lambda: is_waiting(redemption.connection))
        assert await redemption.go_on() is RedeemOutcome.REDEEMED
    assert await again is ApproveOutcome.ALREADY_FINISHED
    assert await store.grants.find_code(fp("code-again"), now=NOW) is None


SHUTS_OUT: Final = ("the client is disabled", "the client is removed")


@pytest.mark.parametrize("ending", SHUTS_OUT)
async def test_a_client_that_is_shut_out_while_it_gets_a_grant_of_its_own_gets_none(
    store: Store, postgresql_url: str, ending: str
) -> None:
    """The two write no row of each other's: each has read what the other changes, so one of them begins anew."""
    own = grant("grant-own", subject="client-1")
    async with paused(
        postgresql_url, lambda: store.clients.give_client_grant(own, tokens("own", own.grant_id))
    ) as giving:
        await ENDINGS[ending](store)
        assert await giving.go_on() is False
    assert await find_grant(store, own.grant_id) is None


@pytest.mark.parametrize("ending", ["the person is disabled", *SHUTS_OUT])
async def test_an_approval_at_once_while_its_person_or_client_is_shut_out_approves_nothing(
    store: Store, postgresql_url: str, ending: str
) -> None:
    request = transaction("transaction-2", created_at=NOW)
    async with paused(
        postgresql_url,
        lambda: store.transactions.approve_at_once(request, code("code-2", request.transaction_id), client()),
        table="authorization_codes",
    ) as approval:
        await ENDINGS[ending](store)
        assert await approval.go_on() is False
    assert await store.grants.find_code(fp("code-2"), now=NOW) is None
