"""The pictures of the docs, as `make pictures` puts them there: pages of `examples/notes.py`, finer than on screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.dev_server import DevServer
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.page_walk import Walk
from tests.end_to_end.running_server import PASSWORD, REPOSITORY, RunningServer
from tests.end_to_end.scripted_client import App, Person
from tests.end_to_end.test_browser import Callback
from tests.end_to_end.test_browser import callback as callback  # noqa: PLC0414 - a fixture

PICTURES = REPOSITORY / "test-artifacts" / "docs"
BRANDED = {
    "OAUTH_ACCENT": "#7a3e9d",
    "OAUTH_SUPPORT": "help@example.com",
    "OAUTH_PRIVACY_URL": "https://example.com/privacy",
}


@pytest.fixture
def locale() -> str:
    return "en-GB"


@pytest.fixture
def page(chromium: Browser, locale: str) -> Iterator[Page]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE * 1000)
    with chromium.new_context(viewport={"width": 560, "height": 900}, device_scale_factor=2, locale=locale) as context:
        context.set_default_timeout(PATIENCE * 1000)
        yield context.new_page()


def take_picture(page: Page, name: str, *, width: int = 560) -> None:
    # As high as what is on it, so that the buttons that stay in sight stand where they belong.
    page.set_viewport_size({"width": width, "height": 480})
    height = page.evaluate("document.body.scrollHeight")
    page.set_viewport_size({"width": width, "height": max(height, 480)})
    page.screenshot(path=PICTURES / f"{name}.png")
    page.set_viewport_size({"width": 560, "height": 900})


def test_the_pages_of_the_notes_example(page: Page, callback: Callback, tmp_path: Path) -> None:
    with RunningServer("examples/notes.py:server", tmp_path / "data") as server:
        walk = Walk(server, page, lambda _: None, callback.uri)
        assert server.setup_link is not None
        page.goto(server.setup_link)
        take_picture(page, "setup")
        person = Person(server.origin, "ada")
        person.set_up(server.setup_link)
        app = App(server.origin, redirect_uri="https://claude.ai/api/mcp/auth_callback", name="Claude").register()
        page.goto(app.authorization_url())
        take_picture(page, "login")
        walk.submit(username="ada", password=person.password)
        expect(page.get_by_text("claude.ai").first).to_be_visible()
        take_picture(page, "consent")

        assert app.redeem(app.code_from(person.decide(app.authorization_url()))).status_code == 200
        walk.visit("/oauth/account")
        expect(page.get_by_role("heading", name="Connected apps")).to_be_visible()
        take_picture(page, "account")

        walk.command("users", "add", "bob", "--password-stdin", password=PASSWORD)
        walk.visit("/oauth/admin/people")
        page.get_by_role("link", name="bob").click()
        page.locator('button[value="disable"]').click()
        expect(page.locator('button[value="enable"]')).to_be_visible()
        take_picture(page, "admin-person", width=700)
        walk.visit("/oauth/admin/api-keys")
        walk.submit(name="nightly", scopes=page.locator("#scopes-hint code").first.inner_text().split()[0])
        walk.visit("/oauth/admin/api-keys")
        take_picture(page, "admin-api-keys", width=700)
        walk.visit("/oauth/admin/audit")
        take_picture(page, "admin-audit", width=700)


def test_the_dev_page_with_the_notes_example(page: Page, tmp_path: Path) -> None:
    code = (REPOSITORY / "examples" / "notes.py").read_text(encoding="utf-8")
    (tmp_path / "notes.py").write_text(code, encoding="utf-8")
    with DevServer(tmp_path, target="notes:server") as dev:
        page.set_viewport_size({"width": 1100, "height": 900})
        page.goto(dev.link)
        page.locator("#offers").get_by_role("button", name="add").click()
        page.locator("#form").get_by_label("text").fill("Water the plants on Friday")
        page.locator("#form").get_by_role("button", name="Call").click()
        expect(page.locator("#outcome [role=status]")).to_contain_text("Done")
        page.locator("#outcome").get_by_text("Structured content").click()
        page.screenshot(path=PICTURES / "dev.png", full_page=True)


@pytest.mark.parametrize("locale", ["de-DE"])
def test_the_same_page_in_german_in_the_dark_and_in_colours_of_somebodys_own(
    page: Page, callback: Callback, tmp_path: Path, locale: str
) -> None:
    assert locale.startswith("de")
    with RunningServer("examples/notes.py:server", tmp_path / "data", environment=BRANDED) as server:
        page.emulate_media(color_scheme="dark")
        walk = Walk(server, page, lambda _: None, callback.uri)
        assert server.setup_link is not None
        person = Person(server.origin, "ada")
        person.set_up(server.setup_link)
        app = App(server.origin, redirect_uri="https://claude.ai/api/mcp/auth_callback", name="Claude").register()
        page.goto(app.authorization_url())
        walk.submit(username="ada", password=person.password)
        expect(page.get_by_role("heading", name="Diese App zulassen?")).to_be_visible()
        take_picture(page, "consent-german-dark")
        walk.visit("/oauth/authorize?client_id=nobody")
        expect(page.get_by_role("link", name="help@example.com")).to_be_visible()
        take_picture(page, "error-german-dark")
