"""Access tokens, refresh rotation and revocation, on every backend (RFC 6749 section 6, RFC 7009, RFC 9700 4.14)."""

from dataclasses import replace

import pytest

from gatepost.oauth.records import IssuedTokens, RefreshToken
from gatepost.resource.profile import Profile
from gatepost.stores.conformance.records import (
    NOW,
    RESOURCE,
    WINDOW,
    approve,
    client,
    code,
    find_grant,
    find_refresh_token,
    fp,
    grant,
    redeem,
    tokens,
    transaction,
    user,
)
from gatepost.stores.contract.grants import LiveAccessToken, RefreshView, RotateOutcome, Rotation
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import Person

LIVE = LiveAccessToken(
    subject="user-1",
    client_id="client-1",
    client_name=None,
    scopes=("notes:read",),
    resource=RESOURCE,
    grant_id="grant-1",
    expires_at=NOW + 3600,
    grant_revoked=False,
    user_disabled=False,
    display_name=None,
)


async def rotate(
    store: Store, old: str, new: str, *, now: int = NOW, sealed: bytes = b"sealed", grant_id: str = "grant-1"
) -> Rotation:
    return await store.grants.rotate_refresh_token(
        fp(f"refresh {old}"), tokens(new, grant_id, now=now), sealed, now=now, window=WINDOW
    )


async def revocation(store: Store, grant_id: str = "grant-1") -> tuple[int | None, str | None]:
    kept = await find_grant(store, grant_id)
    assert kept is not None
    return kept.revoked_at, kept.revoked_reason


async def test_a_refresh_is_judged_by_token_grant_and_user_together(store: Store) -> None:
    assert await store.grants.find_refresh(fp("refresh 1")) is None
    await redeem(store)
    found = await store.grants.find_refresh(fp("refresh 1"))
    refresh = tokens("1").refresh
    assert refresh is not None
    assert found == RefreshView(refresh, grant(), user_disabled=False, person=None)


async def test_with_a_refresh_token_comes_what_is_registered_of_its_client(store: Store) -> None:
    await store.clients.register_client(client())
    await redeem(store)
    found = await store.grants.find_refresh(fp("refresh 1"))
    assert found is not None
    assert found.client == await store.clients.find_client("client-1") == client()
    assert await store.clients.complete_client("client-1", found.client) == client()

    await store.clients.remove_client("client-1", now=NOW)
    found = await store.grants.find_refresh(fp("refresh 1"))
    assert found is not None
    assert found.client is None


async def test_with_a_refresh_token_comes_the_person_whom_rules_judge(store: Store) -> None:
    said = Profile("grace@example.com", email_verified=True, groups=("navy",), claims={"hd": "example.com"})
    await store.users.recognise_user("issuer", "7", display_name="Grace", subjects=("user-1",), now=NOW, profile=said)
    await store.users.give_role("user-1", "admin")
    await redeem(store)

    found = await store.grants.find_refresh(fp("refresh 1"))

    assert found is not None
    assert found.person == Person("issuer", "7", None, "Grace", said.to_text(), ("admin",))
    assert found.person.read_profile() == said
    live = await store.grants.find_access_token(fp("access 1"), now=NOW)
    assert live is not None
    assert live.person == found.person


async def test_an_access_token_tells_all_that_a_check_needs(store: Store) -> None:
    await store.clients.register_client(client())
    await store.users.add_user(user())
    await redeem(store)

    assert await store.grants.find_access_token(fp("access 1"), now=NOW) == replace(
        LIVE,
        client_name=client().client_name,
        display_name="ada",
        user_issuer="local",
        person=Person("local", "user-1", "ada", None, None, ()),
    )


async def test_a_person_of_another_provider_is_called_as_the_provider_says(store: Store) -> None:
    said = Profile("grace@example.com", email_verified=True, groups=("navy",), claims={"hd": "example.com"})
    await store.users.recognise_user("issuer", "1", display_name="Grace", subjects=("user-1",), now=NOW, profile=said)
    await redeem(store)

    live = await store.grants.find_access_token(fp("access 1"), now=NOW)

    assert live == replace(
        LIVE,
        display_name="Grace",
        user_issuer="issuer",
        profile=said.to_text(),
        person=Person("issuer", "1", None, "Grace", said.to_text(), ()),
    )
    [listing] = await store.approvals.list_grants(live_at=NOW, subject=None, client_id=None, limit=9)
    assert listing.display_name == "Grace"


async def test_an_access_token_needs_neither_a_registered_client_nor_a_local_account(store: Store) -> None:
    await redeem(store)

    assert await store.grants.find_access_token(fp("access 1"), now=NOW) == LIVE


