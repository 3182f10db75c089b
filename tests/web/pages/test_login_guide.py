"""The providers that docs/login-providers.md shows do what it says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from gatepost.identity.auth_provider import AuthProviderLogin
from gatepost.identity.provider import IdentityProvider
from tests.web.pages.company_server import ISSUER, CompanyServer
from tests.web.pages.pages_world import PASSWORD, REDIRECT_URI, Form, World, heading, make_world

GUIDE = (Path(__file__).parents[3] / "docs" / "login-providers.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
LOGIN = "/oauth/login?transaction=transaction_1"
CONSENT = "/oauth/consent?transaction=transaction_1"


def shown(name: str) -> Any:
    """Return the class that the guide shows under this name."""
    (code,) = [example for example in EXAMPLES if f"class {name}(" in example]
    names: dict[str, Any] = {}
    exec(compile(code, "login-providers.md", "exec"), names)  # noqa: S102 - the page's own code
    return names[name]


async def world_with(provider: IdentityProvider) -> World:
    world = make_world(provider=provider)
    await world.register()
    return world


@pytest.fixture
async def company() -> AsyncIterator[tuple[World, CompanyServer]]:
    server = CompanyServer()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=server.app)) as http:
        world = await world_with(shown("CompanyLogin")(http))
        yield world, server
        for browser in world.browsers:
            await browser.aclose()


async def test_the_proxy_s_word_is_enough() -> None:
    world = await world_with(shown("ProxyLogin")())
    async with world.browser() as browser:
        await world.begin(browser)
        answer = await browser.get(LOGIN, headers={"X-Authenticated-User": "ada"})
        assert answer.headers["location"] == CONSENT
        found = await world.session(browser)
        assert found.user is not None
        assert (found.user.issuer, found.user.external_subject) == ("proxy", "ada")
        assert found.user.subject.startswith("user_")


async def test_the_short_way_sends_whom_it_does_not_know_elsewhere_and_to_the_same_url_back() -> None:
    provider = shown("CompanySession")({"secret": "ada"}, "https://portal.example/login")
    world = await world_with(AuthProviderLogin(provider))
    async with world.browser() as browser:
        await world.begin(browser)
        sent_there = await browser.get(LOGIN)
        assert sent_there.headers["location"].startswith("https://portal.example/login?return_to=")
        (return_to,) = parse_qs(urlsplit(sent_there.headers["location"]).query)["return_to"]
        browser.cookies.set("portal_session", "secret")
        assert (await browser.get(return_to)).headers["location"] == CONSENT
        found = await world.session(browser)
        assert found.user is not None
        assert (found.user.issuer, found.user.subject) == ("companysession", "ada")


async def test_a_password_and_then_a_code() -> None:
    world = await world_with(shown("TwoSteps")(lambda username: {"ada": "123456"}[username]))
    async with world.browser() as browser:
        await world.begin(browser)
        form = Form((await browser.get(LOGIN)).text)
        second = await browser.post(LOGIN, data={**form.fields, "username": "ada", "password": PASSWORD})
        assert list(Form(second.text).fields) == ["csrf_token", "state", "code"]
        wrong = await browser.post(LOGIN, data={**Form(second.text).fields, "code": "654321"})
        assert (wrong.status_code, heading(wrong)) == (403, "Log in")
        assert "The code is wrong or too old." in wrong.text
        right = await browser.post(LOGIN, data={**Form(wrong.text).fields, "code": "123456"})
        assert (right.status_code, right.headers["location"]) == (303, CONSENT)


async def test_the_company_s_server_is_asked_and_answers(company: tuple[World, CompanyServer]) -> None:
    world, server = company
    browser = world.browser()
    await world.begin(browser)
    before = world.secret(browser)

    sent_there = await browser.get(LOGIN)
    assert sent_there.headers["location"].startswith(f"{ISSUER}/authorize?")
    came_back = await browser.get(server.log_in(sent_there.headers["location"]))

    assert (came_back.status_code, came_back.headers["location"]) == (303, CONSENT)
    assert world.secret(browser) not in {None, before}
    found = await world.session(browser)
    assert found.user is not None
    assert (found.user.issuer, found.user.external_subject, found.user.name) == (ISSUER, "4711", "Ada")
    page = await browser.get(CONSENT)
    assert "<bdi>Ada</bdi>" in page.text
    approved = await browser.post(CONSENT, data={**Form(page.text).fields, "decision": "approve"})
    assert approved.headers["location"].startswith(REDIRECT_URI + "?code=")


async def test_what_is_sent_there_is_one_request_with_pkce(company: tuple[World, CompanyServer]) -> None:
    world, _ = company
    query = parse_qs(urlsplit((await world.browser().get("/oauth/login")).headers["location"]).query)
    assert query["redirect_uri"] == ["https://mcp.example.com/oauth/login/company/callback"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["state"][0].startswith("gp_ls_")


async def test_a_login_by_itself_ends_on_the_account_page(company: tuple[World, CompanyServer]) -> None:
    world, server = company
    browser = world.browser()
    sent_there = await browser.get("/oauth/login")
    came_back = await browser.get(server.log_in(sent_there.headers["location"]))
    assert came_back.headers["location"] == "/oauth/account"
    assert heading(await browser.get("/oauth/account")) == "Your account"


async def test_who_is_not_let_in_there_is_told_and_can_try_again(company: tuple[World, CompanyServer]) -> None:
    world, server = company
    browser = world.browser()
    await world.begin(browser)
    sent_there = await browser.get(LOGIN)
    refused = await browser.get(server.refuse(sent_there.headers["location"]))
    assert (refused.status_code, heading(refused)) == (403, "You are not logged in")
    assert "The company&#39;s server did not let you in." in refused.text
    assert f'href="{LOGIN}"' in refused.text
