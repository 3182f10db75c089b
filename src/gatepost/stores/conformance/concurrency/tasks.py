"""Parallel callers in one process get the answers they would get one after the other, on every backend."""

import asyncio

import pytest

from gatepost.oauth.records import TransactionState
from gatepost.stores.conformance.records import (
    NOW,
    WINDOW,
    approve,
    code,
    find_grant,
    find_refresh_token,
    fp,
    grant,
    redeem,
    session,
    tokens,
    transaction,
    user,
)
from gatepost.stores.contract.browser_sessions import SessionView
from gatepost.stores.contract.grants import RedeemOutcome, RotateOutcome, Rotation
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome


async def test_fifty_parallel_redemptions_of_one_code_have_one_winner(store: Store) -> None:
    await approve(store)

    outcomes = await asyncio.gather(
        *(
            store.grants.redeem_code(fp("code-1"), grant(f"grant-{n}"), tokens(f"{n}", f"grant-{n}"), now=NOW)
            for n in range(50)
        )
    )

    assert outcomes.count(RedeemOutcome.REDEEMED) == 1
    assert outcomes.count(RedeemOutcome.LOST_RACE) == 49
    winner = f"grant-{outcomes.index(RedeemOutcome.REDEEMED)}"
    assert await store.grants.find_code(fp("code-1"), now=NOW) == code(grant_id=winner)
    views = [await find_grant(store, f"grant-{n}") for n in range(50)]
    assert [grant.grant_id for grant in views if grant is not None] == [winner]


async def test_parallel_uses_of_one_refresh_token_share_one_successor(store: Store) -> None:
    await redeem(store)

    rotations = await asyncio.gather(
        *(
            store.grants.rotate_refresh_token(
                fp("refresh 1"), tokens(f"next {n}"), f"sealed {n}".encode(), now=NOW, window=WINDOW
            )
            for n in range(50)
        )
    )

    assert rotations.count(Rotation(RotateOutcome.ROTATED)) == 1
    winner = rotations.index(Rotation(RotateOutcome.ROTATED))
    assert rotations.count(Rotation(RotateOutcome.REPEATED, f"sealed {winner}".encode())) == 49
    found = [await find_refresh_token(store, fp(f"refresh next {n}")) for n in range(50)]
    assert [n for n, token in enumerate(found) if token is not None] == [winner]


async def test_nothing_counts_that_came_of_refreshes_beside_a_revocation(store: Store) -> None:
    await redeem(store)

    revoked, rotations = await asyncio.gather(
        store.grants.revoke_grant("grant-1", reason="asked", now=NOW),
        asyncio.gather(
            *(
                store.grants.rotate_refresh_token(fp("refresh 1"), tokens(f"{n}"), b"sealed", now=NOW, window=WINDOW)
                for n in range(2, 10)
            )
        ),
    )

    # Which of two calls at once comes first is promised nowhere; what is over afterwards is.
    assert revoked is True
    outcomes = [rotation.outcome for rotation in rotations]
    assert outcomes.count(RotateOutcome.ROTATED) <= 1
    assert set(outcomes) <= {RotateOutcome.ROTATED, RotateOutcome.REPEATED, RotateOutcome.DEAD}
    for n in range(1, 10):
        again = tokens(f"again {n}")
        rotation = await store.grants.rotate_refresh_token(fp(f"refresh {n}"), again, b"", now=NOW, window=WINDOW)
        assert rotation == Rotation(RotateOutcome.DEAD)
        live = await store.grants.find_access_token(fp(f"access {n}"), now=NOW)
        assert live is None or live.grant_revoked


async def test_one_set_up_link_makes_one_account_however_many_ask(store: Store) -> None:
    await store.users.offer_setup(fp("link"), now=NOW, unless_since=NOW)

    created = await asyncio.gather(
        *(store.users.create_first_user(fp("link"), user(f"user-{n}", f"name-{n}")) for n in range(20))
    )

    assert created.count(True) == 1
    assert [found.username for found in await store.users.list_users()] == [f"name-{created.index(True)}"]


async def test_a_username_goes_to_one_of_many(store: Store) -> None:
    added = await asyncio.gather(*(store.users.add_user(user(f"user-{n}")) for n in range(20)))

    assert added.count(True) == 1
    assert await store.users.list_users() == [user(f"user-{added.index(True)}")]


async def test_parallel_failed_redemptions_are_all_counted(store: Store) -> None:
    await approve(store)

    await asyncio.gather(*(store.grants.count_failed_redemption(fp("code-1")) for _ in range(20)))

    assert await store.grants.find_code(fp("code-1"), now=NOW) == code(failed_attempts=20)


@pytest.mark.parametrize("denial_comes_first", [True, False])
async def test_approval_and_denial_at_once_leave_one_of_them(store: Store, *, denial_comes_first: bool) -> None:
    await store.transactions.begin_transaction(transaction())
    approval = store.transactions.approve_transaction(code(), now=NOW)
    denial = store.transactions.deny_transaction("transaction-1", now=NOW)

    if denial_comes_first:
        denied, approved = await asyncio.gather(denial, approval)
    else:
        approved, denied = await asyncio.gather(approval, denial)

    found = await store.transactions.find_transaction("transaction-1", now=NOW)
    assert found is not None
    assert (approved, denied, found.state) in {
        (ApproveOutcome.APPROVED, False, TransactionState.APPROVED),
        (ApproveOutcome.ALREADY_FINISHED, True, TransactionState.DENIED),
    }


async def test_a_double_click_leaves_one_code_that_works(store: Store) -> None:
    await store.transactions.begin_transaction(transaction())

    outcomes = await asyncio.gather(
        *(store.transactions.approve_transaction(code(f"code-{n}"), now=NOW) for n in range(10))
    )

    assert outcomes == [ApproveOutcome.APPROVED] * 10
    found = [await store.grants.find_code(fp(f"code-{n}"), now=NOW) for n in range(10)]
    assert sum(code is not None for code in found) == 1


async def test_a_read_sees_every_write_that_was_acknowledged_before_it(store: Store) -> None:
    async def write_then_read(name: str) -> None:
        await store.browser_sessions.start_session(session(name))
        assert await store.browser_sessions.find_session(fp(name), now=NOW) == SessionView(session(name), None)
        await store.browser_sessions.end_session(fp(name))
        assert await store.browser_sessions.find_session(fp(name), now=NOW) is None

    await asyncio.gather(*(write_then_read(f"session-{n}") for n in range(50)))


async def test_parallel_logins_with_one_cookie_give_one_session(store: Store) -> None:
    await store.browser_sessions.start_session(session("before", subject=None))

    started = await asyncio.gather(
        *(store.browser_sessions.start_session(session(f"after-{n}"), replaces=fp("before")) for n in range(20))
    )

    assert started.count(True) == 1
    winner = f"after-{started.index(True)}"
    names = ["before", *(f"after-{n}" for n in range(20))]
    found = [await store.browser_sessions.find_session(fp(name), now=NOW) for name in names]
    assert [one for one in found if one is not None] == [SessionView(session(winner), None)]
