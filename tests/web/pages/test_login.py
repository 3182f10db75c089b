from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import Message

from gatepost.identity.provider import Identity, LoginField, LoginStep
from gatepost.oauth.records import TransactionState
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.users import User
from gatepost.tokens.opaque import fingerprint
from gatepost.web.pages.pending_request import consent_path, login_path
from gatepost.web.site.request_body import ClientDisconnected
from gatepost.web.site.routing import described
from tests.web.pages.pages_world import ATTACK, ORIGIN, PASSWORD, Form, World, heading, make_world, names

LOGIN = "/oauth/login?transaction=transaction_1"
CONSENT = "/oauth/consent?transaction=transaction_1"
FORM_TYPE = "application/x-www-form-urlencoded"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    yield world
    for browser in world.browsers:
        await browser.aclose()


@pytest.fixture
async def browser(world: World) -> httpx2.AsyncClient:
    browser = world.browser()
    await world.begin(browser)
    return browser


def test_paths_escape_what_they_carry() -> None:
    assert login_path() == "/oauth/login"
    assert login_path("a/b&c=d e") == "/oauth/login?transaction=a%2Fb%26c%3Dd%20e"
    assert login_path("t", switch_account=True) == "/oauth/login?transaction=t&switch=1"
    assert login_path(switch_account=True) == "/oauth/login?switch=1"
    assert consent_path("a/b") == "/oauth/consent?transaction=a%2Fb"


# --- The form ---


async def test_the_form_asks_for_what_the_provider_names(browser: httpx2.AsyncClient) -> None:
    response = await browser.get(LOGIN)
    form = Form(response.text)
    assert (response.status_code, heading(response)) == (200, "Log in")
    assert form.action == LOGIN
    assert list(form.fields) == ["csrf_token", "username", "password"]
    assert '<label for="username">Username</label>' in response.text
    assert 'autocomplete="current-password" required type="password"' in response.text
    assert "<bdi>app.example</bdi>" in response.text


async def test_a_loopback_app_is_called_one_on_this_computer(world: World, browser: httpx2.AsyncClient) -> None:
    await world.begin(browser, transaction_id="t2", redirect_uri="http://127.0.0.1:3118/cb")
    assert "this computer" in (await browser.get("/oauth/login?transaction=t2")).text


async def test_a_password_only_provider_gets_one_field(world: World, browser: httpx2.AsyncClient) -> None:
    world.accounts.login_fields = (LoginField("password", "Password", secret=True),)
    form = Form((await browser.get(LOGIN)).text)
    assert list(form.fields) == ["csrf_token", "password"]


async def test_a_provider_may_send_the_browser_elsewhere(world: World, browser: httpx2.AsyncClient) -> None:
    world.accounts.asks_elsewhere = RedirectResponse("https://idp.example/authorize?x=1", 303)
    response = await browser.get(LOGIN + "&switch=1")
    assert response.headers["location"] == "https://idp.example/authorize?x=1"
    assert (response.headers["cache-control"], response.headers["x-frame-options"]) == ("no-store", "DENY")
    assert world.accounts.challenges == [(ORIGIN + LOGIN + "&switch=1", True)]


# --- Logging in ---


async def test_the_right_password_leads_to_consent(world: World, browser: httpx2.AsyncClient) -> None:
    response = await world.log_in(browser, path=LOGIN)
    assert (response.status_code, response.headers["location"]) == (303, CONSENT)
    found = await world.session(browser)
    assert (found.session.subject, found.session.provider) == ("user_ada", "accounts")
    assert found.session.authenticated_at == world.now
    assert found.user == User("user_ada", "accounts", "user_ada", world.now, display_name="ada")


async def test_logging_in_renews_the_session_and_keeps_the_browser(world: World, browser: httpx2.AsyncClient) -> None:
    planted = world.secret(browser) or ""
    before = await world.session(browser)
    await world.log_in(browser, path=LOGIN)
    after = await world.session(browser)
    assert world.secret(browser) != planted
    assert await world.store.browser_sessions.find_session(fingerprint(planted), now=world.now) is None
    assert after.session.browser_id == before.session.browser_id


async def test_without_a_request_the_login_ends_on_the_account_page(world: World) -> None:
    browser = world.browser()
    response = await world.log_in(browser)
    assert (response.status_code, response.headers["location"]) == (303, "/oauth/account")
    again = await browser.get("/oauth/login")
    assert (again.status_code, again.headers["location"]) == (303, "/oauth/account")
    page = await browser.get("/oauth/account")
    assert (page.status_code, heading(page)) == (200, "Your account")
    assert "<bdi>ada</bdi>" in page.text
    assert f"{ORIGIN}/mcp" in page.text
    assert 'href="/oauth/login?switch=1"' in page.text