async def test_an_access_token_is_absent_from_the_second_it_expires(store: Store) -> None:
    await redeem(store)

    assert await store.grants.find_access_token(fp("access 1"), now=NOW + 3599) == LIVE
    assert await store.grants.find_access_token(fp("access 1"), now=NOW + 3600) is None
    assert await store.grants.find_access_token(fp("refresh 1"), now=NOW) is None


async def test_an_access_token_ends_with_its_grant(store: Store) -> None:
    await redeem(store, expires_at=NOW + 10)

    assert await store.grants.find_access_token(fp("access 1"), now=NOW + 9) == replace(LIVE, expires_at=NOW + 10)
    assert await store.grants.find_access_token(fp("access 1"), now=NOW + 10) is None


async def test_a_grant_is_found_with_its_client_and_its_users_state(store: Store) -> None:
    await store.clients.register_client(client())
    await store.users.add_user(user())
    await redeem(store)

    assert await find_grant(store, "grant-1") == grant()
    assert await find_grant(store, "grant-2") is None


async def test_revocation_is_seen_by_token_and_grant(store: Store) -> None:
    await redeem(store)

    assert await store.grants.list_revoked(["grant-1", "unknown"]) == set()
    assert await store.grants.revoke_grant("grant-1", reason="asked", now=NOW + 5) is True
    assert await store.grants.list_revoked(["grant-1", "unknown"]) == {"grant-1"}
    assert await store.grants.find_access_token(fp("access 1"), now=NOW) == replace(LIVE, grant_revoked=True)
    assert await find_grant(store, "grant-1") == grant(revoked_at=NOW + 5, revoked_reason="asked")


async def test_revoking_twice_keeps_the_first_reason(store: Store) -> None:
    await redeem(store)

    assert await store.grants.revoke_grant("grant-1", reason="first", now=NOW + 5) is True
    assert await store.grants.revoke_grant("grant-1", reason="second", now=NOW + 6) is True
    assert await revocation(store) == (NOW + 5, "first")


async def test_revoking_touches_no_other_grant(store: Store) -> None:
    await redeem(store)
    await redeem(store, "2")

    await store.grants.revoke_grant("grant-2", reason="asked", now=NOW)

    assert await revocation(store) == (None, None)
    assert await store.grants.revoke_grant("grant-3", reason="asked", now=NOW) is False


async def test_rotation_spends_the_old_token_and_keeps_the_new_pair(store: Store) -> None:
    await redeem(store)

    assert await rotate(store, "1", "2", now=NOW + 5) == Rotation(RotateOutcome.ROTATED)
    old, new = tokens("1").refresh, tokens("2", now=NOW + 5).refresh
    assert old is not None
    assert await find_refresh_token(store, fp("refresh 1")) == replace(
        old, spent_at=NOW + 5, successor_fingerprint=fp("refresh 2"), sealed_successor=b"sealed"
    )
    assert await find_refresh_token(store, fp("refresh 2")) == new
    assert await store.grants.find_access_token(fp("access 2"), now=NOW) == replace(LIVE, expires_at=NOW + 3605)
    assert await store.grants.find_access_token(fp("access 1"), now=NOW) == LIVE


async def test_the_same_token_inside_the_window_is_answered_with_the_same_successor(store: Store) -> None:
    await redeem(store)
    await rotate(store, "1", "2", sealed=b"the one")

    for now in (NOW, NOW + WINDOW):
        assert await rotate(store, "1", "3", now=now, sealed=b"another") == Rotation(RotateOutcome.REPEATED, b"the one")
    assert await find_refresh_token(store, fp("refresh 3")) is None
    assert await store.grants.find_access_token(fp("access 3"), now=NOW) is None
    assert await revocation(store) == (None, None)


async def test_a_clock_that_runs_behind_another_process_is_no_reuse(store: Store) -> None:
    await redeem(store)
    await rotate(store, "1", "2", now=NOW + 2)

    assert await rotate(store, "1", "3", now=NOW) == Rotation(RotateOutcome.REPEATED, b"sealed")


async def test_the_same_token_after_the_window_revokes_the_grant(store: Store) -> None:
    await redeem(store)
    await rotate(store, "1", "2")

    assert await rotate(store, "1", "3", now=NOW + WINDOW + 1) == Rotation(RotateOutcome.REUSED)
    assert await revocation(store) == (NOW + WINDOW + 1, "refresh_token_reused")
    assert await rotate(store, "2", "4") == Rotation(RotateOutcome.DEAD)
    assert await store.grants.find_access_token(fp("access 2"), now=NOW) == replace(LIVE, grant_revoked=True)


