"""Connected apps: a person's own view of what they allowed, and taking it back, on every backend."""

import asyncio
from dataclasses import replace
from functools import partial

from gatepost.oauth.consent import Consent
from gatepost.oauth.records import Grant, IssuedTokens
from gatepost.stores.conformance.records import (
    NOW,
    RESOURCE,
    WINDOW,
    approve,
    client,
    find_grant,
    fp,
    grant,
    redeem,
    remember_consent,
    tokens,
)
from gatepost.stores.contract.approvals import ConnectedApp
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.store import Store

URI = "https://app.example/callback"


def consent(subject: str = "user-1", client_id: str = "client-1") -> Consent:
    return Consent(subject, client_id, URI, RESOURCE, ("notes:read",), created_at=NOW, expires_at=NOW + 1000)


async def remembers(store: Store, approval: Consent) -> bool:
    found = await store.consents.find_consent(
        approval.subject, client_id=approval.client_id, redirect_uri=URI, resource=RESOURCE, now=NOW
    )
    return found is not None


async def take_back(store: Store, grant_id: str | None, *, now: int = NOW) -> list[Grant]:
    return await store.approvals.take_back("user-1", grant_id=grant_id, reason="user_revoked", now=now)


async def test_apps_are_a_persons_own_with_name_address_and_last_token(store: Store) -> None:
    await store.clients.register_client(client())
    old = await redeem(store, "1", redirect_uri=URI)
    new = await redeem(store, "2", created_at=NOW + 1, client_id="client-2")
    await redeem(store, "3", subject="user-2")
    await store.grants.rotate_refresh_token(
        fp("refresh 1"), tokens("next", now=NOW + 500), b"sealed", now=NOW + 500, window=WINDOW
    )

    apps = await store.approvals.list_apps("user-1", now=NOW + 500, limit=10)

    assert apps == [ConnectedApp(new, None, NOW), ConnectedApp(old, client().client_name, NOW + 500)]
    assert await store.approvals.list_apps("user-1", now=NOW + 500, limit=1) == apps[:1]


async def test_an_app_is_connected_as_long_as_a_token_of_it_counts_or_can_be_refreshed(store: Store) -> None:
    await redeem(store, "1")
    await store.approvals.give_grant(grant("grant-2"), IssuedTokens(tokens("2", "grant-2").access, None))
    await redeem(store, "3", expires_at=NOW + 100)
    await redeem(store, "4")
    await store.grants.revoke_grant("grant-4", reason="asked", now=NOW)

    async def connected(now: int) -> list[str]:
        return [app.grant.grant_id for app in await store.approvals.list_apps("user-1", now=now, limit=10)]

    assert await connected(NOW) == ["grant-1", "grant-2", "grant-3"]
    assert await connected(NOW + 100) == ["grant-1", "grant-2"]
    assert await connected(NOW + 3600) == ["grant-1"]
    assert await connected(NOW + 49_999) == ["grant-1"]
    assert await connected(NOW + 50_000) == []


async def test_a_spent_refresh_token_connects_nothing(store: Store) -> None:
    await redeem(store, "1")
    short = tokens("next")
    assert short.refresh is not None
    successor = IssuedTokens(short.access, replace(short.refresh, expires_at=NOW + 4000))
    await store.grants.rotate_refresh_token(fp("refresh 1"), successor, b"sealed", now=NOW, window=WINDOW)

    for now, count in ((NOW + 3999, 1), (NOW + 4000, 0)):
        assert len(await store.approvals.list_apps("user-1", now=now, limit=10)) == count


async def test_one_app_is_taken_back_with_its_tokens_and_its_remembered_approval(store: Store) -> None:
    granted, other = await redeem(store, "1"), await redeem(store, "2", client_id="client-2")
    await remember_consent(store, consent())
    await remember_consent(store, consent(client_id="client-2"))

    assert await take_back(store, "grant-1", now=NOW + 5) == [granted]

    ended = await find_grant(store, "grant-1")
    assert ended is not None
    assert (ended.revoked_at, ended.revoked_reason) == (NOW + 5, "user_revoked")
    live = await store.grants.find_access_token(fp("access 1"), now=NOW + 5)
    assert live is not None
    assert live.grant_revoked is True
    assert await find_grant(store, "grant-2") == other
    assert [await remembers(store, consent()), await remembers(store, consent(client_id="client-2"))] == [False, True]


async def test_what_is_another_persons_over_or_taken_back_already_is_like_what_there_is_not(store: Store) -> None:
    foreign = await redeem(store, "1", subject="user-2")
    await redeem(store, "2", expires_at=NOW + 1)
    await redeem(store, "3")
    await remember_consent(store, consent("user-2"))
    await take_back(store, "grant-3")

    answers = [await take_back(store, f"grant-{name}", now=NOW + 1) for name in ("1", "2", "3", "unknown")]

    assert answers == [[], [], [], []]
    assert await find_grant(store, "grant-1") == foreign
    assert await remembers(store, consent("user-2")) is True


async def test_all_apps_are_taken_back_with_what_is_approved_and_what_is_remembered(store: Store) -> None:
    mine = [await redeem(store, "1"), await redeem(store, "2", client_id="client-2")]
    foreign = await redeem(store, "3", subject="user-2")
    await remember_consent(store, consent(client_id="client-3"))
    await remember_consent(store, consent("user-2"))
    waiting, others = await approve(store, "4"), await approve(store, "5", subject="user-2")

    assert await take_back(store, None) == mine

    assert [await find_grant(store, f"grant-{name}") == foreign for name in "123"] == [False, False, True]
    assert await remembers(store, consent(client_id="client-3")) is False
    assert await remembers(store, consent("user-2")) is True
    too_late = await store.grants.redeem_code(
        waiting.code_fingerprint, grant("grant-4"), tokens("4", "grant-4"), now=NOW
    )
    assert too_late is RedeemOutcome.LOST_RACE
    assert await store.grants.find_code(others.code_fingerprint, now=NOW) == others


async def test_one_grant_is_taken_back_whosever_it_is_and_never_all_of_everybody(store: Store) -> None:
    mine, foreign = await redeem(store, "1"), await redeem(store, "2", subject="user-2")
    back = partial(store.approvals.take_back, None, reason="operator_revoked", now=NOW)

    assert await back(grant_id=None) == []
    assert await back(grant_id="unknown") == []
    assert await back(grant_id="grant-2") == [foreign]
    assert await back(grant_id="grant-2") == []
    assert await find_grant(store, "grant-1") == mine


async def test_of_two_who_take_one_back_at_once_one_does(store: Store) -> None:
    granted = await redeem(store)

    answers = await asyncio.gather(*(take_back(store, "grant-1") for _ in range(4)))

    assert sorted(answers, key=len) == [[], [], [], [granted]]
