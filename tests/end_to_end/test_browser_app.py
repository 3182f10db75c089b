"""The example with a chart in Chromium: in the bridge of the reference host, with the official client."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.conftest import RequireService
from tests.end_to_end.conftest import owner_of
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.end_to_end.scripted_client import App
from tools import npm_packages

SOURCE = REPOSITORY / "tools" / "apps_host"
PACKAGES = REPOSITORY / ".venv" / "apps-host"
DEADLINE = 300  # seconds; only ever reached when something is broken


def policy_of(csp: dict[str, list[str]]) -> str:
    """The Content Security Policy of an app (SEP-1865, "Content Security Policy Enforcement")."""
    resources = " ".join(csp.get("resourceDomains", []))
    directives = {
        "default-src": "'none'",
        "script-src": f"'self' 'unsafe-inline' {resources}",
        "style-src": f"'self' 'unsafe-inline' {resources}",
        "img-src": f"'self' data: {resources}",
        "font-src": f"'self' {resources}",
        "media-src": f"'self' data: {resources}",
        "connect-src": " ".join(csp.get("connectDomains", ["'none'"])),
        "object-src": "'none'",
        "frame-src": "'self'",  # the app itself, in the proxy
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


class _Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        below = PACKAGES / "node_modules" if path.startswith("/packages/") else SOURCE
        file = below / path.removeprefix("/packages/").lstrip("/")
        self.send_response(200 if file.is_file() else 404)
        self.send_header("Content-Type", "text/html" if file.suffix == ".html" else "text/javascript")
        if path == "/sandbox.html":
            csp = json.loads(parse_qs(urlsplit(self.path).query)["csp"][0])
            self.send_header("Content-Security-Policy", policy_of(csp))
        self.end_headers()
        if file.is_file():
            self.wfile.write(file.read_bytes())

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@contextmanager
def site() -> Iterator[str]:
    """A web site with the host's files, at an origin of its own."""
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}"
    listening.shutdown()
    thread.join()
    listening.server_close()


def problems_of(page: Page) -> list[str]:
    """What goes wrong in a page and its frames, from now on."""
    found: list[str] = []

    def on_console(said: ConsoleMessage) -> None:
        if said.type == "error":
            found.append(said.text)

    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", on_console)
    return found


@pytest.fixture(scope="module")
def packages(require_service: RequireService) -> Path:
    """What `tools/apps_host/package-lock.json` pins."""
    available = True
    try:
        npm_packages.install(SOURCE, PACKAGES, timeout=DEADLINE)
    except (OSError, subprocess.SubprocessError):
        available = False
    require_service("the reference host of MCP Apps (npm)", available=available)
    return PACKAGES


@pytest.mark.usefixtures("packages")
def test_a_host_shows_the_chart_and_its_button_calls_what_models_are_not_shown(
    chromium: Browser, tmp_path: Path
) -> None:
    with (
        RunningServer("examples/weather_app.py:server", tmp_path / "data") as server,
        site() as host,
        site() as sandbox,
        chromium.new_context() as context,
    ):
        app = App(server.origin).register()
        token = app.redeem(app.code_from(owner_of(server).decide(app.authorization_url()))).json()["access_token"]
        for era, revision in (("auto", "2026-07-28"), ("legacy", "2025-11-25")):
            page = context.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            problems = problems_of(page)
            called: dict[str, Any] = {
                "server": server.mcp_url,
                "token": token,
                "sandbox": f"{sandbox}/sandbox.html",
                "tool": "forecast",
                "arguments": json.dumps({"city": "Oslo"}),
                "era": era,
            }
            page.goto(f"{host}/host.html#{urlencode(called)}")
            view = page.frame_locator("#app").frame_locator("iframe")

            expect(view.get_by_role("heading")).to_have_text("Oslo, 5 days")
            expect(view.locator("rect")).to_have_count(5)
            view.get_by_role("button", name="Ten days").click()
            expect(view.get_by_role("heading")).to_have_text("Oslo, 10 days")
            expect(view.locator("rect")).to_have_count(10)
            expect(view.get_by_role("alert")).to_be_empty()

            page.wait_for_function("window.seen.done")
            seen = page.evaluate("window.seen")
            page.screenshot(path=tmp_path / f"app-{era}.png")
            assert seen["extensions"]["io.modelcontextprotocol/ui"] == {"mimeTypes": ["text/html;profile=mcp-app"]}
            assert seen["mimeType"] == "text/html;profile=mcp-app"
            assert seen["forTheModel"] == ["forecast"]
            assert seen["app"] == {"name": "forecast", "version": "1.0.0"}
            assert seen["revision"] == revision
            assert seen["sizes"]
            assert problems == []
            page.close()
