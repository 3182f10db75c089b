"""A real Chromium, in which a page of a foreign origin is an MCP client (record 0035): what it may call and read."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.end_to_end.conftest import ELSEWHERE, TARGET
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import App, Person

# Returns what a page gets to know of an answer: status, readable headers, body; or that it gets to know nothing.
_FETCH = """async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        const headers = Object.fromEntries(answer.headers);
        if ((headers["content-type"] || "").startsWith("text/event-stream")) {
            const {value} = await answer.body.getReader().read();
            return {status: answer.status, headers, body: new TextDecoder().decode(value)};
        }
        return {status: answer.status, headers, body: await answer.text().then(text => {
            try { return JSON.parse(text); } catch { return text; }
        })};
    } catch (error) {
        return error.name;
    }
}"""
UNREADABLE = "TypeError"
"""What `fetch` raises when the browser keeps an answer from the page (Fetch standard, "network error")."""
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "page", "version": "1"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


class _Blank(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b'<title>client</title><link rel="icon" href="data:,">')

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture(scope="module")
def foreign_site() -> Iterator[str]:
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Blank)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://{ELSEWHERE}:{listening.server_port}"
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def page(chromium: Browser, foreign_site: str) -> Iterator[Page]:
    with chromium.new_context() as context:
        context.set_default_timeout(PATIENCE * 1000)
        tab = context.new_page()
        tab.goto(foreign_site)
        yield tab


def fetch(page: Page, url: str, method: str = "GET", **options: Any) -> Any:
    return page.evaluate(_FETCH, [url, {"method": method, **options}])


def post_message(page: Page, url: str, message: dict[str, Any], **headers: str) -> Any:
    body = page.evaluate("JSON.stringify", message)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fetch(page, url, "POST", headers={**ACCEPT, **named}, body=body)


def test_a_page_of_a_foreign_origin_discovers_registers_refreshes_and_calls(
    server: RunningServer, owner: Person, page: Page
) -> None:
    # 1. The challenge, and from it the metadata.
    refused = post_message(page, server.mcp_url, HELLO)
    challenge = refused["headers"]["www-authenticate"]
    assert refused["status"] == 401
    metadata_url = challenge.partition('resource_metadata="')[2].partition('"')[0]
    resource = fetch(page, metadata_url)["body"]
    assert resource["resource"] == server.mcp_url
    metadata = fetch(page, f"{resource['authorization_servers'][0]}/.well-known/oauth-authorization-server")["body"]

    # 2. Registration is asked for first (a preflight), a token request is not.
    body = page.evaluate("JSON.stringify", {"client_name": "Page", "redirect_uris": [f"https://{ELSEWHERE}/"]})
    json_body = {"headers": {"Content-Type": "application/json"}, "body": body}
    assert fetch(page, metadata["registration_endpoint"], "POST", **json_body)["status"] == 201
    app = App(server.origin).register()
    tokens = app.redeem(app.code_from(owner.decide(app.authorization_url()))).json()
    form = f"grant_type=refresh_token&client_id={app.client_id}&refresh_token={tokens['refresh_token']}"
    form_headers = {"Content-Type": "application/x-www-form-urlencoded"}
    fresh = fetch(page, metadata["token_endpoint"], "POST", headers=form_headers, body=form)
    assert fresh["status"] == 200
    again = fetch(page, metadata["token_endpoint"], "POST", headers=form_headers, body="grant_type=none")
    assert (again["status"], again["body"]["error"]) == (400, "invalid_request")

    # 3. A session, its stream, its end.
    bearer = {"Authorization": f"Bearer {fresh['body']['access_token']}"}
    begun = post_message(page, server.mcp_url, HELLO, **bearer)
    session = {**bearer, "Mcp_Session_Id": begun["headers"]["mcp-session-id"], "MCP_Protocol_Version": "2025-11-25"}
    listed = post_message(page, server.mcp_url, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, **session)
    assert listed["body"]["result"]["tools"]
    named = {name.replace("_", "-"): value for name, value in session.items()}
    listening = fetch(page, server.mcp_url, headers={**named, "Accept": "text/event-stream"})
    assert (listening["status"], listening["body"].startswith("id: ")) == (200, True)
    assert fetch(page, server.mcp_url, "DELETE", headers=named)["status"] == 200
    assert fetch(page, server.mcp_url, "DELETE", headers=named)["status"] == 404


def test_a_page_of_a_foreign_origin_reads_no_page_of_ours_and_nothing_with_cookies(
    server: RunningServer, page: Page
) -> None:
    for path in ("/oauth/login", "/oauth/authorize", "/docs", "/"):
        assert fetch(page, server.origin + path) == UNREADABLE
    for path in ("/mcp", "/oauth/token"):
        assert fetch(page, server.origin + path)["status"] in {401, 405}
        assert fetch(page, server.origin + path, credentials="include") == UNREADABLE


@pytest.mark.parametrize("variables", [{"MCP_REQUIRE_AUTH": "false"}, {"OAUTH_AUTO_APPROVE": "true"}])
def test_where_no_person_decides_a_page_of_a_foreign_origin_reads_and_does_nothing(
    tmp_path: Path, page: Page, variables: dict[str, str]
) -> None:
    with RunningServer(TARGET, tmp_path / "data", environment=variables) as running:
        assert post_message(page, running.mcp_url, HELLO) == UNREADABLE
        assert fetch(page, running.mcp_url) == UNREADABLE
        # Sent without asking first: the browser lets it out, and the server must not take it.
        plain = {"mode": "no-cors", "headers": {"Content-Type": "text/plain"}, "body": "{}"}
        fetch(page, running.mcp_url, "POST", **plain)
        assert "origin_foreign" in running.output
