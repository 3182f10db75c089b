"""Logging in by a passkey, without a user name."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.identity.authenticator import Authenticator
from tests.web.pages.passkey_world import (
    ORIGIN,
    PUBLIC,
    PUBLIC_ORIGIN,
    Browser,
    PasskeyWorld,
    make_hashing_cheap,
    passkey_world,
)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PasskeyWorld]:
    make_hashing_cheap(monkeypatch)
    async with passkey_world() as world:
        yield world


@pytest.fixture
async def device(world: PasskeyWorld) -> Authenticator:
    """One with a passkey of ada's."""
    device, browser = Authenticator(ORIGIN), world.browser()
    await browser.log_in()
    await browser.add(device)
    return device


@pytest.fixture
def browser(world: PasskeyWorld) -> Browser:
    return world.browser()


async def test_a_passkey_logs_its_person_in(world: PasskeyWorld, device: Authenticator, browser: Browser) -> None:
    _, begun = await browser.options("/oauth/login")
    assert begun["publicKey"]["allowCredentials"] == []
    assert begun["publicKey"]["userVerification"] == "required"
    before = browser.http.cookies["gatepost-8000"]
    world.pass_time(5)

    answer = await browser.sign(device)

    assert (answer.status_code, answer.headers["location"]) == (303, "/oauth/account")
    assert browser.http.cookies["gatepost-8000"] != before
    assert "<bdi>ada</bdi>" in (await browser.http.get("/oauth/account")).text
    assert [each.last_used_at for each in await world.passkeys()] == [world.installed.clock[0]]
    assert (await world.events("login"))[0] == ("ok", None, True)


async def test_the_login_goes_on_with_the_authorization_request(device: Authenticator, browser: Browser) -> None:
    registered = await browser.http.post("/oauth/register", json={"redirect_uris": ["http://127.0.0.1:9999/cb"]})
    query = {
        "response_type": "code",
        "client_id": registered.json()["client_id"],
        "redirect_uri": "http://127.0.0.1:9999/cb",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    login = (await browser.http.get("/oauth/authorize", params=query)).headers["location"]

    answer = await browser.sign(device, login)

    assert answer.headers["location"].startswith("/oauth/consent?transaction=")
    assert (await browser.http.get(answer.headers["location"])).status_code == 200


async def test_who_is_logged_in_can_switch_by_a_passkey(device: Authenticator, browser: Browser) -> None:
    await browser.log_in("bob")
    assert (await browser.sign(device, "/oauth/login?switch=1")).status_code == 303
    assert "<bdi>ada</bdi>" in (await browser.http.get("/oauth/account")).text


async def test_counters_that_stay_zero_and_counters_that_go_on_are_fine(
    world: PasskeyWorld, device: Authenticator
) -> None:
    counting = Authenticator(ORIGIN, counts=True)
    browser = world.browser()
    await browser.log_in()
    await browser.add(counting)
    for each in (device, device, counting, counting):
        assert (await world.browser().sign(each)).status_code == 303
    assert sorted(each.sign_count for each in await world.passkeys()) == [0, 2]


async def test_an_answer_that_comes_late_leads_back_to_the_login(
    world: PasskeyWorld, device: Authenticator, browser: Browser
) -> None:
    told, begun = await browser.options("/oauth/login")
    credential = device.get(begun["publicKey"])
    world.pass_time(600)
    answer = await browser.answer(told, begun, credential)
    assert (answer.status_code, answer.headers["location"]) == (303, "/oauth/login")
    assert not await browser.is_logged_in()


async def test_a_browser_without_a_session_is_asked_to_begin_again(device: Authenticator, browser: Browser) -> None:
    told, begun = await browser.options("/oauth/login")
    credential = device.get(begun["publicKey"])
    browser.http.cookies.clear()
    assert (await browser.http.post("/oauth/passkey/challenge")).status_code == 400
    assert (await browser.answer(told, begun, credential)).status_code == 400


async def test_the_password_works_as_before_in_the_browser_that_failed(device: Authenticator, browser: Browser) -> None:
    refused = await browser.sign(device, break_signature=True)
    assert refused.status_code == 403
    assert "This passkey does not log anybody in here. Try another one, or your password." in refused.text
    assert "aria-invalid" not in refused.text
    await browser.log_in()
    assert await browser.is_logged_in()


async def test_several_logins_beside_local_accounts_take_passkeys_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_hashing_cheap(monkeypatch)
    github = {"GITHUB_CLIENT_ID": "id", "GITHUB_CLIENT_SECRET": "secret", "OAUTH_ALLOWED_USERS": "*"}
    async with passkey_world(**github, OAUTH_LOCAL_ACCOUNTS="true") as world:
        device, browser = Authenticator(ORIGIN), world.browser()
        await browser.log_in()
        await browser.add(device)
        assert (await world.browser().sign(device)).headers["location"] == "/oauth/account"
    async with passkey_world(**github) as world:
        assert (await world.browser().http.post("/oauth/passkey/challenge")).status_code == 404


async def test_behind_a_public_name_passkeys_are_for_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    make_hashing_cheap(monkeypatch)
    async with passkey_world(**PUBLIC) as world:
        device, browser = Authenticator(PUBLIC_ORIGIN), world.browser()
        await browser.log_in()
        assert (await browser.add(device)).status_code == 303
        assert [each.rp_id for each in await world.passkeys()] == ["mcp.example.com"]
        assert (await world.browser().sign(device)).status_code == 303
