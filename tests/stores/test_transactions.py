"""Authorization requests and their approval, on every backend."""

from dataclasses import replace

from gatepost.oauth.records import TransactionState
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome
from tests.stores.sample_records import NOW, approve, code, fp, grant, redeem, tokens, transaction


async def test_a_transaction_is_found_as_it_was(store: Store) -> None:
    await store.transactions.begin_transaction(transaction())

    assert await store.transactions.find_transaction("transaction-1", now=NOW) == transaction()


async def test_a_transaction_without_state_or_redirect_uri_is_found_as_it_was(store: Store) -> None:
    bare = transaction(client_state=None, redirect_uri_was_sent=False, scopes=())
    await store.transactions.begin_transaction(bare)

    assert await store.transactions.find_transaction("transaction-1", now=NOW) == bare


async def test_an_empty_state_is_not_the_same_as_none(store: Store) -> None:
    await store.transactions.begin_transaction(transaction(client_state=""))

    assert await store.transactions.find_transaction("transaction-1", now=NOW) == transaction(client_state="")


async def test_a_transaction_is_absent_from_the_second_it_expires(store: Store) -> None:
    await store.transactions.begin_transaction(transaction(expires_at=NOW + 10))

    assert await store.transactions.find_transaction("transaction-1", now=NOW + 9) is not None
    assert await store.transactions.find_transaction("transaction-1", now=NOW + 10) is None
    assert await store.transactions.find_transaction("transaction-2", now=NOW) is None


async def test_approval_marks_the_transaction_and_keeps_the_code(store: Store) -> None:
    approved = await approve(store)

    assert await store.transactions.find_transaction("transaction-1", now=NOW) == transaction(
        state=TransactionState.APPROVED
    )
    assert await store.grants.find_code(fp("code-1"), now=NOW) == approved


async def test_approving_an_unknown_or_expired_transaction_writes_nothing(store: Store) -> None:
    await store.transactions.begin_transaction(transaction(expires_at=NOW + 10))

    assert await store.transactions.approve_transaction(code(), now=NOW + 10) is ApproveOutcome.GONE
    assert await store.transactions.approve_transaction(code("other", "unknown"), now=NOW) is ApproveOutcome.GONE
    assert await store.grants.find_code(fp("code-1"), now=NOW) is None
    assert await store.transactions.find_transaction("transaction-1", now=NOW) == transaction(expires_at=NOW + 10)


async def test_approving_again_replaces_an_unredeemed_code(store: Store) -> None:
    await approve(store)

    assert await store.transactions.approve_transaction(code("code-2"), now=NOW) is ApproveOutcome.APPROVED
    assert await store.grants.find_code(fp("code-1"), now=NOW) is None
    assert await store.grants.redeem_code(fp("code-1"), grant(), tokens(), now=NOW) is RedeemOutcome.LOST_RACE
    assert await store.grants.redeem_code(fp("code-2"), grant(), tokens(), now=NOW) is RedeemOutcome.REDEEMED


async def test_approving_again_after_redemption_writes_nothing(store: Store) -> None:
    await redeem(store)

    assert await store.transactions.approve_transaction(code("code-2"), now=NOW) is ApproveOutcome.ALREADY_FINISHED
    assert await store.grants.find_code(fp("code-2"), now=NOW) is None
    assert await store.grants.find_code(fp("code-1"), now=NOW) == replace(code(), grant_id="grant-1")


async def test_approving_after_a_denial_writes_nothing(store: Store) -> None:
    await store.transactions.begin_transaction(transaction())
    await store.transactions.deny_transaction("transaction-1", now=NOW)

    assert await store.transactions.approve_transaction(code(), now=NOW) is ApproveOutcome.ALREADY_FINISHED
    assert await store.grants.find_code(fp("code-1"), now=NOW) is None


async def test_approving_one_transaction_leaves_the_codes_of_others(store: Store) -> None:
    approved = await approve(store)
    await approve(store, "2")

    assert await store.grants.find_code(fp("code-1"), now=NOW) == approved


async def test_denying_twice_is_true_twice(store: Store) -> None:
    await store.transactions.begin_transaction(transaction())

    assert await store.transactions.deny_transaction("transaction-1", now=NOW) is True
    assert await store.transactions.deny_transaction("transaction-1", now=NOW) is True
    assert await store.transactions.find_transaction("transaction-1", now=NOW) == transaction(
        state=TransactionState.DENIED
    )


async def test_denying_an_approved_unknown_or_expired_transaction_is_false(store: Store) -> None:
    await approve(store)
    await store.transactions.begin_transaction(transaction("transaction-2", expires_at=NOW + 10))

    assert await store.transactions.deny_transaction("transaction-1", now=NOW) is False
    assert await store.transactions.deny_transaction("transaction-2", now=NOW + 10) is False
    assert await store.transactions.deny_transaction("transaction-3", now=NOW) is False
    assert await store.grants.find_code(fp("code-1"), now=NOW) == code()