async def test_the_same_token_after_its_successor_was_used_revokes_the_grant(store: Store) -> None:
    """Inside the window too: whoever used the successor had received it."""
    await redeem(store)
    await rotate(store, "1", "2")
    await rotate(store, "2", "3")

    assert await rotate(store, "1", "4") == Rotation(RotateOutcome.REUSED)
    assert await revocation(store) == (NOW, "refresh_token_reused")


async def test_reuse_revokes_only_its_own_family(store: Store) -> None:
    await redeem(store)
    await redeem(store, "2")
    await rotate(store, "1", "1a")

    await rotate(store, "1", "1b", now=NOW + WINDOW + 1)

    assert await revocation(store, "grant-2") == (None, None)
    assert await rotate(store, "2", "2a", grant_id="grant-2") == Rotation(RotateOutcome.ROTATED)


async def test_an_unknown_or_expired_refresh_token_is_dead(store: Store) -> None:
    await redeem(store)

    assert await rotate(store, "unknown", "2") == Rotation(RotateOutcome.DEAD)
    assert await rotate(store, "1", "2", now=NOW + 50_000) == Rotation(RotateOutcome.DEAD)
    assert await find_refresh_token(store, fp("refresh 1")) == tokens("1").refresh
    assert await find_refresh_token(store, fp("refresh 2")) is None


async def test_a_refresh_token_of_a_revoked_or_expired_grant_is_dead(store: Store) -> None:
    await redeem(store)
    await redeem(store, "2", expires_at=NOW + 10)
    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)

    assert await rotate(store, "1", "1a") == Rotation(RotateOutcome.DEAD)
    assert await rotate(store, "2", "2a", now=NOW + 10) == Rotation(RotateOutcome.DEAD)
    assert await rotate(store, "2", "2a", now=NOW + 9) == Rotation(RotateOutcome.ROTATED)


async def test_a_refresh_token_of_a_disabled_user_is_dead(store: Store) -> None:
    """Also when the grant itself has not been revoked, which disabling does."""
    await redeem(store)
    await store.users.add_user(user(disabled_at=NOW))

    assert await rotate(store, "1", "2") == Rotation(RotateOutcome.DEAD)


async def test_a_token_that_was_spent_without_a_successor_is_reuse(store: Store) -> None:
    """Rows that came from elsewhere (an import) are judged strictly."""
    await approve(store)
    spent = RefreshToken(fp("refresh 1"), "grant-1", created_at=NOW, expires_at=NOW + 10, spent_at=NOW)
    await store.grants.redeem_code(fp("code-1"), grant(), IssuedTokens(tokens("1").access, spent), now=NOW)

    assert await rotate(store, "1", "2") == Rotation(RotateOutcome.REUSED)


async def test_a_rotation_without_a_new_refresh_token_is_a_mistake(store: Store) -> None:
    await redeem(store)

    with pytest.raises(ValueError, match="needs a refresh token"):
        await store.grants.rotate_refresh_token(
            fp("refresh 1"), IssuedTokens(tokens("2").access, None), b"", now=NOW, window=WINDOW
        )
    assert await rotate(store, "1", "2") == Rotation(RotateOutcome.ROTATED)


async def test_what_is_bound_to_a_key_says_to_which(store: Store) -> None:
    asked = transaction("transaction-1", dpop_jkt="key-1")
    await store.transactions.begin_transaction(asked)
    approved = code("code-1", "transaction-1", dpop_jkt="key-1")
    await store.transactions.approve_transaction(approved, now=NOW)
    begun = await store.transactions.find_transaction("transaction-1", now=NOW)
    assert begun is not None
    assert begun.dpop_jkt == "key-1"
    assert await store.grants.find_code(approved.code_fingerprint, now=NOW) == approved

    await store.grants.redeem_code(approved.code_fingerprint, grant(), bound("1", "key-1"), now=NOW)
    live = await store.grants.find_access_token(fp("access 1"), now=NOW)
    assert live is not None
    assert live.dpop_jkt == "key-1"
    assert await find_refresh_token(store, fp("refresh 1")) == bound("1", "key-1").refresh

    await store.grants.rotate_refresh_token(fp("refresh 1"), bound("2", "key-2"), b"sealed", now=NOW, window=WINDOW)
    assert await find_refresh_token(store, fp("refresh 2")) == bound("2", "key-2").refresh
    newer = await store.grants.find_access_token(fp("access 2"), now=NOW)
    assert newer is not None
    assert newer.dpop_jkt == "key-2"


def bound(name: str, dpop_jkt: str) -> IssuedTokens:
    issued = tokens(name)
    assert issued.refresh is not None
    return IssuedTokens(replace(issued.access, dpop_jkt=dpop_jkt), replace(issued.refresh, dpop_jkt=dpop_jkt))
