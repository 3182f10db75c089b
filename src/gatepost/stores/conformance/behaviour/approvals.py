"""Grants as people and operators see them, on every backend."""

from dataclasses import replace
from typing import Any

import pytest

from gatepost.oauth.consent import Consent
from gatepost.oauth.pushed_requests import PushedRequest
from gatepost.stores.conformance.records import (
    NOW,
    client,
    code,
    device,
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
from gatepost.stores.contract.account_links import AccountLink
from gatepost.stores.contract.approvals import GrantListing
from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome


async def test_a_grant_without_a_code_has_its_tokens(store: Store) -> None:
    await store.approvals.give_grant(grant(), tokens("given"))

    live = await store.grants.find_access_token(fp("access given"), now=NOW)
    assert live is not None
    assert live.grant_id == "grant-1"
    refresh = await find_refresh_token(store, fp("refresh given"))
    assert refresh == tokens("given").refresh


async def test_a_grant_is_found_by_either_token_whatever_became_of_it(store: Store) -> None:
    granted = await redeem(store)
    await store.grants.revoke_grant(granted.grant_id, reason="asked", now=NOW)

    for token in ("access 1", "refresh 1"):
        found = await store.approvals.find_grant_of_token(fp(token))
        assert found is not None
        assert (found.grant_id, found.revoked_at, found.revoked_reason) == ("grant-1", NOW, "asked")
    assert await store.approvals.find_grant_of_token(fp("access 2")) is None


async def test_grants_are_listed_with_names_the_newest_first(store: Store) -> None:
    await store.clients.register_client(client())
    await store.users.add_user(user())
    old = await redeem(store, "1")
    new = await redeem(store, "2", created_at=NOW + 1, subject="elsewhere", client_id="client-2")

    listed = await store.approvals.list_grants(live_at=None, subject=None, client_id=None, limit=10)

    assert listed == [GrantListing(new, None, None), GrantListing(old, client().client_name, "ada")]


@pytest.mark.parametrize("narrowed", [{}, {"subject": "a"}, {"client_id": "x"}, {"live_at": NOW}])
async def test_pages_of_a_list_follow_each_other_without_gap_or_overlap(store: Store, narrowed: dict[str, Any]) -> None:
    for number in range(7):
        await redeem(store, str(number), subject="a", client_id="x", created_at=NOW + number // 3)
    asked = {"live_at": None, "subject": None, "client_id": None, **narrowed}
    seen: list[str] = []
    before: tuple[int, str] | None = None
    while page := await store.approvals.list_grants(limit=2, before=before, **asked):
        seen += [listing.grant.grant_id[-1] for listing in page]
        before = page[-1].grant.created_at, page[-1].grant.grant_id

    assert "".join(seen) == "6345012"


async def test_a_list_can_be_narrowed_to_what_lives_and_to_a_user_a_client_a_number(store: Store) -> None:
    for name, subject, client_id in (("1", "a", "x"), ("2", "a", "y"), ("3", "b", "x"), ("4", "b", "y")):
        await redeem(store, name, subject=subject, client_id=client_id)
    await redeem(store, "5", subject="a", client_id="x", expires_at=NOW + 1)
    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)

    async def names(
        live_at: int | None = None, subject: str | None = None, client_id: str | None = None, limit: int = 10
    ) -> list[str]:
        listed = await store.approvals.list_grants(live_at=live_at, subject=subject, client_id=client_id, limit=limit)
        return [listing.grant.grant_id[-1] for listing in listed]

    assert await names() == ["1", "2", "3", "4", "5"]
    assert await names(live_at=NOW) == ["2", "3", "4", "5"]
    assert await names(live_at=NOW + 1) == ["2", "3", "4"]
    assert await names(subject="a") == ["1", "2", "5"]
    assert await names(client_id="x") == ["1", "3", "5"]
    assert await names(live_at=NOW, subject="a", client_id="x") == ["5"]
    assert await names(limit=2) == ["1", "2"]


REVOKED = {
    "grants": 1,
    "API keys": 0,
    "browser sessions": 1,
    "account links": 1,
    "authorization requests": 1,
    "pushed authorization requests": 1,
    "logins by device": 1,
    "remembered approvals": 1,
    "MCP sessions": 1,
    "tokens for tools": 0,
}
NOTHING = dict.fromkeys(REVOKED, 0)


async def give_access(store: Store, name: str, *, at: int) -> None:
    """Give all that gives access: tokens, a code that waits, requests, a login, a link, an approval, an MCP session."""
    await store.account_links.offer_link(AccountLink(fp(f"link {name}"), None, None, at, at + 3600))
    await store.approvals.give_grant(grant(f"grant-{name}", created_at=at), tokens(name, f"grant-{name}"))
    await store.transactions.begin_transaction(transaction(f"transaction-{name}", created_at=at))
    await store.pushed_requests.push_request(
        PushedRequest(fp(f"reference {name}"), f"client-{name}", "state=1", at, NOW + 60)
    )
    asked = device(name, name.upper().ljust(8, "B")[:8], created_at=at, expires_at=NOW + 60)
    assert await store.device_authorizations.begin_device_authorization(asked)
    remembered = Consent(
        "user-1", f"client-{name}", "https://app.example/", "https://mcp.example/", ("notes:read",), at, NOW + 60
    )
    approved = code(f"code-{name}", f"transaction-{name}")
    outcome = await store.transactions.approve_transaction(approved, now=NOW, consent=remembered)
    assert outcome is ApproveOutcome.APPROVED
    await store.browser_sessions.start_session(session(f"session-{name}", created_at=at))
    mcp_session = McpSession(fp(f"mcp-{name}"), "owner", "2025-11-25", b"{}", created_at=at, expires_at=NOW + 60)
    await store.mcp_sessions.start_session(mcp_session, most=9, makes_room=False)


async def access(store: Store, name: str) -> list[bool]:
    """Say for each of them whether it still is good."""
    token = await store.grants.find_access_token(fp(f"access {name}"), now=NOW)
    refresh = await store.grants.find_refresh(fp(f"refresh {name}"))
    return [
        token is not None and not token.grant_revoked,
        refresh is not None and refresh.grant.revoked_at is None,
        await store.grants.find_code(fp(f"code-{name}"), now=NOW) is not None,
        await store.transactions.find_transaction(f"transaction-{name}", now=NOW) is not None,
        await store.browser_sessions.find_session(fp(f"session-{name}"), now=NOW) is not None,
        await is_remembered(store, f"client-{name}"),
        await store.mcp_sessions.find_session(fp(f"mcp-{name}"), owner="owner", now=NOW) is not None,
    ]


async def is_remembered(store: Store, client_id: str) -> bool:
    return None is not await store.consents.find_consent(
        "user-1", client_id=client_id, redirect_uri="https://app.example/", resource="https://mcp.example/", now=NOW
    )


async def test_all_access_ends_that_began_before_a_time(store: Store) -> None:
    await give_access(store, "old", at=NOW - 1)
    await give_access(store, "new", at=NOW)

    ended = await store.approvals.revoke_all(issued_before=NOW, reason="asked", now=NOW + 5)

    assert ended == REVOKED
    assert await access(store, "old") == [False] * 7
    assert await access(store, "new") == [True] * 7
    kept = await find_grant(store, "grant-old")
    assert kept is not None
    assert (kept.revoked_at, kept.revoked_reason) == (NOW + 5, "asked")
    assert await store.approvals.revoke_all(issued_before=NOW, reason="asked", now=NOW + 6) == NOTHING


async def test_without_a_time_all_access_ends_even_what_a_clock_that_ran_ahead_has_given(store: Store) -> None:
    await give_access(store, "ahead", at=NOW + 1_000_000)

    assert await store.approvals.revoke_all(issued_before=None, reason="asked", now=NOW) == REVOKED
    assert await access(store, "ahead") == [False] * 7


async def test_a_grant_that_was_revoked_before_keeps_its_reason(store: Store) -> None:
    await redeem(store)
    await store.grants.revoke_grant("grant-1", reason="first", now=NOW)

    assert (await store.approvals.revoke_all(issued_before=None, reason="asked", now=NOW + 5))["grants"] == 0
    kept = await find_grant(store, "grant-1")
    assert kept is not None
    assert (kept.revoked_at, kept.revoked_reason) == (NOW, "first")


async def test_accounts_clients_and_keys_stay_when_all_access_ends(store: Store) -> None:
    await store.users.add_user(user())
    await store.clients.register_client(client())
    key = SealedSigningKey("key-1", "ES256", b"sealed", NOW, NOW)
    await store.keys.begin_signing(key, now=NOW)

    await store.approvals.revoke_all(issued_before=None, reason="asked", now=NOW)

    assert await store.users.list_users() == [user()]
    assert await store.clients.find_client("client-1") == client()
    assert await store.keys.signing_keys(now=NOW) == [key]


async def test_a_person_gets_what_somebody_else_vouched_for_unless_they_or_the_client_are_disabled(
    store: Store,
) -> None:
    issued = replace(tokens("given", "given"), refresh=None)
    assert not await store.approvals.give_user_grant(grant("given"), issued)
    assert await store.users.add_user(user())
    # A client that the store does not hold is known by its document.
    assert await store.approvals.give_user_grant(grant("given"), issued)
    assert await store.grants.find_access_token(fp("access given"), now=NOW) is not None
    more = replace(tokens("more", "more"), refresh=None)
    await store.clients.register_client(client())
    await store.clients.disable_client("client-1", now=NOW)
    assert not await store.approvals.give_user_grant(grant("more"), more)
    await store.clients.enable_client("client-1")
    await store.users.disable_user("user-1", now=NOW)
    assert not await store.approvals.give_user_grant(grant("more"), more)
    assert await store.grants.find_access_token(fp("access more"), now=NOW) is None
