"""What somebody who knows the password alone can do where the server demands a second step: nothing but set it up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.identity.account_links import link_path
from gatepost.stores.contract.account_links import AccountLink
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from tests.attacks.installed import VERIFIER, installed
from tests.identity.authenticator import Authenticator
from tests.web.pages.pages_world import PASSWORD, Form, heading
from tests.web.pages.passkey_world import CONFIRM, ORIGIN, PASSKEYS, Browser, PasskeyWorld, passkey_world
from tests.web.pages.passkey_world import make_hashing_cheap as hash_cheaply
from tests.web.pages.required_world import (
    ACCOUNT,
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
from tests.web.pages.second_step_world import CHANGE, PAGE, codes_on, send

CONSENT = "/oauth/consent"
BY_PASSKEY = "Log in with your passkey"


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    hash_cheaply(monkeypatch)


@pytest.fixture
async def world() -> AsyncIterator[PasskeyWorld]:
    async with passkey_world(**EVERYBODY) as world:
        yield world


@pytest.fixture
async def thief(world: PasskeyWorld) -> Browser:
    """A browser in which somebody has typed ada's password."""
    browser = world.browser()
    await browser.log_in()
    return browser


async def forms(browser: Browser, page: str = PAGE) -> list[str]:
    """Return the CSRF tokens of all forms of a page."""
    return re.findall(r'csrf_token" value="([^"]+)"', (await browser.http.get(page)).text)


def leads_to_login(answer: httpx2.Response) -> bool:
    return answer.status_code == 303 and answer.headers["location"].startswith(LOGIN)


async def test_no_other_page_knows_anybody_before_the_set_up(world: PasskeyWorld, thief: Browser) -> None:
    await world.store.users.give_role(await subject_of(world.store), "admin")
    pages = [ACCOUNT, f"{ACCOUNT}/password", CONFIRM, "/oauth/account/confirm?for=admin", "/oauth/setup"]
    pages += [f"/oauth/admin{page}" for page in ("", "/people", "/clients", "/grants", "/audit", "/keys")]
    for page in pages:
        answer = await thief.http.get(page)
        assert leads_to_login(answer), page
        assert "ada" not in answer.text


async def test_no_form_is_taken_before_the_set_up(world: PasskeyWorld, thief: Browser) -> None:
    """With every token that the pages of the set-up hand out."""
    await world.store.users.give_role(await subject_of(world.store), "admin")
    typed = {"password": PASSWORD, "old": PASSWORD, "repeat": PASSWORD, "session": "others", "grant": "all", "do": "x"}
    tokens = [*await forms(thief), *re.findall('data-csrf="([^"]+)"', (await thief.http.get(PASSKEYS)).text)]
    assert len(set(tokens)) == 3
    for path in (
        *(f"{ACCOUNT}/{name}" for name in ("password", "apps", "sessions", "confirm", "logins", "upstream")),
        CHANGE,
        *(f"{PASSKEYS}/{name}" for name in ("rename", "remove")),
        *(f"/oauth/admin/{name}" for name in ("people", "person", "client", "grants", "keys")),
    ):
        for token in tokens:
            answer = await thief.http.post(path, data={"csrf_token": token, **typed})
            assert answer.status_code in {403, 404} or leads_to_login(answer), path
    assert leads_to_login(await thief.http.post("/oauth/account/confirm/challenge", headers={"Origin": ORIGIN}))
    user = await world.store.users.find_user("ada")
    assert user is not None
    assert (user.second_step, await world.passkeys()) == (None, [])


async def test_no_code_is_given_before_the_set_up_also_where_the_consent_is_remembered() -> None:
    async with passkey_world() as before:
        browser = before.browser()
        client_id = await register(browser)
        await browser.log_in(path=await ask(browser, client_id))
        consent = await ask(browser, client_id)
        open_form = Form((await browser.http.get(consent)).text)
        assert (await approve(browser, consent)).startswith(f"{CALLBACK}?code=")
        browser = before.browser()
        login = await ask(browser, client_id)
        await browser.log_in(path=login)
        consent = login.replace(LOGIN, CONSENT)
        open_form = Form((await browser.http.get(consent)).text)
        async with passkey_world(before.store, **EVERYBODY) as now:
            there = moved(browser, now)

            answered = await there.http.post(open_form.action or "", data={**open_form.fields, "decision": "approve"})
            assert answered.headers["location"] == login, "a form that was open when the setting was switched on"
            assert (await there.http.get(consent)).headers["location"] == login
            assert (await there.http.get(login)).headers["location"] == login.replace(LOGIN, PAGE)
            assert (await ask(there, client_id)).startswith(f"{LOGIN}?transaction=")
            assert leads_to_login(await there.http.get(ACCOUNT))


