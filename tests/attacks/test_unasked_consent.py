"""No site gets a code out of a browser that is logged in without the person seeing a question; people can say less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gatepost.oauth.policy import AutoApprove
from gatepost.oauth.records import AuthorizationCode
from gatepost.tokens.opaque import fingerprint
from tests.web.pages.pages_world import (
    CONSENT_LIFETIME,
    REDIRECT_URI,
    Form,
    World,
    heading,
    location_parameters,
    make_world,
)

TYPED = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
"""What a browser says when a native app opened it, or the person did; also after redirects."""
FROM_A_SITE = {**TYPED, "Sec-Fetch-Site": "cross-site"}
SCHEME = "com.example.app:/callback"
LOOPBACK = "http://127.0.0.1:4711/callback"
REDIRECT_URIS = (REDIRECT_URI, LOOPBACK, SCHEME)
PROGRAMS: tuple[dict[str, str], ...] = ({}, {"Sec-Fetch-Mode": "cors"})
"""What programs send; the second is the fetch of Node, and no browser leaves the site out of a set."""
STARTS = [
    *PROGRAMS,
    TYPED,
    FROM_A_SITE,
    *({**TYPED, "Sec-Fetch-Site": site} for site in ("same-site", "same-origin", "None", "none, none", "unknown", "")),
    *({**TYPED, "Sec-Fetch-Mode": mode} for mode in ("no-cors", "cors", "")),
    *({**TYPED, "Sec-Fetch-Dest": destination} for destination in ("iframe", "image", "empty", "")),
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    {**TYPED, "Sec-Purpose": "prefetch;prerender"},
]


class Asking:
    """A browser that is logged in, and clients that send it to the authorization endpoint."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.browser = world.browser()

    async def ask(self, headers: dict[str, str] | None = None, **changes: str) -> httpx2.Response:
        """Follow an authorization request until a page or the client's redirect URI; return that answer."""
        given = TYPED if headers is None else headers
        answer = await self.browser.get("/oauth/authorize", params=self.parameters(**changes), headers=given)
        while answer.status_code == 303 and answer.headers["location"].startswith("/"):
            self.path = answer.headers["location"]
            answer = await self.browser.get(self.path)
        return answer

    def parameters(self, **changes: str) -> dict[str, str]:
        """Return those of an authorization request."""
        return {
            "client_id": "client_1",
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
            "scope": "notes:read raw",
            **changes,
        }

    async def decide(self, page: httpx2.Response, decision: str = "approve", **fields: str | None) -> httpx2.Response:
        """Press a button of the consent page; a field that is None is unticked."""
        form = Form(page.text)
        sent = {**form.fields, "decision": decision, **fields}
        data = {name: value for name, value in sent.items() if value is not None}
        return await self.browser.post(form.action or "", data=data)

    async def code(self, answer: httpx2.Response) -> AuthorizationCode:
        """Return the code that the client got."""
        _, parameters = location_parameters(answer)
        found = await self.world.store.grants.find_code(fingerprint(parameters["code"][0]), now=self.world.now)
        assert found is not None
        return found


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    world = make_world()
    await world.register(redirect_uris=(REDIRECT_URI, "https://app.example/other", SCHEME, "http://127.0.0.1/callback"))
    asking = Asking(world)
    await world.log_in(asking.browser)
    yield asking
    for browser in world.browsers:
        await browser.aclose()


def is_question(answer: httpx2.Response) -> bool:
    return answer.status_code == 200 and heading(answer) == "Allow this app?"


def is_remembered(page: httpx2.Response) -> bool:
    return "You allowed this before" in page.text


def is_code(answer: httpx2.Response) -> bool:
    return answer.status_code == 303 and "code=" in answer.headers["location"]


# --- A remembered approval shortens the question and never replaces it ---


@pytest.mark.parametrize("headers", STARTS)
async def test_what_was_approved_is_asked_again_with_the_day_of_the_approval(
    asking: Asking, headers: dict[str, str]
) -> None:
    first = await asking.ask(headers)
    assert is_question(first)
    assert not is_remembered(first)
    assert is_code(await asking.decide(first))

    again = await asking.ask(headers)

    assert is_question(again)
    assert is_remembered(again)
    assert (await asking.code(await asking.decide(again))).scopes == ("notes:read", "raw")
    assert is_remembered(await asking.ask(headers, scope="raw"))


