"""What administrators do about people's passkeys, logins elsewhere, and tokens that those left for tools."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gatepost.identity import passwords
from gatepost.stores.contract.linked_logins import LinkedLogin, LinkOutcome
from gatepost.stores.contract.passkeys import Passkey
from gatepost.stores.contract.upstream_tokens import KeptTokens
from gatepost.stores.contract.users import NOBODY, User
from tests.attacks.admin_world import PERSON, UPSTREAM, act, administered, events, of, person
from tests.attacks.installed import Installed
from tests.web.pages.pages_world import heading

NOW = 1_800_000_000
ISSUER = "https://id.example"


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MEMORY_COST", 64)
    passwords._hasher.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", passwords._hasher.__wrapped__)


@pytest.fixture
async def gatepost() -> AsyncIterator[Installed]:
    async with administered() as running:
        yield running


@pytest.fixture
async def bob(gatepost: Installed) -> User:
    return await person(gatepost, "bob")


async def page_of(gatepost: Installed, bob: User) -> str:
    answer = await gatepost.http.get(of(PERSON, subject=bob.subject))
    assert answer.status_code == 200
    return answer.text


async def act_on(gatepost: Installed, bob: User, do: str, **fields: str) -> None:
    answer = await act(gatepost.http, PERSON, subject=bob.subject, do=do, **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, of(PERSON, subject=bob.subject))


async def actors(gatepost: Installed, event: str) -> list[tuple[str | None, str | None]]:
    return [(each.subject, each.actor) for each in await events(gatepost, event=event)]


def passkey(bob: User, name: str = "Phone") -> Passkey:
    return Passkey(name.encode(), bob.subject, b"handle", "localhost", name, b"key", 0, (), NOW)


async def link(gatepost: Installed, subject: str, provider: str = "github") -> None:
    """Link the login with which `kept` came."""
    login = LinkedLogin(f"https://{provider}.example", "583231", subject, NOW)
    assert await gatepost.store.linked_logins.link_login(login) is LinkOutcome.LINKED


def kept(subject: str, provider: str = "github", **changes: Any) -> KeptTokens:
    """Return what a login at a provider left for tools."""
    return replace(_kept(subject, provider), **changes)


def _kept(subject: str, provider: str) -> KeptTokens:
    return KeptTokens(
        subject,
        provider,
        f"https://{provider}.example",
        "583231",
        ("repo",),
        b"",
        "1",
        is_refreshable=True,
        linked_at=NOW,
        renewed_at=NOW,
        expires_at=None,
        ends_at=None,
    )


async def test_a_login_elsewhere_is_unlinked_once_and_the_password_never(gatepost: Installed, bob: User) -> None:
    await gatepost.store.linked_logins.link_login(LinkedLogin(ISSUER, "x1", bob.subject, NOW, "Bob B."))
    assert (await page_of(gatepost, bob)).count('value="unlink"') == 1

    await act_on(gatepost, bob, "unlink", issuer=bob.issuer)
    for _ in range(2):
        await act_on(gatepost, bob, "unlink", issuer=ISSUER)

    assert [each.issuer for each in await gatepost.store.linked_logins.list_logins(bob.subject)] == [bob.issuer]
    assert await actors(gatepost, "login_unlinked") == [(bob.subject, (await person(gatepost, "ada")).subject)]
    assert 'value="unlink"' not in await page_of(gatepost, bob)


async def test_the_only_login_is_unlinked_of_who_is_disabled_alone(gatepost: Installed) -> None:
    await gatepost.store.users.recognise_user(ISSUER, "x1", display_name="Zoe", subjects=("user_zoe",), now=NOW)

    answer = await act(gatepost.http, PERSON, subject="user_zoe", do="unlink", issuer=ISSUER)
    assert (answer.status_code, heading(answer)) == (409, "This is their only login")

    await act(gatepost.http, PERSON, subject="user_zoe", do="disable")
    await act(gatepost.http, PERSON, subject="user_zoe", do="unlink", issuer=ISSUER)
    zoe = await gatepost.store.users.find_user_by_subject("user_zoe")
    assert zoe is not None
    assert zoe.issuer == NOBODY


async def test_passkeys_are_renamed_and_removed(gatepost: Installed, bob: User) -> None:
    store = gatepost.store.passkeys
    for name in ("Phone", "Laptop"):
        await store.add_passkey(passkey(bob, name))
    page = await page_of(gatepost, bob)
    assert re.search(r"<dt>Passkeys</dt><dd>2</dd>", page)
    phone = passkey(bob).number

    for name in ("Old phone", "Old phone", "", "\u202e"):
        await act_on(gatepost, bob, "rename_passkey", passkey=phone, name=name)
    await act_on(gatepost, bob, "rename_passkey", passkey="unknown", name="x")
    assert [each.name for each in await store.list_passkeys(bob.subject)] == ["Laptop", "Old phone"]
    for _ in range(2):
        await act_on(gatepost, bob, "remove_passkey", passkey=phone)

    assert [each.name for each in await store.list_passkeys(bob.subject)] == ["Laptop"]
    by_ada = (bob.subject, (await person(gatepost, "ada")).subject)
    assert await actors(gatepost, "passkey_renamed") == [by_ada]
    assert await actors(gatepost, "passkey_removed") == [by_ada]


async def test_a_passkey_of_somebody_else_stays(gatepost: Installed, bob: User) -> None:
    carl = await person(gatepost, "carl")
    await gatepost.store.passkeys.add_passkey(passkey(carl))

    for do in ("rename_passkey", "remove_passkey"):
        await act_on(gatepost, bob, do, passkey=passkey(carl).number, name="Stolen")

    assert await gatepost.store.passkeys.list_passkeys(carl.subject) == [passkey(carl)]


@pytest.mark.parametrize("page", [PERSON, UPSTREAM])
async def test_what_tools_may_do_as_somebody_is_ended_at_one_provider(
    gatepost: Installed, bob: User, page: str
) -> None:
    store, do = gatepost.store.upstream_tokens, "end" if page == UPSTREAM else "end_tokens"
    for provider in ("github", "google"):
        await link(gatepost, bob.subject, provider)
        assert await store.keep_tokens(kept(bob.subject, provider), replaces=None)
    shown = await gatepost.http.get(of(page, subject=bob.subject))
    assert shown.text.count(f'name="do" value="{do}"') == 2

    for _ in range(2):
        answer = await act(gatepost.http, page, subject=bob.subject, provider="github", do=do)
        assert answer.status_code == 303

    assert [each.provider for each in await store.list_tokens(None, limit=9)] == ["google"]
    [event] = await events(gatepost, event="upstream_tokens_ended")
    ada = (await person(gatepost, "ada")).subject
    assert (event.subject, event.actor, event.reason) == (bob.subject, ada, "operator_revoked")


async def test_whose_tokens_are_kept_comes_in_pages_and_shows_no_token(gatepost: Installed) -> None:
    for number in range(60):
        subjects = (f"user_{number:02}",)
        user = await gatepost.store.users.recognise_user(
            ISSUER, str(number), display_name=f"person {number:02}", subjects=subjects, now=NOW
        )
        of_login = {"external_subject": str(number), "login_issuer": ISSUER}
        tokens = kept(user.subject, expires_at=NOW + 60 if number else None, **of_login)
        assert await gatepost.store.upstream_tokens.keep_tokens(tokens, replaces=None)

    first = (await gatepost.http.get(UPSTREAM)).text
    [following] = re.findall(r'href="([^"]*)" rel="next"', first)
    second = (await gatepost.http.get(following.replace("&amp;", "&"))).text

    named = re.findall(r"<bdi>(person \d\d)</bdi></a>", first + second)
    assert named == [f"person {number:02}" for number in range(60)]
    assert 'rel="next"' not in second
    assert first.count("Without an end.") == 1
    assert (await gatepost.http.get(of(UPSTREAM, after="nonsense"))).status_code == 200
