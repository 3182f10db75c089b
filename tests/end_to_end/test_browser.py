"""A real Chromium walks set-up link, login, consent, deny and approve, and leaves pictures."""

from __future__ import annotations

import html
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.end_to_end import local_http
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import PASSWORD, REPOSITORY, RunningServer
from tests.end_to_end.scripted_client import App

PICTURES = REPOSITORY / "test-artifacts" / "browser"
REDOCLY = "https://cdn.redoc.ly/"
_PATIENCE = PATIENCE * 1000  # milliseconds


class Callback:
    """The client's own loopback address, which the browser is sent back to; it keeps every cookie it is sent."""

    def __init__(self) -> None:
        cookies: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                cookies.append(self.headers.get("Cookie", ""))
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                # With an icon of its own, so that the browser asks for none and has nothing to complain about.
                self.wfile.write(b'<title>back</title><link rel="icon" href="data:,">Back in the app.')

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self.cookies = cookies
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.uri = f"http://127.0.0.1:{self._server.server_port}/callback"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def callback() -> Iterator[Callback]:
    listening = Callback()
    yield listening
    listening.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of a browser that knows nothing: each context has cookies and caches of its own."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=_PATIENCE)
    with chromium.new_context(viewport={"width": 900, "height": 760}) as context:
        context.set_default_timeout(_PATIENCE)
        tab = context.new_page()
        problems: list[str] = []
        tab.on(
            "console",
            lambda message: (
                problems.append(f"{message.text} {message.location['url']}") if _is_problem(message) else None
            ),
        )
        tab.on("pageerror", lambda error: problems.append(str(error)))
        yield tab
    assert problems == [], "the browser complained (a policy violation, a missing file, a script error)"


def _is_problem(message: ConsoleMessage) -> bool:
    # A refused login (403) and a refused request (400) are pages under test, which the browser reports too.
    is_refusal = "status of 403" in message.text or "status of 400" in message.text
    return message.type == "error" and not is_refusal and REDOCLY not in message.text


def take_picture(page: Page, name: str, *, full: bool = False) -> None:
    page.screenshot(path=PICTURES / f"{name}.png", full_page=full)


def set_up(page: Page, server: RunningServer, *, picture: str) -> None:
    assert server.setup_link is not None
    page.goto(server.setup_link)
    take_picture(page, picture)
    page.get_by_label("Username").fill("ada")
    page.locator('input[name="password"]').fill(PASSWORD)
    page.locator('input[name="repeat"]').fill(PASSWORD)
    page.get_by_role("button").first.click()


def open_and_log_in(page: Page, url: str) -> None:
    """Open an authorization URL in a browser that nobody is logged in with."""
    page.goto(url)
    page.get_by_label("Username").fill("ada")
    page.locator('input[name="password"]').fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def test_set_up_login_consent_deny_and_approve(server: RunningServer, page: Page, callback: Callback) -> None:
    set_up(page, server, picture="1-set-up")
    expect(page.get_by_text(server.mcp_url, exact=True)).to_be_visible()
    take_picture(page, "2-set-up-done")
    page.context.clear_cookies()

    app = App(server.origin, redirect_uri=callback.uri, name="Reading list").register()
    page.goto(app.authorization_url())
    page.get_by_label("Username").fill("ada")
    page.locator('input[name="password"]').fill("not the password at all")
    take_picture(page, "3-login")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    take_picture(page, "4-login-refused")
    expect(page.get_by_label("Username")).to_have_value("ada")
    page.locator('input[name="password"]').fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_text("Reading list").first).to_be_visible()
    expect(page.get_by_text("127.0.0.1").first).to_be_visible()
    expect(page.get_by_text("Read your notes")).to_be_visible()
    expect(page.get_by_text("Add notes")).to_be_visible()
    take_picture(page, "5-consent")
    page.reload()
    page.get_by_role("button", name="Deny").click()
    page.wait_for_url(callback.uri + "**")
    assert "error=access_denied" in page.url

    app.verifier, app.state = "w" * 64, "less"
    open_and_log_in(page, app.authorization_url())
    page.get_by_label("Add notes").uncheck()
    take_picture(page, "6-consent-to-less")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(callback.uri + "**")
    less = app.redeem(app.code_from(page.url)).json()
    assert less["scope"] == "notes:read"
    assert app.call(less["access_token"], "add", {"text": "not allowed"}).status_code == 403

    app.verifier, app.state = "v" * 64, "second"
    open_and_log_in(page, app.authorization_url())
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(callback.uri + "**")
    tokens = app.redeem(app.code_from(page.url)).json()
    assert app.call(tokens["access_token"], "add", {"text": "from the browser"}).status_code == 200