async def test_no_code_is_given_at_once_before_the_set_up() -> None:
    async with passkey_world(**EVERYBODY, OAUTH_AUTO_APPROVE="true") as world:
        browser = world.browser()
        client_id = await register(browser)
        login = await ask(browser, client_id)
        assert (await browser.log_in(path=login)).headers["location"] == login.replace(LOGIN, PAGE)
        assert (await ask(browser, client_id)).startswith(f"{LOGIN}?transaction=")
        await set_up(world, browser, login.replace(LOGIN, PAGE))
        assert not (await ask(browser, client_id)).startswith(LOGIN)


async def test_who_knows_the_password_of_an_account_with_a_passkey_adds_nothing_of_their_own(
    world: PasskeyWorld, thief: Browser
) -> None:
    """Also not with pages that were open before its person added the passkey."""
    owner, phone, own = world.browser(), Authenticator(ORIGIN), Authenticator(ORIGIN)
    open_page = await thief.http.get(PAGE)
    told, begun = await thief.options(PASSKEYS)
    await owner.log_in()
    await owner.add(phone, page=PASSKEYS)
    assert await owner.is_logged_in()

    for answer in (
        await thief.http.get(PAGE),
        await thief.http.get(PASSKEYS),
        await thief.http.post(told["challenge"], headers={"Origin": ORIGIN}),
        await send(thief.http, open_page, code="000000"),
        await thief.answer(told, begun, own.create(begun["publicKey"]), name="Mine"),
    ):
        assert (answer.status_code, heading(answer)) == (403, BY_PASSKEY)
    fresh = world.browser()
    assert (await fresh.log_in()).headers["location"] == PAGE
    assert heading(await fresh.http.get(PAGE)) == BY_PASSKEY
    assert not await thief.is_logged_in()
    assert len(await world.passkeys()) == 1
    user = await world.store.users.find_user("ada")
    assert user is not None
    assert user.second_step is None
    await fresh.sign(phone, page=f"{LOGIN}?switch=1")
    assert await fresh.is_logged_in()


async def test_a_browser_in_which_the_password_was_typed_is_let_in_by_no_set_up_in_another(
    world: PasskeyWorld, thief: Browser
) -> None:
    open_page = await thief.http.get(PAGE)
    owner = world.browser()
    await owner.log_in()
    await set_up(world, owner)

    assert not await thief.is_logged_in()
    assert leads_to_login(await thief.http.get(PAGE))
    # What the form is told says nothing: all sessions of the account have ended with the set-up.
    assert (await send(thief.http, open_page, code="000000")).headers["location"] == PAGE
    again = world.browser()
    form = Form((await again.http.get(LOGIN)).text)
    step = await again.http.post(LOGIN, data={**form.fields, "username": "ada", "password": PASSWORD})
    assert heading(step) == "Enter your code"
    assert leads_to_login(await again.http.get(PAGE))


async def test_of_two_that_set_one_up_at_once_one_is_let_in(world: PasskeyWorld, thief: Browser) -> None:
    owner = world.browser()
    await owner.log_in()

    async def by_app(browser: Browser) -> None:
        await set_up(world, browser)

    async def by_passkey(browser: Browser) -> None:
        await browser.add(Authenticator(ORIGIN), page=PASSKEYS)

    await asyncio.gather(by_app(thief), by_passkey(owner), return_exceptions=True)

    assert sorted([await thief.is_logged_in(), await owner.is_logged_in()]) == [False, True]
    user = await world.store.users.find_user("ada")
    assert user is not None
    assert (user.second_step is not None) + len(await world.passkeys()) == 1


async def test_a_login_that_began_before_meets_it_at_its_end() -> None:
    """A challenge for a passkey, a code that is asked for and a page of passkeys that was open are from before."""
    async with passkey_world() as before:
        browser = before.browser()
        await browser.log_in()
        told, begun = await browser.options(PASSKEYS)
        started = before.browser()
        form = Form((await started.http.get(LOGIN)).text)
        async with passkey_world(before.store, **EVERYBODY) as now:
            there, late = moved(browser, now), moved(started, now)
            answer = await late.http.post(LOGIN, data={**form.fields, "username": "ada", "password": PASSWORD})
            assert answer.headers["location"] == PAGE
            assert not await late.is_logged_in()
            # The session of before has a password alone; its passkey is the first, and lets it in, as at the set-up.
            device = Authenticator(ORIGIN)
            added = await there.answer(told, begun, device.create(begun["publicKey"]), name="Phone")
            assert added.headers["location"] == ACCOUNT
            assert await there.is_logged_in()
            assert not await late.is_logged_in()


