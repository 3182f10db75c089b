"""How much of the web framework a warm page passes (record 0029)."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from gatepost import Server, create_app
from gatepost.configuration.settings import load_settings
from gatepost.stores.sql.sqlite import memory_store
from tests.web.pages.pages_world import PASSWORD, Accounts

MOST = 80
"""Calls of Python functions in modules of FastAPI and Starlette. Jinja2, which renders the page, is not counted."""
ORIGIN = "http://127.0.0.1:8000"
REDIRECT_URI = "https://app.example/callback"
ASKED = {
    "response_type": "code",
    "redirect_uri": REDIRECT_URI,
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    """A browser that an app sends to the authorization endpoint whenever it asks for `/begin`."""
    settings = load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None)
    app = create_app(
        Server("notes"), settings=settings, store=memory_store(), provider=Accounts(), announce=lambda _: None
    )
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN, follow_redirects=True) as browser:
        registered = await browser.post("/oauth/register", json={"redirect_uris": [REDIRECT_URI]})
        browser.params = {**ASKED, "client_id": registered.json()["client_id"]}
        yield browser


async def begin(browser: httpx2.AsyncClient) -> str:
    """Ask for access; return the path of the page that is shown."""
    page = await browser.get("/oauth/authorize")
    assert page.status_code == 200, page.text
    browser.params = {}
    return page.url.raw_path.decode()


async def framework_calls(browser: httpx2.AsyncClient, path: str) -> int:
    """Load a page until it is warm, and return how many calls the next load makes."""
    for _ in range(3):
        assert (await browser.get(path)).status_code == 200
    calls = 0

    def count(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        if event == "call" and re.search(r"/site-packages/(?:fastapi|starlette)/", frame.f_code.co_filename):
            calls += 1

    sys.setprofile(count)
    try:
        page = await browser.get(path)
    finally:
        sys.setprofile(None)
    assert page.status_code == 200
    return calls


async def test_a_warm_login_page_passes_little_of_the_framework(browser: httpx2.AsyncClient) -> None:
    path = await begin(browser)
    assert urlsplit(path).path == "/oauth/login"
    assert 0 < await framework_calls(browser, path) <= MOST


async def test_a_warm_consent_page_passes_little_of_the_framework(browser: httpx2.AsyncClient) -> None:
    path = await begin(browser)
    token = re.search(r'name="csrf_token" value="([^"]+)"', (await browser.get(path)).text)
    assert token is not None
    form = {"csrf_token": token[1], "username": "ada", "password": PASSWORD}
    consent = await browser.post(path, data=form, headers={"Origin": ORIGIN})
    assert urlsplit(str(consent.url)).path == "/oauth/consent"
    assert 0 < await framework_calls(browser, consent.url.raw_path.decode()) <= MOST