async def test_without_accounts_to_switch_between_none_is_offered(world: World) -> None:
    world.accounts.can_switch_account = False
    browser = world.browser()
    await world.log_in(browser)
    assert "switch" not in (await browser.get("/oauth/account")).text


async def test_a_session_without_a_display_name_shows_the_subject(world: World) -> None:
    world.accounts.known_without_asking = Identity("owner")
    assert "<bdi>owner</bdi>" in (await world.browser().get("/oauth/login")).text


@pytest.mark.parametrize(("username", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("", ""), ("ada", "")])
async def test_wrong_credentials_lose_nothing_but_the_password(
    world: World, browser: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture, username: str, password: str
) -> None:
    caplog.set_level("INFO")
    secret = world.secret(browser)
    form = Form((await browser.get(LOGIN)).text)
    response = await browser.post(LOGIN, data={**form.fields, "username": username, "password": password})
    again = Form(response.text)
    assert (response.status_code, heading(response)) == (403, "Log in")
    assert 'role="alert"' in response.text
    assert "www-authenticate" not in response.headers
    assert (again.fields["username"], again.fields["password"]) == (username, "")
    assert world.secret(browser) == secret
    assert names(caplog.records) == ["login_failed"]
    assert "wrong" not in caplog.text
    assert (await world.log_in(browser, path=LOGIN)).headers["location"] == CONSENT


async def test_unknown_user_and_wrong_password_are_one_answer(browser: httpx2.AsyncClient) -> None:
    form = Form((await browser.get(LOGIN)).text)
    unknown = await browser.post(LOGIN, data={**form.fields, "username": "zoe", "password": PASSWORD})
    wrong = await browser.post(LOGIN, data={**form.fields, "username": "ada", "password": "x"})
    assert unknown.text.replace('value="zoe"', 'value="ada"') == wrong.text


async def test_a_hostile_username_comes_back_as_text(browser: httpx2.AsyncClient) -> None:
    form = Form((await browser.get(LOGIN)).text)
    response = await browser.post(LOGIN, data={**form.fields, "username": ATTACK, "password": "x"})
    assert "<script" not in response.text
    assert "<img" not in response.text
    assert Form(response.text).fields["username"] == ATTACK


async def test_a_provider_that_knows_without_asking_goes_straight_on(world: World, browser: httpx2.AsyncClient) -> None:
    world.accounts.known_without_asking = Identity("owner", "owner")
    planted = world.secret(browser)
    response = await browser.get(LOGIN)
    assert (response.status_code, response.headers["location"]) == (303, CONSENT)
    assert world.secret(browser) != planted


async def test_a_known_user_without_cookies_is_not_sent_in_circles(world: World) -> None:
    world.accounts.known_without_asking = Identity("owner", "owner")
    response = await world.browser().get("/oauth/login")
    assert (response.status_code, heading(response)) == (200, "You are logged in")


# --- Logged in already ---


async def test_a_logged_in_browser_is_not_asked_again(world: World, browser: httpx2.AsyncClient) -> None:
    await world.log_in(browser, path=LOGIN)
    secret = world.secret(browser)
    response = await browser.get(LOGIN)
    assert (response.status_code, response.headers["location"]) == (303, CONSENT)
    assert world.secret(browser) == secret


async def test_asking_for_another_account_shows_the_form(world: World, browser: httpx2.AsyncClient) -> None:
    await world.log_in(browser, path=LOGIN)
    response = await world.log_in(browser, "bob", path=LOGIN + "&switch=1")
    assert response.headers["location"] == CONSENT
    assert (await world.session(browser)).session.subject == "user_bob"


async def test_a_disabled_user_with_a_live_session_is_asked_again(world: World, browser: httpx2.AsyncClient) -> None:
    await world.log_in(browser, path=LOGIN)
    world.accounts.disabled.add("user_ada")
    assert heading(await browser.get(LOGIN)) == "Log in"


async def test_an_expired_session_is_asked_again(world: World) -> None:
    browser = world.browser()
    await world.log_in(browser)
    world.now += 3600
    assert heading(await browser.get("/oauth/login")) == "Log in"


# --- Before the first account ---


