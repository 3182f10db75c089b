"""With nobody to log in and nothing to ask, the authorization endpoint decides and redirects once, to the client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.identity.provider import Identity
from gatepost.oauth.policy import AutoApprove
from gatepost.oauth.records import AuthorizationCode
from gatepost.tokens.opaque import fingerprint
from tests.counted_store import count_operations
from tests.web.pages.pages_world import (
    NOTES,
    ORIGIN,
    REDIRECT_URI,
    Form,
    World,
    heading,
    location_parameters,
    make_world,
)

TYPED = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
"""What a browser says when a native app opened it, or the person did."""
FROM_A_SITE = {**TYPED, "Sec-Fetch-Site": "cross-site"}
LOOPBACK = "http://127.0.0.1:4711/callback"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
GOOD = {
    "client_id": "client_1",
    "redirect_uri": REDIRECT_URI,
    "response_type": "code",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "scope": "notes:read raw",
    "state": "st/a te&<",
}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A server whose operator lets every app in."""
    world = make_world(auto_approve=AutoApprove.ALWAYS)
    await world.register()
    yield world
    for browser in world.browsers:
        await browser.aclose()


@pytest.fixture
async def browser(world: World) -> httpx2.AsyncClient:
    """A browser in which ada is logged in."""
    browser = world.browser()
    await world.log_in(browser)
    return browser


async def ask(browser: httpx2.AsyncClient, headers: dict[str, str] = TYPED, **changes: str) -> httpx2.Response:
    return await browser.get("/oauth/authorize", params={**GOOD, **changes}, headers=headers)


async def code_of(world: World, answer: httpx2.Response, *, to: str = REDIRECT_URI) -> AuthorizationCode:
    target, parameters = location_parameters(answer)
    assert (answer.status_code, target) == (303, to)
    found = await world.store.grants.find_code(fingerprint(parameters["code"][0]), now=world.now)
    assert found is not None
    return found


def stops_at(answer: httpx2.Response) -> str:
    """Return the path of the page that the browser is sent to."""
    assert answer.status_code == 303
    path, _, transaction = answer.headers["location"].partition("?")
    assert transaction.startswith("transaction=transaction_")
    return str(path)


async def test_what_the_operator_decided_is_one_redirect_with_code_state_and_issuer(
    world: World, browser: httpx2.AsyncClient
) -> None:
    answer = await ask(browser)

    code = await code_of(world, answer)
    _, parameters = location_parameters(answer)
    assert {name: parameters[name] for name in ("state", "iss")} == {"state": [GOOD["state"]], "iss": [ORIGIN]}
    assert sorted(parameters) == ["code", "iss", "state"]
    assert (code.subject, code.client_id, code.scopes) == ("user_ada", "client_1", ("notes:read", "raw"))
    assert (code.resource, code.code_challenge) == (NOTES.identifier, CHALLENGE)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-opener-policy"] == "unsafe-none"


async def test_it_takes_three_operations_of_the_store(world: World, browser: httpx2.AsyncClient) -> None:
    called = count_operations(world.store)

    await ask(browser)

    assert called == [
        "clients.find_client",
        "browser_sessions.find_session",
        "transactions.approve_at_once",
    ]


async def test_each_answer_has_a_code_of_its_own(world: World, browser: httpx2.AsyncClient) -> None:
    codes = [await code_of(world, await ask(browser)) for _ in range(2)]

    assert codes[0].code_fingerprint != codes[1].code_fingerprint


@pytest.mark.parametrize(
    ("headers", "changes"),
    [
        (FROM_A_SITE, {}),
        ({"Sec-Fetch-Site": "none"}, {}),
        ({}, {"prompt": "consent"}),
        (TYPED, {"prompt": "consent"}),
        (TYPED, {"prompt": "login"}),
        (TYPED, {"prompt": "select_account"}),
    ],
)
async def test_what_has_to_be_asked_goes_straight_to_the_question(
    browser: httpx2.AsyncClient, headers: dict[str, str], changes: dict[str, str]
) -> None:
    answer = await ask(browser, headers, **changes)

    assert stops_at(answer) == "/oauth/consent"
    assert heading(await browser.get(answer.headers["location"])) == "Allow this app?"