async def test_a_server_that_sends_an_honest_app_here_gets_no_silent_code(asking: Asking) -> None:
    """A malicious server names itself as authorization server, and redirects the browser that the app opened.

    Redirects keep `none`, and client, challenge and state are the app's own: only the question stands in between. The
    app would redeem the code at the malicious server.
    """
    await asking.decide(await asking.ask())

    answer = await asking.browser.get("/oauth/authorize", params=asking.parameters(state="of the app"), headers=TYPED)

    assert answer.headers["location"].startswith("/oauth/consent?transaction=")
    assert is_question(await asking.browser.get(answer.headers["location"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "notes:read raw notes:write"},
        {"scope": "notes:write"},
        {"redirect_uri": "https://app.example/other"},
    ],
)
async def test_whatever_grows_or_differs_is_asked_without_a_word_of_the_approval(
    asking: Asking, changes: dict[str, Any]
) -> None:
    await asking.decide(await asking.ask())

    page = await asking.ask(**changes)

    assert is_question(page)
    assert not is_remembered(page)


async def test_another_client_or_another_user_is_asked(asking: Asking) -> None:
    await asking.decide(await asking.ask())
    await asking.world.register(client_id="client_2", client_name="Reading list")
    of_another_client = await asking.ask(client_id="client_2")
    await asking.world.log_in(asking.browser, "bob", "/oauth/login?switch=1")
    of_another_user = await asking.ask()

    for page in (of_another_client, of_another_user):
        assert is_question(page)
        assert not is_remembered(page)


@pytest.mark.parametrize("redirect_uri", [SCHEME, LOOPBACK])
async def test_an_answer_that_stays_on_the_device_is_not_remembered(asking: Asking, redirect_uri: str) -> None:
    """RFC 8252 section 8.6: any program there may have registered that name."""
    await asking.decide(await asking.ask(redirect_uri=redirect_uri))

    page = await asking.ask(redirect_uri=redirect_uri)

    assert is_question(page)
    assert not is_remembered(page)


async def test_an_approval_is_forgotten_in_time(asking: Asking) -> None:
    await asking.decide(await asking.ask())
    assert is_remembered(await asking.ask())

    asking.world.now += CONSENT_LIFETIME
    await asking.world.log_in(asking.browser)
    page = await asking.ask()

    assert is_question(page)
    assert not is_remembered(page)


async def test_a_denial_is_not_remembered_as_anything(asking: Asking) -> None:
    await asking.decide(await asking.ask(), "deny")

    assert not is_remembered(await asking.ask())


# --- What the operator decided holds for what no site sent ---


def is_unasked(headers: dict[str, str], auto_approve: AutoApprove, redirect_uri: str) -> bool:
    """Say what the record 0009 says, by another way than the code."""
    if headers not in (*PROGRAMS, TYPED):
        return False
    return auto_approve is AutoApprove.ALWAYS or (
        auto_approve is AutoApprove.LOOPBACK_REDIRECTS and redirect_uri == LOOPBACK
    )


@pytest.mark.parametrize("auto_approve", AutoApprove)
@pytest.mark.parametrize("headers", STARTS)
async def test_a_start_that_a_site_may_have_caused_is_asked_in_every_mode(
    headers: dict[str, str], auto_approve: AutoApprove
) -> None:
    world = make_world(auto_approve=auto_approve)
    await world.register(redirect_uris=REDIRECT_URIS)
    asking = Asking(world)
    await world.log_in(asking.browser)
    for redirect_uri in REDIRECT_URIS:
        expected = is_unasked(headers, auto_approve, redirect_uri)
        for remembers in (False, True):
            # 1. A browser that is logged in: decided at the authorization endpoint.
            assert is_code(await asking.ask(headers, redirect_uri=redirect_uri)) is expected
            # 2. One that has to log in first: decided at the consent page, by how the request began.
            late = Asking(world)
            await late.ask(headers, redirect_uri=redirect_uri)
            logged_in = await world.log_in(late.browser, path=late.path)
            answer = await late.browser.get(logged_in.headers["location"])
            assert (is_code(answer), is_question(answer)) == (expected, not expected)
            # 3. The question, whatever was remembered, is always there for the asking.
            page = await asking.ask(headers, redirect_uri=redirect_uri, prompt="consent")
            assert is_question(page)
            assert is_remembered(page) is (remembers and redirect_uri == REDIRECT_URI)
            await asking.decide(page)
    for browser in world.browsers:
        await browser.aclose()


