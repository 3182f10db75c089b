"""Links for one person, which terminal and pages offer alike."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from gatepost.identity.account_links import AccountLinkOffers
from gatepost.identity.usernames import UsernameRefused
from gatepost.stores.conformance.records import NOW, user
from gatepost.stores.contract.account_links import AccountLink
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import fingerprint

BASE = "https://mcp.example.com/oauth/account/link?token="


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = memory_store()
    await store.open()
    yield store
    await store.close()


def offers(store: Store) -> AccountLinkOffers:
    return AccountLinkOffers(
        links=store.account_links,
        origin="https://mcp.example.com",
        now=lambda: NOW,
        random_bytes=secrets.token_bytes,
    )


async def kept(store: Store, url: str | None, *, now: int = NOW) -> AccountLink | None:
    assert url is not None
    assert url.startswith(BASE + "gp_al_")
    return await store.account_links.find_link(fingerprint(url.removeprefix(BASE)), now=now)


async def test_an_invitation_is_for_a_name_in_its_one_spelling_or_for_any(store: Store) -> None:
    named, free = await offers(store).invite("BOB"), await offers(store).invite(hours=1)

    links = [await kept(store, url) for url in (named, free)]

    assert [link and (link.subject, link.username, link.expires_at - NOW) for link in links] == [
        (None, "bob", 24 * 3600),
        (None, None, 3600),
    ]
    await offers(store).invite("bob")
    assert await kept(store, named) is None


async def test_a_name_that_is_taken_or_can_be_nobodys_is_not_invited(store: Store) -> None:
    await store.users.add_user(user())

    assert await offers(store).invite("Ada") is None
    with pytest.raises(UsernameRefused):
        await offers(store).invite("no name")


async def test_a_link_sets_the_password_of_one_account_unless_it_is_disabled_or_has_none(store: Store) -> None:
    await store.users.add_user(user())
    elsewhere = await store.users.recognise_user(
        "https://idp.example", "x", display_name=None, subjects=["user-2"], now=NOW
    )

    link = await kept(store, await offers(store).reset_password(user(), hours=168))

    assert link is not None
    assert (link.subject, link.username, link.expires_at) == ("user-1", "ada", NOW + 168 * 3600)
    assert await offers(store).reset_password(elsewhere) is None
    await store.users.disable_user("user-1", now=NOW)
    assert await offers(store).reset_password(user()) is None
