"""The dev page: whom it lets in, what it is made of, which tokens it makes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gatepost import Server
from gatepost.assembly.dev import dev_page_alone, with_dev_page
from gatepost.assembly.installation import Installation, install
from gatepost.assembly.site import served_app_for
from gatepost.configuration.settings import load_settings
from gatepost.oauth.audit import AuditQuery
from gatepost.resource.scope_needs import any_of
from gatepost.web.dev import page as dev_page

HERE = "http://127.0.0.1:8000"
KEY = "the key of this start"
STATUS = {"state": "serving", "generation": 1, "changed": [], "failure": None}
MODERN = {
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/list",
    "Accept": "application/json, text/event-stream",
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def server() -> Server:
    made = Server("notes", title="Notes", scopes={"notes:read": "Read notes", "notes:write": "Write notes"})

    @made.tool(scopes=["notes:write", any_of("notes:read", "notes:write")])
    def add() -> str:
        """Add a note."""
        return "added"

    @made.tool
    def version() -> str:
        """Say the version."""
        return "1"

    @made.resource("notes://{name}", scopes=["notes:read"])
    def note(name: str) -> str:
        return name

    return made


async def started(**settings: str) -> AsyncIterator[Browser]:
    installation = install(server(), load_settings({"MCP_STORAGE_URL": "memory:", **settings}, env_file=None))
    app = served_app_for(installation, announce=lambda _banner: None)
    async with installation.running():
        yield Browser(with_dev_page(app, installation, key=KEY, status=lambda: STATUS, process=7), installation)


class Browser(httpx2.AsyncClient):
    """A browser at the page."""

    def __init__(self, app: Any, installation: Installation | None = None, peer: str = "127.0.0.1") -> None:
        super().__init__(transport=httpx2.ASGITransport(app=app, client=(peer, 50_000)), base_url=HERE)
        self.installation = installation
        self.proof = ""

    async def ask(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """Ask as the page's script does."""
        sent = {"Gatepost-Dev": self.proof, "Sec-Fetch-Site": "same-origin", **headers}
        if body is None:
            return await self.get(path, headers=sent)
        return await self.post(path, json=body, headers={"Origin": HERE, **sent})

    async def come_in(self) -> None:
        answer = await self.ask("/dev/session", {"key": KEY})
        assert answer.status_code == 200
        self.proof = answer.json()["proof"]

    async def token(self, **changes: Any) -> httpx2.Response:
        asked = {"endpoint": "/mcp", "user": "dev", "scopes": ["notes:read"], **changes}
        return await self.ask("/dev/token", asked)

    async def tools(self, token: str) -> list[str]:
        """The tools that are listed for a token."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
        answer = await self.post("/mcp", json=message, headers={**MODERN, "Authorization": f"Bearer {token}"})
        return [tool["name"] for tool in answer.json()["result"]["tools"]]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async for each in started():
        yield each


async def test_without_the_link_there_is_a_page_and_nothing_on_it(browser: Browser) -> None:
    page = await browser.get("/dev")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for answer in (await browser.ask("/dev/state"), await browser.token()):
        assert answer.status_code == 403
        assert answer.json() == {
            "error": "access_denied",
            "error_description": "Open the link to the dev page that the terminal shows: it has the key of this start.",
        }


async def test_the_key_of_the_link_gets_a_cookie_for_the_page_alone_and_a_proof(browser: Browser) -> None:
    answer = await browser.ask("/dev/session", {"key": KEY})
    assert list(answer.json()) == ["proof"]
    name, _, attributes = answer.headers["set-cookie"].partition("=")
    assert name == "gatepost-dev-8000"
    assert attributes.partition("; ")[2] == "HttpOnly; Path=/dev; SameSite=strict"
    assert KEY not in answer.text + answer.headers["set-cookie"]


@pytest.mark.parametrize("given", [{"key": "another"}, {"key": None}, {"key": ["x"]}, {}, [KEY], "x"])
async def test_another_key_gets_nothing(browser: Browser, given: Any) -> None:
    answer = await browser.ask("/dev/session", given)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize(
    "body",
    [rb'{"key": "\ud800"}', b'{"key": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", b"{", b"\xff"],
    ids=["half a surrogate pair", "deep", "no JSON", "no UTF-8"],
)
async def test_a_key_that_cannot_be_read_is_another_key(browser: Browser, body: bytes) -> None:
    sent = {"Origin": HERE, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    answer = await browser.post("/dev/session", content=body, headers=sent)
    assert (answer.status_code, answer.json()["error"]) == (403, "invalid_request")


async def test_cookie_and_proof_are_both_needed(browser: Browser) -> None:
    """A server of somebody else's on another port of this machine is sent the cookie, and never the proof."""
    await browser.come_in()
    assert (await browser.ask("/dev/state")).status_code == 200
    proof, browser.proof = browser.proof, ""
    assert (await browser.ask("/dev/state")).status_code == 403
    browser.proof = proof
    browser.cookies.clear()
    assert (await browser.ask("/dev/state")).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "192.168.0.7:8000", ""])