@pytest.mark.parametrize("prompt", ["consent", "login", "select_account", "create"])
@pytest.mark.parametrize("headers", [{}, TYPED])
async def test_a_client_that_wants_the_question_gets_it_in_every_mode(headers: dict[str, str], prompt: str) -> None:
    world = make_world(auto_approve=AutoApprove.ALWAYS)
    await world.register()
    asking = Asking(world)
    await world.log_in(asking.browser)

    assert is_question(await asking.ask(headers, prompt=prompt))
    await asking.browser.aclose()


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize("second", [None, "cross-site"])
async def test_a_header_that_is_sent_twice_is_asked_in_every_mode(name: str, second: str | None) -> None:
    world = make_world(auto_approve=AutoApprove.ALWAYS)
    await world.register()
    asking = Asking(world)
    await world.log_in(asking.browser)
    headers = [*TYPED.items(), (name, second or TYPED[name])]

    answer = await asking.browser.get("/oauth/authorize", params=asking.parameters(), headers=headers)

    assert answer.headers["location"].startswith("/oauth/consent?transaction=")
    await asking.browser.aclose()


@pytest.mark.parametrize("host", ["dev.lan:8000", "127.0.0.1:8000", "localhost", "127.0.0.2:8000", "[::1]:8000"])
async def test_a_request_without_the_headers_is_a_programs_only_where_browsers_send_them(host: str) -> None:
    """Chromium sends no Fetch Metadata to plain http under another name, which the operator may have allowed."""
    world = make_world(auto_approve=AutoApprove.ALWAYS)
    await world.register()
    asking = Asking(world)
    await world.log_in(asking.browser)
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in asking.browser.cookies.items())}

    answer = await asking.browser.get(f"http://{host}/oauth/authorize", params=asking.parameters(), headers=cookies)

    assert is_code(answer) is (host != "dev.lan:8000")
    await asking.browser.aclose()


# --- saying less ---


async def test_an_unticked_scope_is_not_in_the_code_and_is_asked_for_again(asking: Asking) -> None:
    answer = await asking.decide(await asking.ask(), scope_0=None)

    assert (await asking.code(answer)).scopes == ("raw",)
    assert not is_remembered(await asking.ask())
    assert is_remembered(await asking.ask(scope="raw"))


async def test_nothing_left_is_a_denial(asking: Asking) -> None:
    answer = await asking.decide(await asking.ask(), scope_0=None, scope_1=None)

    assert "error=access_denied" in answer.headers["location"]


@pytest.mark.parametrize("fields", [{"scope_2": "yes"}, {"scope_0": "notes:write"}, {"scope_-1": "yes"}])
async def test_a_form_that_was_tampered_with_widens_nothing(asking: Asking, fields: dict[str, str]) -> None:
    changed: dict[str, Any] = {"scope_1": None, **fields}

    answer = await asking.decide(await asking.ask(), **changed)

    assert (await asking.code(answer)).scopes == ("notes:read",)


async def test_a_single_scope_cannot_be_unticked(asking: Asking) -> None:
    page = await asking.ask(scope="raw")

    assert list(Form(page.text).fields) == ["csrf_token"]
    assert (await asking.code(await asking.decide(page))).scopes == ("raw",)


async def test_what_every_request_needs_cannot_be_unticked() -> None:
    world = make_world(required_scopes=("notes:read",))
    await world.register()
    asking = Asking(world)
    await world.log_in(asking.browser)

    page = await asking.ask()
    assert list(Form(page.text).fields) == ["csrf_token", "scope_1"]
    assert (await asking.code(await asking.decide(page, scope_1=None))).scopes == ("notes:read",)
    await asking.browser.aclose()
