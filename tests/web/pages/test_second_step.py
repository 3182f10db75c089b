"""The second step: setting an authenticator app up, logging in with it, and turning it off."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from tests.identity.one_time_app import App
from tests.web.pages.pages_world import PASSWORD, Form, World, heading, names
from tests.web.pages.second_step_world import (
    CHANGE,
    LOGIN,
    PAGE,
    alert_on,
    cheap_hashing,
    codes_on,
    is_logged_in,
    key_on,
    second_step_world,
    send,
    set_up,
    type_password,
    with_second_step,
)

USED = "That is no code that counts now, or it was used already. Wait for the next one."


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashing(monkeypatch)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with second_step_world() as world:
        yield world


@pytest.fixture
async def browser(world: World) -> httpx2.AsyncClient:
    browser = world.browser()
    await type_password(browser)
    return browser


async def has_second_step(world: World) -> bool:
    user = await world.store.users.find_user("ada")
    return user is not None and user.second_step is not None


async def test_the_account_page_leads_to_the_second_step_and_says_whether_it_is_on(
    world: World, browser: httpx2.AsyncClient
) -> None:
    assert f'href="{PAGE}">Set up a second step</a>' in (await browser.get("/oauth/account")).text
    await set_up(world, browser)
    assert f'href="{PAGE}">Second step: on</a>' in (await browser.get("/oauth/account")).text


async def test_the_page_offers_one_key_as_picture_link_and_text_however_often_it_is_loaded(
    browser: httpx2.AsyncClient,
) -> None:
    first, second = await browser.get(PAGE), await browser.get(PAGE)

    assert first.text == second.text
    key = key_on(first)
    assert [len(group) for group in key.split()] == [4] * 8
    match = re.search(r'<a href="(otpauth://[^"]+)"', first.text)
    assert match is not None
    assert html.unescape(match[1]) == (
        f"otpauth://totp/Notes%20server:ada?secret={key.replace(' ', '')}&issuer=Notes%20server"
    )
    assert '<div class="scan" role="img" aria-label="QR code with the key that stands below"><svg' in first.text
    assert "script" not in first.text
    assert "style=" not in first.text
    assert 'autocomplete="one-time-code" inputmode="numeric"' in first.text


async def test_another_browser_is_offered_another_key(world: World, browser: httpx2.AsyncClient) -> None:
    other = world.browser()
    await type_password(other)

    assert key_on(await other.get(PAGE)) != key_on(await browser.get(PAGE))


async def test_a_code_turns_it_on_and_ten_recovery_codes_are_shown(world: World, browser: httpx2.AsyncClient) -> None:
    before = world.secret(browser)
    page = await browser.get(PAGE)
    done = await send(browser, page, code=App(key_on(page)).code(world.now), password=PASSWORD)

    assert (done.status_code, heading(done), len(set(codes_on(done)))) == (200, "Your recovery codes", 10)
    assert await has_second_step(world)
    assert world.secret(browser) != before
    assert await is_logged_in(browser)
    shown = await browser.get(PAGE)
    assert (heading(shown), "Recovery codes left: 10 of 10." in shown.text) == ("Second step", True)
    assert not any(code in shown.text for code in codes_on(done))


async def test_setting_it_up_logs_out_every_other_browser(world: World, browser: httpx2.AsyncClient) -> None:
    other = world.browser()
    await type_password(other)
    await set_up(world, browser)

    assert [await is_logged_in(each) for each in (browser, other)] == [True, False]


@pytest.mark.parametrize(
    ("typed", "problem", "reason"),
    [
        ({"password": "not the one at all"}, "That is not your password.", "login_failed"),
        ({"password": ""}, "That is not your password.", "login_failed"),
        ({"code": "000000"}, "That is not what the app has to show now.", "second_step_failed"),
        ({"code": ""}, "That is not what the app has to show now.", "second_step_failed"),
    ],
)
async def test_what_is_wrong_is_told_and_the_key_stays(
    world: World,
    browser: httpx2.AsyncClient,
    typed: dict[str, str],
    problem: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    page = await browser.get(PAGE)
    app = App(key_on(page))

    refused = await send(browser, page, **{"code": app.code(world.now), "password": PASSWORD, **typed})

    assert (refused.status_code, key_on(refused)) == (403, key_on(page))
    assert alert_on(refused).startswith(problem)
    assert names(caplog.records) == [reason]
    assert not await has_second_step(world)
    done = await send(browser, refused, code=app.code(world.now), password=PASSWORD)
    assert heading(done) == "Your recovery codes"


async def test_a_form_that_is_sent_twice_sets_up_one(world: World, browser: httpx2.AsyncClient) -> None:
    page = await browser.get(PAGE)
    fields = {**Form(page.text).fields, "code": App(key_on(page)).code(world.now), "password": PASSWORD}
    done = await browser.post(PAGE, data=fields)
    recovery = codes_on(done)

    again = await browser.post(PAGE, data=fields)

    assert again.status_code == 403  # of a session that has ended since
    assert heading(await browser.get(PAGE)) == "Second step"
    fresh = {**fields, "csrf_token": Form((await browser.get(PAGE)).text).fields["csrf_token"]}
    late = await browser.post(PAGE, data=fresh)
    assert (late.status_code, late.headers["location"]) == (303, PAGE)
    world.now += 30
    assert await login_with(world.browser(), recovery[0])


async def login_with(browser: httpx2.AsyncClient, code: str, *, name: str = "ada") -> bool:
    done = await send(browser, await type_password(browser, name), code=code)
    return done.status_code == 303 and done.headers["location"] == "/oauth/account"


async def test_a_login_asks_for_a_code_after_the_password_and_goes_on_to_what_waits(world: World) -> None:
    app, _ = await with_second_step(world)
    world.now += 30
    await world.register()
    browser = world.browser()
    await world.begin(browser)
    before = world.secret(browser)

    step = await type_password(browser, path=f"{LOGIN}?transaction=transaction_1")

    assert (step.status_code, heading(step), list(Form(step.text).fields)) == (
        200,
        "Enter your code",
        ["csrf_token", "state", "code"],
    )
    assert 'autocomplete="one-time-code" required inputmode="numeric" type="text"' in re.sub(r"\s+", " ", step.text)
    assert 'aria-describedby="code-hint" autofocus' in step.text
    assert not await is_logged_in(browser)
    done = await send(browser, step, code=app.code(world.now))
    assert (done.status_code, done.headers["location"]) == (303, "/oauth/consent?transaction=transaction_1")
    assert world.secret(browser) != before


async def test_without_a_second_step_a_login_is_as_it_was(world: World) -> None:
    await with_second_step(world)
    browser = world.browser()

    assert (await type_password(browser, "bob")).headers["location"] == "/oauth/account"


@pytest.mark.parametrize(("drift", "counts"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
async def test_a_clock_may_be_half_a_minute_off(world: World, drift: int, counts: bool) -> None:
    app, _ = await with_second_step(world)
    world.now += 300

    assert await login_with(world.browser(), app.code(world.now + drift)) is counts


async def test_a_code_counts_once_and_not_after_a_later_one(world: World) -> None:
    app, _ = await with_second_step(world)
    assert not await login_with(world.browser(), app.code(world.now))
    world.now += 300
    codes = [app.code(world.now + drift) for drift in (30, 30, 0, -30)]

    assert [await login_with(world.browser(), code) for code in codes] == [True, False, False, False]
    world.now += 60
    assert await login_with(world.browser(), app.code(world.now))


async def test_a_wrong_code_is_told_and_can_be_mended(world: World, caplog: pytest.LogCaptureFixture) -> None:
    app, _ = await with_second_step(world)
    world.now += 30
    browser = world.browser()
    step = await type_password(browser)
    caplog.clear()
    caplog.set_level("INFO")

    refused = await send(browser, step, code="12345")

    assert (refused.status_code, heading(refused)) == (403, "Enter your code")
    assert USED in alert_on(refused)
    assert 'aria-describedby="problem code-hint"' in refused.text
    assert names(caplog.records) == ["second_step_failed"]
    assert (await send(browser, refused, code=f" {app.code(world.now)} ")).status_code == 303


async def test_a_recovery_code_lets_in_once_in_the_same_field(world: World) -> None:
    _, recovery = await with_second_step(world)

    assert await login_with(world.browser(), recovery[3])
    assert not await login_with(world.browser(), recovery[3])
    browser = world.browser()
    assert await login_with(browser, recovery[7].replace(" ", ""))
    assert "Recovery codes left: 8 of 10." in (await browser.get(PAGE)).text


async def test_new_recovery_codes_end_all_earlier_ones(world: World, browser: httpx2.AsyncClient) -> None:
    app, old = await set_up(world, browser)
    world.now += 30

    page = await send(
        browser, await browser.get(PAGE), password=PASSWORD, code=app.code(world.now), change="recovery-codes"
    )

    new = codes_on(page)
    assert (heading(page), len(set(new) | set(old))) == ("Your recovery codes", 20)
    assert not await login_with(world.browser(), old[0])
    assert await login_with(world.browser(), new[0])
    assert await is_logged_in(browser)


@pytest.mark.parametrize("change", ["off", "recovery-codes"])
@pytest.mark.parametrize(
    ("typed", "problem"),
    [({"password": "not the one at all"}, "That is not your password."), ({"code": "1"}, USED), ({"code": ""}, USED)],
)
async def test_without_password_and_code_nothing_is_changed(
    world: World, browser: httpx2.AsyncClient, change: str, typed: dict[str, str], problem: str
) -> None:
    app, recovery = await set_up(world, browser)
    world.now += 30

    refused = await send(
        browser,
        await browser.get(PAGE),
        **{"password": PASSWORD, "code": app.code(world.now), "change": change, **typed},
    )

    assert (refused.status_code, heading(refused), alert_on(refused)) == (403, "Second step", problem)
    assert await has_second_step(world)
    assert await login_with(world.browser(), recovery[0])


@pytest.mark.parametrize("by", ["app", "recovery code"])
async def test_turned_off_a_login_asks_for_the_password_alone(
    world: World, browser: httpx2.AsyncClient, by: str
) -> None:
    app, recovery = await set_up(world, browser)
    world.now += 30
    code = app.code(world.now) if by == "app" else recovery[0]

    done = await send(browser, await browser.get(PAGE), password=PASSWORD, code=code, change="off")

    assert (done.status_code, heading(done)) == (200, "The second step is off")
    assert (await type_password(world.browser())).headers["location"] == "/oauth/account"
    assert await world.store.second_steps.list_second_steps() == []


async def test_another_phone_gets_another_key_in_the_same_browser(world: World, browser: httpx2.AsyncClient) -> None:
    """The old one may have been stolen."""
    old, recovery = await set_up(world, browser)
    await send(browser, await browser.get(PAGE), password=PASSWORD, code=recovery[0], change="off")
    world.now += 30

    new, _ = await set_up(world, browser)
    world.now += 30

    assert new.secret != old.secret
    assert not await login_with(world.browser(), old.code(world.now))
    assert not await login_with(world.browser(), recovery[1])
    assert await login_with(world.browser(), new.code(world.now))


@pytest.mark.parametrize("event", ["password", "turned off", "set up anew", "disabled", "late"])
async def test_a_first_step_is_worth_nothing_once_what_it_stood_for_has_changed(world: World, event: str) -> None:
    app, recovery = await with_second_step(world)
    world.now += 30
    browser = world.browser()
    step = await type_password(browser)
    (user,) = [person for person in await world.store.users.list_users() if person.username == "ada"]
    if event == "password":
        await world.store.users.change_password("ada", "$argon2id$another")
    elif event == "turned off":
        await world.store.second_steps.turn_off(user.subject)
    elif event == "set up anew":
        (kept,) = await world.store.second_steps.list_second_steps()
        await world.store.second_steps.turn_off(user.subject)
        await world.store.second_steps.set_up(replace(kept, step_id="step_2"), recovery_codes=[])
    elif event == "disabled":
        await world.store.users.disable_user(user.subject, now=world.now)
    else:
        world.now += 600

    for code in (app.code(world.now), recovery[0]):
        answer = await send(browser, step, code=code)
        assert answer.status_code in {303, 403}
        assert answer.headers.get("location") in {None, LOGIN}
    assert not await is_logged_in(browser)


async def test_a_link_that_sets_the_password_does_not_turn_it_off(world: World) -> None:
    """And neither does the command that sets it."""
    app, _ = await with_second_step(world)
    user = await world.store.users.find_user("ada")
    assert user is not None
    assert await world.store.users.change_password("ada", user.password_hash or "")
    world.now += 30

    assert heading(await type_password(world.browser())) == "Enter your code"
    assert await login_with(world.browser(), app.code(world.now))


@pytest.mark.parametrize("path", [PAGE, CHANGE])
async def test_who_is_not_logged_in_or_has_nothing_to_change_is_led_on(world: World, path: str) -> None:
    nobody = world.browser()
    form = Form((await nobody.get(LOGIN)).text)
    assert (await nobody.get(PAGE)).headers["location"] == LOGIN
    assert (await nobody.post(path, data=form.fields)).status_code == 403

    ada = world.browser()
    await type_password(ada)
    if path == CHANGE:
        token = Form((await ada.get(PAGE)).text).fields["csrf_token"]
        assert (await ada.post(path, data={"csrf_token": token})).headers["location"] == PAGE


async def test_nobody_without_a_password_here_is_offered_one() -> None:
    from tests.web.pages.pages_world import make_world  # noqa: PLC0415 - this test alone has other people

    elsewhere = make_world()
    async with elsewhere.browser() as browser:
        await elsewhere.log_in(browser)
        assert PAGE not in (await browser.get("/oauth/account")).text
        assert (await browser.get(PAGE)).headers["location"] == "/oauth/account"


async def test_a_change_of_the_password_uses_no_code_in_vain_and_leaves_the_browser_known(
    world: World, browser: httpx2.AsyncClient
) -> None:
    app, _ = await set_up(world, browser)
    world.now += 30
    new, code = "violet kettles hum at dusk", app.code(world.now)
    typed = {"old": PASSWORD, "password": "ada-ada-ada-ada", "repeat": "ada-ada-ada-ada", "code": code}
    page = await browser.get("/oauth/account/password")
    assert 'autocomplete="one-time-code"' in page.text

    refused = await send(browser, page, **typed)
    assert (refused.status_code, "too easy to guess" in refused.text) == (422, True)
    without = await send(browser, refused, **{**typed, "password": new, "repeat": new, "code": ""})
    assert (without.status_code, alert_on(without)) == (403, USED)
    assert 'id="code" name="code"' in without.text
    changed = await send(browser, without, **{**typed, "password": new, "repeat": new})

    assert heading(changed) == "Your password is changed"
    assert heading(await type_password(world.browser(), password=new)) == "Enter your code"


async def test_nobody_without_a_second_step_is_asked_for_a_code(browser: httpx2.AsyncClient) -> None:
    assert "one-time-code" not in (await browser.get("/oauth/account/password")).text