@pytest.mark.parametrize("path", ["/dev", "/dev/static/dev.js", "/dev/state"])
async def test_a_name_that_is_none_of_this_machine_gets_nothing(browser: Browser, host: str, path: str) -> None:
    """DNS rebinding: a page of `evil.example` whose name leads to this machine is of the same origin to a browser."""
    await browser.come_in()
    assert (await browser.ask(path, Host=host)).status_code == 421


async def test_what_came_through_a_proxy_or_from_another_machine_gets_nothing(browser: Browser) -> None:
    await browser.come_in()
    assert (await browser.ask("/dev/state", **{"X-Forwarded-For": "192.0.2.1"})).status_code == 421
    elsewhere = Browser(dev_page_alone(key=KEY, status=lambda: STATUS), peer="192.0.2.1")
    assert (await elsewhere.get("/dev")).status_code == 421
    await elsewhere.aclose()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_pages_of_others_cannot_ask(browser: Browser, headers: dict[str, str]) -> None:
    await browser.come_in()
    for path, body in (("/dev/token", {}), ("/dev/session", {"key": KEY}), ("/dev/state", None)):
        answer = await browser.ask(path, body, **headers)
        assert (answer.status_code, answer.json()["error_description"]) == (
            403,
            "Only the dev page itself may ask here.",
        )


async def test_a_post_without_an_origin_is_refused(browser: Browser) -> None:
    await browser.come_in()
    answer = await browser.post("/dev/token", json={}, headers={"Gatepost-Dev": browser.proof})
    assert answer.status_code == 403


async def test_a_body_that_a_foreign_form_could_send_is_none(browser: Browser) -> None:
    headers = {"Origin": HERE, "Content-Type": "text/plain"}
    answer = await browser.post("/dev/session", content=f'{{"key": "{KEY}"}}', headers=headers)
    assert answer.status_code == 403


async def test_the_state_says_what_is_served_and_what_everything_needs(browser: Browser) -> None:
    await browser.come_in()
    state = (await browser.ask("/dev/state")).json()
    assert state.pop("version")
    assert state == {
        "name": "Notes",
        "process": 7,
        "status": STATUS,
        "endpoints": [
            {
                "path": "/mcp",
                "name": "Notes",
                "scopes": {"notes:read": "Read notes", "notes:write": "Write notes"},
                "needs_token": True,
                "needs": {
                    "tools": {"add": [["notes:write"], ["notes:read", "notes:write"]], "version": []},
                    "prompts": {},
                    "resources": {"notes://{name}": [["notes:read"]]},
                },
            }
        ],
    }


async def test_a_token_has_the_scopes_that_were_chosen_and_counts_for_ten_minutes(browser: Browser) -> None:
    await browser.come_in()
    answer = (await browser.token()).json()
    token = answer.pop("access_token")
    assert answer == {"token_type": "Bearer", "expires_in": 600, "scope": "notes:read"}
    assert await browser.tools(token) == ["version"]
    assert await browser.tools((await browser.token(scopes=["notes:write"])).json()["access_token"]) == [
        "add",
        "version",
    ]


async def test_a_token_is_a_grant_that_ends_with_it_and_stands_in_the_audit_trail(browser: Browser) -> None:
    await browser.come_in()
    await browser.token(user="  ada  ")
    assert browser.installation is not None
    core = browser.installation.core
    (listing,) = await core.store.approvals.list_grants(live_at=core.now(), subject="ada", client_id=None, limit=9)
    assert (listing.grant.subject, listing.grant.client_id) == ("ada", "gatepost-cli")
    assert listing.grant.resource == f"{HERE}/mcp"
    assert listing.grant.expires_at == listing.grant.created_at + 600
    (event,) = await core.store.audit.list_events(AuditQuery(event="token_minted"), before=None, limit=9)
    assert (event.subject, event.address, event.grant_id) == ("ada", "dev page", listing.grant.grant_id)


