"""A tool needs an account that is not linked yet: the client is asked to open the link page, and the call goes on."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult
from playwright.sync_api import Page, expect

from tests.end_to_end import local_http
from tests.end_to_end.running_server import PASSWORD, RunningServer, free_port
from tests.end_to_end.scripted_client import App, Person
from tests.end_to_end.served_issuer import ServedIssuer, served_issuer
from tests.end_to_end.test_browser import page as page  # noqa: PLC0414 - a fixture
from tests.end_to_end.test_browser_linking import looks_well
from tests.end_to_end.test_official_client_streams import ERAS, text_of
from tests.end_to_end.test_upstream_tokens import TARGET
from tests.identity.openid_issuer import CLIENT_ID, SECRET


@dataclass
class World:
    """A server with the accounts of ada and bob, and a login elsewhere that they may link."""

    server: RunningServer
    issuer: ServedIssuer

    @property
    def link(self) -> str:
        """Where they do so."""
        return f"{self.server.origin}/oauth/account/link/company"

    def connect(self, username: str) -> str:
        """Connect an app with a password; return its access token."""
        person, app = Person(self.server.origin, username), App(self.server.origin).register()
        token: str = app.redeem(app.code_from(person.decide(app.authorization_url()))).json()["access_token"]
        return token

    def link_account(self, username: str, url: str) -> None:
        """Open an address in a new browser, log in with the password, and link an account there."""
        person = Person(self.server.origin, username, issuer=self.issuer.issuer)
        answer = person.browser.get(url)
        for _ in range(20):
            if answer.is_redirect:
                answer = person.browser.get(str(answer.url.join(answer.headers["location"])))
            elif "Login linked" in answer.text:
                return
            else:
                fields = person._credentials(answer.text) if 'name="username"' in answer.text else {}
                answer = person._submit(answer, fields)
        raise AssertionError(answer.text)

    async def call(self, token: str, mode: str, callback: Any) -> str:
        """Call the tool with the official client."""
        async with local_http.async_client(headers={"Authorization": f"Bearer {token}"}) as http:
            transport = streamable_http_client(self.server.mcp_url, http_client=http)
            async with Client(transport, mode=mode, elicitation_callback=callback) as client:
                return text_of(await client.call_tool("act", {}))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    port, data = free_port(), tmp_path / "data"
    origin = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gatepost", "users", "add"]
    place = {**os.environ, "OAUTH_STORAGE_DIR": str(data)}
    for name in ("ada", "bob"):
        adding = [*command, name, "--password-stdin"]
        subprocess.run(adding, env=place, input=PASSWORD, text=True, check=True, capture_output=True)
    with served_issuer(f"{origin}/oauth/login/company/callback") as issuer:
        environment = {
            "OAUTH_ALLOWED_USERS": "*",
            "OAUTH_LOCAL_ACCOUNTS": "true",
            "OAUTH_UPSTREAM_COMPANY_ISSUER": issuer.issuer,
            "OAUTH_UPSTREAM_COMPANY_CLIENT_ID": CLIENT_ID,
            "OAUTH_UPSTREAM_COMPANY_CLIENT_SECRET": SECRET,
            "OAUTH_UPSTREAM_COMPANY_KEEP_TOKENS": "true",
        }
        with RunningServer(TARGET, data, port=port, environment=environment) as server:
            yield World(server, issuer)


@pytest.mark.parametrize("mode", ERAS)
async def test_the_call_goes_on_once_its_person_has_linked_the_account(world: World, mode: str) -> None:
    asked: list[str] = []
    linking: list[asyncio.Task[None]] = []

    async def open_page(context: object, params: ElicitRequestParams) -> ElicitResult:
        """Agree at once, as clients do, and link meanwhile."""
        del context
        assert isinstance(params, ElicitRequestURLParams)
        asked.append(params.url)
        linking.append(asyncio.create_task(asyncio.to_thread(world.link_account, "ada", params.url)))
        return ElicitResult(action="accept")

    token = await asyncio.to_thread(world.connect, "ada")
    said = await world.call(token, mode, open_page)

    await linking[0]
    assert said == hashlib.sha256(b"at-0-0").hexdigest()
    assert asked == [world.link]
    assert await world.call(token, mode, None) == said


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("action", ["decline", "cancel", None])
async def test_who_does_not_want_to_or_has_such_a_client_reads_where_to_go(
    world: World, mode: str, action: Literal["decline", "cancel"] | None
) -> None:
    async def refuse(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context, params
        assert action is not None
        return ElicitResult(action=action)

    token = await asyncio.to_thread(world.connect, "ada")
    said = await world.call(token, mode, None if action is None else refuse)
    assert f"Open {world.link} in a browser, link it there, and then try again." in said


async def test_who_sends_the_address_to_somebody_else_gets_nothing_of_theirs(world: World) -> None:
    """Ada has Bob open it: he links his account to himself, and her call waits in vain."""

    async def send_to_bob(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context
        assert isinstance(params, ElicitRequestURLParams)
        await asyncio.to_thread(world.link_account, "bob", params.url)
        return ElicitResult(action="cancel")

    ada, bob = await asyncio.to_thread(world.connect, "ada"), await asyncio.to_thread(world.connect, "bob")
    assert f"Open {world.link} in a browser" in await world.call(ada, "2026-07-28", send_to_bob)
    assert f"Open {world.link} in a browser" in await world.call(ada, "2026-07-28", None)
    assert await world.call(bob, "2026-07-28", None) == hashlib.sha256(b"at-0-0").hexdigest()


def test_a_browser_links_and_ends_where_tools_act(world: World, page: Page) -> None:
    page.goto(world.link)
    page.get_by_label("Username").fill("ada")
    page.locator('input[name="password"]').fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("the tool may then act at 127.0.0.1 in your name")).to_be_visible()
    looks_well(page, "50-link-for-tools")
    page.get_by_role("button", name="Link a login at 127.0.0.1").click()
    expect(page.get_by_role("heading", name="Login linked")).to_be_visible()

    page.get_by_role("link", name="Your account").click()
    expect(page.get_by_role("heading", name="Where tools act as you")).to_be_visible()
    looks_well(page, "51-where-tools-act")
    page.get_by_role("button", name="End access to 127.0.0.1").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Where tools act as you")).to_have_count(0)
    assert [form["token"] for form in world.issuer.revoked] == ["rt-0-0"]

    page.goto(world.link)
    expect(page.get_by_text("the access that tools of this server had there is over")).to_be_visible()
    looks_well(page, "52-access-is-over")
