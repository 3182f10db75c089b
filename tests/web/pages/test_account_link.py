"""What opens with a link of the operator's: an account, or a new password for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.identity import passwords
from gatepost.identity.account_links import AccountLinkOffers, link_path
from gatepost.identity.local_accounts import LocalAccounts, new_user
from gatepost.identity.passwords import password_matches
from gatepost.stores.contract.account_links import AccountLink
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from tests.identity.second_step_world import second_steps
from tests.web.pages.pages_world import ATTACK, ORIGIN, PASSWORD, Form, World, heading, make_world

NEW = "violet kettles hum at dusk"


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MEMORY_COST", 64)
    passwords._hasher.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", passwords._hasher.__wrapped__)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    first = make_world()
    world = make_world(
        provider=LocalAccounts(users=first.store.users, second_steps=second_steps(first.store)), store_of=first
    )
    await world.store.users.add_user(new_user("ada", PASSWORD, now=world.now, random_bytes=world.random_bytes))
    yield world
    for browser in world.browsers:
        await browser.aclose()


async def offer(world: World, *, resets: bool = False, username: str | None = None) -> str:
    """Return the path of a new link."""
    token, ada = mint(SecretKind.ACCOUNT_LINK, world.random_bytes), await world.store.users.find_user("ada")
    assert ada is not None
    subject, name = (ada.subject, "ada") if resets else (None, username)
    link = AccountLink(fingerprint(token), subject, name, world.now, world.now + 3600)
    assert await world.store.account_links.offer_link(link)
    return link_path(token)


async def fill_in(browser: httpx2.AsyncClient, path: str, **changes: str) -> httpx2.Response:
    form = Form((await browser.get(path)).text)
    fields = {**form.fields, "password": NEW, "repeat": NEW, **changes}
    return await browser.post(form.action or "", data=fields)


async def test_an_invited_person_chooses_name_and_password_and_is_logged_in(world: World) -> None:
    browser, path = world.browser(), await offer(world)
    await browser.get(path)
    planted = world.secret(browser) or ""

    answer = await fill_in(browser, path, username="Bob")

    assert (answer.status_code, answer.headers["location"]) == (303, "/oauth/account")
    bob = await world.store.users.find_user("bob")
    assert bob is not None
    assert password_matches(bob.password_hash, NEW)
    assert (await world.session(browser)).user == bob
    assert await world.store.browser_sessions.find_session(fingerprint(planted), now=world.now) is None


async def test_an_invitation_for_a_name_makes_that_one_whatever_the_form_says(world: World) -> None:
    browser, path = world.browser(), await offer(world, username="bob")
    assert "You will be called <strong><bdi>bob</bdi></strong>." in (await browser.get(path)).text
    await fill_in(browser, path, username="eve")
    assert await world.store.users.find_user("eve") is None
    assert await world.store.users.find_user("bob") is not None


async def test_a_reset_sets_the_password_and_logs_everybody_out_and_nobody_in(world: World) -> None:
    browser, here = world.browser(), world.browser()
    await world.log_in(browser)

    answer = await fill_in(here, await offer(world, resets=True))

    assert (answer.status_code, heading(answer)) == (200, "Your password is set")
    for one in (browser, here):
        assert (await one.get("/oauth/account")).headers["location"] == "/oauth/login"
    ada = await world.store.users.find_user("ada")
    assert ada is not None
    assert password_matches(ada.password_hash, NEW)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"username": "ada"}, "This username is taken."),
        ({"username": ATTACK[:60]}, "A username has letters"),
        ({"username": "bob", "repeat": "another one of some length"}, "The two passwords differ."),
        ({"username": "bob", "password": "short", "repeat": "short"}, "A password needs at least 12 characters"),
    ],
)
async def test_what_cannot_be_a_name_or_a_password_is_asked_again(
    world: World, changes: dict[str, str], problem: str
) -> None:
    browser, path = world.browser(), await offer(world)
    answer = await fill_in(browser, path, **changes)
    assert (answer.status_code, heading(answer)) == (422, "Create your account")
    assert problem in answer.text
    assert "<script" not in answer.text
    assert NEW not in answer.text
    assert (await fill_in(browser, path, username="bob")).status_code == 303


async def test_unknown_used_replaced_and_expired_links_are_one_answer(world: World) -> None:
    used, old = await offer(world), await offer(world, resets=True)
    await fill_in(world.browser(), used, username="bob")
    await offer(world, resets=True)
    late = await offer(world)
    world.now += 3600
    unknown = [link_path(mint(SecretKind.ACCOUNT_LINK, world.random_bytes)), link_path("x"), "/oauth/account/link"]
    answers, titles = [], set()
    for path in (used, old, late, *unknown):
        browser = world.browser()
        await browser.get("/oauth/login")
        for answer in (await browser.get(path), await browser.post(path, data={"password": NEW, "repeat": NEW})):
            page = answer.text.partition('<p class="hint">')[0]
            titles.add(heading(answer))
            answers.append((answer.status_code, page, answer.headers.get("set-cookie")))
    assert titles == {"This link does not work any more"}
    assert answers == [(400, answers[0][1], None)] * len(answers)


async def test_a_form_of_another_site_or_session_uses_no_link_up(world: World) -> None:
    browser, path = world.browser(), await offer(world, resets=True)
    form = Form((await browser.get(path)).text)
    fields = {**form.fields, "password": NEW, "repeat": NEW}
    for headers, changes in (
        ({"Origin": "https://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        ({}, {"csrf_token": "wrong"}),
        ({}, {"csrf_token": Form((await world.browser().get(path)).text).fields["csrf_token"]}),
    ):
        answer = await browser.post(path, data={**fields, **changes}, headers=headers)
        assert answer.status_code == 403
    assert (await fill_in(browser, path)).status_code == 200


async def test_an_offered_link_leads_to_the_page(world: World) -> None:
    offers = AccountLinkOffers(
        links=world.store.account_links, origin=ORIGIN, now=lambda: world.now, random_bytes=world.random_bytes
    )
    page = await world.browser().get(await offers.invite("eve") or "")
    assert (page.status_code, heading(page)) == (200, "Create your account")
