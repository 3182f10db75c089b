"""Changing one's own password: the old one is asked for, every other login ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.identity import passwords
from gatepost.identity.local_accounts import LocalAccounts, new_user
from gatepost.identity.passwords import password_matches
from gatepost.tokens.opaque import fingerprint
from tests.identity.second_step_world import second_steps
from tests.web.pages.pages_world import PASSWORD, Form, World, heading, make_world, names

PAGE = "/oauth/account/password"
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


@pytest.fixture
async def browser(world: World) -> httpx2.AsyncClient:
    browser = world.browser()
    await world.log_in(browser)
    return browser


async def change(browser: httpx2.AsyncClient, **changes: str) -> httpx2.Response:
    form = Form((await browser.get(PAGE)).text)
    fields = {**form.fields, "old": PASSWORD, "password": NEW, "repeat": NEW, **changes}
    return await browser.post(form.action or "", data=fields)


async def opens(world: World, password: str) -> bool:
    user = await world.store.users.find_user("ada")
    return user is not None and password_matches(user.password_hash, password)


async def test_the_account_page_leads_to_the_form(browser: httpx2.AsyncClient) -> None:
    account = (await browser.get("/oauth/account")).text
    assert f'href="{PAGE}"' in account
    assert "with a username and a password of this server" in account
    page = await browser.get(PAGE)
    assert (page.status_code, heading(page)) == (200, "Change your password")
    assert page.text.count('autocomplete="new-password"') == 2
    assert page.text.count('autocomplete="current-password"') == 1


async def test_a_change_ends_every_other_login_and_renews_this_one(world: World, browser: httpx2.AsyncClient) -> None:
    other, before = world.browser(), world.secret(browser) or ""
    await world.log_in(other)

    answer = await change(browser)

    assert (answer.status_code, heading(answer)) == (200, "Your password is changed")
    assert (await opens(world, NEW), await opens(world, PASSWORD)) == (True, False)
    assert (await other.get("/oauth/account")).headers["location"] == "/oauth/login"
    assert (await browser.get("/oauth/account")).status_code == 200
    assert world.secret(browser) != before
    assert await world.store.browser_sessions.find_session(fingerprint(before), now=world.now) is None


@pytest.mark.parametrize(
    ("changes", "status", "problem"),
    [
        ({"old": "not the one at all"}, 403, "That is not your password."),
        ({"old": ""}, 403, "That is not your password."),
        ({"repeat": "another one of some length"}, 422, "The two passwords differ."),
        ({"password": "short", "repeat": "short"}, 422, "A password needs at least 12 characters"),
        ({"password": "ada-ada-ada-ada", "repeat": "ada-ada-ada-ada"}, 422, "This password is too easy to guess"),
    ],
)
async def test_what_is_refused_changes_nothing_and_says_why(
    world: World, browser: httpx2.AsyncClient, changes: dict[str, str], status: int, problem: str
) -> None:
    answer = await change(browser, **changes)
    assert (answer.status_code, heading(answer)) == (status, "Change your password")
    assert problem in answer.text
    assert 'role="alert"' in answer.text
    assert not any(typed in answer.text for typed in (PASSWORD, NEW, *(value for value in changes.values() if value)))
    assert await opens(world, PASSWORD)
    assert (await browser.get("/oauth/account")).status_code == 200


async def test_a_wrong_old_password_is_logged(browser: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await change(browser, old="not the one at all")
    assert names(caplog.records) == ["login_failed"]


async def test_of_two_changes_at_once_one_is_made(world: World, browser: httpx2.AsyncClient) -> None:
    """The other has checked a password that is not the account's any more."""
    form = Form((await browser.get(PAGE)).text)
    words = [NEW, "seven otters paint a barn"]
    fields = [{**form.fields, "old": PASSWORD, "password": new, "repeat": new} for new in words]

    answers = await asyncio.gather(*(browser.post(PAGE, data=data) for data in fields))

    assert sorted(answer.status_code for answer in answers) == [200, 303]
    made = [answer.status_code == 200 for answer in answers]
    assert [await opens(world, new) for new in words] == made
