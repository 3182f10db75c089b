"""Remembered consent, on every backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gatepost.oauth.consent import Consent
from gatepost.stores.conformance.records import (
    NOW,
    RESOURCE,
    WINDOW,
    client,
    code,
    fp,
    redeem,
    remember_consent,
    tokens,
    transaction,
    user,
)
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome

CONSENT = Consent("user-1", "client-1", "https://app.example/cb", RESOURCE, ("notes:read", "raw"), NOW, NOW + 100)


async def find(store: Store, *, now: int = NOW, consent: Consent = CONSENT, **changes: Any) -> Consent | None:
    wanted = replace(consent, **changes)
    return await store.consents.find_consent(
        wanted.subject,
        client_id=wanted.client_id,
        redirect_uri=wanted.redirect_uri,
        resource=wanted.resource,
        now=now,
    )


async def test_an_approval_is_found_until_its_end(store: Store) -> None:
    await remember_consent(store, CONSENT)

    assert await find(store, now=NOW + 99) == CONSENT
    assert await find(store, now=NOW + 100) is None


@pytest.mark.parametrize(
    "changes", [{"subject": "x"}, {"client_id": "x"}, {"redirect_uri": "https://x"}, {"resource": "https://x"}]
)
async def test_for_anything_else_nothing_is_found(store: Store, changes: dict[str, Any]) -> None:
    await remember_consent(store, CONSENT)

    assert await find(store, **changes) is None


async def test_the_latest_approval_counts_narrower_ones_too(store: Store) -> None:
    narrower = replace(CONSENT, scopes=("raw",), created_at=NOW + 1, expires_at=NOW + 200)
    await remember_consent(store, CONSENT)
    await remember_consent(store, narrower)

    assert await find(store) == narrower


async def test_revoking_a_grant_forgets_what_its_user_approved_for_its_client_and_resource(store: Store) -> None:
    await redeem(store)
    others = [replace(CONSENT, subject="x"), replace(CONSENT, client_id="x"), replace(CONSENT, resource="x")]
    for consent in (CONSENT, replace(CONSENT, redirect_uri="https://other"), *others):
        await remember_consent(store, consent)

    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)

    assert await find(store) is None
    assert await find(store, redirect_uri="https://other") is None
    assert [await find(store, consent=consent) for consent in others] == others


async def test_reuse_of_a_refresh_token_forgets_it_too(store: Store) -> None:
    await redeem(store)
    await remember_consent(store, CONSENT)
    for number, now in ((2, NOW), (3, NOW + WINDOW + 1)):
        await store.grants.rotate_refresh_token(fp("refresh 1"), tokens(f"{number}"), b"", now=now, window=WINDOW)

    assert await find(store) is None


async def test_an_approval_that_came_after_a_revocation_stays_when_it_is_revoked_again(store: Store) -> None:
    await redeem(store)
    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)
    await remember_consent(store, CONSENT)
    await store.grants.revoke_grant("grant-1", reason="again", now=NOW)

    assert await find(store) == CONSENT


async def test_a_disabled_user_has_nothing_remembered_and_gets_nothing_remembered(store: Store) -> None:
    await store.users.add_user(user())
    await remember_consent(store, CONSENT)
    await store.users.disable_user("user-1", now=NOW)

    assert await find(store) is None
    await remember_consent(store, CONSENT, comes_to=ApproveOutcome.USER_DISABLED)
    await store.users.enable_user("user-1")
    assert await find(store) is None


async def test_ended_ones_are_purged_in_batches(store: Store) -> None:
    for number in range(3):
        await remember_consent(store, replace(CONSENT, client_id=f"{number}"))

    assert await store.consents.delete_consents(before=NOW + 99, limit=10) == 0
    assert [await store.consents.delete_consents(before=NOW + 100, limit=2) for _ in range(3)] == [2, 1, 0]


async def test_who_began_a_request_is_kept_with_it(store: Store) -> None:
    for by_user in (True, False):
        begun = transaction(f"transaction-{by_user}", started_by_user=by_user)
        await store.transactions.begin_transaction(begun)
        assert await store.transactions.find_transaction(begun.transaction_id, now=NOW) == begun


@pytest.mark.parametrize("action", ["disable_client", "remove_client"])
async def test_a_client_that_is_shut_out_is_asked_for_again_and_no_other_is(store: Store, action: str) -> None:
    others = [replace(CONSENT, client_id="client-2"), replace(CONSENT, client_id="client-2", subject="user-2")]
    await store.clients.register_client(client("client-1"))
    for consent in (CONSENT, replace(CONSENT, subject="user-2"), *others):
        await remember_consent(store, consent)

    assert await getattr(store.clients, action)("client-1", now=NOW)

    assert await find(store) is None
    assert await find(store, subject="user-2") is None
    assert [await find(store, consent=consent) for consent in others] == others


@pytest.mark.parametrize("action", ["disable_client", "remove_client"])
async def test_an_approval_is_remembered_together_with_its_code_or_not_at_all(store: Store, action: str) -> None:
    await store.clients.register_client(client(CONSENT.client_id))
    approved = code("code-1", "transaction-1")
    assert await store.transactions.approve_transaction(approved, now=NOW, consent=CONSENT) is ApproveOutcome.GONE
    assert await find(store) is None

    await store.transactions.begin_transaction(transaction("transaction-1"))
    assert await store.transactions.approve_transaction(approved, now=NOW, consent=CONSENT) is ApproveOutcome.APPROVED
    assert await find(store) == CONSENT
    await getattr(store.clients, action)(CONSENT.client_id, now=NOW)
    assert await find(store) is None
    assert await store.transactions.approve_transaction(approved, now=NOW, consent=CONSENT) is ApproveOutcome.GONE
    assert await find(store) is None
