from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.identity import passwords
from gatepost.identity.local_accounts import LocalAccounts
from gatepost.identity.passwords import password_matches
from gatepost.stores.contract.users import LOCAL, User
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from gatepost.web.pages.setup import setup_path
from tests.identity.second_step_world import second_steps
from tests.web.pages.pages_world import ATTACK, ORIGIN, PASSWORD, Form, World, heading, make_world, names, offer_setup


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MEMORY_COST", 64)
    passwords._hasher.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", passwords._hasher.__wrapped__)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    yield world
    for browser in world.browsers:
        await browser.aclose()


@pytest.fixture
async def path(world: World) -> str:
    return setup_path(await offer_setup(world))


async def fill_in(browser: httpx2.AsyncClient, path: str, **changes: str) -> httpx2.Response:
    form = Form((await browser.get(path)).text)
    fields = {**form.fields, "username": "Ada", "password": PASSWORD, "repeat": PASSWORD, **changes}
    return await browser.post(form.action or "", data=fields)


async def test_the_link_shows_a_form(world: World, path: str) -> None:
    response = await world.browser().get(path)
    form = Form(response.text)
    assert (response.status_code, heading(response)) == (200, "Create your account")
    assert form.action == path
    assert list(form.fields) == ["csrf_token", "username", "password", "repeat"]
    assert response.text.count('autocomplete="new-password"') == 2


async def test_the_first_account_is_created_and_logged_in(world: World, path: str) -> None:
    browser = world.browser()
    await browser.get(path)
    planted = world.secret(browser)
    response = await fill_in(browser, path)
    assert (response.status_code, response.headers["location"]) == (303, "/oauth/setup")
    (user,) = await world.store.users.list_users()
    assert (user.username, user.created_at, user.disabled_at, user.roles) == ("ada", world.now, None, ("admin",))
    assert user.subject.startswith("user_")
    assert password_matches(user.password_hash, PASSWORD)
    assert (await world.session(browser)).user == user
    assert await world.store.browser_sessions.find_session(fingerprint(planted or ""), now=world.now) is None


async def test_the_page_after_it_says_what_to_do_next_and_can_be_loaded_again(world: World, path: str) -> None:
    browser = world.browser()
    await fill_in(browser, path)
    for address in ("/oauth/setup", "/oauth/setup", path):
        page = await browser.get(address)
        assert (page.status_code, heading(page)) == (200, "You are set")
        assert f"<code>{ORIGIN}/mcp</code>" in page.text
        assert re.search(rf"<code>claude mcp add --transport http [a-z-]+ {ORIGIN}/mcp</code>", page.text)
        assert "<bdi>ada</bdi>" in page.text
        assert '<a href="/oauth/account">Your account' in page.text
        assert "gp_su_" not in page.text


async def test_a_request_that_waits_in_the_same_browser_goes_on_after_set_up(world: World, path: str) -> None:
    await world.register()
    browser = world.browser()
    await world.begin(browser)
    await fill_in(browser, path)
    response = await browser.get("/oauth/login?transaction=transaction_1")
    assert response.headers["location"] == "/oauth/consent?transaction=transaction_1"


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"username": ""}, "username", "Type a username."),
        ({"username": "a b"}, "username", "A username has letters, digits and . _ - @ + only, without spaces."),
        ({"repeat": "something else"}, "repeat", "The two passwords differ."),
        (
            {"password": "short", "repeat": "short"},
            "password",
            "A password needs at least 12 characters; a few words in a row do well.",
        ),
        (
            {"password": "", "repeat": ""},
            "password",
            "A password needs at least 12 characters; a few words in a row do well.",
        ),
    ],
)
async def test_what_cannot_be_is_said_beside_what_was_typed(
    world: World, path: str, changes: dict[str, str], field: str, sentence: str
) -> None:
    browser = world.browser()
    response = await fill_in(browser, path, **changes)
    form = Form(response.text)
    assert response.status_code == 422
    assert f'role="alert" id="problem">\n<p><strong>{sentence}</strong></p>' in response.text
    assert response.text.count('aria-invalid="true"') == 1
    assert f'id="{field}"' in response.text.partition('aria-invalid="true"')[0].rpartition("<input")[2]
    assert (form.fields["username"], form.fields["password"]) == (changes.get("username", "Ada"), "")
    assert await world.store.users.list_users() == []
    assert (await fill_in(browser, path)).status_code == 303


async def test_a_hostile_username_comes_back_as_text(world: World, path: str) -> None:
    response = await fill_in(world.browser(), path, username=ATTACK)
    assert "<script" not in response.text
    assert "<img" not in response.text
    assert Form(response.text).fields["username"] == ATTACK


@pytest.mark.parametrize("token", ["", "x", "gp_su_" + "A" * 43, "gp_at_" + "A" * 43, "&token=twice"])
async def test_a_link_that_is_not_the_valid_one_is_refused(world: World, path: str, token: str) -> None:
    response = await world.browser().get(f"/oauth/setup?token={token}")
    assert response.status_code == 400
    assert "<form" not in response.text
    assert path.rpartition("=")[2] not in response.text


