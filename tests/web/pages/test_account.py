"""What a person sees of what they allowed and where they are logged in, and how they take it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gatepost.identity.provider import Identity
from gatepost.oauth.consent import Consent
from gatepost.oauth.records import Grant
from gatepost.stores.conformance.records import find_grant, grant, tokens
from gatepost.tokens.opaque import fingerprint
from gatepost.web.pages.browser_session import USE_NOTED_EVERY
from tests.web.pages.pages_world import ATTACK, NOTES, REDIRECT_URI, Form, World, heading, make_world

ACCOUNT = "/oauth/account"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    yield world
    for browser in world.browsers:
        await browser.aclose()


@pytest.fixture
async def browser(world: World) -> httpx2.AsyncClient:
    browser = world.browser()
    await world.log_in(browser)
    return browser


async def connect(world: World, number: int = 1, *, subject: str = "user_ada", **changes: Any) -> Grant:
    """Let an app in."""
    values = {"client_id": "client_1", "resource": NOTES.identifier, "redirect_uri": REDIRECT_URI, **changes}
    values = {"scopes": ("notes:read", "raw"), "created_at": world.now, "expires_at": world.now + 10**6, **values}
    granted = grant(f"grant_{number}", subject=subject, **values)
    await world.store.approvals.give_grant(granted, tokens(str(number), granted.grant_id, now=world.now))
    return granted


async def send(browser: httpx2.AsyncClient, path: str, **fields: str) -> httpx2.Response:
    """Press a button of the account page."""
    token = Form((await browser.get(ACCOUNT)).text).fields["csrf_token"]
    return await browser.post(path, data={"csrf_token": token, **fields})


# --- What is shown ---


async def test_nobody_sees_an_account_without_a_login(world: World) -> None:
    browser = world.browser()
    for path in (ACCOUNT, "/oauth/account/password"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/oauth/login")
    await browser.get("/oauth/login")
    assert (await browser.get(ACCOUNT)).headers["location"] == "/oauth/login"


async def test_it_says_who_is_logged_in_and_how(browser: httpx2.AsyncClient) -> None:
    page = await browser.get(ACCOUNT)
    assert (page.status_code, heading(page)) == (200, "Your account")
    assert "as <strong><bdi>ada</bdi></strong>, through <bdi>accounts</bdi>." in page.text
    assert "No app is connected." in page.text
    assert "/oauth/account/password" not in page.text
    assert (await browser.get("/oauth/account/password")).headers["location"] == ACCOUNT


async def test_who_is_known_without_asking_finds_the_page_from_the_login(world: World) -> None:
    world.accounts.known_without_asking = Identity("owner")
    browser = world.browser()
    assert f'href="{ACCOUNT}"' in (await browser.get("/oauth/login")).text
    assert "<bdi>owner</bdi>" in (await browser.get(ACCOUNT)).text


async def test_an_app_is_shown_with_its_address_before_its_name(world: World, browser: httpx2.AsyncClient) -> None:
    await world.register(client_name=ATTACK + "\u202e" + "x" * 500)
    await connect(world)
    await connect(world, 2, subject="user_bob", client_id="client_2")
    world.now += 12 * 3600
    await connect(world, 3, redirect_uri="http://127.0.0.1:3000/cb", scopes=(), resource="https://gone.example/mcp")
    await world.log_in(browser)

    html = (await browser.get(ACCOUNT)).text

    first, second = (" ".join(entry.split()) for entry in html.split('<li class="app">')[1:3])
    assert "An app on this computer" in first
    assert "Connect, without any special permission" in first
    assert "On <bdi>https://gone.example/mcp</bdi>. Allowed on 13 January 1970, last used on 13 January 1970." in first
    assert second.index("<bdi>app.example</bdi>") < second.index("calls itself “<bdi>&lt;script&gt;")
    assert "\u202e" not in html
    assert "<script" not in html
    assert "Read your notes" in second
    assert "<li><bdi>raw</bdi></li>" in second
    assert "On <bdi>Notes</bdi>. Allowed on 12 January 1970, last used on 12 January 1970." in second
    assert 'value="grant_1"' in second
    assert "grant_2" not in html


async def test_browsers_are_shown_with_this_one_marked(world: World, browser: httpx2.AsyncClient) -> None:
    other = world.browser()
    world.now += 600
    await world.log_in(other)
    await world.log_in(world.browser(), "bob")
    world.now += 1200
    await other.get(ACCOUNT)
    world.now += 60

    html = " ".join((await browser.get(ACCOUNT)).text.split())

    assert html.count("Another browser") == html.count("This browser") == 1
    assert "Logged in 31 minutes ago.</p> </li>" in html
    assert "Logged in 21 minutes ago, last used a minute ago." in html


async def test_use_is_written_down_now_and_then_only(world: World, browser: httpx2.AsyncClient) -> None:
    began = world.now
    for later, noted in (
        (USE_NOTED_EVERY - 1, None),
        (USE_NOTED_EVERY, began + USE_NOTED_EVERY),
        (USE_NOTED_EVERY + 1, began + USE_NOTED_EVERY),
        (2 * USE_NOTED_EVERY, began + 2 * USE_NOTED_EVERY),
    ):
        world.now = began + later
        await browser.get(ACCOUNT)
        assert (await world.session(browser)).session.last_used_at == noted


# --- Taking back ---


async def test_one_app_is_disconnected_at_once(world: World, browser: httpx2.AsyncClient) -> None:
    await connect(world)
    await connect(world, 2)

    answer = await send(browser, "/oauth/account/apps", grant="grant_1")

    assert (answer.status_code, answer.headers["location"]) == (303, ACCOUNT)
    ended, other = await find_grant(world.store, "grant_1"), await find_grant(world.store, "grant_2")
    assert ended is not None
    assert other is not None
    assert (ended.revoked_at, ended.revoked_reason, other.revoked_at) == (world.now, "user_revoked", None)
    assert world.forgotten == [world.now]
    page = (await browser.get(ACCOUNT)).text
    assert ("grant_1" in page, "grant_2" in page) == (False, True)


async def test_all_apps_are_disconnected_with_what_was_remembered(world: World, browser: httpx2.AsyncClient) -> None:
    for number, subject in ((1, "user_ada"), (2, "user_ada"), (3, "user_bob")):
        await connect(world, number, subject=subject)
    assert 'value="all"' in (await browser.get(ACCOUNT)).text

    await send(browser, "/oauth/account/apps", grant="all")

    grants = [await find_grant(world.store, f"grant_{number}") for number in (1, 2, 3)]
    assert [found is not None and found.revoked_at for found in grants] == [world.now, world.now, None]
    assert "No app is connected." in (await browser.get(ACCOUNT)).text


async def test_an_app_that_was_disconnected_is_asked_about_anew(world: World, browser: httpx2.AsyncClient) -> None:
    transaction = await world.begin(browser)
    await world.register()
    consent = "/oauth/consent?transaction=transaction_1"
    await browser.post(consent, data={**Form((await browser.get(consent)).text).fields, "decision": "approve"})
    await connect(world)

    async def remembered() -> Consent | None:
        return await world.store.consents.find_consent(
            "user_ada",
            client_id="client_1",
            redirect_uri=transaction.redirect_uri,
            resource=transaction.resource,
            now=world.now,
        )

    assert await remembered() is not None
    await send(browser, "/oauth/account/apps", grant="grant_1")
    assert await remembered() is None


async def test_one_other_browser_is_logged_out_or_all_are(world: World, browser: httpx2.AsyncClient) -> None:
    others = [world.browser() for _ in range(3)]
    for other in others:
        await world.log_in(other)
    named = fingerprint(world.secret(others[0]) or "").hex()

    answer = await send(browser, "/oauth/account/sessions", session=named)

    assert (answer.status_code, answer.headers["location"]) == (303, ACCOUNT)
    assert [(await other.get(ACCOUNT)).status_code for other in others] == [303, 200, 200]
    await send(browser, "/oauth/account/sessions", session="others")
    assert [(await other.get(ACCOUNT)).status_code for other in others] == [303, 303, 303]
    assert (await browser.get(ACCOUNT)).status_code == 200


async def test_logging_out_ends_the_session_here_and_in_the_browser(world: World, browser: httpx2.AsyncClient) -> None:
    secret = world.secret(browser) or ""

    answer = await send(browser, "/oauth/logout")

    assert (answer.status_code, heading(answer)) == (200, "You are logged out")
    assert world.secret(browser) is None
    assert await world.store.browser_sessions.find_session(fingerprint(secret), now=world.now) is None
    (cookie,) = answer.headers.get_list("set-cookie")
    assert {"Max-Age=0", "Path=/", "Secure", "HttpOnly"} <= set(cookie.split("; "))
    again = await browser.post("/oauth/logout", data={})
    assert (again.status_code, heading(again)) == (200, "You are logged out")


async def test_a_form_of_a_session_that_has_ended_leads_to_the_login(world: World, browser: httpx2.AsyncClient) -> None:
    token = Form((await browser.get(ACCOUNT)).text).fields["csrf_token"]
    await connect(world)
    world.accounts.disabled.add("user_ada")
    for path in ("/oauth/account/apps", "/oauth/account/sessions", "/oauth/account/password"):
        answer = await browser.post(path, data={"csrf_token": token, "grant": "all", "session": "others"})
        assert answer.status_code in {303, 403}
    found = await find_grant(world.store, "grant_1")
    assert found is not None
    assert found.revoked_at is None


async def test_the_page_is_marked_up_for_a_screen_reader(world: World, browser: httpx2.AsyncClient) -> None:
    await world.register(client_name="Reading list")
    await connect(world)
    await connect(world, 2)
    other = world.browser()
    await world.log_in(other)
    html = (await browser.get(ACCOUNT)).text
    assert html.count('aria-label="Disconnect Reading list, app.example"') == 2
    assert 'aria-label="Log out there: the browser that was logged in half a minute ago"' in html
    assert 'aria-labelledby="apps"' in html
    assert " style=" not in html
    assert "<script" not in html