def test_a_client_on_loopback_is_sent_no_live_session(server: RunningServer, page: Page, callback: Callback) -> None:
    """Cookies ignore ports: what the browser keeps for us, it sends to the client's port too."""
    app = App(server.origin, redirect_uri=callback.uri, name="Nosy").register()
    set_up(page, server, picture="1-set-up")
    expect(page.get_by_text(server.mcp_url, exact=True)).to_be_visible()
    page.goto(callback.uri)
    name = f"gatepost-{server.port}="
    assert name in callback.cookies[0], "this browser tells ports apart, so this test shows nothing"

    for decision in ("Deny", "Approve", None):
        page.goto(f"{server.origin}/oauth/login")
        if page.get_by_label("Username").is_visible():
            open_and_log_in(page, page.url)
            expect(page.get_by_text(server.mcp_url, exact=True)).to_be_visible()
        alive = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())
        assert asks_for_a_password(server, alive) is False
        callback.cookies.clear()

        url = app.authorization_url()
        page.goto(url if decision else url.replace("response_type=code", "response_type=token"))
        if decision:
            page.get_by_role("button", name=decision).click()
        page.wait_for_url(callback.uri + "**")

        assert callback.cookies
        assert not any(name in sent for sent in callback.cookies)
        assert all(asks_for_a_password(server, sent) for sent in [alive, *callback.cookies])


def asks_for_a_password(server: RunningServer, cookies: str) -> bool:
    """Say whether somebody with these cookies has to log in."""
    answer = local_http.get(f"{server.origin}/oauth/login", headers={"Cookie": cookies, "Accept": "text/html"})
    return 'name="password"' in answer.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_a_narrow_web_view(server: RunningServer, page: Page, scheme: str) -> None:
    assert server.setup_link is not None
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(server.setup_link)
    take_picture(page, f"narrow-{scheme}-set-up")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_label("Username").fill("ada")
    page.locator('input[name="password"]').fill(PASSWORD)
    page.locator('input[name="repeat"]').fill(PASSWORD)
    page.get_by_role("button").first.click()
    app = App(server.origin, redirect_uri="https://client.example.com/callback", name="A" * 90).register()
    page.goto(app.authorization_url())
    expect(page.get_by_text("client.example.com").first).to_be_visible()
    take_picture(page, f"narrow-{scheme}-consent")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.goto(f"{server.origin}/oauth/authorize?client_id=nobody")
    expect(page.get_by_role("heading").first).to_be_visible()
    take_picture(page, f"narrow-{scheme}-error")


MANY = '''
from gatepost import Server

SCOPES = {f"area{number}:use": f"Work with area {number}" for number in range(1, 13)}
server = Server("A server with many areas", scopes=SCOPES)
for number in range(1, 13):

    @server.tool(name=f"use{number}", scopes=[f"area{number}:use"], annotations={"destructiveHint": number == 3})
    def use() -> str:
        """Use it."""
        return ""
'''


