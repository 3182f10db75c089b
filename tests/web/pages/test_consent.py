from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.oauth.policy import AutoApprove
from gatepost.oauth.records import AccessToken, AuthorizationCode, Grant, IssuedTokens, TransactionState
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.store import Store
from gatepost.tokens.opaque import fingerprint
from tests.web.pages.pages_world import (
    LIFETIMES,
    NOTES,
    ORIGIN,
    REDIRECT_URI,
    Form,
    World,
    heading,
    location_parameters,
    make_world,
    names,
)

CONSENT = "/oauth/consent?transaction=transaction_1"
LOGIN = "/oauth/login?transaction=transaction_1"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    await world.register()
    yield world
    for browser in world.browsers:
        await browser.aclose()


@pytest.fixture
async def browser(world: World) -> httpx2.AsyncClient:
    """A browser in which ada is logged in and a request waits."""
    browser = world.browser()
    await world.begin(browser)
    await world.log_in(browser, path=LOGIN)
    return browser


async def answer(browser: httpx2.AsyncClient, decision: str, *, path: str = CONSENT) -> httpx2.Response:
    form = Form((await browser.get(path)).text)
    return await browser.post(form.action or "", data={**form.fields, "decision": decision})


async def find_code(store: Store, response: httpx2.Response, *, now: int) -> AuthorizationCode | None:
    _, parameters = location_parameters(response)
    return await store.grants.find_code(fingerprint(parameters["code"][0]), now=now)


async def redeem(world: World, response: httpx2.Response) -> None:
    """Redeem the code of a redirect, as the token endpoint does."""
    _, parameters = location_parameters(response)
    until = world.now + 3600
    grant = Grant("grant_1", "user_ada", "client_1", NOTES.identifier, ("notes:read",), world.now, until)
    tokens = IssuedTokens(AccessToken(b"a" * 32, "grant_1", ("notes:read",), world.now, until), None)
    spent = await world.store.grants.redeem_code(fingerprint(parameters["code"][0]), grant, tokens, now=world.now)
    assert spent is RedeemOutcome.REDEEMED


# --- Yes ---


async def test_approval_sends_a_code_to_the_redirect_uri(world: World, browser: httpx2.AsyncClient) -> None:
    response = await answer(browser, "approve")
    target, parameters = location_parameters(response)
    assert (response.status_code, target) == (303, REDIRECT_URI)
    assert {name: parameters[name] for name in ("state", "iss")} == {"state": ["st/a te&<"], "iss": [ORIGIN]}
    assert sorted(parameters) == ["code", "iss", "state"]
    code = await find_code(world.store, response, now=world.now)
    assert code == AuthorizationCode(
        code_fingerprint=fingerprint(parameters["code"][0]),
        transaction_id="transaction_1",
        client_id="client_1",
        redirect_uri=REDIRECT_URI,
        redirect_uri_was_sent=True,
        scopes=("notes:read", "raw"),
        resource=NOTES.identifier,
        code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        subject="user_ada",
        created_at=world.now,
        expires_at=world.now + LIFETIMES.authorization_code,
    )


async def test_what_the_form_says_beside_the_decision_is_not_looked_at(
    world: World, browser: httpx2.AsyncClient
) -> None:
    form = Form((await browser.get(CONSENT)).text)
    forged = {
        "scope": "notes:write",
        "redirect_uri": "https://evil.example",
        "client_id": "client_2",
        "transaction": "transaction_2",
        "subject": "user_bob",
        "resource": "https://other.example",
    }
    response = await browser.post(CONSENT, data={**form.fields, **forged, "decision": "approve"})
    code = await find_code(world.store, response, now=world.now)
    assert response.headers["location"].startswith(REDIRECT_URI + "?")
    assert code is not None
    assert (code.scopes, code.subject, code.client_id) == (("notes:read", "raw"), "user_ada", "client_1")


async def test_a_private_use_scheme_is_redirected_to_as_it_is(world: World, browser: httpx2.AsyncClient) -> None:
    uri = "cursor://anysphere.cursor-retrieval/oauth/user-x/callback?keep=1"
    await world.register(redirect_uris=(uri,))
    await world.begin(browser, redirect_uri=uri)
    response = await answer(browser, "approve")
    assert response.headers["location"].startswith(uri + "&code=gp_ac_")
    assert "content-security-policy" in response.headers
    assert "form-action" not in response.headers["content-security-policy"]


async def test_pressing_approve_twice_leaves_the_second_code_alive(world: World, browser: httpx2.AsyncClient) -> None:
    form = Form((await browser.get(CONSENT)).text)
    fields = {**form.fields, "decision": "approve"}
    first, second = await asyncio.gather(browser.post(CONSENT, data=fields), browser.post(CONSENT, data=fields))
    codes = [await find_code(world.store, response, now=world.now) for response in (first, second)]
    assert [response.status_code for response in (first, second)] == [303, 303]
    assert sum(code is not None for code in codes) == 1