async def test_the_link_is_void_once_any_account_exists(
    world: World, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    browser = world.browser()
    form = Form((await browser.get(path)).text)
    await world.store.users.add_user(User("user_1", LOCAL, "user_1", world.now, username="bob"))
    caplog.set_level("INFO")
    fields = {**form.fields, "username": "ada", "password": PASSWORD, "repeat": PASSWORD}
    for response in (await browser.get(path), await browser.post(path, data=fields)):
        assert (response.status_code, heading(response)) == (400, "This set-up link does not work any more")
        assert 'href="/oauth/login"' in response.text
    assert names(caplog.records) == ["setup_link_invalid", "setup_link_invalid"]
    assert [user.username for user in await world.store.users.list_users()] == ["bob"]


async def test_a_newer_link_voids_the_older_one(world: World, path: str) -> None:
    newer = setup_path(await offer_setup(world))
    assert (await world.browser().get(path)).status_code == 400
    assert (await world.browser().get(newer)).status_code == 200


async def test_of_two_people_with_the_link_one_becomes_the_owner(world: World, path: str) -> None:
    browsers = [world.browser() for _ in range(4)]
    responses = await asyncio.gather(
        *(fill_in(browser, path, username=f"user{number}") for number, browser in enumerate(browsers))
    )
    assert sorted(response.status_code for response in responses) == [303, 400, 400, 400]
    assert len(await world.store.users.list_users()) == 1


async def test_the_second_of_two_clicks_ends_where_the_first_led(world: World, path: str) -> None:
    browser = world.browser()
    form = Form((await browser.get(path)).text)
    fields = {**form.fields, "username": "ada", "password": PASSWORD, "repeat": PASSWORD}
    cookie = f"{world.sessions.cookie_name}={world.secret(browser)}"
    await browser.post(path, data=fields)
    late = await world.browser().post(path, data=fields, headers={"Cookie": cookie})
    assert (late.status_code, late.headers["location"]) == (303, "/oauth/setup")
    assert heading(await browser.get("/oauth/setup")) == "You are set"
    assert len(await world.store.users.list_users()) == 1


async def test_a_session_that_ends_meanwhile_is_not_logged_in(
    world: World, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.browser()
    create_first_user = world.store.users.create_first_user

    async def create_while_the_session_ends(token: bytes, user: User) -> bool:
        await world.store.browser_sessions.end_session(fingerprint(world.secret(browser) or ""))
        return await create_first_user(token, user)

    monkeypatch.setattr(world.store.users, "create_first_user", create_while_the_session_ends)
    response = await fill_in(browser, path)

    assert (response.status_code, response.headers["location"]) == (303, "/oauth/setup")
    assert "set-cookie" not in response.headers


async def test_an_expired_session_gets_a_fresh_form(world: World, path: str) -> None:
    browser = world.browser()
    form = Form((await browser.get(path)).text)
    cookie = f"{world.sessions.cookie_name}={world.secret(browser)}"
    world.now += 3600
    response = await world.browser().post(path, data=form.fields, headers={"Cookie": cookie})
    assert (response.status_code, response.headers["location"]) == (303, path)


async def test_a_form_without_our_cookie_is_told_why_that_may_be(world: World, path: str) -> None:
    response = await world.browser().post(path, data={"username": "ada"})
    assert (response.status_code, heading(response)) == (400, "This form can no longer be sent")


@pytest.mark.parametrize(
    ("headers", "token"),
    [({"Origin": "https://evil.example"}, None), ({}, ""), ({}, "A" * 43)],
)
async def test_a_foreign_form_creates_nothing(
    world: World, path: str, headers: dict[str, str], token: str | None
) -> None:
    browser = world.browser()
    form = Form((await browser.get(path)).text)
    fields = {**form.fields, "username": "eve", "password": PASSWORD, "repeat": PASSWORD}
    if token is not None:
        fields["csrf_token"] = token
    response = await browser.post(path, data=fields, headers=headers)
    assert response.status_code == 403
    assert await world.store.users.list_users() == []


async def test_the_form_may_send_to_our_own_origin_only(world: World, path: str) -> None:
    response = await world.browser().get(path)
    assert "form-action 'self'" in response.headers["content-security-policy"]
    assert response.headers["cross-origin-opener-policy"] == "same-origin"


async def test_the_new_account_logs_in_by_the_same_password(world: World, path: str) -> None:
    await fill_in(world.browser(), path)
    provider = LocalAccounts(users=world.store.users, second_steps=second_steps(world.store))
    (user,) = await world.store.users.list_users()
    assert await provider.is_active(user)
    assert not await provider.awaits_setup()


def test_the_path_of_a_link_is_what_the_terminal_shows(world: World) -> None:
    token = mint(SecretKind.SETUP_LINK, world.random_bytes)
    assert setup_path(token) == f"/oauth/setup?token={token}"
