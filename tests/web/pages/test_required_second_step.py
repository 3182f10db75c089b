"""A second step that the server demands: its set-up as a step of the login, and what may not be undone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.identity.authenticator import PRESENT, Authenticator
from tests.web.pages.pages_world import PASSWORD, Form, heading
from tests.web.pages.passkey_world import (
    ORIGIN,
    PASSKEYS,
    PUBLIC,
    Browser,
    PasskeyWorld,
    make_hashing_cheap,
    passkey_world,
)
from tests.web.pages.required_world import (
    ACCOUNT,
    ADMINISTRATORS,
    CALLBACK,
    EVERYBODY,
    LOGIN,
    approve,
    ask,
    moved,
    register,
    set_up,
    subject_of,
)
from tests.web.pages.second_step_world import CHANGE, PAGE, alert_on, key_on, send

SET_UP = "Set up a second step"


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    make_hashing_cheap(monkeypatch)


@pytest.fixture
async def world() -> AsyncIterator[PasskeyWorld]:
    async with passkey_world(**EVERYBODY) as world:
        yield world


@pytest.fixture
async def browser(world: PasskeyWorld) -> Browser:
    """One in which ada has typed her password."""
    browser = world.browser()
    assert (await browser.log_in()).headers["location"] == PAGE
    return browser


async def test_the_login_goes_on_to_the_set_up_and_then_to_the_app_that_waits(world: PasskeyWorld) -> None:
    browser = world.browser()
    login = await ask(browser, await register(browser))
    here = (await browser.log_in(path=login)).headers["location"]
    assert here == login.replace(LOGIN, PAGE)

    _, codes = await set_up(world, browser, here)

    consent = login.replace(LOGIN, "/oauth/consent")
    assert f'href="{consent}">I kept them</a>' in codes.text
    assert (await approve(browser, consent)).startswith(f"{CALLBACK}?code=")


async def test_the_password_is_not_asked_for_again_and_a_wrong_code_offers_the_same_key(browser: Browser) -> None:
    page = await browser.http.get(PAGE)
    assert heading(page) == SET_UP
    assert 'name="password"' not in page.text
    assert "Not now" not in page.text

    wrong = await send(browser.http, page, code="000000")

    assert wrong.status_code == 403
    assert alert_on(wrong).startswith("That is not what the app has to show now.")
    assert key_on(wrong) == key_on(page)
    assert not await browser.is_logged_in()


async def test_the_login_is_in_the_audit_trail_once_it_lets_somebody_in(world: PasskeyWorld, browser: Browser) -> None:
    assert await world.events("login") == [("refused", "second_step_required", True)]
    await set_up(world, browser)
    assert await world.events("login") == [("ok", None, True), ("refused", "second_step_required", True)]
    assert await world.events("second_step_set_up") == [("ok", None, True)]


async def test_the_next_login_asks_for_the_code_and_goes_on(world: PasskeyWorld, browser: Browser) -> None:
    app, _ = await set_up(world, browser)
    assert await browser.is_logged_in()
    world.pass_time(30)
    other = world.browser()
    step = await other.http.post(
        LOGIN,
        data={**Form((await other.http.get(LOGIN)).text).fields, "username": "ada", "password": PASSWORD},
    )
    assert (await send(other.http, step, code=app.code(world.installed.clock[0]))).headers["location"] == ACCOUNT
    assert await other.is_logged_in()


async def test_a_passkey_can_be_added_in_its_place_and_logs_in(world: PasskeyWorld) -> None:
    browser, device = world.browser(), Authenticator(ORIGIN)
    login = await ask(browser, await register(browser))
    here = (await browser.log_in(path=login)).headers["location"]
    there = here.replace(PAGE, PASSKEYS)
    assert f'href="{there}">Add a passkey instead</a>' in (await browser.http.get(here)).text

    added = await browser.add(device, page=there)

    consent = login.replace(LOGIN, "/oauth/consent")
    assert added.headers["location"] == consent
    assert (await approve(browser, consent)).startswith(f"{CALLBACK}?code=")
    assert [passkey.name for passkey in await world.passkeys()] == ["Phone"]
    other = world.browser()
    await other.sign(device)
    assert await other.is_logged_in()


async def test_what_the_browser_made_that_is_no_passkey_is_told_on_the_same_page(
    world: PasskeyWorld, browser: Browser
) -> None:
    refused = await browser.add(Authenticator(ORIGIN), page=PASSKEYS, flags=PRESENT)
    assert refused.status_code == 422
    assert "was no passkey that works here" in alert_on(refused)
    assert await world.passkeys() == []
    assert not await browser.is_logged_in()


async def test_who_sets_nothing_up_can_log_out(browser: Browser) -> None:
    page = (await browser.http.get(PAGE)).text
    logout = page.split('action="/oauth/logout"')[1]
    token = logout.split('value="')[1].split('"')[0]
    assert heading(await browser.http.post("/oauth/logout", data={"csrf_token": token})) == "You are logged out"
    assert (await browser.http.get(PAGE)).headers["location"] == LOGIN


async def test_the_login_page_leads_back_to_the_set_up_and_lets_somebody_else_log_in(
    world: PasskeyWorld, browser: Browser
) -> None:
    assert (await browser.http.get(LOGIN)).headers["location"] == PAGE
    assert (await browser.http.get(f"{LOGIN}?then=admin")).headers["location"] == f"{PAGE}?then=admin"
    assert heading(await browser.http.get(f"{LOGIN}?switch=1")) == "Log in"
    world.pass_time(11 * 60)
    assert (await browser.http.get(PAGE)).headers["location"] == f"{LOGIN}?switch=1"


async def test_after_a_reset_by_the_operator_the_person_sets_it_up_again_also_where_they_are_logged_in(
    world: PasskeyWorld, browser: Browser
) -> None:
    await set_up(world, browser)
    await world.store.second_steps.turn_off(await subject_of(world.store))

    assert (await browser.http.get(ACCOUNT)).headers["location"] == LOGIN
    assert heading(await browser.http.get(PAGE)) == SET_UP
    await set_up(world, browser)
    assert await browser.is_logged_in()

    device = Authenticator(ORIGIN)
    await browser.add(device)
    await world.store.second_steps.turn_off(await subject_of(world.store))
    assert await browser.is_logged_in(), "the passkey is left"
    (passkey,) = await world.passkeys()
    await world.store.passkeys.remove_passkey(passkey.subject, passkey.credential_id)
    assert not await browser.is_logged_in()
    assert (await world.browser().log_in()).headers["location"] == PAGE


async def test_the_second_step_stays_on_until_there_is_a_passkey(world: PasskeyWorld, browser: Browser) -> None:
    app, _ = await set_up(world, browser)

    async def turn_off() -> str:
        world.pass_time(30)
        token = Form((await browser.http.get(PAGE)).text).fields["csrf_token"]
        typed = {"csrf_token": token, "password": PASSWORD, "code": app.code(world.installed.clock[0]), "change": "off"}
        return heading(await browser.http.post(CHANGE, data=typed))

    assert "Turn the second step off" not in (await browser.http.get(PAGE)).text
    assert await turn_off() == "The second step stays on"
    await browser.add(Authenticator(ORIGIN))
    assert "Turn the second step off" in (await browser.http.get(PAGE)).text
    assert await turn_off() == "The second step is off"
    assert await browser.is_logged_in()
    assert heading(await browser.http.get(PAGE)) == SET_UP


async def test_the_last_passkey_stays_until_there_is_a_second_step(world: PasskeyWorld, browser: Browser) -> None:
    await browser.add(Authenticator(ORIGIN), page=PASSKEYS)
    (first,) = await world.passkeys()
    refused = await browser.press(f"{PASSKEYS}/remove", passkey=first.number)
    assert (refused.status_code, heading(refused)) == (409, "This passkey stays")
    assert "second_step_required" in refused.text

    await browser.add(Authenticator(ORIGIN))
    assert (await browser.press(f"{PASSKEYS}/remove", passkey=first.number)).status_code == 303
    (second,) = await world.passkeys()
    await set_up(world, browser, password=PASSWORD)
    assert (await browser.press(f"{PASSKEYS}/remove", passkey=second.number)).status_code == 303
    assert await world.passkeys() == []
    assert await browser.is_logged_in()


async def test_of_administrators_alone_it_is_demanded_where_it_says_so() -> None:
    async with passkey_world(**ADMINISTRATORS) as world:
        await world.store.users.give_role(await subject_of(world.store), "admin")
        ada, bob = world.browser(), world.browser()
        assert (await ada.log_in(path=f"{LOGIN}?then=admin")).headers["location"] == f"{PAGE}?then=admin"
        assert (await bob.log_in("bob")).headers["location"] == ACCOUNT

        await world.store.users.give_role(await subject_of(world.store, "bob"), "admin")

        assert (await bob.http.get("/oauth/admin/people")).headers["location"] == f"{LOGIN}?then=admin"
        assert (await bob.http.get(f"{LOGIN}?then=admin")).headers["location"] == f"{PAGE}?then=admin"
        _, codes = await set_up(world, bob, f"{PAGE}?then=admin")
        assert 'href="/oauth/admin">I kept them</a>' in codes.text
        assert heading(await bob.http.get("/oauth/admin/people")) == "People"


async def test_by_default_a_password_suffices() -> None:
    async with passkey_world() as world:
        browser = world.browser()
        assert (await browser.log_in()).headers["location"] == ACCOUNT
        await browser.add(Authenticator(ORIGIN))
        (passkey,) = await world.passkeys()
        assert (await browser.press(f"{PASSKEYS}/remove", passkey=passkey.number)).status_code == 303
        assert await browser.is_logged_in()


async def test_a_login_from_before_meets_it_and_one_by_a_passkey_or_a_code_has_met_it() -> None:
    async with passkey_world() as before:
        by_password, by_passkey, confirmed = before.browser(), before.browser(), before.browser()
        device = Authenticator(ORIGIN)
        await by_password.log_in()
        await by_password.add(device)
        await by_passkey.sign(device)
        await confirmed.log_in()
        before.pass_time(11 * 60)
        await confirmed.sign(device, page="/oauth/account/confirm?for=passkeys")
        async with passkey_world(before.store, **EVERYBODY) as now:
            now.installed.clock[0] = before.installed.clock[0]
            logged_in = [await moved(browser, now).is_logged_in() for browser in (by_password, by_passkey, confirmed)]
    assert logged_in == [False, True, True]


async def test_passkeys_of_another_host_do_not_count_and_do_not_keep_their_person_out() -> None:
    async with passkey_world(MCP_SEALING_KEYS=PUBLIC["MCP_SEALING_KEYS"]) as before:
        browser = before.browser()
        await browser.log_in()
        await browser.add(Authenticator(ORIGIN))
        async with passkey_world(before.store, **PUBLIC, **EVERYBODY) as now:
            there = now.browser()
            assert (await there.log_in()).headers["location"] == PAGE
            await set_up(now, there)
            assert await there.is_logged_in()


async def test_a_password_that_is_changed_leaves_the_browser_logged_in(browser: Browser) -> None:
    await browser.add(Authenticator(ORIGIN), page=PASSKEYS)
    page = await browser.http.get(f"{ACCOUNT}/password")
    new = "another long passphrase"
    done = await send(browser.http, page, old=PASSWORD, password=new, repeat=new)
    assert heading(done) == "Your password is changed"
    assert await browser.is_logged_in()
