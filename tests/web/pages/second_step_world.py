"""The pages with ada's and bob's accounts, whose passwords take little time, and their authenticator apps."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest

from gatepost.identity import passwords
from gatepost.identity.local_accounts import LocalAccounts, new_user
from gatepost.web.pages.login_throttle import LoginThrottle
from tests.identity.one_time_app import App
from tests.identity.second_step_world import second_steps
from tests.web.pages.pages_world import PASSWORD, Form, World, make_world

PAGE = "/oauth/account/second-step"
CHANGE = f"{PAGE}/change"
LOGIN = "/oauth/login"


def cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have passwords take next to no time."""
    monkeypatch.setattr(passwords, "_MEMORY_COST", 64)
    passwords._hasher.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", passwords._hasher.__wrapped__)


@asynccontextmanager
async def second_step_world(throttle: Callable[[World], LoginThrottle] | None = None) -> AsyncIterator[World]:
    """Serve the pages; at the time 3 seconds into a time step."""
    first = make_world()
    provider = LocalAccounts(users=first.store.users, second_steps=second_steps(first.store, now=lambda: world.now))
    world = make_world(provider=provider, store_of=first, throttle=throttle)
    world.now = 30 * 40_000_000 + 3
    for name in ("ada", "bob"):
        await world.store.users.add_user(new_user(name, PASSWORD, now=world.now, random_bytes=world.random_bytes))
    world.accounts.passwords = {"ada": PASSWORD, "bob": PASSWORD}
    yield world
    for browser in world.browsers:
        await browser.aclose()


def key_on(page: httpx2.Response) -> str:
    """Return the key that the set-up page shows for typing."""
    match = re.search(r'<p class="address"><code>([A-Z2-7 ]+)</code>', page.text)
    assert match is not None, page.text
    return match[1]


def codes_on(page: httpx2.Response) -> list[str]:
    """Return the recovery codes that a page shows."""
    return re.findall(r"<li><code>([0-9 ]{29})</code>", page.text)


def alert_on(page: httpx2.Response) -> str:
    """Return the problem that a page tells."""
    match = re.search(r'role="alert" id="problem">\s*<p>(.*?)</p>', page.text, re.DOTALL)
    assert match is not None, page.text
    return html.unescape(re.sub("<[^>]+>", "", match[1]))


async def send(browser: httpx2.AsyncClient, page: httpx2.Response, **typed: str) -> httpx2.Response:
    """Fill the form of a page in, which is not that of its foot."""
    form = Form(page.text.partition('<form method="post" action="/oauth/logout">')[0])
    return await browser.post(form.action or "", data={**form.fields, **typed})


async def type_password(
    browser: httpx2.AsyncClient, name: str = "ada", *, password: str = PASSWORD, path: str = LOGIN
) -> httpx2.Response:
    """Fill the login form in, and return what comes then."""
    return await send(browser, await browser.get(path), username=name, password=password)


async def set_up(world: World, browser: httpx2.AsyncClient) -> tuple[App, list[str]]:
    """Set the second step up in a browser that is logged in; return the app and the recovery codes."""
    page = await browser.get(PAGE)
    app = App(key_on(page))
    done = await send(browser, page, code=app.code(world.now), password=PASSWORD)
    assert done.status_code == 200, done.text
    return app, codes_on(done)


async def with_second_step(world: World, name: str = "ada") -> tuple[App, list[str]]:
    """Set the second step of this person up in a browser of theirs; the code of now is used by it."""
    browser = world.browser()
    await type_password(browser, name)
    return await set_up(world, browser)


async def is_logged_in(browser: httpx2.AsyncClient) -> bool:
    """Say whether somebody is logged in in this browser."""
    return (await browser.get("/oauth/account")).status_code == 200