@pytest.mark.parametrize(("width", "height"), [(900, 760), (360, 640)])
def test_the_answers_to_twelve_permissions_stay_in_sight(tmp_path: Path, page: Page, width: int, height: int) -> None:
    target = tmp_path / "many.py"
    target.write_text(MANY)
    with RunningServer(f"{target}:server", tmp_path / "data") as server:
        page.set_viewport_size({"width": width, "height": height})
        set_up(page, server, picture="1-set-up")
        app = App(server.origin, redirect_uri="https://client.example.com/callback", name="Helper").register()
        page.goto(app.authorization_url())

        expect(page).to_have_title("Allow client.example.com? · A server with many areas")
        for name in ("Approve", "Deny"):
            expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
        take_picture(page, f"9-twelve-permissions-{width}")
        marked = page.locator(".permissions li").filter(has_text="can delete or overwrite")
        assert [text.split(" can ")[0] for text in marked.all_inner_texts()] == ["Work with area 3"]
        expect(page.get_by_text("until 30 days without use, a year at the most")).to_be_visible()
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        take_picture(page, f"9-twelve-permissions-{width}-end")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_person_who_opens_the_server_reads_what_it_is_and_how_to_connect(server: RunningServer, page: Page) -> None:
    for path in ("/", "/mcp", "/mcp/"):
        page.goto(server.origin + path)
        expect(page.get_by_role("heading", name="sample")).to_be_visible()
        expect(page.get_by_text(server.mcp_url, exact=True)).to_be_visible()
        expect(page.get_by_text(f"claude mcp add --transport http sample {server.mcp_url}")).to_be_visible()
    take_picture(page, "10-landing")
    page.get_by_role("link", name="For developers").click()
    expect(page.get_by_text("/oauth/token").first).to_be_visible()
    take_picture(page, "11-reference")


def test_the_reference_loads_nothing_from_elsewhere(server: RunningServer, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.origin}/docs")
    expect(page.get_by_text("/oauth/token").first).to_be_visible()
    page.goto(f"{server.origin}/redoc")
    expect(page.get_by_role("heading", name="Ask a user for access").first).to_be_visible()
    assert asked
    # The policy blocks the picture of Redoc's makers before it is asked for.
    assert [url for url in asked if not url.startswith((server.origin, "data:", "blob:", REDOCLY))] == []


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Another site with a login page: one link, which leads back."""

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        back = f"{query.get('redirect_uri')}?{urlencode({'state': query.get('state', ''), 'sub': '4711'})}"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        page = f'<title>elsewhere</title><link rel="icon" href="data:,"><a href="{html.escape(back)}">It is me</a>'
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of another site: for cookies `localhost` is not the site of `127.0.0.1`."""
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{listening.server_port}/authorize"
    listening.shutdown()
    listening.server_close()
    thread.join()


def test_a_login_that_asks_elsewhere_comes_back_to_the_request(
    tmp_path: Path, page: Page, callback: Callback, elsewhere: str
) -> None:
    with RunningServer(
        "", tmp_path / "data", module="tests.end_to_end.login_server", environment={"LOGIN_AT": elsewhere}
    ) as running:
        app = App(running.origin, redirect_uri=callback.uri).register()
        page.goto(app.authorization_url())
        page.get_by_text("It is me").click()
        expect(page.get_by_text("Ada from elsewhere")).to_be_visible()
        take_picture(page, "7-login-elsewhere-consent")
        page.get_by_role("button", name="Approve").click()
        page.wait_for_url(callback.uri + "**")
        tokens = app.redeem(app.code_from(page.url)).json()
        assert app.call(tokens["access_token"], "add", {"text": "x"}).status_code == 200


def test_a_second_step_is_a_form_of_its_own(tmp_path: Path, page: Page) -> None:
    with RunningServer("", tmp_path / "data", module="tests.end_to_end.login_server") as running:
        page.goto(f"{running.origin}/oauth/login")
        page.get_by_label("Password").fill("any password")
        page.get_by_role("button", name="Log in").click()
        page.get_by_label("Code").fill("654321")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_text("The code is wrong or too old.")).to_be_visible()
        take_picture(page, "8-second-step-refused")
        page.get_by_label("Code").fill("123456")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Your account")).to_be_visible()
