"""Fifty calls with a token that is over, in two processes over one store: the provider is asked once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer, free_port
from tests.end_to_end.scripted_client import App, Person
from tests.end_to_end.served_issuer import ServedIssuer, served_issuer
from tests.identity.openid_issuer import CLIENT_ID, SECRET

TARGET = "tests/end_to_end/upstream_target.py:server"
CALLS = 50
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "app", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Pair:
    """Two servers over one store, and a person who has logged in elsewhere and connected an app."""

    one: RunningServer
    other: RunningServer
    issuer: ServedIssuer
    token: str

    def end_token(self) -> None:
        """Let the access token be over."""
        with sqlite3.connect(self.one.data / "gatepost.db") as database:
            database.execute("UPDATE upstream_tokens SET expires_at = 1")
        database.close()

    async def call_at_once(self) -> list[dict[str, Any]]:
        """Call the tool as often as is said, half of the calls at each server; return the results."""
        self.issuer.expected = CALLS
        headers = {
            "Host": self.one.origin.removeprefix("http://"),
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": "act",
        }
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        params = {"name": "act", "arguments": {}, "_meta": MODERN}
        async with local_http.async_client(headers=headers) as http:
            urls = [self.one.mcp_url, self.other.mcp_url] * (CALLS // 2)
            answers = await asyncio.gather(*(http.post(url, json={**message, "params": params}) for url in urls))
        # One that took long is a stream, with the result as its last message.
        lines = (answer.text.strip().splitlines()[-1].removeprefix("data: ") for answer in answers)
        return [json.loads(line)["result"] for line in lines]


def log_in(server: RunningServer, issuer: ServedIssuer) -> str:
    """Connect an app as somebody who logs in elsewhere; return the app's access token."""
    person, app = Person(server.origin), App(server.origin).register()
    login = person.browser.get(app.authorization_url()).headers["location"]
    there = person.browser.get(login).headers["location"]
    back = person.browser.get(issuer.log_in(there))
    assert back.status_code == 303, back.text
    location = person.decide(f"{server.origin}{back.headers['location']}")
    token: str = app.redeem(app.code_from(location)).json()["access_token"]
    return token


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """The two servers; the person's token elsewhere is over."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    with served_issuer(f"{origin}/oauth/login/company/callback") as issuer:
        environment = {
            "MCP_PUBLIC_URL": origin,
            "OAUTH_ALLOWED_USERS": "*",
            "OAUTH_UPSTREAM_COMPANY_ISSUER": issuer.issuer,
            "OAUTH_UPSTREAM_COMPANY_CLIENT_ID": CLIENT_ID,
            "OAUTH_UPSTREAM_COMPANY_CLIENT_SECRET": SECRET,
            "OAUTH_UPSTREAM_COMPANY_KEEP_TOKENS": "true",
            "MEET_AT": f"{issuer.issuer}/meet",
        }
        data = tmp_path / "data"
        with (
            RunningServer(TARGET, data, port=port, environment=environment) as one,
            RunningServer(TARGET, data, environment=environment) as other,
        ):
            found = Pair(one, other, issuer, log_in(one, issuer))
            found.end_token()
            yield found
            assert not any(secret in one.output + other.output for secret in ("at-0-", "rt-0-")), "in no log"


async def test_the_provider_is_asked_once_and_all_have_the_new_token(pair: Pair) -> None:
    results = await pair.call_at_once()
    token = pair.issuer.families[0].access_tokens[-1]
    assert token == "at-0-1"
    assert {result["content"][0]["text"] for result in results} == {hashlib.sha256(token.encode()).hexdigest()}
    assert pair.issuer.refreshes == 1
    assert not pair.issuer.families[0].is_ended


@pytest.mark.parametrize("status", [429, 500])
async def test_a_provider_that_fails_is_asked_once_and_nothing_is_lost(pair: Pair, status: int) -> None:
    pair.issuer.fails_with = Response("", status, {"Retry-After": "1800"})
    results = await pair.call_at_once()
    words = {result["content"][0]["text"].rpartition(" in ")[0] for result in results}
    assert words == {"127.0.0.1 cannot be asked for access to your account just now. Nothing is lost: try again"}
    assert all(result["isError"] for result in results)
    assert pair.issuer.refreshes == 1
    assert not pair.issuer.families[0].is_ended


async def test_a_dead_grant_is_learnt_once_and_everybody_is_led_to_link_anew(pair: Pair) -> None:
    pair.issuer.fails_with = JSONResponse({"error": "invalid_grant"}, 400)
    results = await pair.call_at_once()
    link = f"{pair.one.origin}/oauth/account/link/company"
    assert all(result["isError"] and f"Open {link} in a browser" in result["content"][0]["text"] for result in results)
    assert pair.issuer.refreshes == 1
    # What it gave us here lives on: the app goes on, and the next login brings new tokens.
    pair.issuer.fails_with = None
    log_in(pair.one, pair.issuer)
    results = await pair.call_at_once()
    assert {result["content"][0]["text"] for result in results} == {hashlib.sha256(b"at-1-0").hexdigest()}
