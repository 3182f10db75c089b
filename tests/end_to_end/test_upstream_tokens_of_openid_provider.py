"""Tools that act at a certified OpenID provider which replaces refresh tokens and ends the grant of one used twice."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest

from gatepost.stores.sql.sqlite import file_store
from gatepost.stores.upstream_tokens import open_tokens
from gatepost.tokens.sealing import KeyRing
from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.openid_provider import SECRET, OpenIDProvider, install
from tests.end_to_end.running_server import RunningServer, free_port
from tests.end_to_end.scripted_client import App, Person
from tests.end_to_end.test_upstream_tokens import MODERN, TARGET

CALLS = 20


@dataclass
class Company:
    """The provider, and two servers over one store."""

    provider: OpenIDProvider
    one: RunningServer
    other: RunningServer

    def connect(self, username: str) -> tuple[Person, str]:
        """Log in at the provider, and connect an app; return the person and the app's access token."""
        person = Person(self.one.origin, username, issuer=self.provider.issuer)
        app = App(self.one.origin).register()
        token: str = app.redeem(app.code_from(person.decide(app.authorization_url()))).json()["access_token"]
        return person, token

    def end_tokens(self) -> None:
        """Let the access tokens be over."""
        with sqlite3.connect(self.one.data / "gatepost.db") as database:
            database.execute("UPDATE upstream_tokens SET expires_at = 1")
        database.close()

    def access_token(self) -> str:
        """Return the one access token that is kept, with the key that lies beside the store."""

        async def opened() -> str:
            store = file_store(self.one.data / "gatepost.db")
            await store.open()
            try:
                (kept,) = await store.upstream_tokens.list_tokens(None, limit=9)
            finally:
                await store.close()
            return open_tokens(kept, KeyRing((self.one.data / "gatepost.key").read_text().split())).access_token

        return asyncio.run(opened())

    def status_of(self, token: str) -> int:
        """Ask the provider whose token it is."""
        url = f"{self.provider.issuer}/me"
        return local_http.get(url, headers={"Authorization": f"Bearer {token}"}).status_code

    def call_at_once(self, token: str, *, calls: int = CALLS) -> set[str]:
        """Call the tool, half of the times at each server; return what it said."""

        async def call() -> set[str]:
            headers = {
                "Host": self.one.origin.removeprefix("http://"),
                "Authorization": f"Bearer {token}",
                "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2026-07-28",
                "Mcp-Method": "tools/call",
                "Mcp-Name": "act",
            }
            params = {"name": "act", "arguments": {}, "_meta": MODERN}
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            urls = [self.one.mcp_url, self.other.mcp_url] * (calls // 2)
            async with local_http.async_client(headers=headers) as http:
                answers = await asyncio.gather(*(http.post(url, json=message) for url in urls))
            lines = (answer.text.strip().splitlines()[-1].removeprefix("data: ") for answer in answers)
            return {json.loads(line)["result"]["content"][0]["text"] for line in lines}

        return asyncio.run(call())


@pytest.fixture(scope="module")
def company(require_service: RequireService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Servers that keep the tokens of the provider's people."""
    require_service("oidc-provider (npm)", available=install())
    port, data = free_port(), tmp_path_factory.mktemp("upstream") / "data"
    provider = OpenIDProvider(f"http://127.0.0.1:{port}/oauth/login/company/callback").start()
    environment = {
        "MCP_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "OAUTH_ALLOWED_USERS": "*",
        "OAUTH_UPSTREAM_COMPANY_ISSUER": provider.issuer,
        "OAUTH_UPSTREAM_COMPANY_CLIENT_ID": "gatepost",
        "OAUTH_UPSTREAM_COMPANY_CLIENT_SECRET": SECRET,
        "OAUTH_UPSTREAM_COMPANY_KEEP_TOKENS": "true",
        "WHO_AT": f"{provider.issuer}/me",
    }
    try:
        with (
            RunningServer(TARGET, data, port=port, environment=environment) as one,
            RunningServer(TARGET, data, environment=environment) as other,
        ):
            yield Company(provider, one, other)
    finally:
        provider.stop()


def test_tools_act_there_as_who_calls_through_one_refresh_after_another(company: Company) -> None:
    _, ada = company.connect("ada")
    _, bob = company.connect("bob")
    for _ in range(4):  # had one refresh token been used twice, its grant would be over by the next time
        assert company.call_at_once(ada) == {"200 ada"}
        assert company.call_at_once(bob) == {"200 bob"}
        company.end_tokens()


def test_while_its_token_endpoint_fails_nothing_is_lost(company: Company) -> None:
    _, token = company.connect("carol")
    company.end_tokens()
    company.provider.fail()
    try:
        said = company.call_at_once(token)
    finally:
        company.provider.mend()
    assert {words.rpartition(" in ")[0] for words in said} == {
        "127.0.0.1 cannot be asked for access to your account just now. Nothing is lost: try again"
    }
    with sqlite3.connect(company.one.data / "gatepost.db") as database:
        database.execute("UPDATE upstream_tokens SET retry_at = NULL")
    database.close()
    assert company.call_at_once(token) == {"200 carol"}


def account_of(person: Person) -> httpx2.Response:
    """Log in once more, since the login ended with the consent, and return the account page."""
    page = person.browser.get("/oauth/login")
    for _ in range(20):
        if page.is_redirect:
            page = person.browser.get(str(page.url.join(page.headers["location"])))
        elif page.url.path == "/oauth/account":
            return page
        else:
            page = person._submit(page, person._credentials(page.text))
    raise AssertionError(page.url)


def test_what_a_person_ends_here_is_ended_there_too(company: Company) -> None:
    with sqlite3.connect(company.one.data / "gatepost.db") as database:
        database.execute("DELETE FROM upstream_tokens")
    database.close()
    person, token = company.connect("dora")
    theirs = company.access_token()
    assert company.status_of(theirs) == 200

    page = account_of(person)
    found = re.search(r'action="/oauth/account/upstream".*?value="([^"]+)"', page.text, re.DOTALL)
    assert found is not None
    form = {"csrf_token": found[1], "provider": "company"}
    ended = person.browser.post("/oauth/account/upstream", data=form, headers={"Origin": company.one.origin})

    assert (ended.status_code, ended.headers["location"]) == (303, "/oauth/account")
    assert company.status_of(theirs) == 401
    (said,) = company.call_at_once(token, calls=2)
    assert f"Open {company.one.origin}/oauth/account/link/company in a browser" in said
