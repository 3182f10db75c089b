"""Tokens of login providers elsewhere, on every backend: one refresh at a time, and nothing that diverges."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gatepost.stores.conformance.records import NOW, user
from gatepost.stores.contract.linked_logins import LinkedLogin, LinkOutcome, LoginKey, UnlinkOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.upstream_tokens import KeptTokens
from gatepost.stores.contract.users import LOCAL


def kept(version: str = "1", **changes: Any) -> KeptTokens:
    first = KeptTokens(
        subject="user-1",
        provider="github",
        issuer="https://github.com/login/oauth",
        external_subject="583231",
        scopes=("read:user", "repo"),
        sealed_tokens=b"\x00sealed " + version.encode(),
        version=version,
        is_refreshable=True,
        linked_at=NOW,
        renewed_at=NOW,
        expires_at=NOW + 28_800,
        ends_at=NOW + 100_000,
    )
    return replace(first, **changes)


async def begun(store: Store) -> Any:
    """The operations, where there are two people."""
    await store.users.add_user(user())
    await store.users.add_user(user("user-2", "bob"))
    await come_there(store, kept(), OF_BOB, kept(**OF_TENANT))
    return store.upstream_tokens


OF_BOB = kept(subject="user-2", external_subject="99")
OF_TENANT = {"provider": "entra", "login_issuer": "https://login.example/tenant"}


async def come_there(store: Store, *every: KeptTokens) -> None:
    """Link the logins that bring these."""
    for one in every:
        linked = LinkedLogin(*one.login, one.subject, NOW)
        assert await store.linked_logins.link_login(linked) in {LinkOutcome.LINKED, LinkOutcome.OWN}


async def test_what_is_kept_is_found_by_person_and_provider_and_replaced_by_version(store: Store) -> None:
    tokens = await begun(store)
    assert await tokens.keep_tokens(kept(), replaces=None)
    assert await tokens.find_tokens("user-1", "github") == kept()
    assert await tokens.find_tokens("user-1", "gitlab") is None
    assert await tokens.find_tokens("user-2", "github") is None

    never = kept("2", expires_at=None, ends_at=None, is_refreshable=False)
    assert not await tokens.keep_tokens(never, replaces=None)
    assert not await tokens.keep_tokens(never, replaces="another")
    assert await tokens.keep_tokens(never, replaces="1")
    assert await tokens.find_tokens("user-1", "github") == never


async def test_lists_are_of_one_person_or_of_everybody_and_bounded(store: Store) -> None:
    tokens = await begun(store)
    every = [kept(), kept(provider="gitlab"), OF_BOB]
    for one in reversed(every):
        assert await tokens.keep_tokens(one, replaces=None)
    assert await tokens.list_tokens(None, limit=10) == every
    assert await tokens.list_tokens(None, limit=2) == every[:2]
    assert await tokens.list_tokens("user-2", limit=10) == every[2:]
    for number, one in enumerate(every):
        after = one.subject, one.provider
        assert await tokens.list_tokens(None, limit=10, after=after) == every[number + 1 :]
    assert await tokens.list_tokens("user-2", limit=10, after=("user-1", "")) == every[2:]


@pytest.mark.parametrize("changes", [{}, OF_TENANT])
async def test_nothing_is_kept_of_a_login_that_was_unlinked_meanwhile(store: Store, changes: dict[str, str]) -> None:
    tokens = await begun(store)
    brought = kept(**changes)
    assert await tokens.keep_tokens(brought, replaces=None)
    password = [LoginKey(LOCAL, "user-1")]
    assert await store.linked_logins.unlink_login("user-1", brought.login, keeps=password) is UnlinkOutcome.UNLINKED
    assert await tokens.list_tokens("user-1", limit=9) == []

    assert not await tokens.keep_tokens(brought, replaces=None)

    await store.users.recognise_user(*brought.login, display_name=None, subjects=("user-3",), now=NOW)
    assert not await tokens.keep_tokens(brought, replaces=None), "it is somebody else's by now"
    assert await tokens.list_tokens(None, limit=9) == []


async def test_of_an_unlinking_and_what_a_login_brings_at_once_nothing_is_left(store: Store) -> None:
    tokens = await begun(store)
    unlinks = store.linked_logins.unlink_login("user-1", kept().login, keeps=[LoginKey(LOCAL, "user-1")])

    await asyncio.gather(tokens.keep_tokens(kept(), replaces=None), unlinks, tokens.keep_tokens(kept(), replaces=None))

    assert await tokens.list_tokens("user-1", limit=9) == []


async def test_nothing_is_kept_for_who_is_disabled_or_unknown(store: Store) -> None:
    tokens = await begun(store)
    assert not await tokens.keep_tokens(kept(subject="nobody"), replaces=None)
    assert await tokens.keep_tokens(kept(), replaces=None)
    await store.users.disable_user("user-1", now=NOW)
    assert await tokens.find_tokens("user-1", "github") is None
    assert not await tokens.keep_tokens(kept(), replaces=None)
    await store.users.enable_user("user-1")
    assert await tokens.find_tokens("user-1", "github") is None


async def test_of_many_at_once_one_refreshes(store: Store) -> None:
    tokens = await begun(store)
    await tokens.keep_tokens(kept(), replaces=None)
    claims = [tokens.claim_refresh(kept(), holder=str(number), now=NOW, until=NOW + 60) for number in range(20)]
    assert sum(await asyncio.gather(*claims)) == 1


async def test_a_claim_lasts_until_its_end_and_its_holder_may_claim_again(store: Store) -> None:
    tokens = await begun(store)
    await tokens.keep_tokens(kept(), replaces=None)
    assert not await tokens.claim_refresh(kept("another"), holder="a", now=NOW, until=NOW + 60)
    assert await tokens.claim_refresh(kept(), holder="a", now=NOW, until=NOW + 60)
    assert await tokens.claim_refresh(kept(), holder="a", now=NOW + 1, until=NOW + 61)
    assert not await tokens.claim_refresh(kept(), holder="b", now=NOW + 60, until=NOW + 120)
    assert await tokens.claim_refresh(kept(), holder="b", now=NOW + 61, until=NOW + 121)


async def test_who_has_claimed_keeps_the_new_tokens_once_or_more_often(store: Store) -> None:
    tokens = await begun(store)
    await tokens.keep_tokens(kept(), replaces=None)
    await tokens.claim_refresh(kept(), holder="a", now=NOW, until=NOW + 60)
    assert not await tokens.keep_refreshed(kept("2"), replaces="1", holder="b")
    assert await tokens.keep_refreshed(kept("2"), replaces="1", holder="a")
    assert await tokens.keep_refreshed(kept("2"), replaces="1", holder="a"), "its answer may have been lost"
    assert await tokens.find_tokens("user-1", "github") == kept("2")
    assert await tokens.claim_refresh(kept("2"), holder="b", now=NOW, until=NOW + 60), "the claim is over"


async def test_a_refresh_that_comes_too_late_changes_nothing(store: Store) -> None:
    tokens = await begun(store)
    await tokens.keep_tokens(kept(), replaces=None)
    await tokens.claim_refresh(kept(), holder="a", now=NOW, until=NOW + 60)

    # Another took over when the claim was over.
    assert await tokens.claim_refresh(kept(), holder="b", now=NOW + 60, until=NOW + 120)
    assert not await tokens.keep_refreshed(kept("late"), replaces="1", holder="a")
    # The person logged in meanwhile.
    assert await tokens.keep_tokens(kept("3"), replaces="1")
    assert not await tokens.keep_refreshed(kept("late"), replaces="1", holder="b")
    assert await tokens.find_tokens("user-1", "github") == kept("3")
    # All was ended meanwhile, and even begun again.
    assert await tokens.end_tokens("user-1") == [kept("3")]
    assert not await tokens.keep_refreshed(kept("late"), replaces="1", holder="b")
    assert await tokens.find_tokens("user-1", "github") is None


async def test_a_refresh_that_failed_is_put_off_by_its_holder_alone(store: Store) -> None:
    tokens = await begun(store)
    await tokens.keep_tokens(kept(), replaces=None)
    await tokens.claim_refresh(kept(), holder="a", now=NOW, until=NOW + 60)
    await tokens.defer_refresh(kept(), holder="b", retry_at=NOW + 5)
    assert not await tokens.claim_refresh(kept(), holder="c", now=NOW, until=NOW + 60)
    await tokens.defer_refresh(kept(), holder="a", retry_at=NOW + 5)
    assert await tokens.find_tokens("user-1", "github") == kept(retry_at=NOW + 5)
    assert not await tokens.claim_refresh(kept(), holder="c", now=NOW + 5, until=NOW + 60), "who has not heard of it"
    assert await tokens.claim_refresh(kept(retry_at=NOW + 5), holder="c", now=NOW + 5, until=NOW + 60)


async def test_tokens_end_for_one_provider_or_all_and_only_those_that_are_meant(store: Store) -> None:
    tokens = await begun(store)
    every = [kept(), kept(provider="gitlab"), OF_BOB]
    for one in every:
        await tokens.keep_tokens(one, replaces=None)
    assert await tokens.end_tokens("user-1", provider="github", version="another") == []
    assert await tokens.end_tokens("user-1", provider="github", version="1") == every[:1]
    assert await tokens.end_tokens("user-1", provider="github") == []
    assert await tokens.end_tokens("user-1") == every[1:2]
    assert await tokens.list_tokens(None, limit=10) == every[2:]


async def test_they_end_with_all_access_that_began_before_a_time(store: Store) -> None:
    tokens = await begun(store)
    for name, at in (("old", NOW - 1), ("new", NOW)):
        await tokens.keep_tokens(kept(provider=name, linked_at=at, renewed_at=NOW + 5), replaces=None)
    ended = await store.approvals.revoke_all(issued_before=NOW, reason="asked", now=NOW)
    assert ended["tokens for tools"] == 1
    assert [one.provider for one in await tokens.list_tokens(None, limit=9)] == ["new"]


async def test_sealing_anew_leaves_all_else_and_no_newer_tokens_are_lost_by_it(store: Store) -> None:
    tokens = await begun(store)
    await tokens.keep_tokens(kept(), replaces=None)
    await tokens.claim_refresh(kept(), holder="a", now=NOW, until=NOW + 60)
    await tokens.reseal_tokens(kept("another"), b"sealed anew")
    await tokens.reseal_tokens(kept(), b"sealed anew")
    assert (await tokens.find_tokens("user-1", "github")).sealed_tokens == b"sealed anew"
    assert await tokens.keep_refreshed(kept("2"), replaces="1", holder="a")


async def test_those_that_are_over_go_and_those_without_an_end_stay(store: Store) -> None:
    tokens = await begun(store)
    for name, end in (("a", NOW + 1), ("b", NOW + 2), ("c", None), ("d", NOW + 3)):
        await tokens.keep_tokens(kept(provider=name, ends_at=end), replaces=None)
    assert await tokens.delete_tokens(before=NOW + 2, limit=1) == 1
    assert await tokens.delete_tokens(before=NOW + 2, limit=9) == 1
    assert await tokens.delete_tokens(before=NOW + 2, limit=9) == 0
    assert [one.provider for one in await tokens.list_tokens(None, limit=9)] == ["c", "d"]
