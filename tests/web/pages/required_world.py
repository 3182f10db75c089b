"""Servers that demand a second step, over one store: what an app asks for, and browsers that go from one to another."""

from __future__ import annotations

import httpx2

from gatepost.stores.contract.store import Store
from tests.attacks.installed import CHALLENGE
from tests.identity.one_time_app import App
from tests.web.pages.pages_world import Form
from tests.web.pages.passkey_world import Browser, PasskeyWorld
from tests.web.pages.second_step_world import PAGE, codes_on, key_on, send

EVERYBODY = {"OAUTH_REQUIRE_SECOND_STEP": "everybody"}
ADMINISTRATORS = {"OAUTH_REQUIRE_SECOND_STEP": "administrators"}
ACCOUNT, LOGIN = "/oauth/account", "/oauth/login"
CALLBACK = "https://app.example/cb"


async def register(browser: Browser) -> str:
    """Register an app; return its client id."""
    metadata = {"client_name": "App", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    answer = await browser.http.post("/oauth/register", json=metadata)
    client_id: str = answer.json()["client_id"]
    return client_id


async def ask(browser: Browser, client_id: str) -> str:
    """Open an app's authorization URL; return where the browser is sent."""
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    went = await browser.http.get("/oauth/authorize", params=query)
    assert went.status_code == 303, went.text
    return went.headers["location"]


async def approve(browser: Browser, consent: str) -> str:
    """Approve at the consent page; return where the browser is sent."""
    form = Form((await browser.http.get(consent)).text)
    went = await browser.http.post(form.action or "", data={**form.fields, "decision": "approve"})
    return went.headers["location"]


async def set_up(world: PasskeyWorld, browser: Browser, page: str = PAGE, **typed: str) -> tuple[App, httpx2.Response]:
    """Set an authenticator app up as a step of the login; return it, and the page with the recovery codes."""
    shown = await browser.http.get(page)
    app = App(key_on(shown))
    done = await send(browser.http, shown, code=app.code(world.installed.clock[0]), **typed)
    assert len(codes_on(done)) == 10, done.text
    return app, done


def moved(browser: Browser, to: PasskeyWorld) -> Browser:
    """Return the same browser at the same server after it was started with other settings."""
    there = to.browser()
    there.http.cookies.update(browser.http.cookies)
    return there


async def subject_of(store: Store, name: str = "ada") -> str:
    """Return somebody's subject."""
    user = await store.users.find_user(name)
    assert user is not None
    return user.subject
