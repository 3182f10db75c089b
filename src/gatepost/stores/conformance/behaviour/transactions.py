"""Authorization requests and their approval, on every backend."""

from dataclasses import replace

from gatepost.oauth.records import ClientOrigin, TransactionState
from gatepost.stores.conformance.records import NOW, approve, client, code, fp, grant, redeem, tokens, transaction, user
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome


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


async def test_approving_writes_nothing_for_a_disabled_user(store: Store) -> None:
    await store.users.add_user(user())
    await store.transactions.begin_transaction(transaction())
    await store.users.disable_user("user-1", now=NOW)

    assert await store.transactions.approve_transaction(code(), now=NOW) is ApproveOutcome.USER_DISABLED
    assert await store.grants.find_code(fp("code-1"), now=NOW) is None
    assert await store.transactions.find_transaction("transaction-1", now=NOW) == transaction()

    await store.users.enable_user("user-1")
    assert await store.transactions.approve_transaction(code(), now=NOW) is ApproveOutcome.APPROVED


async def test_approving_one_transaction_leaves_the_codes_of_others(store: Store) -> None:
    approved = await approve(store)
    await approve(store, "2")

    assert await store.grants.find_code(fp("code-1"), now=NOW) == approved


async def test_a_request_that_needs_no_question_is_kept_approved_with_its_code(store: Store) -> None:
    await store.clients.register_client(client())

    assert await store.transactions.approve_at_once(transaction(), code(), client()) is True

    assert await store.transactions.find_transaction("transaction-1", now=NOW) == transaction(
        state=TransactionState.APPROVED
    )
    assert await store.grants.redeem_code(fp("code-1"), grant(), tokens(), now=NOW) is RedeemOutcome.REDEEMED


async def test_a_client_known_by_a_document_needs_no_row(store: Store) -> None:
    document = client("https://app.example/client", origin=ClientOrigin.DOCUMENT)
    asked = transaction(client_id=document.client_id)

    assert await store.transactions.approve_at_once(asked, code(client_id=document.client_id), document) is True

    await store.clients.disable_client(document.client_id, now=NOW, placeholder=document)
    assert await store.grants.find_code(fp("code-1"), now=NOW) is None
    again, another = transaction("transaction-2", client_id=document.client_id), code("code-2", "transaction-2")
    assert await store.transactions.approve_at_once(again, another, document) is False


async def test_at_once_nothing_is_written_for_a_client_that_is_not_what_it_was(store: Store) -> None:
    await store.clients.register_client(client())
    judged = client()

    async def approve_at_once() -> bool:
        approved = await store.transactions.approve_at_once(transaction(), code(), judged)
        assert approved or await store.transactions.find_transaction("transaction-1", now=NOW) is None
        return approved

    await store.clients.update_client(client(redirect_uris=("https://app.example/other",)))
    assert await approve_at_once() is False
    await store.clients.disable_client("client-1", now=NOW)
    assert await approve_at_once() is False
    await store.clients.remove_client("client-1", now=NOW)
    assert await approve_at_once() is False


async def test_at_once_nothing_is_written_for_a_disabled_user(store: Store) -> None:
    await store.clients.register_client(client())
    await store.users.add_user(user())
    await store.users.disable_user("user-1", now=NOW)

    assert await store.transactions.approve_at_once(transaction(), code(), client()) is False
    assert await store.transactions.find_transaction("transaction-1", now=NOW) is None
    assert await store.grants.find_code(fp("code-1"), now=NOW) is None


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


async def test_of_requests_that_nobody_has_approved_the_newest_are_kept(store: Store) -> None:
    approved = await approve(store)
    for number in range(2, 7):
        await store.transactions.begin_transaction(transaction(f"transaction-{number}"), most=3)
        await store.transactions.deny_transaction("transaction-3", now=NOW)  # which anybody can do with their own

    kept = [
        number
        for number in range(1, 7)
        if await store.transactions.find_transaction(f"transaction-{number}", now=NOW) is not None
    ]
    assert kept == [1, 4, 5, 6]
    assert await store.grants.find_code(approved.code_fingerprint, now=NOW) == approved