async def test_before_the_first_account_the_page_sends_to_the_terminal(
    world: World, browser: httpx2.AsyncClient
) -> None:
    world.accounts.has_no_accounts = True
    response = await browser.get(LOGIN)
    assert (response.status_code, heading(response)) == (200, "Set up this server first")
    assert "/oauth/setup" not in response.text
    assert "gp_su_" not in response.text
    assert f'href="{LOGIN}"' in response.text


# --- Requests that are not this browser's ---


async def test_unknown_expired_and_foreign_requests_are_one_page(
    world: World, browser: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stranger = world.browser()
    await world.begin(stranger, transaction_id="transaction_2")
    unknown = await browser.get(LOGIN.replace("_1", "_0"))
    foreign = await stranger.get(LOGIN)
    world.now += 1800
    expired = await browser.get(LOGIN)
    assert names(caplog.records) == ["transaction_expired", "transaction_of_another_browser", "transaction_expired"]
    assert [page.status_code for page in (unknown, foreign, expired)] == [400, 400, 400]
    assert heading(unknown) == "This request is over"
    assert unknown.text == foreign.text == expired.text
    assert "app.example" not in unknown.text


@pytest.mark.parametrize("is_expired", [True, False])
async def test_a_login_form_for_a_request_that_is_over_logs_nobody_in(world: World, *, is_expired: bool) -> None:
    browser = world.browser()
    await world.begin(browser)
    form = Form((await browser.get(LOGIN)).text)
    if is_expired:
        world.now += 1800
    else:
        await world.begin(world.browser())  # the same identifier, now of another browser
    secret = world.secret(browser)
    response = await browser.post(LOGIN, data={**form.fields, "username": "ada", "password": PASSWORD})
    assert (response.status_code, heading(response)) == (400, "This request is over")
    assert world.secret(browser) == secret


async def test_a_denied_request_is_over(world: World, browser: httpx2.AsyncClient) -> None:
    await world.store.transactions.deny_transaction("transaction_1", now=world.now)
    response = await browser.get(LOGIN)
    assert (response.status_code, heading(response)) == (409, "This has been answered already")


async def test_an_approved_request_may_still_be_gone_through_again(world: World, browser: httpx2.AsyncClient) -> None:
    await world.begin(browser, state=TransactionState.APPROVED)
    assert heading(await browser.get(LOGIN)) == "Log in"


async def test_there_is_no_parameter_that_says_where_to_go_next(world: World) -> None:
    browser = world.browser()
    for name in ("next", "return_to", "redirect_uri", "continue"):
        response = await world.log_in(browser, path=f"/oauth/login?{name}=https://evil.example/&switch=1")
        assert response.headers["location"] == "/oauth/account"


async def test_a_repeated_parameter_is_refused_with_a_page(browser: httpx2.AsyncClient) -> None:
    response = await browser.get(LOGIN + "&transaction=transaction_2")
    assert (response.status_code, heading(response)) == (400, "This request was refused")


# --- The form is not from our own page, or too late ---


@pytest.mark.parametrize(
    ("headers", "changed", "reason"),
    [
        ({"Origin": "https://evil.example"}, {}, "origin_foreign"),
        ({"Sec-Fetch-Site": "cross-site"}, {}, "origin_foreign"),
        ({}, {"csrf_token": ""}, "csrf_token_wrong"),
        ({}, {"csrf_token": "A" * 43}, "csrf_token_wrong"),
        ({}, {"csrf_token": "\u00e4"}, "csrf_token_wrong"),
    ],
)
async def test_a_foreign_form_logs_nobody_in(
    browser: httpx2.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
    changed: dict[str, str],
    reason: str,
) -> None:
    caplog.set_level("INFO")
    fields = Form((await browser.get(LOGIN)).text).fields
    cookies = dict(browser.cookies)
    response = await browser.post(
        LOGIN, data={**fields, "username": "ada", "password": PASSWORD, **changed}, headers=headers
    )
    assert response.status_code == 403
    assert names(caplog.records) == [reason]
    assert dict(browser.cookies) == cookies


async def test_the_token_of_another_browser_is_refused(world: World, browser: httpx2.AsyncClient) -> None:
    other = world.browser()
    stolen = Form((await other.get("/oauth/login")).text).fields["csrf_token"]
    response = await browser.post(LOGIN, data={"csrf_token": stolen, "username": "ada", "password": PASSWORD})
    assert response.status_code == 403


async def test_a_form_from_before_a_login_in_another_tab_offers_a_way_on(
    world: World, browser: httpx2.AsyncClient
) -> None:
    first_tab = Form((await browser.get(LOGIN)).text)
    await world.log_in(browser, path="/oauth/login")
    response = await browser.post(LOGIN, data={**first_tab.fields, "username": "ada", "password": PASSWORD})
    assert (response.status_code, heading(response)) == (403, "This page was out of date")
    assert f'href="{LOGIN}"' in response.text
    assert (await browser.get(LOGIN)).headers["location"] == CONSENT


async def test_the_second_of_two_clicks_goes_on_where_the_first_led(world: World, browser: httpx2.AsyncClient) -> None:
    form = Form((await browser.get(LOGIN)).text)
    fields = {**form.fields, "username": "ada", "password": PASSWORD}
    cookie = f"{world.sessions.cookie_name}={world.secret(browser)}"
    await browser.post(LOGIN, data=fields)
    late = await world.browser().post(LOGIN, data=fields, headers={"Cookie": cookie})
    assert (late.status_code, late.headers["location"]) == (303, LOGIN)
    assert "set-cookie" not in late.headers
    assert (await browser.get(LOGIN)).headers["location"] == CONSENT


async def test_parallel_logins_with_one_cookie_log_in_once(
    world: World, browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = Form((await browser.get(LOGIN)).text)
    fields = {**form.fields, "username": "ada", "password": PASSWORD}
    headers = {"Cookie": f"{world.sessions.cookie_name}={world.secret(browser)}"}
    together = asyncio.Barrier(2)
    authenticate = world.accounts.authenticate

    async def authenticate_together(request: Request, credentials: Mapping[str, str]) -> Identity | LoginStep | None:
        await together.wait()
        return await authenticate(request, credentials)

    monkeypatch.setattr(world.accounts, "authenticate", authenticate_together)
    answers = await asyncio.gather(*(world.browser().post(LOGIN, data=fields, headers=headers) for _ in range(2)))

    assert [answer.status_code for answer in answers] == [303] * 2
    locations = [answer.headers["location"] for answer in answers if "set-cookie" in answer.headers]
    assert locations == ["/oauth/consent?transaction=transaction_1"]
    others = [answer.headers["location"] for answer in answers if "set-cookie" not in answer.headers]
    assert others == [LOGIN]


async def test_a_login_without_a_form_that_comes_second_starts_over(
    world: World, browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = fingerprint(world.secret(browser) or "")

    async def authenticate_while_the_session_ends(request: Request, credentials: Mapping[str, str]) -> Identity:
        del request, credentials
        await world.store.browser_sessions.end_session(planted)
        return Identity("user_ada", "ada")

    monkeypatch.setattr(world.accounts, "authenticate", authenticate_while_the_session_ends)
    response = await browser.get(LOGIN)

    assert (response.status_code, response.headers["location"]) == (303, LOGIN)
    assert "set-cookie" not in response.headers


async def test_a_form_without_our_cookie_is_told_every_reason_there_may_be(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A cookie whose time is over looks like one that was refused: the browser sends neither."""
    caplog.set_level("INFO")
    response = await world.browser().post(LOGIN, data={"username": "ada", "password": PASSWORD})
    assert (response.status_code, heading(response)) == (400, "This form can no longer be sent")
    for reason in ("open for too long", "in another tab", "were deleted", "not accept cookies"):
        assert reason in " ".join(response.text.split())
    assert f'href="{LOGIN}"' in response.text
    assert "browser_session_missing" in caplog.text


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"username=ada", "text/plain", 400),
        (b'{"username": "ada"}', "application/json", 400),
        (b"username=ada&username=bob", FORM_TYPE, 400),
        (b"username=%ff", FORM_TYPE, 400),
        (b"username=" + b"a" * 16_384, FORM_TYPE, 413),
    ],
)
async def test_a_body_that_is_no_form_of_ours_is_refused_with_a_page(
    browser: httpx2.AsyncClient, body: bytes, content_type: str, status: int
) -> None:
    response = await browser.post(LOGIN, content=body, headers={"Content-Type": content_type})
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["x-frame-options"] == "DENY"


async def test_a_store_that_is_down_is_a_page_with_retry_after(
    world: World, browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object, **__: object) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(world.store.transactions, "find_transaction", down)
    response = await browser.get(LOGIN)
    assert (response.status_code, heading(response)) == (503, "Please try again in a moment")
    assert response.headers["retry-after"] == "5"
    assert "disk full" not in response.text


async def test_the_pages_are_described_with_what_they_answer(world: World) -> None:
    answers = {
        (path, method): set(operation["responses"])
        for path, operations in described(world.app.routes).items()
        for method, operation in operations.items()
    }
    assert answers == {
        ("/oauth/authorize", "get"): {"303", "400", "429", "503", "421", "500"},
        ("/oauth/login", "get"): {"200", "303", "400", "409", "429", "503", "421", "500"},
        ("/oauth/login", "post"): {"303", "400", "403", "408", "409", "413", "429", "503", "421", "500"},
        ("/oauth/consent", "get"): {"200", "303", "400", "409", "503", "421", "500"},
        ("/oauth/consent", "post"): {"200", "303", "400", "403", "408", "409", "413", "503", "421", "500"},
        ("/oauth/account", "get"): {"200", "303", "429", "503", "421", "500"},
        ("/oauth/account/apps", "post"): {"303", "400", "403", "408", "413", "503", "421", "500"},
        ("/oauth/account/logins", "post"): {"303", "400", "403", "408", "409", "413", "503", "421", "500"},
        ("/oauth/account/sessions", "post"): {"303", "400", "403", "408", "413", "503", "421", "500"},
        ("/oauth/account/link", "get"): {"200", "400", "429", "503", "421", "500"},
        ("/oauth/account/link", "post"): {
            *("200", "303", "400", "403", "408", "413", "422", "429", "503", "421", "500")
        },
        ("/oauth/account/password", "get"): {"200", "303", "429", "503", "421", "500"},
        ("/oauth/account/password", "post"): {
            *("200", "303", "400", "403", "408", "413", "422", "429", "503", "421", "500")
        },
        ("/oauth/account/second-step", "get"): {"200", "303", "429", "503", "421", "500"},
        ("/oauth/account/second-step", "post"): {
            *("200", "303", "400", "403", "408", "413", "429", "503", "421", "500")
        },
        ("/oauth/account/second-step/change", "post"): {
            *("200", "303", "400", "403", "408", "413", "429", "503", "421", "500")
        },
        ("/oauth/logout", "post"): {"200", "400", "403", "408", "413", "503", "421", "500"},
        ("/oauth/setup", "get"): {"200", "400", "429", "503", "421", "500"},
        ("/oauth/setup", "post"): {"303", "400", "403", "408", "413", "422", "429", "503", "421", "500"},
    }


# --- Floods ---


class SlowAccounts:
    """Makes the check of a password take until it is let go."""

    def __init__(self, world: World) -> None:
        self.begun = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()
        self.cancelled = 0
        self._check = world.accounts.authenticate

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> Identity | LoginStep | None:
        if credentials:
            self.begun.release()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return await self._check(request, credentials)


@pytest.fixture
def slow(world: World, monkeypatch: pytest.MonkeyPatch) -> SlowAccounts:
    slow = SlowAccounts(world)
    monkeypatch.setattr(world.accounts, "authenticate", slow.authenticate)
    return slow


async def test_a_browser_has_two_passwords_checked_at_a_time(browser: httpx2.AsyncClient, slow: SlowAccounts) -> None:
    form = Form((await browser.get(LOGIN)).text)
    fields = {**form.fields, "username": "ada", "password": "wrong"}
    under_way = [asyncio.create_task(browser.post(LOGIN, data=fields)) for _ in range(2)]
    for _ in under_way:
        await slow.begun.acquire()

    refused = await browser.post(LOGIN, data=fields)
    slow.go_on.set()

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert [response.status_code for response in await asyncio.gather(*under_way)] == [403, 403]
    assert (await browser.post(LOGIN, data={**fields, "password": PASSWORD})).status_code == 303


async def test_no_password_is_checked_of_a_browser_that_has_gone(
    world: World, browser: httpx2.AsyncClient, slow: SlowAccounts
) -> None:
    form = Form((await browser.get(LOGIN)).text)
    body = urlencode({**form.fields, "username": "ada", "password": PASSWORD}).encode()
    cookie = f"{world.sessions.cookie_name}={world.secret(browser)}".encode()
    path, _, query_string = LOGIN.partition("?")
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query_string.encode(),
        "headers": [(b"host", b"mcp.example.com"), (b"content-type", FORM_TYPE.encode()), (b"cookie", cookie)],
    }
    incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    gone = asyncio.Event()

    async def receive() -> Message:
        if incoming:
            return incoming.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    posting = asyncio.create_task(world.app(scope, receive, send))
    await slow.begun.acquire()
    gone.set()
    with contextlib.suppress(ClientDisconnected):
        await posting

    assert slow.cancelled == 1
    assert not any(b"set-cookie" in dict(message.get("headers", ())) for message in sent)
