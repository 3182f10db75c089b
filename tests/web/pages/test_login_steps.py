"""A login in several steps: what is kept between them belongs to one browser, and opens once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx2
import pytest
from starlette.requests import Request

from gatepost.identity.provider import Identity, IdentityProvider, Login, LoginField, LoginRoute, LoginStep
from gatepost.tokens.sealing import KeyRing
from gatepost.web.pages.login_throttle import LoginThrottle
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.limits import Limits
from tests.attacks.login_world import KEY
from tests.web.pages.pages_world import PASSWORD, Form, World, heading, make_world

LOGIN = "/oauth/login?transaction=transaction_1"
CONSENT = "/oauth/consent?transaction=transaction_1"
CODE = LoginField("code", "Code", autocomplete="one-time-code")
DEVICE = LoginField("device", "Name of this device")


class ThreeSteps(IdentityProvider):
    """Password, code, and the name of the device."""

    name = "three-steps"
    keeps_subjects = True
    login_fields = (LoginField("username", "Username"), LoginField("password", "Password", secret=True))
    routes: tuple[LoginRoute, ...] = ()

    def __init__(self) -> None:
        self.devices: list[str] = []

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> LoginStep | None:
        del request
        is_right = credentials.get("password") == PASSWORD
        return LoginStep((CODE,), {"username": credentials["username"]}) if is_right else None

    async def continue_login(
        self, request: Request, credentials: Mapping[str, str], data: Mapping[str, str]
    ) -> Identity | LoginStep | None:
        del request
        if "device" in credentials:
            self.devices.append(credentials["device"])
            return Identity(data["username"]) if data.get("has_code") else None
        if credentials.get("code") == "give up":
            return None
        if credentials.get("code") != "123456":
            return LoginStep((CODE,), data, problem="That is not the code.")
        return LoginStep((DEVICE,), {**data, "has_code": "yes"})


def throttle(world: World) -> LoginThrottle:
    return LoginThrottle(
        limits=Limits(store=world.store.limits, now=lambda: world.now),
        addresses=ClientAddresses(),
        key_ring=KeyRing([KEY]),
        now=lambda: world.now,
        random_bytes=world.random_bytes,
        cookie_name="__Host-gatepost-known",
        secure=True,
    )


@pytest.fixture
def provider() -> ThreeSteps:
    return ThreeSteps()


@pytest.fixture
async def world(provider: ThreeSteps) -> AsyncIterator[World]:
    world = make_world(provider=provider, throttle=throttle)
    yield world
    for browser in world.browsers:
        await browser.aclose()


@pytest.fixture
async def browser(world: World) -> httpx2.AsyncClient:
    browser = world.browser()
    await world.begin(browser)
    return browser


async def first(browser: httpx2.AsyncClient, path: str = LOGIN, username: str = "ada") -> httpx2.Response:
    form = Form((await browser.get(path)).text)
    return await browser.post(form.action or "", data={**form.fields, "username": username, "password": PASSWORD})


async def answer(browser: httpx2.AsyncClient, page: httpx2.Response, **typed: str) -> httpx2.Response:
    form = Form(page.text)
    return await browser.post(form.action or "", data={**form.fields, **typed})


async def test_each_step_is_a_form_and_the_last_leads_to_consent(
    world: World, browser: httpx2.AsyncClient, provider: ThreeSteps
) -> None:
    second = await first(browser)
    assert (second.status_code, heading(second), Form(second.text).action) == (200, "Log in", LOGIN)
    assert 'autocomplete="one-time-code"' in second.text
    third = await answer(browser, second, code="123456")
    assert list(Form(third.text).fields) == ["csrf_token", "state", "device"]
    assert (await world.session(browser)).user is None

    done = await answer(browser, third, device="laptop")

    assert (done.status_code, done.headers["location"]) == (303, CONSENT)
    assert (await world.session(browser)).session.subject == "ada"
    assert provider.devices == ["laptop"]


async def test_what_a_step_knows_does_not_go_through_the_browser(browser: httpx2.AsyncClient) -> None:
    third = await answer(browser, await first(browser), code="123456")

    assert "has_code" not in third.text
    assert "ada" not in third.text


async def test_a_wrong_answer_is_told_and_can_be_mended(browser: httpx2.AsyncClient) -> None:
    wrong = await answer(browser, await first(browser), code="1")

    assert (wrong.status_code, 'role="alert"' in wrong.text) == (403, True)
    assert "That is not the code." in wrong.text
    third = await answer(browser, wrong, code="123456")
    assert (await answer(browser, third, device="laptop")).headers["location"] == CONSENT


async def test_a_provider_may_have_the_person_begin_again(browser: httpx2.AsyncClient) -> None:
    refused = await answer(browser, await first(browser), code="give up")

    assert refused.status_code == 403
    assert list(Form(refused.text).fields) == ["csrf_token", "username", "password"]


async def test_a_step_cannot_be_left_out_or_answered_twice(
    world: World, browser: httpx2.AsyncClient, provider: ThreeSteps
) -> None:
    second = await first(browser)
    skipped = await answer(browser, second, device="laptop")
    assert (skipped.status_code, (await world.session(browser)).user) == (403, None)

    again = await answer(browser, second, code="123456")

    assert (again.status_code, again.headers["location"]) == (303, LOGIN)
    assert heading(await browser.get(LOGIN)) == "Log in"
    assert provider.devices == ["laptop"]


@pytest.mark.parametrize("state", ["", "x", "gp_ls_" + "A" * 43])
async def test_a_made_up_state_begins_again(browser: httpx2.AsyncClient, state: str) -> None:
    second = await first(browser)

    made_up = await answer(browser, second, code="123456", state=state or "gp_ls_")

    assert (made_up.status_code, made_up.headers["location"]) == (303, LOGIN)


async def test_the_step_of_another_browser_is_no_way_in(world: World, browser: httpx2.AsyncClient) -> None:
    mine = Form((await first(browser)).text).fields["state"]
    thief = world.browser()
    own = Form((await thief.get("/oauth/login")).text)

    stolen = await thief.post("/oauth/login", data={**own.fields, "state": mine, "code": "123456"})

    assert (stolen.status_code, stolen.headers["location"]) == (303, "/oauth/login")


async def test_a_step_is_over_after_ten_minutes(world: World, browser: httpx2.AsyncClient) -> None:
    second = await first(browser)
    world.now += 600

    assert (await answer(browser, second, code="123456")).headers["location"] == LOGIN


async def test_codes_are_guessed_as_seldom_as_passwords(browser: httpx2.AsyncClient) -> None:
    page = await first(browser)
    statuses = []
    for number in range(12):
        page = await answer(browser, page, code=str(number))
        statuses.append(page.status_code)
        if page.status_code == 429:
            break

    # The right password was one of the ten tries that an address has at an account.
    assert statuses == [403] * 9 + [429]


async def test_a_browser_that_has_passed_all_steps_is_known(browser: httpx2.AsyncClient) -> None:
    second = await first(browser)
    assert "__Host-gatepost-known" not in browser.cookies
    third = await answer(browser, second, code="123456")
    await answer(browser, third, device="laptop")

    assert "__Host-gatepost-known" in browser.cookies


async def test_the_state_of_a_form_opens_nothing_at_a_route_of_the_provider() -> None:
    taken: list[Mapping[str, str]] = []

    async def callback(request: Request, login: Login) -> httpx2.Response:  # type: ignore[return]  # never returns
        taken.append(await login.resume(request.query_params["state"]))

    provider = ThreeSteps()
    provider.routes = (LoginRoute("callback", callback),)  # type: ignore[arg-type]  # likewise
    world = make_world(provider=provider)
    async with world.browser() as browser:
        state = Form((await first(browser, "/oauth/login")).text).fields["state"]
        over = await browser.get("/oauth/login/three-steps/callback", params={"state": state})
        assert (over.status_code, heading(over)) == (400, "This login is over")
        assert taken == []
