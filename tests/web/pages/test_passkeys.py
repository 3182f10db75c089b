"""How people add passkeys, rename and remove them, and show again who they are before that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.identity.authenticator import Authenticator
from tests.identity.one_time_app import App
from tests.web.pages.pages_world import ATTACK, PASSWORD, Form, heading
from tests.web.pages.passkey_world import (
    CONFIRM,
    LONG_AGO,
    ORIGIN,
    PASSKEYS,
    Browser,
    PasskeyWorld,
    make_hashing_cheap,
    passkey_world,
)
from tests.web.pages.second_step_world import PAGE, codes_on, key_on, send

RENAME, REMOVE = f"{PASSKEYS}/rename", f"{PASSKEYS}/remove"


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PasskeyWorld]:
    make_hashing_cheap(monkeypatch)
    async with passkey_world() as world:
        yield world


@pytest.fixture
async def ada(world: PasskeyWorld) -> Browser:
    browser = world.browser()
    await browser.log_in()
    return browser


@pytest.fixture
def device() -> Authenticator:
    return Authenticator(ORIGIN)


# --- Adding ---


async def test_a_passkey_is_added_under_a_name(world: PasskeyWorld, ada: Browser, device: Authenticator) -> None:
    assert f'href="{PASSKEYS}"' in (await ada.http.get("/oauth/account")).text
    assert "You have no passkey yet." in (await ada.http.get(PASSKEYS)).text

    answer = await ada.add(device, "  My\u202e phone ")

    assert (answer.status_code, answer.headers["location"]) == (303, PASSKEYS)
    (kept,) = await world.passkeys()
    assert (kept.credential_id, kept.name, kept.rp_id, kept.last_used_at) == (
        device.credential_id,
        "My phone",
        "localhost",
        None,
    )
    page = (await ada.http.get(PASSKEYS)).text
    assert "<bdi>My phone</bdi>" in page
    assert "Added on 15 January 2027, not used yet." in " ".join(page.split())
    assert await world.events("passkey_added") == [("ok", None, True)]


async def test_all_passkeys_of_a_person_have_one_random_handle_and_are_not_made_twice(
    world: PasskeyWorld, ada: Browser
) -> None:
    devices = [Authenticator(ORIGIN), Authenticator(ORIGIN)]
    for device in devices:
        await ada.add(device)
    _, begun = await ada.options(PASSKEYS)
    excluded = [each["id"] for each in begun["publicKey"]["excludeCredentials"]]
    assert len(excluded) == 2
    assert devices[0].user_handle == devices[1].user_handle
    handle = devices[0].user_handle or b""
    assert len(handle) == 64
    bob = world.browser()
    await bob.log_in("bob")
    other = Authenticator(ORIGIN)
    await bob.add(other)
    assert other.user_handle != handle
    assert b"ada" not in handle


async def test_a_name_that_nothing_can_be_read_of_is_replaced_and_one_that_attacks_is_inert(
    world: PasskeyWorld, ada: Browser
) -> None:
    for name in ("\u200b\u2800", ATTACK + "x" * 500):
        await ada.add(Authenticator(ORIGIN), name)
        world.pass_time(1)
    first, second = await world.passkeys()
    assert (first.name, len(second.name)) == ("Passkey", 60)
    assert "<script>alert" not in (await ada.http.get(PASSKEYS)).text


async def test_what_is_no_passkey_is_refused_and_said(world: PasskeyWorld, ada: Browser, device: Authenticator) -> None:
    answer = await ada.add(device, origin="http://localhost:8001")
    assert answer.status_code == 422
    assert "was no passkey that works here" in answer.text
    assert await world.passkeys() == []
    assert await world.events("passkey_added") == [("refused", "passkey_invalid", True)]


async def test_a_passkey_that_is_there_or_one_too_many_is_refused_and_said(
    world: PasskeyWorld, ada: Browser, device: Authenticator
) -> None:
    await ada.add(device)
    answer = await ada.add(device)
    assert (answer.status_code, "This passkey has been added already." in answer.text) == (422, True)
    (kept,) = await world.passkeys()
    for number in range(19):
        await world.store.passkeys.add_passkey(replace(kept, credential_id=bytes([number])))
    answer = await ada.add(Authenticator(ORIGIN))
    assert (answer.status_code, "as many passkeys as this server keeps" in answer.text) == (422, True)
    assert len(await world.passkeys()) == 20


async def test_an_answer_that_comes_twice_or_too_late_leads_back_to_the_page(
    world: PasskeyWorld, ada: Browser, device: Authenticator
) -> None:
    told, begun = await ada.options(PASSKEYS)
    credential = device.create(begun["publicKey"])
    for _ in range(2):
        answer = await ada.answer(told, begun, credential, name="Phone")
        assert (answer.status_code, answer.headers["location"]) == (303, PASSKEYS)
    assert len(await world.passkeys()) == 1
    told, begun = await ada.options(PASSKEYS)
    late = Authenticator(ORIGIN).create(begun["publicKey"])
    world.pass_time(601)
    await ada.log_in()
    answer = await ada.answer(told | (await ada.options(PASSKEYS))[0], begun, late)
    assert answer.headers["location"] == PASSKEYS
    assert len(await world.passkeys()) == 1


# --- Renaming and removing ---


async def test_a_passkey_is_renamed_at_any_time(world: PasskeyWorld, ada: Browser, device: Authenticator) -> None:
    await ada.add(device)
    (kept,) = await world.passkeys()
    world.pass_time(LONG_AGO)
    for name, now_called in (("Laptop", "Laptop"), ("", "Laptop"), ("\u200b", "Laptop"), ("Laptop", "Laptop")):
        answer = await ada.press(RENAME, passkey=kept.number, name=name)
        assert (answer.status_code, answer.headers["location"]) == (303, PASSKEYS)
        assert [each.name for each in await world.passkeys()] == [now_called]
    assert await world.events("passkey_renamed") == [("ok", None, True)]


async def test_a_passkey_is_removed_and_ends_nothing_else(
    world: PasskeyWorld, ada: Browser, device: Authenticator
) -> None:
    await ada.add(device)
    other = world.browser()
    await other.sign(device)
    (kept,) = await world.passkeys()
    for _ in range(2):
        answer = await ada.press(REMOVE, passkey=kept.number)
        assert (answer.status_code, answer.headers["location"]) == (303, PASSKEYS)
    assert await world.passkeys() == []
    assert [await browser.is_logged_in() for browser in (ada, other)] == [True, True]
    assert await world.events("passkey_removed") == [("ok", None, True)]
    refused = await world.browser().sign(device)
    assert refused.status_code == 403


# --- Showing again who it is ---


async def test_some_minutes_after_the_login_adding_and_removing_ask_again(
    world: PasskeyWorld, ada: Browser, device: Authenticator
) -> None:
    await ada.add(device)
    told, begun = await ada.options(PASSKEYS)
    (kept,) = await world.passkeys()
    world.pass_time(LONG_AGO)

    page = (await ada.http.get(PASSKEYS)).text
    assert f'href="{CONFIRM}"' in page
    assert "data-ceremony" not in page
    assert 'action="/oauth/account/passkeys/remove"' not in page
    refused = await ada.http.post(told["challenge"])
    assert (refused.status_code, heading(refused)) == (403, "Confirm that it is you")
    answers = [
        await ada.answer(told, begun, Authenticator(ORIGIN).create(begun["publicKey"])),
        await ada.press(REMOVE, passkey=kept.number),
    ]
    assert [answer.headers["location"] for answer in answers] == [CONFIRM, CONFIRM]
    assert await world.passkeys() == [kept]


async def test_the_password_confirms(world: PasskeyWorld, ada: Browser, device: Authenticator) -> None:
    world.pass_time(LONG_AGO)
    form = Form((await ada.http.get(CONFIRM)).text)
    wrong = await ada.http.post(form.action or "", data={**form.fields, "password": "a guess"})
    assert (wrong.status_code, "That is not your password." in wrong.text) == (403, True)
    assert (await ada.http.get(CONFIRM)).status_code == 200
    before = ada.http.cookies["gatepost-8000"]

    right = await ada.http.post(form.action or "", data={**form.fields, "password": PASSWORD})

    assert (right.status_code, right.headers["location"]) == (303, PASSKEYS)
    assert ada.http.cookies["gatepost-8000"] != before
    assert (await ada.http.get(CONFIRM)).headers["location"] == PASSKEYS
    assert (await ada.add(device)).headers["location"] == PASSKEYS
    assert len(await world.passkeys()) == 1
    expected = [("ok", None, True), ("refused", "login_failed", True)]
    assert await world.events("identity_confirmed") == expected


async def test_a_passkey_confirms_as_well(world: PasskeyWorld, ada: Browser, device: Authenticator) -> None:
    await ada.add(device)
    world.pass_time(LONG_AGO)
    _, begun = await ada.options(CONFIRM)
    assert len(begun["publicKey"]["allowCredentials"]) == 1
    wrong = await ada.sign(device, CONFIRM, break_signature=True)
    assert (wrong.status_code, "That is no passkey of yours." in wrong.text) == (403, True)
    right = await ada.sign(device, CONFIRM, handle=None)
    assert (right.status_code, right.headers["location"]) == (303, PASSKEYS)
    assert 'data-ceremony="create"' in (await ada.http.get(PASSKEYS)).text
    expected = [("ok", None, True), ("refused", "login_failed", True)]
    assert await world.events("identity_confirmed") == expected


async def test_a_second_step_is_asked_of_the_password_and_not_of_a_passkey(
    world: PasskeyWorld, ada: Browser, device: Authenticator
) -> None:
    """Else who knows the password and finds a browser left open would add a passkey, and come in by it for good."""
    await ada.add(device)
    app = App(key_on(await ada.http.get(PAGE)))
    set_up = await send(ada.http, await ada.http.get(PAGE), code=app.code(world.installed.clock[0]), password=PASSWORD)
    codes = codes_on(set_up)
    world.pass_time(LONG_AGO)
    page = await ada.http.get(CONFIRM)

    for typed in ({}, {"code": "000000"}, {"code": app.code(world.installed.clock[0] - LONG_AGO)}):
        refused = await send(ada.http, page, password=PASSWORD, **typed)
        assert refused.status_code == 403
        assert (await ada.http.get(CONFIRM)).status_code == 200
    assert [reason for _, reason, _ in await world.events("identity_confirmed")] == ["second_step_failed"] * 3
    passed = await send(ada.http, page, password=PASSWORD, code=codes[0])
    assert (passed.status_code, passed.headers["location"]) == (303, PASSKEYS)
    world.pass_time(15 * 60)
    assert (await ada.sign(device)).headers["location"] == "/oauth/account"
    world.pass_time(LONG_AGO)
    assert (await ada.sign(device, CONFIRM)).headers["location"] == PASSKEYS


async def test_confirming_makes_a_login_no_longer(world: PasskeyWorld, ada: Browser) -> None:
    world.pass_time(LONG_AGO)
    form = Form((await ada.http.get(CONFIRM)).text)
    await ada.http.post(form.action or "", data={**form.fields, "password": PASSWORD})
    world.pass_time(15 * 60 - LONG_AGO - 1)
    assert await ada.is_logged_in()
    world.pass_time(1)
    assert not await ada.is_logged_in()


async def test_the_page_leads_to_none_but_our_own_places(world: PasskeyWorld, ada: Browser) -> None:
    world.pass_time(LONG_AGO)
    queries = ("", "?for=https://evil.example", "?for=//evil.example", "?for=passkeys%0d%0ax")
    forms = [Form((await ada.http.get(f"/oauth/account/confirm{query}")).text) for query in queries]
    assert [form.action for form in forms] == ["/oauth/account/confirm"] * 4
    form = forms[0]
    answer = await ada.http.post(form.action or "", data={**form.fields, "password": PASSWORD})
    assert answer.headers["location"] == "/oauth/account"


async def test_nobody_has_these_pages_without_a_login(world: PasskeyWorld) -> None:
    browser = world.browser()
    for path in (PASSKEYS, CONFIRM):
        assert (await browser.http.get(path)).headers["location"] == "/oauth/login"
    for path in (f"{PASSKEYS}/challenge", "/oauth/account/confirm/challenge"):
        assert (await browser.http.post(path)).headers["location"] == "/oauth/login"


# --- Where browsers have no passkeys ---


async def test_by_an_address_the_page_says_where_to_go_and_the_login_says_nothing(world: PasskeyWorld) -> None:
    browser = world.browser("http://127.0.0.1:8000")
    login = (await browser.http.get("/oauth/login")).text
    assert "passkey" not in login.lower()
    assert (await browser.http.post("/oauth/passkey/challenge")).status_code == 404
    await browser.log_in()
    page = (await browser.http.get(PASSKEYS)).text
    assert f'href="http://localhost:8000{PASSKEYS}"' in page
    assert "<script" not in page


async def test_a_passkey_of_another_host_is_shown_with_it_and_can_be_removed(
    world: PasskeyWorld, ada: Browser, device: Authenticator
) -> None:
    await ada.add(device)
    browser = world.browser("http://127.0.0.1:8000")
    await browser.log_in()
    assert "It works at localhost only." in (await browser.http.get(PASSKEYS)).text
    (kept,) = await world.passkeys()
    assert (await browser.press(REMOVE, passkey=kept.number)).headers["location"] == PASSKEYS
    assert await world.passkeys() == []


async def test_scripts_run_on_the_pages_that_ask_for_passkeys_and_on_no_other(
    world: PasskeyWorld, ada: Browser, device: Authenticator
) -> None:
    await ada.add(device)
    world.pass_time(LONG_AGO)
    asking, others = ["/oauth/login?switch=1", CONFIRM], ["/oauth/account", PASSKEYS, "/oauth/account/password"]
    for path in (*asking, *others):
        page = await ada.http.get(path)
        policy, features = page.headers["content-security-policy"], page.headers["permissions-policy"]
        runs = path in asking
        assert ("script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'" in policy) is runs
        assert ("<script src=" in page.text) is runs
        assert ("publickey-credentials-get=(self)" in features) is runs
        assert "unsafe" not in policy
    script = await ada.http.get("/oauth/static/passkeys.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["x-content-type-options"] == "nosniff"
