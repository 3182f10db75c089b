"""Invitations and links that set a password, on every backend."""

import asyncio
from typing import Any

import pytest

from gatepost.stores.conformance.records import NOW, fp, session, user
from gatepost.stores.contract.account_links import AccountLink, InvitationOutcome
from gatepost.stores.contract.store import Store

ACCEPTED, OVER, TAKEN = (
    InvitationOutcome.ACCEPTED,
    InvitationOutcome.LINK_OVER,
    InvitationOutcome.USERNAME_TAKEN,
)


def link(name: str = "link", **changes: Any) -> AccountLink:
    values: dict[str, Any] = {"subject": None, "username": None, "created_at": NOW, "expires_at": NOW + 100, **changes}
    return AccountLink(fp(name), **values)


def reset(name: str = "reset", **changes: Any) -> AccountLink:
    return link(name, subject="user-1", username="ada", **changes)


async def counts(store: Store, *names: str, now: int = NOW) -> list[bool]:
    return [await store.account_links.find_link(fp(name), now=now) is not None for name in names]


async def test_an_invitation_makes_one_account_and_is_over(store: Store) -> None:
    assert await store.account_links.offer_link(link()) is True
    assert await store.account_links.find_link(fp("link"), now=NOW + 99) == link()
    assert await counts(store, "link", now=NOW + 100) == [False]

    made = [user("user-1", "ada"), user("user-2", "bob"), user("user-3", "eve")]
    outcomes = await asyncio.gather(*(store.account_links.accept_invitation(fp("link"), new, now=NOW) for new in made))

    assert sorted(outcome.name for outcome in outcomes) == ["ACCEPTED", "LINK_OVER", "LINK_OVER"]
    assert len(await store.users.list_users()) == 1
    assert await counts(store, "link") == [False]


async def test_a_name_that_is_taken_uses_no_invitation_up(store: Store) -> None:
    await store.users.add_user(user())
    await store.account_links.offer_link(link())
    accept = store.account_links.accept_invitation

    assert await accept(fp("link"), user("user-2", "ada"), now=NOW) is TAKEN
    assert await accept(fp("link"), user("user-2", "bob"), now=NOW) is ACCEPTED


async def test_an_invitation_for_a_name_is_for_that_name_and_replaced_by_a_newer_one(store: Store) -> None:
    for name in ("old", "new"):
        assert await store.account_links.offer_link(link(name, username="ada"))
    await store.account_links.offer_link(link("bobs", username="bob"))
    await store.account_links.offer_link(link("anybodys"))
    await store.account_links.offer_link(link("anybodys, too"))
    assert await counts(store, "old", "new", "bobs", "anybodys", "anybodys, too") == [False, True, True, True, True]

    assert await store.account_links.accept_invitation(fp("new"), user("user-2", "eve"), now=NOW) is OVER
    await store.users.add_user(user())
    assert await counts(store, "new") == [False]
    assert await store.account_links.offer_link(link("late", username="ada")) is False


async def test_a_password_is_set_once_and_every_browser_is_logged_out(store: Store) -> None:
    await store.users.add_user(user())
    await store.browser_sessions.start_session(session())
    for name in ("old", "new"):
        assert await store.account_links.offer_link(reset(name))

    set_by = [await store.account_links.reset_password(fp(name), "$new", now=NOW) for name in ("old", "new", "new")]

    assert set_by == [None, "user-1", None]
    assert await store.users.find_user("ada") == user(password_hash="$new")
    assert await store.browser_sessions.find_session(fp("session-1"), now=NOW) is None


@pytest.mark.parametrize("event", ["change", "disable", "expire"])
async def test_a_link_that_sets_a_password_ends_with_a_change_a_disabling_and_its_time(
    store: Store, event: str
) -> None:
    await store.users.add_user(user())
    await store.account_links.offer_link(reset())
    if event == "change":
        await store.users.change_password("ada", "$other")
    elif event == "disable":
        await store.users.disable_user("user-1", now=NOW)
        assert await store.account_links.offer_link(reset("another")) is False
        await store.users.enable_user("user-1")
    now = NOW + 100 if event == "expire" else NOW

    assert await counts(store, "reset", now=now) == [False]
    assert await store.account_links.reset_password(fp("reset"), "$new", now=now) is None
    kept = await store.users.find_user("ada")
    assert kept is not None
    assert kept.password_hash != "$new"


async def test_a_link_of_one_kind_does_nothing_of_the_other(store: Store) -> None:
    await store.users.add_user(user())
    await store.account_links.offer_link(reset())
    await store.account_links.offer_link(link())

    assert await store.account_links.accept_invitation(fp("reset"), user("user-2", "bob"), now=NOW) is OVER
    assert await store.account_links.reset_password(fp("link"), "$new", now=NOW) is None
    assert await store.account_links.offer_link(link("nobodys", subject="unknown", username="eve")) is False
    assert await counts(store, "reset", "link") == [True, True]


async def test_links_that_are_over_are_deleted(store: Store) -> None:
    for name, end in (("a", 10), ("b", 20), ("c", 30)):
        await store.account_links.offer_link(link(name, expires_at=NOW + end))

    assert await store.account_links.delete_links(before=NOW + 20, limit=1) == 1
    assert await store.account_links.delete_links(before=NOW + 20, limit=10) == 1
    assert await counts(store, "a", "b", "c") == [False, False, True]