async def test_invitations_and_links_that_set_a_password_lead_to_the_set_up(world: PasskeyWorld) -> None:

    now = world.installed.clock[0]
    for number, (subject, name) in enumerate(((None, "eve"), (await subject_of(world.store), None))):
        token = mint(SecretKind.ACCOUNT_LINK, bytes([number]).__mul__)
        await world.store.account_links.offer_link(AccountLink(fingerprint(token), subject, name, now, now + 60))
        browser = world.browser()
        form = Form((await browser.http.get(link_path(token))).text)
        fields = {**form.fields, "password": PASSWORD, "repeat": PASSWORD}
        answer = await browser.http.post(form.action or "", data=fields)
        assert answer.status_code == (303 if subject is None else 200)
        assert leads_to_login(await browser.http.get(ACCOUNT))
        if subject is None:
            assert (await browser.http.get(LOGIN)).headers["location"] == PAGE
        assert not await browser.is_logged_in()


async def test_the_first_account_meets_it_too() -> None:

    store = memory_store()
    await store.open()
    async with installed(store=store, OAUTH_REQUIRE_SECOND_STEP="administrators") as running:
        token = running.installation.setup_token
        form = Form((await running.http.get(f"/oauth/setup?token={token}")).text)
        fields = {**form.fields, "username": "ada", "password": PASSWORD, "repeat": PASSWORD}
        made = await running.http.post(form.action or "", data=fields)
        assert leads_to_login(await running.http.get(made.headers["location"]))
        assert (await running.http.get(LOGIN)).headers["location"] == PAGE


async def test_a_browser_left_open_at_the_set_up_sets_nothing_up_later(world: PasskeyWorld, thief: Browser) -> None:
    open_page = await thief.http.get(PAGE)
    told, begun = await thief.options(PASSKEYS)
    world.pass_time(10 * 60)
    device = Authenticator(ORIGIN)
    for answer in (
        await send(thief.http, open_page, code="000000"),
        await thief.answer(told, begun, device.create(begun["publicKey"])),
        await thief.http.get(PASSKEYS),
    ):
        assert leads_to_login(answer)
    assert await world.passkeys() == []


async def test_a_page_of_another_site_sets_nothing_up(world: PasskeyWorld, thief: Browser) -> None:
    page = await thief.http.get(PAGE)
    form = Form(page.text.partition('<form method="post" action="/oauth/logout">')[0])
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert (await thief.http.post(PAGE, data=form.fields, headers=headers)).status_code == 403
        assert (await thief.http.post(f"{PASSKEYS}/challenge", headers=headers)).status_code == 403
    assert (await thief.http.post(PAGE, data={**form.fields, "csrf_token": "x"})).status_code == 403
    assert not codes_on(await thief.http.get(PAGE))
    assert await world.events("second_step_set_up") == []


async def test_a_link_to_the_set_up_leads_to_no_place_of_somebody_elses_choice(
    world: PasskeyWorld, thief: Browser
) -> None:
    page = f"{PAGE}?then=https://evil.example&link=evil&next=//evil.example"
    _, done = await set_up(world, thief, page)
    assert f'href="{ACCOUNT}">I kept them</a>' in done.text
    assert "evil" not in done.text


async def test_what_an_app_was_given_before_goes_on() -> None:
    """A grant is renewed without its person, so there would be nobody to ask; an operator can revoke it."""
    async with passkey_world() as before:
        browser = before.browser()
        client_id = await register(browser)
        await browser.log_in(path=(login := await ask(browser, client_id)))
        sent = httpx2.URL(await approve(browser, login.replace(LOGIN, CONSENT)))

        fields = {"client_id": client_id, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        form = {"grant_type": "authorization_code", "code": sent.params["code"], **fields}
        tokens = (await browser.http.post("/oauth/token", data=form)).json()
        async with passkey_world(before.store, **EVERYBODY) as now:
            there = now.browser()
            renewed = await there.http.post(
                "/oauth/token",
                data={
                    "grant_type": "refresh_token",
                    "refresh_token": tokens["refresh_token"],
                    "client_id": client_id,
                },
            )
            assert renewed.status_code == 200
