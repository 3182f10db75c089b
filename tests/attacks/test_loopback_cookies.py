"""On plain http a client on loopback is sent our cookies; no redirect of ours hands it a session that is alive."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.oauth.policy import AutoApprove
from gatepost.oauth.records import TransactionState
from tests.attacks.test_unasked_consent import Asking, is_code, is_question
from tests.web.pages.pages_world import REDIRECT_URI, Form, World, heading, make_world

CALLBACK = "http://127.0.0.1:4711/callback"
CONSENT = "/oauth/consent?transaction=transaction_1"
LOGIN = "/oauth/login?transaction=transaction_1"


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    world = make_world(secure=False)
    await world.register(redirect_uris=(REDIRECT_URI, CALLBACK))
    asking = Asking(world)
    await world.log_in(asking.browser)
    yield asking
    for browser in world.browsers:
        await browser.aclose()


async def assert_worthless(world: World, secret: str, response: httpx2.Response) -> None:
    """Check that a redirect took the session away, and that whoever caught its secret is nobody here."""
    name = world.sessions.cookie_name
    assert response.status_code == 303
    assert response.headers["set-cookie"].startswith(f'{name}=""; ')
    assert "Max-Age=0" in response.headers["set-cookie"]
    client = world.browser()
    page = await client.get("/oauth/login", headers={"Cookie": f"{name}={secret}"})
    assert list(Form(page.text).fields) == ["csrf_token", "username", "password"]


@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_the_answer_to_a_client_carries_no_live_session(asking: Asking, decision: str) -> None:
    secret = asking.world.secret(asking.browser) or ""
    page = await asking.ask(redirect_uri=CALLBACK)
    assert is_question(page)

    answer = await asking.decide(page, decision)

    assert answer.headers["location"].startswith(CALLBACK)
    await assert_worthless(asking.world, secret, answer)
    assert asking.world.secret(asking.browser) is None


async def test_a_denied_client_that_replays_the_cookie_cannot_approve_itself(asking: Asking) -> None:
    name, secret = asking.world.sessions.cookie_name, asking.world.secret(asking.browser) or ""
    await asking.decide(await asking.ask(redirect_uri=CALLBACK), "deny")
    client = Asking(asking.world)
    client.browser.cookies.set(name, secret, domain="mcp.example.com", path="/")

    answer = await client.ask(redirect_uri=CALLBACK)

    assert answer.status_code == 200
    assert list(Form(answer.text).fields) == ["csrf_token", "username", "password"]


async def test_an_error_of_the_authorization_endpoint_carries_no_live_session(asking: Asking) -> None:
    secret = asking.world.secret(asking.browser) or ""

    answer = await asking.ask(redirect_uri=CALLBACK, response_type="token")

    assert answer.headers["location"].startswith(CALLBACK + "?error=")
    await assert_worthless(asking.world, secret, answer)


async def test_neither_does_an_approval_without_a_question_nor_a_resource_that_is_gone() -> None:
    for changes in ({}, {"resource": "https://mcp.example.com/gone"}):
        world = make_world(secure=False, auto_approve=AutoApprove.ALWAYS)
        await world.register(redirect_uris=(CALLBACK,))
        browser = world.browser()
        await world.begin(browser, redirect_uri=CALLBACK, started_by_user=True, **changes)
        await world.log_in(browser, path=LOGIN)
        secret = world.secret(browser) or ""

        answer = await browser.get(CONSENT)

        assert answer.headers["location"].startswith(CALLBACK + "?" + ("error=" if changes else "code="))
        await assert_worthless(world, secret, answer)
        for opened in world.browsers:
            await opened.aclose()


async def test_every_connection_needs_a_login_and_an_approval(asking: Asking) -> None:
    assert is_code(await asking.decide(await asking.ask()))

    assert heading(await asking.ask()) == "Log in"
    await asking.world.log_in(asking.browser, path=asking.path)
    again = await asking.browser.get(asking.path.replace("login", "consent"))

    assert is_question(again)
    assert is_code(await asking.decide(again))
    assert asking.world.secret(asking.browser) is None


async def test_a_request_in_a_second_tab_starts_again_from_its_app(asking: Asking) -> None:
    first = await asking.ask(redirect_uri=CALLBACK)
    second = await asking.ask(redirect_uri=CALLBACK)
    second_path = asking.path
    assert is_code(await asking.decide(first))

    answered = await asking.decide(second)
    reloaded = await asking.browser.get(second_path)

    for page in (answered, reloaded):
        assert (page.status_code, heading(page)) == (400, "This request is over")
        assert "It has been answered, or it has expired" in page.text
    transaction = await asking.world.store.transactions.find_transaction(
        second_path.partition("=")[2], now=asking.world.now
    )
    assert transaction is not None
    assert transaction.state is TransactionState.PENDING
