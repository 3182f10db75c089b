"""A server with sessions whose clients log in at GitHub in the browser, named by two variables alone.

In the order of its documents: a request without a token, the browser's way by GitHub, a token, a session.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from gatepost import Context, Server, create_app
from gatepost.assembly import login_provider
from tests.attacks.installed import CHALLENGE, ORIGIN, VERIFIER
from tests.identity import test_github
from tests.identity.openid_issuer import Network
from tests.seeds.person import CALLBACK, Person, person_at

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "app", "version": "1"}}
ACCEPT = "application/json, text/event-stream"


def build() -> Any:
    server = Server("with-sessions")

    @server.tool
    def whoami(ctx: Context) -> str:
        """Say who is logged in at GitHub."""
        return str(ctx.user.claims["login"])

    return create_app(server, announce=lambda _: None)


@pytest.fixture
async def visitor(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Person, test_github.StandIn]]:
    monkeypatch.setattr(test_github, "CALLBACK", f"{ORIGIN}/oauth/login/github/callback")
    github = test_github.StandIn()
    network = Network(github_com=github.site, api_github_com=github.api)
    monkeypatch.setattr(login_provider, "_way_to", lambda _proxy, url: network(url))
    variables = {
        "GITHUB_CLIENT_ID": test_github.CLIENT["client_id"],
        "GITHUB_CLIENT_SECRET": test_github.CLIENT["client_secret"],
        "OAUTH_ALLOWED_USERS": "*",
        "MCP_STORAGE_URL": "memory:",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with person_at(build()) as person:
        yield person, github


async def post(person: Person, method: str, token: str | None, session: str | None = None) -> httpx2.Response:
    headers = {"Accept": ACCEPT, "MCP-Protocol-Version": "2025-11-25"}
    headers |= {} if token is None else {"Authorization": f"Bearer {token}"}
    headers |= {} if session is None else {"Mcp-Session-Id": session}
    params: dict[str, Any] = {"initialize": HELLO, "tools/call": {"name": "whoami", "arguments": {}}}[method]
    return await person.http.post(
        "/mcp", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers=headers
    )


async def test_a_request_without_a_token_or_with_an_unknown_one_is_refused(
    visitor: tuple[Person, test_github.StandIn],
) -> None:
    person, _ = visitor
    for token in (None, "gp_at_unknown", "gho_1"):
        refused = await post(person, "initialize", token)
        assert refused.status_code == 401
        assert "resource_metadata=" in refused.headers["www-authenticate"]


async def test_the_browser_goes_by_github_and_the_client_gets_a_token_of_this_server(
    visitor: tuple[Person, test_github.StandIn],
) -> None:
    person, github = visitor
    http = person.http
    registered = await http.post("/register", json={"redirect_uris": [CALLBACK]})
    person.client_id = registered.json()["client_id"]
    query = {
        "response_type": "code",
        "client_id": person.client_id,
        "redirect_uri": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "its own",
    }
    # 1. To GitHub, with PKCE and a state of this server's own.
    asked = await http.get(f"/authorize?{urlencode(query)}")
    sent_to_github = (await http.get(asked.headers["location"])).headers["location"]
    upstream = parse_qs(urlsplit(sent_to_github).query)
    assert upstream["code_challenge"] != [CHALLENGE]
    assert upstream["state"] != ["its own"]
    # 2. Back, with a code that this server exchanges at GitHub.
    consent = await http.get(github.log_in(sent_to_github))
    page = await http.get(consent.headers["location"])
    # 3. To the client, with a code of this server, for a token of this server.
    approved = await person.submit(page, decision="approve")
    answer = parse_qs(urlsplit(approved.headers["location"]).query)
    assert answer["state"] == ["its own"]
    form = {
        "grant_type": "authorization_code",
        "client_id": person.client_id,
        "code": answer["code"][0],
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    exchanged = await http.post("/token", data=form)
    tokens = exchanged.json()
    assert tokens["access_token"].startswith("gp_at_")
    for seen in (page.text, approved.headers["location"], exchanged.text):
        assert "gho_1" not in seen

    # 4. The token opens a session, and the session is used by whoever holds the token.
    begun = await post(person, "initialize", tokens["access_token"])
    session = begun.headers["mcp-session-id"]
    called = await post(person, "tools/call", tokens["access_token"], session)
    assert called.json()["result"]["content"][0]["text"] == "octocat"
    assert "gho_1" not in called.text
    assert (await post(person, "tools/call", tokens["access_token"], "unknown")).status_code == 404
    assert (await post(person, "tools/call", None, session)).status_code == 401