async def test_a_remembered_approval_decides_nothing_at_once() -> None:
    world = make_world()
    await world.register()
    browser = world.browser()
    await world.log_in(browser)
    for _ in range(2):
        answer = await ask(browser)
        assert stops_at(answer) == "/oauth/consent"
        form = Form((await browser.get(answer.headers["location"])).text)
        await code_of(world, await browser.post(form.action or "", data={**form.fields, "decision": "approve"}))
    await browser.aclose()


async def test_nobody_logged_in_goes_to_the_login(world: World) -> None:
    assert stops_at(await ask(world.browser())) == "/oauth/login"


async def test_a_disabled_user_goes_to_the_login_and_gets_no_code(world: World, browser: httpx2.AsyncClient) -> None:
    world.accounts.disabled.add("user_ada")

    assert stops_at(await ask(browser)) == "/oauth/login"


async def test_a_disabled_client_gets_a_page(world: World, browser: httpx2.AsyncClient) -> None:
    await world.store.clients.disable_client("client_1", now=world.now)

    answer = await ask(browser)

    assert (answer.status_code, heading(answer)) == (400, "This app is not allowed here")


# --- The operator's policy ---


@pytest.fixture
async def approving() -> AsyncIterator[World]:
    """A single-user server on plain http."""
    world = make_world(auto_approve=AutoApprove.LOOPBACK_REDIRECTS, secure=False)
    world.accounts.known_without_asking = Identity("owner", "owner")
    await world.register(redirect_uris=(LOOPBACK, REDIRECT_URI))
    yield world
    for browser in world.browsers:
        await browser.aclose()


async def test_a_client_without_cookies_gets_its_code_in_the_first_answer(approving: World) -> None:
    called = count_operations(approving.store)

    answer = await ask(approving.browser(), {}, redirect_uri=LOOPBACK)

    assert (await code_of(approving, answer, to=LOOPBACK)).subject == "owner"
    assert [name for name in called if not name.startswith("browser_sessions.")] == [
        "clients.find_client",
        "users.recognise_user",
        "transactions.approve_at_once",
        "grants.find_code",
    ]


async def test_no_session_is_left_in_the_browser(approving: World) -> None:
    browser = approving.browser()
    await browser.get("/oauth/login")
    secret = approving.secret(browser) or ""

    answer = await ask(browser, redirect_uri=LOOPBACK)

    assert answer.headers["location"].startswith(LOOPBACK + "?code=")
    assert approving.secret(browser) is None
    assert await approving.store.browser_sessions.find_session(fingerprint(secret), now=approving.now) is None


async def test_a_redirect_to_the_web_is_asked_for(approving: World) -> None:
    browser = approving.browser()

    answer = await ask(browser)

    assert stops_at(answer) == "/oauth/login"
    consent = await browser.get(answer.headers["location"])
    assert heading(await browser.get(consent.headers["location"])) == "Allow this app?"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        FROM_A_SITE,
        {**FROM_A_SITE, "Sec-Fetch-User": "?1"},
        {**TYPED, "Sec-Fetch-Site": "same-site"},
    ],
)
async def test_what_a_page_loads_or_opens_gets_no_code(approving: World, headers: dict[str, str]) -> None:
    """A page of any site could otherwise register an app and send its code to a port of this computer."""
    browser = approving.browser()

    answer = await ask(browser, headers, redirect_uri=LOOPBACK)

    assert stops_at(answer) == "/oauth/login"
    consent = await browser.get(answer.headers["location"])
    assert heading(await browser.get(consent.headers["location"])) == "Allow this app?"
