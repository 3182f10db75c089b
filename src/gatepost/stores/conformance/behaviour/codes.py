"""Authorization codes and their redemption, on every backend (RFC 6749 section 4.1)."""

from dataclasses import replace

from gatepost.oauth.records import IssuedTokens
from gatepost.stores.conformance.records import (
    NOW,
    approve,
    client,
    code,
    find_grant,
    find_refresh_token,
    fp,
    grant,
    redeem,
    tokens,
    user,
)
from gatepost.stores.contract.grants import CodeView, RedeemOutcome
from gatepost.stores.contract.store import Store


async def test_a_code_is_absent_from_the_second_it_expires(store: Store) -> None:
    approved = await approve(store, expires_at=NOW + 10)

    assert await store.grants.find_code(fp("code-1"), now=NOW + 9) == approved
    assert await store.grants.find_code(fp("code-1"), now=NOW + 10) is None


async def test_with_a_code_comes_what_is_registered_of_its_client(store: Store) -> None:
    approved = await approve(store, expires_at=NOW + 10)
    assert await store.grants.find_code_and_client(fp("code-1"), now=NOW) == CodeView(approved, None)

    await store.clients.register_client(client())
    assert await store.grants.find_code_and_client(fp("code-1"), now=NOW + 9) == CodeView(approved, client())
    assert await store.clients.set_refresh_reuse("client-1", 60)
    changed = await store.clients.find_client("client-1")
    assert await store.grants.find_code_and_client(fp("code-1"), now=NOW) == CodeView(approved, changed)
    assert await store.grants.find_code_and_client(fp("code-1"), now=NOW + 10) is None


async def test_redeeming_creates_grant_and_tokens_and_marks_the_code(store: Store) -> None:
    await approve(store)

    assert await store.grants.redeem_code(fp("code-1"), grant(), tokens(), now=NOW) is RedeemOutcome.REDEEMED
    assert await store.grants.find_code(fp("code-1"), now=NOW) == code(grant_id="grant-1")
    assert await find_grant(store, "grant-1") == grant()
    assert await store.grants.find_access_token(fp("access first"), now=NOW) is not None
    assert await find_refresh_token(store, fp("refresh first")) == tokens().refresh


async def test_redeeming_without_a_refresh_token_creates_none(store: Store) -> None:
    await approve(store)
    only_access = IssuedTokens(access=tokens().access, refresh=None)

    assert await store.grants.redeem_code(fp("code-1"), grant(), only_access, now=NOW) is RedeemOutcome.REDEEMED
    assert await store.grants.find_access_token(fp("access first"), now=NOW) is not None
    assert await find_refresh_token(store, fp("refresh first")) is None


async def test_a_code_is_redeemed_once(store: Store) -> None:
    await redeem(store)
    second = grant("grant-2")

    outcome = await store.grants.redeem_code(fp("code-1"), second, tokens("second", "grant-2"), now=NOW)

    assert outcome is RedeemOutcome.LOST_RACE
    assert await store.grants.find_code(fp("code-1"), now=NOW) == code(grant_id="grant-1")
    assert await find_grant(store, "grant-2") is None
    assert await store.grants.find_access_token(fp("access second"), now=NOW) is None
    assert await find_refresh_token(store, fp("refresh second")) is None


async def test_an_unknown_or_expired_code_is_not_redeemed(store: Store) -> None:
    await approve(store, expires_at=NOW + 10)

    for name, now in (("code-1", NOW + 10), ("unknown", NOW)):
        outcome = await store.grants.redeem_code(fp(name), grant(), tokens(), now=now)
        assert outcome is RedeemOutcome.LOST_RACE
    assert await find_grant(store, "grant-1") is None


async def test_a_code_of_a_disabled_user_is_not_redeemed(store: Store) -> None:
    """No code of theirs is kept; the exchange looks once more, in its own transaction."""
    await approve(store)
    await store.users.add_user(user(disabled_at=NOW))

    assert await store.grants.redeem_code(fp("code-1"), grant(), tokens(), now=NOW) is RedeemOutcome.LOST_RACE
    assert await find_grant(store, "grant-1") is None


async def test_failed_redemptions_are_counted_one_by_one(store: Store) -> None:
    approved = await approve(store)

    await store.grants.count_failed_redemption(fp("code-1"))
    await store.grants.count_failed_redemption(fp("code-1"))
    await store.grants.count_failed_redemption(fp("unknown"))

    assert await store.grants.find_code(fp("code-1"), now=NOW) == replace(approved, failed_attempts=2)
    assert await store.grants.find_code(fp("unknown"), now=NOW) is None