async def test_approving_after_the_code_was_redeemed_does_nothing(
    world: World, browser: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    form = Form((await browser.get(CONSENT)).text)
    fields = {**form.fields, "decision": "approve"}
    await redeem(world, await browser.post(CONSENT, data=fields))
    caplog.set_level("INFO")
    response = await browser.post(CONSENT, data=fields)
    assert (response.status_code, heading(response)) == (409, "This has been answered already")
    assert names(caplog.records) == ["transaction_finished"]


# --- Going back after the answer ---


@pytest.mark.parametrize("path", [CONSENT, LOGIN, LOGIN + "&switch=1"])
@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_an_answered_request_says_so_and_asks_nothing(
    world: World, browser: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture, decision: str, path: str
) -> None:
    answered = await answer(browser, decision)
    if decision == "approve":
        await redeem(world, answered)
    caplog.set_level("INFO")

    page = await browser.get(path)

    assert (page.status_code, heading(page)) == (409, "This has been answered already")
    assert names(caplog.records) == ["transaction_finished"]


async def test_a_login_form_of_an_answered_request_logs_nobody_in(world: World, browser: httpx2.AsyncClient) -> None:
    form = Form((await browser.get(LOGIN + "&switch=1")).text)
    await answer(browser, "deny")
    secret = world.secret(browser)

    fields = {**form.fields, "username": "bob", "password": world.accounts.passwords["bob"]}
    page = await browser.post(LOGIN, data=fields)

    assert (page.status_code, heading(page)) == (409, "This has been answered already")
    assert world.secret(browser) == secret


async def test_an_approved_request_can_be_answered_anew_until_its_code_is_used(browser: httpx2.AsyncClient) -> None:
    """An app that missed its code gets another one."""
    await answer(browser, "approve")

    assert heading(await browser.get(CONSENT)) == "Allow this app?"


@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_who_left_the_session_or_is_another_browser_sees_one_page_and_the_log_tells_why(
    caplog: pytest.LogCaptureFixture, decision: str
) -> None:
    """On plain http the answer takes the session away, so the person who goes back is a stranger."""
    world = make_world(secure=False)
    await world.register()
    browser, stranger = world.browser(), world.browser()
    await world.begin(browser)
    await world.log_in(browser, path=LOGIN)
    pending = await stranger.get(CONSENT)
    form = Form((await browser.get(CONSENT)).text)
    fields = {**form.fields, "decision": decision}
    await browser.post(CONSENT, data=fields)
    caplog.set_level("INFO")
    caplog.clear()

    pages = [
        await browser.get(CONSENT),
        await browser.post(CONSENT, data=fields),
        await browser.get(LOGIN),
        await stranger.get(CONSENT),
    ]
    assert names(caplog.records) == ["transaction_finished"] * len(pages)
    pages += [await stranger.get(CONSENT.replace("_1", "_0"))]

    assert {(page.status_code, page.text) for page in pages} == {(400, pending.text)}
    assert "It has been answered, or it has expired" in pending.text
    await browser.aclose()
    await stranger.aclose()


# --- No ---


async def test_denial_sends_the_error_to_the_redirect_uri(world: World, browser: httpx2.AsyncClient) -> None:
    response = await answer(browser, "deny")
    target, parameters = location_parameters(response)
    assert (response.status_code, target) == (303, REDIRECT_URI)
    assert parameters == {
        "error": ["access_denied"],
        "error_description": ["The user denied the request."],
        "state": ["st/a te&<"],
        "iss": [ORIGIN],
    }
    transaction = await world.store.transactions.find_transaction("transaction_1", now=world.now)
    assert transaction is not None
    assert transaction.state is TransactionState.DENIED


async def test_pressing_deny_twice_is_denied_twice(browser: httpx2.AsyncClient) -> None:
    form = Form((await browser.get(CONSENT)).text)
    fields = {**form.fields, "decision": "deny"}
    first = await browser.post(CONSENT, data=fields)
    second = await browser.post(CONSENT, data=fields)
    assert first.headers["location"] == second.headers["location"]


async def test_the_first_of_approve_and_deny_counts(browser: httpx2.AsyncClient, world: World) -> None:
    form = Form((await browser.get(CONSENT)).text)
    assert (await browser.post(CONSENT, data={**form.fields, "decision": "deny"})).status_code == 303
    late_approval = await browser.post(CONSENT, data={**form.fields, "decision": "approve"})
    assert (late_approval.status_code, heading(late_approval)) == (409, "This has been answered already")
    assert (await browser.get(CONSENT)).status_code == 409

    await world.begin(browser)
    assert (await answer(browser, "approve")).status_code == 303
    late_denial = await browser.post(CONSENT, data={**form.fields, "decision": "deny"})
    assert late_denial.status_code == 409


@pytest.mark.parametrize("decision", ["", "Approve", "approve ", "yes"])
async def test_anything_else_is_neither(world: World, browser: httpx2.AsyncClient, decision: str) -> None:
    response = await answer(browser, decision)
    assert response.status_code == 400
    transaction = await world.store.transactions.find_transaction("transaction_1", now=world.now)
    assert transaction is not None
    assert transaction.state is TransactionState.PENDING


# --- Who may answer ---


async def test_nobody_logged_in_is_sent_to_the_login(world: World) -> None:
    browser = world.browser()
    await world.begin(browser)
    response = await browser.get(CONSENT)
    assert (response.status_code, response.headers["location"]) == (303, LOGIN)


async def test_a_user_who_was_disabled_meanwhile_cannot_answer(world: World, browser: httpx2.AsyncClient) -> None:
    form = Form((await browser.get(CONSENT)).text)
    world.accounts.disabled.add("user_ada")
    response = await browser.post(CONSENT, data={**form.fields, "decision": "approve"})
    assert (response.status_code, response.headers["location"]) == (303, LOGIN)
    assert (await browser.get(CONSENT)).headers["location"] == LOGIN


async def test_a_page_shown_to_one_user_cannot_be_answered_as_another(
    world: World, browser: httpx2.AsyncClient
) -> None:
    form = Form((await browser.get(CONSENT)).text)
    await world.log_in(browser, "bob", path=LOGIN + "&switch=1")
    response = await browser.post(CONSENT, data={**form.fields, "decision": "approve"})
    assert (response.status_code, heading(response)) == (403, "This page was out of date")
    assert f'href="{CONSENT}"' in response.text
    approved = await answer(browser, "approve")
    code = await find_code(world.store, approved, now=world.now)
    assert code is not None
    assert code.subject == "user_bob"


@pytest.mark.parametrize("path", ["/oauth/consent", "/oauth/consent?transaction=", CONSENT.replace("_1", "_0")])
async def test_a_request_that_does_not_exist_starts_again(browser: httpx2.AsyncClient, path: str) -> None:
    response = await browser.get(path)
    assert (response.status_code, heading(response)) == (400, "This request is over")


async def test_an_expired_request_starts_again(world: World, browser: httpx2.AsyncClient) -> None:
    form = Form((await browser.get(CONSENT)).text)
    world.now += LIFETIMES.transaction
    assert heading(await browser.get(CONSENT)) == "This request is over"
    response = await browser.post(CONSENT, data={**form.fields, "decision": "approve"})
    assert (response.status_code, heading(response)) == (400, "This request is over")


async def test_another_browser_sees_and_answers_nothing(
    world: World, browser: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    thief, stranger = world.browser(), world.browser()
    await world.begin(thief, transaction_id="transaction_2")
    await world.log_in(thief, "bob", path="/oauth/login?transaction=transaction_2")
    # The thief's own form for its own request, and a form of its own session for the victim's.
    own = Form((await thief.get(CONSENT.replace("_1", "_2"))).text)
    await world.begin(thief)
    forged = Form((await thief.get(CONSENT)).text)
    await world.begin(browser)
    caplog.set_level("INFO")
    seen = await thief.get(CONSENT)
    answers = [
        await thief.post(CONSENT, data={**own.fields, "decision": "approve"}),
        await thief.post(CONSENT, data={**forged.fields, "decision": "approve"}),
        await stranger.get(CONSENT),
        await stranger.post(CONSENT, data={"decision": "approve"}),
    ]
    assert "Reading list" not in seen.text
    assert [response.status_code for response in (seen, *answers)] == [400, 403, 400, 400, 400]
    assert names(caplog.records) == [
        "transaction_of_another_browser",
        "csrf_token_wrong",
        "transaction_of_another_browser",
        "transaction_of_another_browser",
        "transaction_of_another_browser",
    ]
    assert (await answer(browser, "approve")).status_code == 303


@pytest.mark.parametrize(
    ("headers", "changed", "reason"),
    [
        ({"Origin": "https://evil.example"}, {}, "origin_foreign"),
        ({"Origin": "null"}, {}, "origin_foreign"),
        ({"Sec-Fetch-Site": "same-site"}, {}, "origin_foreign"),
        ({}, {"csrf_token": ""}, "csrf_token_wrong"),
        ({}, {"csrf_token": "A" * 43}, "csrf_token_wrong"),
    ],
)
async def test_a_foreign_form_approves_nothing(
    browser: httpx2.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
    changed: dict[str, str],
    reason: str,
) -> None:
    form = Form((await browser.get(CONSENT)).text)
    caplog.set_level("INFO")
    response = await browser.post(CONSENT, data={**form.fields, "decision": "approve", **changed}, headers=headers)
    assert response.status_code == 403
    assert "location" not in response.headers
    assert names(caplog.records) == [reason]


async def test_the_token_of_one_form_opens_no_other(world: World, browser: httpx2.AsyncClient) -> None:
    of_login = Form((await browser.get(LOGIN + "&switch=1")).text).fields
    await world.begin(browser, transaction_id="transaction_2")
    of_another_request = Form((await browser.get(CONSENT.replace("_1", "_2"))).text).fields
    for fields in (of_login, of_another_request):
        response = await browser.post(CONSENT, data={**fields, "decision": "approve"})
        assert response.status_code == 403


# --- What may have changed since the request began ---


async def test_a_client_that_is_gone_gets_nothing(world: World, browser: httpx2.AsyncClient) -> None:
    await world.begin(browser, client_id="client_0")
    response = await browser.get(CONSENT)
    assert (response.status_code, heading(response)) == (400, "This app is not registered any more")


async def test_a_redirect_uri_that_is_no_longer_registered_gets_nothing(
    world: World, browser: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    form = Form((await browser.get(CONSENT)).text)
    await world.register(redirect_uris=("https://app.example/other",))
    caplog.set_level("INFO")
    for response in (
        await browser.get(CONSENT),
        await browser.post(CONSENT, data={**form.fields, "decision": "approve"}),
        await browser.post(CONSENT, data={**form.fields, "decision": "deny"}),
    ):
        assert response.status_code == 400
        assert "location" not in response.headers
    assert names(caplog.records) == ["redirect_uri_unregistered"] * 3


async def test_a_resource_that_is_gone_goes_back_to_the_client(world: World, browser: httpx2.AsyncClient) -> None:
    await world.begin(browser, resource="https://old.example/mcp")
    target, parameters = location_parameters(await browser.get(CONSENT))
    assert (target, parameters["error"]) == (REDIRECT_URI, ["invalid_target"])


# --- Approval without asking ---


async def test_a_head_of_the_page_approves_nothing() -> None:
    world = make_world(auto_approve=AutoApprove.ALWAYS)
    await world.register()
    browser = world.browser()
    await world.begin(browser, started_by_user=True)
    await world.log_in(browser, path=LOGIN)

    head = await browser.head(CONSENT)

    assert (head.status_code, head.content, "location" in head.headers) == (200, b"", False)
    assert location_parameters(await browser.get(CONSENT))[0] == REDIRECT_URI
    await browser.aclose()


async def test_with_auto_approve_a_logged_in_browser_is_not_asked() -> None:
    world = make_world(auto_approve=AutoApprove.ALWAYS)
    await world.register()
    async with world.browser() as browser:
        await world.begin(browser, started_by_user=True)
        assert (await browser.get(CONSENT)).headers["location"] == LOGIN
        await world.log_in(browser, path=LOGIN)
        first = await browser.get(CONSENT)
        second = await browser.get(CONSENT)
        assert location_parameters(first)[0] == REDIRECT_URI
        assert await find_code(world.store, first, now=world.now) is None
        assert await find_code(world.store, second, now=world.now) is not None
        await redeem(world, second)
        assert (await browser.get(CONSENT)).status_code == 409


async def test_apps_on_this_computer_may_be_approved_without_asking_and_others_not() -> None:
    world = make_world(auto_approve=AutoApprove.LOOPBACK_REDIRECTS)
    loopback = "http://127.0.0.1:3118/callback"
    await world.register(redirect_uris=(loopback, REDIRECT_URI))
    async with world.browser() as browser:
        await world.begin(browser, redirect_uri=loopback, started_by_user=True)
        await world.log_in(browser, path=LOGIN)
        assert location_parameters(await browser.get(CONSENT))[0] == loopback
        await world.begin(browser, redirect_uri=loopback, started_by_user=False)
        assert heading(await browser.get(CONSENT)) == "Allow this app?"
        await world.begin(browser, started_by_user=True)
        assert heading(await browser.get(CONSENT)) == "Allow this app?"


async def test_a_request_that_ends_at_the_last_moment_is_answered_with_a_page(
    world: World, browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there when it is looked up, and gone when it is approved."""
    form = Form((await browser.get(CONSENT)).text)
    transaction = await world.store.transactions.find_transaction("transaction_1", now=world.now)
    assert transaction is not None
    await world.begin(browser, expires_at=world.now)

    async def find(*_: object, **__: object) -> object:
        return transaction

    monkeypatch.setattr(world.store.transactions, "find_transaction", find)
    response = await browser.post(CONSENT, data={**form.fields, "decision": "approve"})
    assert response.status_code == 409