async def test_tokens_that_are_signed_count_too() -> None:
    async for browser in started(OAUTH_ACCESS_TOKEN_FORMAT="jwt"):
        await browser.come_in()
        token = (await browser.token()).json()["access_token"]
        assert token.count(".") == 2
        assert await browser.tools(token) == ["version"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"endpoint": "/other"}, "There is no such endpoint (any more)."),
        ({"user": ""}, "The user is a name of at most 200 printable characters."),
        ({"user": "a\nb"}, "The user is a name of at most 200 printable characters."),
        ({"user": 7}, "The user is a name of at most 200 printable characters."),
        ({"user": "x" * 201}, "The user is a name of at most 200 printable characters."),
        ({"scopes": ["admin"]}, "The scopes are a list of those that the endpoint has."),
        ({"scopes": "notes:read"}, "The scopes are a list of those that the endpoint has."),
        ({"scopes": [["notes:read"]]}, "The scopes are a list of those that the endpoint has."),
    ],
)
async def test_what_no_token_can_be_made_for_is_said(browser: Browser, changes: dict[str, Any], told: str) -> None:
    await browser.come_in()
    answer = await browser.token(**changes)
    assert (answer.status_code, answer.json()["error_description"]) == (400, told)


async def test_a_body_that_is_too_long_is_refused(browser: Browser) -> None:
    await browser.come_in()
    assert (await browser.token(user="x" * 70_000)).status_code == 413


async def test_a_server_that_is_open_to_everybody_says_that_no_token_is_needed() -> None:
    async for browser in started(MCP_REQUIRE_AUTH="false", OAUTH_ENABLED="false"):
        await browser.come_in()
        (endpoint,) = (await browser.ask("/dev/state")).json()["endpoints"]
        assert endpoint["needs_token"] is False


async def test_all_else_is_the_apps(browser: Browser) -> None:
    assert (await browser.get("/developers")).status_code == 404
    assert (await browser.get("/health")).json()["status"] == "ok"
    assert (await browser.get("/dev/static/nothing.js")).text == "Not found"
    assert (await browser.get("/dev/nothing")).status_code == 404
    assert (await browser.ask("/dev/state", {})).status_code == 404


async def test_every_answer_has_a_policy_by_which_no_script_but_the_page_s_runs(browser: Browser) -> None:
    for path in ("/dev", "/dev/static/dev.js", "/dev/state", "/dev/nothing"):
        headers = (await browser.get(path)).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "trusted-types 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["cache-control"], headers["x-frame-options"]) == ("no-store", "DENY")


async def test_without_code_there_is_the_page_and_every_app_is_told_to_come_again() -> None:
    failed = {**STATUS, "state": "failed", "failure": {"summary": "It is broken.", "traceback": ""}}
    browser = Browser(dev_page_alone(key=KEY, status=lambda: failed))
    await browser.come_in()
    state = (await browser.ask("/dev/state")).json()
    assert (state["status"], state["endpoints"]) == (failed, [])
    assert (await browser.token()).status_code == 400
    answer = await browser.post("/mcp")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    await browser.aclose()


async def test_a_serve_that_is_no_dev_has_no_such_page() -> None:
    installation = install(server(), load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None))
    app = served_app_for(installation, announce=lambda _banner: None)
    async with installation.running(), Browser(app) as plain:
        for path in ("/dev", "/dev/", "/dev/state", "/dev/static/dev.js"):
            assert (await plain.get(path)).status_code == 404


def test_the_files_of_the_page_are_those_that_it_names() -> None:
    folder = Path(dev_page.__file__).parent / "static"
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    named = {name for text in texts.values() for name in re.findall(r'/dev/static/([\w.]+)|"\./([\w.]+)"', text)}
    assert {one or other for one, other in named} == set(dev_page._FILES)
    assert set(texts) - {"index.html"} == {name for name, (where, _) in dev_page._FILES.items() if where == folder}
    assert all((where / name).is_file() for name, (where, _) in dev_page._FILES.items())


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
)
def test_no_script_writes_markup_or_runs_text(word: str) -> None:
    scripts = (Path(dev_page.__file__).parent / "static").glob("*.js")
    assert [path.name for path in scripts if word in path.read_text(encoding="utf-8")] == []


def test_the_page_needs_nothing_from_elsewhere() -> None:
    for path in (Path(dev_page.__file__).parent / "static").iterdir():
        addresses = re.findall(r"https?://[^\s\"'`/]+", path.read_text(encoding="utf-8"))
        assert addresses == [], path.name
